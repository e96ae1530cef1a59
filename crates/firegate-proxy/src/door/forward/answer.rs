//! What the client gets of the service's answer.

use firegate_core::reason::{Code, Stage};
use firegate_core::snapshot::Backend;
use firegate_core::token_source::{ACCESS_TOKEN, presented_token};
use firegate_files::configuration::TokenSource;
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_PROTOCOL};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body as _;
use tokio::sync::oneshot;

use super::{Forward, RefusedByFront};
use crate::moment;
use crate::refused::{Refused, fault};
use crate::request::RequestHead;
use crate::respond::FIREGATE_REASON;
use crate::stream::{Body, BoundedBody, Bounds, ClientUpgrade, Ending, Streamed, TunnelClient, full};
use crate::telemetry::RequestRecord;
use crate::upstream::{FrontRefusal, ServiceBody, ServiceTunnel, peek, strip_hop_by_hop};

impl Forward<'_> {
    /// Joins the two connections of a WebSocket.
    pub(super) fn switch(
        &self,
        mut response: Response<ServiceBody>,
        upgrade: Option<ClientUpgrade>,
        record: &mut RequestRecord,
    ) -> Result<Response<Body>, Refused> {
        let backend = self.forwarding.backend();
        conceal_token(response.headers_mut(), self.head, backend);
        response.headers_mut().remove(FIREGATE_REASON);
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
        let service = ServiceTunnel::of(&mut response);
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
    pub(super) async fn confirm(
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
        Ok(self.hand_back_parts(parts, BoundedBody::new(body, bounds).streamed()))
    }

    /// Hands the service's answer to the client.
    pub(super) fn hand_back(&self, response: Response<ServiceBody>) -> Response<Body> {
        let (parts, mut body) = response.into_parts();
        // What is there already needs no bounds, while its user may have it: a connection over HTTP/1 takes it at once, whether
        // or not its client does.
        let is_taken_at_once =
            self.parts.version < Version::HTTP_2 && self.lease.ended(moment::now()).is_none();
        if let Some(whole) = is_taken_at_once.then(|| body.take_whole()).flatten() {
            return self.hand_back_parts(parts, full(whole));
        }
        let bounds = self.bounds(&parts, &body);
        self.hand_back_parts(parts, BoundedBody::new(body, bounds).streamed())
    }

    /// What ends the body of an answer.
    fn bounds(&self, parts: &Parts, body: &ServiceBody) -> Bounds {
        let (lease, idle) = (self.lease.clone(), Some(self.forwarding.backend().settings.timeouts.idle));
        let watched = (!body.is_end_stream()).then(|| self.context.streams.open(&lease, idle));
        let ending = Ending::of(&parts.headers, self.parts.version);
        let (deadline, progress) = (body.deadline(), self.progress.clone());
        // One without a body is over at once.
        let _answering = Some(progress.answering()).filter(|_| watched.is_some());
        Bounds { idle, deadline, lease, ending, watched, progress, _answering, ..Bounds::default() }
    }

    fn hand_back_parts(&self, mut parts: Parts, mut body: Body) -> Response<Body> {
        if let Some(permit) = self.forwarding.permit().filter(|_| parts.status == StatusCode::UNAUTHORIZED) {
            let (hints, backend) = (&self.context.door.shared.hints, &self.forwarding.backend().name);
            if permit.drops_token() {
                hints.user_token_dropped(backend);
            } else if permit.user().is_some() {
                hints.user_token_refused(backend);
            }
        }
        // The version is the connection's, and each side has its own (RFC 9110, section 2.5).
        parts.version = Version::default();
        strip_hop_by_hop(&mut parts.headers);
        parts.headers.remove(FIREGATE_REASON);
        if let Some((actions, facts)) = self.header_actions() {
            actions.change_response(&mut parts.headers, &facts);
        }
        if parts.status == StatusCode::NO_CONTENT {
            // It has no content (RFC 9110, section 8.6); an HTTP/2 client takes a length for a broken promise.
            parts.headers.remove(CONTENT_LENGTH);
        }
        // A service that speaks HTTP/2 can send some all the same.
        if matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) && !body.is_end_stream()
        {
            body = full("");
        }
        Response::from_parts(parts, body)
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
