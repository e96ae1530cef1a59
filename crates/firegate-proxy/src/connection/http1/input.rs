//! What a client sends, read only as far as somebody wants it: the head of the next request when the one before is over, a body
//! as it is asked for, and ahead of both no more than shows that the client is still there.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderValue, Request, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::time::Sleep;

use super::hand_over::{Giver, RequestBody, RequestBodyError, hand_over};
use super::request::{request, unread};
use crate::connection::framing::{Body, Hop, Scanner, Step, Then, Violation, WholeHead};
use crate::http1::{Output, read_trailers};
use crate::limits::{
    HTTP1_FIRST_READ_BYTES, HTTP1_PIECE_BYTES, HTTP1_READ_BUFFER_BYTES_MAX, REQUEST_HEAD_TIMEOUT,
};

/// What a client is told that waits for a word before it sends a body (RFC 9110, section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a client sends, and how far it is read.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// What was read and has not gone on. Nothing of it does that the scanner has not passed.
    buffer: BytesMut,
    scanner: Scanner,
    /// Runs while a head is begun and not whole.
    head_deadline: Option<Pin<Box<Sleep>>>,
    /// The body that is coming.
    body: Option<Giver>,
    /// How much of it is read at once: more where as much as that is always there.
    piece_bytes: usize,
    /// The client sends the body when it is told to.
    awaits_continue: bool,
    end: Option<InputEnd>,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputEnd {
    /// What came has no meaning, nor has what follows it.
    Violated,
    /// The client has ended it, or its connection is broken.
    Left,
    /// Nobody wants the rest of a body.
    Unwanted,
}

/// A request that begins.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) request: Request<RequestBody>,
    pub(super) hop: Hop,
    /// What follows it may belong to another protocol.
    pub(super) asks_to_switch: bool,
}

