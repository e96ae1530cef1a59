//! App Check: a request that does not come from the app carries no token, another project's, an old one, or one that was
//! sent before. `consume` makes each good for one request.

use http::Method;
use serde_json::json;

use crate::project::{APP, Key, Project, edited, expect, stack_with, without};
use crate::stack::{Answer, Call, unsigned};

const CONFIGURATION: &str = "\
backends:
  app: { url: 'SERVICE', app_check: { apps: ['1:123456789012:web:0123456789abcdef'] } }
  open: { url: 'SERVICE', app_check: required, allow: [allUsers] }
routes: [{ path: '/open', backend: open }, { path: '/*', backend: app }]
cors: { origins: ['https://app.example.com'] }
allow: [allAuthenticatedUsers]";

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_of_one_of_the_apps_counts() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let send = async |token: Option<&str>| -> Answer {
        let call = gate.call("/a").bearer(&project.id_token());
        match token {
            None => call.send().await,
            Some(token) => call.header("x-firebase-appcheck", token).send().await,
        }
    };
    let claims = project.app_check_claims();
    let sign = |claims| Key::AppCheck.sign(claims);
    let seen = send(Some(&sign(&claims))).await.ok();
    assert!(seen["headers"]["x-firebase-appcheck"].is_null(), "the service cannot use it again: {seen}");
    expect(&send(None).await, 401, "APP_CHECK_TOKEN_MISSING", "none");
    let invalid = "APP_CHECK_TOKEN_INVALID";
    let other_app = json!("1:123456789012:ios:0123456789abcdef");
    for (token, status, reason, why) in [
        (String::new(), 401, invalid, "an empty one"),
        ("a.b.c".to_owned(), 401, invalid, "no token"),
        (format!("Bearer {}", sign(&claims)), 401, invalid, "with a scheme"),
        (unsigned(json!({"alg": "none", "typ": "JWT"}), claims.clone(), b""), 401, invalid, "unsigned"),
        (sign(&edited(&claims, "aud", json!("projects/demo-project"))), 401, invalid, "no list"),
        (sign(&edited(&claims, "aud", json!([]))), 401, invalid, "no audience"),
        (
            sign(&edited(&claims, "aud", json!(["projects/another", "projects/1"]))),
            401,
            invalid,
            "another project",
        ),
        (sign(&edited(&claims, "aud", json!(["demo-project"]))), 401, invalid, "another spelling"),
        (sign(&edited(&claims, "aud", json!(["projects/demo-project", 7]))), 401, invalid, "no string"),
        (sign(&without(&claims, "aud")), 401, invalid, "without an audience"),
        (sign(&edited(&claims, "sub", other_app)), 403, "APP_CHECK_APP_NOT_ALLOWED", "another app"),
        (
            sign(&edited(&claims, "sub", json!(APP.to_uppercase()))),
            403,
            "APP_CHECK_APP_NOT_ALLOWED",
            "another case",
        ),
        (sign(&edited(&claims, "sub", json!(""))), 401, invalid, "no app"),
        (sign(&edited(&claims, "sub", json!([APP]))), 401, invalid, "a list of apps"),
        (sign(&without(&claims, "sub")), 401, invalid, "without an app"),
        (sign(&edited(&claims, "exp", json!(project.now()))), 401, "APP_CHECK_TOKEN_EXPIRED", "expired"),
        (sign(&edited(&claims, "iat", json!(project.now() + 3600))), 401, invalid, "from the future"),
        (sign(&edited(&claims, "exp", json!(project.now() + 8 * 24 * 3600))), 401, invalid, "for too long"),
        (Key::Stranger.sign(&claims), 401, invalid, "another's key"),
        (Key::IdToken.sign(&claims), 401, invalid, "the key of ID tokens"),
        (project.id_token(), 401, invalid, "the user's token"),
    ] {
        expect(&send(Some(&token)).await, status, reason, why);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_needs_none_and_everybody_else_does() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    for path in ["/a", "/open"] {
        let preflight = Call::new(Method::OPTIONS, &gate.url(path))
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, x-firebase-appcheck")
            .send()
            .await;
        assert_eq!(preflight.status.as_u16(), 204, "{:?}", preflight.body);
        let allowed = preflight.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        assert!(allowed.contains("x-firebase-appcheck"), "{allowed}");
    }
    // What only looks like one is a request; and a page of the app learns why it was refused.
    let call = Call::new(Method::OPTIONS, &gate.url("/open")).header("origin", "https://app.example.com");
    let answer = call.send().await;
    expect(&answer, 401, "APP_CHECK_TOKEN_MISSING", "an OPTIONS that is no preflight");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
    expect(&gate.call("/open").send().await, 401, "APP_CHECK_TOKEN_MISSING", "everyone, but from the app");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_consumed_counts_once() {
    let text = "backends:\n  once: { url: 'SERVICE', app_check: { consume: true }, allow: ['user:ada@example.com'] }\n  \
                often: { url: 'SERVICE', app_check: required }\n\
                routes: [{ path: '/often', backend: often }, { path: '/*', backend: once }]\nallow: [allAuthenticatedUsers]";
    let stack = stack_with(text, Default::default()).await;
    let user = stack.id_token().await;
    let send = async |path: &str, user: Option<&str>, token: &str| {
        let mut call = Call::get(&stack.door(path)).header("x-firebase-appcheck", token);
        if let Some(user) = user {
            call = call.bearer(user);
        }
        call.send().await
    };
    let token = stack.limited_use_app_check_token(APP).await;
    // What is refused for another reason does not use it up.
    expect(&send("/a", None, &token).await, 401, "TOKEN_MISSING", "nobody");
    expect(&send("/a", Some("a.b.c"), &token).await, 401, "TOKEN_MALFORMED", "no user");
    send("/often", Some(&user), &token).await.ok();
    send("/a", Some(&user), &token).await.ok();
    for _ in 0..2 {
        let answer = send("/a", Some(&user), &token).await;
        answer.expect_refusal(401, "APP_CHECK_TOKEN_CONSUMED", "NONE");
    }
    // Of many at once one passes.
    let token = stack.limited_use_app_check_token(APP).await;
    let answers = futures_util::future::join_all((0..8).map(|_| send("/a", Some(&user), &token))).await;
    let passed = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
    assert_eq!(passed, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    stack.stop().await;
}

/// A server that folds names reads `X_Firebase_AppCheck` as the header that was judged.
#[tokio::test(flavor = "multi_thread")]
async fn no_second_token_reaches_the_service_under_another_spelling() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    for name in ["X_Firebase_AppCheck", "x.firebase.appcheck", "X-Firebase_AppCheck"] {
        let call = gate
            .call("/a")
            .bearer(&project.id_token())
            .header(name, &Key::Stranger.sign(&project.app_check_claims()));
        let answer = call.header("x-firebase-appcheck", &project.app_check_token()).send().await;
        expect(&answer, 400, "CREDENTIAL_AMBIGUOUS", name);
        let alone = gate.call("/a").bearer(&project.id_token()).header(name, &project.app_check_token());
        expect(&alone.send().await, 401, "APP_CHECK_TOKEN_MISSING", name);
    }
    gate.close().await;
}
