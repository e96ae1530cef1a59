//! What administrators' SDKs call, over real sockets.

use crate::support::{PROJECT, Server, TOOLKIT, claims, text};
use firegate_core::jose::{CompactJws, KeySet};
use serde_json::{Value, json};

#[tokio::test]
async fn administrators_need_a_bearer_token() {
    async fn check(server: &Server, headers: &[(&str, &str)], status: u16, status_name: &str) {
        let answer = server
            .send(&format!("POST {TOOLKIT}/v1/projects/{PROJECT}/accounts?key=any"), headers, "{}")
            .await;
        assert_eq!(answer.refusal().0, status, "{headers:?}");
        assert_eq!(answer.json()["error"]["status"], status_name, "{headers:?}");
    }
    let server = Server::start().await;
    check(&server, &[], 401, "UNAUTHENTICATED").await;
    check(&server, &[("authorization", "Bearer someone")], 401, "UNAUTHENTICATED").await;
    check(&server, &[("authorization", "Basic owner")], 401, "UNAUTHENTICATED").await;
    let owner = ("authorization", "Bearer owner");
    check(&server, &[owner, ("host", "rebound.example.com")], 403, "PERMISSION_DENIED").await;
    check(&server, &[owner, ("origin", "https://example.com")], 403, "PERMISSION_DENIED").await;
    server.admin("/accounts", json!({})).await.success();
    server.stop().await;
}

#[tokio::test]
async fn accounts_are_made_found_changed_and_deleted() {
    let server = Server::start().await;
    let new = json!({
        "localId": "alice", "email": "Alice@example.com", "password": "password", "displayName": "Alice",
        "phoneNumber": "+15555550100", "emailVerified": true,
    });
    assert_eq!(text(&server.admin("/accounts", new.clone()).await.success(), "localId"), "alice");
    assert_eq!(server.admin("/accounts", new).await.refusal().1, "DUPLICATE_LOCAL_ID");
    let same_phone = json!({ "phoneNumber": "+15555550100" });
    assert_eq!(server.admin("/accounts", same_phone).await.refusal().1, "PHONE_NUMBER_EXISTS");

    for identifiers in [
        json!({ "localId": ["alice", "nobody"] }),
        json!({ "email": ["ALICE@example.com"] }),
        json!({ "phoneNumber": ["+15555550100"], "localId": ["alice"] }),
    ] {
        let found = server.admin("/accounts:lookup", identifiers.clone()).await.success();
        assert_eq!(found["users"].as_array().map(Vec::len), Some(1), "{identifiers}");
        assert_eq!(found["users"][0]["emailVerified"], true);
    }
    let missing = server.admin("/accounts:lookup", json!({ "localId": ["nobody"] })).await.success();
    assert!(missing.get("users").is_none(), "the Admin SDK takes a missing list for no user");

    let change = json!({ "localId": "alice", "disableUser": true, "deleteProvider": ["phone"] });
    server.admin("/accounts:update", change).await.success();
    let found = server.admin("/accounts:lookup", json!({ "localId": ["alice"] })).await.success();
    assert_eq!(found["users"][0]["disabled"], true);
    assert!(found["users"][0].get("phoneNumber").is_none());

    server.admin("/accounts:delete", json!({ "localId": "alice" })).await.success();
    assert_eq!(
        server.admin("/accounts:delete", json!({ "localId": "alice" })).await.refusal().1,
        "USER_NOT_FOUND"
    );
    server.stop().await;
}

