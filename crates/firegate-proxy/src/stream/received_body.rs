//! A body as hyper receives it, and whether its end was told.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::body::BodyError;

/// A body from a connection. For hyper a reset without an error is an end like any other; here it is
/// [`BodyError::Reset`], unless the end was told before it: by such a reset a service says that it wants no
/// more of a request that it has answered already (RFC 9113, section 8.1). The h2 crate remembers beyond the
/// reset that it was told.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    inner: Incoming,
    /// Whether the end is still to be told, as HTTP/2 does.
    tells_end: bool,
}

impl ReceivedBody {
    /// The body of a message of this version.
    pub(crate) fn new(inner: Incoming, version: Version) -> Self {
        Self { inner, tells_end: version == Version::HTTP_2 }
    }

    /// Whether the end that hyper tells is none.
    fn is_cut_short(&self) -> bool {
        self.tells_end && !self.inner.is_end_stream() && self.inner.size_hint().exact() != Some(0)
    }
}

impl HttpBody for ReceivedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                // Trailers are the end.
                self.tells_end &= !frame.is_trailers();
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => self.is_cut_short().then_some(Err(BodyError::Reset)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
