//! The front door: one request from its head to its answer. The decision is core's; here its needs are fetched, its
//! permit is turned into a request to the service, and its refusals are logged and rendered.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use firegate_core::assertion::{AssertionForm, plain_headers};
use firegate_core::cors::{CorsPolicy, PreflightAnswer};
use firegate_core::decision::{Decision, Need, Outcome, Step, World};
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Denial, Fault, Reason, Stage};
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::SharedClock;
use firegate_core::token_source::{ACCESS_TOKEN, presented_token, query_without_access_token};
use firegate_files::configuration::TokenSource;
use http::header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::assertions::SharedAssertions;
use crate::body::{Body, BodyProgress, BoundedBody, Bounds, ClientBody};
use crate::client_address::{ForwardedTrust, client};
use crate::control::ControlHandle;
use crate::exchange::{self, ExchangeRefused, METADATA_PATH, TOKEN_ENDPOINT};
use crate::lease::Lease;
use crate::metrics::{Decisions, Ending, Route};
use crate::request::{self, RequestHead};
use crate::respond::{ErrorForm, FIREGATE_REQUEST_ID, full, refusal};
use crate::upstream::{FrontRefusal, RequestHeaders, Tunnels, Upstream, peek, strip_hop_by_hop};
use crate::well_known;

/// Paths that are Firegate's own and never routed.
const WELL_KNOWN: &str = "/.well-known/firegate/";

/// Why a request is not forwarded, or its answer not handed on.
#[derive(Debug)]
pub(crate) enum Refused {
    Denial(Denial),
    Fault(Fault),
}

/// What every worker shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) snapshot: Snapshot,
    pub(crate) clock: SharedClock,
    pub(crate) control: ControlHandle,
    pub(crate) assertions: SharedAssertions,
    pub(crate) forwarded_trust: Option<ForwardedTrust>,
    /// `firegate dev`: only hosts that are this machine's own are answered.
    pub(crate) is_local: bool,
    pub(crate) hints: Hints,
    pub(crate) decisions: Arc<Decisions>,
    /// The places of token exchanges under way.
    pub(crate) exchanges: Semaphore,
}

/// What is said once for each backend, and not with every request.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    given: Mutex<HashSet<String>>,
}

impl Hints {
    /// The service itself answered 401, and did not get the user's token.
    fn user_token_dropped(&self, backend: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.insert(backend.to_owned()) {
            tracing::info!(
                backend,
                "the service itself answered 401 and did not get the user's token; hint: if it verifies Firebase tokens, set \
                 `user_token: forward`"
            );
        }
    }
}

