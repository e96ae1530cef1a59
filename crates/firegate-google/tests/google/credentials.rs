use std::path::Path;
use std::sync::Arc;

use firegate_core::jose::{CompactJws, KeySet};
use firegate_core::time::{ShiftedClock, UnixTime};
use firegate_google::credentials::{
    Credential, CredentialError, CredentialSource, Endpoints, Environment, discover,
};
use firegate_google::fault::{FaultKind, FaultSource, Step};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use crate::support::{Answer, Received, SIGNERS, Server, client, clock, id_token, jwk_set, now};

pub(crate) const AUDIENCE: &str = "https://api-abc123-uc.a.run.app";
pub(crate) const ACCOUNT: &str = "caller@my-project.iam.gserviceaccount.com";

pub(crate) fn credential(
    source: CredentialSource,
    endpoints: Endpoints,
    clock: &ShiftedClock,
) -> Arc<Credential> {
    Credential::new(source, endpoints, client(), Arc::new(clock.clone()))
}

pub(crate) fn from_json(file: &Value) -> CredentialSource {
    CredentialSource::from_json(file.to_string().as_bytes()).expect("a credential file")
}

pub(crate) fn metadata(server: &Server) -> Endpoints {
    Endpoints { metadata: Some(server.url("/")), ..Endpoints::default() }
}

/// The file of a service account's key, as the console makes it.
pub(crate) fn key_file(token_uri: &str) -> Value {
    let signer = &SIGNERS[0];
    let pair =
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(signer.pkcs8()), &PKCS_RSA_SHA256);
    json!({
        "type": "service_account", "project_id": "my-project", "private_key_id": signer.key_id(),
        "private_key": pair.expect("an RSA key").serialize_pem(), "client_email": ACCOUNT, "client_id": "1",
        "token_uri": token_uri, "universe_domain": "googleapis.com",
    })
}

/// All of Google's token endpoints as one server.
pub(crate) fn google(clock: &ShiftedClock) -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
    let clock = clock.clone();
    move |request| {
        let expires_at = now(&clock) + 3600;
        let token = |audience: &str| id_token(audience, expires_at, 0);
        let form = Received::form(&request.body);
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        match request.target.as_str() {
            "/token" if form.contains_key("assertion") => {
                let payload = CompactJws::parse(&form["assertion"]).expect("a JWT").into_payload();
                match payload.get("target_audience").and_then(Value::as_str) {
                    Some(audience) => Answer::json(&json!({"id_token": token(audience)})),
                    None => Answer::json(
                        &json!({"access_token": "ya29.key", "expires_in": 3599, "token_type": "Bearer"}),
                    ),
                }
            }
            "/token" => Answer::json(
                &json!({"access_token": "ya29.user", "expires_in": 3599, "token_type": "Bearer"}),
            ),
            "/v1/token" => Answer::json(&json!({"access_token": "ya29.federated", "expires_in": 3599})),
            target if target.ends_with(":generateAccessToken") => Answer::json(
                &json!({"accessToken": "ya29.impersonated", "expireTime": "2099-01-01T00:00:00Z"}),
            ),
            target if target.ends_with(":generateIdToken") => {
                Answer::json(&json!({"token": token(body["audience"].as_str().expect("an audience"))}))
            }
            target => panic!("nothing is at {target}"),
        }
    }
}

#[tokio::test]
async fn the_metadata_server_is_asked_and_answers_with_its_flavor() {
    let clock = clock();
    let expected = id_token(AUDIENCE, now(&clock) + 3600, 0);
    let minted = expected.clone();
    let server = Server::start(move |_| {
        Answer::new(200, "text/html", minted.clone()).with("metadata-flavor", "Google")
    })
    .await;
    let credential = credential(CredentialSource::Metadata, metadata(&server), &clock);
    assert_eq!(credential.mint_id_token(AUDIENCE).await.expect("a token").text(), expected);
    let request = server.last();
    assert_eq!(
        (request.method.as_str(), request.target.as_str(), request.header("metadata-flavor")),
        (
            "GET",
            "/computeMetadata/v1/instance/service-accounts/default/identity\
             ?audience=https%3A%2F%2Fapi-abc123-uc.a.run.app&format=full",
            "Google"
        )
    );
}

