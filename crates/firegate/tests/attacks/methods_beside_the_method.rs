//! A rule of the request's method, and a client that sends another one beside it, which many frameworks take in its place:
//! `X-HTTP-Method-Override`, `X-HTTP-Method`, `X-Method-Override`, `_method`.

use http::Method;

use crate::project::{Gate, Project, expect, seen};
use crate::stack::Call;

const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.method == 'DELETE'\" } } }\n\
    - { priority: 2, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/read') && request.method != 'GET' && request.method != 'HEAD'\" } } }\n\
    - { priority: 3, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/locked/') && request.method == 'PATCH'\" } } }\n";

const OVERRIDES: [&str; 6] = [
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X_HTTP_Method_Override",
    "x.http.method",
    "X~Method~Override",
];

fn call(gate: &Gate, method: &Method, target: &str, headers: &[(&str, &str)]) -> Call {
    let call = Call::new(method.clone(), &gate.url(target));
    headers.iter().fold(call, |call, (name, value)| call.header(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_beside_the_method_leads_past_a_rule() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |method: &Method, target: &str, headers: &[(&str, &str)]| {
        call(&gate, method, target, headers).send().await
    };
    expect(&send(&Method::DELETE, "/a", &[]).await, 403, "ARMOR_DENIED", "the rule's own method");
    expect(&send(&Method::POST, "/read", &[]).await, 403, "ARMOR_DENIED", "the rule's own method");
    for name in OVERRIDES {
        for value in ["DELETE", "delete", "PUT, DELETE"] {
            let refused = send(&Method::POST, "/a", &[(name, value)]).await;
            expect(&refused, 400, "REQUEST_MALFORMED", &format!("{name}: {value}"));
        }
        let refused = send(&Method::GET, "/read", &[(name, "POST")]).await;
        expect(&refused, 400, "REQUEST_MALFORMED", name);
    }
    for target in
        ["/a?_method=DELETE", "/a?x=1&_method=delete", "/a?x=1;_METHOD=DELETE", "/a?%5fmethod=%44ELETE"]
    {
        let refused = send(&Method::POST, target, &[]).await;
        expect(&refused, 400, "REQUEST_MALFORMED", target);
    }
    // By path and method at once.
    send(&Method::POST, "/locked;x/a", &[]).await.ok();
    let refused = send(&Method::POST, "/locked;x/a", &[("X-HTTP-Method-Override", "PATCH")]).await;
    expect(&refused, 400, "REQUEST_MALFORMED", "another path and another method");
    let most = (0..9).map(|number| format!("M{number}")).collect::<Vec<_>>().join(",");
    let refused = send(&Method::POST, "/a", &[("X-HTTP-Method", &most)]).await;
    expect(&refused, 400, "REQUEST_MALFORMED", "more than are looked at");
    // What no rule decides by is the service's own affair, and reaches it.
    for (method, target, value) in [
        (Method::POST, "/a", "PATCH"),
        (Method::GET, "/read", "HEAD"),
        (Method::GET, "/a?_method=PUT", "GET"),
    ] {
        let passed = send(&method, target, &[("X-HTTP-Method-Override", value)]).await.ok();
        assert_eq!(seen(&passed, "x-http-method-override"), Some(value), "{method} {target}");
    }
    gate.close().await;
}

/// A page of another origin sends a GET with the user's cookie by a mere link, which a service would take for a DELETE.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_another_method_is_no_safe_request() {
    let project = Project::open().await;
    let gate = project
        .gate(
            "backends: { api: { url: 'SERVICE', token_sources: [cookie] } }\nusers: { accept: [session_cookie] }\n\
             allow: [allAuthenticatedUsers]",
        )
        .await;
    let cookie = format!("__session={}", project.session_cookie());
    let send = async |target: &str, more: &[(&str, &str)]| {
        let call = call(&gate, &Method::GET, target, more).header("cookie", &cookie);
        call.send().await
    };
    send("/a?x=1", &[("origin", "https://evil.example")]).await.ok();
    for target in ["/a?_method=DELETE", "/a?x&_method=post"] {
        let refused = send(target, &[("sec-fetch-site", "cross-site")]).await;
        expect(&refused, 403, "COOKIE_ORIGIN_NOT_ALLOWED", target);
        send(target, &[("sec-fetch-site", "same-origin")]).await.ok();
    }
    send("/a?_method=HEAD", &[("sec-fetch-site", "cross-site")]).await.ok();
    gate.close().await;
}