/// A worker's front door: what is shared, and the worker's own connections.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    upstreams: Arc<HashMap<String, Upstream>>,
    tunnels: Tunnels,
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>, tls: &rustls::ClientConfig, tunnels: Tunnels) -> Self {
        let upstream = |backend: &Arc<Backend>| (backend.name.clone(), Upstream::new(backend, tls));
        let upstreams = Arc::new(shared.snapshot.backends.iter().map(upstream).collect());
        Self { shared, upstreams, tunnels }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let request_id = request_id();
        let form = ErrorForm::of(request.headers());
        let origin = the_one(request.headers(), &ORIGIN).cloned();
        let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
        let (parts, body) = request.into_parts();
        let mut route = Route::NONE;
        let served = self.serve(&parts, ClientBody::new(body), upgrade, peer, &mut route, &request_id).await;
        self.shared.decisions.count(ending(&served, route), route);
        let mut response = served.unwrap_or_else(|refused| {
            let code = log_refusal(&refused, &request_id, &parts, peer);
            refusal(code, form, &request_id)
        });
        if let Some(cors) = &self.shared.snapshot.cors
            && response.extensions_mut().remove::<PreflightMarker>().is_none()
        {
            cors.decorate(origin.as_ref(), response.headers_mut());
        }
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(FIREGATE_REQUEST_ID, value);
        }
        response
    }

    async fn serve(
        &self,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        peer: IpAddr,
        route: &mut Route,
        request_id: &str,
    ) -> Result<Response<Body>, Refused> {
        let client = client(self.shared.forwarded_trust.as_ref(), peer, &parts.headers);
        let facts = request::read(parts, client.scheme).map_err(|reason| denial(reason, Stage::Facts))?;
        let head = RequestHead { facts, client };
        if self.shared.is_local && !request::is_local_host(head.facts.host) {
            let why = "the host is none of this machine's: a page may have pointed its own name here";
            return Err(denial(Reason::RequestMalformed { why }, Stage::Facts));
        }
        if let Some(name) = head.facts.path.as_str().strip_prefix(WELL_KNOWN) {
            return self.well_known(name, &head, parts, body, request_id).await;
        }
        if self.shared.snapshot.exchanges_tokens && head.facts.path.as_str() == METADATA_PATH {
            return Ok(well_known::only_reads(parts)
                .unwrap_or_else(|| exchange::metadata(&self.shared.snapshot.identity.issuer)));
        }
        let outcome = self.decide(|world| Decision::start(&head.facts, world)).await;
        let backend = match &outcome {
            Outcome::Permit(permit) => Some(permit.backend()),
            _ => self.shared.snapshot.routes.select(&head.facts.path),
        };
        *route = backend.map_or(Route::NONE, |backend| self.shared.decisions.route(backend));
        match outcome {
            Outcome::Permit(permit) => self.forward(*permit, &head, parts, body, upgrade).await,
            Outcome::Respond(answer) => Ok(preflight(answer)),
            Outcome::Denial(denial) => Err(Refused::Denial(denial)),
            Outcome::Fault(fault) => Err(Refused::Fault(fault)),
        }
    }

    /// Drives the decision, fetching what it needs.
    pub(crate) async fn decide<'a>(&self, start: impl FnOnce(&World<'_>) -> Step<'a>) -> Outcome {
        let Shared { snapshot, clock, control, .. } = &*self.shared;
        let accounts = control.accounts();
        let mut keys = control.key_ring();
        let mut step = start(&World { snapshot, keys: &keys.ring, accounts, now: clock.now() });
        loop {
            let (need, decision) = match step {
                Step::Done(outcome) => return outcome,
                Step::Need(need, decision) => (need, decision),
            };
            let answer = match need {
                Need::KeyRefresh { kind, unknown_key_id } => {
                    control.refresh_keys(kind, unknown_key_id.as_deref(), &keys).await
                }
                Need::AccountStatus { tenant, uid } => control.account_status(tenant.as_deref(), &uid).await,
                Need::AppCheckConsume { token } => control.consume(&token).await,
            };
            keys = control.key_ring();
            step = decision.resume(answer, &World { snapshot, keys: &keys.ring, accounts, now: clock.now() });
        }
    }

    async fn forward(
        &self,
        permit: Permit,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
    ) -> Result<Response<Body>, Refused> {
        let backend = Arc::clone(permit.backend());
        self.note_unchecked(&permit);
        let google_token = self.shared.control.google_token(&permit, &head.facts, None).await?;
        let sent_google_token = google_token.is_some();
        let identity = self.identity_headers(&permit)?;
        let Some(upstream) = self.upstreams.get(&backend.name) else {
            return Err(fault(Code::Internal, Stage::Upstream, "the worker does not know the backend"));
        };
        let (lease, wants_upgrade) = (self.lease(&permit), head.facts.is_web_socket);
        let (body, progress) = bounded_request_body(body, &backend, &parts.headers, lease.clone())?;
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        RequestHeaders {
            client: head.client,
            host: head.facts.host,
            removal: permit.removal(),
            copies_authorization: permit.copies_authorization(),
            wants_upgrade,
            identity,
            google_token,
        }
        .apply(request.headers_mut());
        let target = target(head, &permit);
        let mut response = upstream.send(&permit, request, &target, wants_upgrade, progress).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            conceal_token(response.headers_mut(), head, &backend);
            return self.switch(response, parts, upgrade, &backend, &lease);
        }
        if response.status() == StatusCode::UNAUTHORIZED && permit.drops_token() {
            self.shared.hints.user_token_dropped(&backend.name);
        }
        hand_back(response, parts, &permit, sent_google_token, lease).await
    }

    /// A user who could not be looked up and is let in all the same is counted and named.
    pub(crate) fn note_unchecked(&self, permit: &Permit) {
        if let Some(user) = permit.user().filter(|_| permit.is_unchecked()) {
            self.shared.decisions.count_allowed_on_failure();
            let (backend, uid) = (&permit.backend().name, &user.uid);
            tracing::warn!(
                backend,
                ?uid,
                "let in without a look-up, because `revocation.on_failure` is `allow`"
            );
        }
    }

    fn identity_headers(&self, permit: &Permit) -> Result<Vec<(HeaderName, HeaderValue)>, Refused> {
        let mut headers = plain_headers(permit);
        let form = AssertionForm::of(permit.backend().identity_headers());
        if let (Some(principal), Some(form)) = (permit.principal(), form) {
            let audience = &permit.backend().endpoint().audience;
            let assertion =
                self.shared.assertions.assertion(form, principal, audience, self.shared.clock.now());
            match assertion {
                Ok(Some(value)) => headers.push((form.header(), value)),
                Ok(None) => {}
                Err(error) => return Err(fault(Code::Internal, Stage::Credential, error)),
            }
        }
        Ok(headers)
    }

    /// How long the stream that this permit opens lasts.
    fn lease(&self, permit: &Permit) -> Lease {
        let lease = permit.lease();
        Lease {
            until: lease.until.map(|until| Instant::now() + until.since(self.shared.clock.now())),
            watch: lease.revocable.and_then(|user| self.shared.control.watch(user)).map(Arc::new),
        }
    }

    fn switch(
        &self,
        mut response: Response<Incoming>,
        parts: &Parts,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        backend: &Backend,
        lease: &Lease,
    ) -> Result<Response<Body>, Refused> {
        // Nothing is copied before the service has confirmed the very protocol that the client asked for.
        let protocol = response.headers().get(UPGRADE).cloned();
        let asked = parts.headers.get(UPGRADE).and_then(|value| value.to_str().ok());
        let confirmed = protocol.as_ref().and_then(|value| value.to_str().ok());
        let (Some(client), Some(asked), Some(confirmed)) = (upgrade, asked, confirmed) else {
            return Err(fault(
                Code::UpstreamProtocol,
                Stage::Upstream,
                "the service switched protocols unasked",
            ));
        };
        if !asked.split(',').any(|name| name.trim().eq_ignore_ascii_case(confirmed.trim())) {
            return Err(fault(
                Code::UpstreamProtocol,
                Stage::Upstream,
                "the service switched to another protocol",
            ));
        }
        let service = hyper::upgrade::on(&mut response);
        self.tunnels.join(client, service, backend.settings.timeouts.idle, lease);
        let mut answer = Response::new(full(""));
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        strip_hop_by_hop(answer.headers_mut());
        answer.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            answer.headers_mut().insert(UPGRADE, protocol);
        }
        Ok(answer)
    }

    /// What Firegate itself answers on the public listener.
    async fn well_known(
        &self,
        name: &str,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        request_id: &str,
    ) -> Result<Response<Body>, Refused> {
        let Snapshot { cors, exchanges_tokens, .. } = &self.shared.snapshot;
        match name {
            TOKEN_ENDPOINT if *exchanges_tokens => match cors {
                Some(cors) if CorsPolicy::is_preflight(&head.facts) => {
                    let answer = cors.preflight(&head.facts);
                    answer.map(preflight).map_err(|reason| denial(reason, Stage::Cors))
                }
                _ => Ok(self.exchange(head, parts, body, request_id).await),
            },
            "jwks.json" => Ok(well_known::jwk_set(parts, &self.shared.assertions.keys())),
            "ready" => Ok(well_known::ready(parts, self.shared.control.is_ready())),
            _ => Err(denial(Reason::RouteNotFound, Stage::Route)),
        }
    }
}

