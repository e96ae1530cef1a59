//! CVE-2026-25537 (the Rust crate `jsonwebtoken`): a time of the wrong type counted as absent, so an `nbf` or `exp` that was
//! no number bounded nothing. A time is a whole number of seconds, or the token is refused.

use serde_json::{Value, json};

use crate::project::{GOOGLE_AUDIENCE, Key, Project, edited, expect, without};

const CONFIGURATION: &str = "\
backends:
  api: 'SERVICE'
  app: { url: 'SERVICE', app_check: required }
routes: [{ path: '/app', backend: app }, { path: '/*', backend: api }]
users: { accept: [id_token, session_cookie, google_id_token], google_audiences: ['https://api.example.com'] }
allow: [allAuthenticatedUsers, 'serviceAccount:job@ours.iam.gserviceaccount.com']";

/// What is no whole number of seconds, though some would make one of it.
fn ill_typed(good: i64) -> Vec<Value> {
    vec![
        json!(good.to_string()),
        json!(good as f64),
        json!(good as f64 + 0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(null),
        json!(true),
        json!([good]),
        json!({"seconds": good}),
        json!(""),
        json!("never"),
        json!("2099-01-01T00:00:00Z"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_a_whole_number_or_the_token_is_refused() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let google = project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE);
    for (key, claims, required) in [
        (Key::IdToken, project.id_claims(), &["exp", "iat", "auth_time"][..]),
        (Key::SessionCookie, project.session_claims(), &["exp", "iat", "auth_time"]),
        (Key::Google, google, &["exp", "iat"]),
    ] {
        gate.admits(&key.sign(&claims)).await;
        gate.admits(&key.sign(&edited(&claims, "nbf", json!(project.now() - 60)))).await;
        for claim in required {
            let token = key.sign(&without(&claims, claim));
            gate.refuses(&token, 401, "TOKEN_CLAIM_INVALID", &format!("{key:?} without {claim}")).await;
        }
        for claim in required.iter().chain(&["nbf"]) {
            for value in ill_typed(project.now() + if *claim == "exp" { 600 } else { -60 }) {
                let token = key.sign(&edited(&claims, claim, value.clone()));
                gate.refuses(&token, 401, "TOKEN_CLAIM_INVALID", &format!("{key:?} {claim} {value}")).await;
            }
        }
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_contradict_each_other_are_refused() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    // All times are counted from those of one token, however long it takes to try them.
    let valid = project.id_claims();
    let now = valid["iat"].as_i64().expect("a time") + 60;
    let (malformed, early, late) = ("TOKEN_CLAIM_INVALID", "TOKEN_NOT_YET_VALID", "TOKEN_EXPIRED");
    for (changes, reason) in [
        (&[("exp", now)][..], late),
        (&[("exp", -1)], late),
        (&[("exp", i64::MAX)], malformed),
        (&[("exp", now + 3541)], malformed),
        (&[("iat", now + 3600)], early),
        (&[("iat", i64::MAX)], early),
        (&[("iat", i64::MIN)], malformed),
        (&[("auth_time", now + 3600)], early),
        (&[("auth_time", now - 30)], malformed),
        (&[("nbf", now + 3600)], early),
        (&[("nbf", i64::MAX)], early),
        (&[("iat", now + 5), ("exp", now + 5)], malformed),
    ] {
        let mut claims = valid.clone();
        for (claim, time) in changes {
            claims[*claim] = json!(time);
        }
        gate.refuses(&Key::IdToken.sign(&claims), 401, reason, &format!("{changes:?}")).await;
    }
    gate.admits(&project.id_token()).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_check_tokens_times_are_typed_too() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let send = async |claims: &Value| {
        let call = gate.call("/app").bearer(&project.id_token());
        call.header("x-firebase-appcheck", &Key::AppCheck.sign(claims)).send().await
    };
    let claims = project.app_check_claims();
    send(&claims).await.ok();
    for claim in ["exp", "iat", "nbf"] {
        for value in ill_typed(project.now() + if claim == "exp" { 600 } else { -60 }) {
            let why = format!("{claim} {value}");
            let answer = send(&edited(&claims, claim, value)).await;
            expect(&answer, 401, "APP_CHECK_TOKEN_INVALID", &why);
        }
        if claim != "nbf" {
            expect(&send(&without(&claims, claim)).await, 401, "APP_CHECK_TOKEN_INVALID", claim);
        }
    }
    gate.close().await;
}