#[tokio::test]
async fn what_is_no_token_of_the_metadata_server_never_becomes_one() {
    let clock = clock();
    let good = id_token(AUDIENCE, now(&clock) + 3600, 0);
    let from_google =
        |status, body: String| Answer::new(status, "text/html", body).with("metadata-flavor", "Google");
    let cases = [
        ("another server", Answer::new(200, "text/html", good.clone()), FaultKind::Unavailable),
        ("its page", from_google(200, "<html>".to_owned()), FaultKind::Unavailable),
        ("another audience", from_google(200, id_token("x", now(&clock) + 3600, 0)), FaultKind::Unavailable),
        ("expired", from_google(200, id_token(AUDIENCE, now(&clock) - 1, 0)), FaultKind::Unavailable),
        (
            "about to expire",
            from_google(200, id_token(AUDIENCE, now(&clock) + 20, 0)),
            FaultKind::Unavailable,
        ),
        ("no account", from_google(404, good.clone()), FaultKind::Refused),
        ("too many", from_google(429, good.clone()), FaultKind::Unavailable),
        ("down", from_google(503, good), FaultKind::Unavailable),
        ("huge", from_google(200, "x".repeat(65 * 1024)), FaultKind::Unavailable),
    ];
    let server = Server::start(|_| Answer::new(500, "text/plain", "")).await;
    let credential = credential(CredentialSource::Metadata, metadata(&server), &clock);
    for (what, answer, expected) in cases {
        server.respond(move |_| answer.clone());
        let fault = credential.mint_id_token(AUDIENCE).await.expect_err(what);
        assert_eq!((fault.step, fault.kind()), (Step::MetadataServer, expected), "{what}: {fault}");
    }
}

#[tokio::test]
async fn a_key_signs_for_the_audience_and_its_token_uri_is_used() {
    let clock = clock();
    let server = Server::start(google(&clock)).await;
    let source = from_json(&key_file(server.url("/token").as_str()));
    let credential = credential(source, Endpoints::default(), &clock);
    let token = credential.mint_id_token(AUDIENCE).await.expect("a token");
    assert_eq!(token.expires_at().as_seconds(), now(&clock) + 3600);
    let form = Received::form(&server.last().body);
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = CompactJws::parse(&form["assertion"]).expect("a JWT");
    let keys = KeySet::parse_rs256(jwk_set(&[0]).to_string().as_bytes()).expect("keys");
    let key = keys.find(assertion.header_text("kid").expect("a key id")).expect("the key's own id");
    assert!(key.verifies(&assertion));
    for (claim, expected) in [
        ("iss", ACCOUNT),
        ("sub", ACCOUNT),
        ("aud", "https://oauth2.googleapis.com/token"),
        ("target_audience", AUDIENCE),
    ] {
        assert_eq!(assertion.payload_text(claim), Some(expected), "{claim}");
    }
    assert!(!assertion.payload().contains_key("scope"));

    assert_eq!(credential.access_token().await.expect("a token").text(), "ya29.key");
    assert_eq!(credential.access_token().await.expect("a token").text(), "ya29.key");
    assert_eq!(server.count(), 2, "access tokens are kept");
}

#[tokio::test]
async fn an_explicit_endpoint_wins_over_the_key_file() {
    let clock = clock();
    let server = Server::start(google(&clock)).await;
    let endpoints = Endpoints { oauth2_token: Some(server.url("/token")), ..Endpoints::default() };
    let credential =
        credential(from_json(&key_file("https://oauth2.googleapis.com/token")), endpoints, &clock);
    credential.mint_id_token(AUDIENCE).await.expect("a token");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn any_identity_impersonates_by_its_access_token() {
    let clock = clock();
    let server = Server::start(google(&clock)).await;
    let endpoints = Endpoints { iam_credentials: Some(server.url("/")), ..Endpoints::default() };
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "token_uri": server.url("/token").as_str(),
    });
    let user = credential(from_json(&user), endpoints, &clock);
    let refused = user.mint_id_token(AUDIENCE).await.expect_err("users have no tokens for services");
    assert_eq!((refused.kind(), &refused.source), (FaultKind::Refused, &FaultSource::UserCredentials));
    for line in [
        "gcloud auth application-default login --impersonate-service-account=",
        "roles/iam.serviceAccountTokenCreator",
    ] {
        assert!(refused.to_string().contains(line), "{refused}");
    }

    user.impersonate(ACCOUNT).mint_id_token(AUDIENCE).await.expect("a token");
    let [refresh, generate] = server.received().try_into().expect("two calls");
    assert_eq!(
        (
            Received::form(&refresh.body)["refresh_token"].as_str(),
            generate.header("authorization"),
            generate.target.as_str()
        ),
        (
            "r",
            "Bearer ya29.user",
            "/v1/projects/-/serviceAccounts/caller@my-project.iam.gserviceaccount.com:generateIdToken"
        )
    );
    let body: Value = serde_json::from_str(&generate.body).expect("JSON");
    assert_eq!(body, json!({"audience": AUDIENCE, "includeEmail": true, "delegates": []}));
    assert_eq!(user.impersonate(ACCOUNT).access_token().await.expect("a token").text(), "ya29.impersonated");
}

