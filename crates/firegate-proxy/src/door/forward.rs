//! From a decision to forward to the service and back: the request that the service gets, and what the client gets of its answer.

use std::sync::Arc;
use std::time::Duration;

use firegate_core::assertion::{AssertionForm, plain_headers};
use firegate_core::forwarded::Client;
use firegate_core::observed::Forwarding;
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::route::{HeaderActions, HeaderFacts, RouteEntry};
use firegate_core::snapshot::Backend;
use firegate_core::time::UnixTime;
use firegate_core::token_source::{ACCESS_TOKEN, presented_token, query_without_access_token};
use firegate_files::configuration::TokenSource;
use http::header::{CONTENT_LENGTH, EXPECT, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::response::Parts as ResponseParts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error_page::error_page;
use super::mirror::Mirrored;
use super::{Refused, RequestContext, denial, fault};
use crate::connection::Arrival;
use crate::generation::Generation;
use crate::request::RequestHead;
use crate::respond::{ErrorForm, full};
use crate::stream::{
    Body, BodyProgress, BoundedBody, Bounds, ClientBody, ContainedBody, Ending, Lease, Pace, Side,
    TunnelClient, copied,
};
use crate::telemetry::RequestRecord;
use crate::upstream::{
    FrontRefusal, Handshake, Passage, RequestHeaders, Retries, Sending, ServiceBody, ServiceHost, TimeLimits,
    is_switched, peek, strip_hop_by_hop,
};

/// A request on its way.
struct Forward<'a> {
    context: &'a RequestContext<'a>,
    forwarding: &'a Forwarding,
    head: &'a RequestHead<'a>,
    parts: &'a Parts,
    /// The WebSocket that the client asked for.
    handshake: Option<Handshake>,
    lease: Lease,
    /// How far both bodies are.
    progress: BodyProgress,
}

/// An answer that Cloud Run's front wrote about Firegate.
struct RefusedByFront {
    by: FrontRefusal,
    status: StatusCode,
    /// The request's place among those under way: it may be sent once more.
    passage: Passage,
}

