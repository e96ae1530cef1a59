//! Towards the service: the request as it is sent on, the connection it is sent by, and what came back.

mod handshake;
mod headers;
mod refusal;

pub(crate) use handshake::Handshake;
pub(crate) use headers::{RequestHeaders, strip_hop_by_hop};
pub(crate) use refusal::{FrontRefusal, peek};

use std::pin::pin;

use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Denial, Fault, Reason, Stage};
use firegate_core::snapshot::Backend;
use firegate_files::configuration::{self, Protocol, Timeouts};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use crate::door::Refused;
use crate::limits::{UPSTREAM_BUFFER_BYTES_MAX, UPSTREAM_IDLE_CONNECTIONS_MAX, UPSTREAM_IDLE_TIMEOUT};
use crate::stream::{Body, BodyFailure, BodyProgress};

type Connections = Client<HttpsConnector<HttpConnector>, Body>;

/// A worker's connections to one backend. They are the worker's own: no other thread waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// HTTP/2 where the service offers it by ALPN, else HTTP/1.1.
    negotiated: Connections,
    /// HTTP/1.1 alone: an upgrade needs a connection of its own.
    http1: Connections,
    origin: Uri,
    host: Option<http::HeaderValue>,
    settings: Settings,
}

/// Everything that the connections are made by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    url: Url,
    connect_through: Option<Url>,
    protocol: Protocol,
    timeouts: Timeouts,
}

impl Settings {
    fn of(backend: &Backend) -> Self {
        let configuration::Backend { connect_through, protocol, timeouts, .. } = &backend.settings;
        let url = backend.endpoint().url.clone();
        Self { url, connect_through: connect_through.clone(), protocol: *protocol, timeouts: *timeouts }
    }
}

impl Upstream {
    /// Makes the connections of a worker to a backend; none is opened yet.
    pub(crate) fn new(backend: &Backend, tls: &rustls::ClientConfig) -> Self {
        let settings = Settings::of(backend);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.timeouts.connect));
        let connections = |negotiate: bool| {
            let connector =
                hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
            let connector = match negotiate {
                true => connector.enable_http1().enable_http2().wrap_connector(tcp.clone()),
                false => connector.enable_http1().wrap_connector(tcp.clone()),
            };
            Client::builder(TokioExecutor::new())
                .pool_idle_timeout(UPSTREAM_IDLE_TIMEOUT)
                .pool_max_idle_per_host(UPSTREAM_IDLE_CONNECTIONS_MAX)
                .pool_timer(TokioTimer::new())
                .http1_max_buf_size(UPSTREAM_BUFFER_BYTES_MAX)
                .timer(TokioTimer::new())
                .build(connector)
        };
        let url = &settings.url;
        let connect_to = settings.connect_through.as_ref().unwrap_or(url);
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        Self {
            negotiated: connections(settings.protocol == Protocol::Auto),
            http1: connections(false),
            origin: connect_to.as_str().parse().unwrap_or_default(),
            // Without a detour the connection writes the host, as `Host` or `:authority`, by itself.
            host: settings.connect_through.as_ref().and_then(|_| authority.parse().ok()),
            settings,
        }
    }

    /// Whether these are connections as [`new`](Self::new) would make them to this backend.
    pub(crate) fn leads_to(&self, backend: &Backend) -> bool {
        self.settings == Settings::of(backend)
    }

    /// Sends a request that is permitted and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        permit: &Permit,
        mut request: Request<Body>,
        path_and_query: &str,
        wants_upgrade: bool,
        progress: BodyProgress,
    ) -> Result<Response<Incoming>, Refused> {
        *request.uri_mut() = self.uri(path_and_query)?;
        *request.version_mut() = Version::HTTP_11;
        if let Some(host) = &self.host {
            request.headers_mut().insert(http::header::HOST, host.clone());
        }
        let connections = if wants_upgrade { &self.http1 } else { &self.negotiated };
        let mut answer = pin!(connections.request(request));
        loop {
            match tokio::time::timeout(self.settings.timeouts.response_headers, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(classify(&error, &progress, permit)),
                // The time runs from the end of the request: while its body moves on, nobody is late.
                Err(_) if progress.take_moved() => {}
                Err(_) => {
                    return Err(fault(Code::UpstreamTimedOut, "no response headers in time".to_owned()));
                }
            }
        }
    }

    fn uri(&self, path_and_query: &str) -> Result<Uri, Refused> {
        let mut parts = self.origin.clone().into_parts();
        let parsed = path_and_query.parse();
        parts.path_and_query =
            Some(parsed.map_err(|_| malformed("the request's target cannot be forwarded"))?);
        Uri::from_parts(parts).map_err(|_| malformed("the request's target cannot be forwarded"))
    }
}

fn malformed(why: &'static str) -> Refused {
    Refused::Denial(Denial { reason: Reason::RequestMalformed { why }, stage: Stage::Upstream })
}

fn fault(code: Code, detail: String) -> Refused {
    Refused::Fault(Fault { code, stage: Stage::Upstream, detail })
}

fn classify(error: &hyper_util::client::legacy::Error, progress: &BodyProgress, permit: &Permit) -> Refused {
    if let Some(failure) = progress.failure() {
        let reason = match failure {
            BodyFailure::LeaseOver => Reason::LeaseOver,
            BodyFailure::Malformed => Reason::RequestMalformed { why: "the body is malformed" },
            BodyFailure::TooLarge => {
                Reason::BodyTooLarge { bytes_max: permit.backend().settings.body_bytes_max }
            }
            BodyFailure::TooSlow => Reason::BodyTooSlow,
        };
        return Refused::Denial(Denial { reason, stage: Stage::Upstream });
    }
    let cause = causes(error);
    if is_out_of_descriptors(error) {
        return fault(Code::Overloaded, cause);
    }
    if is_protocol_error(error) {
        fault(Code::UpstreamProtocol, cause)
    } else {
        fault(Code::UpstreamUnreachable, cause)
    }
}

/// `EMFILE` and `ENFILE`: this machine has no descriptors left, which says nothing of the service.
fn is_out_of_descriptors(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.raw_os_error(), Some(23 | 24)))
}

fn is_protocol_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_parse() || error.is_parse_too_large())
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error with all its causes, for the log.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
