//! A query whose letters are written in escapes. A rule of a security policy sees the query as it came, as in Cloud Armor,
//! and the service decodes it: `?%61dmin=1` is `?admin=1` for every server (RFC 3986, section 6.2.2.2).

use crate::project::{Project, expect};

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.query.contains('admin=1')\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/export') && request.query.matches('(^|&)all=')\" } } }\n\
    - { priority: 3, action: deny(403), match: { expr: { expression: \"request.method == 'DELETE' && request.query.contains('hard=')\" } } }\n\
    - { priority: 4, action: deny(403), match: { expr: { expression: \"request.query.urlDecode().contains('<script')\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_escape_hides_a_letter_from_a_rule() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for target in [
        "/a?%61dmin=1",
        "/a?admin=%31",
        "/a?x=2&%61%64%6d%69%6E=1",
        "/export?%61ll=x",
        // By two readings at once.
        "/EXPORT?%61ll=x",
        "/;x/export?al%6C=",
        "/a?_method=DELETE&%68ard=1",
    ] {
        expect(&gate.call(target).send().await, 400, "REQUEST_MALFORMED", target);
    }
    for target in ["/a?admin=1", "/export?all=", "/a?q=%3Cscript%3E", "/a?q=%3c%73cript"] {
        expect(&gate.call(target).send().await, 403, "ARMOR_DENIED", target);
    }
    // What stands in a value says nothing beside it, and what decides nothing passes as it came.
    for target in ["/a?next=/x%3Fadmin%3D1", "/a?q=%61%20b+c", "/a?%61ll=x", "/export?tall=%61ll"] {
        assert_eq!(gate.call(target).send().await.ok()["path"], target);
    }
    gate.close().await;
}

/// Caddy takes capital letters for small ones, and what it runs by FastCGI marks in a header's name for hyphens.
#[tokio::test(flavor = "multi_thread")]
async fn no_two_readings_together_lead_past_a_rule_that_neither_does_alone() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/debug') && has(request.headers['x-mode']) && request.headers['x-mode'] == 'on'\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |path: &str, headers: &[(&str, &str)]| {
        let call = headers.iter().fold(gate.call(path), |call, (name, value)| call.header(name, value));
        call.send().await
    };
    for headers in [
        &[("x-mode", "on")][..],
        &[("x_mode", "on")],
        &[("x-mode", "on"), ("x-mode", "off")],
        &[("x-mode", "off"), ("x.mode", "on")],
    ] {
        expect(&send("/DEBUG", headers).await, 400, "REQUEST_MALFORMED", &format!("{headers:?}"));
        send("/OTHER", headers).await.ok();
    }
    send("/DEBUG", &[("x-mode", "off")]).await.ok();
    gate.close().await;
}
