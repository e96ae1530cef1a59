//! Pages of this machine may ask for App Check tokens: their SDK cannot be told to call here, but a provider of their own
//! can. Pages of other machines may not.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::limits::PREFLIGHT_MAX_AGE;
use crate::loopback::is_loopback_authority;

/// What the SDKs send.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type, X-Firebase-Client, X-Firebase-AppCheck, X-Goog-Api-Key");

/// Answers the preflights of local pages, and lets them read the answers.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    let origin = local_origin(request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, is_preflight) {
        (None, true) => StatusCode::FORBIDDEN.into_response(),
        (Some(_), true) => preflight(),
        (_, false) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE.as_secs().into());
    response
}

/// The request's origin, if it is a page of this machine.
fn local_origin(headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    is_loopback_authority(authority).then(|| origin.clone())
}
