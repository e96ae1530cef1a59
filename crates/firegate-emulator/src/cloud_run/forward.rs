//! The way of an admitted request to its container and back. Each request has a connection of its own: a container
//! that was restarted a moment ago leaves no dead connection behind to fail on, and on loopback a connection costs
//! next to nothing.

use std::io;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::watch;
use url::{Host, Url};

use super::judge::{CloudRunService, SIGNATURE_REMOVED};
use super::pages::{self, CLOUD_TRACE_CONTEXT, SERVER};
use super::trace_context::TraceContext;
use super::verdict::{Admission, CredentialHeader};
use crate::limits::{CONTAINER_CONNECT_TIMEOUT, CONTAINER_RESPONSE_TIMEOUT};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The headers that belong to one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Why the container did not answer.
#[derive(Debug, thiserror::Error)]
enum ContainerError {
    #[error("cannot connect to the container at {0}: {1}; start your service there")]
    Connect(Url, io::Error),
    #[error("the container at {0} ended the connection before it answered: {1}")]
    Exchange(Url, hyper::Error),
    #[error("the container at {0} did not answer in {1} seconds")]
    Late(Url, u64),
    #[error("the request cannot be written for the container at {0}: {1}")]
    Request(Url, http::Error),
}

/// Everything about an admitted request but the request.
pub(super) struct Forwarder<'a> {
    pub(super) service: &'a CloudRunService,
    pub(super) admission: &'a Admission,
    pub(super) peer: SocketAddr,
    pub(super) trace: &'a TraceContext,
}

impl Forwarder<'_> {
    /// The container's answer, streamed; or Google's about a container that has none. An upgraded connection ends when
    /// `stopping` says so.
    pub(super) async fn forward(&self, mut request: Request, stopping: watch::Receiver<bool>) -> Response {
        let upgrade = upgrade_protocol(request.headers()).filter(|_| !self.service.use_http2);
        let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        self.prepare_headers(request.headers_mut(), upgrade);
        let sent = tokio::time::timeout(CONTAINER_RESPONSE_TIMEOUT, self.send(request)).await;
        let container = || self.service.container.clone();
        let late = |_| ContainerError::Late(container(), CONTAINER_RESPONSE_TIMEOUT.as_secs());
        match sent.map_err(late).flatten() {
            Ok(response) => self.returned(response, client, stopping),
            Err(error) => {
                tracing::warn!(%error, "the container did not answer");
                let (status, text) = match error {
                    ContainerError::Connect(..) => (
                        StatusCode::SERVICE_UNAVAILABLE,
                        "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
                    ),
                    ContainerError::Exchange(..) => (
                        StatusCode::SERVICE_UNAVAILABLE,
                        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
                    ),
                    ContainerError::Late(..) => (StatusCode::GATEWAY_TIMEOUT, "upstream request timeout"),
                    ContainerError::Request(..) => (StatusCode::BAD_REQUEST, "bad request"),
                };
                pages::upstream(status, text, self.trace)
            }
        }
    }

    /// Makes of the client's headers what the container sees.
    fn prepare_headers(&self, headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
        let takes_trailers = headers.get_all(header::TE).iter().any(|value| value.as_bytes() == b"trailers");
        remove_hop_by_hop(headers);
        if takes_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if let Some(protocol) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, protocol);
        }
        if let Some(which) = self.admission.validated {
            remove_signature(headers, which);
        }
        let address = self.peer.ip().to_canonical();
        append(headers, FORWARDED_FOR, &address.to_string());
        let node = if address.is_ipv6() { format!("\"[{address}]\"") } else { address.to_string() };
        append(headers, header::FORWARDED, &format!("for={node};proto=https"));
        // Cloud Run ends TLS, so that this is what a deployed container sees; many redirect to https without it.
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        self.trace.apply(headers);
    }

    async fn send(&self, request: Request) -> Result<http::Response<Incoming>, ContainerError> {
        let container = || self.service.container.clone();
        let stream = self.connect().await.map_err(|error| ContainerError::Connect(container(), error))?;
        let io = TokioIo::new(stream);
        let exchange = |error| ContainerError::Exchange(container(), error);
        let request = self.addressed(request).map_err(|error| ContainerError::Request(container(), error))?;
        if self.service.use_http2 {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.map_err(exchange)?;
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(exchange)
        } else {
            let (mut sender, connection) = http1::handshake(io).await.map_err(exchange)?;
            tokio::spawn(connection.with_upgrades());
            sender.send_request(request).await.map_err(exchange)
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let container = &self.service.container;
        let port = container.port_or_known_default().unwrap_or(80);
        let connecting = async {
            match container.host() {
                Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
                Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
                Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
                None => Err(io::Error::new(io::ErrorKind::InvalidInput, "its address names no host")),
            }
        };
        let stream = tokio::time::timeout(CONTAINER_CONNECT_TIMEOUT, connecting).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The request as the container's protocol wants it: the host that the client asked for goes along in `Host`, or
    /// in HTTP/2 in `:authority`.
    fn addressed(&self, request: Request) -> Result<Request, http::Error> {
        let (mut parts, body) = request.into_parts();
        let host = parts.headers.get(header::HOST).cloned();
        let authority = match parts.uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok()),
        };
        let path = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(path);
        if self.service.use_http2 {
            parts.version = Version::HTTP_2;
            parts.headers.remove(header::HOST);
            uri.scheme = Some(Scheme::HTTP);
            uri.authority =
                authority.or_else(|| Authority::try_from(self.service.container.authority()).ok());
        } else {
            parts.version = Version::HTTP_11;
            if let (None, Some(authority)) = (host, authority) {
                parts.headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
            }
        }
        parts.uri = Uri::from_parts(uri)?;
        Ok(Request::from_parts(parts, body))
    }

    fn returned(
        &self,
        mut response: http::Response<Incoming>,
        client: Option<OnUpgrade>,
        stopping: watch::Receiver<bool>,
    ) -> Response {
        let mut upgraded_headers = None;
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(client)) = (response.status(), client) {
            let container = hyper::upgrade::on(&mut response);
            upgraded_headers = upgrade_protocol(response.headers());
            tokio::spawn(tunnel(client, container, stopping));
        }
        let (mut parts, body) = response.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        if let Some(protocol) = upgraded_headers {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(header::UPGRADE, protocol);
        }
        parts.headers.insert(header::SERVER, SERVER);
        parts.headers.insert(CLOUD_TRACE_CONTEXT, self.trace.response_value());
        parts.version = Version::HTTP_11;
        Response::from_parts(parts, Body::new(body))
    }
}

