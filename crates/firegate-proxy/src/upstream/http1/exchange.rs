//! A request that is sent, and the head of its answer that is waited for meanwhile: a service may answer at any time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, StatusCode};

use super::answer_head::AnswerHead;
use super::body::Http1Body;
use super::connection::Http1Connection;
use super::error::{Http1Error, Malformed};
use super::outgoing::{Outgoing, RequestTarget, SendError};
use crate::limits::UPSTREAM_INTERIM_ANSWERS_MAX;
use crate::stream::Body;
use crate::upstream::expectation::ContinueWord;
use crate::upstream::unanswered::{Cause, Unanswered};

/// An exchange up to the head of the answer. Dropping it closes the connection.
#[derive(Debug)]
pub(in crate::upstream) struct Exchange {
    /// Until there is an outcome.
    under_way: Option<UnderWay>,
    is_head: bool,
    interim: usize,
    word: Option<ContinueWord>,
}

#[derive(Debug)]
struct UnderWay {
    connection: Box<Http1Connection>,
    /// In a box, because an exchange is moved before it is under way and when it ends.
    outgoing: Box<Outgoing>,
    sending: Sending,
}

/// How far the request is.
#[derive(Debug)]
enum Sending {
    UnderWay,
    Over,
    /// The service takes no more of it. It may have answered all the same.
    BrokenOff(io::Error),
}

/// An answer's body, and the rest of its request, if the service has answered before it had all of it.
#[derive(Debug)]
pub(in crate::upstream) struct Http1Answer {
    pub(in crate::upstream) body: Http1Body,
    pub(in crate::upstream) rest: Option<RestOfRequest>,
}

/// What is still to be sent of a request.
#[derive(Debug)]
pub(in crate::upstream) struct RestOfRequest(pub(super) Box<Outgoing>);

impl Exchange {
    pub(super) fn new(
        connection: Box<Http1Connection>,
        request: Request<Body>,
        target: &RequestTarget<'_>,
        word: Option<ContinueWord>,
    ) -> Self {
        let is_head = request.method() == Method::HEAD;
        let outgoing = Box::new(Outgoing::new(request, target));
        let under_way = Some(UnderWay { connection, outgoing, sending: Sending::UnderWay });
        Self { under_way, is_head, interim: 0, word }
    }

    /// The head of the answer that counts, when it has come.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<AnswerHead, Http1Error>> {
        let Some(UnderWay { connection, outgoing, sending }) = &mut self.under_way else {
            return Poll::Ready(Err(Http1Error::Ended));
        };
        if matches!(sending, Sending::UnderWay) {
            match outgoing.poll_send(&mut connection.transport, context) {
                Poll::Ready(Ok(())) => *sending = Sending::Over,
                Poll::Ready(Err(SendError::Connection(error))) => *sending = Sending::BrokenOff(error),
                Poll::Ready(Err(SendError::Body(error))) => {
                    return Poll::Ready(Err(Http1Error::Request(Box::new(error))));
                }
                Poll::Pending => {}
            }
        }
        if matches!(sending, Sending::BrokenOff(_)) && outgoing.is_unsent() {
            return Poll::Ready(Err(Http1Error::Ended));
        }
        let mut others = match sending {
            Sending::Over => Some(outgoing.headers_mut()),
            Sending::UnderWay | Sending::BrokenOff(_) => None,
        };
        loop {
            while !connection.buffer.is_empty()
                && let Some(head) = AnswerHead::read(&mut connection.buffer, others.as_deref_mut())?
            {
                if !head.is_interim() {
                    return Poll::Ready(Ok(head));
                }
                self.interim += 1;
                if self.interim > UPSTREAM_INTERIM_ANSWERS_MAX {
                    return Poll::Ready(Err(Malformed::InterimAnswers.into()));
                }
                if let Some(word) = self.word.as_ref().filter(|_| head.status == StatusCode::CONTINUE) {
                    word.go_on();
                }
            }
            let read = ready!(connection.poll_fill(context)).map_err(Http1Error::Connection)?;
            if read == 0 {
                return Poll::Ready(Err(Http1Error::Ended));
            }
        }
    }

    /// The answer of which the head has come.
    fn answer(&mut self, head: AnswerHead) -> Result<Response<Http1Answer>, Http1Error> {
        let Some(UnderWay { connection, outgoing, sending }) = self.under_way.take() else {
            return Err(Http1Error::Ended);
        };
        let framing = head.framing(self.is_head)?;
        let is_broken_off = matches!(sending, Sending::BrokenOff(_));
        let is_kept = head.keeps_connection() && !outgoing.is_last() && !is_broken_off;
        let body = Http1Body::new(framing, connection, is_kept);
        let rest = matches!(sending, Sending::UnderWay).then(|| RestOfRequest(outgoing));
        let mut response = Response::new(Http1Answer { body, rest });
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        if let Some(reason) = head.reason {
            response.extensions_mut().insert(reason);
        }
        Ok(response)
    }

    /// Why there is no answer.
    fn unanswered(&mut self, error: Http1Error) -> Unanswered {
        match self.under_way.take() {
            Some(UnderWay { connection, outgoing, sending: Sending::BrokenOff(error) })
                if outgoing.is_unsent() && !connection.transport.is_tls() =>
            {
                let cause = Cause::Http1(Http1Error::Connection(error));
                Unanswered::Unsent(Box::new(outgoing.into_unsent()), cause)
            }
            Some(UnderWay { sending: Sending::BrokenOff(why), .. }) if matches!(error, Http1Error::Ended) => {
                Unanswered::Broken(Cause::Http1(Http1Error::Connection(why)))
            }
            _ => Unanswered::Broken(Cause::Http1(error)),
        }
    }
}

impl Future for Exchange {
    type Output = Result<Response<Http1Answer>, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let head = ready!(this.poll_head(context));
        let answer = head.and_then(|head| this.answer(head));
        Poll::Ready(answer.map_err(|error| this.unanswered(error)))
    }
}
