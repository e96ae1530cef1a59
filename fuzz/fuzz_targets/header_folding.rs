//! The names of headers: whatever a server may fold onto a protected one is protected, and nothing else.
#![no_main]

use firegate_core::headers::{is_look_alike, is_protected};
use http::HeaderName;
use libfuzzer_sys::fuzz_target;

/// What begins so, or is exactly so, once it is folded.
const FAMILIES: [&str; 8] = [
    "X_FIREGATE_",
    "X_FORWARDED_",
    "X_GOOG_",
    "X_ENDPOINT_API_",
    "X_APIGATEWAY_",
    "X_ENVOY_",
    "X_SERVERLESS_",
    "X_APPENGINE_",
];
const NAMES: [&str; 25] = [
    "CF_CONNECTING_IP",
    "CF_CONNECTING_IPV6",
    "CLIENT_IP",
    "FASTLY_CLIENT_IP",
    "FORWARDED",
    "PATH_INFO",
    "PROXY",
    "PROXY_AUTHORIZATION",
    "SCRIPT_NAME",
    "TRUE_CLIENT_IP",
    "VIA",
    "X_CLIENT_IP",
    "X_CLIENT_REQUEST_URL",
    "X_CLUSTER_CLIENT_IP",
    "X_FORWARDED",
    "X_HOST",
    "X_ORIGINAL_FORWARDED_FOR",
    "X_ORIGINAL_HOST",
    "X_ORIGINAL_METHOD",
    "X_ORIGINAL_URI",
    "X_ORIGINAL_URL",
    "X_REAL_IP",
    "X_REWRITE_URL",
    "X_SCHEME",
    "X_SCRIPT_NAME",
];
const UNMISTAKABLE: [&str; 5] =
    ["AUTHORIZATION", "CONNECTION", "CONTENT_LENGTH", "HOST", "TRANSFER_ENCODING"];

fuzz_target!(|data: &[u8]| {
    let Ok(name) = HeaderName::from_bytes(data) else { return };
    // As CGI and WSGI name variables, as PHP does, which folds dots too, and lighttpd, which folds every mark.
    let is_mark = |letter: char| !letter.is_ascii_alphanumeric();
    let variable = name.as_str().to_ascii_uppercase().replace(is_mark, "_");
    let expected =
        NAMES.contains(&variable.as_str()) || FAMILIES.iter().any(|family| variable.starts_with(family));
    assert_eq!(is_protected(&name), expected, "{name}");
    let is_itself = !name.as_str().contains(|letter| is_mark(letter) && letter != '-');
    assert_eq!(is_look_alike(&name), UNMISTAKABLE.contains(&variable.as_str()) && !is_itself, "{name}");
});
