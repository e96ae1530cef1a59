//! By which Google identity the service is called: the metadata server's, an impersonated one, or one that the user's
//! own token is exchanged for.

use axum::Router;
use axum::routing::get;
use firegate::dev::{DevArguments, Mapping, PROJECT_NUMBER};
use serde_json::json;
use tokio::sync::mpsc;

use crate::stack::binary::Served;
use crate::stack::server::{echo, serve};
use crate::stack::{Call, Stack, at, clock, close, door, door_with_credentials, text};

const SERVICE: &str = "https://api-abc123-uc.a.run.app";

/// Runs a configuration for production against the local parts, with the sample in the place of its service.
async fn stack_with(settings: &str, users: &str) -> Stack {
    let backends = format!("  api: {{ url: '{SERVICE}', {settings} }}\nusers: {{ {users} }}\n");
    stack_of(&backends, &["api"]).await
}

/// The same with these backends.
async fn stack_of(backends: &str, names: &[&str]) -> Stack {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = format!(
        "project: demo-firegate\nproject_number: '{PROJECT_NUMBER}'\nallow: [allAuthenticatedUsers]\nbackends:\n{backends}"
    );
    std::fs::write(&file, text).expect("a file");
    let mut map = Vec::new();
    for name in names {
        map.push(Mapping { backend: (*name).to_owned(), url: echo(&clock()).await });
    }
    Stack::with(DevArguments { config: Some(file), map, ..DevArguments::default() }).await
}

