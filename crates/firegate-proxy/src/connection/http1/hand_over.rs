//! A request's body on its way from the connection to whoever asks for it: one piece at a time, and none that nobody asks for.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::connection::framing::Violation;

/// The body of a request over HTTP/1.
#[derive(Debug)]
pub(crate) struct RequestBody(Source);

#[derive(Debug)]
enum Source {
    /// All of it that is left.
    Here(Bytes),
    Coming {
        handed: Arc<HandOver>,
        /// How many bytes are to come, if that was said.
        left: Option<u64>,
        is_over: bool,
    },
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("{0}")]
    Malformed(#[from] Violation),
    #[error("the connection ended before the body")]
    Incomplete,
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// The connection's hand in it. When it is dropped before the end, the body is broken off.
#[derive(Debug)]
pub(super) struct Giver(Arc<HandOver>);

#[derive(Debug, Default)]
struct HandOver(Mutex<Handed>);

#[derive(Debug, Default)]
struct Handed {
    piece: Option<Bytes>,
    /// What comes behind that piece, and nothing comes behind this.
    end: Option<Result<Option<HeaderMap>, RequestBodyError>>,
    has_ended: bool,
    is_asked_for: bool,
    is_unwanted: bool,
    /// Whoever waits for the next piece, and for room for it.
    taker: Option<Waker>,
    giver: Option<Waker>,
}

/// A body that is still to come, of so many bytes if that was said.
pub(super) fn hand_over(length: Option<u64>) -> (Giver, RequestBody) {
    let handed = Arc::<HandOver>::default();
    let body = Source::Coming { handed: Arc::clone(&handed), left: length, is_over: false };
    (Giver(handed), RequestBody(body))
}

impl HandOver {
    fn lock(&self) -> MutexGuard<'_, Handed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is there, and wakes whoever waits for that.
    fn change(&self, change: impl FnOnce(&mut Handed) -> Option<Waker>) {
        let waker = change(&mut self.lock());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Giver {
    /// Waits until there is room for the next piece, and somebody has asked for one: `false` if nobody will any more.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<bool> {
        let mut handed = self.0.lock();
        if handed.is_unwanted {
            return Poll::Ready(false);
        }
        // Also for whoever has room, and waits for what to put there: the wish may be over before it comes.
        register(&mut handed.giver, context);
        if handed.is_asked_for && handed.piece.is_none() { Poll::Ready(true) } else { Poll::Pending }
    }

    /// Hands a piece over, for which there is room.
    pub(super) fn give(&self, piece: Bytes) {
        self.0.change(|handed| {
            handed.piece = Some(piece);
            handed.taker.take()
        });
    }

    /// Ends the body.
    pub(super) fn end(self, end: Result<Option<HeaderMap>, RequestBodyError>) {
        self.0.change(|handed| handed.end_with(end));
    }
}

impl Handed {
    fn end_with(&mut self, end: Result<Option<HeaderMap>, RequestBodyError>) -> Option<Waker> {
        if std::mem::replace(&mut self.has_ended, true) {
            return None;
        }
        self.end = Some(end);
        self.taker.take()
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.0.change(|handed| handed.end_with(Err(RequestBodyError::Incomplete)));
    }
}

impl RequestBody {
    /// A body that has come with its head.
    pub(super) fn here(bytes: Bytes) -> Self {
        Self(Source::Here(bytes))
    }

    /// Whether the connection still waits for it.
    pub(crate) fn is_coming(&self) -> bool {
        matches!(self.0, Source::Coming { is_over: false, .. })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let (handed, left, is_over) = match &mut self.0 {
            Source::Here(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            Source::Coming { handed, left, is_over } => (handed, left, is_over),
        };
        if *is_over {
            return Poll::Ready(None);
        }
        let mut has_room = None;
        let polled = handed.lock().poll_take(context, &mut has_room);
        if let Some(giver) = has_room {
            giver.wake();
        }
        match &polled {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                *left = left.map(|left| left.saturating_sub(length));
            }
            Poll::Ready(_) => *is_over = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Here(bytes) => bytes.is_empty(),
            Source::Coming { left, is_over, .. } => *is_over || *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Here(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Coming { left: Some(left), .. } => SizeHint::with_exact(*left),
            Source::Coming { left: None, .. } => SizeHint::default(),
        }
    }
}

impl Handed {
    /// Takes the next piece, or the end, or waits for it. `has_room` gets who is to be told that there is room for another.
    fn poll_take(
        &mut self,
        context: &Context<'_>,
        has_room: &mut Option<Waker>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if let Some(piece) = self.piece.take() {
            *has_room = self.giver.take();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.has_ended {
            let end = self.end.take().unwrap_or(Ok(None));
            return Poll::Ready(end.map(|trailers| trailers.map(Frame::trailers)).transpose());
        }
        register(&mut self.taker, context);
        // Asked once, it goes on.
        if !std::mem::replace(&mut self.is_asked_for, true) {
            *has_room = self.giver.take();
        }
        Poll::Pending
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Source::Coming { handed, .. } = &self.0 {
            handed.change(|handed| {
                handed.is_unwanted = true;
                handed.piece = None;
                handed.giver.take()
            });
        }
    }
}

fn register(waiting: &mut Option<Waker>, context: &Context<'_>) {
    match waiting {
        Some(waiting) => waiting.clone_from(context.waker()),
        None => *waiting = Some(context.waker().clone()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::task::noop_waker_ref;
    use http_body_util::BodyExt as _;

    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(noop_waker_ref())
    }

    #[test]
    fn nothing_is_handed_over_that_nobody_asks_for() {
        let (giver, mut body) = hand_over(Some(5));
        assert!(giver.poll_room(&context()).is_pending());
        assert!(body.frame().now_or_never().is_none());
        assert_eq!(giver.poll_room(&context()), Poll::Ready(true));
        giver.give(Bytes::from_static(b"abc"));
        assert!(giver.poll_room(&context()).is_pending(), "one piece at a time");
        let frame = body.frame().now_or_never().flatten().expect("a frame").expect("no error");
        assert_eq!((frame.into_data().expect("data"), body.size_hint().exact()), ("abc".into(), Some(2)));
        giver.give(Bytes::from_static(b"de"));
        giver.end(Ok(None));
        body.frame().now_or_never().flatten().expect("a frame").expect("no error");
        assert!(body.is_end_stream());
        assert!(body.frame().now_or_never().expect("an end").is_none());
    }

    #[test]
    fn a_body_that_is_not_wanted_any_more_is_not_waited_for_and_one_that_breaks_off_is_none() {
        let (giver, body) = hand_over(None);
        drop(body);
        assert_eq!(giver.poll_room(&context()), Poll::Ready(false));
        let (giver, mut body) = hand_over(None);
        giver.give(Bytes::from_static(b"abc"));
        drop(giver);
        body.frame().now_or_never().flatten().expect("a frame").expect("what came before");
        let end = body.frame().now_or_never().expect("an end");
        assert!(matches!(end, Some(Err(RequestBodyError::Incomplete))), "{end:?}");
        assert!(body.frame().now_or_never().expect("an end").is_none() && body.is_end_stream());
    }
}
