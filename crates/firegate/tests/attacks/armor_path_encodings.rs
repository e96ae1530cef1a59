//! A rule that closes a path, and other spellings of that path: a rule sees the one that is forwarded.

use crate::project::{Project, expect};

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/admin')\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.path.lower().urlDecode().contains('/secret/')\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_path_is_closed_in_every_spelling() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    gate.call("/administration-is-elsewhere").send().await;
    gate.call("/public").send().await.ok();
    for path in [
        "/admin",
        "/%61dmin",
        "/%61%64%6D%69%6e/x",
        "//admin",
        "/./admin",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public\\..\\admin",
        "/admin?x=/public",
        "/a/secret/b",
        "/a/SECRET/b",
        "/a/%73ecret/b",
    ] {
        let answer = gate.raw(path, b"").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
    }
    for path in [
        "/public/..%2fadmin",
        "/%2fadmin",
        "/public;/../admin%00",
        "/public/..;/admin",
        "/public/%5c..%5cadmin",
    ] {
        let answer = gate.raw(path, b"").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    expect(
        &gate.call("/admin/").header("x-original-url", "/public").send().await,
        403,
        "ARMOR_DENIED",
        "x-original-url",
    );
    gate.close().await;
}
