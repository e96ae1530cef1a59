//! App Check as an app meets it: a token of the app beside the user's, once or many times, on the backends that ask for it.

use firegate::dev::PROJECT_NUMBER;
use firegate_proxy::FrontDoor;
use http::StatusCode;
use serde_json::json;

use crate::gate::Site;
use crate::stack::{Answer, Call, at};

const HEADER: &str = "x-firebase-appcheck";

fn app(name: &str) -> String {
    format!("1:{PROJECT_NUMBER}:web:{name}")
}

/// A door that asks for App Check everywhere but below `/open`, for one app below `/only`, and once below `/once`.
async fn door(site: &Site) -> FrontDoor {
    let (service, listed) = (site.service(), app("aaaa"));
    site.door(&format!(
        "backends:\n  api: {{ {service} }}\n  open: {{ {service}, app_check: off }}\n  \
         only: {{ {service}, app_check: {{ apps: ['{listed}'] }} }}\n  once: {{ {service}, app_check: {{ consume: true }} }}\n\
         routes:\n  - {{ path: /api/*, backend: api }}\n  - {{ path: /open/*, backend: open }}\n  \
         - {{ path: /only/*, backend: only }}\n  - {{ path: /once/*, backend: once }}\n\
         allow: [allAuthenticatedUsers]\nusers: {{ app_check: required }}"
    ))
    .await
}

async fn send(door: &FrontDoor, path: &str, user: &str, app_check: Option<&str>) -> Answer {
    let call = Call::get(&at(door, path)).bearer(user);
    match app_check {
        Some(token) => call.header(HEADER, token),
        None => call,
    }
    .send()
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_proves_itself_where_it_has_to() {
    let site = Site::open().await;
    let door = door(&site).await;
    let user = site.stack.id_token().await;
    let token = site.stack.app_check_token(&app("aaaa")).await;
    let other = site.stack.app_check_token(&app("bbbb")).await;

    send(&door, "/api/x", &user, None).await.expect_refusal(401, "APP_CHECK_TOKEN_MISSING", "NONE");
    send(&door, "/api/x", &user, Some(&user)).await.expect_refusal(401, "APP_CHECK_TOKEN_INVALID", "NONE");
    send(&door, "/api/x", &token, Some(&token)).await.expect_refusal(
        401,
        "TOKEN_IS_APP_CHECK_TOKEN",
        "SIGN_IN",
    );
    for good in [&token, &other] {
        for _ in 0..2 {
            let seen = send(&door, "/api/x", &user, Some(good)).await.ok();
            assert_eq!(seen["headers"]["x-firegate-user-email"], json!("ada@example.com"));
        }
    }
    assert_eq!(send(&door, "/open/x", &user, None).await.status, StatusCode::OK);
    assert_eq!(send(&door, "/only/x", &user, Some(&token)).await.status, StatusCode::OK);
    send(&door, "/only/x", &user, Some(&other)).await.expect_refusal(
        403,
        "APP_CHECK_APP_NOT_ALLOWED",
        "NONE",
    );

    let short = site.stack.limited_use_app_check_token(&app("aaaa")).await;
    site.stack.clock.advance(301);
    send(&door, "/api/x", &user, Some(&short)).await.expect_refusal(401, "APP_CHECK_TOKEN_EXPIRED", "NONE");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_once_where_the_backend_says_so() {
    let site = Site::open().await;
    let door = door(&site).await;
    let user = site.stack.id_token().await;
    let token = site.stack.limited_use_app_check_token(&app("aaaa")).await;
    // A request that is refused uses nothing up, and neither does another backend.
    send(&door, "/once/x", "a.b.c", Some(&token)).await.expect_refusal(401, "TOKEN_MALFORMED", "SIGN_IN");
    assert_eq!(send(&door, "/api/x", &user, Some(&token)).await.status, StatusCode::OK);
    assert_eq!(send(&door, "/once/x", &user, Some(&token)).await.status, StatusCode::OK);
    for _ in 0..2 {
        let again = send(&door, "/once/x", &user, Some(&token)).await;
        again.expect_refusal(401, "APP_CHECK_TOKEN_CONSUMED", "NONE");
    }
    let next = site.stack.limited_use_app_check_token(&app("aaaa")).await;
    assert_eq!(send(&door, "/once/x", &user, Some(&next)).await.status, StatusCode::OK);
    site.close([door]).await;
}

/// Of many requests with one token, whoever is first, one alone passes.
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_token_passes_once_however_fast() {
    let site = Site::open().await;
    let door = door(&site).await;
    let user = site.stack.id_token().await;
    let token = site.stack.limited_use_app_check_token(&app("aaaa")).await;
    let requests = (0..20)
        .map(|_| tokio::spawn(Call::get(&at(&door, "/once/x")).bearer(&user).header(HEADER, &token).send()));
    let mut passed = 0;
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.expect("it ends");
        match answer.status {
            StatusCode::OK => passed += 1,
            _ => answer.expect_refusal(401, "APP_CHECK_TOKEN_CONSUMED", "NONE"),
        }
    }
    assert_eq!(passed, 1);
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_backend_may_ask_for_the_app_alone() {
    let site = Site::open().await;
    let service = site.service();
    let text = format!("backends: {{ api: {{ {service}, allow: [allUsers], app_check: required }} }}");
    let door = site.door(&text).await;
    let token = site.stack.app_check_token(&app("aaaa")).await;
    let send = async |token: Option<&str>| {
        let call = Call::get(&at(&door, "/x"));
        token.iter().fold(call, |call, token| call.header(HEADER, token)).send().await
    };
    send(None).await.expect_refusal(401, "APP_CHECK_TOKEN_MISSING", "NONE");
    assert_eq!(send(Some(&token)).await.status, StatusCode::OK);
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_app_check_is_nobodys_fault() {
    let site = Site::open().await;
    let user = site.stack.id_token().await;
    let token = site.stack.app_check_token(&app("aaaa")).await;
    let places = &site.stack.dev.places;
    let check = async |endpoints: &str, app_check: &str| {
        let (identity, service) = (&places.identity, site.service());
        let door = crate::stack::door(
            &format!(
                "project: demo-firegate\nproject_number: '{PROJECT_NUMBER}'\n\
                 backends: {{ api: {{ {service}, app_check: {app_check} }} }}\nallow: [allAuthenticatedUsers]\ngoogle:\n  \
                 id_token_keys: '{identity}www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com'\n  \
                 metadata: '{}'\n  {endpoints}\n",
                places.google
            ),
            &site.stack.clock,
        );
        let answer = send(&door, "/x", &user, Some(&token)).await;
        answer.expect_refusal(503, "APP_CHECK_UNAVAILABLE", "RETRY_LATER");
        crate::stack::close(door).await;
    };
    // It takes connections and never answers.
    let mute = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let mute = format!("http://{}", mute.local_addr().expect("an address"));
    check(&format!("app_check_keys: '{mute}/v1/jwks'"), "required").await;
    let keys = format!("{}v1/jwks", places.google);
    check(&format!("app_check_keys: '{keys}'\n  app_check: '{mute}'"), "{ consume: true }").await;
    site.close([]).await;
}
