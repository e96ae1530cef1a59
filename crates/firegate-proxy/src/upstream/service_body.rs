//! The body of a service's answer. With its end the connection is free for the next request; before its end nothing else
//! is sent by it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::connections::Connection;
use super::expectation::Expectation;
use super::passage::Passage;
use crate::stream::{BodyError, BodyProgress, ReceivedBody};

/// A body from a service, the connection that it comes by, and the request's place among those under way.
#[derive(Debug)]
pub(crate) struct ServiceBody {
    inner: ReceivedBody,
    connection: Option<Connection>,
    passage: Passage,
    /// What the client expected before it sends its body.
    expectation: Option<Expectation>,
    /// How far the request's body is, if it has one: with one that breaks off the answer does too.
    request: Option<BodyProgress>,
}

impl ServiceBody {
    pub(super) fn new(
        inner: ReceivedBody,
        connection: Option<Connection>,
        passage: Passage,
        expectation: Option<Expectation>,
        request: Option<BodyProgress>,
    ) -> Self {
        let mut body = Self { inner, connection, passage, expectation, request };
        body.give_back_at_end();
        body
    }

    /// When the answer has to be over, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.passage.deadline()
    }

    /// Takes a place among the requests that are sent once more; `false` if there is none, or no time.
    pub(crate) fn begin_repeat(&mut self) -> bool {
        self.passage.begin_repeat()
    }

    /// The request's place, without the answer.
    pub(crate) fn into_passage(self) -> Passage {
        self.passage
    }

    fn give_back_at_end(&mut self) {
        if self.inner.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.expectation = None;
        if let Some(connection) = self.connection.take() {
            self.passage.give_back(connection);
        }
    }
}

impl HttpBody for ServiceBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        match &frame {
            Some(Ok(_)) => this.give_back_at_end(),
            Some(Err(_)) => {
                // What comes by it next would be the rest of this answer.
                this.connection = None;
                this.passage.broke_off(this.request.as_ref());
            }
            None => this.give_back(),
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
