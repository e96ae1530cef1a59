//! A rule that goes by `request.headers['host']`, as Cloud Armor's do, and a client that names the host as HTTP/2 has it: in
//! `:authority` (RFC 9113, section 8.3.1), without a `Host`. The same with `Upgrade` and an extended CONNECT (RFC 8441).

use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::project::{Gate, Project};

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.headers['host'].lower().startsWith('closed.example')\" } } }\n\
    - { priority: 2, action: deny(404), match: { expr: { expression: \"!has(request.headers['host'])\" } } }\n";

const DEFAULT: &str = "- { priority: 2147483647, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_host_sees_it_in_every_version_of_http() {
    let project = Project::open().await;
    for dialect in ["gcloud", "firegate"] {
        let policy = format!("name: edge\nrules:\n{RULES}{}", DEFAULT);
        let backend =
            format!("{{ url: 'SERVICE', security_policy: {{ file: armor.yaml, dialect: {dialect} }} }}");
        let text = format!("backends: {{ api: {backend} }}\nallow: [allUsers]\n");
        let gate = project.gate_with_files(&text, &[("armor.yaml", &policy)]).await;
        check(&gate).await;
        gate.close().await;
    }
}

async fn check(gate: &Gate) {
    let over_http2 = async |authority: &str, host: Option<&str>| {
        let stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("HTTP/2");
        tokio::spawn(connection);
        let mut request = Request::get(format!("http://{authority}/a"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        sender.send_request(request).await.expect("an answer").status()
    };
    for (authority, host, expected) in [
        ("open.example", None, StatusCode::OK),
        ("open.example:8080", Some("open.example:8080"), StatusCode::OK),
        ("closed.example", None, StatusCode::FORBIDDEN),
        ("Closed.example:8080", None, StatusCode::FORBIDDEN),
        ("closed.example", Some("closed.example"), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(over_http2(authority, host).await, expected, "{authority} {host:?}");
    }
    let over_http1 = async |host: &str| gate.call("/a").header("host", host).send().await.status;
    assert_eq!(over_http1("open.example").await, StatusCode::OK);
    assert_eq!(over_http1("closed.example").await, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_web_sockets_sees_them_in_every_version_of_http() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"has(request.headers['upgrade']) && request.headers['upgrade'].lower() == 'websocket'\" } } }\n\
        - { priority: 2, action: deny(403), match: { expr: { expression: \"has(request.headers['connection']) && request.headers['connection'].lower() == 'upgrade' && request.path == '/b'\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    let mut send = async |method: Method, path: &str| {
        let request = Request::builder().method(method.clone()).uri(gate.url(path).as_str());
        let mut request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
        if method == Method::CONNECT {
            request.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        sender.send_request(request).await.expect("an answer").status()
    };
    assert_eq!(send(Method::GET, "/b").await, StatusCode::OK);
    assert_eq!(send(Method::CONNECT, "/a").await, StatusCode::FORBIDDEN);
    assert_eq!(send(Method::CONNECT, "/b").await, StatusCode::FORBIDDEN);
    let http1 = gate
        .raw(
            "/a",
            b"Upgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        )
        .await;
    assert!(http1.starts_with("HTTP/1.1 403 "), "{http1}");
    gate.close().await;
}
