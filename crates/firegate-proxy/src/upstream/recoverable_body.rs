//! A request's body that is had back from an HTTP/2 connection, as long as nothing was taken of it. hyper gives a request
//! back only if it was never handed to h2. Of one whose stream the service refuses it says why, and drops the body, though
//! nothing of it may have come yet.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::stream::{Body, BodyError};

/// The way to have a body back.
#[derive(Debug)]
pub(super) struct BodyRecovery(Arc<Untouched>);

/// A body of which nothing was taken, unless it was had back.
#[derive(Debug)]
struct Untouched(Mutex<Option<Body>>);

/// The body, as the connection has it.
enum RecoverableBody {
    Whole(Arc<Untouched>),
    /// A piece was taken, so that nobody else can have it any more.
    Begun(Body),
}

impl BodyRecovery {
    /// Makes the body of a request one that can be had back.
    pub(super) fn prepare(request: &mut Request<Body>) -> Self {
        let body = std::mem::take(request.body_mut());
        let whole = Arc::new(Untouched(Mutex::new(Some(body))));
        *request.body_mut() = RecoverableBody::Whole(Arc::clone(&whole)).boxed_unsync();
        Self(whole)
    }

    /// The body, if nothing was taken of it. The connection gets nothing of it any more.
    pub(super) fn recover(self) -> Option<Body> {
        self.0.body().take()
    }
}

impl Untouched {
    fn body(&self) -> MutexGuard<'_, Option<Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for RecoverableBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (frame, begun) = match &mut *self {
            Self::Begun(body) => return Pin::new(body).poll_frame(context),
            Self::Whole(whole) => {
                let mut whole = whole.body();
                // An end would be taken for the body's own.
                let Some(body) = &mut *whole else { return Poll::Ready(Some(Err(BodyError::Unwanted))) };
                let frame = ready!(Pin::new(body).poll_frame(context));
                (frame, whole.take())
            }
        };
        begun.into_iter().for_each(|body| *self = Self::Begun(body));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Begun(body) => body.is_end_stream(),
            Self::Whole(whole) => whole.body().as_ref().is_some_and(HttpBody::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Begun(body) => body.size_hint(),
            Self::Whole(whole) => whole.body().as_ref().map_or_else(SizeHint::default, HttpBody::size_hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::respond::full;

    #[tokio::test]
    async fn a_body_is_had_back_until_a_piece_of_it_is_taken() {
        let mut request = Request::new(full("body"));
        let recovery = BodyRecovery::prepare(&mut request);
        assert_eq!(request.body().size_hint().exact(), Some(4));
        let body = recovery.recover().expect("nothing was taken");
        assert_eq!(body.collect().await.expect("a whole body").to_bytes(), "body");
        assert!(!request.body().is_end_stream(), "it is no body that is over");
        let frame = request.body_mut().frame().now_or_never().expect("nobody waits");
        assert!(matches!(frame, Some(Err(BodyError::Unwanted))), "nor does it end");

        let mut request = Request::new(full("body"));
        let recovery = BodyRecovery::prepare(&mut request);
        let frame = request.body_mut().frame().await.expect("a piece").expect("no error");
        assert_eq!(frame.into_data().expect("data"), "body");
        assert!(recovery.recover().is_none());
        assert!(request.body().is_end_stream() && request.body_mut().frame().await.is_none());
    }

    /// That it was asked for in vain takes nothing.
    #[tokio::test]
    async fn a_body_of_which_nothing_has_come_is_whole() {
        let pending = futures_util::stream::pending::<Result<Frame<Bytes>, BodyError>>();
        let mut request = Request::new(http_body_util::StreamBody::new(pending).boxed_unsync());
        let recovery = BodyRecovery::prepare(&mut request);
        assert!(request.body_mut().frame().now_or_never().is_none());
        assert!(recovery.recover().is_some());
    }
}
