//! A user's own token against a service account's: Security Token Service, then IAM Credentials.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firegate_core::jose::{CompactJws, KeySet, RsaSigner};
use firegate_emulator::google::{GoogleOptions, GoogleParts, OptionsError, ServiceAccount};
use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, claims, get, post_form, post_json, send};
use crate::world::{CALLER, CLOUD_PLATFORM, DOOR, OUTSIDER, PROJECT, RELAY, SERVICE_URL, World, provider};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const REJECTED: &str = "The given credential is rejected by the attribute condition.";

fn parameters<'a>(audience: &'a str, subject_token: &'a str) -> [(&'static str, &'a str); 6] {
    [
        ("grant_type", GRANT_TYPE),
        ("audience", audience),
        ("scope", CLOUD_PLATFORM),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token_type", JWT_TYPE),
        ("subject_token", subject_token),
    ]
}

async fn exchange(world: &World, subject_token: &str) -> Answer {
    let audience = format!("//iam.googleapis.com/{}", provider(&world.issuer).name);
    post_form(&world.url("/sts.googleapis.com/v1/token"), &parameters(&audience, subject_token)).await
}

fn target(world: &World, email: &str, method: &str) -> String {
    world.url(&format!("/iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:{method}"))
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_users_token_becomes_the_service_accounts_where_iam_allows_it() {
    let world = World::start().await;
    let answer = exchange(&world, &world.user_token("alice")).await;
    let body = answer.json();
    assert_eq!(
        (&body["issued_token_type"], &body["token_type"], &body["expires_in"]),
        (&json!(ACCESS_TOKEN_TYPE), &json!("Bearer"), &json!(3599))
    );
    let alice = answer.text("access_token");
    let request = json!({ "audience": SERVICE_URL, "includeEmail": true });
    let minted = post_json(&target(&world, CALLER, "generateIdToken"), &alice, &request).await;
    let id_token = claims(&minted.text("token"));
    let unique_id = ServiceAccount::new(CALLER).unique_id();
    assert_eq!(
        (&id_token["aud"], &id_token["email"], &id_token["sub"], &id_token["azp"]),
        (&json!(SERVICE_URL), &json!(CALLER), &json!(unique_id), &json!(unique_id))
    );

    // Bob is in the set of users with a password, but not the one subject.
    let bob = exchange(&world, &world.user_token("bob")).await.text("access_token");
    let refused = post_json(&target(&world, CALLER, "generateIdToken"), &bob, &request).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"]["status"], "PERMISSION_DENIED");
    assert_eq!(
        refused.json()["error"]["message"],
        "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource (or it may not exist)."
    );
    assert_eq!(post_json(&target(&world, RELAY, "generateIdToken"), &bob, &request).await.status, 200);
    let scope = json!({ "scope": [CLOUD_PLATFORM] });
    let role = post_json(&target(&world, RELAY, "generateAccessToken"), &bob, &scope).await;
    assert_eq!(role.status, 403, "the role creates ID tokens alone");
    assert_eq!(world.issuer.fetches.load(Ordering::SeqCst), 1, "the keys are fetched once");
}

#[tokio::test]
async fn a_subject_token_is_refused_for_everything_that_google_refuses_it_for() {
    let world = World::start().await;
    let good = || world.user_claims("alice");
    let check = async |token: &str, code: &str, description: &str| {
        let answer = exchange(&world, token).await;
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), &body["error"]), (400, &json!(code)), "{body}");
        assert!(body["error_description"].as_str().unwrap().contains(description), "{body}");
    };
    let signed = |claims: Value| world.issuer.signer.sign(&claims).unwrap();
    let anonymous = json!({ "sign_in_provider": "anonymous" });
    check(&signed(with(good(), "firebase", anonymous)), "unauthorized_client", REJECTED).await;
    check(&signed(with(good(), "firebase", json!({}))), "invalid_grant", "attribute.provider").await;
    let other = "https://securetoken.google.com/other";
    check(&signed(with(good(), "iss", json!(other))), "invalid_grant", "does not match the expected ones")
        .await;
    let cookie = format!("https://session.firebase.google.com/{PROJECT}");
    check(&signed(with(good(), "iss", json!(cookie))), "invalid_grant", "The issuer in ID Token").await;
    check(&signed(with(good(), "aud", json!("other"))), "invalid_grant", "The audience in ID Token [other]")
        .await;
    check(&signed(with(good(), "exp", json!(world.now()))), "invalid_grant", "stale to sign-in").await;
    check(&signed(with(good(), "exp", Value::Null)), "invalid_grant", "stale to sign-in").await;
    check(&signed(with(good(), "iat", json!(world.now() + 302))), "invalid_grant", "in the future").await;
    check(
        &signed(with(good(), "sub", json!("u".repeat(128)))),
        "invalid_grant",
        "exceeds the 127 bytes limit",
    )
    .await;
    check(&signed(with(good(), "sub", json!(""))), "invalid_grant", "must not be empty").await;
    check("no token", "invalid_grant", "Unable to parse").await;
    let longest = exchange(&world, &signed(with(good(), "sub", json!("u".repeat(127))))).await;
    assert_eq!(longest.status, 200);

    let stranger = tokio::task::spawn_blocking(RsaSigner::generate).await.unwrap().unwrap();
    let forged = RsaSigner::from_pkcs8(world.issuer.signer.key_id(), stranger.pkcs8()).unwrap();
    check(&forged.sign(&good()).unwrap(), "invalid_grant", "cannot be verified").await;
    check(&stranger.sign(&good()).unwrap(), "invalid_grant", "cannot be verified").await;
    let unsigned = format!("{}.", signed(good()).rsplit_once('.').unwrap().0);
    check(&unsigned, "invalid_grant", "cannot be verified").await;
}