/// The value of a header that has exactly one: of two, nobody knows which the other side would go by.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The path and query as they are forwarded: the path that was matched, and the query without the user's token.
fn target(head: &RequestHead<'_>, permit: &Permit) -> String {
    let path = head.facts.path.as_str();
    let without_token = head.facts.query.filter(|_| permit.removal().query).map(query_without_access_token);
    match without_token.unwrap_or_else(|| head.facts.query.map(str::to_owned)) {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// A token that was offered as a subprotocol is never answered as the one that was chosen, not even by a service that got it.
fn conceal_token(answered: &mut HeaderMap, head: &RequestHead<'_>, backend: &Backend) {
    let token = presented_token(&head.facts, backend.token_sources()).ok().flatten();
    let Some(token) = token.filter(|token| token.source == TokenSource::WebsocketProtocol) else { return };
    let names = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == token.text.as_bytes() || name == ACCESS_TOKEN.as_bytes())
    };
    if answered.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(names) {
        answered.remove(SEC_WEBSOCKET_PROTOCOL);
    }
}

/// The answer to a preflight.
fn preflight(answer: PreflightAnswer) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = answer.headers;
    response.extensions_mut().insert(PreflightMarker);
    response
}

/// Marks an answer whose CORS headers are complete.
#[derive(Clone, Copy, Debug)]
struct PreflightMarker;

