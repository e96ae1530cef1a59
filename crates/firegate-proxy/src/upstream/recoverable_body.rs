//! A request's body that is had back from an HTTP/2 connection, as long as no more than its first piece was taken of it. hyper
//! gives a request back only if it was never handed to h2. Of one whose stream the service refuses it says why, and drops the
//! body, whose first piece it asked for together with the head.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::refusal::PeekedBody;
use crate::limits::UPSTREAM_KEPT_PIECE_BYTES_MAX;
use crate::stream::{Body, BodyError, Streamed};

/// The way to have a body back. Nothing is kept of the body once it is dropped.
#[derive(Debug)]
pub(super) struct BodyRecovery(Arc<Shared>);

/// A body that can be had back, unless it was, or too much of it was taken.
#[derive(Debug)]
struct Shared(Mutex<Option<Whole>>);

#[derive(Debug)]
struct Whole {
    /// The piece that was taken, if one was.
    first: Option<Bytes>,
    rest: Body,
}

/// The body, as the connection has it.
enum RecoverableBody {
    Shared(Arc<Shared>),
    /// So much was taken that nobody else can have it any more.
    Begun(Body),
}

impl BodyRecovery {
    /// Makes the body of a request one that can be had back.
    pub(super) fn prepare(request: &mut Request<Body>) -> Self {
        let rest = std::mem::take(request.body_mut());
        let shared = Arc::new(Shared(Mutex::new(Some(Whole { first: None, rest }))));
        *request.body_mut() = RecoverableBody::Shared(Arc::clone(&shared)).streamed();
        Self(shared)
    }

    /// The whole body, if it is still to be had. The connection gets nothing of it any more.
    pub(super) fn recover(self) -> Option<Body> {
        let Whole { first, rest } = self.0.body().take()?;
        Some(match first {
            Some(first) => PeekedBody::new(first, rest).streamed(),
            None => rest,
        })
    }
}

impl Drop for BodyRecovery {
    fn drop(&mut self) {
        if let Some(whole) = &mut *self.0.body() {
            whole.first = None;
        }
    }
}

