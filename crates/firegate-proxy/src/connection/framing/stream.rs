//! A client's connection of which hyper reads nothing but whole, clean heads and the bodies that they announce.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::Sleep;

use super::scanner::{Scan, Scanner, Then};
use super::signals::{Signals, UNREAD_HEAD};
use super::violation::Violation;
use crate::limits::{HTTP1_READ_BUFFER_BYTES_MAX, REQUEST_HEAD_TIMEOUT, UNWANTED_BODY_TIMEOUT};

/// How much is read at once of what nobody wants yet, or any more.
const UNWANTED_PIECE_BYTES: usize = 4 * 1024;

/// A connection with the scanner around it.
#[derive(Debug)]
pub(crate) struct FramedStream<S> {
    stream: S,
    scanner: Scanner,
    signals: Arc<Signals>,
    state: State,
    /// What was read and may not go on yet, or had no room. Most connections never need it: a head comes in one piece.
    held: Held,
    /// Runs while a head is begun and not whole.
    head_deadline: Option<Pin<Box<Sleep>>>,
    /// Runs while a client that was refused may still be sending.
    lingering: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    AwaitingSwitch,
    Switched,
    /// The request that stands for the refused head was the last one.
    Refused,
    /// The body cannot be read any further.
    Broken(Violation),
}

/// Bytes that are kept, of which the first ones may go on.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    taken: usize,
    clean: usize,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Hands on what may go on. Returns whether there was anything.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let ready = self.bytes.get(self.taken..self.clean).unwrap_or_default();
        let count = ready.len().min(buffer.remaining());
        buffer.put_slice(ready.get(..count).unwrap_or_default());
        self.taken += count;
        if self.taken == self.bytes.len() {
            // The memory goes back: a connection may be idle for long.
            *self = Self::default();
        }
        count > 0
    }

    /// What may not go on yet.
    fn unclean(&mut self) -> &[u8] {
        self.bytes.drain(..self.taken);
        self.clean -= self.taken;
        self.taken = 0;
        self.bytes.get(self.clean..).unwrap_or_default()
    }
}

impl<S> FramedStream<S> {
    /// Puts a scanner around a connection whose next byte is a request's first.
    pub(crate) fn new(stream: S, signals: Arc<Signals>) -> Self {
        Self {
            stream,
            scanner: Scanner::default(),
            signals,
            state: State::Reading,
            held: Held::default(),
            head_deadline: None,
            lingering: None,
        }
    }

    /// Scans what was just read into the buffer, behind `start`, and leaves in it what may go on.
    fn scan_in_place(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        let read = buffer.filled().get(start..).unwrap_or_default();
        let Scan { clean, then } = self.scanner.scan(read);
        let rest = read.get(clean..).unwrap_or_default();
        if !rest.is_empty() {
            self.held.bytes.extend_from_slice(rest);
            buffer.set_filled(start + clean);
        }
        self.go_on(then);
    }

    /// Scans what is held, and what came behind it.
    fn scan_held(&mut self) {
        let Scan { clean, then } = self.scanner.scan(self.held.unclean());
        self.held.clean += clean;
        if clean > 0 {
            // What is left is another head's beginning.
            self.head_deadline = None;
        }
        self.go_on(then);
    }

    fn go_on(&mut self, then: Then) {
        match then {
            Then::More => {}
            Then::AwaitSwitch => {
                self.signals.ask();
                self.state = State::AwaitingSwitch;
            }
            Then::Refuse(violation) => self.refuse(violation),
            Then::Break(violation) => self.state = State::Broken(violation),
        }
        if self.held.bytes.len() == self.held.clean {
            self.head_deadline = None;
        }
    }

    /// Puts the request that stands for a refused head into the place of that head.
    fn refuse(&mut self, violation: Violation) {
        let head = self.held.bytes.get(self.held.clean..).unwrap_or_default();
        let origin = self.scanner.origin().and_then(|place| head.get(place)).map(<[u8]>::trim_ascii);
        self.signals.refuse(violation, origin.and_then(|origin| HeaderValue::from_bytes(origin).ok()));
        self.held.bytes.truncate(self.held.clean);
        self.held.bytes.extend_from_slice(UNREAD_HEAD);
        self.held.clean = self.held.bytes.len();
        self.state = State::Refused;
    }

