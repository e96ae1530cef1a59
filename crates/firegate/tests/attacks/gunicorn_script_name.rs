//! gunicorn takes what a header `SCRIPT_NAME` says off the beginning of the path, whoever sent it, if it trusts its peer: on
//! the same machine always, and with `forwarded_allow_ips = "*"` everywhere. Of `/public/admin/users` with `SCRIPT_NAME:
//! /public` the application saw `/admin/users`, which no rule had been asked about (seen with gunicorn 27.0.1).

use crate::project::{Project, expect};

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/admin/')\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_header_takes_a_beginning_off_the_path() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    expect(&gate.call("/admin/users").send().await, 403, "ARMOR_DENIED", "the rule's own path");
    for name in ["SCRIPT_NAME", "Script-Name", "script.name", "PATH_INFO", "Path-Info", "X-Script-Name"] {
        let echo = gate.call("/public/admin/users").header(name, "/public").send().await.ok();
        assert!(!echo["headers"].to_string().contains("/public"), "{name}: {echo}");
    }
    gate.close().await;
}
