use firegate_core::jose::RsaSigner;
use firegate_emulator::google::ServiceAccount;
use serde_json::{Value, json};

use crate::client::{claims, get, post_form, post_json};
use crate::world::{CALLER, CLOUD_PLATFORM, DEVELOPER, DOOR, OUTSIDER, SERVICE_URL, World};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

async fn exchange(world: &World, assertion: &str) -> crate::client::Answer {
    let parameters = [("grant_type", JWT_BEARER), ("assertion", assertion)];
    post_form(&world.url("/oauth2.googleapis.com/token"), &parameters).await
}

fn assertion_claims(world: &World) -> Value {
    json!({
        "iss": DOOR, "sub": DOOR, "aud": "https://oauth2.googleapis.com/token",
        "target_audience": SERVICE_URL, "iat": world.now() - 10, "exp": world.now() + 3590,
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_key_file_is_complete_and_its_key_gets_an_id_token() {
    let world = World::start().await;
    let (file, signer) = world.key_file(DOOR).await;
    let expected = [
        ("type", "service_account"),
        ("project_id", "demo-firegate"),
        ("client_email", DOOR),
        ("client_id", &ServiceAccount::new(DOOR).unique_id()),
        ("token_uri", &world.url("/token")),
        ("universe_domain", "googleapis.com"),
    ];
    for (name, value) in expected {
        assert_eq!(file[name], value, "{name}");
    }
    let again = world.key_file(DOOR).await;
    assert_eq!(again.0, file, "reading the key makes no new one");

    for audience in ["https://oauth2.googleapis.com/token", &world.url("/token")] {
        let assertion = signer.sign(&with(assertion_claims(&world), "aud", json!(audience))).unwrap();
        let answer = exchange(&world, &assertion).await;
        let token = claims(&answer.text("id_token"));
        assert_eq!(
            (&token["aud"], &token["email"], &token["azp"]),
            (&json!(SERVICE_URL), &json!(DOOR), &json!(DOOR))
        );
        assert!(answer.json().get("access_token").is_none());
    }
}

#[tokio::test]
async fn a_scope_gets_an_access_token_that_speaks_for_the_account() {
    let world = World::start().await;
    let (_, signer) = world.key_file(DOOR).await;
    let mut claims = assertion_claims(&world);
    claims.as_object_mut().unwrap().remove("target_audience");
    let answer =
        exchange(&world, &signer.sign(&with(claims.clone(), "scope", json!(CLOUD_PLATFORM))).unwrap()).await;
    assert_eq!(
        (&answer.json()["token_type"], &answer.json()["expires_in"]),
        (&json!("Bearer"), &json!(3599))
    );
    let url = world.url(&format!("/v1/projects/-/serviceAccounts/{}:generateIdToken", crate::world::RELAY));
    let body = json!({ "audience": SERVICE_URL });
    assert_eq!(post_json(&url, &answer.text("access_token"), &body).await.status, 200);

    let narrow = exchange(&world, &signer.sign(&with(claims, "scope", json!("openid"))).unwrap()).await;
    let refused = post_json(&url, &narrow.text("access_token"), &body).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"]["details"][0]["reason"], "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
}

#[tokio::test]
async fn an_assertion_is_refused_for_everything_that_google_refuses_it_for() {
    let world = World::start().await;
    let (_, signer) = world.key_file(DOOR).await;
    let (_, outsider) = world.key_file(OUTSIDER).await;
    let forged = RsaSigner::from_pkcs8(signer.key_id(), outsider.pkcs8()).unwrap();
    let good = || assertion_claims(&world);
    let now = world.now();
    let check = async |assertion: String, code: &str, description: &str| {
        let answer = exchange(&world, &assertion).await;
        let body = answer.json();
        assert_eq!(body["error"], code, "{body}");
        assert!(body["error_description"].as_str().unwrap().contains(description), "{body}");
        assert!(answer.status.is_client_error(), "{body}");
    };
    let signed = |claims: Value| signer.sign(&claims).unwrap();
    let timely = "short-lived token (60 minutes)";
    check(forged.sign(&good()).unwrap(), "invalid_grant", "Invalid JWT Signature.").await;
    check(outsider.sign(&good()).unwrap(), "invalid_grant", "Invalid JWT Signature.").await;
    check(signed(with(good(), "iss", json!("nobody@example.com"))), "invalid_grant", "account not found")
        .await;
    check(signed(with(good(), "aud", json!("https://example.com/token"))), "invalid_grant", "audience check")
        .await;
    check(signed(with(good(), "exp", json!(now - 301))), "invalid_grant", timely).await;
    check(signed(with(good(), "exp", json!(now + 3591))), "invalid_grant", timely).await;
    check(signed(with(good(), "iat", json!(now + 302))), "invalid_grant", timely).await;
    check(signed(with(good(), "iat", Value::Null)), "invalid_grant", timely).await;
    check(signed(with(good(), "sub", json!(DEVELOPER))), "unauthorized_client", "Client is unauthorized")
        .await;
    check(signed(with(good(), "target_audience", json!(""))), "invalid_scope", "Invalid OAuth scope").await;
    check("x.y.z".to_owned(), "invalid_grant", "Invalid JWT").await;

    let check = async |parameters: &[(&str, &str)], code: &str| {
        let answer = post_form(&world.url("/token"), parameters).await;
        assert_eq!((answer.status.as_u16(), answer.text("error")), (400, code.to_owned()), "{parameters:?}");
    };
    check(&[], "invalid_request").await;
    check(&[("grant_type", JWT_BEARER)], "invalid_request").await;
    check(&[("grant_type", "password")], "unsupported_grant_type").await;
    check(&[("grant_type", JWT_BEARER), ("grant_type", JWT_BEARER)], "invalid_request").await;
}

#[tokio::test]
async fn a_refresh_token_gets_tokens_of_the_user() {
    let world = World::start().await;
    let check = async |client_id: &str, secret: &str, refresh_token: &str| {
        let parameters = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("client_secret", secret),
            ("refresh_token", refresh_token),
            ("target_audience", SERVICE_URL),
        ];
        post_form(&world.url("/token"), &parameters).await
    };
    let client = "client.apps.googleusercontent.com";
    let answer = check(client, "secret", "1//refresh").await;
    let id_token = claims(&answer.text("id_token"));
    // A user's ID token names the OAuth client, whatever audience is asked for.
    assert_eq!((&id_token["aud"], &id_token["email"]), (&json!(client), &json!(DEVELOPER)));
    let url = world.url(&format!("/v1/projects/-/serviceAccounts/{CALLER}:generateIdToken"));
    let by_user = post_json(&url, &answer.text("access_token"), &json!({ "audience": SERVICE_URL })).await;
    assert_eq!(claims(&by_user.text("token"))["aud"], SERVICE_URL);

    assert_eq!(check(client, "wrong", "1//refresh").await.text("error"), "invalid_client");
    assert_eq!(check("other", "secret", "1//refresh").await.status, 401);
    let revoked = check(client, "secret", "1//other").await;
    assert_eq!((revoked.status.as_u16(), revoked.text("error")), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn the_public_key_of_an_account_is_published() {
    let world = World::start().await;
    let (_, signer) = world.key_file(DOOR).await;
    let keys = get(&world.url(&format!("/service_accounts/v1/jwk/{DOOR}")), &[]).await.json();
    assert_eq!(keys["keys"][0], signer.public_jwk());
    let certificates = get(&world.url(&format!("/robot/v1/metadata/x509/{DOOR}")), &[]).await.json();
    assert!(certificates[signer.key_id()].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(get(&world.url("/service_accounts/v1/jwk/nobody@example.com"), &[]).await.status, 404);
}