    /// Whether a head is begun and its time over.
    fn is_head_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let deadline =
            self.head_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(REQUEST_HEAD_TIMEOUT)));
        deadline.as_mut().poll(context).is_ready()
    }
}

impl<S: AsyncRead + Unpin> FramedStream<S> {
    /// Reads what comes next, and scans it. `false`: it has ended.
    fn poll_next(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let start = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending if self.is_head_late(context) => {
                self.refuse(Violation::HeadTimedOut);
                return Poll::Ready(Ok(true));
            }
            Poll::Pending => {
                self.signals.set_between_requests(self.held.is_empty() && self.scanner.awaits_head());
                return Poll::Pending;
            }
            Poll::Ready(read) => read?,
        }
        self.signals.set_between_requests(false);
        if buffer.filled().len() == start {
            return Poll::Ready(Ok(false));
        }
        if self.held.is_empty() {
            self.scan_in_place(buffer, start);
        } else {
            self.held.bytes.extend_from_slice(buffer.filled().get(start..).unwrap_or_default());
            buffer.set_filled(start);
            self.scan_held();
        }
        Poll::Ready(Ok(true))
    }

    /// Reads what follows a request to switch, as far as hyper would read ahead: only to notice when its client leaves, for
    /// nothing of it goes on before the answer. Ready when it has left.
    fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; UNWANTED_PIECE_BYTES];
        loop {
            let room = HTTP1_READ_BUFFER_BYTES_MAX.saturating_sub(self.held.bytes.len());
            if room == 0 {
                // The answer wakes.
                return Poll::Pending;
            }
            let mut buffer =
                ReadBuf::new(piece.get_mut(..room.min(UNWANTED_PIECE_BYTES)).unwrap_or_default());
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.held.bytes.extend_from_slice(buffer.filled());
        }
    }

    /// Reads and throws away what a refused client still sends, for a while. Closed over unread bytes, the connection would be
    /// reset, and the answer could be lost on the way.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let over = self.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(UNWANTED_BODY_TIMEOUT)));
        if over.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        poll_discard(Pin::new(&mut self.stream), context)
    }
}

/// Reads and throws away what a client still sends, to its end.
fn poll_discard<S: AsyncRead>(mut stream: Pin<&mut S>, context: &mut Context<'_>) -> Poll<()> {
    let mut piece = [0; UNWANTED_PIECE_BYTES];
    loop {
        let mut buffer = ReadBuf::new(&mut piece);
        match ready!(stream.as_mut().poll_read(context, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
}

/// Ends a connection whose client may still be sending, so that nothing of what it was sent is lost.
pub(in crate::connection) async fn leave<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let leaving = async {
        stream.shutdown().await?;
        poll_fn(|context| poll_discard(Pin::new(&mut *stream), context)).await;
        io::Result::Ok(())
    };
    // What cannot be ended well is ended all the same.
    let _ = tokio::time::timeout(UNWANTED_BODY_TIMEOUT, leaving).await;
}

impl<S: AsyncRead + Unpin> AsyncRead for FramedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = buffer.filled().len();
        loop {
            if this.held.hand_on(buffer) || buffer.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
            match this.state {
                State::Reading => {
                    if !ready!(this.poll_next(context, buffer))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                State::AwaitingSwitch => match this.signals.poll_switched(context) {
                    Poll::Ready(true) => {
                        this.held.clean = this.held.bytes.len();
                        this.state = State::Switched;
                    }
                    Poll::Ready(false) => {
                        this.scanner.resume();
                        this.state = State::Reading;
                        this.scan_held();
                    }
                    Poll::Pending => return this.poll_left(context),
                },
                State::Switched => return Pin::new(&mut this.stream).poll_read(context, buffer),
                // Not the end: hyper takes that for a client who does not wait for the answer.
                State::Refused => return Poll::Pending,
                State::Broken(violation) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FramedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.signals.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if matches!(self.state, State::Refused | State::Broken(_)) {
            ready!(self.poll_linger(context));
        }
        self.signals.shut_down();
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
