//! The look-ups that a revocation check lives on: many users at once, in the project and in its tenants, and every
//! change of an administrator's seen by the next one.

use crate::support::{Server, claims, text};
use serde_json::{Value, json};

/// How many users a revocation check asks for at once.
const USERS: usize = 100;

async fn lookup(server: &Server, scope: &str, local_ids: &[&str]) -> Vec<Value> {
    let found = server.admin(&format!("{scope}/accounts:lookup"), json!({ "localId": local_ids })).await;
    found.success()["users"].as_array().cloned().unwrap_or_default()
}

/// The one account of this id.
async fn one(server: &Server, scope: &str, local_id: &str) -> Option<Value> {
    let mut found = lookup(server, scope, &[local_id]).await;
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

async fn update(server: &Server, scope: &str, change: Value) {
    server.admin(&format!("{scope}/accounts:update"), change).await.success();
}

#[tokio::test]
async fn a_hundred_users_are_found_by_one_look_up_and_the_missing_are_left_out() {
    let server = Server::start().await;
    let names: Vec<_> = (0..USERS).map(|number| format!("user-{number:03}")).collect();
    for scope in ["", "/tenants/red"] {
        for name in &names[1..] {
            server.admin(&format!("{scope}/accounts"), json!({ "localId": name })).await.success();
        }
        let ids: Vec<_> = names.iter().map(String::as_str).collect();
        let found = lookup(&server, scope, &ids).await;
        let found: Vec<_> = found.iter().map(|user| text(user, "localId")).collect();
        assert_eq!(found, ids[1..], "{scope}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_an_administrator_changes_is_in_the_next_look_up() {
    let server = Server::start().await;
    for scope in ["", "/tenants/red"] {
        server.admin(&format!("{scope}/accounts"), json!({ "localId": "alice" })).await.success();
        let new = one(&server, scope, "alice").await.unwrap();
        assert_eq!((&new["disabled"], new.get("validSince")), (&json!(false), None), "{scope}");

        update(&server, scope, json!({ "localId": "alice", "disableUser": true })).await;
        assert_eq!(one(&server, scope, "alice").await.unwrap()["disabled"], true, "{scope}");
        update(&server, scope, json!({ "localId": "alice", "disableUser": false })).await;
        assert_eq!(one(&server, scope, "alice").await.unwrap()["disabled"], false, "{scope}");

        // The Admin SDKs send seconds, as text or as a number.
        for (since, expected) in [(json!("1700000000"), "1700000000"), (json!(1_700_000_001), "1700000001")] {
            update(&server, scope, json!({ "localId": "alice", "validSince": since })).await;
            assert_eq!(one(&server, scope, "alice").await.unwrap()["validSince"], expected, "{scope}");
        }

        server.admin(&format!("{scope}/accounts:delete"), json!({ "localId": "alice" })).await.success();
        assert_eq!(one(&server, scope, "alice").await, None, "{scope}");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_uid_in_two_tenants_is_two_users() {
    let server = Server::start().await;
    for scope in ["", "/tenants/red", "/tenants/blue"] {
        server.admin(&format!("{scope}/accounts"), json!({ "localId": "alice" })).await.success();
    }
    update(&server, "/tenants/red", json!({ "localId": "alice", "disableUser": true })).await;
    server.admin("/tenants/blue/accounts:delete", json!({ "localId": "alice" })).await.success();
    let project = one(&server, "", "alice").await.unwrap();
    assert_eq!((&project["disabled"], project.get("tenantId")), (&json!(false), None));
    let red = one(&server, "/tenants/red", "alice").await.unwrap();
    assert_eq!((&red["disabled"], &red["tenantId"]), (&json!(true), &json!("red")));
    assert_eq!(one(&server, "/tenants/blue", "alice").await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_new_password_revokes_what_was_signed_in_before() {
    let server = Server::start().await;
    let user = server.sign_up("alice@example.com").await;
    let signed_in_at = claims(text(&user, "idToken"))["auth_time"].as_i64().unwrap();
    server.clock.advance(5);
    let change = json!({ "localId": user["localId"], "password": "another password" });
    update(&server, "", change).await;
    let found = one(&server, "", text(&user, "localId")).await.unwrap();
    let valid_since: i64 = text(&found, "validSince").parse().unwrap();
    assert!(valid_since >= signed_in_at + 5, "{found}");
    server.stop().await;
}

#[tokio::test]
async fn the_door_looks_up_with_an_access_token_of_googles_form() {
    let server = Server::start().await;
    server.admin("/accounts", json!({ "localId": "alice" })).await.success();
    let path = "POST /identitytoolkit.googleapis.com/v1/projects/demo-firegate/accounts:lookup";
    let check = async |bearer: &str, status: u16| {
        let headers = [("authorization", bearer), ("content-type", "application/json")];
        let answer = server.send(path, &headers, r#"{"localId":["alice"]}"#).await;
        assert_eq!(answer.status, status, "{bearer}");
    };
    check("Bearer ya29.anything", 200).await;
    check("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln", 401).await;
    server.stop().await;
}
