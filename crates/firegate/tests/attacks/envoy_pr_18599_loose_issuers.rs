//! Envoy's pull request 18599 asked for issuers that match without their scheme. An issuer is compared byte by byte: what
//! is merely like it is somebody else.

use serde_json::json;

use crate::project::{GOOGLE_AUDIENCE, Key, PROJECT, PROJECT_NUMBER, Project, edited, expect, without};

const CONFIGURATION: &str = "\
backends:
  api: 'SERVICE'
  app: { url: 'SERVICE', app_check: required }
routes: [{ path: '/app', backend: app }, { path: '/*', backend: api }]
users: { accept: [id_token, session_cookie, google_id_token], google_audiences: ['https://api.example.com'] }
allow: [allAuthenticatedUsers, 'serviceAccount:job@ours.iam.gserviceaccount.com']";

/// Spellings of an issuer that people take for the same.
fn spellings(issuer: &str) -> Vec<String> {
    let bare = issuer.trim_start_matches("https://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    vec![
        format!("http://{bare}"),
        format!("//{bare}"),
        format!("HTTPS://{bare}"),
        format!("https://{}/{path}", host.to_uppercase()),
        format!("https://{host}./{path}"),
        format!("https://{host}:443/{path}"),
        format!("https://{host}//{path}"),
        format!("{issuer}/"),
        format!("{issuer}?"),
        format!("{issuer}#"),
        format!(" {issuer}"),
        format!("{issuer}\n"),
        format!("{issuer}\u{0}"),
        format!("https://evil@{bare}"),
        format!("https://{host}.evil.example/{path}"),
        format!("https://evil.example/{issuer}"),
        format!("https://{host}/x/../{path}"),
        format!("{}%2F{path}", issuer.trim_end_matches(path).trim_end_matches('/')),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_is_compared_byte_by_byte() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let google = project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE);
    for (key, claims) in [
        (Key::IdToken, project.id_claims()),
        (Key::SessionCookie, project.session_claims()),
        (Key::Google, google.clone()),
    ] {
        gate.admits(&key.sign(&claims)).await;
        let issuer = claims["iss"].as_str().expect("text").to_owned();
        for spelling in spellings(&issuer) {
            let answer = gate.with_bearer(&key.sign(&edited(&claims, "iss", json!(spelling)))).await;
            assert_eq!(answer.status.as_u16(), 401, "{key:?} {spelling:?}: {:?}", answer.body);
        }
        for other in [json!(null), json!([issuer]), json!({"a": issuer}), json!(1), json!("")] {
            let token = key.sign(&edited(&claims, "iss", other.clone()));
            gate.refuses(&token, 401, "TOKEN_ISSUER_UNKNOWN", &other.to_string()).await;
        }
        gate.refuses(&key.sign(&without(&claims, "iss")), 401, "TOKEN_ISSUER_UNKNOWN", "none").await;
    }
    // Google's second spelling is its own, for its own tokens alone.
    gate.admits(&Key::Google.sign(&edited(&google, "iss", json!("accounts.google.com")))).await;
    for bare in
        [format!("securetoken.google.com/{PROJECT}"), format!("session.firebase.google.com/{PROJECT}")]
    {
        let token = Key::IdToken.sign(&edited(&project.id_claims(), "iss", json!(bare)));
        gate.refuses(&token, 401, "TOKEN_ISSUER_UNKNOWN", &bare).await;
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn app_checks_issuer_is_the_projects_number() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let send = async |token: &str| {
        let call = gate.call("/app").bearer(&project.id_token());
        call.header("x-firebase-appcheck", token).send().await
    };
    send(&project.app_check_token()).await.ok();
    let issuer = format!("https://firebaseappcheck.googleapis.com/{PROJECT_NUMBER}");
    let mut others = spellings(&issuer);
    others.extend(
        [PROJECT, "0123456789012", "123456789013", "", "1234567890123"]
            .map(|number| format!("https://firebaseappcheck.googleapis.com/{number}")),
    );
    for other in others {
        let token = Key::AppCheck.sign(&edited(&project.app_check_claims(), "iss", json!(other)));
        expect(&send(&token).await, 401, "APP_CHECK_TOKEN_INVALID", &other);
    }
    gate.close().await;
}
