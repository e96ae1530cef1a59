//! The body of an answer, and with it the moment at which the answer is over.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::record::{RequestRecord, Telemetry};
use crate::stream::{Body, BodyError, full};

/// A body that tells its request's record how many bytes went through, and whether all did. A panic in it is counted, and
/// breaks the answer off as any other fault does: no client takes it for the whole.
#[derive(Debug)]
pub(crate) struct ObservedBody {
    inner: Body,
    telemetry: Arc<Telemetry>,
    /// Until the end. A tunnel's is not here.
    record: Option<Box<RequestRecord>>,
    /// Why it breaks off, which is told when what it gave before is sent: with an error hyper gives that up, and a
    /// client without any answer may send its request again (RFC 9112, section 9.3.1).
    broken_off: Option<BodyError>,
}

impl ObservedBody {
    pub(crate) fn new(inner: Body, record: Box<RequestRecord>) -> Self {
        Self { inner, telemetry: record.telemetry(), record: record.for_body(), broken_off: None }
    }

    /// Ends the record, which tells what it knows as it is dropped.
    fn end(&mut self, cut: Option<Cow<'static, str>>) {
        let Some(mut record) = self.record.take() else { return };
        record.cut = cut.or_else(|| record.ended_by_door());
        if let Err(panicked) = self.telemetry.panics().catch_now(|| drop(record)) {
            tracing::error!(%panicked, "a request was not told of");
        }
    }

    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let inner = &mut self.inner;
        let polled = self.telemetry.panics().catch_now(|| Pin::new(inner).poll_frame(context));
        polled.unwrap_or_else(|panicked| {
            let request_id = self.record.as_ref().map(|record| record.request_id());
            tracing::error!(%panicked, request_id, "an answer was broken off");
            // Whatever it was in the middle of is not asked again.
            self.inner = full("");
            Poll::Ready(Some(Err(BodyError::Panicked)))
        })
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match self.broken_off.take() {
            Some(error) => Some(Err(error)),
            None => match ready!(self.poll_inner(context)) {
                Some(Err(error)) => {
                    self.broken_off = Some(error);
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                frame => frame,
            },
        };
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(record) = &mut self.record {
                    record.response_bytes += bytes;
                }
                // Nobody asks a body for more that says so.
                if self.inner.is_end_stream() {
                    self.end(None);
                }
            }
            Some(Err(error)) => self.end(Some(Cow::Owned(error.to_string()))),
            None => self.end(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // A body that broke off has nothing more to give, and has not ended for all that.
        self.broken_off.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for ObservedBody {
    fn drop(&mut self) {
        let Some(record) = &self.record else { return };
        let is_whole = record.answer_has_no_body() || self.is_end_stream();
        let cut = (!is_whole).then(|| match &self.broken_off {
            Some(error) => Cow::Owned(error.to_string()),
            None => record.dropped("the client left before the end"),
        });
        self.end(cut);
    }
}
