//! One strict reading of a request's head. What two parties could read differently is refused here, before anything is
//! matched or believed.

use firegate_core::facts::RequestFacts;
use firegate_core::path::NormalPath;
use firegate_core::reason::Reason;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Version};

/// What the client asked for besides the decision's facts.
#[derive(Debug)]
pub(crate) struct RequestHead<'a> {
    pub(crate) facts: RequestFacts<'a>,
    /// The host that the client named, for `X-Forwarded-Host`.
    pub(crate) host: &'a str,
    /// The client asks for another protocol on this connection.
    pub(crate) wants_upgrade: bool,
}

/// Reads a request's head.
///
/// # Errors
/// If the head is ambiguous.
pub(crate) fn read(parts: &Parts) -> Result<RequestHead<'_>, Reason> {
    let malformed = |why| Reason::RequestMalformed { why };
    let host = host(parts).map_err(malformed)?;
    let path = NormalPath::parse(parts.uri.path()).map_err(malformed)?;
    let wants_upgrade = parts.headers.contains_key(UPGRADE);
    if wants_upgrade && !names_upgrade(&parts.headers) {
        return Err(malformed("the request has an Upgrade header that Connection does not name"));
    }
    let facts = RequestFacts { method: &parts.method, path, headers: &parts.headers };
    Ok(RequestHead { facts, host, wants_upgrade })
}

/// The one host of a request: RFC 9112, section 3.2, and RFC 9113, section 8.3.1.
fn host(parts: &Parts) -> Result<&str, &'static str> {
    let mut values = parts.headers.get_all(HOST).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().map_err(|_| "the Host header is not visible ASCII")?),
        (Some(_), Some(_)) => return Err("the request has more than one Host header"),
    };
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            return Err("the request's target and its Host header differ");
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if parts.version == Version::HTTP_10 => "",
        (None, None) => return Err("the request has no Host header"),
    };
    if host.contains('@') || (!host.is_empty() && host.parse::<http::uri::Authority>().is_err()) {
        return Err("the request's host is no host name");
    }
    Ok(host)
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
}
