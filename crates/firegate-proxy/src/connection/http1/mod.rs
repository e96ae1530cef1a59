//! A connection over HTTP/1 (RFC 9112) from its first request to its end: one task reads a head, has the door answer it, hands
//! over its body as that is asked for, and writes the answer. While nobody uses a connection it has no buffer.
//!
//! [`input`] is what comes, and [`hand_over`] its bodies' way to whoever asks for them; [`answer`] is how an answer is written;
//! [`leave`] ends a connection whose client may still be sending. What is the same towards services is in [`crate::http1`].

mod answer;
mod breakable;
mod date;
mod hand_over;
mod input;
mod leave;
mod request;
#[cfg(test)]
pub(crate) mod tests;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use firegate_core::time::Clock;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use self::answer::{Asked, Framing, Headed, write_head};
use self::breakable::Breakable;
pub(crate) use self::hand_over::{RequestBody, RequestBodyError};
use self::input::{Begun, Input};
use self::leave::leave;
use super::drain::Drain;
use super::resettable::Resettable;
use super::serve::finish;
use crate::http1::Output;
use crate::limits::HTTP1_PIECE_BYTES;
use crate::stream::{ClientConnection, ClientUpgrade, ConnectionEnd, Rewound, SignsOfUse, SwitchedStream};

/// What a connection is served with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served<'a> {
    pub(super) watch: &'a ClientConnection,
    pub(super) drain: &'a Drain,
    pub(super) clock: &'a dyn Clock,
}

/// What answers the requests of a connection.
pub(super) trait Answer {
    /// The bodies of its answers.
    type Body;

    /// Answers a request, and a client that asks to switch by taking over its connection.
    fn answer(
        &self,
        request: Request<RequestBody>,
        upgrade: Option<ClientUpgrade>,
    ) -> BoxFuture<'static, Response<Self::Body>>;
}

/// Serves a connection that begins with `bytes`: each of its requests is answered by `answer`.
///
/// # Errors
/// If its client left in the middle of something.
pub(super) async fn serve<S, H, B>(bytes: Vec<u8>, stream: S, answer: H, served: Served<'_>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
    H: Answer<Body = B> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    let Served { watch, drain, .. } = served;
    watch.end_without(SignsOfUse::Bytes);
    let mut connection = Connection {
        stream: Breakable::new(stream),
        input: Input::new(&bytes),
        output: Output::new(HTTP1_PIECE_BYTES),
        state: State::Idle,
        answer,
        served,
        is_fresh: false,
        takes_no_more: false,
    };
    // Cut, it is given up as it is.
    let Some(end) = use_it(&mut connection, watch, drain).await else { return Ok(()) };
    // Whoever still reads a body hears that there is no more of it.
    drop(std::mem::take(&mut connection.input));
    if matches!(end, End::BrokenOff) && connection.stream.ends_with_answer() {
        return Ok(());
    }
    let Some(stream) = connection.stream.stream() else { return Ok(()) };
    match end {
        End::Over => finish(pin!(stream.shutdown()), watch).await.map(drop),
        // A client of HTTP/1.1 sees by its framing that what is broken off is no whole answer. Those before it are.
        End::LeftUnread | End::BrokenOff => finish(pin!(leave(stream)), watch).await,
        End::Switched => None,
        End::Left(error) => return Err(error),
    };
    Ok(())
}

/// Serves the connection until it ends, or is cut; no more requests from when nobody uses it.
async fn use_it<S, H, B>(
    connection: &mut Connection<'_, S, H, B>,
    watch: &ClientConnection,
    drain: &Drain,
) -> Option<End>
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
    H: Answer<Body = B> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    let mut ending = pin!(watch.end());
    let mut idle_over = pin!(drain.idle_over().cancelled());
    let mut is_told = false;
    let end = poll_fn(|context| {
        if let Poll::Ready(end) = Pin::new(&mut *connection).poll(context) {
            return Poll::Ready(Some(Some(end)));
        }
        match ending.as_mut().poll(context) {
            Poll::Ready(ConnectionEnd::Cut) => return Poll::Ready(Some(None)),
            Poll::Ready(ConnectionEnd::Unused) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        // Asked once, the token wakes this task, whatever it is at then.
        if !std::mem::replace(&mut is_told, true) {
            return idle_over.as_mut().poll(context).map(|()| None);
        }
        // Who is busy asks when that is over.
        if connection.is_idle() && drain.is_idle_over() { Poll::Ready(None) } else { Poll::Pending }
    });
    if let Some(end) = end.await {
        return end;
    }
    connection.takes_no_more = true;
    finish(Pin::new(connection), watch).await
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// Between two requests.
    Over,
    /// The same, and its client may still be sending.
    LeftUnread,
    /// In the middle of an answer.
    BrokenOff,
    /// It is somebody else's now.
    Switched,
    /// By its client, in the middle of something.
    Left(io::Error),
}

