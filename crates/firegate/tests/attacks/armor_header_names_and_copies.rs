//! A rule that refuses by a header, and a client that writes its name in another case or sends it twice, so that the rule sees
//! the one and the service the other.

use crate::project::{Project, expect};

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"has(request.headers['x-debug'])\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.headers['user-agent'].contains('scanner')\" } } }\n\
    - { priority: 3, action: deny(403), match: { expr: { expression: \"has(request.headers['x-forwarded-user'])\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_and_no_copy_hides_a_header_from_a_rule() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    gate.call("/a").header("user-agent", "browser").send().await.ok();
    for headers in [
        &[("X-Debug", "1")][..],
        &[("x-DEBUG", "")],
        &[("x-debug", "0"), ("X-Debug", "1")],
        &[("User-Agent", "scanner/1")],
        &[("User-Agent", "browser"), ("user-agent", "scanner/1")],
        &[("User-Agent", "scanner/1"), ("user-agent", "browser")],
    ] {
        let call = headers.iter().fold(gate.call("/a"), |call, (name, value)| call.header(name, value));
        expect(&call.send().await, 403, "ARMOR_DENIED", &format!("{headers:?}"));
    }
    gate.close().await;
}

/// Servers that fold names (WSGI, CGI, PHP) read `X_Debug` as `X-Debug`, which is what the rule is about.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_service_may_take_for_the_rules_own_hides_nothing() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for headers in [
        &[("X_Debug", "1")][..],
        &[("x.debug", "1")],
        &[("X_Debug", "1"), ("user-agent", "browser")],
        &[("User_Agent", "scanner/1")],
        &[("User-Agent", "browser"), ("User_Agent", "scanner/1")],
        &[("User.Agent", "scanner/1"), ("User-Agent", "browser")],
    ] {
        let call = headers.iter().fold(gate.call("/a"), |call, (name, value)| call.header(name, value));
        expect(&call.send().await, 400, "REQUEST_MALFORMED", &format!("{headers:?}"));
    }
    // What no rule decides by is the service's own affair.
    gate.call("/a").header("x_other", "1").header("user-agent", "browser").send().await.ok();
    let elsewhere = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.headers['x-key'] != '1' && request.path == '/b'\" } } }\n";
    let gate_of_b = project.guarded_gate(elsewhere, "").await;
    let send = async |path: &str| gate_of_b.call(path).header("x-key", "1").header("x_key", "2").send().await;
    send("/a").await.ok();
    expect(&send("/b").await, 400, "REQUEST_MALFORMED", "where it matters");
    gate_of_b.close().await;
    gate.close().await;
}

/// A rule sees the list of all copies, and many services one copy alone: Go the first, CGI and others the last.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_hides_the_value_of_another_from_a_rule() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"has(request.headers['x-mode']) && request.headers['x-mode'] == 'unsafe'\" } } }\n\
        - { priority: 2, action: allow, match: { expr: { expression: \"request.path == '/b' && has(request.headers['x-role']) && request.headers['x-role'] != 'admin'\" } } }\n\
        - { priority: 3, action: deny(404), match: { expr: { expression: \"request.path == '/b'\" } } }\n\
        - { priority: 4, action: deny(403), match: { expr: { expression: \"has(request.headers['cookie']) && request.headers['cookie'].startsWith('a=1')\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |path: &str, headers: &[(&str, &str)]| {
        headers.iter().fold(gate.call(path), |call, (name, value)| call.header(name, value)).send().await
    };
    for copies in [&["unsafe", "safe"][..], &["safe", "unsafe"], &["unsafe", "safe", "unsafe"]] {
        let headers = copies.iter().map(|copy| ("x-mode", *copy)).collect::<Vec<_>>();
        expect(&send("/a", &headers).await, 400, "REQUEST_MALFORMED", &format!("{copies:?}"));
    }
    expect(&send("/b", &[("x-role", "admin")]).await, 404, "ARMOR_DENIED", "one copy");
    for copies in [["admin", "user"], ["user", "admin"]] {
        let headers = copies.map(|copy| ("x-role", copy));
        expect(&send("/b", &headers).await, 400, "REQUEST_MALFORMED", &format!("{copies:?}"));
    }
    // Where they do not matter they pass, and so do the pieces of a cookie, which the service gets as one.
    send("/a", &[("x-mode", "safe"), ("x-mode", "fast")]).await.ok();
    send("/b", &[("x-role", "user"), ("x-role", "guest")]).await.ok();
    send("/a", &[("accept", "a"), ("accept", "b"), ("cookie", "x=1"), ("cookie", "a=1")]).await.ok();
    gate.close().await;
}

/// A limit by a header, and a client that writes a new one beside the one that the service reads.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_and_no_look_alike_begins_a_new_count() {
    const RULES: &str = "- { priority: 1, action: throttle, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, rateLimitOptions: { conformAction: allow, \
        exceedAction: deny(429), enforceOnKey: HTTP_HEADER, enforceOnKeyName: x-key, rateLimitThreshold: { count: 2, intervalSec: 60 } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |headers: &[(&str, &str)]| {
        headers.iter().fold(gate.call("/a"), |call, (name, value)| call.header(name, value)).send().await
    };
    for _ in 0..2 {
        send(&[("x-key", "ours"), ("accept", "a"), ("accept", "b")]).await.ok();
    }
    expect(&send(&[("x-key", "ours")]).await, 429, "RATE_LIMITED", "the third time");
    for headers in [
        &[("x-key", "new"), ("x-key", "ours")][..],
        &[("x-key", "new"), ("X_Key", "ours")],
        &[("x.key", "ours")],
        &[("x-key", "new"), ("connection", "x-key")],
    ] {
        expect(&send(headers).await, 400, "REQUEST_MALFORMED", &format!("{headers:?}"));
    }
    send(&[("x-key", "new")]).await.ok();
    gate.close().await;
}