#[tokio::test]
async fn a_request_to_the_security_token_service_is_refused_by_parameter() {
    let world = World::start().await;
    let token = world.user_token("alice");
    let audience = format!("//iam.googleapis.com/{}", provider(&world.issuer).name);
    let check = async |name: &str, value: &str, code: &str| {
        let mut parameters = parameters(&audience, &token);
        for parameter in &mut parameters {
            if parameter.0 == name {
                parameter.1 = value;
            }
        }
        let answer = post_form(&world.url("/v1/token"), &parameters).await;
        assert_eq!((answer.status.as_u16(), answer.text("error")), (400, code.to_owned()), "{name}={value}");
    };
    check("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type").await;
    check("requested_token_type", JWT_TYPE, "invalid_request").await;
    check("subject_token_type", ACCESS_TOKEN_TYPE, "invalid_request").await;
    check("subject_token", "", "invalid_request").await;
    check("scope", "", "invalid_request").await;
    check("audience", "demo-firegate", "invalid_request").await;
    check("audience", &format!("{audience}2"), "invalid_target").await;
    let oversized = "a".repeat(65 * 1024);
    let answer = send(Method::POST, &world.url("/v1/token"), &[], oversized).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn the_iam_credentials_api_checks_the_access_token_and_the_request() {
    let world = World::start().await;
    let own = world.access_token().await;
    let id_token = json!({ "audience": SERVICE_URL });
    let check = async |url: String, token: &str, body: &Value, expected: (u16, &str)| {
        let answer = post_json(&url, token, body).await;
        let status = answer.json()["error"]["status"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status.as_u16(), status.as_str()), expected, "{url} {body}: {}", answer.body);
    };
    let relay = || target(&world, RELAY, "generateIdToken");
    check(relay(), &own, &id_token, (200, "")).await;
    check(relay(), "ya29.forged", &id_token, (401, "UNAUTHENTICATED")).await;
    check(relay(), &world.id_token(SERVICE_URL).await, &id_token, (401, "UNAUTHENTICATED")).await;
    check(relay(), &own, &json!({}), (400, "INVALID_ARGUMENT")).await;
    check(relay(), &own, &json!({ "audience": 1 }), (400, "INVALID_ARGUMENT")).await;
    let nobody = target(&world, "nobody@demo-firegate.iam.gserviceaccount.com", "generateIdToken");
    check(nobody, &own, &id_token, (404, "NOT_FOUND")).await;
    check(relay().replace("/-/", "/demo-firegate/"), &own, &id_token, (400, "INVALID_ARGUMENT")).await;
    check(target(&world, RELAY, "undelete"), &own, &id_token, (404, "NOT_FOUND")).await;
    check(target(&world, CALLER, "generateIdToken"), &own, &id_token, (403, "PERMISSION_DENIED")).await;
    let unauthenticated = send(Method::POST, &relay(), &[], id_token.to_string()).await;
    assert_eq!(unauthenticated.json()["error"]["details"][0]["reason"], "CREDENTIALS_MISSING");
    assert!(unauthenticated.header("www-authenticate").starts_with("Bearer"));

    world.clock.advance(3601);
    check(relay(), &own, &id_token, (401, "UNAUTHENTICATED")).await;
}