/// A connection that is being served.
struct Connection<'a, S: Resettable, H, B> {
    stream: Breakable<S>,
    input: Input,
    output: Output,
    state: State<B>,
    answer: H,
    served: Served<'a>,
    /// The request has just begun.
    is_fresh: bool,
    /// No other request is wanted of it.
    takes_no_more: bool,
}

enum State<B> {
    /// No request is under way.
    Idle,
    // Boxed: while a connection is idle there is no room for it.
    Answering(Asked, BoxFuture<'static, Response<B>>, Option<oneshot::Sender<SwitchedStream>>),
    Writing(Writing<B>),
    /// The answer is written, and the request's body may still be coming.
    Answered {
        is_last: bool,
        was_asked_to_switch: bool,
    },
}

/// An answer that is being written.
struct Writing<B> {
    /// Until it is over.
    body: Option<B>,
    headed: Headed,
    is_broken_off: bool,
    was_asked_to_switch: bool,
    /// Who gets the connection when the answer is written.
    switch: Option<oneshot::Sender<SwitchedStream>>,
}

impl<S, H, B> Future for Connection<'_, S, H, B>
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
    H: Answer<Body = B> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End> {
        let this = &mut *self;
        loop {
            let end = match this.state {
                State::Idle => ready!(this.poll_idle(context)),
                State::Answering(..) => ready!(this.poll_answering(context)),
                State::Writing(_) => ready!(this.poll_writing(context)),
                State::Answered { is_last, was_asked_to_switch } => {
                    ready!(this.poll_answered(context, is_last, was_asked_to_switch))
                }
            };
            if let Some(end) = end {
                return Poll::Ready(end);
            }
        }
    }
}