/// A limit by a cookie, and a client that sends a new one beside the one that the service reads: Express and PHP read the
/// first, Django and Python the last.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_and_no_look_alike_of_a_cookie_begins_a_new_count() {
    const RULES: &str = "- { priority: 1, action: throttle, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, rateLimitOptions: { conformAction: allow, \
        exceedAction: deny(429), enforceOnKey: HTTP_COOKIE, enforceOnKeyName: connect.sid, rateLimitThreshold: { count: 2, intervalSec: 60 } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |lines: &[&str]| {
        lines.iter().fold(gate.call("/a"), |call, line| call.header("cookie", line)).send().await
    };
    send(&["theme=dark; connect.sid=ours"]).await.ok();
    send(&["connect.sid=ours", "connect.sid=ours"]).await.ok();
    expect(&send(&["connect.sid=ours"]).await, 429, "RATE_LIMITED", "the third time");
    for lines in [
        &["connect.sid=new; connect.sid=ours"][..],
        &["connect.sid=ours; connect.sid=new"],
        &["connect.sid=new", "connect.sid=ours"],
        &["connect.sid=; connect.sid=ours"],
        &["connect.sid=new; Connect.Sid=ours"],
        &["connect.sid=new; connect%2Esid=ours"],
        &["connect_sid=ours"],
        &["connect.sid=new; a=\"b,connect.sid=ours"],
    ] {
        expect(&send(lines).await, 400, "REQUEST_MALFORMED", &format!("{lines:?}"));
    }
    // Many services undo escapes and take off quotation marks.
    for written_otherwise in ["connect.sid=%6Furs", "connect.sid=\"ours\"", "connect.sid=o%75%72s"] {
        expect(&send(&[written_otherwise]).await, 429, "RATE_LIMITED", written_otherwise);
    }
    send(&["connect.sid=new; sid=other; connect.sid2=x"]).await.ok();
    gate.close().await;
}

/// A limit by the credential, whose scheme everybody may write as they like, with as many blanks behind it.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_credential_begins_a_new_count() {
    const RULES: &str = "- { priority: 1, action: throttle, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, rateLimitOptions: { conformAction: allow, \
        exceedAction: deny(429), enforceOnKey: HTTP_HEADER, enforceOnKeyName: Authorization, rateLimitThreshold: { count: 2, intervalSec: 60 } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |credential: &str| gate.call("/a").header("authorization", credential).send().await;
    send("Bearer ours").await.ok();
    send("Bearer ours").await.ok();
    for written_otherwise in ["Bearer ours", "bearer ours", "BEARER ours", "Bearer   ours"] {
        expect(&send(written_otherwise).await, 429, "RATE_LIMITED", written_otherwise);
    }
    send("Bearer Ours").await.ok();
    send("Basic ours").await.ok();
    gate.close().await;
}
