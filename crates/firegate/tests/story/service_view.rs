//! What the service sees of a request that passed.

use http::Method;
use serde_json::{Value, json};

use crate::stack::{Call, Stack, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_learns_who_the_user_is_and_gets_no_token_of_theirs() {
    let stack = Stack::start().await;
    let session = stack.sign_in().await;
    let call = Call::new(Method::POST, &stack.door("/orders/../orders//7?state=open&b=%20"))
        .bearer(&text(&session["idToken"]))
        .header("x-custom", "kept")
        .body("twelve bytes");
    let seen = call.send().await.ok();
    assert_eq!((&seen["method"], &seen["path"]), (&json!("POST"), &json!("/orders/7?state=open&b=%20")));
    assert_eq!(seen["body_bytes"], json!(12));
    let headers = &seen["headers"];
    assert_eq!(headers["authorization"], Value::Null);
    assert_eq!(headers["x-custom"], json!("kept"));
    assert_eq!(headers["x-firegate-user-id"], session["localId"]);
    assert_eq!(headers["x-firegate-user-email"], json!("ada@example.com"));
    assert_eq!(
        headers["x-forwarded-host"],
        json!(stack.dev.places.door[url::Position::BeforeHost..url::Position::AfterPort].to_owned())
    );
    assert_eq!(seen["assertion"]["verified"], json!(true), "{seen}");
    assert_eq!(seen["user"]["sub"], session["localId"]);
    let lifetime = seen["user"]["exp"].as_i64().zip(seen["user"]["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert_eq!(lifetime, Some(300));
    assert_eq!(seen["caller"]["email"], json!("front-door@demo-firegate.iam.gserviceaccount.com"));
    let google = text(&headers["x-serverless-authorization"]);
    assert!(google.ends_with(".SIGNATURE_REMOVED_BY_GOOGLE"), "{google}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_claims_are_nested_and_cannot_pass_for_firegates_own() {
    let stack = Stack::start().await;
    let session = stack.sign_in().await;
    let claims = json!({"role": "editor", "tenant": "blue", "email_domain": "x"}).to_string();
    stack.admin("/accounts:update", json!({"localId": session["localId"], "customAttributes": claims})).await;
    let seen = Call::get(&stack.door("/")).bearer(&stack.id_token().await).send().await.ok();
    assert_eq!(seen["user"]["claims"]["role"], json!("editor"));
    assert_eq!(seen["user"]["claims"]["tenant"], json!("blue"));
    assert_eq!(seen["user"]["tenant"], Value::Null);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_signed_once_for_many_requests() {
    let stack = Stack::start().await;
    let token = stack.id_token().await;
    let assertion = async || {
        let seen = Call::get(&stack.door("/")).bearer(&token).send().await.ok();
        text(&seen["headers"]["x-firegate-assertion"])
    };
    let first = assertion().await;
    // ECDSA signatures are randomised: the same text means that it was kept.
    assert_eq!(assertion().await, first);
    stack.clock.advance(250);
    assert_ne!(assertion().await, first);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_large_bodies_are_streamed_through() {
    let stack = Stack::start().await;
    let token = stack.id_token().await;
    let events = Call::get(&stack.door("/events")).bearer(&token).send().await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert!(!events.body.is_empty());
    let large =
        Call::new(Method::PUT, &stack.door("/upload")).bearer(&token).body(vec![b'x'; 8 * 1024 * 1024]);
    assert_eq!(large.send().await.ok()["body_bytes"], json!(8 * 1024 * 1024));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_set_may_be_kept_for_five_minutes_and_is_sent_again_only_if_it_changed() {
    let stack = Stack::start().await;
    let keys = stack.door("/.well-known/firegate/jwks.json");
    let first = Call::get(&keys).send().await;
    assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = Call::get(&keys).header("if-none-match", &tag).send().await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(&*tag));
    assert_eq!(again.header("cache-control"), Some("public, max-age=300"));
    let other = Call::get(&keys).header("if-none-match", "\"other\"").send().await;
    assert_eq!((other.status.as_u16(), other.body), (200, first.body));
    let head = Call::new(Method::HEAD, &keys).send().await;
    assert_eq!((head.status.as_u16(), head.header("etag"), head.body.len()), (200, Some(&*tag), 0));
    let write = Call::new(Method::POST, &keys).header("if-none-match", &tag).send().await;
    assert_eq!((write.status.as_u16(), write.header("allow")), (405, Some("GET, HEAD")));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firegate_answers_under_its_own_path_and_routes_nothing_there() {
    let stack = Stack::start().await;
    let keys = Call::get(&stack.door("/.well-known/firegate/jwks.json")).send().await.ok();
    assert_eq!(keys["keys"][0]["alg"], json!("ES256"));
    assert_eq!(keys["keys"][0]["d"], Value::Null);
    assert_eq!(Call::get(&stack.door("/.well-known/firegate/ready")).send().await.body.as_ref(), b"ready\n");
    let other =
        Call::get(&stack.door("/.well-known/firegate/other")).bearer(&stack.id_token().await).send().await;
    other.expect_refusal(404, "ROUTE_NOT_FOUND", "NONE");
    stack.stop().await;
}
