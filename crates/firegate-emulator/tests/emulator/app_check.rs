//! App Check as the SDKs use it: the JavaScript SDK's debug provider, and the Admin SDK's creation and verification.

use firegate_core::jose::{CompactJws, JsonValue, KeySet};
use firegate_emulator::google::APP_CHECK_DEBUG_TOKEN;
use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, claims, get, post_json, send};
use crate::world::{DOOR, OUTSIDER, PROJECT, World};

const APP: &str = "1:123456789012:web:0123456789abcdef";
const AUDIENCE: &str =
    "https://firebaseappcheck.googleapis.com/google.firebase.appcheck.v1.TokenExchangeService";

/// An exchange, as an SDK that holds no credential asks for it.
async fn exchange(world: &World, path: &str, body: &Value) -> Answer {
    send(Method::POST, &world.url(path), &[("content-type", "application/json")], body.to_string()).await
}

async fn debug_token(world: &World, extra: Value) -> String {
    let mut body = json!({ "debug_token": APP_CHECK_DEBUG_TOKEN });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let path = format!("/v1/projects/{PROJECT}/apps/{APP}:exchangeDebugToken");
    exchange(world, &path, &body).await.text("token")
}

async fn consume(world: &World, access_token: &str, token: &str) -> Answer {
    let url = world.url(&format!("/v1beta/projects/{PROJECT}:verifyAppCheckToken"));
    post_json(&url, access_token, &json!({ "app_check_token": token })).await
}

#[tokio::test]
async fn the_debug_token_attests_any_app_of_the_project() {
    let world = World::start().await;
    for host in ["", "/firebaseappcheck.googleapis.com", "/content-firebaseappcheck.googleapis.com"] {
        for version in ["v1", "v1beta"] {
            for project in [PROJECT, "123456789012"] {
                let path =
                    format!("{host}/{version}/projects/{project}/apps/{APP}:exchangeDebugToken?key=any");
                let answer = exchange(&world, &path, &json!({ "debug_token": APP_CHECK_DEBUG_TOKEN })).await;
                assert_eq!(answer.text("ttl"), "3600s", "{path}");
                let text = answer.text("token");
                let token = CompactJws::parse(&text).unwrap();
                assert_eq!(
                    (token.header_text("alg"), token.header_text("typ")),
                    (Some("RS256"), Some("JWT"))
                );
                let mut claims = claims(&text);
                assert!(claims.remove("jti").unwrap().as_str().is_some_and(|jti| !jti.is_empty()));
                let expected = json!({
                    "sub": APP, "provider": "debug", "iss": "https://firebaseappcheck.googleapis.com/123456789012",
                    "aud": ["projects/123456789012", "projects/demo-firegate"],
                    "iat": world.now(), "exp": world.now() + 3600,
                });
                assert_eq!(Value::Object(claims), expected);
                let keys = get(&world.url(&format!("{host}/{version}/jwks")), &[]).await;
                let keys = KeySet::parse_rs256(keys.body.as_bytes()).unwrap();
                assert!(keys.find(token.header_text("kid").unwrap()).unwrap().verifies(&token));
            }
        }
    }
}

#[tokio::test]
async fn app_checks_key_signs_nothing_else() {
    let world = World::start().await;
    let app_check = get(&world.url("/v1/jwks"), &[]).await.json();
    let sign_on = get(&world.url("/oauth2/v3/certs"), &[]).await.json();
    assert_ne!(app_check["keys"][0]["kid"], sign_on["keys"][0]["kid"]);
    assert_ne!(app_check["keys"][0]["n"], sign_on["keys"][0]["n"]);
}

#[tokio::test]
async fn a_limited_use_token_lives_for_five_minutes() {
    let world = World::start().await;
    for name in ["limited_use", "limitedUse"] {
        let token = claims(&debug_token(&world, json!({ name: true })).await);
        assert_eq!(token["exp"], json!(world.now() + 300), "{name}");
    }
}

#[tokio::test]
async fn nothing_but_the_debug_token_and_an_app_of_the_project_is_attested() {
    let world = World::start().await;
    let check = async |project: &str, app: &str, token: &str| {
        let path = format!("/v1/projects/{project}/apps/{app}:exchangeDebugToken");
        let answer = exchange(&world, &path, &json!({ "debug_token": token })).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status.as_u16(), &error["message"]),
            (403, &json!("App attestation failed.")),
            "{path}"
        );
        assert_eq!(error["status"], "PERMISSION_DENIED");
    };
    check(PROJECT, APP, "00000000-0000-4000-8000-000000000000").await;
    check(PROJECT, APP, "").await;
    check("another-project", APP, APP_CHECK_DEBUG_TOKEN).await;
    check(PROJECT, "1:999999999999:web:0123456789abcdef", APP_CHECK_DEBUG_TOKEN).await;
    check(PROJECT, "app", APP_CHECK_DEBUG_TOKEN).await;
    let path = format!("/v1/projects/{PROJECT}/apps/{APP}:exchangeSafetyNetToken");
    assert_eq!(exchange(&world, &path, &json!({})).await.status, 404);
}

