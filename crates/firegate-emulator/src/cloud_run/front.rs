use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use firegate_core::jose::KeySet;
use firegate_core::time::SharedClock;
use http::request::Parts;
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::forward::Forwarder;
use super::judge::{Arrival, CloudRunService, DisputedStatuses, has_credential, judge};
use super::pages;
use super::trace_context::TraceContext;
use super::verdict::{Admission, Refusal, RefusalCause, Verdict};
use crate::google::GoogleKeys;

/// The path that Google's front end keeps for itself. Others are said to be reserved; this one is seen to be.
const RESERVED_PATH: &str = "/healthz";

/// What the front knows.
#[derive(Clone, Debug)]
pub struct CloudRunOptions {
    /// The services, each under its own hosts.
    pub services: Vec<CloudRunService>,
    /// Where reports about Cloud Run disagree.
    pub statuses: DisputedStatuses,
    /// The keys of Google's ID tokens.
    pub keys: GoogleKeys,
    /// The time.
    pub clock: SharedClock,
}

/// Cloud Run's front: it judges every request by IAM and forwards what passes to the container. Clones share
/// everything, so that the same services can be served on a listener for the Internet and on one for their network.
#[derive(Clone, Debug)]
pub struct CloudRunFront {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: CloudRunOptions,
    stopping: watch::Sender<bool>,
}

#[derive(Clone, Debug)]
struct Listening {
    shared: Arc<Shared>,
    arrival: Arrival,
}

impl CloudRunFront {
    /// Takes the configuration. Nothing is contacted: a container may start, end and start again at any time.
    pub fn new(options: CloudRunOptions) -> Self {
        Self { shared: Arc::new(Shared { options, stopping: watch::Sender::new(false) }) }
    }

    /// Serves requests that count as arriving from `arrival` until `shutdown` completes. HTTP/1, h2c and upgrades.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        arrival: Arrival,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let listening = Listening { shared: Arc::clone(&self.shared), arrival };
        let router = Router::new().fallback(answer).with_state(listening);
        let shared = self.shared;
        let signal = async move {
            shutdown.await;
            shared.stopping.send_replace(true);
        };
        crate::serve::serve(listener, router, signal).await
    }
}

async fn answer(
    State(Listening { shared, arrival }): State<Listening>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let trace = TraceContext::of(&parts.headers);
    match shared.admit(&parts, arrival).await {
        Ok((service, admission)) => {
            let forwarder = Forwarder { service, admission: &admission, peer, trace: &trace };
            forwarder.forward(Request::from_parts(parts, body), shared.stopping.subscribe()).await
        }
        Err(Stop::Refusal(Refusal { status, cause })) => {
            let path = parts.uri.path();
            tracing::warn!(%cause, method = %parts.method, path, "{}", cause.log_text());
            pages::refusal(status, &cause, path, &trace)
        }
        Err(Stop::NoKeys) => pages::upstream(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is currently unavailable.\n",
            &trace,
        ),
    }
}

/// Why a request goes no further.
enum Stop {
    Refusal(Refusal),
    NoKeys,
}

impl Shared {
    async fn admit(&self, request: &Parts, arrival: Arrival) -> Result<(&CloudRunService, Admission), Stop> {
        let CloudRunOptions { services, statuses, keys, clock } = &self.options;
        let refuse = |cause| Stop::Refusal(statuses.refuse(cause));
        let host = host(request);
        let path = request.uri.path();
        if path == RESERVED_PATH {
            return Err(refuse(RefusalCause::ReservedPath(path.to_owned())));
        }
        let service = services
            .iter()
            .find(|service| service.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
            .ok_or_else(|| refuse(RefusalCause::ForeignHost(host.to_owned())))?;
        if !service.ingress.admits(arrival) {
            return Err(refuse(RefusalCause::IngressBlocked));
        }
        // A request without a token does not wait for the key, which may still be in the making.
        let keys = if has_credential(&request.headers) {
            keys.key_set().await.map_err(|error| {
                tracing::error!(%error, "cannot verify tokens");
                Stop::NoKeys
            })?
        } else {
            Arc::new(KeySet::default())
        };
        match judge(service, &request.headers, &keys, clock.now(), statuses) {
            Verdict::Admit(admission) => Ok((service, admission)),
            Verdict::Refuse(refusal) => Err(Stop::Refusal(refusal)),
        }
    }
}

/// The host that the request is addressed to; empty if there is none, or more than one.
fn host(request: &Parts) -> &str {
    if let Some(authority) = request.uri.authority() {
        return authority.as_str();
    }
    let mut values = request.headers.get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        _ => "",
    }
}
