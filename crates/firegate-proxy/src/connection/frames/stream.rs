//! A client's connection of which h2 reads as many frames as do something, and a few more.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::meter::{Meter, Offence};
use crate::limits::REQUEST_HEAD_TIMEOUT;

/// A header block that does not end. Whoever sends it is told ENHANCE_YOUR_CALM by h2 and nothing after it is read: that is how
/// a connection is ended from below h2, which alone knows where in its own frames it stands.
static ENDLESS_HEADERS: [u8; 9 * 17] = {
    let mut frames = [0; 9 * 17];
    let mut index = 0;
    while index < 17 {
        // Types HEADERS and CONTINUATION, without END_HEADERS, on stream 1.
        frames[index * 9 + 3] = if index == 0 { 1 } else { 9 };
        frames[index * 9 + 8] = 1;
        index += 1;
    }
    frames
};

/// A connection with a meter.
#[derive(Debug)]
pub(crate) struct MeteredStream<S> {
    stream: S,
    peer: SocketAddr,
    meter: Meter,
    /// Runs until the first frame has come.
    settings_deadline: Option<Pin<Box<Sleep>>>,
    /// What h2 still has to read to end the connection.
    ending: Option<&'static [u8]>,
}

impl<S> MeteredStream<S> {
    /// Puts a meter on a connection whose next bytes are the preface.
    pub(crate) fn new(stream: S, peer: SocketAddr) -> Self {
        Self {
            stream,
            peer,
            meter: Meter::new(Instant::now()),
            settings_deadline: Some(Box::pin(tokio::time::sleep(REQUEST_HEAD_TIMEOUT))),
            ending: None,
        }
    }

    fn end(&mut self, offence: Offence) {
        tracing::info!(peer = %self.peer, why = %offence, "an HTTP/2 connection is ended for what its client does");
        self.ending = Some(&ENDLESS_HEADERS);
    }

    /// Whether the first frame is late.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.meter.has_settings() {
            self.settings_deadline = None;
        }
        self.settings_deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(ending) = &mut this.ending {
            let (now, later) = ending.split_at(ending.len().min(buffer.remaining()));
            buffer.put_slice(now);
            *ending = later;
            return Poll::Ready(Ok(()));
        }
        let start = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending if this.is_late(context) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read?,
        }
        let read = buffer.filled().get(start..).unwrap_or_default();
        if let Err((count, offence)) = this.meter.read(read, Instant::now()) {
            buffer.set_filled(start + count);
            this.end(offence);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.meter.earn(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.meter.earn(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