#[tokio::test]
async fn a_token_is_consumed_once() {
    let world = World::start().await;
    let access_token = world.access_token().await;
    let (first, second) = (debug_token(&world, json!({})).await, debug_token(&world, json!({})).await);
    for token in [&first, &second] {
        assert_eq!(
            consume(&world, &access_token, token).await.json(),
            json!({}),
            "the field is absent at first"
        );
        for _ in 0..2 {
            let again = consume(&world, &access_token, token).await;
            assert_eq!((again.status.as_u16(), again.json()), (200, json!({ "alreadyConsumed": true })));
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_valid_cannot_be_consumed() {
    let world = World::start().await;
    let access_token = world.access_token().await;
    let token = debug_token(&world, json!({})).await;
    let check = async |token: &str, status: u16| {
        assert_eq!(consume(&world, &access_token, token).await.status, status, "{token:?}");
    };
    check("", 400).await;
    check("no token", 403).await;
    check(&world.id_token("https://api.example.com").await, 403).await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    check(&format!("{head}.{other}{}", &signature[1..]), 403).await;
    world.clock.advance(3600);
    let access_token = world.access_token().await;
    assert_eq!(consume(&world, &access_token, &token).await.status, 403, "expired");
}

#[tokio::test]
async fn consuming_takes_a_credential_that_has_the_role() {
    let world = World::start().await;
    let token = debug_token(&world, json!({})).await;
    let url = world.url(&format!("/v1beta/projects/{PROJECT}:verifyAppCheckToken"));
    let body = json!({ "app_check_token": token });
    let anonymous = send(Method::POST, &url, &[], body.to_string()).await;
    assert_eq!(anonymous.status, 401);
    assert_eq!(
        anonymous.json()["error"]["details"][0]["metadata"]["service"],
        "firebaseappcheck.googleapis.com"
    );
    assert_eq!(post_json(&url, "ya29.nonsense", &body).await.status, 401);
    let narrow = access_token_of(&world, DOOR, "https://www.googleapis.com/auth/devstorage.read_only").await;
    assert_eq!(post_json(&url, &narrow, &body).await.status, 403);
    let outsider = access_token_of(&world, OUTSIDER, "https://www.googleapis.com/auth/cloud-platform").await;
    assert_eq!(post_json(&url, &outsider, &body).await.status, 403);
    let elsewhere = world.url("/v1beta/projects/another-project:verifyAppCheckToken");
    assert_eq!(post_json(&elsewhere, &world.access_token().await, &body).await.status, 403);
    let firebase = access_token_of(&world, DOOR, "https://www.googleapis.com/auth/firebase").await;
    assert_eq!(post_json(&url, &firebase, &body).await.json(), json!({}), "no refusal has consumed it");
}

/// An access token by a service account's key.
async fn access_token_of(world: &World, email: &str, scope: &str) -> String {
    let (_, signer) = world.key_file(email).await;
    let assertion = signer.sign(&json!({
        "iss": email, "sub": email, "aud": "https://oauth2.googleapis.com/token", "scope": scope,
        "iat": world.now(), "exp": world.now() + 3600,
    }));
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let parameters = [grant, ("assertion", &assertion.unwrap())];
    crate::client::post_form(&world.url("/token"), &parameters).await.text("access_token")
}

/// A custom token as `getAppCheck().createToken` of the Admin SDK signs it, changed.
async fn custom_token(world: &World, changed: Value) -> Answer {
    let (_, signer) = world.key_file(DOOR).await;
    let mut token = json!({
        "iss": DOOR, "sub": DOOR, "app_id": APP, "aud": AUDIENCE, "iat": world.now(), "exp": world.now() + 300,
    });
    token.as_object_mut().unwrap().extend(changed["claims"].as_object().cloned().unwrap_or_default());
    let mut body = json!({ "customToken": signer.sign(&token).unwrap() });
    body.as_object_mut().unwrap().extend(changed["body"].as_object().cloned().unwrap_or_default());
    let path =
        format!("/firebaseappcheck.googleapis.com/v1/projects/{PROJECT}/apps/{APP}:exchangeCustomToken");
    exchange(world, &path, &body).await
}

#[tokio::test]
async fn a_custom_token_of_a_service_account_is_exchanged() {
    let world = World::start().await;
    let check = async |changed: Value, seconds: i64| {
        let answer = custom_token(&world, changed.clone()).await;
        assert_eq!(answer.text("ttl"), format!("{seconds}s"), "{changed}");
        let token = claims(&answer.text("token"));
        assert_eq!((&token["sub"], &token["provider"]), (&json!(APP), &json!("custom")));
        assert_eq!(token["exp"], json!(world.now() + seconds), "{changed}");
        token
    };
    check(json!({}), 3600).await;
    check(json!({ "claims": { "ttl": "1800s" } }), 1800).await;
    check(json!({ "claims": { "ttl": "604800s" } }), 604_800).await;
    let limited = json!({ "body": { "limitedUse": true, "jti": "order-1" } });
    assert_eq!(check(limited, 300).await["jti"], "order-1");
}

#[tokio::test]
async fn two_tokens_with_one_id_count_as_one() {
    let world = World::start().await;
    let access_token = world.access_token().await;
    let limited = json!({ "body": { "limitedUse": true, "jti": "order-1" } });
    let (first, second) = (custom_token(&world, limited.clone()).await, custom_token(&world, limited).await);
    assert_eq!(consume(&world, &access_token, &first.text("token")).await.json(), json!({}));
    let again = consume(&world, &access_token, &second.text("token")).await.json();
    assert_eq!(again, json!({ "alreadyConsumed": true }));
}

#[tokio::test]
async fn a_custom_token_for_something_else_is_refused() {
    let world = World::start().await;
    let check = async |claims: Value, status: u16| {
        let answer = custom_token(&world, json!({ "claims": claims })).await;
        assert_eq!(answer.status, status, "{claims}: {}", answer.body);
    };
    check(json!({ "iss": OUTSIDER, "sub": OUTSIDER }), 403).await;
    check(json!({ "iss": "nobody@example.com", "sub": "nobody@example.com" }), 403).await;
    check(json!({ "sub": OUTSIDER }), 403).await;
    check(json!({ "aud": "https://oauth2.googleapis.com/token" }), 403).await;
    check(json!({ "app_id": "1:123456789012:web:feed" }), 403).await;
    check(json!({ "iat": world.now() - 3600, "exp": world.now() - 600 }), 403).await;
    check(json!({ "exp": world.now() + 7200 }), 403).await;
    check(json!({ "ttl": "1799s" }), 400).await;
    check(json!({ "ttl": "604801s" }), 400).await;
    check(json!({ "ttl": 3600 }), 400).await;
}

#[tokio::test]
async fn pages_of_this_machine_may_ask_and_others_may_not() {
    let world = World::start().await;
    let url = world.url(&format!("/v1/projects/{PROJECT}/apps/{APP}:exchangeDebugToken"));
    let check = async |origin: &str, is_open: bool| {
        let expected = if is_open { origin } else { "" };
        let asked = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = send(Method::OPTIONS, &url, &asked, "").await;
        assert_eq!(preflight.status, if is_open { 204 } else { 403 }, "{origin}");
        assert_eq!(preflight.header("access-control-allow-origin"), expected, "{origin}");
        let body = json!({ "debug_token": APP_CHECK_DEBUG_TOKEN }).to_string();
        let answer = send(Method::POST, &url, &[("origin", origin)], body).await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}");
    };
    check("http://localhost:5173", true).await;
    check("https://127.0.0.1", true).await;
    check("https://example.com", false).await;
    check("http://localhost.example.com", false).await;
    check("null", false).await;
    let consuming = world.url(&format!("/v1beta/projects/{PROJECT}:verifyAppCheckToken"));
    let asked = [("origin", "http://localhost:5173"), ("access-control-request-method", "POST")];
    let preflight = send(Method::OPTIONS, &consuming, &asked, "").await;
    assert_eq!(preflight.header("access-control-allow-origin"), "", "that takes a server's credential");
}

#[tokio::test]
async fn the_address_itself_says_what_is_there() {
    let world = World::start().await;
    let page = get(&world.url("/"), &[]).await;
    assert!(page.header("content-type").starts_with("text/plain"));
    for expected in
        [APP_CHECK_DEBUG_TOKEN, "123456789012", DOOR, "/v1/jwks", "/oauth2/v3/certs", &world.google]
    {
        assert!(page.body.contains(expected), "{expected} in {}", page.body);
    }
    let metadata = get(&world.url("/"), &[("metadata-flavor", "Google")]).await;
    assert_eq!(
        (metadata.body.as_str(), metadata.header("metadata-flavor")),
        ("computeMetadata/\n", "Google")
    );
}

#[tokio::test]
async fn the_metadata_servers_id_token_for_any_audience_verifies_by_the_published_keys() {
    let world = World::start().await;
    let text = world.id_token("https://door.example.com").await;
    let token = CompactJws::parse(&text).unwrap();
    let keys = get(&world.url("/oauth2/v3/certs"), &[]).await;
    let keys = KeySet::parse_rs256(keys.body.as_bytes()).unwrap();
    assert!(keys.find(token.header_text("kid").unwrap()).unwrap().verifies(&token));
    assert_eq!(token.payload_text("aud"), Some("https://door.example.com"));
    assert_eq!(token.payload_text("iss"), Some("https://accounts.google.com"));
    assert_eq!(
        (token.payload_text("email"), token.payload().get("email_verified").and_then(JsonValue::as_bool)),
        (Some(DOOR), Some(true))
    );
}
