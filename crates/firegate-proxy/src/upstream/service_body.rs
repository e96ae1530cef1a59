//! The body of a service's answer. With its end the connection is free for the next request; before its end nothing else
//! is sent by it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connections::SharedStream;
use super::expectation::Expectation;
use super::http1::{ConversationBody, Http1Answer, Http1Body, SwitchedConnection};
use super::passage::Passage;
use crate::stream::{BodyError, BodyProgress, ReceivedBody};

/// What comes behind the head of an answer, and what it comes by.
#[derive(Debug)]
pub(super) enum Answer {
    Http1(Http1Answer),
    /// A place that outlasts the body is not with it.
    Http2(Incoming, Option<SharedStream>),
}

/// A body from a service, the connection that it comes by, and the request's place among those under way.
#[derive(Debug)]
pub(crate) struct ServiceBody {
    source: Source,
    passage: Passage,
    /// What the client expected before it sends its body.
    expectation: Option<Expectation>,
    /// How far the request's body is, if it has one: with one that breaks off the answer does too.
    request: Option<BodyProgress>,
}

/// Where a body comes from.
#[derive(Debug)]
enum Source {
    Http1(Http1Body),
    /// The same, while the request is still being sent.
    Conversation(ConversationBody),
    /// With the place on a connection, until the end.
    Http2(ReceivedBody, Option<SharedStream>),
}

impl ServiceBody {
    pub(super) fn new(
        answer: Answer,
        passage: Passage,
        expectation: Option<Expectation>,
        request: Option<BodyProgress>,
    ) -> Self {
        let source = match answer {
            Answer::Http1(Http1Answer { body, rest: None }) => Source::Http1(body),
            Answer::Http1(Http1Answer { body, rest: Some(rest) }) => {
                let keep = passage.way_back();
                Source::Conversation(ConversationBody::begin(body, rest, move |own| keep.give_back(own)))
            }
            Answer::Http2(body, stream) => Source::Http2(ReceivedBody::new(body, Version::HTTP_2), stream),
        };
        let mut body = Self { source, passage, expectation, request };
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

    /// All of it, if all of it has come with its head, by HTTP/1. The answer is over then.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        let Source::Http1(body) = &mut self.source else { return None };
        let whole = body.take_whole()?;
        self.give_back();
        Some(whole)
    }

    /// The request's place, without the answer.
    pub(crate) fn into_passage(self) -> Passage {
        self.passage
    }

    /// The connection of an answer by which the service switches to another protocol, if that is one with HTTP/1.
    pub(super) fn take_switched(&mut self) -> Option<SwitchedConnection> {
        match &mut self.source {
            Source::Http1(body) => body.take_switched(),
            Source::Conversation(_) | Source::Http2(..) => None,
        }
    }

    fn give_back_at_end(&mut self) {
        if self.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.expectation = None;
        match &mut self.source {
            Source::Http1(body) => {
                if let Some(connection) = body.take_connection() {
                    self.passage.give_back(connection);
                }
            }
            Source::Conversation(_) => {}
            Source::Http2(_, stream) => *stream = None,
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
        let frame = match &mut this.source {
            Source::Http1(body) => {
                ready!(body.poll_frame(context)).map(|frame| frame.map_err(BodyError::from))
            }
            Source::Conversation(body) => {
                ready!(body.poll_frame(context)).map(|frame| frame.map_err(BodyError::from))
            }
            Source::Http2(body, _) => ready!(Pin::new(body).poll_frame(context)),
        };
        match &frame {
            Some(Ok(_)) => this.give_back_at_end(),
            Some(Err(_)) => {
                if let Source::Http2(_, stream) = &mut this.source {
                    *stream = None;
                }
                this.passage.broke_off(this.request.as_ref());
            }
            None => this.give_back(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Http1(body) => body.is_end_stream(),
            Source::Conversation(body) => body.is_end_stream(),
            Source::Http2(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(body) => body.size_hint(),
            Source::Conversation(body) => body.size_hint(),
            Source::Http2(body, _) => body.size_hint(),
        }
    }
}
