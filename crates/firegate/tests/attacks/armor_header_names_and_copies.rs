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
