//! Which headers are nobody's to set but Firegate's: none that speaks of identity, of Google or of the way a request took.
//! They are recognised by folded name, because servers read `X_Firegate_User_Id`, `X.Firegate.User.Id` and
//! `x-firegate-user-id` as the same variable. lighttpd does so with whatever a name may hold that is no letter or digit.

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

/// Headers by which proxies tell a service who calls, by which way, and which path of it was asked for. gunicorn takes what
/// `SCRIPT_NAME` says off the path before it chooses what answers, and others do so by `X-Script-Name`; for CGI a `Proxy` is
/// the one by which a program makes its own calls (CVE-2016-5385).
const PROTECTED_NAMES: [&str; 25] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "path-info",
    "proxy",
    "proxy-authorization",
    "script-name",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-client-request-url",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
];

/// Headers whose look-alikes could be taken for them. A name without a `-`, as `Host`, has none.
const UNMISTAKABLE_NAMES: [&str; 2] = ["content-length", "transfer-encoding"];

/// Headers that say who calls, that belong to one connection, or that frame, address or switch it.
const RESERVED_NAMES: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-firebase-appcheck",
];

/// Whether the client's header of this name is deleted before Firegate sets its own. Letters of both cases are the same.
pub fn is_protected(name: &str) -> bool {
    // Almost every header of almost every request takes this way out.
    if !matches!(
        name.as_bytes(),
        [b'x' | b'c' | b'f' | b'p' | b't' | b'v' | b'X' | b'C' | b'F' | b'P' | b'T' | b'V', ..]
            | [b's' | b'S', b'c' | b'C', ..]
    ) {
        return false;
    }
    PROTECTED_NAMES.iter().any(|protected| folded_eq(name, protected))
        || PROTECTED_PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| folded_eq(start, prefix)))
}

/// Whether a server might take the header of this name for one that frames the request, although it is none:
/// `Content_Length`, `Transfer.Encoding`.
pub fn is_look_alike(name: &str) -> bool {
    // The length first, which few names share.
    UNMISTAKABLE_NAMES.iter().any(|unmistakable| folded_eq(name, unmistakable))
        && name.bytes().any(|byte| byte != b'-' && !byte.is_ascii_alphanumeric())
}

/// Whether no file may set or remove the header of this name: it speaks of identity, of Google or of the way a request took,
/// or it belongs to the connection.
pub fn is_reserved(name: &str) -> bool {
    let is_of_a_web_socket = name.get(..14).is_some_and(|start| folded_eq(start, "sec-websocket-"));
    is_protected(name)
        || is_look_alike(name)
        || is_of_a_web_socket
        || RESERVED_NAMES.iter().any(|reserved| folded_eq(name, reserved))
}

/// Whether servers may take a header of one of these names for one of the other: `X_Team` and `x-team`.
pub fn are_alike(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().map(folded).eq(other.bytes().map(folded))
}

fn folded_eq(name: &str, protected: &str) -> bool {
    name.len() == protected.len()
        && name.bytes().zip(protected.bytes()).all(|(found, expected)| folded(found) == expected)
}

fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name as servers may fold it, in letters of both cases.
    fn spellings(name: &str) -> Vec<String> {
        // Everything beside letters and digits that a name may hold (RFC 9110, section 5.6.2).
        let folded = "-_.!#$%&'*+^`|~".chars().map(|separator| name.replace('-', &separator.to_string()));
        let folded = folded.collect::<Vec<_>>();
        folded.iter().flat_map(|name| [name.clone(), name.to_uppercase()]).collect()
    }

    #[test]
    fn every_spelling_of_a_protected_name_is_protected_and_reserved() {
        let of_families = PROTECTED_PREFIXES.map(|prefix| format!("{prefix}a"));
        for name in PROTECTED_NAMES.map(str::to_owned).iter().chain(&of_families) {
            for spelling in spellings(name) {
                assert!(is_protected(&spelling) && is_reserved(&spelling), "{spelling}");
            }
        }
        for name in ["x-", "x-forwardedfor", "via2", "vi", "client-ip-address", "cf-connecting", "x-hosts"] {
            assert!(!is_protected(name) && !is_reserved(name), "{name}");
        }
    }

    #[test]
    fn what_frames_a_message_or_belongs_to_its_connection_is_no_files_to_say() {
        let of_web_sockets = ["sec-websocket-key", "sec-websocket-protocol", "sec-websocket-anything"];
        for name in RESERVED_NAMES.iter().chain(&of_web_sockets) {
            for spelling in spellings(name) {
                assert!(is_reserved(&spelling), "{spelling}");
            }
        }
        for name in ["sec-websocket", "sec-fetch-site", "accept", "cookie", "x-team", "content-type", "hosts"]
        {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
