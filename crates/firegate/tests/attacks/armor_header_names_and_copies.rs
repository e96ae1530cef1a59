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
