//! Patterns over texts that are long, hold NUL or are no UTF-8: a rule finds what it looks for at the end of the longest head
//! that is taken, in linear time, and what no head may hold never reaches it.

use std::time::Duration;

use tokio::time::Instant;

use crate::project::{Project, expect};

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.headers['x-text'].matches('(?i)(a|a)*(aa)*union +select')\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.query.matches('%00')\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_long_text_is_seen_and_in_time() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let long = "a".repeat(24 * 1024);
    let started = Instant::now();
    gate.call("/a").header("x-text", &long).send().await.ok();
    let found = gate.call("/a").header("x-text", &format!("{long}UNION  SELECT")).send().await;
    expect(&found, 403, "ARMOR_DENIED", "at the end");
    // A pattern that backtracks would take longer than anybody waits.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    expect(&gate.call("/a?x=%00").send().await, 403, "ARMOR_DENIED", "an escaped NUL in the query");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_head_may_hold_is_refused_before_any_rule() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for line in [&b"x-text: a\0union select"[..], b"x-text\0: union select", b"x-text: union\r select"] {
        let answer = gate.raw("/a", &[line, b"\r\n"].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", line.escape_ascii());
    }
    // What is no UTF-8 is compared byte by byte, and hides nothing.
    let answer = gate.raw("/a", b"x-text: \xff\xfeunion select\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let overlong = [b"x-text: ".as_slice(), "a".repeat(2 * 1024 * 1024).as_bytes(), b"\r\n"].concat();
    let answer = gate.raw("/a", &overlong).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    gate.close().await;
}
