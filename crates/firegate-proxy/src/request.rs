//! One strict reading of a request's head. What two parties could read differently is refused here, before anything is
//! matched or believed.

use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::Client;
use firegate_core::headers::is_look_alike;
use firegate_core::limits::PATH_BYTES_MAX;
use firegate_core::path::NormalPath;
use firegate_core::reason::Reason;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::ext::Protocol;

use crate::connection::Arrival;
use crate::limits::{CONNECTION_OPTIONS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};

/// What is read of a request's head: the decision's facts, and who sent it.
#[derive(Debug)]
pub(crate) struct RequestHead<'a> {
    pub(crate) facts: RequestFacts<'a>,
    /// Where it comes from, as far as somebody trustworthy vouches for it.
    pub(crate) client: Client,
    /// The connection that it came by.
    pub(crate) arrival: Arrival,
}

/// Reads a request's head. `scheme` is how the client reached the door.
///
/// # Errors
/// If the head is ambiguous.
pub fn read<'a>(parts: &'a Parts, scheme: &'static str) -> Result<RequestFacts<'a>, Reason> {
    // Over HTTP/2 nobody has counted them before, and a browser sends each cookie in a field of its own (RFC 9113, section
    // 8.2.3), which are one for the service.
    let is_too_many = parts.headers.len() > REQUEST_HEADERS_MAX
        && parts.headers.len() - cookie_crumbs(parts) > REQUEST_HEADERS_MAX;
    if is_too_many {
        let bytes_max = u64::from(REQUEST_HEAD_BYTES_MAX);
        return Err(Reason::RequestHeadTooLarge { bytes_max, fields_max: REQUEST_HEADERS_MAX });
    }
    if parts.uri.path().len() > PATH_BYTES_MAX {
        return Err(Reason::RequestTargetTooLong { part: "path", bytes_max: PATH_BYTES_MAX });
    }
    read_head(parts, scheme).map_err(|why| Reason::RequestMalformed { why })
}

/// How many fields of cookies there are beyond the first one. They are bounded in bytes, like all of the head.
fn cookie_crumbs(parts: &Parts) -> usize {
    match parts.version {
        Version::HTTP_2 => parts.headers.get_all(COOKIE).iter().count().saturating_sub(1),
        _ => 0,
    }
}

fn read_head<'a>(parts: &'a Parts, scheme: &'static str) -> Result<RequestFacts<'a>, &'static str> {
    let Parts { headers, .. } = parts;
    let method = method(parts)?;
    if headers.keys().any(is_look_alike) {
        return Err("a header's name could be taken for one that frames or authorises the request");
    }
    let decisive = DecisiveFields::of(headers)?;
    let host = host(parts, decisive.host)?;
    let path = NormalPath::parse(parts.uri.path())?;
    let (query, is_web_socket) = (parts.uri.query(), upgrade(parts, decisive.upgrade)?);
    Ok(RequestFacts { query, scheme, host, is_web_socket, ..RequestFacts::of(method, path, headers) })
}

/// The fields that decide what a request is, gathered in one pass over all of them: each of these would otherwise be looked for
/// in every request, and most have none but the host.
#[derive(Default)]
struct DecisiveFields<'a> {
    host: Field<'a>,
    content_length: Field<'a>,
    transfer_encoding: Field<'a>,
    upgrade: Field<'a>,
    connection_options: usize,
}

/// A field that has one meaning only if it is there once.
#[derive(Clone, Copy, Default)]
enum Field<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Repeated,
}

