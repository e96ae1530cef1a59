//! Which of the client's headers are believed: none that speaks of identity, of Google or of the way a request took. The
//! names are those of [`firegate_files::header_names`], which no file may set either.

use firegate_files::header_names;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName};

/// What Connection cannot name, beside what is protected.
static KEPT: [HeaderName; 3] = [AUTHORIZATION, CONTENT_LENGTH, HOST];

/// Whether the client's header of this name is deleted before Firegate sets its own.
pub fn is_protected(name: &HeaderName) -> bool {
    header_names::is_protected(name.as_str())
}

/// Whether a server might take the header of this name for one that frames the request, although it is none:
/// `Content_Length`, `Transfer.Encoding`.
pub fn is_look_alike(name: &HeaderName) -> bool {
    header_names::is_look_alike(name.as_str())
}

/// Whether a header has a name that servers may take for this one, and that is another: `X_Team` beside `x-team`.
pub(crate) fn is_alike(found: &HeaderName, name: &str) -> bool {
    header_names::are_alike(found.as_str(), name) && !found.as_str().eq_ignore_ascii_case(name)
}

/// Removes a header that somebody else's rules say, under every name that servers may take for its own: a client's `X_Team`
/// would speak beside an operator's `X-Team`.
pub fn remove_alike(headers: &mut HeaderMap, name: &HeaderName) {
    headers.remove(name);
    while let Some(alike) =
        headers.keys().find(|found| header_names::are_alike(found.as_str(), name.as_str())).cloned()
    {
        headers.remove(alike);
    }
}

/// What a message's Connection header names, beside what belongs to a connection by its own name. Nobody may have the framing,
/// the credential or what is set for them deleted by naming it.
pub fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let fields = headers.get_all(CONNECTION).iter();
    let names = fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let others = names.map(<[u8]>::trim_ascii).filter(|name| !is_of_a_connection(name));
    let others = others.filter_map(|name| HeaderName::from_bytes(name).ok());
    others.filter(|name| !is_protected(name) && !KEPT.contains(name)).collect()
}

/// Whether this is what Connection mostly says: the name of a header that goes in any case.
fn is_of_a_connection(name: &[u8]) -> bool {
    [&b"keep-alive"[..], b"te", b"upgrade"].iter().any(|usual| name.eq_ignore_ascii_case(usual))
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
            "Client-IP",
            "CLIENT_IP",
            "X-Cluster-Client-IP",
            "X-Original-Forwarded-For",
            "X_Original_Host",
            "X-Host",
            "CF-Connecting-IP",
            "CF_Connecting.IPv6",
            "Fastly-Client-IP",
            "True-Client-IP",
            "Proxy_Authorization",
            "X-AppEngine-User-Email",
            "X_Client_Request_Url",
            "X-Envoy-Internal",
            "X.Original-URL",
            "X-Rewrite_URL",
            "X_Original_URI",
            "X-Script_Name",
            "SCRIPT_NAME",
            "Script-Name",
            "PATH_INFO",
            "Proxy",
        ] {
            check(name, true);
        }
        for name in [
            "Authorization",
            "Content-Type",
            "X-Firebase-AppCheck",
            "X-Request-Id",
            "Cookie",
            "Content-Length",
            "CF-Ray",
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
