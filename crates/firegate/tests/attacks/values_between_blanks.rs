//! A rule that compares a header's value, and a client that writes a blank before or behind it. Over HTTP/1 blanks there are no
//! part of a value; over HTTP/2 nobody takes them off, and a request with them is malformed (RFC 9113, section 8.2.1). A
//! service that speaks HTTP/1 would get the very value that the rule did not see.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::project::{Project, expect, seen};

const RULES: &str = "- { priority: 1, action: deny(404), match: { expr: { expression: \"has(request.headers['x-mode']) && request.headers['x-mode'] == 'unsafe'\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_blank_hides_a_value_from_a_rule() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for (name, value, expected) in [
        ("x-mode", "safe", 200),
        ("x-mode", "a b", 200),
        ("x-mode", "", 200),
        ("x-mode", "unsafe", 404),
        ("x-mode", " unsafe", 400),
        ("x-mode", "unsafe ", 400),
        ("x-mode", "\tunsafe", 400),
        ("x-mode", "unsafe\t", 400),
        ("x-mode", " ", 400),
        ("x-other", "a ", 400),
        // For the policy it would be no bearer token, and for the service one that nobody has judged.
        ("authorization", " Bearer a.b.c", 400),
        ("authorization", "Bearer a.b.c ", 400),
        ("authorization", " Bearer ", 400),
        ("authorization", "Basic ", 400),
        ("cookie", " __session=a", 400),
    ] {
        let mut connection = Connection::to(&gate.door).await;
        let block = request("GET", "/a", &[(name, value)]);
        connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
        assert_eq!(connection.status(1).await, Some(expected), "{name}: {value:?}");
    }
    // Over HTTP/1 they are gone before anything is compared.
    let passed = gate.call("/a").header("x-mode", " safe ").send().await.ok();
    assert_eq!(seen(&passed, "x-mode"), Some("safe"));
    let refused = gate.raw("/a", b"X-Mode: \t unsafe \t\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
    expect(&gate.call("/a").header("x-mode", "unsafe").send().await, 404, "ARMOR_DENIED", "over HTTP/1");
    gate.close().await;
}

/// `Authorization: Bearer $TOKEN` with an empty variable: over HTTP/1 nothing of the blank is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_without_a_token_is_told_so_by_every_protocol() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    for value in ["Bearer ", "bearer \t ", "Bearer"] {
        let mut connection = Connection::to(&gate.door).await;
        let block = request("GET", "/a", &[("authorization", value)]);
        connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
        assert_eq!(connection.status(1).await, Some(401), "{value:?}");
    }
    let over_http1 = gate.raw("/a", b"Authorization: Bearer \r\n").await;
    assert!(over_http1.starts_with("HTTP/1.1 401 "), "{over_http1}");
    gate.close().await;
}
