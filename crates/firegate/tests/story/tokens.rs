//! Every kind of token that somebody sends by mistake or on purpose, and what the front door says to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use firegate::dev::DevArguments;
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stack::{Answer, Call, Stack, at, claims, close, door, stranger, text, unsigned};

async fn with_token(stack: &Stack, token: &str) -> Answer {
    Call::get(&stack.door("/hello")).bearer(token).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_in_user_passes_and_nobody_else_does() {
    let stack = Stack::start().await;
    let token = stack.id_token().await;

    // The question: the very same token, straight to Cloud Run and through the front door.
    let direct = Call::get(&stack.service("/hello")).bearer(&token).send().await;
    assert_eq!(direct.status.as_u16(), 401);
    assert!(direct.header("content-type").is_some_and(|value| value.starts_with("text/html")));
    assert_eq!(Call::get(&stack.service("/hello")).send().await.status.as_u16(), 403);
    let seen = with_token(&stack, &token).await.ok();
    assert_eq!(seen["user"]["email"], json!("ada@example.com"));

    let none = Call::get(&stack.door("/hello")).send().await;
    none.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"firegate\""));
    assert_eq!(none.header("cache-control"), Some("no-store"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_the_wrong_kind_are_named() {
    let stack = Stack::start().await;
    let (project, now) = (stack.dev.places.project.clone(), stack.now());
    let refused = async |token: &str, reason: &str, action: &str| {
        let answer = with_token(&stack, token).await;
        answer.expect_refusal(401, reason, action);
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm=\"firegate\", error=\"invalid_token\""), "{challenge}");
    };

    let key = stranger();
    refused(&key.sign(&claims("another-project", now)).expect("a token"), "TOKEN_WRONG_PROJECT", "SIGN_IN")
        .await;
    refused(&key.sign(&claims(&project, now)).expect("a token"), "TOKEN_KEY_UNKNOWN", "REFRESH_TOKEN").await;
    refused(
        &unsigned(json!({"alg": "none", "typ": "JWT"}), claims(&project, now), b""),
        "TOKEN_UNSIGNED",
        "SIGN_IN",
    )
    .await;

    let id_token = stack.id_token().await;
    let session =
        stack.admin(":createSessionCookie", json!({"idToken": id_token, "validDuration": "3600"})).await;
    refused(&text(&session["sessionCookie"]), "TOKEN_IS_SESSION_COOKIE", "SIGN_IN").await;

    let identity = "computeMetadata/v1/instance/service-accounts/default/identity";
    let url = stack.dev.places.google.join(&format!("{identity}?audience={project}")).expect("a path");
    let google = Call::get(&url).header("metadata-flavor", "Google").send().await;
    refused(std::str::from_utf8(&google.body).expect("a token"), "TOKEN_IS_GOOGLE_ID_TOKEN", "SIGN_IN").await;

    let audience =
        "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";
    let custom = json!({
        "iss": "admin@example.iam.gserviceaccount.com", "sub": "admin@example.iam.gserviceaccount.com", "aud": audience,
        "iat": now, "exp": now + 3600, "uid": "ada",
    });
    refused(&key.sign(&custom).expect("a token"), "TOKEN_IS_CUSTOM_TOKEN", "SIGN_IN").await;

    refused("ya29.an-opaque-access-token", "TOKEN_MALFORMED", "SIGN_IN").await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_refused() {
    let stack = Stack::start().await;
    let token = stack.id_token().await;
    let parts = token.split('.').collect::<Vec<_>>();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let header: Value = decode(header);
    let mut forged = decode(payload);
    forged["sub"] = json!("somebody-else");
    forged["user_id"] = json!("somebody-else");
    let signature = firegate_core::jose::decode_base64url(signature).expect("base64url");
    let forged = unsigned(header.clone(), forged, &signature);
    with_token(&stack, &forged).await.expect_refusal(401, "TOKEN_SIGNATURE_INVALID", "SIGN_IN");

    let impostor =
        firegate_core::jose::RsaSigner::from_pkcs8(&text(&header["kid"]), stranger().pkcs8()).expect("a key");
    let signed = impostor.sign(&claims(&stack.dev.places.project, stack.now())).expect("a token");
    with_token(&stack, &signed).await.expect_refusal(401, "TOKEN_SIGNATURE_INVALID", "SIGN_IN");
    stack.stop().await;
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&firegate_core::jose::decode_base64url(part).expect("base64url")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_later_the_token_has_expired_and_a_refreshed_one_passes() {
    let stack = Stack::start().await;
    let session = stack.sign_in().await;
    let token = text(&session["idToken"]);
    with_token(&stack, &token).await.ok();
    stack.clock.advance(3600 + 11);
    with_token(&stack, &token).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    let refreshed = stack.refresh(&text(&session["refreshToken"])).await.ok();
    with_token(&stack, &text(&refreshed["id_token"])).await.ok();
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_user_and_an_anonymous_one_are_signed_in_and_not_admitted() {
    let stack = Stack::start().await;
    let tenant = json!({"email": "tina@example.com", "password": "secret-1", "tenantId": "blue", "returnSecureToken": true});
    let tenant = stack.identity("v1/accounts:signUp", tenant).await.ok();
    let answer = with_token(&stack, &text(&tenant["idToken"])).await;
    answer.expect_refusal(403, "TENANT_NOT_ACCEPTED", "NONE");

    let anonymous = stack.identity("v1/accounts:signUp", json!({"returnSecureToken": true})).await.ok();
    let answer = with_token(&stack, &text(&anonymous["idToken"])).await;
    answer.expect_refusal(403, "ANONYMOUS_USER_NOT_ACCEPTED", "SIGN_IN");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_users_refresh_fails_at_once_and_the_id_token_lives_until_it_expires() {
    let stack = Stack::start().await;
    let body = json!({"email": "gone@example.com", "password": "secret-1", "returnSecureToken": true});
    let session = stack.identity("v1/accounts:signUp", body).await.ok();
    let token = text(&session["idToken"]);
    stack.identity("v1/accounts:delete", json!({"idToken": token})).await.ok();
    let refused = stack.refresh(&text(&session["refreshToken"])).await;
    assert_eq!(refused.status.as_u16(), 400);
    with_token(&stack, &token).await.ok();
    stack.clock.advance(3600 + 11);
    with_token(&stack, &token).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_clients_get_trailers_and_no_page() {
    let stack = Stack::start().await;
    let call = Call::new(Method::POST, &stack.door("/package.Service/Method"))
        .header("content-type", "application/grpc+proto");
    let answer = call.send().await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    assert_eq!(answer.header("grpc-status"), Some("16"));
    assert_eq!(answer.header("x-firegate-reason"), Some("TOKEN_MISSING"));
    assert!(answer.body.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_cookies_pass_where_they_are_accepted() {
    let stack = Stack::start().await;
    let identity = &stack.dev.places.identity;
    let service = stack.service("/");
    let door = door(
        &format!(
            "project: demo-firegate\nallow: [allAuthenticatedUsers]\nusers: {{ accept: [id_token, session_cookie] }}\n\
             backends: {{ api: {{ url: '{service}', credential: metadata }} }}\ngoogle:\n  metadata: '{google}'\n  \
             id_token_keys: '{identity}www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com'\n  \
             session_cookie_keys: '{identity}www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys'\n",
            google = stack.dev.places.google
        ),
        &stack.clock,
    );
    door.ready().await;
    let id_token = stack.id_token().await;
    let session =
        stack.admin(":createSessionCookie", json!({"idToken": id_token, "validDuration": "86400"})).await;
    let cookie = text(&session["sessionCookie"]);
    let send = async |token: &str| Call::get(&at(&door, "/")).bearer(token).send().await;
    assert_eq!(
        send(&id_token).await.ok()["caller"]["email"],
        json!("front-door@demo-firegate.iam.gserviceaccount.com")
    );
    let seen = send(&cookie).await.ok();
    assert_eq!(seen["headers"]["x-firegate-user-email"], json!("ada@example.com"));
    stack.clock.advance(7200);
    send(&id_token).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    send(&cookie).await.ok();
    close(door).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_refused_request_reaches_the_service() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let service =
        Some(format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL"));
    let reached = Arc::new(AtomicUsize::new(0));
    let count = {
        let reached = Arc::clone(&reached);
        move || async move {
            reached.fetch_add(1, Ordering::SeqCst);
            "reached"
        }
    };
    tokio::spawn(
        async move { axum::serve(listener, Router::new().fallback(count)).await.expect("it serves") },
    );
    let stack = Stack::with(DevArguments { service, ..DevArguments::default() }).await;
    let (project, now) = (stack.dev.places.project.clone(), stack.now());
    let none = json!({"alg": "none"});
    for token in [
        stranger().sign(&claims(&project, now)).expect("a token"),
        stranger().sign(&claims("another-project", now)).expect("a token"),
        unsigned(none, claims(&project, now), b""),
        "a.b.c".to_owned(),
    ] {
        let answer = Call::new(Method::POST, &stack.door("/")).bearer(&token).body("a body").send().await;
        assert_eq!(answer.status.as_u16(), 401, "{token}");
    }
    assert_eq!(Call::get(&stack.door("/")).send().await.status.as_u16(), 401);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    with_token(&stack, &stack.id_token().await).await;
    assert_eq!(reached.load(Ordering::SeqCst), 1);
    stack.stop().await;
}
