//! A connection on which HTTP/1 is over, because both sides have switched to another protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::upstream::transport::Transport;

/// The bytes of such a connection: first those that came along with the answer's head.
#[derive(Debug)]
pub(crate) struct SwitchedConnection {
    transport: Transport,
    read_ahead: BytesMut,
}

impl SwitchedConnection {
    pub(super) fn new(transport: Transport, read_ahead: BytesMut) -> Self {
        Self { transport, read_ahead }
    }
}

impl AsyncRead for SwitchedConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read_ahead.is_empty() {
            return Pin::new(&mut this.transport).poll_read(context, buffer);
        }
        let count = this.read_ahead.len().min(buffer.remaining());
        buffer.put_slice(this.read_ahead.get(..count).unwrap_or_default());
        this.read_ahead.advance(count);
        if this.read_ahead.is_empty() {
            this.read_ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SwitchedConnection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(context)
    }
}