impl Input {
    /// What a connection begins with.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { buffer: BytesMut::from(bytes), ..Self::default() }
    }

    /// Whether there is nothing of a next request.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether no other request can follow.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the client may be sending what nobody reads.
    pub(super) fn is_left_unread(&self) -> bool {
        match self.end {
            None => !self.buffer.is_empty(),
            Some(end) => end == InputEnd::Violated,
        }
    }

    /// What was read and belongs to whoever the connection is handed to.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.buffer.into()
    }

    /// The request is over, and did not switch: what follows is the next one.
    pub(super) fn finish(&mut self) {
        self.scanner.resume();
        if self.buffer.is_empty() {
            // The memory goes back: a connection may be idle for long.
            self.buffer = BytesMut::new();
        }
    }

    /// Waits for the next request. A head that is refused becomes one that the door answers. `None`: there is none.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<Option<Begun>>> {
        loop {
            if !self.buffer.is_empty() {
                match self.scanner.step(&self.buffer) {
                    Step::Head(head) => return Poll::Ready(Ok(Some(self.begin(&head)))),
                    Step::Then(Then::Refuse(violation)) => {
                        return Poll::Ready(Ok(Some(self.refuse(violation))));
                    }
                    // It is a head, so that nothing else is found in it.
                    _ => {}
                }
            }
            match self.poll_fill(context, stream, HTTP1_PIECE_BYTES) {
                Poll::Pending if self.is_head_late(context) => {
                    return Poll::Ready(Ok(Some(self.refuse(Violation::HeadTimedOut))));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    self.end = Some(InputEnd::Left);
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(read) => read?,
            };
        }
    }

    /// While a request is answered: reads its body on as far as that is asked for, and ready when the client has left. Whoever
    /// has not begun to answer gives the `output`, for a client that waits to be told to send the body.
    pub(super) fn poll_meanwhile(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        output: Option<&mut Output>,
    ) -> Poll<io::Error> {
        ready!(self.poll_body(context, stream, output));
        if self.end.is_some() {
            // The door hears of it by the body, and answers all the same.
            return Poll::Pending;
        }
        // A client that has left is noticed while the next requests of one that has not have room.
        while self.buffer.len() < HTTP1_READ_BUFFER_BYTES_MAX {
            let room = HTTP1_READ_BUFFER_BYTES_MAX - self.buffer.len();
            match ready!(self.poll_fill(context, stream, room.min(HTTP1_PIECE_BYTES))) {
                Ok(1..) => {}
                // Who says nothing more after several requests waits for the answers to those before the last one.
                Ok(0) if !self.buffer.is_empty() && self.scanner.awaits_head() => return Poll::Pending,
                read => {
                    self.end = Some(InputEnd::Left);
                    return Poll::Ready(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
        Poll::Pending
    }

    /// Reads the body on as far as it is asked for. Ready when it is over, well or not, or there is none.
    pub(super) fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        mut output: Option<&mut Output>,
    ) -> Poll<()> {
        loop {
            let Some(body) = &self.body else { return Poll::Ready(()) };
            // What stands between its pieces, or ends it, needs no room.
            if self.scanner.awaits_data() || self.buffer.is_empty() && !self.scanner.is_at_end() {
                if !ready!(body.poll_room(context)) {
                    self.end_body(InputEnd::Unwanted, RequestBodyError::Incomplete);
                    return Poll::Ready(());
                }
                if let Some(output) = output.as_deref_mut().filter(|_| self.awaits_continue) {
                    output.gathered().extend_from_slice(CONTINUE);
                }
                self.awaits_continue = false;
            }
            match self.scanner.step(&self.buffer) {
                Step::Data(length) => {
                    let piece = self.buffer.split_to(length).freeze();
                    body.give(piece);
                }
                Step::Framing(length) => self.buffer.advance(length),
                Step::End(length, lines) => {
                    self.buffer.advance(length);
                    if let Some(body) = self.body.take() {
                        body.end(Ok(read_trailers(lines)));
                    }
                }
                Step::Then(Then::Break(violation)) => {
                    self.end_body(InputEnd::Violated, violation.into());
                }
                Step::Head(_) | Step::Then(_) => {
                    let room = self.piece_bytes.max(HTTP1_PIECE_BYTES);
                    match ready!(self.poll_fill(context, stream, room)) {
                        Ok(read @ 1..) => {
                            let next = if read == room { 2 * room } else { HTTP1_PIECE_BYTES };
                            self.piece_bytes = next.min(HTTP1_READ_BUFFER_BYTES_MAX);
                        }
                        Ok(0) => self.end_body(InputEnd::Left, RequestBodyError::Incomplete),
                        Err(error) => self.end_body(InputEnd::Left, error.into()),
                    }
                }
            }
        }
    }

    fn end_body(&mut self, end: InputEnd, error: RequestBodyError) {
        self.end = Some(end);
        self.buffer = BytesMut::new();
        if let Some(body) = self.body.take() {
            body.end(Err(error));
        }
    }

    /// Begins the request of a whole head.
    fn begin(&mut self, head: &WholeHead) -> Begun {
        self.head_deadline = None;
        let bytes = self.buffer.split_to(head.length).freeze();
        let body = self.begin_body(head);
        match request(head, &bytes, body) {
            Ok(request) => Begun { request, hop: head.hop, asks_to_switch: head.body == Body::Switch },
            Err(violation) => self.refuse(violation),
        }
    }

    fn begin_body(&mut self, head: &WholeHead) -> RequestBody {
        let length = match head.body {
            Body::None | Body::Switch => return RequestBody::here(Bytes::new()),
            Body::Length(length) => Some(length),
            Body::Chunked => None,
        };
        if length.is_some_and(|length| self.buffer.len() as u64 >= length)
            && let Step::Data(length) = self.scanner.step(&self.buffer)
        {
            // It has come with its head. That it ends there is the scanner's next step.
            let body = self.buffer.split_to(length).freeze();
            self.scanner.step(&self.buffer);
            return RequestBody::here(body);
        }
        self.awaits_continue = head.hop.expects_continue && head.request_line.version == Version::HTTP_11;
        let (giver, body) = hand_over(length);
        self.body = Some(giver);
        body
    }

    /// Gives the request that stands for a refused head.
    fn refuse(&mut self, violation: Violation) -> Begun {
        let origin = self.scanner.origin().and_then(|place| self.buffer.get(place)).map(<[u8]>::trim_ascii);
        let origin = origin.and_then(|origin| HeaderValue::from_bytes(origin).ok());
        self.head_deadline = None;
        self.end = Some(InputEnd::Violated);
        (self.buffer, self.body) = (BytesMut::new(), None);
        let request = unread(violation, origin, RequestBody::here(Bytes::new()));
        Begun { request, hop: Hop::default(), asks_to_switch: false }
    }

    /// Whether a head is begun and its time over.
    fn is_head_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        let deadline =
            self.head_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(REQUEST_HEAD_TIMEOUT)));
        deadline.as_mut().poll(context).is_ready()
    }

    /// Reads what comes next behind what is there: by a buffer that is there only while something comes, if nothing is.
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        bytes_max: usize,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() && self.body.is_none() {
            let mut room = [MaybeUninit::uninit(); HTTP1_FIRST_READ_BYTES];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(stream).poll_read(context, &mut read))?;
            self.buffer = BytesMut::from(read.filled());
            return Poll::Ready(Ok(read.filled().len()));
        }
        self.buffer.reserve(bytes_max);
        pin!(stream.take(bytes_max as u64).read_buf(&mut self.buffer)).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// Of many idle connections each would keep it.
    #[tokio::test]
    async fn there_is_no_buffer_while_nothing_is_under_way() {
        let mut context = Context::from_waker(noop_waker_ref());
        let (mut client, mut stream) = duplex(64 * 1024);
        let mut input = Input::new(b"GET / HT");
        client.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").await.expect("room");
        for _ in 0..2 {
            let begun = input.poll_next(&mut context, &mut stream);
            assert!(matches!(begun, Poll::Ready(Ok(Some(_)))));
            assert!(input.poll_meanwhile(&mut context, &mut stream, None).is_pending());
            input.finish();
            assert!(input.poll_next(&mut context, &mut stream).is_pending());
            assert_eq!((input.buffer.capacity(), input.head_deadline.is_none()), (0, true));
            client.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.expect("room");
        }
    }
}