async fn check_caller(settings: &str, expected: &str) {
    let stack = stack_with(settings, "anonymous: deny").await;
    let seen = Call::get(&stack.door("/hello")).bearer(&stack.id_token().await).send().await.ok();
    assert_eq!(seen["caller"]["email"], json!(expected), "{settings}");
    assert_eq!(seen["caller"]["aud"], json!(SERVICE), "{settings}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_configuration_runs_against_the_local_parts() {
    check_caller("credential: default", "front-door@demo-firegate.iam.gserviceaccount.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_impersonated() {
    let account = "orders@demo-firegate.iam.gserviceaccount.com";
    check_caller(&format!("credential: impersonate, service_account: {account}"), account).await;
}

/// One that were called as the other's account could do what that one may.
#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_called_as_its_own_account() {
    let account = |name: &str| format!("{name}@demo-firegate.iam.gserviceaccount.com");
    let backend = |name: &str, credential: &str| {
        format!("  {name}: {{ url: 'https://{name}-abc123-uc.a.run.app', {credential} }}\n")
    };
    let impersonating =
        |name: &str| backend(name, &format!("credential: impersonate, service_account: {}", account(name)));
    let backends =
        [impersonating("orders"), impersonating("bills"), backend("api", "credential: default")].concat();
    let routes = "routes: [{ path: /orders/*, backend: orders }, { path: /bills/*, backend: bills }, { path: /*, backend: api }]\n";
    let stack = stack_of(&(backends + routes), &["orders", "bills", "api"]).await;
    let token = stack.id_token().await;
    for (path, expected) in [("/orders/1", "orders"), ("/bills/1", "bills"), ("/", "front-door")] {
        let seen = Call::get(&stack.door(path)).bearer(&token).send().await.ok();
        assert_eq!(seen["caller"]["email"], json!(account(expected)), "{path}");
    }
    stack.stop().await;
}

fn federated() -> String {
    let provider = format!(
        "//iam.googleapis.com/projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/firebase/providers/firebase"
    );
    format!(
        "credential: federate_user, service_account: 'caller@demo-firegate.iam.gserviceaccount.com', \
         workload_identity_provider: '{provider}'"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_token_is_exchanged_and_iam_decides() {
    check_caller(&federated(), "caller@demo-firegate.iam.gserviceaccount.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_the_providers_condition_rejects_is_told_so() {
    let stack = stack_with(&federated(), "anonymous: allow").await;
    let anonymous = stack.identity("v1/accounts:signUp", json!({"returnSecureToken": true})).await.ok();
    let answer = Call::get(&stack.door("/hello")).bearer(&text(&anonymous["idToken"])).send().await;
    answer.expect_refusal(403, "FEDERATION_REFUSED", "NONE");
    stack.stop().await;
}

/// What the configuration names is not there: nobody's right, and so no user's fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_exist_is_ours_and_no_users() {
    let stack = stack_with(&federated(), "anonymous: allow").await;
    let elsewhere = federated().replace("/providers/firebase", "/providers/elsewhere");
    let door = door(&before_the_service(&stack, &elsewhere), &stack.clock);
    door.ready().await;
    let token = stack.id_token().await;
    for _ in 0..2 {
        let answer = Call::get(&at(&door, "/hello")).bearer(&token).send().await;
        answer.expect_refusal(503, "CREDENTIAL_UNAVAILABLE", "RETRY_LATER");
    }
    close(door).await;
    stack.stop().await;
}

/// The configuration of another front door before the local private service.
fn before_the_service(stack: &Stack, credential: &str) -> String {
    let places = &stack.dev.places;
    let (identity, google) = (&places.identity, &places.google);
    format!(
        "project: demo-firegate\nallow: [allAuthenticatedUsers]\n\
         backends: {{ api: {{ url: '{service}', {credential} }} }}\ngoogle:\n  oauth2_token: '{google}token'\n  \
         sts: '{google}'\n  iam_credentials: '{google}'\n  id_token_keys: \
         '{identity}www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com'\n",
        service = places.service
    )
}

/// Runs a front door with a credential file before the local private service, and says as whom the service was called.
async fn caller_with_credentials(stack: &Stack, file: &serde_json::Value) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("credentials.json");
    std::fs::write(&path, file.to_string()).expect("a file");
    let door =
        door_with_credentials(&before_the_service(stack, "credential: default"), &stack.clock, Some(path));
    door.ready().await;
    let seen = Call::get(&at(&door, "/hello")).bearer(&stack.id_token().await).send().await.ok();
    close(door).await;
    seen["caller"]["email"].clone()
}

/// On a laptop without credentials it is the start that says so, and not the first user's request. On a machine of Google's
/// nobody needs a file.
#[tokio::test(flavor = "multi_thread")]
async fn that_no_credential_file_was_found_is_told_at_the_start_where_nothing_else_has_tokens() {
    let start = |credential: &str, metadata: &str| {
        let text = format!(
            "project: demo-firegate\nallow: [allAuthenticatedUsers]\n\
             google: {{ id_token_keys: 'http://127.0.0.1:9/keys', metadata: '{metadata}' }}\n\
             backends: {{ api: {{ url: 'http://127.0.0.1:9', credential: {credential} }} }}\n"
        );
        Served::start(&text, "json", "info")
    };
    let served = start("default", "http://127.0.0.1:9");
    let warning = served.line(|line| line.contains("no credential file was found")).await;
    assert!(
        warning.contains("\"severity\":\"WARNING\"") && warning.contains("--impersonate-service-account=")
    );
    // It is told of what it was told for.
    assert!(warning.contains("metadata server"), "{warning}");
    served.stop();
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let token = move || {
        asked.send(()).expect("the test waits");
        let token = json!({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"});
        async move { ([("metadata-flavor", "Google")], token.to_string()) }
    };
    let metadata = serve(Router::new().fallback(get(token))).await;
    let served = start("default", &metadata);
    was_asked.recv().await.expect("it is asked");
    let log = served.stop();
    assert!(!log.contains("no credential file"), "{log}");
    // Who names the metadata server means it, and who needs no token asks nobody.
    let started = was_asked.len();
    for credential in ["metadata", "none"] {
        let served = start(credential, &metadata);
        // That is asked for at the same moment.
        served.line(|line| line.contains("the key set could not be fetched")).await;
        let log = served.stop();
        assert!(!log.contains("no credential file"), "{credential}: {log}");
    }
    assert_eq!(was_asked.len(), started);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_accounts_key_opens_the_service() {
    let stack = Stack::start().await;
    let account = "caller@demo-firegate.iam.gserviceaccount.com";
    let url =
        stack.dev.places.google.join(&format!("firegate/v1/serviceAccounts/{account}/key")).expect("a path");
    let key = Call::get(&url).send().await.ok();
    assert_eq!(caller_with_credentials(&stack, &key).await, json!(account));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federated_workload_impersonates_and_opens_the_service() {
    let stack = Stack::start().await;
    let account = "caller@demo-firegate.iam.gserviceaccount.com";
    let folder = tempfile::tempdir().expect("a folder");
    let subject = folder.path().join("subject-token");
    std::fs::write(&subject, stack.id_token().await).expect("a file");
    let pool = format!("projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/firebase");
    let google = &stack.dev.places.google;
    let file = json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{pool}/providers/firebase"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{google}v1/token"),
        "credential_source": {"file": subject},
        "service_account_impersonation_url": format!("{google}v1/projects/-/serviceAccounts/{account}:generateAccessToken"),
    });
    assert_eq!(caller_with_credentials(&stack, &file).await, json!(account));
    stack.stop().await;
}
