//! An answer that comes while its request is still being sent. Whichever of the two is slow, or is not read, the other one goes
//! on; so a task has them both, and with the end of both the connection is free.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::body::Http1Body;
use super::connection::Http1Connection;
use super::error::Http1Error;
use super::exchange::RestOfRequest;
use super::outgoing::{Outgoing, SendError};
use crate::limits::UPSTREAM_WAITING_PIECES_MAX;
use crate::stream::BodyError;

/// A body that comes from the task.
#[derive(Debug)]
pub(in crate::upstream) struct ConversationBody {
    pieces: mpsc::Receiver<Piece>,
    size: SizeHint,
    is_over: bool,
}

#[derive(Debug)]
struct Piece {
    frame: Result<Frame<Bytes>, Http1Error>,
    /// What is to come behind it, as far as that is known.
    size: SizeHint,
    is_last: bool,
}

/// Both bodies.
struct Conversation {
    answer: Http1Body,
    /// What is to be sent, until it was or cannot be.
    outgoing: Option<Box<Outgoing>>,
    pieces: PollSender<Piece>,
}

impl ConversationBody {
    /// Drives both bodies from now on, and hands the connection to `keep` when both have ended, if it may be used again.
    pub(in crate::upstream) fn begin(
        answer: Http1Body,
        rest: RestOfRequest,
        keep: impl FnOnce(Box<Http1Connection>) + Send + 'static,
    ) -> Self {
        let (sender, pieces) = mpsc::channel(UPSTREAM_WAITING_PIECES_MAX);
        let (size, is_over) = (answer.size_hint(), answer.is_end_stream());
        let reader = sender.clone();
        let conversation = Conversation { answer, outgoing: Some(rest.0), pieces: PollSender::new(sender) };
        tokio::spawn(async move {
            if let Some(connection) = conversation.run(reader).await {
                keep(connection);
            }
        });
        Self { pieces, size, is_over }
    }

    pub(in crate::upstream) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Some(piece) = ready!(self.pieces.poll_recv(context)) else {
            self.is_over = true;
            return Poll::Ready(None);
        };
        (self.size, self.is_over) = (piece.size, piece.is_last);
        Poll::Ready(Some(piece.frame))
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.is_over
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Conversation {
    /// The connection, if both bodies have ended and it may be used again.
    async fn run(mut self, reader: mpsc::Sender<Piece>) -> Option<Box<Http1Connection>> {
        if !self.answer.is_end_stream() {
            let has_ended = tokio::select! {
                has_ended = poll_fn(|context| self.poll_answer(context)) => has_ended,
                // Who leaves in the middle of an answer takes the connection along.
                () = reader.closed() => false,
            };
            if !has_ended {
                return None;
            }
        }
        // The reader hears of the end, which may be known only now.
        let Self { mut answer, mut outgoing, pieces } = self;
        drop((reader, pieces));
        let is_sent = poll_fn(|context| poll_rest(&mut answer, &mut outgoing, context)).await;
        if is_sent { answer.take_connection() } else { None }
    }

    /// Whether the answer has come to its end. The request is sent on meanwhile.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if poll_send(&mut self.answer, &mut self.outgoing, context).is_err() {
            // Whoever reads learns of it when there is room; the service does now.
            self.answer.break_off();
        }
        loop {
            if ready!(self.pieces.poll_reserve(context)).is_err() {
                return Poll::Ready(false);
            }
            let frame = match ready!(self.answer.poll_frame(context)) {
                Some(frame) => frame,
                None if self.answer.is_end_stream() => return Poll::Ready(true),
                None => Err(Http1Error::RequestBrokenOff),
            };
            let is_broken_off = frame.is_err();
            if !self.hand_over(frame) || is_broken_off {
                return Poll::Ready(false);
            }
            if self.answer.is_end_stream() {
                return Poll::Ready(true);
            }
        }
    }

    /// False if nobody is there to take it.
    fn hand_over(&mut self, frame: Result<Frame<Bytes>, Http1Error>) -> bool {
        let is_last = frame.is_err() || self.answer.is_end_stream();
        let size = self.answer.size_hint();
        self.pieces.send_item(Piece { frame, size, is_last }).is_ok()
    }
}

/// Whether the rest of the request was sent when the answer has ended. Nothing comes by the connection meanwhile but its end.
fn poll_rest(
    answer: &mut Http1Body,
    outgoing: &mut Option<Box<Outgoing>>,
    context: &mut Context<'_>,
) -> Poll<bool> {
    if poll_send(answer, outgoing, context).is_err() {
        return Poll::Ready(false);
    }
    match answer.connection() {
        Some(connection) if outgoing.is_some() => connection.poll_fill(context).map(|_| false),
        connection => Poll::Ready(connection.is_some()),
    }
}

/// Sends on.
///
/// # Errors
/// If the request's body broke off. Nothing more may be sent then: an end would be taken for the body's own.
fn poll_send(
    answer: &mut Http1Body,
    outgoing: &mut Option<Box<Outgoing>>,
    context: &mut Context<'_>,
) -> Result<(), BodyError> {
    let (Some(connection), Some(sending)) = (answer.connection(), outgoing.as_mut()) else { return Ok(()) };
    let Poll::Ready(sent) = sending.poll_send(&mut connection.transport, context) else { return Ok(()) };
    *outgoing = None;
    match sent {
        Ok(()) => Ok(()),
        // The service takes no more of it, and answers all the same.
        Err(SendError::Connection(_)) => {
            answer.is_last();
            Ok(())
        }
        Err(SendError::Body(error)) => Err(error),
    }
}
