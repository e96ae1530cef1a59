//! One small HTTP client: bounded in time and in bytes, following no redirect, reading no proxy settings and unpacking
//! no compressed answer.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::limits::CONNECT_TIMEOUT;

/// A client for `http` and `https`. Clones share everything; exchanges run on the runtime that it was made with.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

/// How long an exchange may take in all, and how large its answer may be.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeBounds {
    /// From the first byte of the connection to the last of the answer.
    pub timeout: Duration,
    /// The largest body that is read.
    pub body_bytes_max: usize,
}

/// Why the TLS side of a client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the trusted roots could not be loaded; install the system's CA certificates: {0}")]
pub struct TlsSetupError(#[from] rustls::Error);

/// Why an exchange brought no usable answer. Neither the request nor the answer is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that can be called.
    #[error("the URL is not one that can be called; check the endpoint")]
    InvalidUrl,
    /// No connection could be made.
    #[error("no connection: {0}")]
    Connect(ConnectFailure),
    /// The exchange took longer than its bound.
    #[error("it took too long")]
    TimedOut,
    /// The answer's body is larger than its bound.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer has a status that is not the expected one; redirects are not followed.
    #[error("it answered with status {0}")]
    Status(u16),
    /// The answer is compressed, which was not asked for.
    #[error("the answer is compressed, though that was not asked for")]
    Compressed,
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke before the answer was complete")]
    Broken,
    /// The runtime that does the work is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The work panicked.
    #[error("a mistake in Firegate, of which the log says more")]
    Internal,
}

/// Why no connection could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The host's name could not be resolved.
    Name,
    /// Nothing listens there.
    Refused,
    /// The peer's certificate is not trusted, or TLS failed otherwise.
    Tls,
    /// The network did not answer, or another failure.
    Network,
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => "the host name could not be resolved",
            Self::Refused => "connection refused",
            Self::Tls => "TLS failed; is the certificate one that this machine trusts?",
            Self::Network => "the network did not answer",
        })
    }
}

impl HttpClient {
    /// A client whose exchanges run on `runtime`.
    ///
    /// # Errors
    /// If the roots cannot be loaded.
    pub fn new(runtime: Handle, roots: Roots) -> Result<Self, TlsSetupError> {
        let tls = client_tls(roots)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // Calls are rare, and a process that was frozen would wake with dead connections: none is kept.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, runtime })
    }

    /// The runtime that does the work.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Sends a request and reads the whole answer, whatever its status is.
    ///
    /// # Errors
    /// If there is no complete answer within the bounds.
    pub async fn send(
        &self,
        mut request: Request<Bytes>,
        bounds: ExchangeBounds,
    ) -> Result<Response<Bytes>, FetchError> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("firegate/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        let client = self.client.clone();
        let exchange = async move {
            tokio::time::timeout(bounds.timeout, exchange(&client, request, bounds.body_bytes_max))
                .await
                .unwrap_or(Err(FetchError::TimedOut))
        };
        let exchanged = AbortOnDropHandle::new(self.runtime.spawn(exchange)).await;
        exchanged.unwrap_or_else(|error| Err(unfinished(&error)))
    }

    /// Gets a document that has to come with status 200.
    ///
    /// # Errors
    /// If there is no complete answer within the bounds, or it has another status.
    pub async fn get(&self, url: &Url, bounds: ExchangeBounds) -> Result<Response<Bytes>, FetchError> {
        let request = Request::get(uri(url)?).body(Bytes::new()).map_err(|_| FetchError::InvalidUrl)?;
        let response = self.send(request, bounds).await?;
        match response.status().as_u16() {
            200 => Ok(response),
            status => Err(FetchError::Status(status)),
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// The request target of an absolute URL.
pub(crate) fn uri(url: &Url) -> Result<Uri, FetchError> {
    match url.scheme() {
        "http" | "https" => url.as_str().parse().map_err(|_| FetchError::InvalidUrl),
        _ => Err(FetchError::InvalidUrl),
    }
}

/// `base` with path segments added, each escaped as far as it needs to be.
pub(crate) fn extend<'a>(base: &str, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, FetchError> {
    let mut url = Url::parse(base).map_err(|_| FetchError::InvalidUrl)?;
    url.path_segments_mut().map_err(|()| FetchError::InvalidUrl)?.pop_if_empty().extend(segments);
    Ok(url)
}

/// Whom TLS trusts.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// These certificates alone; without any, nobody.
    Given(Vec<CertificateDer<'static>>),
    /// What the operating system trusts.
    #[default]
    Platform,
}

/// TLS towards others, for a client and for the connections that carry requests to services, so that both trust the
/// same.
///
/// # Errors
/// If the system's trusted roots cannot be loaded, or a certificate cannot be a root.
pub fn client_tls(roots: Roots) -> Result<ClientConfig, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match roots {
        Roots::Platform => builder.with_platform_verifier()?,
        Roots::Given(certificates) => {
            let mut store = rustls::RootCertStore::empty();
            for certificate in certificates {
                store.add(certificate)?;
            }
            builder.with_root_certificates(store)
        }
    };
    Ok(builder.with_no_client_auth())
}

async fn exchange(
    client: &Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Bytes>,
    body_bytes_max: usize,
) -> Result<Response<Bytes>, FetchError> {
    let response = client.request(request.map(Full::new)).await.map_err(|error| failure(&error))?;
    let (parts, body) = response.into_parts();
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(FetchError::Compressed);
    }
    let body = Limited::new(body, body_bytes_max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Broken }
    })?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// Why a task did not come to its end.
fn unfinished(error: &JoinError) -> FetchError {
    if error.is_panic() { FetchError::Internal } else { FetchError::Stopping }
}

fn failure(error: &hyper_util::client::legacy::Error) -> FetchError {
    if !error.is_connect() {
        return FetchError::Broken;
    }
    let mut failure = ConnectFailure::Network;
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = source {
        // The connector says what failed in words alone; the words are hyper-util's.
        if error.to_string().starts_with("dns error") {
            failure = ConnectFailure::Name;
        } else if error.is::<rustls::Error>() {
            failure = ConnectFailure::Tls;
        }
        source = match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return FetchError::Connect(ConnectFailure::Refused);
            }
            // The `source` of an `io::Error` leaves its own inner error out.
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    FetchError::Connect(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_told_from_one_that_is_stopped() {
        let panicked = tokio::spawn(async { panic!("on purpose") });
        assert_eq!(unfinished(&panicked.await.expect_err("it panics")), FetchError::Internal);
        let stopped = tokio::spawn(std::future::pending::<()>());
        stopped.abort();
        assert_eq!(unfinished(&stopped.await.expect_err("it is stopped")), FetchError::Stopping);
    }
}
