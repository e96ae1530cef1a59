//! Path parameters (`;`), which servlet containers cut off before they choose what answers: `/admin;x=1/users` is none of
//! `/admin/*` for a proxy that does not, and `/admin/users` for the service.

use crate::project::{Project, expect};
use crate::site::Site;
use crate::stack::{Call, at, clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn parameters_lead_past_no_route() {
    let site = Site::open().await;
    let send = async |path: &str| {
        let token = site.token();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        site.send_raw(request.as_bytes()).await
    };
    for path in [
        "/admin;x=1/users",
        "/admin;/users",
        "/;/admin/users",
        "/;x/;y/admin/users",
        "/admin%3bx=1/users",
        "/%3B/admin/users",
        "/ad%6din;x/users",
        "/a/..;/admin/users",
        "/;/public/a",
        "/public;x/a",
        "/admin;x=1%3By/users",
    ] {
        let answer = send(path).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    for path in ["/admin/;x=1/users", "/admin/users;x=1", "/admin/;/users"] {
        let answer = send(path).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
    }
    for path in ["/a;v=1/b", "/shop/list;jsessionid=8F3A?x", "/a%3Bb", "/public/a;b"] {
        let answer = send(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    site.close().await;
}

/// The backend that takes encoded slashes is read by servers that decode them and by servers that cut, in either order.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_beside_encoded_slashes_lead_past_no_route() {
    let clock = clock();
    let service = crate::site::echo(&clock).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allUsers]\nbackends:\n  files: {{ url: '{service}', encoded_slash: forward }}\n  \
             admin: {{ url: '{service}', allow: ['user:root@example.com'] }}\n\
             routes:\n  - {{ path: /files/*, backend: files }}\n  - {{ path: /files/private/*, backend: admin }}\n"
        ),
        &clock,
    );
    let get = async |path: &str| Call::get(&at(&door, path)).send().await;
    for path in [
        "/files/private;x%2Fkeys",
        "/files/private;x%2F/keys",
        "/files/;%2Fprivate/keys",
        "/files/private%3Bx%2Fkeys",
        "/.well-known;x/firegate/jwks.json",
        "/;/.well-known/firegate/token",
    ] {
        get(path).await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    assert_eq!(get("/files/a;x%2Fb").await.ok()["path"], "/files/a;x%2Fb");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_lead_past_no_rule_of_a_security_policy() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/admin')\" } } }\n\
        - { priority: 2, action: allow, match: { expr: { expression: \"request.path == '/open;x'\" } } }\n\
        - { priority: 3, action: deny(403), match: { expr: { expression: \"request.path.contains('/open')\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for path in ["/;/admin/users", "/%3bx/admin", "/open;x"] {
        expect(&gate.call(path).send().await, 400, "REQUEST_MALFORMED", path);
    }
    expect(&gate.call("/admin;x=1/users").send().await, 403, "ARMOR_DENIED", "both readings are closed");
    gate.call("/shop;x=1/list").send().await.ok();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_count_in_no_window_of_their_own() {
    let project = Project::open().await;
    let gate = project.counting_gate().await;
    gate.call("/login").send().await.ok();
    gate.call("/login;a").send().await.ok();
    for path in ["/login;b", "/;/login", "/login%3Bc", "/login"] {
        expect(&gate.call(path).send().await, 429, "RATE_LIMITED", path);
    }
    gate.call("/other").send().await.ok();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_fulfil_no_condition() {
    let project = Project::open().await;
    let gate = project.conditional_gate().await;
    let token = project.id_token();
    gate.call("/a;x/b").bearer(&token).send().await.ok();
    for path in ["/admin;x/users", "/;/admin/users", "/admin%3Bx/users"] {
        expect(&gate.call(path).bearer(&token).send().await, 403, "NO_INVOKER_BINDING", path);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_evade_no_denial() {
    let project = Project::open().await;
    let gate = project.denying_gate().await;
    let token = project.id_token();
    gate.call("/a;x/b").bearer(&token).send().await.ok();
    for path in ["/admin;x/users", "/;/admin/users", "/admin%3Bx/users"] {
        expect(&gate.call(path).bearer(&token).send().await, 403, "DENIED_BY_IAM_POLICY", path);
    }
    gate.close().await;
}
