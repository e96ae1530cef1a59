use firegate_core::time::UnixTime;
use firegate_google::accounts::{AccountStatus, AccountsClient, AccountsFault};
use firegate_google::fault::FaultKind;
use http::HeaderValue;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Answer, Server, client};

/// How an emulator knows an administrator.
const OWNER: HeaderValue = HeaderValue::from_static("Bearer owner");

fn account(local_id: &str, disabled: bool, valid_since: i64, tenant: Option<&str>) -> AccountStatus {
    AccountStatus {
        local_id: local_id.to_owned(),
        disabled,
        valid_since: UnixTime::from_seconds(valid_since),
        tenant: tenant.map(str::to_owned),
    }
}

#[tokio::test]
async fn accounts_are_looked_up_by_project_and_tenant() {
    let server = Server::start(|_| {
        Answer::json(&json!({"kind": "identitytoolkit#GetAccountInfoResponse", "users": [
            {"localId": "alice", "validSince": "1795467600", "email": "alice@example.com"},
            {"localId": "bob", "disabled": true},
        ]}))
    })
    .await;
    let accounts = AccountsClient::new(client(), Some(server.url("/identitytoolkit.googleapis.com")));
    let found = accounts.lookup("demo", None, &["alice", "bob", "gone"], &OWNER).await;
    assert_eq!(found, Ok(vec![account("alice", false, 1_795_467_600, None), account("bob", true, 0, None)]));
    let request = server.last();
    assert_eq!(
        (request.target.as_str(), request.header("authorization")),
        ("/identitytoolkit.googleapis.com/v1/projects/demo/accounts:lookup", "Bearer owner")
    );
    assert_eq!(
        serde_json::from_str::<Value>(&request.body).expect("JSON"),
        json!({"localId": ["alice", "bob", "gone"]})
    );

    server.respond(|_| Answer::json(&json!({"users": [{"localId": "alice", "tenantId": "t/1"}]})));
    let found = accounts.lookup("demo", Some("t/1"), &["alice"], &OWNER).await;
    assert_eq!(found, Ok(vec![account("alice", false, 0, Some("t/1"))]));
    assert!(server.last().target.ends_with("/v1/projects/demo/tenants/t%2F1/accounts:lookup"));

    server.respond(|_| Answer::json(&json!({"kind": "identitytoolkit#GetAccountInfoResponse"})));
    assert_eq!(accounts.lookup("demo", None, &["gone"], &OWNER).await, Ok(vec![]));
}

#[tokio::test]
async fn answers_that_are_not_about_the_users_asked_for_are_no_answers() {
    let server = Server::start(|_| Answer::new(500, "text/plain", "")).await;
    let accounts = AccountsClient::new(client(), Some(server.url("/")));
    let user = |record: Value| Answer::json(&json!({"users": [record]}));
    let cases = [
        ("another user", user(json!({"localId": "bob"})), FaultKind::Unavailable),
        ("another tenant's", user(json!({"localId": "alice", "tenantId": "t"})), FaultKind::Unavailable),
        ("no number", user(json!({"localId": "alice", "validSince": "soon"})), FaultKind::Unavailable),
        ("HTML", Answer::new(200, "text/html", "<html>"), FaultKind::Unavailable),
        ("no permission", Answer::new(403, "application/json", "{}"), FaultKind::Refused),
        ("overload", Answer::new(429, "application/json", "{}"), FaultKind::Unavailable),
        ("down", Answer::new(503, "application/json", "{}"), FaultKind::Unavailable),
    ];
    for (what, answer, expected) in cases {
        server.respond(move |_| answer.clone());
        let fault = accounts.lookup("demo", None, &["alice"], &OWNER).await.expect_err(what);
        assert_eq!(fault.kind(), expected, "{what}: {fault}");
    }
}

#[tokio::test]
async fn questions_are_bounded_before_any_call() {
    let nowhere = Url::parse("http://127.0.0.1:1/").expect("a URL");
    let accounts = AccountsClient::new(client(), Some(nowhere));
    for (project, tenant, uids) in [
        ("demo", None, vec![]),
        ("demo", None, vec!["u"; 101]),
        ("", None, vec!["u"]),
        ("demo", Some(""), vec!["u"]),
    ] {
        assert_eq!(accounts.lookup(project, tenant, &uids, &OWNER).await, Err(AccountsFault::Question));
    }
}
