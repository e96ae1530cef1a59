//! `allAuthenticatedUsers` is the word by which Cloud Run is opened to everyone with a Google account, and everyone can make
//! one, or a service account that asks for any audience. Here a Google account passes by its own name, or not at all.

use serde_json::json;

use crate::project::{GOOGLE_AUDIENCE, Key, Project, edited, expect, seen, without};

const CONFIGURATION: &str = "\
backends:
  jobs: { url: 'SERVICE', allow: ['serviceAccount:job@ours.iam.gserviceaccount.com'] }
  users:
    url: 'SERVICE'
    allow: [allAuthenticatedUsers, 'user:job@ours.iam.gserviceaccount.com', 'user:eve@gmail.com', 'domain:gmail.com',
      'domain:ours.iam.gserviceaccount.com', 'principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/firebase/subject/1',
      'principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/firebase/*']
  open: { url: 'SERVICE', allow: [allUsers] }
routes: [{ path: '/jobs', backend: jobs }, { path: '/open', backend: open }, { path: '/*', backend: users }]
users: { accept: [id_token, google_id_token], google_audiences: ['https://api.example.com'] }";

/// A person with a Google account is no caller, but somebody who should sign in to Firebase with it.
fn refusal_of(email: &str) -> (u16, &'static str) {
    match email.ends_with(".gserviceaccount.com") {
        true => (403, "NO_INVOKER_BINDING"),
        false => (401, "TOKEN_IS_GOOGLE_ID_TOKEN"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_account_passes_by_its_own_name_or_not_at_all() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let claims = |email: &str| project.google_claims(email, GOOGLE_AUDIENCE);
    let send = async |path: &str, claims: &serde_json::Value| {
        gate.call(path).bearer(&Key::Google.sign(claims)).send().await
    };
    let job = claims("job@ours.iam.gserviceaccount.com");
    let seen_by_jobs = send("/jobs", &job).await.ok();
    assert_eq!(seen(&seen_by_jobs, "x-firegate-user-id"), None, "it is no user");
    for email in [
        "job@ours.iam.gserviceaccount.com",
        "job@theirs.iam.gserviceaccount.com",
        "eve@gmail.com",
        "root@example.com",
    ] {
        let answer = send("/a", &claims(email)).await;
        let (status, reason) = refusal_of(email);
        expect(&answer, status, reason, &format!("{email} is none of allAuthenticatedUsers"));
    }
    for email in [
        "job@theirs.iam.gserviceaccount.com",
        "job@ours.iam.gserviceaccount.com.evil.example",
        "evil@job@ours.iam.gserviceaccount.com",
        " job@ours.iam.gserviceaccount.com",
        "job@0urs.iam.gserviceaccount.com",
        "eve@gmail.com",
    ] {
        let (status, reason) = refusal_of(email);
        expect(&send("/jobs", &claims(email)).await, status, reason, email);
    }
    // An address that Google does not vouch for is nobody's.
    for verified in [json!(false), json!("true"), json!(1), json!(null)] {
        let answer = send("/jobs", &edited(&job, "email_verified", verified.clone())).await;
        expect(&answer, 401, "TOKEN_CLAIM_INVALID", &verified.to_string());
    }
    for claim in ["email", "email_verified"] {
        expect(&send("/jobs", &without(&job, claim)).await, 401, "TOKEN_CLAIM_INVALID", claim);
    }
    // A Firebase user with the very address of the account is not the account.
    let user = edited(&project.id_claims(), "email", json!("job@ours.iam.gserviceaccount.com"));
    let answer = gate.call("/jobs").bearer(&Key::IdToken.sign(&user)).send().await;
    expect(&answer, 403, "NO_INVOKER_BINDING", "a user with the account's address");
    gate.close().await;
}

/// An account that some backend lets in also calls one for everyone, whose service could be the account elsewhere by its token.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_for_everyone_cannot_be_the_account_that_calls_it() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let job = Key::Google.sign(&project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE));
    gate.call("/jobs").bearer(&job).send().await.ok();
    let open = gate.call("/open").bearer(&job).send().await.ok();
    assert_eq!((seen(&open, "authorization"), seen(&open, "x-firegate-caller")), (None, None), "{open}");
    // What is no token of the door's is the service's own affair.
    let open = gate.call("/open").bearer("a-webhooks-secret").send().await.ok();
    assert_eq!(seen(&open, "authorization"), Some("Bearer a-webhooks-secret"));
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_google_id_token_in_accept_no_google_account_is_anybody() {
    let project = Project::open().await;
    let text = CONFIGURATION.replace(
        "users: { accept: [id_token, google_id_token], google_audiences: ['https://api.example.com'] }",
        "users: { accept: [id_token] }",
    );
    let gate = project.gate(&text).await;
    let token = Key::Google.sign(&project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE));
    for path in ["/jobs", "/a"] {
        let answer = gate.call(path).bearer(&token).send().await;
        expect(&answer, 401, "TOKEN_IS_GOOGLE_ID_TOKEN", path);
    }
    // Where everyone may call it is the service's own affair, and names nobody.
    let open = gate
        .call("/open")
        .bearer(&token)
        .header("x-firegate-caller", "serviceAccount:evil")
        .send()
        .await
        .ok();
    assert_eq!((seen(&open, "x-firegate-caller"), seen(&open, "x-firegate-assertion")), (None, None));
    assert_eq!(seen(&open, "authorization"), Some(format!("Bearer {token}").as_str()));
    gate.admits(&project.id_token()).await;
    gate.close().await;
}
