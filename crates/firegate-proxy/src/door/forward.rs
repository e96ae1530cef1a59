//! From a permit to the service and back: the request that the service gets, and what the client gets of its answer.

use std::sync::Arc;

use firegate_core::assertion::{AssertionForm, plain_headers};
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::snapshot::Backend;
use firegate_core::token_source::{ACCESS_TOKEN, presented_token, query_without_access_token};
use firegate_files::configuration::TokenSource;
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_PROTOCOL};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts,
};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{Refused, RequestContext, denial, fault};
use crate::request::RequestHead;
use crate::respond::{ErrorForm, full};
use crate::stream::{
    Body, BodyProgress, BoundedBody, Bounds, ClientBody, ConnectionStreams, Ending, Lease, Pace, Side,
};
use crate::telemetry::RequestRecord;
use crate::upstream::{FrontRefusal, Handshake, RequestHeaders, peek, strip_hop_by_hop};

/// What the bodies of an exchange have in common.
struct Flow<'a> {
    lease: Lease,
    streams: &'a ConnectionStreams,
    progress: BodyProgress,
}

impl RequestContext<'_> {
    /// Sends a permitted request to its service.
    pub(super) async fn forward(
        &self,
        permit: Permit,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        record: &mut RequestRecord,
    ) -> Result<Response<Body>, Refused> {
        if let Some(user) = permit.user() {
            record.is_of_user(&user.uid);
        }
        let backend = Arc::clone(permit.backend());
        self.note_unchecked(&permit);
        let google_token = self.generation.control.google_token(&permit, &head.facts, None).await?;
        let sent_google_token = google_token.is_some();
        let identity = self.identity_headers(&permit)?;
        let Some(upstream) = self.generation.upstream(self.door.worker, &backend) else {
            return Err(fault(Code::Internal, Stage::Upstream, "the worker does not know the backend"));
        };
        let (lease, wants_upgrade) = (self.lease(&permit), head.facts.is_web_socket);
        let handshake = wants_upgrade.then(|| Handshake::begin(parts.version)).transpose()?;
        let (body, progress) = bounded_request_body(body, &backend, parts, &lease, self.streams)?;
        let mut request = Request::new(body);
        *request.method_mut() = head.facts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        RequestHeaders {
            client: head.client,
            host: head.facts.host,
            version: parts.version,
            removal: permit.removal(),
            copies_authorization: permit.copies_authorization(),
            handshake: handshake.as_ref(),
            identity,
            google_token,
        }
        .apply(request.headers_mut());
        let target = target(head, &permit);
        record.sending();
        let answer = upstream.send(&permit, request, &target, wants_upgrade, progress.clone()).await;
        record.sent(1);
        let mut response = answer?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            conceal_token(response.headers_mut(), head, &backend);
            return self.switch(response, handshake.as_ref(), upgrade, &backend, lease);
        }
        if handshake.is_some_and(|handshake| handshake.is_misled_by(response.status())) {
            let detail = format!("the service answered a WebSocket's handshake with {}", response.status());
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        }
        if response.status() == StatusCode::UNAUTHORIZED && permit.drops_token() {
            self.door.shared.hints.user_token_dropped(&backend.name);
        }
        let flow = Flow { lease, streams: self.streams, progress };
        hand_back(response, parts, &permit, sent_google_token, flow).await
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

    fn identity_headers(&self, permit: &Permit) -> Result<Vec<(HeaderName, HeaderValue)>, Refused> {
        let mut headers = plain_headers(permit);
        let form = AssertionForm::of(permit.backend().identity_headers());
        if let (Some(principal), Some(form)) = (permit.principal(), form) {
            let audience = &permit.backend().endpoint().audience;
            let assertion =
                self.generation.assertions.assertion(form, principal, audience, self.door.shared.now());
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
            until: lease.until.map(|until| Instant::now() + until.since(self.door.shared.now())),
            watch: lease.revocable.and_then(|user| self.generation.control.watch(user)).map(Arc::new),
        }
    }

    /// Joins the two connections of a WebSocket.
    fn switch(
        &self,
        mut response: Response<Incoming>,
        handshake: Option<&Handshake>,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        backend: &Backend,
        lease: Lease,
    ) -> Result<Response<Body>, Refused> {
        // Nothing is copied before the service has confirmed the very protocol that the client asked for.
        let (Some(client), Some(handshake)) = (upgrade, handshake) else {
            let detail = "the service switched protocols unasked";
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        };
        if !handshake.is_confirmed_by(response.headers()) {
            let detail = "the service switched to another protocol, or to another WebSocket";
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        }
        let service = hyper::upgrade::on(&mut response);
        self.door.tunnels.join(client, service, backend.settings.timeouts.idle, lease);
        let mut answer = Response::new(full(""));
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        *answer.status_mut() = handshake.answer(answer.headers_mut());
        Ok(answer)
    }
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

/// Bounds the body that goes to the service. A length that is announced and too large is refused unread.
fn bounded_request_body(
    body: ClientBody,
    backend: &Backend,
    asked: &Parts,
    lease: &Lease,
    streams: &ConnectionStreams,
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
    let bounds = Bounds {
        bytes_max: Some(bytes_max),
        idle,
        pace: (!is_grpc).then(Pace::default),
        lease: lease.clone(),
        ending: Ending::Withhold,
        side: Side::Request,
        progress: progress.clone(),
        // If nothing moves in it, that shows in the answer or in the wait for it.
        watched: (!body.is_end_stream()).then(|| streams.open(lease, None)),
        ..Bounds::default()
    };
    Ok((BoundedBody::new(body, bounds).boxed_unsync(), progress))
}

/// Hands the service's answer to the client, unless Cloud Run's front wrote it about Firegate.
async fn hand_back(
    response: Response<Incoming>,
    asked: &Parts,
    permit: &Permit,
    sent_google_token: bool,
    Flow { lease, streams, progress }: Flow<'_>,
) -> Result<Response<Body>, Refused> {
    let backend = permit.backend();
    let (mut parts, body) = response.into_parts();
    let idle = Some(backend.settings.timeouts.idle);
    let watched = (!body.is_end_stream()).then(|| streams.open(&lease, idle));
    let ending = Ending::of(&parts.headers, asked.version);
    let bounds = Bounds { idle, lease, ending, watched, progress, ..Bounds::default() };
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
        parts.headers.remove(CONTENT_LENGTH);
    }
    Ok(Response::from_parts(parts, body))
}