impl<'a> Field<'a> {
    fn note(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

impl<'a> DecisiveFields<'a> {
    /// Gathers them, and refuses what hyper reads in one way and others in another (RFC 9112, section 6).
    fn of(headers: &'a HeaderMap) -> Result<Self, &'static str> {
        let mut fields = Self::default();
        for (name, value) in headers {
            if is_between_blanks(value.as_bytes()) && !(*name == AUTHORIZATION && is_empty_bearer(value)) {
                return Err("a header's value begins or ends with a blank");
            }
            if *name == HOST {
                fields.host.note(value);
            } else if *name == CONTENT_LENGTH {
                // An empty one, which HTTP/2 lets through, has no digit that could be wrong.
                let canonical = value.as_bytes() == b"0" || !value.as_bytes().starts_with(b"0");
                if value.is_empty() || !canonical || !value.as_bytes().iter().all(u8::is_ascii_digit) {
                    return Err("the Content-Length is not a plain number");
                }
                fields.content_length.note(value);
            } else if *name == TRANSFER_ENCODING {
                fields.transfer_encoding.note(value);
            } else if *name == UPGRADE {
                fields.upgrade.note(value);
            } else if *name == CONNECTION {
                fields.connection_options += value.as_bytes().split(|byte| *byte == b',').count();
            }
        }
        if fields.connection_options > CONNECTION_OPTIONS_MAX {
            return Err("the Connection header lists more options than a request has headers");
        }
        // Over HTTP/2 nobody below has looked: there equal ones are taken for one, and would be forwarded as two.
        if matches!(fields.content_length, Field::Repeated) {
            return Err("the request has more than one Content-Length");
        }
        match fields.transfer_encoding {
            Field::Absent => Ok(fields),
            Field::Once(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(fields),
            _ => Err("the Transfer-Encoding is another than chunked"),
        }
    }
}

/// Whether a value has a blank before or behind it. Over HTTP/1 none is left of it; over HTTP/2 nobody takes it off, so that
/// rules would see it, and a service that gets the value over HTTP/1 would not (RFC 9113, section 8.2.1: such a request is
/// malformed).
fn is_between_blanks(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

/// Whether an Authorization says `Bearer` and holds no token, as `Bearer $TOKEN` does with an empty variable. It is refused
/// wherever it is sent, and told why.
fn is_empty_bearer(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii_end().eq_ignore_ascii_case(b"bearer")
}

/// The method of a WebSocket's handshake (RFC 6455, section 4.1).
static WEB_SOCKET_METHOD: Method = Method::GET;

/// The method that the request is judged by. An extended CONNECT (RFC 8441, section 5) is the handshake of a WebSocket over
/// HTTP/2 and so a GET; any other CONNECT would be matched by its path and forwarded by its authority. The answer to a TRACE is
/// what the service got, the credential and the assertion too (RFC 9110, section 9.3.8). Methods are told apart by case, and no
/// registered one has small letters; some services take `post` for `POST`, which a policy does not.
fn method(parts: &Parts) -> Result<&Method, &'static str> {
    match parts.method {
        Method::CONNECT if is_extended_connect(parts) => Ok(&WEB_SOCKET_METHOD),
        Method::CONNECT => Err("CONNECT is not forwarded"),
        Method::TRACE => Err("TRACE is not forwarded"),
        _ if parts.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) => {
            Err("the method has small letters")
        }
        _ => Ok(&parts.method),
    }
}

/// Whether the client asks for a WebSocket over HTTP/2.
fn is_extended_connect(parts: &Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.version == Version::HTTP_2 && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// The one host of a request: RFC 9112, section 3.2, and RFC 9113, section 8.3.1.
fn host<'a>(parts: &'a Parts, field: Field<'a>) -> Result<&'a str, &'static str> {
    let header = match field {
        Field::Absent => None,
        Field::Once(value) => Some(value.to_str().map_err(|_| "the Host header is not visible ASCII")?),
        Field::Repeated => return Err("the request has more than one Host header"),
    };
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            return Err("the request's target and its Host header differ");
        }
        // RFC 9112, section 3.2: a URL as the target does not stand for the Host that is missing. RFC 9113 has `:authority`.
        (Some(_), None) if parts.version == Version::HTTP_11 => {
            return Err("the request has no Host header");
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if parts.version == Version::HTTP_10 => return Ok(""),
        (None, None) => return Err("the request has no Host header"),
    };
    if is_host(host) { Ok(host) } else { Err("the request's host is no host name or address") }
}

/// A name of letters, digits, `-`, `.` and `_`, or an IPv6 address in brackets; then a port, or none. Services split what
/// they are told as `X-Forwarded-Host` at commas.
fn is_host(host: &str) -> bool {
    let (name, rest) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address.parse::<std::net::Ipv6Addr>().is_ok(), rest),
        None => {
            let (name, rest) =
                host.split_at(host.bytes().position(|byte| byte == b':').unwrap_or(host.len()));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (!name.is_empty() && name.bytes().all(plain), rest)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    name && port
}

/// A host's name in lower case, without its port.
pub(crate) fn host_name(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(_) => host.split_inclusive(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default().to_ascii_lowercase()
}

/// What a machine is called by the containers that run on it. No name of the Internet ends so (`.internal` is reserved).
const NAMES_FOR_CONTAINERS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// Whether the name of a host can only be a machine's own: an address, `localhost` or a name below it, what containers call
/// their machine, or a name of the local network (`.local`, RFC 6762). Any other name may be one that a page of the Internet
/// has pointed here (DNS rebinding), and for the browser that page would be of the same origin.
pub(crate) fn is_local_name(name: &str) -> bool {
    name.starts_with('[')
        || name == "localhost"
        || [".localhost", ".local"].iter().any(|end| name.ends_with(end))
        || NAMES_FOR_CONTAINERS.contains(&name)
        || name.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether the client asks for a WebSocket (RFC 6455, section 4.1). Any other protocol is as good as not asked for: in a
/// tunnel of `h2c`, for one, requests would follow that nobody judges.
fn upgrade(parts: &Parts, field: Field<'_>) -> Result<bool, &'static str> {
    if parts.method == Method::CONNECT {
        return Ok(true);
    }
    let Field::Once(protocol) = field else { return Ok(false) };
    if !names_upgrade(&parts.headers) {
        return Err("the request has an Upgrade header that Connection does not name");
    }
    let is_web_socket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    Ok(is_web_socket && parts.method == Method::GET && parts.version == Version::HTTP_11)
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, pairs: &[(&str, &str)], expected: Result<bool, &str>) {
        let method = if target.starts_with("CONNECT") { Method::CONNECT } else { Method::GET };
        let mut builder = http::Request::builder().method(method).uri(target.trim_start_matches("CONNECT "));
        for (name, value) in pairs {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).expect("a request").into_parts();
        let read = read_head(&parts, "http").map(|facts| facts.is_web_socket);
        assert_eq!(read, expected, "{target} {pairs:?}");
    }

    #[test]
    fn a_head_has_one_reading() {
        let host = ("host", "door.example:8080");
        check("/", &[host], Ok(false));
        check("http://door.example:8080/", &[host], Ok(false));
        check("http://door.example:8080/", &[], Err("the request has no Host header"));
        check("http://other.example/", &[host], Err("the request's target and its Host header differ"));
        check("/", &[], Err("the request has no Host header"));
        check("/", &[host, host], Err("the request has more than one Host header"));
        for bad in
            ["a,b", "user@door", "a b", "", "door:", "door:x", "door:+80", "[::1", "[::1]:+80", "[zz]", "a/b"]
        {
            check("/", &[("host", bad)], Err("the request's host is no host name or address"));
        }
        for good in ["[::1]:80", "127.0.0.1", "a-b.c_d"] {
            check("/", &[("host", good)], Ok(false));
        }
        check("CONNECT http://door.example:8080/public/x", &[host], Err("CONNECT is not forwarded"));
        check("/", &[host, ("content-length", "03")], Err("the Content-Length is not a plain number"));
        check("/", &[host, ("content-length", "3")], Ok(false));
        check("/", &[host, ("content-length", "0")], Ok(false));
        check("/", &[host, ("content-length", "")], Err("the Content-Length is not a plain number"));
        check(
            "/",
            &[host, ("content-length", "3"), ("content-length", "3")],
            Err("the request has more than one Content-Length"),
        );
        check("/", &[host, ("content-length", "+3")], Err("the Content-Length is not a plain number"));
        check(
            "/",
            &[host, ("transfer-encoding", "gzip, chunked")],
            Err("the Transfer-Encoding is another than chunked"),
        );
        check(
            "/",
            &[host, ("content_length", "3")],
            Err("a header's name could be taken for one that frames or authorises the request"),
        );
    }

    fn parts(method: Method, version: Version, pairs: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().method(method).version(version).uri("/");
        for (name, value) in pairs {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request").into_parts().0
    }

    /// Over HTTP/1 they are one field.
    #[test]
    fn cookies_of_http2_count_for_one_field() {
        let check = |version, fields: usize, cookies: usize, is_read: bool| {
            let pairs = [("host", "door")].into_iter().chain((1..fields).map(|_| ("x", "y")));
            let pairs = pairs.chain((0..cookies).map(|_| ("cookie", "a=b"))).collect::<Vec<_>>();
            let read = read(&parts(Method::GET, version, &pairs), "http").map(drop);
            let refused = matches!(read, Err(Reason::RequestHeadTooLarge { .. }));
            assert_eq!((read.is_ok(), refused), (is_read, !is_read), "{version:?} {fields} {cookies}");
        };
        check(Version::HTTP_2, REQUEST_HEADERS_MAX, 0, true);
        check(Version::HTTP_2, REQUEST_HEADERS_MAX - 1, 3, true);
        check(Version::HTTP_2, REQUEST_HEADERS_MAX, 1, false);
        check(Version::HTTP_2, REQUEST_HEADERS_MAX + 1, 0, false);
        check(Version::HTTP_11, REQUEST_HEADERS_MAX - 1, 1, true);
        check(Version::HTTP_11, REQUEST_HEADERS_MAX - 1, 2, false);
    }

    #[test]
    fn old_clients_name_no_host() {
        let host = |version| {
            let parts = parts(Method::GET, version, &[]);
            read_head(&parts, "http").map(|facts| facts.host.to_owned())
        };
        assert_eq!(host(Version::HTTP_10).as_deref(), Ok(""));
        for version in [Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(host(version), Err("the request has no Host header"), "{version:?}");
        }
    }

    #[test]
    fn a_handshake_is_a_get_over_http1_or_an_extended_connect() {
        let check = |method: Method, version: Version, protocol: Option<&'static str>, expected| {
            let upgrade = [("host", "door"), ("connection", "upgrade"), ("upgrade", "websocket")];
            let pairs = if protocol.is_some() { &upgrade[..1] } else { &upgrade[..] };
            let mut parts = parts(method, version, pairs);
            if let Some(protocol) = protocol {
                parts.extensions.insert(Protocol::from_static(protocol));
            }
            let read = read_head(&parts, "http").map(|facts| facts.is_web_socket);
            assert_eq!(read, expected, "{} {version:?} {protocol:?}", parts.method);
        };
        check(Method::GET, Version::HTTP_11, None, Ok(true));
        check(Method::POST, Version::HTTP_11, None, Ok(false));
        check(Method::GET, Version::HTTP_10, None, Ok(false));
        check(Method::CONNECT, Version::HTTP_2, Some("websocket"), Ok(true));
        for other in ["connect-udp", "WebSocket", "h2c"] {
            check(Method::CONNECT, Version::HTTP_2, Some(other), Err("CONNECT is not forwarded"));
        }
        check(Method::CONNECT, Version::HTTP_11, Some("websocket"), Err("CONNECT is not forwarded"));
    }

    #[test]
    fn local_hosts_are_addresses_and_localhost() {
        assert_eq!(host_name("[2001:DB8::1]:9080"), "[2001:db8::1]");
        for (host, expected) in [
            ("localhost:9080", true),
            ("api.localhost", true),
            ("my-mac.local:9080", true),
            ("192.168.1.4:9080", true),
            ("[::1]:9080", true),
            ("LocalHost:9080", true),
            ("host.docker.internal:9080", true),
            ("host.containers.internal:9080", true),
            ("docker.internal", false),
            ("evil.host.docker.internal", false),
            ("evil.example:9080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_local_name(&host_name(host)), expected, "{host}");
        }
    }

    #[test]
    fn only_web_sockets_are_upgraded_to() {
        let (host, connection) = (("host", "door"), ("connection", "keep-alive, Upgrade"));
        check("/", &[host, connection, ("upgrade", "websocket")], Ok(true));
        check("/", &[host, connection, ("upgrade", "WebSocket")], Ok(true));
        check("/", &[host, connection, ("upgrade", "h2c")], Ok(false));
        check("/", &[host, connection, ("upgrade", "websocket, h2c")], Ok(false));
        check("/", &[host, connection, ("upgrade", "websocket"), ("upgrade", "h2c")], Ok(false));
        check(
            "/",
            &[host, ("upgrade", "websocket")],
            Err("the request has an Upgrade header that Connection does not name"),
        );
    }
}