/// What is found where a stream was handed over.
fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S, H, B> Connection<'_, S, H, B>
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send + 'static,
    H: Answer<Body = B> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<Option<End>> {
        if self.takes_no_more && self.input.is_empty() {
            return Poll::Ready(Some(End::Over));
        }
        let Some(stream) = self.stream.stream() else { return Poll::Ready(Some(End::Left(gone()))) };
        Poll::Ready(match ready!(self.input.poll_next(context, stream)) {
            Ok(Some(begun)) => {
                self.begin(begun);
                None
            }
            Ok(None) => Some(End::Over),
            Err(error) => Some(End::Left(error)),
        })
    }

    fn begin(&mut self, begun: Begun) {
        let Begun { request, hop, asks_to_switch } = begun;
        let (version, is_head) = (request.version(), *request.method() == Method::HEAD);
        self.stream.set_ends_with_answer(version == Version::HTTP_10);
        let (switch, switched) = asks_to_switch.then(oneshot::channel).unzip();
        let answer = self.answer.answer(request, switched.map(ClientUpgrade::Http1));
        self.is_fresh = true;
        self.state = State::Answering(Asked { version, is_head, hop }, answer, switch);
    }

    fn poll_answering(&mut self, context: &mut Context<'_>) -> Poll<Option<End>> {
        // Nobody is asked for the sake of a client that has left already. Later on it is the answer that is looked for first.
        let is_fresh = std::mem::take(&mut self.is_fresh);
        if is_fresh && let Poll::Ready(end) = self.poll_meanwhile(context) {
            return Poll::Ready(end);
        }
        let State::Answering(asked, answer, switch) = &mut self.state else { return Poll::Ready(None) };
        if let Poll::Ready(answered) = answer.as_mut().poll(context) {
            let (asked, switch) = (*asked, switch.take());
            self.begin_writing(answered, asked, switch);
            return Poll::Ready(None);
        }
        if is_fresh { Poll::Pending } else { self.poll_meanwhile(context) }
    }

    /// What is done while an answer is waited for, or for room to write it: the request's body is read on, and its client
    /// looked after.
    fn poll_meanwhile(&mut self, context: &mut Context<'_>) -> Poll<Option<End>> {
        let Some(stream) = self.stream.stream() else { return Poll::Ready(Some(End::Left(gone()))) };
        let is_answering = matches!(self.state, State::Answering(..));
        let output = is_answering.then_some(&mut self.output);
        if let Poll::Ready(error) = self.input.poll_meanwhile(context, stream, output) {
            return Poll::Ready(Some(End::Left(error)));
        }
        if is_answering && let Poll::Ready(Err(error)) = self.output.poll_drain(context, stream) {
            return Poll::Ready(Some(End::Left(error)));
        }
        Poll::Pending
    }

    fn begin_writing(
        &mut self,
        answered: Response<B>,
        asked: Asked,
        switch: Option<oneshot::Sender<SwitchedStream>>,
    ) {
        let was_asked_to_switch = switch.is_some();
        let (mut parts, body) = answered.into_parts();
        let is_switched = parts.status == StatusCode::SWITCHING_PROTOCOLS && was_asked_to_switch;
        let mut body = Some(body).filter(|body| !body.is_end_stream() && !is_switched);
        if parts.status.is_informational() && !is_switched {
            // It would be taken for no answer at all.
            parts.status = StatusCode::INTERNAL_SERVER_ERROR;
            body = None;
        }
        let is_last = self.takes_no_more || self.served.drain.has_begun() || self.input.is_over();
        let (length, now) = (body.as_ref().map(Body::size_hint), self.served.clock.now());
        let headed = write_head(&parts, length, asked, is_last, now, &mut self.output);
        let body = body.filter(|_| headed.framing != Framing::Absent);
        let switch = switch.filter(|_| is_switched);
        let writing = Writing { body, headed, is_broken_off: false, was_asked_to_switch, switch };
        self.state = State::Writing(writing);
    }

    fn poll_writing(&mut self, context: &mut Context<'_>) -> Poll<Option<End>> {
        let State::Writing(writing) = &mut self.state else { return Poll::Ready(None) };
        let Some(stream) = self.stream.stream() else { return Poll::Ready(Some(End::Left(gone()))) };
        loop {
            let gathered = writing.poll_gather(context, &mut self.output);
            match self.output.poll_drain(context, stream) {
                Poll::Ready(Ok(())) if writing.is_broken_off => return Poll::Ready(Some(End::BrokenOff)),
                Poll::Ready(Ok(())) if writing.body.is_none() => break,
                Poll::Ready(Ok(())) if gathered.is_ready() => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(End::Left(error))),
                _ => return self.poll_meanwhile(context),
            }
        }
        if let Some(switch) = writing.switch.take() {
            return Poll::Ready(Some(self.switch(switch)));
        }
        self.stream.set_ends_with_answer(false);
        let (is_last, was_asked_to_switch) = (writing.headed.is_last, writing.was_asked_to_switch);
        self.state = State::Answered { is_last, was_asked_to_switch };
        Poll::Ready(None)
    }

    /// Hands the connection over, with what has come behind the request.
    fn switch(&mut self, switch: oneshot::Sender<SwitchedStream>) -> End {
        let Some(stream) = self.stream.take() else { return End::Left(gone()) };
        let rest = std::mem::take(&mut self.input).into_rest();
        // If nobody takes it any more it is closed.
        let _ = switch.send(Box::new(Rewound::new(rest, stream)));
        End::Switched
    }

    fn poll_answered(
        &mut self,
        context: &mut Context<'_>,
        is_last: bool,
        was_asked_to_switch: bool,
    ) -> Poll<Option<End>> {
        let Some(stream) = self.stream.stream() else { return Poll::Ready(Some(End::Left(gone()))) };
        ready!(self.input.poll_body(context, stream, None));
        self.input.finish();
        if is_last || self.takes_no_more || self.input.is_over() {
            let is_left_unread = was_asked_to_switch || self.input.is_left_unread();
            return Poll::Ready(Some(if is_left_unread { End::LeftUnread } else { End::Over }));
        }
        self.state = State::Idle;
        Poll::Ready(None)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Writing<B> {
    /// Gathers what there is of the body to be written. Pending: there is no more of it at the moment.
    fn poll_gather(&mut self, context: &mut Context<'_>, output: &mut Output) -> Poll<()> {
        while output.has_room()
            && let Some(body) = &mut self.body
        {
            let mut trailers = None;
            if !body.is_end_stream() {
                match ready!(Pin::new(body).poll_frame(context)) {
                    None => {}
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(piece) => {
                            self.headed.framing.put(piece, output);
                            continue;
                        }
                        Err(frame) => trailers = frame.into_trailers().ok(),
                    },
                    Some(Err(_)) => {
                        // Nothing says of one that breaks off that it is over.
                        (self.body, self.is_broken_off) = (None, true);
                        break;
                    }
                }
            }
            self.body = None;
            self.is_broken_off = !self.headed.framing.end(trailers.as_ref(), output);
        }
        Poll::Ready(())
    }
}
