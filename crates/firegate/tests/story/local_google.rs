//! What `firegate dev` has of Google for the features of the door: App Check, Google's callers, one project number.

use firegate::dev::{DevArguments, Mapping, PROJECT_NUMBER};
use firegate_core::jose::{CompactJws, KeySet};
use serde_json::{Value, json};

use crate::stack::{Call, Stack, text};

/// The claims of a token that the key set at `keys`, below the Google parts, verifies.
async fn verified(stack: &Stack, token: &str, keys: &str) -> Value {
    let url = stack.dev.places.google.join(keys).expect("a path");
    let keys = KeySet::parse_rs256(&Call::get(&url).send().await.body).expect("a key set");
    let token = CompactJws::parse(token).expect("a token");
    let key = token.header_text("kid").and_then(|key_id| keys.find(key_id)).expect("its key");
    assert!(key.verifies(&token));
    Value::Object(token.into_payload())
}

async fn check_number(stack: &Stack, number: &str) {
    let app = format!("1:{number}:web:0123456789abcdef");
    let claims = verified(stack, &stack.app_check_token(&app).await, "v1/jwks").await;
    assert_eq!(claims["iss"], json!(format!("https://firebaseappcheck.googleapis.com/{number}")));
    assert_eq!(claims["aud"], json!([format!("projects/{number}"), "projects/demo-firegate"]));
    let user = stack.sign_in().await;
    let refreshed = stack.refresh(&text(&user["refreshToken"])).await.ok();
    assert_eq!(refreshed["project_id"], json!(number), "the token endpoint's project is a number");
    let path = "computeMetadata/v1/project/numeric-project-id";
    let url = stack.dev.places.google.join(path).expect("a path");
    let metadata = Call::get(&url).header("metadata-flavor", "Google").send().await;
    assert_eq!(metadata.body, number);
    assert_eq!(stack.dev.ready_document()["project_number"], json!(number));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_knows_the_project_by_one_number() {
    let stack = Stack::start().await;
    check_number(&stack, PROJECT_NUMBER).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_by_that_of_a_real_configuration() {
    let stack = with_file("").await;
    check_number(&stack, "424242").await;
    stack.stop().await;
}

/// A stack of a configuration for production, with the identity server behind its one backend.
async fn with_file(rest: &str) -> Stack {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let content = format!(
        "project: demo-firegate\nproject_number: '424242'\nallow: [allAuthenticatedUsers]\n\
         backends: {{ api: https://api-abc123-uc.a.run.app }}\n{rest}"
    );
    std::fs::write(&file, content).expect("a file");
    let map = vec![Mapping { backend: "api".to_owned(), url: "http://127.0.0.1:9".parse().expect("a URL") }];
    Stack::with(DevArguments { config: Some(file), map, ..DevArguments::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_gets_an_id_token_for_the_doors_audience() {
    let stack = Stack::start().await;
    let token = stack.google_id_token("https://api.example.com").await;
    let claims = verified(&stack, &token, "oauth2/v3/certs").await;
    assert_eq!(claims["aud"], json!("https://api.example.com"));
    assert_eq!(claims["iss"], json!("https://accounts.google.com"));
    assert_eq!(claims["email"], json!("front-door@demo-firegate.iam.gserviceaccount.com"));
    assert_eq!(claims["email_verified"], json!(true));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_issues_under_its_own_address() {
    let stack = Stack::start().await;
    let seen = Call::get(&stack.door("/hello")).bearer(&stack.id_token().await).send().await.ok();
    let assertion = text(&seen["headers"]["x-firegate-assertion"]);
    let issuer = CompactJws::parse(&assertion).expect("a token").payload_text("iss").map(str::to_owned);
    assert_eq!(issuer.as_deref(), Some(stack.dev.places.door.as_str().trim_end_matches('/')));
    stack.stop().await;
}
