//! Answers: JSON with Google's content type, and never kept by anyone unless the document says so.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate");

/// A JSON answer that nobody may keep.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    document(status, NOT_KEPT, body.to_string())
}

/// A JSON document that clients may keep for `max_age_seconds`.
pub(crate) fn public_document(max_age_seconds: u64, body: String) -> Response {
    let cache_control = format!("public, max-age={max_age_seconds}, must-revalidate");
    document(StatusCode::OK, HeaderValue::from_str(&cache_control).unwrap_or(NOT_KEPT), body)
}

fn document(status: StatusCode, cache_control: HeaderValue, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, cache_control);
    response
}
