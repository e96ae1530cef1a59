//! Dots and blanks at the end of a path. Caddy cuts them off before it compares a path, as Windows does with the names of
//! files: `/admin.` is not `/admin` for a proxy that does not, and is for the service.

use crate::project::{Project, expect};
use crate::stack::{Call, at, clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn dots_and_blanks_at_the_end_lead_past_no_route() {
    let clock = clock();
    let service = crate::site::echo(&clock).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allUsers]\nbackends:\n  api: '{service}'\n  \
             admin: {{ url: '{service}', allow: ['user:root@example.com'] }}\n\
             routes:\n  - {{ path: /*, backend: api }}\n  - {{ path: /admin, backend: admin }}\n  - {{ path: /keys/, backend: admin }}\n"
        ),
        &clock,
    );
    let get = async |path: &str| Call::get(&at(&door, path)).send().await;
    for path in
        ["/admin.", "/admin%20", "/admin.%20.", "/ADMIN.", "/admin;x.", "/admin.;x", "/keys/%20", "/keys/..."]
    {
        get(path).await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    for path in ["/a.", "/a%20", "/admin.js", "/a./admin.b"] {
        assert_eq!(get(path).await.ok()["path"], path, "no other backend has it");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dots_and_blanks_at_the_end_lead_past_no_rule_of_a_security_policy() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path == '/admin'\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for path in ["/admin.", "/admin%20%20", "/Admin."] {
        expect(&gate.call(path).send().await, 400, "REQUEST_MALFORMED", path);
    }
    gate.call("/other.").send().await.ok();
    gate.close().await;
}
