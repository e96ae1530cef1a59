//! Callers that are no users: Cloud Scheduler, Pub/Sub or a partner's service account, with a Google ID token for the door's
//! audience.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::gate::Site;
use crate::stack::{Call, Stack, at, text};

const ACCOUNT: &str = "front-door@demo-firegate.iam.gserviceaccount.com";
const AUDIENCE: &str = "https://jobs.example.com";

/// Users that Google's callers are accepted beside.
fn users(rest: &str) -> String {
    format!("users: {{ accept: [id_token, google_id_token], google_audiences: ['{AUDIENCE}'], {rest} }}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_service_account_calls_by_itself() {
    let site = Site::open().await;
    let service = site.service();
    let door = site
        .door(&format!(
            "backends:\n  jobs: {{ {service}, allow: ['serviceAccount:{ACCOUNT}'] }}\n  \
             users: {{ {service}, allow: [allAuthenticatedUsers] }}\n\
             routes: [{{ path: /jobs/*, backend: jobs }}, {{ path: /*, backend: users }}]\n{}",
            // App Check and the look-up of accounts are about phones and users.
            users("app_check: required, revocation: { check: required }")
        ))
        .await;
    let token = site.stack.google_id_token(AUDIENCE).await;
    let send = async |path: &str, token: &str| Call::get(&at(&door, path)).bearer(token).send().await;
    site.lookups.cut();
    let seen = send("/jobs/nightly", &token).await.ok();
    let headers = &seen["headers"];
    assert_eq!(headers["x-firegate-caller"], json!(format!("serviceAccount:{ACCOUNT}")));
    for absent in ["x-firegate-user-id", "x-firegate-user-email", "authorization"] {
        assert_eq!(headers[absent], Value::Null, "{absent}");
    }
    let assertion = text(&headers["x-firegate-assertion"]);
    let claims = firegate_core::jose::CompactJws::parse(&assertion).expect("a token").into_payload();
    assert_eq!(claims["caller"], json!(format!("serviceAccount:{ACCOUNT}")));
    assert!(!claims.contains_key("sub") && !claims.contains_key("email"), "{claims:?}");

    // It is no signed-in user, whatever it asks for.
    send("/users", &token).await.expect_refusal(403, "NO_INVOKER_BINDING", "NONE");
    let other = site.stack.google_id_token("https://elsewhere.example.com").await;
    send("/jobs/nightly", &other).await.expect_refusal(401, "TOKEN_WRONG_AUDIENCE", "NONE");
    // And the client cannot say that it is one.
    let call = Call::get(&at(&door, "/jobs/nightly")).bearer(&token);
    let call = call.header("x-firegate-user-id", "root").header("x-firegate-caller", "serviceAccount:root");
    let headers = call.send().await.ok()["headers"].clone();
    assert_eq!(headers["x-firegate-caller"], json!(format!("serviceAccount:{ACCOUNT}")));
    assert_eq!(headers["x-firegate-user-id"], Value::Null);
    site.stack.clock.advance(3700);
    send("/jobs/nightly", &token).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_google_id_token_in_accept_nobody_of_googles_is_let_in() {
    let site = Site::open().await;
    let text = format!(
        "backends: {{ api: {{ {}, allow: [allAuthenticatedUsers, 'serviceAccount:{ACCOUNT}'] }} }}",
        site.service()
    );
    let door = site.door(&text).await;
    let token = site.stack.google_id_token(AUDIENCE).await;
    let answer = Call::get(&at(&door, "/x")).bearer(&token).send().await;
    answer.expect_refusal(401, "TOKEN_IS_GOOGLE_ID_TOKEN", "SIGN_IN");
    site.close([door]).await;
}

/// A token of another account, which IAM Credentials makes for whoever may impersonate it.
async fn generate_id_token(stack: &Stack, account: &str, include_email: bool) -> String {
    let google = &stack.dev.places.google;
    let at = |path: &str| google.join(path).expect("a path");
    let own = at("computeMetadata/v1/instance/service-accounts/default/token");
    let own = Call::get(&own).header("metadata-flavor", "Google").send().await.ok();
    let url: Url = at(&format!("v1/projects/-/serviceAccounts/{account}:generateIdToken"));
    let body = json!({"audience": AUDIENCE, "includeEmail": include_email});
    let call = Call::new(Method::POST, &url).bearer(&text(&own["access_token"]));
    let answer = call.header("content-type", "application/json").body(body.to_string()).send().await;
    text(&answer.ok()["token"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impersonated_account_is_the_one_that_its_token_names() {
    let site = Site::open().await;
    let caller = "caller@demo-firegate.iam.gserviceaccount.com";
    let text = format!(
        "backends: {{ api: {{ {}, allow: ['serviceAccount:{caller}'], identity_headers: iap }} }}\n{}",
        site.service(),
        users("anonymous: deny")
    );
    let door = site.door(&text).await;
    let send = async |token: &str| Call::get(&at(&door, "/x")).bearer(token).send().await;
    let token = generate_id_token(&site.stack, caller, true).await;
    let answer = send(&token).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let headers = answer.ok()["headers"].clone();
    assert_eq!(headers["x-goog-authenticated-user-email"], json!(format!("accounts.google.com:{caller}")));
    assert_eq!(headers["x-firegate-caller"], Value::Null);
    // Without an address it is nobody whom a member could name.
    let nameless = generate_id_token(&site.stack, caller, false).await;
    send(&nameless).await.expect_refusal(401, "TOKEN_CLAIM_INVALID", "SIGN_IN");
    // The door's own account is another one.
    let own = site.stack.google_id_token(AUDIENCE).await;
    send(&own).await.expect_refusal(403, "NO_INVOKER_BINDING", "NONE");
    site.close([door]).await;
}
