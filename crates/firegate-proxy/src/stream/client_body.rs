//! The body that a client sends, as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::body::BodyError;
use super::received_body::ReceivedBody;
use crate::connection::RequestBody;
use crate::limits::{UNWANTED_BODY_BYTES_MAX, UNWANTED_BODY_TIMEOUT};

/// A body by the protocol that it is sent by.
#[derive(Debug)]
pub(crate) enum SentBody {
    Http1(RequestBody),
    Http2(ReceivedBody),
}

impl SentBody {
    /// Whether a connection still waits for it.
    fn is_coming(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_coming() && !body.is_end_stream(),
            Self::Http2(body) => !body.is_end_stream(),
        }
    }
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Http1(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(BodyError::from))),
            Self::Http2(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// A client's body. If it is dropped before its end, the rest is read and thrown away, within bounds: otherwise the
/// connection would break while the client still sends, and with it the answer that says why.
pub(crate) struct ClientBody {
    inner: Option<SentBody>,
    /// Nothing more comes of it.
    is_over: bool,
    /// How many bytes came so far, if there are any.
    bytes: Option<Arc<AtomicU64>>,
}

impl ClientBody {
    /// Takes a body as it comes; what it has is counted, unless it is known to have nothing.
    pub(crate) fn new(inner: SentBody, bytes: impl FnOnce() -> Arc<AtomicU64>) -> Self {
        let bytes = (!inner.is_end_stream()).then(bytes);
        Self { inner: Some(inner), is_over: false, bytes }
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(context));
        match (&frame, &self.bytes) {
            (Some(Ok(frame)), Some(bytes)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                bytes.fetch_add(length, Ordering::Relaxed);
            }
            (Some(Ok(_)), None) => {}
            _ => self.is_over = true,
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
        if let Some(inner) = self.inner.take().filter(|inner| !self.is_over && inner.is_coming())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(UNWANTED_BODY_TIMEOUT, discard(inner)));
        }
    }
}

async fn discard(mut body: SentBody) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > UNWANTED_BODY_BYTES_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::*;
    use crate::connection::served_by;

    /// How much the connection holds each way.
    const CONNECTION_BYTES: usize = 64 * 1024;

    /// A connection to somebody who answers without a look at the body, after its head was sent and answered.
    async fn refused() -> DuplexStream {
        let mut client = served_by(CONNECTION_BYTES, |body| {
            drop(ClientBody::new(SentBody::Http1(body), Arc::default));
        });
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
        client.write_all(head).await.expect("it is read");
        let mut answer = [0; 15];
        client.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        client
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_body_that_nobody_wants_no_more_is_read_than_its_bound() {
        const PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];
        let mut client = refused().await;
        let mut sent = 0;
        while client.write_all(&PIECE).await.is_ok() {
            sent += PIECE.len() as u64;
            assert!(sent <= 2 * UNWANTED_BODY_BYTES_MAX, "it is still read");
        }
        assert!(sent > UNWANTED_BODY_BYTES_MAX - PIECE.len() as u64, "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_the_rest_of_a_body_that_nobody_wants() {
        let mut client = refused().await;
        let begun = Instant::now();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(600), client.read_to_end(&mut rest)).await;
        ended.expect("it ends").expect("an end");
        assert_eq!(begun.elapsed(), UNWANTED_BODY_TIMEOUT);
    }
}
