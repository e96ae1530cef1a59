//! What Firegate itself answers on the public listener, under a path that is never routed.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode, request::Parts};

use crate::assertions::SigningKeys;
use crate::limits::JWK_SET_MAX_AGE;
use crate::stream::{Body, full};

/// The JWK set (RFC 7517, section 5) that assertions and exchanged tokens are verified with.
pub(crate) fn jwk_set(parts: &Parts, keys: &SigningKeys) -> Response<Body> {
    let is_known = is_known(&parts.headers, keys.entity_tag());
    let mut response = if is_known {
        let mut response = Response::new(full(""));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(full(keys.document().clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    // Both go with a 304 too (RFC 9110, section 15.4.5).
    response.headers_mut().insert(ETAG, keys.entity_tag().clone());
    let max_age = format!("public, max-age={}", JWK_SET_MAX_AGE.as_secs());
    if let Ok(max_age) = HeaderValue::from_str(&max_age) {
        response.headers_mut().insert(CACHE_CONTROL, max_age);
    }
    response
}

/// Whether users can be identified, and the process is to go on: for whoever waits for it before sending them here.
pub(crate) fn ready(is_ready: bool) -> Response<Body> {
    let (status, text) = match is_ready {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// Whether the client has this very document: `If-None-Match` of RFC 9110, section 13.1.2, by the weak comparison.
fn is_known(headers: &HeaderMap, entity_tag: &HeaderValue) -> bool {
    let Ok(entity_tag) = entity_tag.to_str() else { return false };
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // A tag of Firegate's own holds no comma, so one that is cut at a comma is none of them.
    known
        .flat_map(|tags| tags.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == entity_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_the_client_has_is_known_by_its_tag() {
        let tag = HeaderValue::from_static("\"abc\"");
        let check = |fields: &[&'static str], expected| {
            let fields = fields.iter().map(|field| (IF_NONE_MATCH, HeaderValue::from_static(field)));
            assert_eq!(is_known(&fields.collect(), &tag), expected);
        };
        check(&[], false);
        check(&["\"abc\""], true);
        check(&["W/\"abc\""], true);
        check(&["\"x\", \"abc\""], true);
        check(&["\"x\"", "\"abc\""], true);
        check(&["*"], true);
        check(&["\"ab\"", "abc", "\"abcd\"", ""], false);
    }
}
