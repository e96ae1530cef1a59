//! TLS towards the clients (RFC 8446, and 1.2 by RFC 5246), by rustls.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{CertificateFigures, Certificates};
use crate::connection::Protocol;
use crate::limits::{PLAIN_HTTP_BYTES_MAX, PLAIN_HTTP_TIMEOUT, TLS_HANDSHAKE_TIMEOUT, TLS_HANDSHAKES_MAX};
use crate::respond::PLAIN_HTTP_REFUSED;

/// The names by which HTTP/2 and HTTP/1.1 are agreed on (RFC 7301; RFC 9113, section 3.2).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The type of the record that a TLS connection begins with (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What encrypts the connections of every worker.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
    /// The places of handshakes under way.
    handshakes: Semaphore,
    completed: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

/// What metrics tell of TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsFigures {
    /// How many handshakes were completed.
    pub(crate) completed: u64,
    /// How many failed.
    pub(crate) failed: u64,
    /// How many were not over in time.
    pub(crate) timed_out: u64,
    /// What is known of the certificates.
    pub(crate) certificates: CertificateFigures,
}

/// Why a connection is not encrypted.
enum Unencrypted {
    /// It ended before its first byte.
    Silent,
    /// It speaks something else, which begins with this byte.
    Other(TcpStream, u8),
    /// The handshake failed.
    Failed(io::Error),
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS with these certificates.
    ///
    /// # Errors
    /// If the cryptographic library does not have what is needed.
    pub(crate) fn new(certificates: Arc<Certificates>) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as _);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        // Nothing is kept here of sessions: each client keeps its own, encrypted with keys that change.
        config.ticketer = Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // What comes before the handshake is over may be a repetition by somebody else (RFC 8446, section 8).
        config.max_early_data_size = 0;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
            handshakes: Semaphore::new(TLS_HANDSHAKES_MAX),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
        })
    }

    /// The certificates that it chooses from.
    pub(crate) fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Encrypts a connection, and says which protocol both sides agreed on. `None` if it is over.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Protocol)> {
        match tokio::time::timeout(TLS_HANDSHAKE_TIMEOUT, self.shake_hands(stream)).await {
            Ok(Ok(stream)) => {
                self.completed.fetch_add(1, Ordering::Relaxed);
                // HTTP/2 over TLS is agreed on by its name, or it is not spoken (RFC 9113, section 3.2).
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                return Some((stream, if is_http2 { Protocol::Http2 } else { Protocol::Http1 }));
            }
            Ok(Err(Unencrypted::Silent)) => {}
            Ok(Err(Unencrypted::Other(stream, first))) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                // A request of HTTP begins with the letters of its method.
                if first.is_ascii_alphabetic() {
                    // Whoever does not take the answer goes without.
                    let _ = tokio::time::timeout(PLAIN_HTTP_TIMEOUT, refuse_plain(stream)).await;
                }
            }
            Ok(Err(Unencrypted::Failed(error))) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "a TLS handshake failed");
            }
            Err(_) => {
                self.timed_out.fetch_add(1, Ordering::Relaxed);
            }
        }
        None
    }

    pub(crate) fn figures(&self) -> TlsFigures {
        TlsFigures {
            completed: self.completed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
            certificates: self.certificates.figures(),
        }
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Unencrypted> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) => return Err(Unencrypted::Silent),
            Ok(_) if first == [HANDSHAKE_RECORD] => {}
            Ok(_) => return Err(Unencrypted::Other(stream, first[0])),
            Err(error) => return Err(Unencrypted::Failed(error)),
        }
        // A client that says nothing holds none of these. The wait is part of the time that a handshake may take.
        let _place = self.handshakes.acquire().await;
        self.acceptor.accept(stream).await.map_err(Unencrypted::Failed)
    }
}

/// Answers whoever speaks HTTP where TLS is spoken, as a browser does with a URL that begins with `http:`.
async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP_REFUSED).await?;
    stream.shutdown().await?;
    // A socket that is closed with something unread takes the answer back.
    let mut unread = [0; 1024];
    let mut request = stream.take(PLAIN_HTTP_BYTES_MAX);
    while request.read(&mut unread).await? > 0 {}
    Ok(())
}
