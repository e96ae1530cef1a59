//! A stream that is lent out: whoever uses it owns it, and when they are dropped it is there again.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream in the hands of somebody else. It is closed with them if nobody waits for it.
#[derive(Debug)]
pub(super) struct Lent<S> {
    /// There until it is given back.
    stream: Option<S>,
    returned: Returned<S>,
}

/// Where a stream that was lent out comes back to.
type Returned<S> = Arc<Mutex<Option<S>>>;

/// The claim to a stream that was lent out.
#[derive(Debug)]
pub(super) struct Loan<S>(Returned<S>);

/// Lends a stream out.
pub(super) fn lend<S>(stream: S) -> (Lent<S>, Loan<S>) {
    let returned = Arc::new(Mutex::new(None));
    (Lent { stream: Some(stream), returned: Arc::clone(&returned) }, Loan(returned))
}

impl<S> Loan<S> {
    /// The stream, if it was given back.
    pub(super) fn returned(&self) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

impl<S> Lent<S> {
    fn stream(&mut self) -> io::Result<&mut S> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.stream()?).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream()?).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()?).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()?).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream()?).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_comes_back_when_its_user_is_gone_and_is_closed_when_nobody_waits_for_it() {
        let (stream, other) = tokio::io::duplex(8);
        let (lent, loan) = lend(stream);
        drop(lent);
        assert!(loan.returned().is_some());
        let (lent, loan) = lend(other);
        assert!(loan.returned().is_none(), "it is in use");
        drop(lent);
    }
}
