//! The body of an answer, and with it the moment at which the answer is over.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::record::RequestRecord;
use crate::stream::{Body, BodyError};

/// A body that tells its request's record how many bytes went through, and whether all did.
#[derive(Debug)]
pub(crate) struct ObservedBody {
    inner: Body,
    /// Until the end. A tunnel's is not here.
    record: Option<Box<RequestRecord>>,
}

impl ObservedBody {
    pub(crate) fn new(inner: Body, record: Box<RequestRecord>) -> Self {
        Self { inner, record: record.for_body() }
    }

    /// Ends the record, which tells what it knows as it is dropped.
    fn end(&mut self, cut: Option<Cow<'static, str>>) {
        if let Some(mut record) = self.record.take() {
            record.cut = cut;
        }
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
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
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for ObservedBody {
    fn drop(&mut self) {
        let Some(record) = &self.record else { return };
        let is_whole = record.answer_has_no_body() || self.inner.is_end_stream();
        self.end((!is_whole).then_some(Cow::Borrowed("the client left before the end")));
    }
}
