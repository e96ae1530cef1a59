use firegate_core::jose::{CompactJws, KeySet};
use firegate_emulator::google::ServiceAccount;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{claims, get, send};
use crate::world::{DOOR, OUTSIDER, SERVICE_URL, World};

const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");
const IDENTITY: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";

#[tokio::test]
async fn the_flavor_header_is_demanded_and_given() {
    let world = World::start().await;
    let check = async |headers: &[(&str, &str)], expected: u16| {
        let answer = get(&world.url("/computeMetadata/v1/project/project-id"), headers).await;
        assert_eq!(answer.status.as_u16(), expected, "{headers:?}");
        assert_eq!(answer.header("metadata-flavor"), "Google", "{headers:?}");
        assert_eq!(answer.header("server"), "Metadata Server for VM");
    };
    check(&[FLAVOR], 200).await;
    check(&[], 403).await;
    check(&[("metadata-flavor", "Amazon")], 403).await;
    check(&[FLAVOR, ("x-forwarded-for", "10.0.0.1")], 403).await;
}

#[tokio::test]
async fn an_identity_token_is_googles_for_exactly_the_audience_that_was_asked_for() {
    let world = World::start().await;
    let check = async |query: &str, audience: &str| {
        let answer = get(&world.url(&format!("{IDENTITY}?{query}")), &[FLAVOR]).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/plain"), "{query}");
        let token = claims(&answer.body);
        assert_eq!(token["aud"], audience, "{query}");
        token
    };
    let standard = check("audience=https%3A%2F%2Fapi-abc123-uc.a.run.app", SERVICE_URL).await;
    let unique_id = ServiceAccount::new(DOOR).unique_id();
    let now = world.now();
    assert_eq!(
        Value::Object(standard),
        json!({
            "aud": SERVICE_URL, "azp": unique_id, "exp": now + 3600, "iat": now,
            "iss": "https://accounts.google.com", "sub": unique_id,
        })
    );
    let full = check("format=full&audience=https://api-abc123-uc.a.run.app", SERVICE_URL).await;
    assert_eq!((&full["email"], &full["email_verified"]), (&json!(DOOR), &json!(true)));
    assert_eq!(full["google"]["compute_engine"]["project_number"], 123_456_789_012_u64);
    assert!(full["google"]["compute_engine"].get("license_id").is_none());
    let licensed = check("audience=a&format=full&licenses=TRUE", "a").await;
    assert_eq!(licensed["google"]["compute_engine"]["license_id"], json!([]));
    check("format=full&audience=https://a.example/p?x=1&y=2", "https://a.example/p?x=1&y=2").await;
}

#[tokio::test]
async fn identity_is_refused_without_an_audience_and_for_foreign_accounts() {
    let world = World::start().await;
    let check = async |path: String, expected: u16| {
        assert_eq!(get(&world.url(&path), &[FLAVOR]).await.status.as_u16(), expected, "{path}");
    };
    check(IDENTITY.to_owned(), 400).await;
    check(format!("{IDENTITY}?audience="), 400).await;
    check(format!("{IDENTITY}?audience={}", "a".repeat(2049)), 400).await;
    check(format!("{IDENTITY}?audience={}", "a".repeat(2048)), 200).await;
    let of =
        |email: &str| format!("/computeMetadata/v1/instance/service-accounts/{email}/identity?audience=a");
    check(of(DOOR), 200).await;
    check(of(&DOOR.replace('@', "%40")), 200).await;
    check(of(OUTSIDER), 404).await;
}

#[tokio::test]
async fn the_tree_is_what_client_libraries_read() {
    let world = World::start().await;
    let check = async |path: &str, expected: &str| {
        let answer = get(&world.url(&format!("/computeMetadata/v1/{path}")), &[FLAVOR]).await;
        assert_eq!(answer.body, expected, "{path}");
    };
    check("", "instance/\nproject/\nuniverse/\n").await;
    check("project/project-id", "demo-firegate").await;
    check("project/numeric-project-id", "123456789012").await;
    check("universe/universe-domain", "googleapis.com").await;
    check("instance/service-accounts/", &format!("default/\n{DOOR}/\n")).await;
    check("instance/service-accounts/default/email", DOOR).await;
    check("instance/service-accounts/default/aliases", "default\n").await;
    check("instance/service-accounts/default/scopes", "https://www.googleapis.com/auth/cloud-platform\n")
        .await;
    check("instance/nothing", "The requested metadata does not exist.\n").await;

    let path = "/computeMetadata/v1/instance/service-accounts/default/?recursive=true";
    let account = get(&world.url(path), &[FLAVOR]).await;
    let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
    assert_eq!(account.json(), json!({ "aliases": ["default"], "email": DOOR, "scopes": scopes }));
    let instance = get(&world.url("/computeMetadata/v1/instance/?recursive=true"), &[FLAVOR]).await.json();
    assert_eq!(instance["serviceAccounts"][DOOR]["email"], DOOR);
    let root = get(&world.url("/"), &[]).await;
    assert_eq!((root.status, root.header("metadata-flavor")), (StatusCode::OK, "Google"));
}

#[tokio::test]
async fn both_key_documents_verify_what_was_minted() {
    let world = World::start().await;
    let token = world.id_token(SERVICE_URL).await;
    let token = CompactJws::parse(&token).unwrap();
    for path in ["/oauth2/v3/certs", "/oauth2/v1/certs", "/www.googleapis.com/oauth2/v3/certs"] {
        let answer = get(&world.url(path), &[]).await;
        assert!(answer.header("cache-control").contains("max-age="), "{path}");
        let keys = KeySet::parse_rs256(answer.body.as_bytes()).unwrap();
        assert!(keys.find(token.header_text("kid").unwrap()).unwrap().verifies(&token), "{path}");
    }
}

#[tokio::test]
async fn only_this_machine_is_served_and_only_under_its_own_names() {
    let world = World::start().await;
    let check = async |host: &str, expected: u16| {
        for path in ["/computeMetadata/v1/project/project-id", "/oauth2/v3/certs"] {
            let answer = get(&world.url(path), &[FLAVOR, ("host", host)]).await;
            assert_eq!(answer.status.as_u16(), expected, "{host} {path}");
        }
        let key = format!("/firegate/v1/serviceAccounts/{DOOR}/key");
        assert_eq!(get(&world.url(&key), &[("host", host)]).await.status.as_u16(), expected, "{host}");
    };
    check("localhost:9082", 200).await;
    check("metadata.google.internal", 200).await;
    check("attacker.example", 403).await;
    check("127.0.0.1.attacker.example", 403).await;
    check("192.168.1.20:9082", 403).await;

    let unknown = send(Method::POST, &world.url("/v1/unknown"), &[], "").await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["status"].clone()),
        (StatusCode::NOT_FOUND, json!("NOT_FOUND"))
    );
}
