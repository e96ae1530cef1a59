//! Cross-origin requests. End users' apps come from any origin, as they do to production; nothing here is guarded by
//! cookies, so any page may ask. Administrators' and control operations answer pages of this machine alone.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, request};

use crate::caller::Caller;
use crate::error::ApiError;
use crate::limits::PREFLIGHT_MAX_AGE;
use crate::routes::Route;

/// What the Firebase SDKs send, allowed even if a preflight forgets to ask.
const SDK_HEADERS: &str = "Authorization, Content-Type, X-Client-Version, X-Firebase-AppCheck, X-Firebase-Client, \
                           X-Firebase-gmpid, X-Firebase-Locale, X-Goog-Api-Key";
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");

/// The method that a preflight asks for, if the request is one.
pub(crate) fn preflight_method(request: &request::Parts) -> Option<Method> {
    if request.method != Method::OPTIONS {
        return None;
    }
    Method::from_bytes(request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

/// The answer to a preflight for `route`.
pub(crate) fn preflight(route: &Route, caller: &Caller, request: &HeaderMap) -> Response {
    if caller.is_foreign_page() && !route.is_open_to_foreign_pages() {
        return ApiError::Forbidden("Pages of other machines may not call this operation.").into_response();
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let asked =
        request.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok()).unwrap_or("");
    let allowed = if asked.is_empty() { SDK_HEADERS.to_owned() } else { format!("{SDK_HEADERS}, {asked}") };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE.as_secs().into());
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    // <https://wicg.github.io/private-network-access/>: a page of a public network asks a server on a private one.
    if request.contains_key("access-control-request-private-network") {
        headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
    admit(response, route, caller)
}

/// Lets the page behind the request read the answer, if it may.
pub(crate) fn admit(mut response: Response, route: &Route, caller: &Caller) -> Response {
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = &caller.origin
        && (route.is_open_to_foreign_pages() || !caller.is_foreign_page())
    {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    response
}