#[tokio::test]
async fn an_impersonated_access_token_ends_when_google_says() {
    let clock = clock();
    let seconds = now(&clock) + 3600;
    let server = Server::start(google(&clock)).await;
    let endpoints = Endpoints {
        iam_credentials: Some(server.url("/")),
        oauth2_token: Some(server.url("/token")),
        ..Endpoints::default()
    };
    let check = async |expire_time: &str, expected: Option<i64>| {
        let answer = json!({"accessToken": "ya29.impersonated", "expireTime": expire_time}).to_string();
        server.respond(move |request| match request.target.as_str() {
            "/token" => Answer::json(&json!({"access_token": "ya29.key", "expires_in": 3599})),
            _ => Answer::new(200, "application/json", answer.clone()),
        });
        let key = from_json(&key_file("https://oauth2.googleapis.com/token"));
        let impersonated = credential(key, endpoints.clone(), &clock).impersonate(ACCOUNT);
        match (impersonated.access_token().await, expected) {
            (Ok(token), Some(expected)) => assert_eq!(token.expires_at().as_seconds(), expected),
            (Err(fault), None) => assert!(fault.to_string().contains("`expireTime` is no time"), "{fault}"),
            (answered, _) => panic!("{expire_time}: {answered:?}"),
        }
    };
    let written = UnixTime::from_seconds(seconds).date().to_string();
    check(&written, Some(seconds)).await;
    check(&written.replace('Z', ".999999999Z"), Some(seconds)).await;
    check("tomorrow", None).await;
    check("", None).await;
}

#[tokio::test]
async fn a_workload_is_federated_and_impersonates() {
    let clock = clock();
    let server = Server::start(google(&clock)).await;
    let directory = tempfile::tempdir().expect("a directory");
    let subject_file = directory.path().join("token");
    std::fs::write(&subject_file, r#"{"value": "a.workload.token"}"#).expect("written");
    let mut file = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/f",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": server.url("/v1/token").as_str(),
        "credential_source": {"file": subject_file, "format": {"type": "json", "subject_token_field_name": "value"}},
        "service_account_impersonation_url":
            server.url(&format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")).as_str(),
    });
    let workload = credential(from_json(&file), Endpoints::default(), &clock);
    workload.mint_id_token(AUDIENCE).await.expect("a token");
    let [exchange, generate] = server.received().try_into().expect("two calls");
    let form = Received::form(&exchange.body);
    for (name, expected) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", file["audience"].as_str().expect("text")),
        ("scope", "https://www.googleapis.com/auth/cloud-platform"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", "a.workload.token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ] {
        assert_eq!(form[name], expected, "{name}");
    }
    assert_eq!(generate.header("authorization"), "Bearer ya29.federated");
    assert!(generate.target.ends_with(":generateIdToken"));

    file.as_object_mut().expect("an object").remove("service_account_impersonation_url");
    let alone = credential(from_json(&file), Endpoints::default(), &clock).mint_id_token(AUDIENCE).await;
    assert_eq!(alone.expect_err("nobody's token").source, FaultSource::FederatedCredentials);

    std::fs::remove_file(&subject_file).expect("removed");
    let gone =
        credential(from_json(&file), Endpoints::default(), &clock).access_token().await.expect_err("no file");
    assert_eq!((gone.step, gone.kind()), (Step::SubjectToken, FaultKind::Unavailable));
}

