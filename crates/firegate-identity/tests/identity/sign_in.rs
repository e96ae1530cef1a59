//! What end users' SDKs call, over real sockets.

use std::sync::Arc;

use crate::support::{PROJECT, Server, Setup, TOOLKIT, claims, text};
use firegate_core::jose::{CompactJws, KeySet};
use firegate_core::time::SystemClock;
use firegate_identity::{IdentityServer, NewAccount, Options, TokenSigning};
use serde_json::{Value, json};

const ID_TOKEN_JWK_SET: &str = "/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
const ID_TOKEN_CERTIFICATES: &str = "/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com";

async fn is_verified_by(server: &Server, token: &str, document: &str) -> bool {
    let answer = server.get(document).await;
    let cache_control = answer.headers["cache-control"].to_str().unwrap();
    assert!(cache_control.starts_with("public, max-age=") && cache_control.ends_with("must-revalidate"));
    let keys = KeySet::parse_rs256(&answer.body).unwrap();
    let token = CompactJws::parse(token).unwrap();
    keys.find(token.header_text("kid").unwrap()).is_some_and(|key| key.verifies(&token))
}

#[tokio::test]
async fn a_new_user_signs_in_with_tokens_that_every_key_document_verifies() {
    let server = Server::start().await;
    let signed_up = server.sign_up("Alice@Example.com").await;
    assert_eq!(text(&signed_up, "email"), "alice@example.com");
    assert_eq!(text(&signed_up, "expiresIn"), "3600");

    let signed_in = server
        .user("signInWithPassword", json!({ "email": "ALICE@example.com", "password": "password" }))
        .await
        .success();
    assert_eq!(signed_in["localId"], signed_up["localId"]);
    assert_eq!(signed_in["registered"], true);
    let id_token = text(&signed_in, "idToken");
    for document in [
        ID_TOKEN_JWK_SET,
        ID_TOKEN_CERTIFICATES,
        "/service_accounts/v1/metadata/x509/securetoken@system.gserviceaccount.com",
        &format!("/www.googleapis.com{ID_TOKEN_JWK_SET}"),
    ] {
        assert!(is_verified_by(&server, id_token, document).await, "{document}");
    }
    let claims = claims(id_token);
    assert_eq!(claims["iss"], format!("https://securetoken.google.com/{PROJECT}"));
    assert_eq!(claims["aud"], PROJECT);
    assert_eq!(claims["sub"], signed_up["localId"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(
        claims["firebase"],
        json!({ "identities": { "email": ["alice@example.com"] }, "sign_in_provider": "password" })
    );

    let users = server.user("lookup", json!({ "idToken": id_token })).await.success();
    let user = &users["users"][0];
    assert_eq!(user["localId"], signed_up["localId"]);
    assert_eq!(user["providerUserInfo"][0]["providerId"], "password");
    assert_eq!(user["passwordHash"], "UkVEQUNURUQ=", "the hash never leaves");
    server.stop().await;
}

#[tokio::test]
async fn refusals_are_identity_toolkits() {
    async fn check(server: &Server, operation: &str, body: Value, expected: &str) {
        let (status, message) = server.user(operation, body.clone()).await.refusal();
        assert_eq!((status, message.as_str()), (400, expected), "{operation} {body}");
    }
    let server = Server::start().await;
    server.sign_up("alice@example.com").await;
    let login = |email: &str, password: &str| json!({ "email": email, "password": password });
    check(&server, "signUp", login("alice@example.com", "password"), "EMAIL_EXISTS").await;
    check(&server, "signUp", login("bob", "password"), "INVALID_EMAIL").await;
    check(&server, "signUp", json!({ "password": "password" }), "MISSING_EMAIL").await;
    check(&server, "signUp", json!({ "email": "bob@example.com" }), "MISSING_PASSWORD").await;
    let weak = "WEAK_PASSWORD : Password should be at least 6 characters";
    check(&server, "signUp", login("bob@example.com", "12345"), weak).await;
    check(&server, "signUp", json!({ "localId": "bob" }), "UNEXPECTED_PARAMETER : User ID").await;
    let wrong = "INVALID_LOGIN_CREDENTIALS";
    check(&server, "signInWithPassword", login("alice@example.com", "wrong-password"), wrong).await;
    check(&server, "signInWithPassword", login("nobody@example.com", "password"), wrong).await;
    check(&server, "signInWithPassword", json!({ "email": "a@b.c" }), "MISSING_PASSWORD").await;
    check(&server, "signInWithPassword", json!({ "password": "x" }), "MISSING_EMAIL").await;
    check(&server, "signInWithCustomToken", json!({}), "MISSING_CUSTOM_TOKEN").await;
    check(&server, "lookup", json!({}), "MISSING_ID_TOKEN").await;
    check(&server, "lookup", json!({ "idToken": "x.y.z" }), "INVALID_ID_TOKEN").await;
    check(&server, "update", json!({ "customAttributes": "{}" }), "INSUFFICIENT_PERMISSION").await;
    server.stop().await;
}

#[tokio::test]
async fn an_id_token_must_be_this_servers_and_current() {
    let (server, other) = (Server::start().await, Server::start().await);
    let own = server.sign_up("alice@example.com").await;
    let foreign = other.sign_up("alice@example.com").await;
    let lookup = |token: String| {
        let server = &server;
        async move { server.user("lookup", json!({ "idToken": token })).await }
    };
    let token = text(&own, "idToken");
    lookup(token.to_owned()).await.success();
    let invalid = (400, "INVALID_ID_TOKEN".to_owned());
    assert_eq!(
        lookup(text(&foreign, "idToken").to_owned()).await.refusal(),
        invalid,
        "signed by another key"
    );
    let payload = CompactJws::parse(token).unwrap().payload_segment().to_owned();
    let header = firegate_core::jose::encode_base64url(br#"{"alg":"none","typ":"JWT"}"#);
    assert_eq!(lookup(format!("{header}.{payload}.")).await.refusal(), invalid, "unsigned");
    server.clock.advance(3601);
    assert_eq!(lookup(token.to_owned()).await.refusal(), invalid, "expired");
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn an_anonymous_user_keeps_the_id_when_linking_a_password() {
    let server = Server::start().await;
    let anonymous = server.user("signUp", json!({ "returnSecureToken": true })).await.success();
    let before = claims(text(&anonymous, "idToken"));
    assert_eq!(before["provider_id"], "anonymous");
    assert_eq!(before["firebase"], json!({ "identities": {}, "sign_in_provider": "anonymous" }));
    assert!(before.get("email").is_none());

    let body =
        json!({ "idToken": anonymous["idToken"], "email": "alice@example.com", "password": "password" });
    let linked = server.user("signUp", body).await.success();
    let after = claims(text(&linked, "idToken"));
    assert_eq!(after["sub"], before["sub"]);
    assert_eq!(after["firebase"]["sign_in_provider"], "password");
    assert!(after.get("provider_id").is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_custom_tokens_claims_last_through_refreshes_and_auth_time_stays() {
    let server = Server::start().await;
    let body = json!({ "token": r#"{"uid":"carol","claims":{"plan":"gold"}}"# });
    let signed_in = server.user("signInWithCustomToken", body.clone()).await.success();
    assert_eq!(signed_in["isNewUser"], true);
    assert_eq!(server.user("signInWithCustomToken", body).await.success()["isNewUser"], false);
    let first = claims(text(&signed_in, "idToken"));
    assert_eq!((&first["sub"], &first["plan"]), (&json!("carol"), &json!("gold")));

    server.clock.advance(1800);
    let refreshed = server.refresh(text(&signed_in, "refreshToken")).await.success();
    assert_eq!(refreshed["user_id"], "carol");
    assert_eq!(refreshed["access_token"], refreshed["id_token"]);
    assert_eq!(refreshed["refresh_token"], signed_in["refreshToken"]);
    assert_eq!((text(&refreshed, "token_type"), text(&refreshed, "expires_in")), ("Bearer", "3600"));
    let second = claims(text(&refreshed, "id_token"));
    assert_eq!(second["plan"], "gold");
    assert_eq!(second["auth_time"], first["auth_time"]);
    assert!(second["iat"].as_i64() >= first["iat"].as_i64().map(|issued_at| issued_at + 1800));
    server.stop().await;
}

#[tokio::test]
async fn refreshing_takes_form_and_json_and_says_what_is_wrong() {
    async fn check(server: &Server, body: Value, expected: &str) {
        let request = "POST /securetoken.googleapis.com/v1/token?key=any";
        let answer = server.send(request, &[("content-type", "application/json")], &body.to_string()).await;
        assert_eq!(answer.refusal(), (400, expected.to_owned()), "{body}");
    }
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let refresh_token = text(&user, "refreshToken");
    server.refresh(refresh_token).await.success();
    for names in [["grantType", "refreshToken"], ["grant_type", "refresh_token"]] {
        let body = json!({ names[0]: "refresh_token", names[1]: refresh_token }).to_string();
        let request = "POST /securetoken.googleapis.com/v1/token?key=any";
        server.send(request, &[("content-type", "application/json")], &body).await.success();
    }
    check(&server, json!({}), "MISSING_GRANT_TYPE").await;
    check(&server, json!({ "grantType": "code" }), "INVALID_GRANT_TYPE").await;
    check(&server, json!({ "grantType": "refresh_token" }), "MISSING_REFRESH_TOKEN").await;
    let made_up = json!({ "grantType": "refresh_token", "refreshToken": "made-up" });
    check(&server, made_up, "INVALID_REFRESH_TOKEN").await;
    server.stop().await;
}

#[tokio::test]
async fn deleting_the_account_ends_the_refreshing_at_once() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    server.user("delete", json!({ "idToken": user["idToken"] })).await.success();
    let gone = (400, "USER_NOT_FOUND".to_owned());
    assert_eq!(server.refresh(text(&user, "refreshToken")).await.refusal(), gone);
    assert_eq!(server.user("lookup", json!({ "idToken": user["idToken"] })).await.refusal(), gone);

    // Whoever comes next under the same id is someone else.
    server.admin("/accounts", json!({ "localId": user["localId"] })).await.success();
    let (_, message) = server.refresh(text(&user, "refreshToken")).await.refusal();
    assert_eq!(message, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_all_other_sign_ins_and_brings_a_new_one() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let body = json!({ "idToken": user["idToken"], "password": "new-password", "returnSecureToken": true });
    let updated = server.user("update", body).await.success();
    assert_ne!(
        updated["idToken"], user["idToken"],
        "a client keeps its refresh token if the ID token is the same"
    );
    let (_, message) = server.refresh(text(&user, "refreshToken")).await.refusal();
    assert_eq!(message, "TOKEN_EXPIRED");
    server.refresh(text(&updated, "refreshToken")).await.success();
    let old = json!({ "email": "alice@example.com", "password": "password" });
    assert_eq!(server.user("signInWithPassword", old).await.refusal().1, "INVALID_LOGIN_CREDENTIALS");
    let new = json!({ "email": "alice@example.com", "password": "new-password" });
    server.user("signInWithPassword", new).await.success();

    server.clock.advance(2);
    let body = json!({ "idToken": updated["idToken"], "email": "alice@example.org" });
    server.user("update", body).await.success();
    let stale = server.user("lookup", json!({ "idToken": updated["idToken"] })).await;
    assert_eq!(stale.refusal().1, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn a_profile_is_set_and_cleared() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let set = json!({ "idToken": user["idToken"], "displayName": "Alice", "photoUrl": "https://example.com/a.png" });
    let updated = server.user("update", set).await.success();
    assert_eq!((text(&updated, "displayName"), updated.get("idToken")), ("Alice", None));
    let refreshed = server.refresh(text(&user, "refreshToken")).await.success();
    let with_profile = claims(text(&refreshed, "id_token"));
    assert_eq!(
        (&with_profile["name"], &with_profile["picture"]),
        (&json!("Alice"), &json!("https://example.com/a.png"))
    );

    let clear = json!({ "idToken": user["idToken"], "deleteAttribute": ["DISPLAY_NAME", "PHOTO_URL"] });
    server.user("update", clear).await.success();
    let users = server.user("lookup", json!({ "idToken": user["idToken"] })).await.success();
    assert!(users["users"][0].get("displayName").is_none() && users["users"][0].get("photoUrl").is_none());
    server.stop().await;
}

#[tokio::test]
async fn unsigned_tokens_are_the_reference_emulators() {
    let server = Server::start_with(Setup { token_signing: TokenSigning::None, ..Setup::default() }).await;
    let user = server.sign_up("alice@example.com").await;
    let token = CompactJws::parse(text(&user, "idToken")).unwrap();
    assert_eq!(Value::Object(token.header().into()), json!({ "alg": "none", "typ": "JWT" }));
    assert!(token.signature().is_empty());
    server.user("lookup", json!({ "idToken": user["idToken"] })).await.success();
    server.stop().await;
}

#[tokio::test]
async fn a_data_directory_keeps_users_keys_and_sign_ins() {
    let directory = tempfile::tempdir().unwrap();
    let setup = || Setup { data_dir: Some(directory.path().join("data")), ..Setup::default() };
    let server = Server::start_with(setup()).await;
    let user = server.sign_up("alice@example.com").await;
    server.stop().await;

    let server = Server::start_with(setup()).await;
    assert!(is_verified_by(&server, text(&user, "idToken"), ID_TOKEN_JWK_SET).await);
    server.user("lookup", json!({ "idToken": user["idToken"] })).await.success();
    server.refresh(text(&user, "refreshToken")).await.success();
    server.stop().await;
}

#[tokio::test]
async fn a_file_that_holds_no_accounts_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("identity.sqlite3");
    std::fs::write(&file, "of another program").unwrap();
    let mut options = Options::new(PROJECT, Arc::new(SystemClock));
    options.data_dir = Some(directory.path().to_owned());
    let error = IdentityServer::open(options).await.unwrap_err().to_string();
    assert!(error.contains(&format!("in {}: ", file.display())) && error.contains("\nhint: "), "{error}");
}

#[tokio::test]
async fn end_users_bring_an_api_key_and_any_host_will_do() {
    let server = Server::start().await;
    let path = format!("{TOOLKIT}/v1/accounts:signUp");
    let (status, message) = server.send(&format!("POST {path}"), &[], "{}").await.refusal();
    assert_eq!(status, 403);
    assert!(message.starts_with("Method doesn't allow unregistered callers"), "{message}");
    assert_eq!(server.send(&format!("POST {path}?key="), &[], "{}").await.status, 403);
    server.send(&format!("POST {path}"), &[("x-goog-api-key", "any")], "{}").await.success();
    server.send(&format!("POST {path}?key=any"), &[("host", "door.example.com")], "{}").await.success();
    let by_host = [("host", "identitytoolkit.googleapis.com")];
    server.send("POST /v1/accounts:signUp?key=any", &by_host, "{}").await.success();
    let legacy = "POST /www.googleapis.com/identitytoolkit/v3/relyingparty/signupNewUser?key=any";
    server.send(legacy, &[], "{}").await.success();
    server.stop().await;
}

#[tokio::test]
async fn the_seeded_account_signs_in_and_is_seeded_once() {
    let server = IdentityServer::open(Options::new(PROJECT, Arc::new(SystemClock))).await.unwrap();
    let new = NewAccount {
        email: "demo@example.com".to_owned(),
        password: "demo-password".to_owned(),
        ..NewAccount::default()
    };
    let local_id = server.seed_account(new.clone()).await.unwrap();
    assert_eq!(server.seed_account(new.clone()).await.unwrap(), local_id);
    for (email, password, signs_in) in [
        ("Demo@example.com", "demo-password", true),
        ("demo@example.com", "another-password", false),
        ("nobody@example.com", "demo-password", false),
    ] {
        assert_eq!(server.signs_in(email, password).await.unwrap(), signs_in, "{email} {password}");
    }
    let weak = NewAccount { email: "weak@example.com".to_owned(), password: "weak".to_owned(), ..new };
    assert!(server.seed_account(weak).await.unwrap_err().to_string().contains("WEAK_PASSWORD"));
}

#[tokio::test]
async fn unsigned_tokens_stay_on_this_machine() {
    let mut options = Options::new(PROJECT, Arc::new(SystemClock));
    options.token_signing = TokenSigning::None;
    let server = IdentityServer::open(options).await.unwrap();
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = server.serve(listener, std::future::pending()).await.unwrap_err();
    assert!(refused.to_string().contains("loopback"), "{refused}");
}
