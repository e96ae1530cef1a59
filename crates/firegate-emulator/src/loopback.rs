//! The guard of everything that hands out credentials: only a process on this machine may ask, and only under a name
//! of this machine. The second half stops DNS rebinding, where a web page's own host name comes to point at 127.0.0.1.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{StatusCode, header};

/// The name under which clients know the metadata server; they reach it here by an override or a hosts entry.
const METADATA_HOST: &str = "metadata.google.internal";

/// Answers 403 unless the peer and every name that the request is addressed to are loopback.
pub(crate) async fn guard(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(peer.ip(), &request) {
        None => next.run(request).await,
        Some(why) => {
            tracing::warn!(%peer, why, "refused a request to the local Google endpoints");
            (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
        }
    }
}

fn refusal(peer: IpAddr, request: &Request) -> Option<&'static str> {
    if !peer.to_canonical().is_loopback() {
        return Some("the local Google endpoints answer only to this machine; connect from 127.0.0.1");
    }
    let mut named = false;
    let headers =
        request.headers().get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or_default());
    for authority in headers.chain(request.uri().authority().map(Authority::as_str)) {
        named = true;
        if !is_loopback_authority(authority) {
            return Some(
                "the local Google endpoints answer only under a loopback name; use http://127.0.0.1 or http://localhost",
            );
        }
    }
    if named { None } else { Some("the request has no Host header; send one that names this machine") }
}

/// Whether `host` or `host:port` names this machine.
pub(crate) fn is_loopback_authority(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host == METADATA_HOST
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, expected: bool) {
        assert_eq!(is_loopback_authority(authority), expected, "{authority:?}");
    }

    #[test]
    fn a_peer_on_another_machine_is_refused_whatever_it_calls_this_one() {
        let request = || {
            let request = Request::builder().uri("/").header(header::HOST, "localhost");
            request.body(axum::body::Body::empty()).unwrap()
        };
        let check = |peer: &str, refused: bool| {
            assert_eq!(refusal(peer.parse().unwrap(), &request()).is_some(), refused, "{peer}");
        };
        check("127.0.0.1", false);
        check("::1", false);
        check("::ffff:127.0.0.1", false);
        check("192.168.1.20", true);
        check("::ffff:192.168.1.20", true);
        let nameless = Request::builder().uri("/").body(axum::body::Body::empty()).unwrap();
        assert!(refusal("127.0.0.1".parse().unwrap(), &nameless).is_some());
    }

    #[test]
    fn only_names_of_this_machine_pass() {
        check("localhost", true);
        check("LOCALHOST:9082", true);
        check("api.localhost:9082", true);
        check("127.0.0.1:9082", true);
        check("127.8.8.8", true);
        check("[::1]:9082", true);
        check("metadata.google.internal", true);
        check("metadata.google.internal.:80", true);
        check("", false);
        check("127.0.0.1.example.com", false);
        check("localhost.example.com", false);
        check("localhost@example.com", false);
        check("10.0.2.2:9082", false);
        check("0.0.0.0:9082", false);
        check("sts.googleapis.com", false);
    }
}