/// How a request ended, for the counters.
fn ending(served: &Result<Response<Body>, Refused>, route: Route) -> Ending {
    match served {
        Ok(response) if response.extensions().get::<PreflightMarker>().is_some() => Ending::Respond,
        Ok(response) if let Some(ExchangeRefused(code)) = response.extensions().get() => {
            Ending::Refused(*code)
        }
        Ok(_) if route == Route::NONE => Ending::Respond,
        Ok(_) => Ending::Permit,
        Err(Refused::Denial(denial)) => Ending::Refused(denial.reason.code()),
        Err(Refused::Fault(fault)) => Ending::Refused(fault.code),
    }
}

/// Bounds the body that goes to the service. A length that is announced and too large is refused unread.
fn bounded_request_body(
    body: ClientBody,
    backend: &Backend,
    headers: &HeaderMap,
    lease: Lease,
) -> Result<(Body, BodyProgress), Refused> {
    let bytes_max = backend.settings.body_bytes_max;
    let announced =
        headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(denial(Reason::BodyTooLarge { bytes_max }, Stage::Upstream));
    }
    let progress = BodyProgress::default();
    let bounds = Bounds {
        bytes_max: Some(bytes_max),
        idle: Some(backend.settings.timeouts.idle),
        lease,
        strips_protected_trailers: true,
        progress: progress.clone(),
    };
    Ok((BoundedBody::new(body, bounds).boxed_unsync(), progress))
}

/// Hands the service's answer to the client, unless Cloud Run's front wrote it about Firegate.
async fn hand_back(
    response: Response<Incoming>,
    asked: &Parts,
    permit: &Permit,
    sent_google_token: bool,
    lease: Lease,
) -> Result<Response<Body>, Refused> {
    let backend = permit.backend();
    let (mut parts, body) = response.into_parts();
    let bounds = Bounds { idle: Some(backend.settings.timeouts.idle), lease, ..Bounds::default() };
    let suspicion = FrontRefusal::suspect(parts.status, &parts.headers).filter(|_| sent_google_token);
    let body = match suspicion {
        None => BoundedBody::new(body, bounds).boxed_unsync(),
        Some(suspicion) => {
            let (start, body) = peek(body).await;
            let is_confirmed = match asked.method {
                Method::HEAD => suspicion.is_confirmed_without_body(&parts.headers, &asked.uri),
                _ => suspicion.is_confirmed_by(&parts.headers, &start),
            };
            if is_confirmed {
                let detail = format!("{} answered {}: {}", backend.name, parts.status, suspicion.hint());
                return Err(fault(Code::CloudRunRefusedFiregate, Stage::Upstream, detail));
            }
            BoundedBody::new(body, bounds).boxed_unsync()
        }
    };
    strip_hop_by_hop(&mut parts.headers);
    if parts.status == StatusCode::NO_CONTENT {
        // It has no content (RFC 9110, section 8.6); an HTTP/2 client takes a length for a broken promise.
        parts.headers.remove(http::header::CONTENT_LENGTH);
    }
    Ok(Response::from_parts(parts, body))
}

pub(crate) fn denial(reason: Reason, stage: Stage) -> Refused {
    Refused::Denial(Denial { reason, stage })
}

pub(crate) fn fault(code: Code, stage: Stage, detail: impl ToString) -> Refused {
    Refused::Fault(Fault { code, stage, detail: detail.to_string() })
}

/// One line for every refusal, with the evidence that the client does not get.
fn log_refusal(refused: &Refused, request_id: &str, parts: &Parts, peer: IpAddr) -> Code {
    let (method, path, with_token) =
        (&parts.method, parts.uri.path(), parts.headers.contains_key(AUTHORIZATION));
    match refused {
        Refused::Denial(Denial { reason, stage }) => {
            let (code, hint) = (reason.code(), reason.code().entry().fix);
            let status = code.entry().status;
            tracing::info!(
                %code, status, stage = stage.as_str(), request_id, %method, path, %peer, with_token,
                evidence = %reason, hint, "refused"
            );
            code
        }
        Refused::Fault(Fault { code, stage, detail }) => {
            let (status, hint) = (code.entry().status, code.entry().fix);
            tracing::warn!(
                %code, status, stage = stage.as_str(), request_id, %method, path, %peer, with_token, detail, hint,
                "failed"
            );
            *code
        }
    }
}

/// 128 random bits, so that ids of several replicas never meet.
fn request_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness the id names nothing, which harms no one but the reader of the log.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
