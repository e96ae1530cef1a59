//! The one place that renders refusals: Google's error JSON (AIP-193) for HTTP, a trailers-only answer for gRPC, with
//! `WWW-Authenticate` (RFC 6750, section 3), `Retry-After` and what there is to say of a limit. A client learns the code, one
//! sentence and the request id; the evidence goes to the log.

mod limit;

use std::sync::LazyLock;

use firegate_core::limiter::Count;
use firegate_core::reason::{Action, Code, Entry};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::limits::RETRY_AFTER_SECONDS;
use crate::refused::Refused;
use crate::stream::{Body, full};

/// The code on its own, readable for clients that do not parse JSON and in gRPC. No service's answer has it: it says that it
/// was the door that refused.
pub(crate) const FIREGATE_REASON: HeaderName = HeaderName::from_static("x-firegate-reason");

/// Names the request in the answer and in the log.
pub(crate) const FIREGATE_REQUEST_ID: HeaderName = HeaderName::from_static("x-firegate-request-id");

/// The whole answer to a client that speaks HTTP where TLS is spoken. Nothing of its request was read.
pub(crate) const PLAIN_HTTP_REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\n\r\nthis port speaks TLS: write https instead of http\n";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The form in which a client reads errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorForm {
    /// Trailers-only, in an answer of this content type: a client of gRPC-Web takes no other than its own.
    Grpc(&'static str),
    /// AIP-193 JSON.
    Json,
}

/// The content types of gRPC and of gRPC-Web, whose messages are bytes or text. None is taken for another that begins so.
const GRPC_TYPES: [&str; 3] = ["application/grpc-web-text", "application/grpc-web", "application/grpc"];

impl ErrorForm {
    /// The form for a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let found = headers.get(CONTENT_TYPE).and_then(|value| grpc_type(value.as_bytes()));
        found.map_or(Self::Json, Self::Grpc)
    }

    /// Whether a client reads it that speaks gRPC.
    pub(crate) fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc(_))
    }
}

