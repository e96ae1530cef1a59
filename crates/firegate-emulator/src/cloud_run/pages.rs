//! What Google's front end answers, to the byte. Clients and gateways go by these pages, so that nothing here is
//! rephrased.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::trace_context::TraceContext;
use super::verdict::{RefusalCause, RefusalStatus};

pub(super) const SERVER: HeaderValue = HeaderValue::from_static("Google Frontend");
pub(super) const CLOUD_TRACE_CONTEXT: HeaderName = HeaderName::from_static("x-cloud-trace-context");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");
const CHALLENGE: HeaderValue = HeaderValue::from_static(
    "Bearer error=\"invalid_token\" error_description=\"The access token could not be verified\"",
);

/// The answer to a refused request for `path`.
pub(super) fn refusal(
    status: RefusalStatus,
    cause: &RefusalCause,
    path: &str,
    trace: &TraceContext,
) -> Response {
    let path = escape(path);
    let (code, body) = match (status, cause) {
        (_, RefusalCause::ReservedPath(_)) => (StatusCode::NOT_FOUND, reserved_path(&path)),
        (RefusalStatus::Unauthorized, _) => (
            StatusCode::UNAUTHORIZED,
            page(
                "401 Unauthorized",
                "Unauthorized",
                &format!("Your client does not have permission to the requested URL <code>{path}</code>."),
            ),
        ),
        (RefusalStatus::Forbidden, _) => (
            StatusCode::FORBIDDEN,
            page(
                "403 Forbidden",
                "Forbidden",
                &format!(
                    "Your client does not have permission to get URL <code>{path}</code> from this server."
                ),
            ),
        ),
        (RefusalStatus::NotFound, _) => (
            StatusCode::NOT_FOUND,
            page("404 Page not found", "Page not found", "The requested URL was not found on this server."),
        ),
    };
    let mut response = google_frontend(code, HTML, body, trace);
    if code == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

/// An answer in plain text about a container that does not answer.
pub(super) fn upstream(status: StatusCode, text: &'static str, trace: &TraceContext) -> Response {
    google_frontend(status, HeaderValue::from_static("text/plain"), text.to_owned(), trace)
}

fn google_frontend(
    status: StatusCode,
    content_type: HeaderValue,
    body: String,
    trace: &TraceContext,
) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(CLOUD_TRACE_CONTEXT, trace.response_value());
    headers.insert(header::SERVER, SERVER);
    response
}

fn page(title: &str, error: &str, sentence: &str) -> String {
    format!(
        "<html><head>\n<meta http-equiv=\"content-type\" content=\"text/html;charset=utf-8\">\n\
         <title>{title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: {error}</h1>\n\
         <h2>{sentence}</h2>\n<h2></h2>\n</body></html>\n"
    )
}

/// The page of the front end itself, which it shows where no service is asked. Its pictures are left out.
fn reserved_path(path: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <meta name=viewport \
         content=\"initial-scale=1, minimum-scale=1, width=device-width\">\n  <title>Error 404 (Not Found)!!1</title>\n  \
         <p><b>404.</b> <ins>That’s an error.</ins>\n  <p>The requested URL <code>{path}</code> was not found on \
         this server.  <ins>That’s all we know.</ins>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
