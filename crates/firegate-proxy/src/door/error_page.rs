//! Pages in the place of errors that services answer with, where the URL map says so. A page comes by a permit of its own, for
//! nobody in particular; if it cannot be had, the client gets what the service answered, while there is time for it.

use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Stage};
use firegate_core::route::{ErrorPage, RouteEntry};
use firegate_google::tokens::IdToken;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body::Body as _;
use tokio::time::Instant;

use super::RequestContext;
use crate::limits::{ERROR_PAGE_BYTES_MAX, ERROR_PAGE_TIMEOUT};
use crate::refused::{Refused, fault};
use crate::request::RequestHead;
use crate::respond::ErrorForm;
use crate::stream::{Body, BodyProgress, BoundedBody, Bounds, Lease, Streamed, full};
use crate::upstream::{IdentityHeaders, OwnFields, RequestHeaders, Sending, TimeLimits};

/// What speaks of the body that is replaced.
const OF_THE_BODY: [HeaderName; 8] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    ACCEPT_RANGES,
];

/// What of the page's headers is handed on.
const OF_THE_PAGE: [HeaderName; 4] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE];

/// What takes the place of an answer with this status, if the route says so.
pub(super) fn error_page(route: Option<&RouteEntry>, status: StatusCode) -> Option<ErrorPage<'_>> {
    let is_error = status.is_client_error() || status.is_server_error();
    route.filter(|_| is_error)?.error_page(status.as_u16())
}

impl RequestContext<'_> {
    /// The service's answer with what is in its place. `deadline` is when that answer had to be over. If a page cannot be had,
    /// nothing of the answer changes: the status says what its body is.
    ///
    /// # Errors
    /// If the page was waited for until then: what the service answered would be cut behind its head.
    pub(super) async fn with_page(
        &self,
        page: ErrorPage<'_>,
        head: &RequestHead<'_>,
        parts: &Parts,
        mut response: Response<Body>,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Refused> {
        // A client of gRPC reads trailers, and one that asked for a WebSocket would take another status for a success.
        if head.facts.is_web_socket || ErrorForm::of(&parts.headers).is_grpc() {
            return Ok(response);
        }
        if page.has_path() {
            // Nobody reads the page of a HEAD, and its headers would have to be those of the page.
            let permit = page.permit(&head.facts, self.door.shared.now());
            let Some((target, permit)) = permit.filter(|_| parts.method != Method::HEAD) else {
                return Ok(response);
            };
            let until = Instant::now() + ERROR_PAGE_TIMEOUT;
            let until = deadline.map_or(until, |deadline| deadline.min(until));
            match tokio::time::timeout_at(until, self.fetch(&permit, target, head, parts, deadline)).await {
                Ok(Ok(found)) => {
                    let (found, body) = found.into_parts();
                    OF_THE_BODY.iter().for_each(|name| drop(response.headers_mut().remove(name)));
                    for name in OF_THE_PAGE {
                        if let Some(value) = found.headers.get(&name) {
                            response.headers_mut().insert(name, value.clone());
                        }
                    }
                    *response.body_mut() = body;
                }
                failed => {
                    tracing::debug!(
                        backend = permit.backend().name,
                        ?failed,
                        "an error's page cannot be had"
                    );
                    let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
                    if is_late && !response.body().is_end_stream() {
                        let detail = "the time of the answer was over before the page of its error came";
                        return Err(fault(Code::UpstreamTimedOut, Stage::Upstream, detail));
                    }
                    return Ok(response);
                }
            }
        }
        if let Some(status) = page.status().and_then(|status| StatusCode::from_u16(status).ok()) {
            *response.status_mut() = status;
        }
        Ok(response)
    }

    async fn fetch(
        &self,
        permit: &Permit,
        target: &str,
        head: &RequestHead<'_>,
        parts: &Parts,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Refused> {
        let Some(upstream) = self.generation.upstream(permit.backend()) else {
            return Err(fault(Code::Internal, Stage::Upstream, "the error service is not open"));
        };
        let target = target.parse::<PathAndQuery>();
        let target = target.map_err(|error| fault(Code::Internal, Stage::Upstream, error))?;
        let passage = upstream.enter(self.door.worker, TimeLimits::default())?;
        let audience = passage.audience().clone();
        let google_token = self.generation.control.google_token(permit, &audience, &head.facts, None).await?;
        // Of the client's headers the page needs to know no more than what can be read.
        let mut told = HeaderMap::new();
        for name in [ACCEPT, ACCEPT_LANGUAGE] {
            if let Some(value) = parts.headers.get(&name) {
                told.insert(name, value.clone());
            }
        }
        let mut request = Request::new(full(""));
        let mut own_fields = OwnFields::default();
        *request.headers_mut() = RequestHeaders {
            client: head.client,
            host: head.facts.host,
            version: parts.version,
            removal: permit.removal(),
            copies_authorization: false,
            actions: None,
            original_path: None,
            handshake: None,
            screened: &[],
            google_token: google_token.as_deref().map(IdToken::bearer),
        }
        .of(&told, IdentityHeaders::default(), &mut own_fields);
        let progress = BodyProgress::default();
        let sending = Sending { target, own_fields, host: None, wants_upgrade: false, progress };
        let response = passage.send(request, &sending).await.map_err(|failure| failure.refused())?;
        if response.status() != StatusCode::OK {
            let detail = format!("the error service answered {}", response.status());
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        }
        let (parts, body) = response.into_parts();
        // Nothing is announced to the client that would be cut off.
        let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes > ERROR_PAGE_BYTES_MAX) {
            let detail =
                format!("the error service announced a page of more than {ERROR_PAGE_BYTES_MAX} bytes");
            return Err(fault(Code::UpstreamProtocol, Stage::Upstream, detail));
        }
        let bounds = Bounds {
            bytes_max: Some(ERROR_PAGE_BYTES_MAX),
            idle: Some(ERROR_PAGE_TIMEOUT),
            deadline,
            watched: (!body.is_end_stream())
                .then(|| self.streams.open(&Lease::default(), Some(ERROR_PAGE_TIMEOUT))),
            ..Bounds::default()
        };
        Ok(Response::from_parts(parts, BoundedBody::new(body, bounds).streamed()))
    }
}
