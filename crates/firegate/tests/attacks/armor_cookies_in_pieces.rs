//! A rule that refuses by a cookie, and a client that sends its cookies in pieces, as HTTP/2 lets it (RFC 9113, section 8.2.3).
//! The service gets them joined by `; `, and what a rule looks at has to be the same.

use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::project::{Project, expect, seen};
use crate::stack::Call;

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.headers['cookie'].matches('(^|; )role=guest(;|$)')\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.headers['cookie'].contains('a=b; c=d')\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_in_a_line_of_its_own_is_seen_where_the_service_gets_it() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |pieces: &[&str]| {
        let call = pieces.iter().fold(gate.call("/a"), |call: Call, piece| call.header("cookie", piece));
        call.send().await
    };
    let passed = send(&["x=y", "role=admin"]).await.ok();
    assert_eq!(seen(&passed, "cookie"), Some("x=y; role=admin"));
    for pieces in [
        &["role=guest"][..],
        &["x=y; role=guest"],
        &["x=y", "role=guest"],
        &["role=guest", "x=y"],
        &["a=b", "c=d"],
    ] {
        expect(&send(pieces).await, 403, "ARMOR_DENIED", &format!("{pieces:?}"));
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crumbs_of_http2_are_one_cookie_header_for_a_rule() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    for (crumbs, expected) in
        [(["x=y", "role=admin"], StatusCode::OK), (["x=y", "role=guest"], StatusCode::FORBIDDEN)]
    {
        let request = Request::get(gate.url("/a").as_str());
        let request = crumbs.iter().fold(request, |request, crumb| request.header("cookie", *crumb));
        let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        let status = sender.send_request(request).await.expect("an answer").status();
        assert_eq!(status, expected, "{crumbs:?}");
    }
    gate.close().await;
}
