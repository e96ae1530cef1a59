//! From a decision to forward to the service and back: [`target`] and [`request`] make what the service gets, [`answer`] what
//! the client gets of it. Here is what is done in turn, and whether it is done once more; by which connection and to which
//! endpoint is [`crate::upstream`]'s affair.

mod answer;
mod request;
mod target;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::observed::Forwarding;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::route::RouteEntry;
use firegate_core::snapshot::Backend;
use firegate_google::tokens::IdToken;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;

use super::RequestContext;
use super::error_page::error_page;
use crate::refused::{Refused, denial, fault};
use crate::request::RequestHead;
use crate::stream::{Body, BodyProgress, ClientBody, ClientUpgrade, Lease, full};
use crate::telemetry::RequestRecord;
use crate::upstream::{
    FrontRefusal, Handshake, OwnFields, Passage, Retries, Sending, ServiceBody, ServiceHost, TimeLimits,
    is_switched,
};

pub(super) use request::{header_facts, identity_headers};
use target::service_target;

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

impl Forward<'_> {
    /// Refuses an answer that a client would take for an open WebSocket, and that opens none.
    fn check_not_misled(&self, status: StatusCode) -> Result<(), Refused> {
        if self.handshake.as_ref().is_some_and(|handshake| handshake.is_misled_by(status)) {
            let detail = format!("the service answered a WebSocket's handshake with {status}");
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        }
        Ok(())
    }

    /// Whether another Google token is worth a try in the place of the one that was refused, which may have been revoked, or
    /// signed with a key that Google has withdrawn: if not for this request, of whose body something was sent, then for the
    /// next.
    fn may_get_another(&self, token: Option<&IdToken>, audience: &str, refused: &RefusedByFront) -> bool {
        let (control, backend) = (&self.context.generation.control, self.forwarding.backend());
        let doubtful = token.filter(|_| refused.by == FrontRefusal::Token);
        doubtful.is_some_and(|token| control.doubt_token(backend, audience, token))
    }
}

impl RefusedByFront {
    fn fault(&self, backend: &Backend) -> Refused {
        let detail = format!("{} answered {}: {}", backend.name, self.status, self.by.hint());
        fault(Code::CloudRunRefusedFiregate, Stage::Upstream, detail)
    }
}

impl RequestContext<'_> {
    /// Sends a request to its service: with the leave's credentials, or with none if the backend is only observed.
    pub(super) async fn forward(
        &self,
        forwarding: Forwarding,
        head: &RequestHead<'_>,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<ClientUpgrade>,
        record: &mut RequestRecord,
    ) -> Result<Response<Body>, Refused> {
        let backend = forwarding.backend();
        self.note_user(forwarding.permit(), record);
        let route = forwarding.route();
        inject_faults(route).await?;
        let mut retries = route.and_then(RouteEntry::retry).map(Retries::new);
        let mut passage = self.enter(backend, time_limits(route, retries.as_ref()), body.is_end_stream())?;
        let lease = self.lease(&forwarding);
        let (mut body, progress) =
            self.bounded_request_body(body, &forwarding, parts, &lease, passage.deadline())?;
        record.goes_by(progress.clone());
        let is_without_body = body.is_end_stream();
        let wants_upgrade = head.facts.is_web_socket;
        let handshake = if wants_upgrade { Some(begin_handshake(parts, &passage)?) } else { None };
        let mut sending = Sending {
            target: service_target(head, route, forwarding.removal(), &parts.uri)?,
            host: route.and_then(RouteEntry::host).map(service_host).transpose()?,
            own_fields: OwnFields::default(),
            wants_upgrade,
            progress: progress.clone(),
        };
        let forward =
            Forward { context: self, forwarding: &forwarding, head, parts, handshake, lease, progress };
        if !wants_upgrade {
            body = forward.mirror(body);
        }
        let control = &self.generation.control;
        let mut has_reminted = false;
        loop {
            let audience = Arc::clone(passage.audience());
            let google_token = match forwarding.permit() {
                Some(permit) => control.google_token(permit, &audience, &head.facts, None).await?,
                None => None,
            };
            let own = &mut sending.own_fields;
            let request = forward.request(&passage, google_token.as_deref(), body, own)?;
            record.sending(passage.origin());
            let sent = {
                // Pinned where it stays: whatever takes it by value copies it.
                let sent = pin!(passage.send(request, &sending));
                sent.await
            };
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
            forward.check_not_misled(response.status())?;
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
                        return Box::pin(self.with_page(page, head, parts, response, deadline)).await;
                    }
                },
                Err(refused) => refused,
            };
            let token = google_token.as_deref().filter(|_| !has_reminted);
            if !forward.may_get_another(token, &audience, &refused) || !is_without_body {
                return Err(refused.fault(backend));
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

    /// A request that is a user's is told of as theirs.
    fn note_user(&self, permit: Option<&Permit>, record: &mut RequestRecord) {
        let Some(permit) = permit else { return };
        if let Some(user) = permit.user() {
            record.is_of_user(&user.uid);
        }
        self.note_unchecked(permit, record);
    }

    /// A user who could not be looked up and is let in all the same is counted and named.
    pub(crate) fn note_unchecked(&self, permit: &Permit, record: &mut RequestRecord) {
        if let Some(user) = permit.user().filter(|_| permit.is_unchecked()) {
            self.generation.decisions.count_allowed_on_failure();
            record.is_of_unchecked_user(&user.uid);
        }
    }

    /// How long the stream that is opened lasts.
    fn lease(&self, forwarding: &Forwarding) -> Lease {
        let lease = forwarding.lease();
        Lease {
            until: lease.until.map(|until| Lease::end_of(until, &*self.door.shared.process.clock)),
            watch: lease.revocable.and_then(|user| self.generation.control.watch(user)).map(Arc::new),
        }
    }
}

/// How long a request may take, as its route says.
fn time_limits(route: Option<&RouteEntry>, retries: Option<&Retries>) -> TimeLimits {
    TimeLimits {
        whole: route.and_then(RouteEntry::timeout),
        per_try: retries.and_then(Retries::per_try_timeout),
        stream: route.and_then(RouteEntry::max_stream_duration),
    }
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

/// The WebSocket that the client asks for, unless nobody could answer its handshake.
fn begin_handshake(parts: &Parts, passage: &Passage) -> Result<Handshake, Refused> {
    let handshake = Handshake::begin(parts.version, &parts.headers)?;
    if passage.upgrades_over_http2() && !handshake.can_be_answered() {
        let why = "the WebSocket's handshake has no key, or more than one";
        return Err(denial(Reason::RequestMalformed { why }, Stage::Upstream));
    }
    Ok(handshake)
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
fn service_host(host: &str) -> Result<ServiceHost, Refused> {
    host.parse::<ServiceHost>().map_err(|error| fault(Code::Internal, Stage::Upstream, error.to_string()))
}
