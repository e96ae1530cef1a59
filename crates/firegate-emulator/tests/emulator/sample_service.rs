use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use firegate_core::jose::EcdsaP256Signer;
use firegate_core::time::{Clock, SystemClock};
use firegate_emulator::service::{EchoOptions, EchoService};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::{self, Answer, send};
use crate::world::{SERVICE_URL, start};

/// The sample, and a door that publishes keys: the first one, then after a rotation the second one as well.
struct Sample {
    url: String,
    first: EcdsaP256Signer,
    second: EcdsaP256Signer,
    rotated: Arc<AtomicBool>,
}

impl Sample {
    async fn start() -> Self {
        let (first, second) = (EcdsaP256Signer::generate().unwrap(), EcdsaP256Signer::generate().unwrap());
        let documents = [
            json!({ "keys": [first.public_jwk().unwrap()] }).to_string(),
            json!({ "keys": [first.public_jwk().unwrap(), second.public_jwk().unwrap()] }).to_string(),
        ];
        let rotated = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&rotated);
        let publish = move || {
            let document = documents[usize::from(switch.load(Ordering::SeqCst))].clone();
            async move { document }
        };
        let door = start(Router::new().route("/.well-known/firegate/jwks.json", get(publish))).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = EchoService::new(EchoOptions {
            jwks_url: format!("http://{door}/.well-known/firegate/jwks.json").parse().unwrap(),
            audiences: vec![SERVICE_URL.to_owned()],
            clock: Arc::new(SystemClock),
        });
        tokio::spawn(async move { service.serve(listener, std::future::pending()).await.unwrap() });
        Self { url, first, second, rotated }
    }

    async fn call(&self, assertion: &str) -> Answer {
        client::get(&self.url, &[("x-firegate-assertion", assertion)]).await
    }
}

fn assertion(signer: &EcdsaP256Signer, type_name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": "http://localhost:9080", "aud": SERVICE_URL, "sub": "alice",
        "exp": SystemClock.now().as_seconds() + 300,
    });
    change(&mut claims);
    signer.sign(type_name, &claims, &aws_lc_rs::rand::SystemRandom::new()).unwrap()
}

const TYPE: &str = "firegate-assertion+jwt";

#[tokio::test]
async fn an_assertion_is_believed_only_if_everything_about_it_is_right() {
    let sample = Sample::start().await;
    let first = &sample.first;
    let check = async |assertion: String, why: &str| {
        let body = sample.call(&assertion).await.json();
        assert_eq!(body["user"], Value::Null, "{why}");
        assert_eq!(body["assertion"]["verified"], false);
        assert!(body["assertion"]["why"].as_str().unwrap().contains(why), "{body}");
    };
    let good = assertion(first, TYPE, |_| {});
    let body = sample.call(&good).await.json();
    assert_eq!(
        (&body["user"]["sub"], &body["assertion"]["verified"]),
        (&json!("alice"), &json!(true)),
        "{body}"
    );
    check(assertion(first, "JWT", |_| {}), "typ").await;
    check(assertion(first, TYPE, |claims| claims["aud"] = json!("https://other")), "audience").await;
    check(assertion(first, TYPE, |claims| claims["exp"] = json!(SystemClock.now().as_seconds())), "expired")
        .await;
    check(assertion(first, TYPE, |claims| claims["exp"] = Value::Null), "expired").await;
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let other = assertion(first, TYPE, |claims| claims["sub"] = json!("mallory"));
    check(format!("{unsigned}.{}", other.rsplit_once('.').unwrap().1), "signature").await;
    check(format!("{unsigned}."), "signature").await;
    check("not a token".to_owned(), "three parts").await;

    let repeated = [("x-firegate-assertion", good.as_str()), ("x-firegate-assertion", good.as_str())];
    let body = client::get(&sample.url, &repeated).await.json();
    assert_eq!(body["assertion"]["why"], "the header x-firegate-assertion is repeated");
    assert_eq!(body["headers"]["x-firegate-assertion"], json!([good, good]));
    let body = client::get(&sample.url, &[]).await.json();
    assert!(body["assertion"]["why"].as_str().unwrap().contains("has no x-firegate-assertion header"));
}

#[tokio::test]
async fn a_new_key_is_fetched_when_an_assertion_names_it() {
    let sample = Sample::start().await;
    let new = assertion(&sample.second, TYPE, |_| {});
    assert_eq!(sample.call(&new).await.json()["assertion"]["verified"], false);
    sample.rotated.store(true, Ordering::SeqCst);
    // Within the cool-down the door is not asked again; after it, it is.
    let verified = async {
        while sample.call(&new).await.json()["assertion"]["verified"] != true {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), verified).await.unwrap();
    let old = assertion(&sample.first, TYPE, |_| {});
    assert_eq!(sample.call(&old).await.json()["assertion"]["verified"], true);
}

#[tokio::test]
async fn a_request_is_echoed_with_its_caller_and_the_size_of_its_body() {
    let sample = Sample::start().await;
    let claims = firegate_core::jose::encode_base64url(br#"{"email":"door@example.com"}"#);
    let caller = format!("Bearer e30.{claims}.SIGNATURE_REMOVED_BY_GOOGLE");
    let headers = [("x-serverless-authorization", caller.as_str()), ("x-a", "1"), ("x-a", "2"), ("x-b", "3")];
    let body =
        send(Method::PATCH, &format!("{}/a/b?c=d", sample.url), &headers, vec![b'x'; 100_000]).await.json();
    assert_eq!(body["service"], "firegate sample");
    assert_eq!((&body["method"], &body["path"]), (&json!("PATCH"), &json!("/a/b?c=d")));
    assert_eq!((&body["headers"]["x-a"], &body["headers"]["x-b"]), (&json!(["1", "2"]), &json!("3")));
    assert_eq!(body["caller"], json!({ "email": "door@example.com" }));
    assert_eq!(body["body_bytes"], 100_000);
    let without =
        send(Method::GET, &sample.url, &[("x-serverless-authorization", "Bearer x")], "").await.json();
    assert_eq!((&without["caller"], &without["body_bytes"]), (&Value::Null, &json!(0)));
}

#[tokio::test]
async fn statuses_and_events_are_there_to_be_tried() {
    let sample = Sample::start().await;
    for code in [200_u16, 401, 403, 404, 429, 503] {
        let answer = send(Method::POST, &format!("{}/status/{code}", sample.url), &[], "").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (code, &json!(code)));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("www-authenticate").is_empty(), code != 401);
    }
    for code in ["100", "600", "x"] {
        let answer = client::get(&format!("{}/status/{code}", sample.url), &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{code}");
    }
    let events = client::get(&format!("{}/events", sample.url), &[]).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let expected: String =
        (1..=5).map(|number| format!("id: {number}\ndata: {{\"event\":{number}}}\n\n")).collect();
    assert_eq!(events.body, expected);
}
