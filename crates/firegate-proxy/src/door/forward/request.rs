//! The request that the service gets.

use std::sync::Arc;

use firegate_core::assertion::{AssertionForm, plain_headers};
use firegate_core::forwarded::Client;
use firegate_core::observed::Forwarding;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::route::{HeaderActions, HeaderFacts};
use firegate_core::time::UnixTime;
use firegate_google::tokens::IdToken;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Request, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::Forward;
use super::target::{service_target, target};
use crate::connection::Arrival;
use crate::door::RequestContext;
use crate::door::mirror::Mirrored;
use crate::generation::Generation;
use crate::refused::{Refused, denial, fault};
use crate::request::RequestHead;
use crate::respond::ErrorForm;
use crate::stream::{
    Body, BodyProgress, BoundedBody, Bounds, ClientBody, ContainedBody, Ending, Lease, Pace, Side, Streamed,
    copied, full,
};
use crate::upstream::{IdentityHeaders, OwnFields, Passage, RequestHeaders};

impl RequestContext<'_> {
    /// Bounds the body that goes to the service. A length that is announced and too large is refused unread.
    pub(super) fn bounded_request_body(
        &self,
        body: ClientBody,
        forwarding: &Forwarding,
        asked: &Parts,
        lease: &Lease,
        deadline: Option<Instant>,
    ) -> Result<(Body, BodyProgress), Refused> {
        let progress = BodyProgress::default();
        if body.is_end_stream() {
            return Ok((full(""), progress));
        }
        let backend = forwarding.backend();
        let bytes_max = backend.settings.body_bytes_max;
        if announces_more(asked, bytes_max) {
            return Err(denial(Reason::BodyTooLarge { bytes_max }, Stage::Upstream));
        }
        // Messages of gRPC come when there is something to say.
        let is_grpc = asked.version == Version::HTTP_2 && ErrorForm::of(&asked.headers).is_grpc();
        let bounds = Bounds {
            bytes_max: Some(bytes_max),
            idle: Some(backend.settings.timeouts.idle),
            deadline,
            pace: Pace::at_least(backend.settings.body_bytes_per_second_min).filter(|_| !is_grpc),
            lease: lease.clone(),
            ending: Ending::Withhold,
            side: Side::Request,
            decided: forwarding.decided_headers(),
            progress: progress.clone(),
            // If nothing moves in it, that shows in the answer or in the wait for it.
            watched: Some(self.streams.open(lease, None)),
            stop: Some(Arc::clone(&self.door.stop)),
            ..Bounds::default()
        };
        let panics = Arc::clone(&self.door.shared.panics);
        let body = ContainedBody::new(BoundedBody::new(body, bounds), progress.clone(), panics);
        Ok((body.streamed(), progress))
    }
}

impl<'a> Forward<'a> {
    /// The request as the endpoint that was chosen gets it, and in `own` what Firegate says beside it.
    pub(super) fn request(
        &self,
        passage: &Passage,
        google_token: Option<&IdToken>,
        body: Body,
        own: &mut OwnFields<'a>,
    ) -> Result<Request<Body>, Refused> {
        let Self { context, forwarding, head, parts, .. } = self;
        let identity = match forwarding.permit() {
            Some(permit) => {
                let now = context.door.shared.now();
                identity_headers(&context.generation, now, permit, passage.audience())?
            }
            None => IdentityHeaders::default(),
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
            google_token: google_token.map(IdToken::bearer),
        }
        .of(&parts.headers, identity, own);
        Ok(request)
    }

    /// Sends a copy of a request to the service that its route mirrors it to, whatever comes of it. Returns the request's body.
    pub(super) fn mirror(&self, body: Body) -> Body {
        let Self { context, forwarding, head, parts, .. } = self;
        let Some(permit) = forwarding.permit().and_then(Permit::mirror) else { return body };
        // Whether the token goes along is said by the mirror's own backend.
        let target = service_target(head, forwarding.route(), permit.removal(), &parts.uri);
        let Ok(target) = target else { return body };
        let progress = BodyProgress::default();
        let bytes_max = permit.backend().settings.body_bytes_max;
        let (body, copy) = match body.is_end_stream() {
            true => (body, full("")),
            false if announces_more(parts, bytes_max) => return body,
            false => copied(body, bytes_max, progress.clone()),
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
            target,
            body: copy,
            progress,
        }
        .send();
        body
    }

    /// What the route does to headers, and what is known for their variables.
    pub(super) fn header_actions(&self) -> Option<(&HeaderActions, HeaderFacts<'_>)> {
        let actions = self.forwarding.route()?.headers()?;
        let RequestHead { client, arrival, .. } = self.head;
        Some((actions, header_facts(&self.context.generation, client, arrival, self.parts.version)))
    }

    /// The path that was asked for, if the service gets another one, with the query as the service gets it.
    fn original_path(&self) -> Option<HeaderValue> {
        self.forwarding.route().filter(|route| route.is_rewritten())?;
        let asked = &self.head.facts.path;
        let target = target(self.head, self.forwarding.removal(), asked, &self.parts.uri).ok()?;
        HeaderValue::from_str(target.as_str()).ok()
    }
}

/// Whether a request says that its body is larger than this.
fn announces_more(asked: &Parts, bytes_max: u64) -> bool {
    let announced = asked.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    announced.is_some_and(|bytes| bytes > bytes_max)
}

/// What is known for the variables in the values of headers.
pub(in crate::door) fn header_facts<'a>(
    generation: &'a Generation,
    client: &Client,
    arrival: &Arrival,
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
pub(in crate::door) fn identity_headers<'a>(
    generation: &Generation,
    now: UnixTime,
    permit: &'a Permit,
    audience: &str,
) -> Result<IdentityHeaders<'a>, Refused> {
    let form = AssertionForm::of(permit.backend().identity_headers());
    let assertion = match (permit.principal(), form) {
        (Some(principal), Some(form)) => {
            let signed = generation.assertions.assertion(form, principal, audience, now);
            let signed = signed.map_err(|error| fault(Code::Internal, Stage::Credential, error))?;
            signed.map(|signed| (form.header(), signed.value().clone()))
        }
        _ => None,
    };
    Ok(IdentityHeaders { plain: plain_headers(permit), assertion })
}
