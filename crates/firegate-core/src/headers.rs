//! Which of the client's headers are believed: none that speaks of identity, of Google or of the way a request took.
//! They are recognised by folded name, because servers read `X_Firegate_User_Id`, `X.Firegate.User.Id` and
//! `x-firegate-user-id` as the same variable.

use http::HeaderName;

/// Families of headers that only Firegate, Google's front ends or the gateways it stands in for may set.
const PROTECTED_PREFIXES: [&str; 8] = [
    "x-firegate-",
    "x-forwarded-",
    "x-goog-",
    "x-endpoint-api-",
    "x-apigateway-",
    "x-envoy-",
    "x-serverless-",
    "x-appengine-",
];

const PROTECTED_NAMES: [&str; 10] = [
    "forwarded",
    "proxy-authorization",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-client-request-url",
    "x-forwarded",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Whether the client's header of this name is deleted before Firegate sets its own.
pub fn is_protected(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Almost every header of almost every request takes this way out.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'f' | b'p' | b't' | b'v')) {
        return false;
    }
    PROTECTED_NAMES.iter().any(|protected| folded_eq(name, protected))
        || PROTECTED_PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| folded_eq(start, prefix)))
}

/// Headers whose look-alikes could be taken for them.
const UNMISTAKABLE_NAMES: [&str; 5] =
    ["authorization", "connection", "content-length", "host", "transfer-encoding"];

/// Whether a server might take the header of this name for one that frames, addresses or authorises the request, although
/// it is none: `Content_Length`, `Transfer.Encoding`.
pub fn is_look_alike(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.bytes().any(|byte| matches!(byte, b'_' | b'.'))
        && UNMISTAKABLE_NAMES.iter().any(|unmistakable| folded_eq(name, unmistakable))
}

fn folded_eq(name: &str, protected: &str) -> bool {
    name.len() == protected.len()
        && name.bytes().zip(protected.bytes()).all(|(found, expected)| {
            let folded = if matches!(found, b'_' | b'.') { b'-' } else { found.to_ascii_lowercase() };
            folded == expected
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, protected: bool) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        assert_eq!(is_protected(&name), protected, "{name}");
    }

    #[test]
    fn identity_google_and_forwarding_headers_are_protected_under_every_spelling() {
        for name in [
            "X-Serverless-Authorization",
            "x_serverless_authorization",
            "X.Firegate.User.Id",
            "X-Firegate-Assertion",
            "X-Forwarded-For",
            "X_Forwarded-Proto",
            "Forwarded",
            "Via",
            "X-Goog-IAP-JWT-Assertion",
            "X-Goog-Authenticated-User-Email",
            "X-Endpoint-API-UserInfo",
            "X-Apigateway-Api-Userinfo",
            "X-Forwarded-Authorization",
            "X-Real_IP",
            "X-Forwarded",
            "X_Client_IP",
        ] {
            check(name, true);
        }
        for name in [
            "Authorization",
            "Content-Type",
            "X-Firebase-AppCheck",
            "X-Request-Id",
            "X-Cloud-Trace-Context",
            "x-firegat",
        ] {
            check(name, false);
        }
    }

    #[test]
    fn look_alikes_are_told_from_the_headers_themselves() {
        let check = |name: &str, expected: bool| {
            assert_eq!(
                is_look_alike(&HeaderName::from_bytes(name.as_bytes()).expect("a name")),
                expected,
                "{name}"
            );
        };
        check("Transfer_Encoding", true);
        check("content.length", true);
        check("Transfer-Encoding", false);
        check("Content-Length", false);
        check("Host", false);
        check("x_custom", false);
    }
}
