//! A rule that asks for a header, and a request of which the service gets another one or none: `Connection` names it, so that
//! it goes no further (RFC 9110, section 7.6.1), or it is the host of a request of HTTP/1.0 that names none, in the place of
//! which the service gets its own.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::project::{Gate, Project};
use crate::wire::rest;

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path == '/needs' && !has(request.headers['x-needed'])\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.path == '/host' && request.headers['host'] != 'good.example'\" } } }\n\
    - { priority: 3, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }\n";

async fn check(gate: &Gate, head: &str, expected: &str) {
    let mut stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
    let request = format!("GET {}\r\n\r\n", head.replace('\n', "\r\n"));
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let answer = rest(&mut stream).await;
    assert_eq!(answer.get(9..12), Some(expected), "{head}: {answer}");
    let is_passed = expected == "200";
    assert_eq!(answer.contains("x-firegate-reason: "), !is_passed, "{head}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_does_not_get_fulfils_no_rule() {
    let project = Project::open().await;
    for dialect in ["gcloud", "firegate"] {
        let policy = format!("name: edge\nrules:\n{RULES}");
        let backend =
            format!("{{ url: 'SERVICE', security_policy: {{ file: armor.yaml, dialect: {dialect} }} }}");
        let text = format!("backends: {{ api: {backend} }}\nallow: [allUsers]\n");
        let gate = project.gate_with_files(&text, &[("armor.yaml", &policy)]).await;
        let needs = "/needs HTTP/1.1\nHost: door\nConnection: close";
        check(&gate, needs, "403").await;
        check(&gate, &format!("{needs}\nX-Needed: 1"), "200").await;
        for connection in ["x-needed", "keep-alive, X-Needed", "X-NEEDED ,x"] {
            let named = format!("{needs}\nX-Needed: 1\nConnection: {connection}");
            check(&gate, &named, "400").await;
        }
        // Where it does not matter, it is the client's own affair.
        check(&gate, "/other HTTP/1.1\nHost: door\nX-Needed: 1\nConnection: close, x-needed", "200").await;
        check(&gate, "/host HTTP/1.1\nHost: good.example\nConnection: close", "200").await;
        check(&gate, "/host HTTP/1.1\nHost: bad.example\nConnection: close", "403").await;
        check(&gate, "/host HTTP/1.0\nHost: good.example", "200").await;
        check(&gate, "/host HTTP/1.0", "400").await;
        check(&gate, "/other HTTP/1.0", "200").await;
        gate.close().await;
    }
}
