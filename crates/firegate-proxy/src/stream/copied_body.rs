//! A request's body, and the copy of it for the service that the request is mirrored to. The request never waits for its copy:
//! one that falls behind is broken off, and so is one that is larger than its service takes, or that of a body that did not
//! reach its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use super::body::{Body, BodyError, Streamed};
use super::progress::{BodyProgress, Side};
use crate::limits::{MIRRORED_BODY_BYTES_MAX, MIRRORED_PIECE_BYTES};

/// What the copy is told.
enum Piece {
    Frame(Frame<Bytes>),
    /// The body has reached its end.
    End,
}

/// A body that is passed on, and copied on its way.
struct CopyingBody {
    inner: Body,
    /// Until the end, or until the copy is broken off.
    copy: Option<Copy>,
}

/// The way to a copy.
struct Copy {
    pieces: mpsc::UnboundedSender<Piece>,
    queued_bytes: Arc<AtomicUsize>,
    /// How many more it may have.
    bytes_left: u64,
}

/// The copy.
struct CopiedBody {
    pieces: mpsc::UnboundedReceiver<Piece>,
    queued_bytes: Arc<AtomicUsize>,
    progress: BodyProgress,
    is_over: bool,
}

/// A body as it was, and its copy, which has so many bytes at most, and whose exchange has this progress.
pub(crate) fn copied(inner: Body, bytes_max: u64, progress: BodyProgress) -> (Body, Body) {
    // Bounded in bytes, of which each piece counts for more than it has.
    let (sender, pieces) = mpsc::unbounded_channel();
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let copy = Copy { pieces: sender, queued_bytes: Arc::clone(&queued_bytes), bytes_left: bytes_max };
    let copied = CopiedBody { pieces, queued_bytes, progress, is_over: false };
    (CopyingBody { inner, copy: Some(copy) }.streamed(), copied.streamed())
}

/// What a piece takes while it waits: a client that sends byte by byte must not fill the memory with what is around them.
fn queued_bytes(data: &Bytes) -> usize {
    data.len().saturating_add(MIRRORED_PIECE_BYTES)
}

impl Copy {
    /// Hands a piece on; `None` if the copy has fallen behind, would be too large, or is gone.
    fn pass(mut self, frame: &Frame<Bytes>) -> Option<Self> {
        let piece = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => {
                self.bytes_left = self.bytes_left.checked_sub(u64::try_from(data.len()).ok()?)?;
                let bytes = queued_bytes(data);
                let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
                if queued.saturating_add(bytes) > MIRRORED_BODY_BYTES_MAX {
                    return None;
                }
                // A slice would hold on to all that was read with it, which nothing here counts.
                Frame::data(Bytes::copy_from_slice(data))
            }
            (None, Some(trailers)) => Frame::trailers(trailers.clone()),
            (None, None) => return Some(self),
        };
        self.pieces.send(Piece::Frame(piece)).is_ok().then_some(self)
    }

    fn end(self) {
        // A copy that is gone needs no end.
        let _ = self.pieces.send(Piece::End);
    }
}

