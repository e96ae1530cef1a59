//! While a backend is only observed, everybody gets through who got through before, and so does whoever forges a token. What
//! the service sees of such a request is what it would see without Firegate, and nothing that Firegate vouches for.

use serde_json::json;

use crate::project::{Key, Project, edited, expect, seen};

const CONFIGURATION: &str = "\
backends:
  api: { url: 'SERVICE', credential: none, enforce: observe, user_token: forward, allow: ['user:root@example.com'] }
  quiet: { url: 'SERVICE', credential: none, enforce: observe, user_token: drop, identity_headers: iap }
  closed: { url: 'SERVICE' }
routes: [{ path: '/closed/*', backend: closed }, { path: '/quiet/*', backend: quiet }, { path: '/*', backend: api }]
allow: ['user:root@example.com']";

/// Whatever a service could take for Firegate's or Google's word.
const VOUCHED: [&str; 8] = [
    "x-serverless-authorization",
    "x-firegate-assertion",
    "x-firegate-user-id",
    "x-firegate-user-email",
    "x-firegate-caller",
    "x-goog-iap-jwt-assertion",
    "x-goog-authenticated-user-id",
    "x-apigateway-api-userinfo",
];

#[tokio::test(flavor = "multi_thread")]
async fn who_would_be_refused_gets_through_and_is_vouched_for_by_nobody() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let root = edited(&project.id_claims(), "email", json!("root@example.com"));
    let tokens = [
        ("nobody", None),
        ("a signed-in user who may not", Some(project.id_token())),
        ("a forged root", Some(Key::Stranger.sign(&root))),
        ("an expired root", Some(Key::IdToken.sign(&edited(&root, "exp", json!(project.now() - 1))))),
        ("root, not verified", Some(Key::IdToken.sign(&edited(&root, "email_verified", json!(false))))),
        ("no token at all", Some("x".to_owned())),
    ];
    for (who, token) in &tokens {
        for path in ["/a", "/quiet/a"] {
            let mut call = gate.call(path);
            for name in VOUCHED {
                call = call.header(name, "root");
            }
            if let Some(token) = token {
                call = call.bearer(token);
            }
            let answer = call.send().await.ok();
            for name in VOUCHED {
                assert_eq!(seen(&answer, name), None, "{who}: {name} on {path}");
            }
            let expected = token.as_ref().filter(|_| path == "/a").map(|token| format!("Bearer {token}"));
            // What is no Firebase token is nobody's to drop.
            let expected = expected
                .or_else(|| token.clone().filter(|token| token == "x").map(|_| "Bearer x".to_owned()));
            assert_eq!(seen(&answer, "authorization"), expected.as_deref(), "{who} on {path}");
        }
        // The backend beside it is as closed as ever.
        let closed = gate.call("/closed/a");
        let closed = if let Some(token) = token { closed.bearer(token) } else { closed }.send().await;
        assert!(matches!(closed.status.as_u16(), 401 | 403), "{who}: {}", closed.status);
    }
    // Whoever may pass is vouched for: else nothing of this could fail.
    let answer = gate.with_bearer(&Key::IdToken.sign(&root)).await.ok();
    assert_eq!(seen(&answer, "x-firegate-user-email"), Some("root@example.com"));
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_two_readings_is_refused_even_where_nothing_else_is() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let answer = gate.call("/closed%2Fa").send().await;
    expect(&answer, 400, "REQUEST_MALFORMED", "which backend it is for cannot be said");
    gate.close().await;
}