impl Shared {
    fn body(&self) -> MutexGuard<'_, Option<Whole>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Whole {
    /// Whether the body is still whole with what was taken of it now, which is kept.
    fn keeps(&mut self, taken: Option<&Result<Frame<Bytes>, BodyError>>) -> bool {
        match taken {
            None => {
                // Whoever has it back comes to its end, too.
                self.rest = Body::default();
                true
            }
            Some(Ok(frame)) if self.first.is_none() => {
                let piece = frame.data_ref().filter(|piece| piece.len() <= UPSTREAM_KEPT_PIECE_BYTES_MAX);
                self.first = piece.cloned();
                self.first.is_some()
            }
            Some(_) => false,
        }
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
            Self::Shared(shared) => {
                let is_wanted = Arc::strong_count(shared) > 1;
                let mut shared = shared.body();
                // An end would be taken for the body's own.
                let Some(whole) = &mut *shared else { return Poll::Ready(Some(Err(BodyError::Unwanted))) };
                let frame = ready!(Pin::new(&mut whole.rest).poll_frame(context));
                let is_whole = is_wanted && whole.keeps(frame.as_ref());
                (frame, if is_whole { None } else { shared.take() })
            }
        };
        begun.into_iter().for_each(|whole| *self = Self::Begun(whole.rest));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Begun(body) => body.is_end_stream(),
            Self::Shared(shared) => shared.body().as_ref().is_some_and(|whole| whole.rest.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Begun(body) => body.size_hint(),
            Self::Shared(shared) => {
                shared.body().as_ref().map_or_else(SizeHint::default, |whole| whole.rest.size_hint())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::stream::full;

    /// Each in a piece of its own.
    fn pieces(texts: &[&'static str]) -> Body {
        let pieces = texts.iter().map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
        StreamBody::new(futures_util::stream::iter(pieces.collect::<Vec<_>>())).streamed()
    }

    async fn take(request: &mut Request<Body>) -> Option<Bytes> {
        let frame = request.body_mut().frame().await?;
        Some(frame.expect("no error").into_data().expect("data"))
    }

    #[tokio::test]
    async fn a_body_is_had_back_until_its_second_piece_is_taken() {
        let mut request = Request::new(full("body"));
        let recovery = BodyRecovery::prepare(&mut request);
        assert_eq!(request.body().size_hint().exact(), Some(4));
        let body = recovery.recover().expect("nothing was taken");
        assert_eq!(body.collect().await.expect("a whole body").to_bytes(), "body");
        assert!(!request.body().is_end_stream(), "it is no body that is over");
        let frame = request.body_mut().frame().now_or_never().expect("nobody waits");
        assert!(matches!(frame, Some(Err(BodyError::Unwanted))), "nor does it end");

        for (taken, is_over) in [(1, false), (2, true)] {
            let mut request = Request::new(full("body"));
            let recovery = BodyRecovery::prepare(&mut request);
            for number in 0..taken {
                assert_eq!(take(&mut request).await.is_some(), number == 0);
            }
            assert!(request.body().is_end_stream());
            let body = recovery.recover().expect("one piece was taken, and perhaps the end");
            assert_eq!((body.is_end_stream(), body.size_hint().exact()), (false, Some(4)), "{is_over}");
            assert_eq!(body.collect().await.expect("a whole body").to_bytes(), "body");
        }

        let mut request = Request::new(pieces(&["bo", "d", "y"]));
        let recovery = BodyRecovery::prepare(&mut request);
        assert_eq!(
            (take(&mut request).await, take(&mut request).await),
            (Some("bo".into()), Some("d".into()))
        );
        assert!(recovery.recover().is_none());
        assert_eq!((take(&mut request).await, take(&mut request).await), (Some("y".into()), None));
    }

    /// Trailers say that all before them was taken.
    #[tokio::test]
    async fn what_cannot_be_kept_is_not_had_back() {
        let piece = |bytes: usize| Frame::data(Bytes::from(vec![b'x'; bytes]));
        for (first, is_had_back) in [
            (piece(UPSTREAM_KEPT_PIECE_BYTES_MAX), true),
            (piece(UPSTREAM_KEPT_PIECE_BYTES_MAX + 1), false),
            (Frame::trailers(http::HeaderMap::new()), false),
        ] {
            let what = format!("{first:?}");
            let frames = futures_util::stream::iter([Ok(first)]);
            let mut request = Request::new(StreamBody::new(frames).streamed());
            let recovery = BodyRecovery::prepare(&mut request);
            request.body_mut().frame().await.expect("a frame").expect("no error");
            assert_eq!(recovery.recover().is_some(), is_had_back, "{what}");
        }
    }

    /// A stream whose messages come now and then would hold its first one for as long as it lasts.
    #[tokio::test]
    async fn nothing_is_kept_that_nobody_will_have_back() {
        for comes_before in [true, false] {
            let first = Bytes::from(vec![b'x'; 100]);
            let frames = futures_util::stream::iter([Ok(Frame::data(first.clone()))]);
            let rest = futures_util::stream::pending::<Result<Frame<Bytes>, BodyError>>();
            let mut request = Request::new(StreamBody::new(frames.chain(rest)).streamed());
            let mut recovery = Some(BodyRecovery::prepare(&mut request));
            if !comes_before {
                recovery = None;
            }
            assert_eq!(take(&mut request).await.as_ref(), Some(&first));
            assert_eq!(first.is_unique(), !comes_before);
            drop(recovery);
            assert!(first.is_unique(), "{comes_before}");
        }
    }

    /// That it was asked for in vain takes nothing.
    #[tokio::test]
    async fn a_body_of_which_nothing_has_come_is_whole() {
        let pending = futures_util::stream::pending::<Result<Frame<Bytes>, BodyError>>();
        let mut request = Request::new(StreamBody::new(pending).streamed());
        let recovery = BodyRecovery::prepare(&mut request);
        assert!(request.body_mut().frame().now_or_never().is_none());
        assert!(recovery.recover().is_some());
    }
}
