//! How a connection is left whose client may still be sending.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::limits::{UNWANTED_BODY_TIMEOUT, UNWANTED_PIECE_BYTES};

/// Ends a connection so that nothing of what its client was sent is lost: closed over unread bytes, it would be reset.
pub(super) async fn leave<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let leaving = async {
        stream.shutdown().await?;
        poll_fn(|context| poll_discard(Pin::new(&mut *stream), context)).await;
        io::Result::Ok(())
    };
    // What cannot be ended well is ended all the same.
    let _ = tokio::time::timeout(UNWANTED_BODY_TIMEOUT, leaving).await;
}

/// Reads and throws away what a client still sends, to its end.
fn poll_discard<S: AsyncRead>(mut stream: Pin<&mut S>, context: &mut Context<'_>) -> Poll<()> {
    let mut piece = [MaybeUninit::uninit(); UNWANTED_PIECE_BYTES];
    loop {
        let mut buffer = ReadBuf::uninit(&mut piece);
        match ready!(stream.as_mut().poll_read(context, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
}
