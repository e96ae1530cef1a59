//! Bodies on their way through: streamed, never buffered, and ended when their bound, their idle time or their user's
//! lease is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use firegate_core::headers::{is_look_alike, is_protected};
use http::HeaderName;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::lease::{Lease, LeaseEnd, LeaseOver};
use crate::limits::{UNWANTED_BODY_BYTES_MAX, UNWANTED_BODY_TIMEOUT};

/// A body that is streamed.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body ended before its end. The connection is then broken off, so that nobody takes it for the whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("no more of the body came in time")]
    Idle,
    #[error("{}", .0.as_str())]
    LeaseOver(LeaseEnd),
    #[error("the body is too large")]
    TooLarge,
    #[error("the other side broke off: {0}")]
    Transport(#[from] hyper::Error),
}

/// What a body is ended by, and what of it is let through.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// The most bytes it may have.
    pub(crate) bytes_max: Option<u64>,
    /// The longest wait for a piece.
    pub(crate) idle: Option<Duration>,
    /// What ends it in any case.
    pub(crate) lease: Lease,
    /// Trailers by names that no client may set are left out: servers merge them into the headers.
    pub(crate) strips_protected_trailers: bool,
    /// What the sender is told while it waits for an answer.
    pub(crate) progress: BodyProgress,
}

/// How far a body is.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyProgress {
    moved: Arc<AtomicBool>,
    exceeded: Arc<AtomicBool>,
}

impl BodyProgress {
    /// Whether a piece went through since this was asked last.
    pub(crate) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Whether the body turned out to be too large.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }
}

/// A body within its bounds.
pub(crate) struct BoundedBody<B> {
    inner: B,
    bounds: Bounds,
    /// Runs while a piece is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
    lease_over: Option<LeaseOver>,
}

impl<B> BoundedBody<B> {
    /// Bounds a body.
    pub(crate) fn new(inner: B, bounds: Bounds) -> Self {
        let lease_over = bounds.lease.over();
        Self { inner, bounds, waiting: None, lease_over }
    }

    /// Lets a frame through, as far as it may.
    fn admit(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        self.bounds.progress.moved.store(true, Ordering::Relaxed);
        if let (Some(left), Some(data)) = (&mut self.bounds.bytes_max, frame.data_ref()) {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    self.bounds.progress.exceeded.store(true, Ordering::Relaxed);
                    return Err(BodyError::TooLarge);
                }
            }
        }
        if self.bounds.strips_protected_trailers
            && let Some(trailers) = frame.trailers_mut()
        {
            let refused =
                |name: &&HeaderName| is_protected(name) || is_look_alike(name) || NO_TRAILERS.contains(name);
            let names = trailers.keys().filter(refused).cloned().collect::<Vec<_>>();
            for name in names {
                trailers.remove(name);
            }
        }
        Ok(frame)
    }
}

/// A client's body. If it is dropped before its end, the rest is read and thrown away, within bounds: otherwise the
/// connection would break while the client still sends, and with it the answer that says why.
pub(crate) struct ClientBody {
    inner: Option<Incoming>,
}

impl ClientBody {
    /// Takes a body as it comes.
    pub(crate) fn new(inner: Incoming) -> Self {
        Self { inner: Some(inner) }
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take().filter(|inner| !inner.is_end_stream())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(UNWANTED_BODY_TIMEOUT, discard(inner)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > UNWANTED_BODY_BYTES_MAX {
            return;
        }
    }
}

/// Fields that decide about a request, and so come before it (RFC 9110, section 6.5.1).
const NO_TRAILERS: [HeaderName; 6] = [
    http::header::AUTHORIZATION,
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::COOKIE,
    http::header::HOST,
    http::header::TRANSFER_ENCODING,
];

impl<B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin> HttpBody for BoundedBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(over) = &mut this.lease_over
            && let Poll::Ready(end) = over.as_mut().poll(context)
        {
            return Poll::Ready(Some(Err(BodyError::LeaseOver(end))));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) else {
            // The time runs from when the next piece is first missed: a reader that pauses is not the sender's fault.
            let Some(idle) = this.bounds.idle else { return Poll::Pending };
            let sleep = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
            ready!(sleep.as_mut().poll(context));
            return Poll::Ready(Some(Err(BodyError::Idle)));
        };
        this.waiting = None;
        Poll::Ready(frame.map(|frame| this.admit(frame?)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