/// Carries bytes both ways until one side ends or the front stops.
async fn tunnel(client: OnUpgrade, container: OnUpgrade, mut stopping: watch::Receiver<bool>) {
    let carried = async {
        let (client, container) = (client.await?, container.await?);
        let (mut client, mut container) = (TokioIo::new(client), TokioIo::new(container));
        tokio::io::copy_bidirectional(&mut client, &mut container).await?;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    };
    tokio::select! {
        result = carried => {
            if let Err(error) = result {
                tracing::debug!(%error, "an upgraded connection ended");
            }
        }
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// The protocol that both `Connection` and `Upgrade` ask for.
fn upgrade_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| asks).cloned()
}

/// Removes the headers of the connection, and those that `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        // A client must not make the front drop what it is judged and told apart by.
        .filter(|name| *name != header::HOST && *name != header::AUTHORIZATION)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Replaces the signature of a validated token, in the header it came in.
fn remove_signature(headers: &mut HeaderMap, which: CredentialHeader) {
    let replaced = headers
        .get(which.name())
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit_once('.'))
        .and_then(|(unsigned, _)| HeaderValue::from_str(&format!("{unsigned}.{SIGNATURE_REMOVED}")).ok());
    match replaced {
        Some(value) => headers.insert(which.name(), value),
        None => headers.remove(which.name()),
    };
}

/// Adds to the list that a header holds.
fn append(headers: &mut HeaderMap, name: HeaderName, entry: &str) {
    let mut list: Vec<_> =
        headers.get_all(&name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    list.push(entry.to_owned());
    if let Ok(value) = HeaderValue::from_str(&list.join(",")) {
        headers.insert(name, value);
    }
}