#[tokio::test]
async fn a_chain_of_delegates_needs_every_link() {
    let world = World::start().await;
    let own = world.access_token().await;
    let check = async |delegates: &[&str], expected: u16| {
        let names: Vec<_> =
            delegates.iter().map(|email| format!("projects/-/serviceAccounts/{email}")).collect();
        let body =
            json!({ "audience": SERVICE_URL, "delegates": names, "includeEmail": true, "useEmailAzp": true });
        let answer = post_json(&target(&world, CALLER, "generateIdToken"), &own, &body).await;
        assert_eq!(answer.status.as_u16(), expected, "{delegates:?} {}", answer.body);
        answer
    };
    let minted = check(&[RELAY], 200).await;
    let id_token = claims(&minted.text("token"));
    assert_eq!((&id_token["email"], &id_token["azp"]), (&json!(CALLER), &json!(CALLER)));
    check(&[], 403).await;
    check(&[OUTSIDER], 403).await;
    check(&[RELAY, OUTSIDER], 403).await;
    check(&["nobody@example.com"], 404).await;
    check(&[RELAY; 11], 400).await;
    let body = json!({ "audience": SERVICE_URL, "delegates": [RELAY] });
    assert_eq!(post_json(&target(&world, CALLER, "generateIdToken"), &own, &body).await.status, 400);
}

#[tokio::test]
async fn access_tokens_and_signatures_are_made_in_the_accounts_name() {
    let world = World::start().await;
    let own = world.access_token().await;
    let url = target(&world, RELAY, "generateAccessToken");
    let answer = post_json(&url, &own, &json!({ "scope": [CLOUD_PLATFORM], "lifetime": "600s" })).await;
    assert!(answer.text("expireTime").ends_with('Z'));
    let relay = answer.text("accessToken");
    let as_relay =
        post_json(&target(&world, CALLER, "generateIdToken"), &relay, &json!({ "audience": "a" })).await;
    assert_eq!(as_relay.status, 200, "the token speaks for the relay");
    for lifetime in ["3601s", "0s", "1h", "-1s"] {
        let body = json!({ "scope": [CLOUD_PLATFORM], "lifetime": lifetime });
        assert_eq!(post_json(&url, &own, &body).await.status, 400, "{lifetime}");
    }
    assert_eq!(post_json(&url, &own, &json!({})).await.status, 400);

    let input = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1aWQiOiJhbGljZSJ9";
    let body = json!({ "payload": STANDARD.encode(input) });
    let signed = post_json(&target(&world, RELAY, "signBlob"), &own, &body).await;
    let signature = STANDARD.decode(signed.text("signedBlob")).unwrap();
    let token = format!("{input}.{}", firegate_core::jose::encode_base64url(&signature));
    let keys = get(&world.url(&format!("/service_accounts/v1/jwk/{RELAY}")), &[]).await.body;
    let keys = KeySet::parse_rs256(keys.as_bytes()).unwrap();
    assert!(keys.find(&signed.text("keyId")).unwrap().verifies(&CompactJws::parse(&token).unwrap()));
    assert_eq!(post_json(&target(&world, CALLER, "signBlob"), &own, &body).await.status, 403);
    let bad = json!({ "payload": "%" });
    assert_eq!(post_json(&target(&world, RELAY, "signBlob"), &own, &bad).await.status, 400);
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused() {
    let world = World::start().await;
    let base = GoogleOptions {
        project: PROJECT.to_owned(),
        project_number: "1".to_owned(),
        service_accounts: vec![ServiceAccount::new(DOOR)],
        default_service_account: DOOR.to_owned(),
        impersonations: Vec::new(),
        app_check_verifiers: Vec::new(),
        workload_identity_providers: vec![provider(&world.issuer)],
        authorized_users: Vec::new(),
        base_url: world.google.parse().unwrap(),
        clock: std::sync::Arc::new(world.clock.clone()),
    };
    let check = |change: &dyn Fn(&mut GoogleOptions), expected: Option<OptionsError>| {
        let mut options = base.clone();
        change(&mut options);
        assert_eq!(GoogleParts::new(options).err(), expected);
    };
    check(&|_| {}, None);
    check(
        &|options| options.default_service_account = CALLER.to_owned(),
        Some(OptionsError::UnknownServiceAccount(CALLER.to_owned())),
    );
    let provider =
        &|options: &mut GoogleOptions,
          change: &dyn Fn(&mut firegate_emulator::google::WorkloadIdentityProvider)| {
            options.workload_identity_providers.iter_mut().for_each(change);
        };
    check(
        &|options| provider(options, &|provider| provider.name = "firebase".to_owned()),
        Some(OptionsError::ProviderName("firebase".to_owned())),
    );
    let name = base.workload_identity_providers[0].name.clone();
    check(
        &|options| provider(options, &|provider| provider.attribute_mapping.clear()),
        Some(OptionsError::NoSubjectMapping(name)),
    );
    check(
        &|options| provider(options, &|provider| provider.attribute_mapping[1].target = "tenant".to_owned()),
        Some(OptionsError::AttributeName("tenant".to_owned())),
    );
}
