//! The rest of the surface: greeting, discovery, controls, cross-origin requests, and what is not there.

use crate::support::{PROJECT, Server, TOOLKIT, text};
use serde_json::json;

#[tokio::test]
async fn the_greeting_is_the_reference_emulators() {
    let server = Server::start().await;
    assert_eq!(server.get("/").await.success()["authEmulator"]["ready"], true);
    let config = server.get(&format!("{TOOLKIT}/v1/projects?key=any")).await.success();
    assert_eq!(config["projectId"], "123456789012");
    let policy = server.get(&format!("{TOOLKIT}/v2/passwordPolicy?key=any")).await.success();
    assert_eq!(policy["customStrengthOptions"]["minPasswordLength"], 6);
    server.stop().await;
}

#[tokio::test]
async fn discovery_leads_to_this_servers_keys() {
    let server = Server::start().await;
    let path = format!("/securetoken.google.com/{PROJECT}/.well-known/openid-configuration");
    let document = server.get(&path).await.success();
    assert_eq!(document["issuer"], format!("https://securetoken.google.com/{PROJECT}"));
    let keys = text(&document, "jwks_uri");
    let path = keys.strip_prefix(&format!("http://{}", server.address)).unwrap();
    assert_eq!(server.get(path).await.success()["keys"][0]["alg"], "RS256");
    let by_host = [("host", "securetoken.google.com")];
    let request = format!("GET /{PROJECT}/.well-known/openid-configuration");
    let googles = server.send(&request, &by_host, "").await.success();
    assert_eq!(googles["issuer"], document["issuer"]);
    // Who knows this server by Google's names finds the keys by Google's name too.
    let path = text(&googles, "jwks_uri").strip_prefix("https://www.googleapis.com").unwrap();
    let by_host = [("host", "www.googleapis.com")];
    assert_eq!(server.send(&format!("GET {path}"), &by_host, "").await.success()["keys"][0]["alg"], "RS256");
    server.stop().await;
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let server = Server::start().await;
    let discovery = format!("/securetoken.google.com/{PROJECT}/.well-known/openid-configuration");
    let config = format!("{TOOLKIT}/v1/projects?key=any");
    for path in ["/", &discovery, &config, "/nothing/here"] {
        let (get, head) = (server.get(path).await, server.send(&format!("HEAD {path}"), &[], "").await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.headers["content-length"], get.body.len().to_string(), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    let accounts = format!("HEAD {TOOLKIT}/v1/projects/{PROJECT}/accounts:batchGet");
    assert_eq!(server.send(&accounts, &[], "").await.status, 401, "not without the administrator's token");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_so() {
    let server = Server::start().await;
    for request in [
        format!("POST {TOOLKIT}/v1/accounts:sendOobCode?key=any"),
        format!("POST {TOOLKIT}/v2/accounts/mfaSignIn:start?key=any"),
        format!("GET {TOOLKIT}/v2/projects/{PROJECT}/tenants"),
        format!("GET {TOOLKIT}/v1/accounts:delete?key=any"),
    ] {
        let (status, message) = server.send(&request, &[], "").await.refusal();
        assert_eq!(status, 501, "{request}");
        assert!(
            message.starts_with("UNIMPLEMENTED : ") && message.contains("is not implemented"),
            "{message}"
        );
    }
    assert_eq!(server.get("/nothing/here").await.refusal().0, 404);
    server.stop().await;
}

#[tokio::test]
async fn controls_are_for_this_machine_under_a_loopback_name() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let request = format!("DELETE /emulator/v1/projects/{PROJECT}/accounts");
    for headers in [
        [("host", "rebound.example.com:9099"), ("accept", "*/*")],
        [("host", "identitytoolkit.googleapis.com"), ("accept", "*/*")],
        [("host", "localhost:9099"), ("origin", "https://example.com")],
    ] {
        let answer = server.send(&request, &headers, "").await;
        assert_eq!(answer.refusal().0, 403, "{headers:?}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{headers:?}");
    }
    server.user("lookup", json!({ "idToken": user["idToken"] })).await.success();

    let config = server.get(&format!("/emulator/v1/projects/{PROJECT}/config")).await.success();
    assert_eq!(config["signIn"]["allowDuplicateEmails"], false);
    assert_eq!(server.send(&request, &[("host", "[::1]:9099")], "{}").await.success(), json!({}));
    let gone = server.user("lookup", json!({ "idToken": user["idToken"] })).await;
    assert_eq!(gone.refusal().1, "USER_NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn pages_of_any_origin_may_sign_in_users_and_nothing_more() {
    let server = Server::start().await;
    let preflight = |path: String, origin: &'static str| {
        let server = &server;
        async move {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "x-of-tomorrow"),
                ("access-control-request-private-network", "true"),
            ];
            server.send(&format!("OPTIONS {path}"), &headers, "").await
        }
    };
    let sign_up = format!("{TOOLKIT}/v1/accounts:signUp?key=any");
    let answer = preflight(sign_up.clone(), "https://app.example.com").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(answer.headers["access-control-allow-private-network"], "true");
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
    for name in [
        "authorization",
        "content-type",
        "x-client-version",
        "x-firebase-client",
        "x-firebase-gmpid",
        "x-firebase-locale",
        "x-firebase-appcheck",
        "x-of-tomorrow",
    ] {
        assert!(allowed.split(", ").any(|allowed| allowed == name), "{name} in {allowed}");
    }
    let origin = [("origin", "https://app.example.com")];
    let answer = server.send(&format!("POST {sign_up}"), &origin, "{}").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    answer.success();
    let refused = server.send(&format!("POST {TOOLKIT}/v1/accounts:lookup?key=any"), &origin, "{}").await;
    assert_eq!(refused.headers["access-control-allow-origin"], "https://app.example.com", "errors too");

    let admin = format!("{TOOLKIT}/v1/projects/{PROJECT}/accounts");
    let answer = preflight(admin.clone(), "https://app.example.com").await;
    assert_eq!(answer.status, 403);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    let answer = preflight(admin, "http://localhost:4000").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "http://localhost:4000");

    let token = json!({ "token": r#"{"uid":"alice"}"# }).to_string();
    let custom = format!("POST {TOOLKIT}/v1/accounts:signInWithCustomToken?key=any");
    let (_, message) = server.send(&custom, &origin, &token).await.refusal();
    assert!(message.starts_with("INVALID_CUSTOM_TOKEN"), "a foreign page cannot be just anyone: {message}");
    server.stop().await;
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_objects() {
    let server = Server::start().await;
    let request = format!("POST {TOOLKIT}/v1/accounts:signUp?key=any");
    let large = format!(r#"{{"email":"{}"}}"#, "x".repeat(firegate_identity::limits::BODY_BYTES_MAX));
    assert_eq!(server.send(&request, &[], &large).await.refusal().0, 413);
    for body in ["[]", "{", r#"{"email":1,"email":2}"#, r#"{"email":{}}"#] {
        let answer = server.send(&request, &[], body).await;
        assert_eq!(answer.refusal().0, 400, "{body}");
        assert_eq!(answer.json()["error"]["status"], "INVALID_ARGUMENT", "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn json_that_is_called_a_form_is_refused_and_makes_nobody() {
    let server = Server::start().await;
    let body = json!({ "email": "alice@example.com", "password": "password" }).to_string();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for path in ["/v1/accounts:signUp", "/v1/accounts:signInWithPassword"] {
        let answer = server.send(&format!("POST {TOOLKIT}{path}?key=any"), &form, &body).await;
        let (status, message) = answer.refusal();
        assert_eq!(status, 400, "{path}");
        assert!(message.contains("Content-Type: application/json"), "{message}");
    }
    let everyone = format!("GET {TOOLKIT}/v1/projects/{PROJECT}/accounts:batchGet");
    let everyone = server.send(&everyone, &[("authorization", "Bearer owner")], "").await.success();
    assert!(everyone.get("users").is_none(), "{everyone}");
    server.stop().await;
}
