//! CVE-2022-29266: an error's text told a secret. Here an answer's words come from a closed list: nothing of a token, a key,
//! the policy, the upstream or another's error stands in its body or its headers.

use axum::Router;
use axum::routing::get;
use firegate_core::jose::encode_base64url;
use firegate_core::reason::Code;
use serde_json::{Value, json};

use crate::project::{EXCHANGE, Gate, Key, Project, edited, exchange_of};
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, close};

/// What nobody may read again.
const CANARY: &str = "canary";

/// That nothing of what must not be told stands in an answer, and that its words are the catalogue's.
fn check(answer: &Answer, token: &str, why: &str) {
    assert!((400..600).contains(&answer.status.as_u16()), "{why}: {}", answer.status);
    let mut text = String::from_utf8_lossy(&answer.body).into_owned();
    for (name, value) in &answer.headers {
        text.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    }
    let lower = text.to_lowercase();
    assert!(!lower.contains(CANARY), "{why}: {text}");
    for segment in token.split('.').filter(|segment| segment.len() >= 12) {
        for piece in segment.as_bytes().windows(12) {
            let piece = std::str::from_utf8(piece).expect("base64url");
            assert!(!text.contains(piece), "{why}: {piece:?} of the token is told: {text}");
        }
    }
    let body = answer.json();
    let told = match &body["error"] {
        Value::Object(error) => error["message"].as_str().expect("a message").to_owned(),
        _ => return,
    };
    assert!(
        Code::ALL.iter().any(|code| code.entry().message == told),
        "{why}: {told:?} is no sentence of the list"
    );
}

const CONFIGURATION: &str = "\
backends:
  canary-api: { url: 'SERVICE', allow: ['user:canary-root@example.com', 'domain:canary.example'] }
  canary-app: { url: 'SERVICE', app_check: { apps: ['1:123456789012:web:ca4a41'] } }
  canary-dead: { url: 'http://127.0.0.1:9' }
routes:
  - { path: '/app', backend: canary-app }
  - { path: '/dead', backend: canary-dead }
  - { path: '/*', backend: canary-api }
users: { tenants: ['canary-tenant'] }
allow: [allAuthenticatedUsers]";

fn canary_claims(project: &Project) -> Value {
    let mut claims = project.id_claims();
    for (name, value) in [("sub", "canary-uid"), ("user_id", "canary-uid"), ("email", "canary@example.com")] {
        claims[name] = json!(value);
    }
    claims["role"] = json!("canary-role");
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_a_reason_and_nothing_else() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let claims = canary_claims(&project);
    let good = Key::IdToken.sign(&claims);
    let sign = |claims: &Value| Key::IdToken.sign(claims);
    let mut other_tenant = claims.clone();
    other_tenant["firebase"]["tenant"] = json!("canary-other");
    let header = |name: &str, value: Value| {
        Key::IdToken.sign_as(&edited(&Key::IdToken.header(), name, value), claims.to_string())
    };
    let bearer = async |token: &str| gate.with_bearer(token).await;
    for (token, why) in [
        (good.clone(), "nobody named"),
        (sign(&other_tenant), "a tenant"),
        (sign(&edited(&claims, "exp", json!(1))), "expired"),
        (sign(&edited(&claims, "iss", json!("https://canary.example"))), "an issuer"),
        (sign(&edited(&claims, "iss", json!("https://securetoken.google.com/canary"))), "a project"),
        (sign(&edited(&claims, "aud", json!("canary"))), "an audience"),
        (sign(&edited(&claims, "exp", json!("canary"))), "a type"),
        (header("kid", json!("canary-key")), "a key ID"),
        (header("alg", json!("canary")), "an algorithm"),
        (header("jku", json!("https://canary.example")), "a header"),
        (Key::Stranger.sign_as(&Key::IdToken.header(), claims.to_string()), "a signature"),
        (Key::IdToken.sign_as(&Key::IdToken.header(), "{\"canary\": canary}"), "no JSON"),
        (format!("{CANARY}.{}", encode_base64url(b"canary-payload")), "no token"),
    ] {
        check(&bearer(&token).await, &token, why);
    }
    let app = |claims: &Value| Key::AppCheck.sign(claims);
    let app_claims = edited(&project.app_check_claims(), "sub", json!("1:123456789012:web:canary"));
    for token in [
        app(&app_claims),
        app(&edited(&app_claims, "aud", json!(["projects/canary"]))),
        app(&edited(&app_claims, "exp", json!(1))),
        Key::AppCheck
            .sign_as(&edited(&Key::AppCheck.header(), "kid", json!("canary")), app_claims.to_string()),
        CANARY.to_owned(),
    ] {
        let answer = gate.call("/app").bearer(&good).header("x-firebase-appcheck", &token).send().await;
        check(&answer, &token, "App Check");
    }
    for (path, headers) in [
        ("/dead", vec![]),
        ("/canary%2Fpath", vec![]),
        ("/a", vec![("authorization", "Bearer canary"), ("authorization", "Basic canary")]),
        ("/.well-known/firegate/canary", vec![]),
    ] {
        let mut call = gate.call(path);
        if headers.is_empty() {
            call = call.bearer(&good);
        }
        for (name, value) in headers {
            call = call.header(name, value);
        }
        check(&call.send().await, &good, path);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_fails_tells_a_reason_and_nothing_else() {
    let project = Project::open().await;
    let gate: Gate = project.gate(EXCHANGE).await;
    let claims = canary_claims(&project);
    let good = Key::IdToken.sign(&claims);
    drop(gate.exchanged(&good, "api").await);
    let header = edited(&Key::IdToken.header(), "kid", json!("canary-key"));
    for (parameters, why) in [
        (exchange_of(&good, "admin").to_vec(), "not for this user"),
        (exchange_of(&good, "canary").to_vec(), "no such audience"),
        (exchange_of(&Key::IdToken.sign(&edited(&claims, "exp", json!(1))), "api").to_vec(), "expired"),
        (exchange_of(&Key::IdToken.sign_as(&header, claims.to_string()), "api").to_vec(), "a key ID"),
        (exchange_of("canary.canary.canary", "api").to_vec(), "no token"),
        ([&exchange_of(&good, "api")[..], &[("scope", "canary")]].concat(), "a scope"),
        ([&exchange_of(&good, "api")[..], &[("requested_token_type", "canary")]].concat(), "a type"),
        ([&exchange_of(&good, "api")[..], &[("actor_token", "canary")]].concat(), "an actor"),
        ([&exchange_of(&good, "api")[1..], &[("grant_type", "canary")]].concat(), "a grant"),
    ] {
        let answer = gate.exchange(&parameters).await;
        check(&answer, parameters.iter().find(|(name, _)| *name == "subject_token").expect("one").1, why);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_server_says_is_not_repeated() {
    let project = Project::open().await;
    let router = Router::new().fallback(get(|| async {
        (
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            [("x-canary", "canary")],
            "canary: the key of the database",
        )
    }));
    let url = serve(router).await;
    let door = project.door_with_keys_at(&format!("{url}/canary"));
    let token = Key::IdToken.sign(&canary_claims(&project));
    let answer = Call::get(&at(&door, "/a")).bearer(&token).send().await;
    answer.expect_refusal(503, "KEYS_UNAVAILABLE", "RETRY_LATER");
    check(&answer, &token, "a key server's error");
    close(door).await;
}