impl HttpBody for CopyingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        let copy = this.copy.take();
        match &frame {
            Some(Ok(frame)) => {
                let copy = copy.and_then(|copy| copy.pass(frame));
                match this.inner.is_end_stream() {
                    // Nobody asks a body for more that says so.
                    true => copy.into_iter().for_each(Copy::end),
                    false => this.copy = copy,
                }
            }
            Some(Err(_)) => {}
            None => copy.into_iter().for_each(Copy::end),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl HttpBody for CopiedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.pieces.poll_recv(context);
        self.progress.note_awaits_client(polled.is_pending());
        let piece = ready!(polled);
        Poll::Ready(match piece {
            Some(Piece::Frame(frame)) => {
                let bytes = frame.data_ref().map_or(0, queued_bytes);
                self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.progress.note_moved(Side::Request);
                Some(Ok(frame))
            }
            Some(Piece::End) => {
                self.is_over = true;
                None
            }
            None => {
                self.is_over = true;
                self.progress.note_failure(&BodyError::CopyBroken);
                Some(Err(BodyError::CopyBroken))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

impl Drop for CopiedBody {
    fn drop(&mut self) {
        self.progress.note_awaits_client(false);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use http::HeaderMap;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::stream::full;

    fn body(frames: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
        StreamBody::new(stream::iter(frames)).streamed()
    }

    #[tokio::test]
    async fn a_copy_has_every_piece_and_the_end() {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "1".parse().expect("a value"))]);
        let frames = ["a", "", "bc"].map(|text| Ok(Frame::data(Bytes::from(text))));
        let frames = frames.into_iter().chain([Ok(Frame::trailers(trailers.clone()))]).collect();
        let (original, copy) = copied(body(frames), u64::MAX, BodyProgress::default());
        for body in [original, copy] {
            let whole = body.collect().await.expect("a whole body");
            assert_eq!(whole.trailers(), Some(&trailers));
            assert_eq!(whole.to_bytes(), "abc");
        }
    }

    #[tokio::test]
    async fn the_copy_of_a_body_without_an_end_has_none_either() {
        let frames = vec![Ok(Frame::data(Bytes::from("a"))), Err(BodyError::Idle)];
        let (original, copy) = copied(body(frames), u64::MAX, BodyProgress::default());
        assert!(original.collect().await.is_err());
        assert!(matches!(copy.collect().await, Err(BodyError::CopyBroken)));
        let (original, copy) =
            copied(body(vec![Ok(Frame::data(Bytes::from("a")))]), u64::MAX, BodyProgress::default());
        drop(original);
        assert!(matches!(copy.collect().await, Err(BodyError::CopyBroken)));
    }

    /// What it is bounded by is how far behind it is, and not how long.
    #[tokio::test]
    async fn a_copy_that_keeps_up_is_as_long_as_the_body() {
        const PIECES: usize = 8;
        let piece = Bytes::from(vec![b'x'; MIRRORED_BODY_BYTES_MAX / 2]);
        let frames = (0..PIECES).map(|_| Ok(Frame::data(piece.clone()))).collect();
        let (mut original, mut copy) = copied(body(frames), u64::MAX, BodyProgress::default());
        for number in 0..PIECES {
            for body in [&mut original, &mut copy] {
                let frame = body.frame().await.expect("a piece");
                let frame = frame.unwrap_or_else(|error| panic!("{number}: {error}"));
                assert_eq!(frame.into_data().expect("data"), piece, "{number}");
            }
        }
        for mut body in [original, copy] {
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_copy_is_no_larger_than_its_service_takes() {
        for (bytes_max, is_whole) in [(3, true), (2, false), (0, false)] {
            let frames = ["a", "", "bc"].map(|text| Ok(Frame::data(Bytes::from(text)))).into_iter().collect();
            let (original, copy) = copied(body(frames), bytes_max, BodyProgress::default());
            assert_eq!(original.collect().await.expect("a whole body").to_bytes(), "abc");
            assert_eq!(copy.collect().await.is_ok(), is_whole, "{bytes_max}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_copy_that_falls_behind() {
        // Few large pieces, and many small ones.
        for (bytes, pieces) in
            [(MIRRORED_BODY_BYTES_MAX / 2, 4), (1, MIRRORED_BODY_BYTES_MAX / MIRRORED_PIECE_BYTES)]
        {
            let piece = Bytes::from(vec![b'x'; bytes]);
            let frames = (0..pieces).map(|_| Ok(Frame::data(piece.clone()))).collect();
            let (original, copy) = copied(body(frames), u64::MAX, BodyProgress::default());
            assert_eq!(original.collect().await.expect("a whole body").to_bytes().len(), bytes * pieces);
            assert!(matches!(copy.collect().await, Err(BodyError::CopyBroken)), "{pieces} of {bytes}");
        }
    }

    /// Nobody asks a body for more that says that it is over.
    #[tokio::test]
    async fn a_copy_ends_with_the_last_piece_of_a_body_that_says_so() {
        let (mut original, mut copy) = copied(full("body"), u64::MAX, BodyProgress::default());
        original.frame().await.expect("a piece").expect("no error");
        assert!(original.is_end_stream());
        drop(original);
        assert_eq!(
            copy.frame().await.expect("a piece").expect("no error").into_data().expect("data"),
            "body"
        );
        assert!(!copy.is_end_stream() && copy.frame().await.is_none());
        assert!(copy.is_end_stream() && copy.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_copy_may_be_as_far_behind_as_its_bound_and_no_byte_further() {
        let most = MIRRORED_BODY_BYTES_MAX - MIRRORED_PIECE_BYTES;
        for (bytes, is_whole) in [(most, true), (most + 1, false)] {
            let frames = vec![Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))];
            let (original, mut copy) = copied(body(frames), u64::MAX, BodyProgress::default());
            original.collect().await.expect("a whole body");
            assert_eq!(copy.frame().await.expect("a piece, or an error").is_ok(), is_whole, "{bytes}");
            assert!(copy.frame().await.is_none());
        }
    }

    /// The service that gets the copy is not late while there is nothing of it to take.
    #[tokio::test]
    async fn whoever_waits_for_the_copy_knows_whether_it_is_the_clients_turn() {
        let progress = BodyProgress::default();
        let (say, mut said) = mpsc::unbounded_channel();
        let frames = stream::poll_fn(move |context| said.poll_recv(context));
        let (mut original, mut copy) = copied(StreamBody::new(frames).streamed(), u64::MAX, progress.clone());
        assert!(copy.frame().now_or_never().is_none() && progress.awaits_client());
        say.send(Ok(Frame::data(Bytes::from("a")))).expect("it is read");
        original.frame().await.expect("a piece").expect("no error");
        assert_eq!(progress.last_moved(), None);
        copy.frame().await.expect("a piece").expect("no error");
        assert!(!progress.awaits_client() && progress.last_moved().is_some());
        assert!(progress.take_other_moved(Side::Answer), "it keeps the answer");
        assert!(copy.frame().now_or_never().is_none() && progress.awaits_client());
        drop(copy);
        assert!(!progress.awaits_client(), "nobody asks for more");
    }
}