#[tokio::test]
async fn custom_claims_reach_the_next_token_and_are_checked() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let set = |attributes: Value| {
        let (server, local_id) = (&server, text(&user, "localId"));
        let body = json!({ "localId": local_id, "customAttributes": attributes });
        async move { server.admin("/accounts:update", body).await }
    };
    set(json!(r#"{"role":"admin","levels":[1,2]}"#)).await.success();
    let refreshed = server.refresh(text(&user, "refreshToken")).await.success();
    let claims = claims(text(&refreshed, "id_token"));
    assert_eq!((&claims["role"], &claims["levels"]), (&json!("admin"), &json!([1, 2])));
    assert_eq!(set(json!(r#"{"sub":"root"}"#)).await.refusal().1, "FORBIDDEN_CLAIM : sub");
    assert_eq!(set(json!("[]")).await.refusal().1, "INVALID_CLAIMS");
    let large = json!({ "a": "x".repeat(1000) }).to_string();
    assert!(set(json!(large)).await.refusal().1.starts_with("CLAIMS_TOO_LARGE"));
    server.stop().await;
}

#[tokio::test]
async fn revoking_and_disabling_end_the_refreshing() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let refresh_token = text(&user, "refreshToken");
    let update = |change: Value| {
        let mut body = change;
        body["localId"] = user["localId"].clone();
        let server = &server;
        async move { server.admin("/accounts:update", body).await.success() }
    };
    update(json!({ "disableUser": true })).await;
    assert_eq!(server.refresh(refresh_token).await.refusal().1, "USER_DISABLED");
    let lookup = server.user("lookup", json!({ "idToken": user["idToken"] })).await;
    assert_eq!(lookup.refusal().1, "USER_DISABLED");
    let login = json!({ "email": "alice@example.com", "password": "password" });
    assert_eq!(server.user("signInWithPassword", login.clone()).await.refusal().1, "USER_DISABLED");
    let wrong = json!({ "email": "alice@example.com", "password": "wrong-password" });
    assert_eq!(server.user("signInWithPassword", wrong).await.refusal().1, "INVALID_LOGIN_CREDENTIALS");
    update(json!({ "disableUser": false })).await;
    server.refresh(refresh_token).await.success();

    // Two seconds later, so that the ID token too is older than the revocation.
    server.clock.advance(2);
    let issued_at = claims(text(&user, "idToken"))["iat"].as_i64().unwrap();
    update(json!({ "validSince": (issued_at + 2).to_string() })).await;
    assert_eq!(server.refresh(refresh_token).await.refusal().1, "TOKEN_EXPIRED");
    let lookup = server.user("lookup", json!({ "idToken": user["idToken"] })).await;
    assert_eq!(lookup.refusal().1, "TOKEN_EXPIRED");
    let again = server.user("signInWithPassword", login).await.success();
    server.refresh(text(&again, "refreshToken")).await.success();
    server.stop().await;
}

#[tokio::test]
async fn accounts_are_listed_in_pages() {
    let server = Server::start().await;
    for number in 0..5 {
        server.admin("/accounts", json!({ "localId": format!("user-{number}") })).await.success();
    }
    let page = |query: String| {
        let server = &server;
        async move {
            let request = format!("GET {TOOLKIT}/v1/projects/{PROJECT}/accounts:batchGet?{query}");
            server.send(&request, &[("authorization", "Bearer owner")], "").await.success()
        }
    };
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = page(format!("maxResults=2&nextPageToken={token}")).await;
        seen.extend(page["users"].as_array().unwrap().iter().map(|user| text(user, "localId").to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["user-0", "user-1", "user-2", "user-3", "user-4"]);
    assert!(page("nextPageToken=user-9".to_owned()).await.get("users").is_none());
    server.stop().await;
}

#[tokio::test]
async fn many_accounts_are_deleted_at_once() {
    let server = Server::start().await;
    for (local_id, disabled) in [("a", true), ("b", false)] {
        server.admin("/accounts", json!({ "localId": local_id, "disabled": disabled })).await.success();
    }
    let some = json!({ "localIds": ["a", "b", "nobody"] });
    let answer = server.admin("/accounts:batchDelete", some).await.success();
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1));
    assert_eq!((&answer["errors"][0]["index"], &answer["errors"][0]["localId"]), (&json!(1), &json!("b")));
    let forced = json!({ "localIds": ["b"], "force": true });
    assert_eq!(server.admin("/accounts:batchDelete", forced).await.success(), json!({}));
    let none = server.admin("/accounts:batchDelete", json!({ "localIds": [] })).await;
    assert_eq!(none.refusal().1, "LOCAL_ID_LIST_EXCEEDS_LIMIT");
    server.stop().await;
}

#[tokio::test]
async fn tenants_are_apart_from_each_other_and_from_the_project() {
    let server = Server::start().await;
    let new = json!({ "localId": "alice", "email": "alice@example.com", "password": "password" });
    server.admin("/accounts", new.clone()).await.success();
    server.admin("/tenants/red/accounts", new).await.success();
    let other_password = json!({ "localId": "alice", "password": "red-password" });
    server.admin("/tenants/red/accounts:update", other_password).await.success();

    let login = |password: &str, tenant: Option<&str>| {
        let body = json!({ "email": "alice@example.com", "password": password, "tenantId": tenant });
        let server = &server;
        async move { server.user("signInWithPassword", body).await }
    };
    login("password", None).await.success();
    for (password, tenant) in
        [("red-password", None), ("password", Some("red")), ("red-password", Some("blue"))]
    {
        assert_eq!(
            login(password, tenant).await.refusal().1,
            "INVALID_LOGIN_CREDENTIALS",
            "{password} {tenant:?}"
        );
    }
    let red = login("red-password", Some("red")).await.success();
    assert_eq!(claims(text(&red, "idToken"))["firebase"]["tenant"], "red");
    let found = server.user("lookup", json!({ "idToken": red["idToken"] })).await.success();
    assert_eq!(found["users"][0]["tenantId"], "red", "the token alone names the tenant");
    let wrong_tenant = json!({ "idToken": red["idToken"], "tenantId": "blue" });
    assert_eq!(server.user("lookup", wrong_tenant).await.refusal().1, "TENANT_ID_MISMATCH");
    let refreshed = server.refresh(text(&red, "refreshToken")).await.success();
    assert_eq!(claims(text(&refreshed, "id_token"))["firebase"]["tenant"], "red");

    server.admin("/tenants/red/accounts:delete", json!({ "localId": "alice" })).await.success();
    login("password", None).await.success();
    server.stop().await;
}

#[tokio::test]
async fn session_cookies_have_keys_and_a_life_of_their_own() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let make = |rest: &'static str, duration: Value| {
        let body = json!({ "idToken": user["idToken"], "validDuration": duration });
        let server = &server;
        async move { server.admin(rest, body).await }
    };
    let cookie = make(":createSessionCookie", json!("1209600")).await.success();
    let cookie = text(&cookie, "sessionCookie");
    let cookie_claims = claims(cookie);
    assert_eq!(cookie_claims["iss"], format!("https://session.firebase.google.com/{PROJECT}"));
    assert_eq!(cookie_claims["exp"].as_i64().unwrap() - cookie_claims["iat"].as_i64().unwrap(), 1_209_600);
    assert_eq!(cookie_claims["auth_time"], claims(text(&user, "idToken"))["auth_time"]);
    let cookie = CompactJws::parse(cookie).unwrap();
    for (document, expected) in [
        ("/identitytoolkit/v3/relyingparty/publicKeys", true),
        ("/identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys", true),
        ("/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com", false),
    ] {
        let keys = KeySet::parse_rs256(&server.get(document).await.body).unwrap();
        let key = keys.find(cookie.header_text("kid").unwrap());
        assert_eq!(key.is_some_and(|key| key.verifies(&cookie)), expected, "{document}");
    }
    let refused = server.user("lookup", json!({ "idToken": cookie.text() })).await;
    assert_eq!(refused.refusal().1, "INVALID_ID_TOKEN", "a session cookie is no ID token");
    for duration in [json!(299), json!(1_209_601), json!(-1)] {
        assert_eq!(make(":createSessionCookie", duration).await.refusal().1, "INVALID_DURATION");
    }
    let elsewhere = make("/tenants/red:createSessionCookie", json!(300)).await;
    assert_eq!(elsewhere.refusal().1, "TENANT_ID_MISMATCH");
    server.stop().await;
}