impl RequestContext<'_> {
    /// Sends a request to its service: with the leave's credentials, or with none if the backend is only observed.
    pub(super) async fn forward(
        &self,
        forwarding: Forwarding,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        record: &mut RequestRecord,
    ) -> Result<Response<Body>, Refused> {
        let backend = forwarding.backend();
        if let Some(permit) = forwarding.permit() {
            if let Some(user) = permit.user() {
                record.is_of_user(&user.uid);
            }
            self.note_unchecked(permit);
        }
        let route = forwarding.route();
        inject_faults(route).await?;
        let mut retries = route.and_then(RouteEntry::retry).map(Retries::new);
        let per_try = retries.as_ref().and_then(Retries::per_try_timeout);
        let (whole, stream) =
            (route.and_then(RouteEntry::timeout), route.and_then(RouteEntry::max_stream_duration));
        let limits = TimeLimits { whole, per_try, stream };
        let mut passage = self.enter(backend, limits, body.is_end_stream())?;
        let lease = self.lease(&forwarding);
        let (mut body, progress) =
            self.bounded_request_body(body, backend, parts, &lease, passage.deadline())?;
        let is_without_body = body.is_end_stream();
        let wants_upgrade = head.facts.is_web_socket;
        let handshake = wants_upgrade.then(|| Handshake::begin(parts.version, &parts.headers)).transpose()?;
        if passage.upgrades_over_http2() && handshake.as_ref().is_some_and(|asked| !asked.can_be_answered()) {
            let why = "the WebSocket's handshake has no key, or more than one";
            return Err(denial(Reason::RequestMalformed { why }, Stage::Upstream));
        }
        let sending = Sending {
            target: service_target(head, &forwarding)?,
            host: service_host(route)?,
            wants_upgrade,
            progress: progress.clone(),
        };
        let forward =
            Forward { context: self, forwarding: &forwarding, head, parts, handshake, lease, progress };
        if !wants_upgrade {
            body = forward.mirror(&sending.target, body);
        }
        let control = &self.generation.control;
        let mut has_reminted = false;
        loop {
            let audience = Arc::clone(passage.audience());
            let google_token = match forwarding.permit() {
                Some(permit) => control.google_token(permit, &audience, &head.facts, None).await?,
                None => None,
            };
            let request = forward.request(&passage, google_token.clone(), body)?;
            record.sending(passage.origin());
            let sent = passage.send(request, &sending).await;
            record.sent();
            let mut response = match sent {
                Ok(response) => response,
                Err(failure) => {
                    (passage, body) = match &mut retries {
                        Some(retries) => Box::pin(failure.again_by(retries)).await?,
                        None => failure.again()?,
                    };
                    continue;
                }
            };
            if is_switched(&response, wants_upgrade) {
                return forward.switch(response, upgrade, record);
            }
            if forward.handshake.as_ref().is_some_and(|handshake| handshake.is_misled_by(response.status())) {
                let detail =
                    format!("the service answered a WebSocket's handshake with {}", response.status());
                return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
            }
            let may_retry = is_without_body && !wants_upgrade;
            if let Some(pause) = pause_before_retry(&mut response, retries.as_mut().filter(|_| may_retry)) {
                Box::pin(tokio::time::sleep(pause)).await;
                (passage, body) = (response.into_body().into_passage().once_more(), full(""));
                continue;
            }
            let deadline = response.body().deadline();
            let suspicion = google_token.as_ref().and_then(|_| FrontRefusal::suspect(&response));
            let handed = match suspicion {
                None => Ok(forward.hand_back(response)),
                Some(suspicion) => Box::pin(forward.confirm(suspicion, response)).await,
            };
            let refused = match handed {
                Ok(response) => match error_page(route, response.status()) {
                    None => return Ok(response),
                    Some(page) => {
                        return Ok(Box::pin(self.with_page(page, head, parts, response, deadline)).await);
                    }
                },
                Err(refused) => refused,
            };
            // The token may have been revoked, or signed with a key that Google has withdrawn: a new one is worth a try, if not
            // for this request, of whose body something was sent, then for the next.
            let is_doubtful = refused.by == FrontRefusal::Token && !has_reminted;
            let refused_token = google_token.as_ref().filter(|_| is_doubtful);
            let has_another =
                refused_token.is_some_and(|token| control.doubt_token(backend, &audience, token));
            if !has_another || !is_without_body {
                let detail = format!("{} answered {}: {}", backend.name, refused.status, refused.by.hint());
                return Err(fault(Code::CloudRunRefusedFiregate, Stage::Upstream, detail));
            }
            has_reminted = true;
            (passage, body) = (refused.passage, full(""));
        }
    }

    /// A request's place among those under way to a backend.
    fn enter(
        &self,
        backend: &Backend,
        limits: TimeLimits,
        is_without_body: bool,
    ) -> Result<Passage, Refused> {
        let Some(upstream) = self.generation.upstream(backend) else {
            return Err(fault(Code::Internal, Stage::Upstream, "the backend is not open"));
        };
        let mut passage = upstream.enter(self.door.worker, limits)?;
        if is_without_body {
            passage.request_ended();
        }
        Ok(passage)
    }

    /// Bounds the body that goes to the service. A length that is announced and too large is refused unread.
    fn bounded_request_body(
        &self,
        body: ClientBody,
        backend: &Backend,
        asked: &Parts,
        lease: &Lease,
        deadline: Option<Instant>,
    ) -> Result<(Body, BodyProgress), Refused> {
        let bytes_max = backend.settings.body_bytes_max;
        let announced =
            asked.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(denial(Reason::BodyTooLarge { bytes_max }, Stage::Upstream));
        }
        let progress = BodyProgress::default();
        let idle = Some(backend.settings.timeouts.idle);
        // Messages of gRPC come when there is something to say.
        let is_grpc = asked.version == Version::HTTP_2 && ErrorForm::of(&asked.headers) == ErrorForm::Grpc;
        let has_body = !body.is_end_stream();
        let bounds = Bounds {
            bytes_max: Some(bytes_max),
            idle,
            deadline,
            pace: Pace::at_least(backend.settings.body_bytes_per_second_min).filter(|_| !is_grpc),
            lease: lease.clone(),
            ending: Ending::Withhold,
            side: Side::Request,
            progress: progress.clone(),
            // If nothing moves in it, that shows in the answer or in the wait for it.
            watched: has_body.then(|| self.streams.open(lease, None)),
            ..Bounds::default()
        };
        let bounded = BoundedBody::new(body, bounds);
        let body = if has_body {
            let panics = Arc::clone(&self.door.shared.panics);
            ContainedBody::new(bounded, progress.clone(), panics).boxed_unsync()
        } else {
            bounded.boxed_unsync()
        };
        Ok((body, progress))
    }

    /// A user who could not be looked up and is let in all the same is counted and named.
    pub(crate) fn note_unchecked(&self, permit: &Permit) {
        if let Some(user) = permit.user().filter(|_| permit.is_unchecked()) {
            self.generation.decisions.count_allowed_on_failure();
            let (backend, uid) = (&permit.backend().name, &user.uid);
            tracing::warn!(
                backend,
                ?uid,
                "let in without a look-up, because `revocation.on_failure` is `allow`"
            );
        }
    }

    /// How long the stream that is opened lasts.
    fn lease(&self, forwarding: &Forwarding) -> Lease {
        let lease = forwarding.lease();
        Lease {
            until: lease.until.map(|until| Instant::now() + until.since(self.door.shared.now())),
            watch: lease.revocable.and_then(|user| self.generation.control.watch(user)).map(Arc::new),
        }
    }
}