/// Which of them a content type is: `application/grpc`, `application/grpc+proto`; not any type that merely begins so.
fn grpc_type(content_type: &[u8]) -> Option<&'static str> {
    GRPC_TYPES.into_iter().find(|name| {
        let rest = content_type.strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The `grpc-status` with which a refusal of this status comes to a request with these headers: in an answer
/// of 200 then. `None` if the request is none of gRPC's.
pub fn grpc_status(headers: &HeaderMap, status: u16) -> Option<u16> {
    ErrorForm::of(headers).is_grpc().then(|| canonical(status).1)
}

/// The answer to a request that is not forwarded.
pub(crate) fn refusal(refused: &Refused, form: ErrorForm, request_id: &str) -> Response<Body> {
    let (code, status) = (refused.code(), refused.status());
    let entry = Entry { status, ..code.entry() };
    // Where the rule answers with another status than 429, its owner does not want to tell how much is allowed.
    let limit = refused.limit().filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
    let mut response = match form {
        ErrorForm::Grpc(content_type) => grpc(content_type, entry, limit),
        ErrorForm::Json => json(entry, limit, request_id),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(FIREGATE_REASON, HeaderValue::from_static(entry.name));
    let usual = CHALLENGES.get(code as usize).filter(|_| status == code.entry().status);
    if let Some(challenge) = usual.cloned().unwrap_or_else(|| challenge(code, entry)) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(allowed) = refused.allowed_methods() {
        headers.insert(ALLOW, HeaderValue::from_static(allowed));
    }
    match limit {
        Some(count) => limit::tell(count, headers),
        None if entry.action == Action::RetryLater && refused.limit().is_none() => {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        None => {}
    }
    response
}

/// The body of an error in JSON. It is put together from texts: whoever floods the door with tokens that are none has one of
/// these made for each. The catalogue's words need no escapes; a request's id may be somebody else's.
fn error_body(entry: Entry, limit: Option<&Count>, request_id: &str) -> String {
    let (code, request_id) = (StatusCode::from_u16(entry.status), json_string(request_id));
    let retry_info = limit.map(|count| {
        let retry_delay = limit::retry_delay(count);
        format!(r#",{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{retry_delay}"}}"#)
    });
    let parts = [
        r#"{"error":{"code":"#,
        code.as_ref().map_or("500", StatusCode::as_str),
        r#","status":""#,
        canonical(entry.status).0,
        r#"","message":""#,
        entry.message,
        r#"","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":""#,
        entry.name,
        r#"","domain":"firegate","metadata":{"action":""#,
        entry.action.as_str(),
        r#"","request_id":"#,
        &request_id,
        "}}",
        retry_info.as_deref().unwrap_or_default(),
        "]}}\n",
    ];
    parts.concat()
}

/// A text as JSON has it.
fn json_string(text: &str) -> String {
    let is_plain = |byte: u8| (byte == b' ') | byte.is_ascii_graphic() & (byte != b'"') & (byte != b'\\');
    match text.bytes().all(is_plain) {
        true => ["\"", text, "\""].concat(),
        false => serde_json::Value::from(text).to_string(),
    }
}

fn json(entry: Entry, limit: Option<&Count>, request_id: &str) -> Response<Body> {
    let mut response = Response::new(full(error_body(entry, limit, request_id)));
    *response.status_mut() = StatusCode::from_u16(entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn grpc(content_type: &'static str, entry: Entry, limit: Option<&Count>) -> Response<Body> {
    let mut response = Response::new(full(""));
    let headers = response.headers_mut();
    let status = canonical(entry.status).1;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(GRPC_STATUS, HeaderValue::from(status));
    // The catalogue's sentences are ASCII; a percent sign would have to be encoded (gRPC over HTTP/2, Responses).
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(entry.message));
    if let Some(count) = limit {
        limit::tell_grpc(status, entry.message, count, headers);
    }
    response
}

/// The canonical name and number of `google.rpc.Code` for an HTTP status (AIP-193).
fn canonical(status: u16) -> (&'static str, u16) {
    match status {
        400 | 413 | 414 | 431 => ("INVALID_ARGUMENT", 3),
        401 => ("UNAUTHENTICATED", 16),
        403 => ("PERMISSION_DENIED", 7),
        404 => ("NOT_FOUND", 5),
        405 => ("UNIMPLEMENTED", 12),
        408 => ("ABORTED", 10),
        429 => ("RESOURCE_EXHAUSTED", 8),
        500 => ("INTERNAL", 13),
        502 | 503 => ("UNAVAILABLE", 14),
        504 => ("DEADLINE_EXCEEDED", 4),
        _ => ("UNKNOWN", 2),
    }
}

/// The challenge of each code with the catalogue's status, made once.
static CHALLENGES: LazyLock<Vec<Option<HeaderValue>>> =
    LazyLock::new(|| Code::ALL.iter().map(|code| challenge(*code, code.entry())).collect());

/// RFC 6750, section 3.1: without a credential just the scheme, else what is wrong with it.
fn challenge(code: Code, entry: Entry) -> Option<HeaderValue> {
    let error = match (entry.status, code) {
        (401, Code::TokenMissing) => return Some(HeaderValue::from_static("Bearer realm=\"firegate\"")),
        // The user's token is not at fault, and no client may take this for a call to renew it.
        (401, code) if code.is_about_app_check() => {
            return Some(HeaderValue::from_static("FirebaseAppCheck realm=\"firegate\""));
        }
        (401, _) => "invalid_token",
        // Neither has to do with who the user is.
        (403, Code::ArmorDenied | Code::CorsOriginNotAllowed | Code::RateLimited | Code::RateLimitBanned) => {
            return None;
        }
        (403, _) => "insufficient_scope",
        (400, Code::CredentialAmbiguous) => "invalid_request",
        _ => return None,
    };
    let message = entry.message;
    let parts = ["Bearer realm=\"firegate\", error=\"", error, "\", error_description=\"", message, "\""];
    HeaderValue::try_from(parts.concat()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use firegate_core::limiter::{CountOutcome, Exceeded, RuleLabel};
    use firegate_core::reason::{Reason, Stage};
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::refused::{denial, fault};

    #[test]
    fn grpc_clients_are_known_by_their_content_type() {
        for (content_type, expected) in [
            ("application/grpc", Some("application/grpc")),
            ("application/grpc+proto", Some("application/grpc")),
            ("application/grpc-web", Some("application/grpc-web")),
            ("application/grpc-web+proto", Some("application/grpc-web")),
            ("application/grpc-web-text", Some("application/grpc-web-text")),
            ("application/grpc-web-text+proto", Some("application/grpc-web-text")),
            ("application/grpc;x=y", Some("application/grpc")),
            ("application/grpcfoo", None),
            ("application/grpc-webfoo", None),
            ("application/json", None),
        ] {
            assert_eq!(grpc_type(content_type.as_bytes()), expected, "{content_type}");
        }
    }

    #[test]
    fn every_code_renders_in_both_forms() {
        for &code in Code::ALL {
            let entry = code.entry();
            // How it is rendered does not depend on the family.
            let refused = fault(code, Stage::Facts, "");
            let response = refusal(&refused, ErrorForm::Json, "0");
            assert_eq!(response.status().as_u16(), entry.status);
            assert!(entry.status != 401 || response.headers().contains_key(WWW_AUTHENTICATE), "{code}");
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                entry.action == Action::RetryLater,
                "{code}"
            );
            assert_ne!(canonical(entry.status).0, "UNKNOWN", "{code} has a status of its own");
            let value = |response: &Response<Body>, name: HeaderName| response.headers().get(name).cloned();
            let text = |text| Some(HeaderValue::from_static(text));
            assert_eq!(value(&response, CONTENT_TYPE), text("application/json; charset=utf-8"), "{code}");
            assert_eq!(value(&response, CACHE_CONTROL), text("no-store"), "{code}");
            assert_eq!(value(&response, FIREGATE_REASON), text(entry.name), "{code}");
            let seconds = value(&response, RETRY_AFTER);
            assert!(seconds.is_none_or(|found| found == RETRY_AFTER_SECONDS.to_string()), "{code}");
            let response = refusal(&refused, ErrorForm::Grpc("application/grpc"), "0");
            assert_eq!(value(&response, CONTENT_TYPE), text("application/grpc"), "{code}");
            assert_eq!(value(&response, CACHE_CONTROL), text("no-store"), "{code}");
            assert_eq!(value(&response, FIREGATE_REASON), text(entry.name), "{code}");
            assert_eq!(value(&response, GRPC_MESSAGE), text(entry.message), "{code}");
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.headers().contains_key(GRPC_STATUS));
            assert!(entry.message.is_ascii() && !entry.message.contains(['%', '"', '\\']), "{code}");
            assert!(!entry.message.contains(|character: char| character.is_control()), "{code}");
        }
    }

    #[tokio::test]
    async fn an_errors_body_is_json_whatever_the_request_is_called() {
        for &code in Code::ALL {
            for request_id in ["0af7651916cd43dd8448eb211c80319c", "a \"b\" \\ c", ""] {
                let entry = code.entry();
                let response = refusal(&fault(code, Stage::Facts, ""), ErrorForm::Json, request_id);
                let body = response.into_body().collect().await.expect("a body").to_bytes();
                let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                let information = serde_json::json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": entry.name, "domain": "firegate",
                    "metadata": {"action": entry.action.as_str(), "request_id": request_id},
                });
                let error = serde_json::json!({
                    "code": entry.status, "status": canonical(entry.status).0, "message": entry.message,
                    "details": [information],
                });
                assert_eq!(body, serde_json::json!({ "error": error }), "{code}");
            }
        }
    }

    /// Clients go by it: `invalid_token` has them fetch another one.
    #[test]
    fn a_challenge_says_which_token_is_at_fault_and_nothing_where_none_is() {
        let check = |refused: &Refused, expected: Option<&str>| {
            let challenge = refusal(refused, ErrorForm::Json, "0").headers().get(WWW_AUTHENTICATE).cloned();
            let challenge = challenge.map(|value| value.to_str().expect("text").to_owned());
            match expected {
                Some(error) if error.contains('=') => assert_eq!(challenge.as_deref(), Some(error)),
                Some(error) => {
                    let start = format!("Bearer realm=\"firegate\", error=\"{error}\", error_description=\"");
                    assert!(
                        challenge.as_ref().is_some_and(|found| found.starts_with(&start)),
                        "{challenge:?}"
                    );
                }
                None => assert_eq!(challenge, None),
            }
        };
        let of = |code| fault(code, Stage::Facts, "");
        check(&of(Code::TokenMissing), Some("Bearer realm=\"firegate\""));
        check(&of(Code::TokenExpired), Some("invalid_token"));
        check(&of(Code::AppCheckTokenMissing), Some("FirebaseAppCheck realm=\"firegate\""));
        check(&of(Code::NoInvokerBinding), Some("insufficient_scope"));
        check(&of(Code::CredentialAmbiguous), Some("invalid_request"));
        for code in [Code::ArmorDenied, Code::CorsOriginNotAllowed, Code::RequestMalformed, Code::Overloaded]
        {
            check(&of(code), None);
        }
        // What the catalogue says goes by another status.
        check(&denial(Reason::FaultInjected { status: 401 }, Stage::Route), Some("invalid_token"));
        check(&denial(Reason::FaultInjected { status: 503 }, Stage::Route), None);
    }

    fn limited(status: u16, outcome: CountOutcome) -> Refused {
        let rule = RuleLabel { backend: "api".to_owned(), policy: "edge".to_owned(), priority: 1000 };
        let count = Count {
            outcome,
            limit: 10,
            remaining: 0,
            interval: Duration::from_secs(60),
            reset_after: Duration::from_millis(6_500),
            is_overflow: false,
        };
        let status = StatusCode::from_u16(status).expect("a status");
        let exceeded =
            Exceeded { rule, place: "edge.yaml:3".to_owned(), key: "IP".to_owned(), count, status };
        denial(Reason::RateLimited(Box::new(exceeded)), Stage::Facts)
    }

    #[tokio::test]
    async fn how_much_is_allowed_is_told_with_429_alone() {
        let check = async |status, outcome, code: &str, tells: bool| {
            let refused = limited(status, outcome);
            let response = refusal(&refused, ErrorForm::Json, "0");
            let names = [RETRY_AFTER.as_str(), "ratelimit", "ratelimit-policy", WWW_AUTHENTICATE.as_str()];
            let found = names.map(|name| response.headers().contains_key(name));
            assert_eq!((response.status().as_u16(), found), (status, [tells, tells, tells, false]));
            assert_eq!(response.headers()[FIREGATE_REASON], code);
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            let details = body["error"]["details"].as_array().expect("details");
            assert_eq!(body["error"]["code"], status);
            assert_eq!(details[0]["metadata"]["action"], "RETRY_LATER");
            assert_eq!(details.get(1).map(|detail| detail["retryDelay"].clone()), tells.then(|| "7s".into()));
            assert!(!body.to_string().contains("edge"), "{body}");

            let response = refusal(&refused, ErrorForm::Grpc("application/grpc"), "0");
            let (name, number) = canonical(status);
            assert_eq!(response.headers()[GRPC_STATUS], number.to_string(), "{name}");
            assert_eq!(response.headers().contains_key("grpc-status-details-bin"), tells);
        };
        check(429, CountOutcome::Exceed, "RATE_LIMITED", true).await;
        check(429, CountOutcome::Banned, "RATE_LIMIT_BANNED", true).await;
        for status in [403, 404, 502] {
            check(status, CountOutcome::Exceed, "RATE_LIMITED", false).await;
        }
    }
}