#[test]
fn credentials_are_found_in_googles_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("written");
    };
    let named = directory.path().join("named.json");
    let home = directory.path().join("home");
    let user = r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#;
    let environment = |named: Option<&Path>| Environment {
        google_application_credentials: named.map(Path::to_owned),
        home: Some(home.clone()),
        app_data: None,
    };
    let kept = home.join(".config/gcloud/application_default_credentials.json");
    assert_eq!(environment(None).files(), [kept.as_path()], "where a change would be one of the identity");
    assert_eq!(environment(Some(&named)).files(), [named.as_path()]);
    assert!(matches!(discover(&environment(None)), Ok(CredentialSource::Metadata)));
    assert!(matches!(discover(&environment(Some(Path::new("")))), Ok(CredentialSource::Metadata)));
    assert!(
        matches!(discover(&environment(Some(&named))), Err(CredentialError::Read { .. })),
        "a named file has to be there"
    );
    write(&kept, user);
    assert!(matches!(discover(&environment(None)), Ok(CredentialSource::AuthorizedUser(_))));
    write(&named, &key_file("https://oauth2.googleapis.com/token").to_string());
    assert!(matches!(discover(&environment(Some(&named))), Ok(CredentialSource::ServiceAccountKey(_))));
    write(&named, &" ".repeat(65 * 1024));
    assert!(matches!(discover(&environment(Some(&named))), Err(CredentialError::TooLarge { .. })));
}

#[test]
fn credential_files_are_refused_with_the_member_that_is_wrong() {
    let external = |source: Value| {
        json!({
            "type": "external_account", "audience": "a", "subject_token_type": "t", "credential_source": source,
        })
    };
    let with = |mut file: Value, name: &str, value: Value| {
        file[name] = value;
        file
    };
    let key = || key_file("https://oauth2.googleapis.com/token");
    let user =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"});
    let impersonated = json!({
        "type": "impersonated_service_account", "source_credentials": user, "delegates": ["a@b"],
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken",
    });
    let file = json!({"file": "/token"});
    let cases = [
        (json!({"type": "gdch_service_account"}), Some("of this `type` are not supported")),
        (json!({"type": "gdch_service_account"}), Some("and authorized_user with `credential: impersonate`")),
        (json!({}), Some("this is no credential file: it has no `type`")),
        (
            with(
                key(),
                "private_key",
                json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            ),
            Some("private_key"),
        ),
        (with(key(), "client_email", json!("")), Some("client_email")),
        (with(key(), "token_uri", json!("http://oauth2.example.com/token")), Some("token_uri")),
        (with(key(), "token_uri", json!("http://[::1]:9082/token")), None),
        (external(file.clone()), None),
        (external(json!({"url": "http://169.254.169.254/token", "headers": {"Metadata": "True"}})), None),
        (external(json!({"executable": {"command": "/bin/sh"}})), Some("executable")),
        (external(json!({"environment_id": "aws1", "url": "http://x"})), Some("environment_id")),
        (external(json!({"file": "/token", "format": {"type": "json"}})), Some("subject_token_field_name")),
        (external(json!({})), Some("credential_source")),
        (with(external(file.clone()), "token_url", json!("http://sts.example.com")), Some("token_url")),
        (
            with(
                external(file),
                "service_account_impersonation_url",
                json!("https://x/v1/projects/-/serviceAccounts/a/b:generateAccessToken"),
            ),
            Some("service_account_impersonation_url"),
        ),
        (impersonated.clone(), None),
        (with(impersonated.clone(), "source_credentials", impersonated.clone()), Some("`type`")),
        (with(impersonated, "delegates", json!([1])), Some("delegates")),
    ];
    for (file, wrong) in cases {
        let read =
            CredentialSource::from_json(file.to_string().as_bytes()).map_err(|error| error.to_string());
        match wrong {
            None => assert!(read.is_ok(), "{file}: {read:?}"),
            Some(wrong) => {
                assert!(read.as_ref().is_err_and(|error| error.contains(wrong)), "{file}: {read:?}")
            }
        }
    }
    assert!(CredentialSource::from_json(b"not JSON").is_err());
}