impl Forward<'_> {
    /// The request as the endpoint that was chosen gets it.
    fn request(
        &self,
        passage: &Passage,
        google_token: Option<HeaderValue>,
        body: Body,
    ) -> Result<Request<Body>, Refused> {
        let Self { context, forwarding, head, parts, .. } = self;
        let identity = match forwarding.permit() {
            Some(permit) => {
                let now = context.door.shared.now();
                identity_headers(&context.generation, now, permit, passage.audience())?
            }
            None => Vec::new(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.facts.method.clone();
        *request.headers_mut() = RequestHeaders {
            client: head.client,
            host: head.facts.host,
            version: parts.version,
            removal: forwarding.removal(),
            copies_authorization: forwarding.permit().is_some_and(Permit::copies_authorization),
            actions: self.header_actions(),
            original_path: self.original_path(),
            handshake: self.handshake.as_ref(),
            screened: head.facts.screened.get().map_or(&[], |screened| screened.request_headers()),
            identity,
            google_token,
        }
        .of(&parts.headers);
        Ok(request)
    }

    /// Sends a copy of a request to the service that its route mirrors it to, whatever comes of it. Returns the request's body.
    fn mirror(&self, target: &PathAndQuery, body: Body) -> Body {
        let Self { context, forwarding, head, parts, .. } = self;
        let Some(permit) = forwarding.permit().and_then(Permit::mirror) else { return body };
        let progress = BodyProgress::default();
        let (body, copy) = match body.is_end_stream() {
            true => (body, full("")),
            false => copied(body, progress.clone()),
        };
        let mut headers = parts.headers.clone();
        // The client is told to go on by its service, and sends its body then.
        headers.remove(EXPECT);
        Mirrored {
            shared: Arc::clone(&context.door.shared),
            generation: Arc::clone(&context.generation),
            worker: context.door.worker,
            permit: Arc::clone(permit),
            route: forwarding.route().cloned(),
            client: head.client,
            arrival: head.arrival,
            host: head.facts.host.to_owned(),
            method: head.facts.method.clone(),
            version: parts.version,
            path: head.facts.path.clone(),
            headers,
            target: target.clone(),
            body: copy,
            progress,
        }
        .send();
        body
    }

    /// What the route does to headers, and what is known for their variables.
    fn header_actions(&self) -> Option<(&HeaderActions, HeaderFacts<'_>)> {
        let actions = self.forwarding.route()?.headers()?;
        Some((
            actions,
            header_facts(
                &self.context.generation,
                (&self.head.client, &self.head.arrival),
                self.parts.version,
            ),
        ))
    }

    /// The path that was asked for, if the service gets another one, with the query as the service gets it.
    fn original_path(&self) -> Option<HeaderValue> {
        self.forwarding.route().filter(|route| route.is_rewritten())?;
        let asked = &self.head.facts.path;
        let target = target(self.head, self.forwarding, asked).ok()?;
        HeaderValue::from_str(target.as_str()).ok()
    }

    /// Joins the two connections of a WebSocket.
    fn switch(
        &self,
        mut response: Response<ServiceBody>,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        record: &mut RequestRecord,
    ) -> Result<Response<Body>, Refused> {
        let backend = self.forwarding.backend();
        conceal_token(response.headers_mut(), self.head, backend);
        // Nothing is copied before the service has confirmed the very protocol that the client asked for.
        let (Some(upgrade), Some(handshake)) = (upgrade, &self.handshake) else {
            let detail = "the service switched protocols unasked";
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        };
        let version = response.version();
        if !handshake.is_confirmed_by(version, response.headers()) {
            let detail = "the service switched to another protocol, or to another WebSocket";
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        }
        let service = hyper::upgrade::on(&mut response);
        let mut answer = Response::new(full(""));
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        let passage = response.into_body().into_passage();
        let (idle, lease) = (backend.settings.timeouts.idle, self.lease.clone());
        let client = TunnelClient { upgrade, request: self.context.streams.begin_request() };
        let (tunnel, told) = oneshot::channel();
        record.switches(tunnel);
        self.context.door.tunnels.join(client, service, idle, lease, passage, told);
        *answer.status_mut() = handshake.answer(version, answer.headers_mut());
        Ok(answer)
    }

    /// Hands an answer to the client that Cloud Run's front may have written, unless it did so about Firegate.
    async fn confirm(
        &self,
        suspicion: FrontRefusal,
        response: Response<ServiceBody>,
    ) -> Result<Response<Body>, RefusedByFront> {
        let (parts, body) = response.into_parts();
        let bounds = self.bounds(&parts, &body);
        let (start, body) = peek(body).await;
        let is_confirmed = match self.parts.method {
            Method::HEAD => suspicion.is_confirmed_without_body(&parts.headers, &self.parts.uri),
            _ => suspicion.is_confirmed_by(&parts.headers, &start),
        };
        if is_confirmed {
            let passage = body.into_rest().into_passage();
            return Err(RefusedByFront { by: suspicion, status: parts.status, passage });
        }
        Ok(self.hand_back_parts(parts, BoundedBody::new(body, bounds).boxed_unsync()))
    }

    /// Hands the service's answer to the client.
    fn hand_back(&self, response: Response<ServiceBody>) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let bounds = self.bounds(&parts, &body);
        self.hand_back_parts(parts, BoundedBody::new(body, bounds).boxed_unsync())
    }

    /// What ends the body of an answer.
    fn bounds(&self, parts: &ResponseParts, body: &ServiceBody) -> Bounds {
        let (lease, idle) = (self.lease.clone(), Some(self.forwarding.backend().settings.timeouts.idle));
        let watched = (!body.is_end_stream()).then(|| self.context.streams.open(&lease, idle));
        let ending = Ending::of(&parts.headers, self.parts.version);
        let (deadline, progress) = (body.deadline(), self.progress.clone());
        let _answering = watched.is_some().then(|| progress.answering());
        Bounds { idle, deadline, lease, ending, watched, progress, _answering, ..Bounds::default() }
    }

    fn hand_back_parts(&self, mut parts: ResponseParts, body: Body) -> Response<Body> {
        if parts.status == StatusCode::UNAUTHORIZED
            && self.forwarding.permit().is_some_and(Permit::drops_token)
        {
            self.context.door.shared.hints.user_token_dropped(&self.forwarding.backend().name);
        }
        strip_hop_by_hop(&mut parts.headers);
        if let Some((actions, facts)) = self.header_actions() {
            actions.change_response(&mut parts.headers, &facts);
        }
        if parts.status == StatusCode::NO_CONTENT {
            // It has no content (RFC 9110, section 8.6); an HTTP/2 client takes a length for a broken promise.
            parts.headers.remove(CONTENT_LENGTH);
        }
        Response::from_parts(parts, body)
    }
}

