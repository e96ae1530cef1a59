//! Bodies on their way through: streamed, never buffered, and ended when their bound, their idle time or their user's
//! lease is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep};

/// A body that is streamed.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body ended before its end. The connection is then broken off, so that nobody takes it for the whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("no more of the body came in time")]
    Idle,
    #[error("the user's token expired")]
    LeaseOver,
    #[error("the body is too large")]
    TooLarge,
    #[error("the other side broke off: {0}")]
    Transport(#[from] hyper::Error),
}

/// What a body is ended by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    /// The most bytes it may have.
    pub(crate) bytes_max: Option<u64>,
    /// The longest time between two pieces.
    pub(crate) idle: Option<Duration>,
    /// When it ends in any case.
    pub(crate) until: Option<Instant>,
}

/// A body within its bounds.
pub(crate) struct BoundedBody<B> {
    inner: B,
    bytes_left: Option<u64>,
    exceeded: Arc<AtomicBool>,
    moved: Arc<AtomicBool>,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    until: Option<Pin<Box<Sleep>>>,
}

impl<B> BoundedBody<B> {
    /// Bounds a body. `exceeded` is raised when it turns out to be too large, `moved` whenever a piece goes through.
    pub(crate) fn new(inner: B, bounds: Bounds, exceeded: Arc<AtomicBool>, moved: Arc<AtomicBool>) -> Self {
        Self {
            inner,
            bytes_left: bounds.bytes_max,
            exceeded,
            moved,
            idle: bounds.idle.map(|idle| (idle, Box::pin(tokio::time::sleep(idle)))),
            until: bounds.until.map(|until| Box::pin(tokio::time::sleep_until(until))),
        }
    }
}

impl<B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin> HttpBody for BoundedBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(until) = &mut this.until
            && until.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(BodyError::LeaseOver)));
        }
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        if polled.is_pending() {
            if let Some((_, sleep)) = &mut this.idle {
                ready!(sleep.as_mut().poll(context));
                return Poll::Ready(Some(Err(BodyError::Idle)));
            }
            return Poll::Pending;
        }
        if let Some((idle, sleep)) = &mut this.idle {
            sleep.as_mut().reset(Instant::now() + *idle);
        }
        this.moved.store(true, Ordering::Relaxed);
        let frame = match ready!(polled) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        if let (Some(left), Some(data)) = (&mut this.bytes_left, frame.data_ref()) {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    this.exceeded.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                }
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
