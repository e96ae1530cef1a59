//! The bytes of a connection to a service, in the clear or in TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::socket::{Look, LookAgain, Socket};

/// A connection to a service, below HTTP.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(Socket),
    /// A TLS session is a kilobyte, and most of what moves a connection around does not look into it.
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// Whether both sides agreed on HTTP/2 in the TLS handshake.
    pub(super) fn agreed_on_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether something has come that nobody has read, or the connection has ended, whether or not the runtime has seen it.
    pub(super) fn look(&mut self) -> Look {
        match self {
            Self::Plain(socket) => socket.look(),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                match session.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() > 0 => Look::Something,
                    Ok(state) if state.peer_has_closed() => Look::Ended,
                    Ok(_) => socket.look(),
                    Err(_) => Look::Ended,
                }
            }
        }
    }

    /// By what its socket is told that it is used again.
    pub(super) fn look_again(&mut self) -> LookAgain {
        match self {
            Self::Plain(socket) => socket.look_again(),
            Self::Tls(stream) => stream.get_mut().0.look_again(),
        }
    }
}

impl Drop for Transport {
    /// Says that this is the end, if the system takes it now and nothing else is still to be written.
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            let (socket, session) = stream.get_mut();
            if !session.wants_write() {
                session.send_close_notify();
                // Whoever does not hear of it hears of the end of the connection.
                let _ = session.write_tls(&mut socket.writer());
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self.get_mut(), pieces) {
            // A request without a body is one piece, and costs the system less as what it is.
            (Self::Plain(stream), [piece]) => Pin::new(stream).poll_write(context, piece),
            (Self::Plain(stream), _) => Pin::new(stream).poll_write_vectored(context, pieces),
            (Self::Tls(stream), _) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