/// What is known for the variables in the values of headers.
pub(super) fn header_facts<'a>(
    generation: &'a Generation,
    (client, arrival): (&Client, &Arrival),
    version: Version,
) -> HeaderFacts<'a> {
    // What stands between the client and this door has connections of its own, which say nothing of the client's.
    let is_direct = client.address == arrival.peer.ip().to_canonical() && client.scheme == arrival.scheme();
    let direct = Some(arrival).filter(|_| is_direct);
    HeaderFacts {
        client_port: direct.map(|arrival| arrival.peer.port()),
        server: direct.and_then(|arrival| arrival.local),
        tls_version: direct.and_then(|arrival| arrival.tls_version),
        geography: generation.snapshot.geography.as_deref(),
        client_address: client.address,
        is_encrypted: client.scheme == "https",
        protocol: match version {
            Version::HTTP_2 => "HTTP/2",
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        },
    }
}

/// Who the user is, for the services of this audience.
pub(super) fn identity_headers(
    generation: &Generation,
    now: UnixTime,
    permit: &Permit,
    audience: &str,
) -> Result<Vec<(HeaderName, HeaderValue)>, Refused> {
    let mut headers = plain_headers(permit);
    let form = AssertionForm::of(permit.backend().identity_headers());
    if let (Some(principal), Some(form)) = (permit.principal(), form) {
        match generation.assertions.assertion(form, principal, audience, now) {
            Ok(Some(value)) => headers.push((form.header(), value)),
            Ok(None) => {}
            Err(error) => return Err(fault(Code::Internal, Stage::Credential, error)),
        }
    }
    Ok(headers)
}

