//! A request's body whose panic is its own request's alone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::BodyError;
use super::progress::BodyProgress;
use crate::panics::Panics;

/// A body that is polled by the connection to the service. A panic in it is counted, and breaks the request off instead of the
/// task that drives the connection: over HTTP/2 that carries other requests too.
pub(crate) struct ContainedBody<B> {
    /// Until it has panicked.
    inner: Option<B>,
    progress: BodyProgress,
    panics: Arc<Panics>,
}

impl<B> ContainedBody<B> {
    /// Contains a body. That it panicked shows in the `progress` of its exchange.
    pub(crate) fn new(inner: B, progress: BodyProgress, panics: Arc<Panics>) -> Self {
        Self { inner: Some(inner), progress, panics }
    }
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> HttpBody for ContainedBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        this.panics.catch_now(|| Pin::new(inner).poll_frame(context)).unwrap_or_else(|panicked| {
            tracing::error!(%panicked, "a request's body was broken off");
            this.inner = None;
            this.progress.note_failure(&BodyError::Panicked);
            Poll::Ready(Some(Err(BodyError::Panicked)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::stream::BodyFailure;

    struct Treacherous;

    impl HttpBody for Treacherous {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            panic!("the body fell down")
        }
    }

    #[tokio::test]
    async fn a_panic_breaks_the_body_off_and_is_counted_once() {
        let (progress, panics) = (BodyProgress::default(), Arc::new(Panics::default()));
        let mut body = ContainedBody::new(Treacherous, progress.clone(), Arc::clone(&panics));
        assert!(!body.is_end_stream());
        assert!(matches!(body.frame().await, Some(Err(BodyError::Panicked))));
        assert!(body.frame().await.is_none() && body.is_end_stream());
        assert_eq!((panics.count(), progress.failure()), (1, Some(BodyFailure::Panicked)));
    }
}
