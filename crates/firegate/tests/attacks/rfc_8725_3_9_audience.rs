//! RFC 8725, section 3.9: a token is for the one who is its audience. Firebase's has one, a string, the project's ID.

use serde_json::json;

use crate::project::{GOOGLE_AUDIENCE, Key, PROJECT, PROJECT_NUMBER, Project, edited, without};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_for_its_audience_alone() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    gate.admits(&project.id_token()).await;
    for (audience, reason) in [
        (json!("another-project"), "TOKEN_WRONG_PROJECT"),
        (json!(""), "TOKEN_WRONG_PROJECT"),
        (json!(format!("{PROJECT} ")), "TOKEN_WRONG_PROJECT"),
        (json!(format!("{PROJECT}-evil")), "TOKEN_WRONG_PROJECT"),
        (json!(PROJECT.to_uppercase()), "TOKEN_WRONG_PROJECT"),
        (json!(PROJECT_NUMBER), "TOKEN_WRONG_PROJECT"),
        (json!(format!("projects/{PROJECT}")), "TOKEN_WRONG_PROJECT"),
        (json!([PROJECT]), "TOKEN_CLAIM_INVALID"),
        (json!([PROJECT, "another-project"]), "TOKEN_CLAIM_INVALID"),
        (json!({PROJECT: true}), "TOKEN_CLAIM_INVALID"),
        (json!(null), "TOKEN_CLAIM_INVALID"),
        (json!(true), "TOKEN_CLAIM_INVALID"),
    ] {
        let token = Key::IdToken.sign(&edited(&project.id_claims(), "aud", audience.clone()));
        gate.refuses(&token, 401, reason, &audience.to_string()).await;
    }
    let token = Key::IdToken.sign(&without(&project.id_claims(), "aud"));
    gate.refuses(&token, 401, "TOKEN_CLAIM_INVALID", "no aud").await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_token_for_another_service_is_not_for_this_one() {
    let project = Project::open().await;
    let account = "job@ours.iam.gserviceaccount.com";
    let text = format!(
        "backends: {{ api: 'SERVICE' }}\nallow: ['serviceAccount:{account}']\n\
         users: {{ accept: [google_id_token], google_audiences: ['{GOOGLE_AUDIENCE}'] }}"
    );
    let gate = project.gate(&text).await;
    gate.admits(&Key::Google.sign(&project.google_claims(account, GOOGLE_AUDIENCE))).await;
    for audience in [
        "https://api.example.com/",
        "https://API.example.com",
        "http://api.example.com",
        "https://api.example.com.evil.example",
        "https://jobs-abc123-uc.a.run.app",
        PROJECT,
        "",
    ] {
        let token = Key::Google.sign(&project.google_claims(account, audience));
        gate.refuses(&token, 401, "TOKEN_WRONG_AUDIENCE", audience).await;
    }
    let several = edited(&project.google_claims(account, ""), "aud", json!([GOOGLE_AUDIENCE, "x"]));
    gate.refuses(&Key::Google.sign(&several), 401, "TOKEN_CLAIM_INVALID", "a list").await;
    gate.close().await;
}