/// Lets a request wait, or come to nothing, as the URL map's fault injection says.
async fn inject_faults(route: Option<&RouteEntry>) -> Result<(), Refused> {
    if let Some(delay) = route.and_then(RouteEntry::delay) {
        Box::pin(tokio::time::sleep(delay)).await;
    }
    match route.and_then(RouteEntry::abort) {
        Some(status) => Err(denial(Reason::FaultInjected { status }, Stage::Route)),
        None => Ok(()),
    }
}

/// How long to wait before the request is sent once more because of its answer, if it is.
fn pause_before_retry(
    response: &mut Response<ServiceBody>,
    retries: Option<&mut Retries>,
) -> Option<Duration> {
    let retries = retries.filter(|retries| retries.cover_answer(response.status(), response.headers()))?;
    response.body_mut().begin_repeat().then(|| retries.spend())
}

/// The host that the service is told instead of its own. What a checked URL map says is a host; if it were none, the service
/// would not be asked in its own name instead.
fn service_host(route: Option<&RouteEntry>) -> Result<Option<ServiceHost>, Refused> {
    let host = route.and_then(RouteEntry::host).map(str::parse::<ServiceHost>).transpose();
    host.map_err(|error| fault(Code::Internal, Stage::Upstream, error.to_string()))
}

/// The path and query as they are forwarded: the path that was matched, or what the route makes of it, and the query without
/// the user's token.
fn service_target(head: &RequestHead<'_>, forwarding: &Forwarding) -> Result<PathAndQuery, Refused> {
    let asked = &head.facts.path;
    target(head, forwarding, forwarding.route().map_or(asked, |route| route.path(asked)))
}

/// A path, with the query without the user's token.
fn target(
    head: &RequestHead<'_>,
    forwarding: &Forwarding,
    path: &NormalPath,
) -> Result<PathAndQuery, Refused> {
    let path = path.as_str();
    let without_token =
        head.facts.query.filter(|_| forwarding.removal().query).map(query_without_access_token);
    let target = match without_token.unwrap_or_else(|| head.facts.query.map(str::to_owned)) {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let why = "the request's target cannot be forwarded";
    PathAndQuery::from_maybe_shared(target)
        .map_err(|_| denial(Reason::RequestMalformed { why }, Stage::Upstream))
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
