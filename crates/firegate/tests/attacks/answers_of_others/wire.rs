//! What messages go by: a socket, in the clear or in TLS.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// The bytes of a connection.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// What is below.
    fn socket(&self) -> &TcpStream;

    fn is_tls(&self) -> bool;

    /// Has the connection end with a reset when it is dropped.
    fn reset(&self) {
        let _ = self.socket().set_zero_linger();
    }
}

pub(super) type AnyWire = Box<dyn Wire>;

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn is_tls(&self) -> bool {
        false
    }
}

impl Wire for client::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl Wire for server::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn is_tls(&self) -> bool {
        true
    }
}
