//! RFC 8725, section 3.8: a key verifies only what its own issuer says, and the subject has to be one that the issuer could
//! have named.

use serde_json::json;

use crate::project::{Key, Project, edited, without};

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_one_that_the_issuer_could_have_named() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let named = |sub: serde_json::Value| edited(&without(&project.id_claims(), "user_id"), "sub", sub);
    for sub in ["a".to_owned(), "x".repeat(128), "é".repeat(128), "a b%/:".to_owned()] {
        gate.admits(&Key::IdToken.sign(&named(json!(sub)))).await;
    }
    for sub in [
        json!(""),
        json!("x".repeat(129)),
        json!("a\nX-Firegate-User-Id: root"),
        json!("a\u{0}"),
        json!("a\u{7f}"),
        json!("a\u{85}"),
        json!(7),
        json!(["eve"]),
        json!({"eve": 1}),
        json!(null),
        json!(true),
    ] {
        let token = Key::IdToken.sign(&named(sub.clone()));
        gate.refuses(&token, 401, "TOKEN_CLAIM_INVALID", &sub.to_string()).await;
    }
    let token = Key::IdToken.sign(&without(&project.id_claims(), "sub"));
    gate.refuses(&token, 401, "TOKEN_CLAIM_INVALID", "no sub").await;
    // Two names for one user: whoever reads the other claim sees somebody else.
    let two = edited(&project.id_claims(), "user_id", json!("root"));
    gate.refuses(&Key::IdToken.sign(&two), 401, "TOKEN_CLAIM_INVALID", "user_id is another").await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_speaks_for_its_own_issuer_alone() {
    let project = Project::open().await;
    let gate = project
        .gate("backends: { api: 'SERVICE' }\nallow: [allAuthenticatedUsers]\nusers: { accept: [id_token, session_cookie] }")
        .await;
    gate.admits(&project.id_token()).await;
    gate.admits(&project.session_cookie()).await;
    for key in [Key::SessionCookie, Key::Google, Key::AppCheck, Key::Stranger] {
        gate.refuses(&key.sign(&project.id_claims()), 401, "TOKEN_KEY_UNKNOWN", &format!("{key:?}")).await;
        // Under the name of a key of the issuer, too.
        let token = key.sign_as(&Key::IdToken.header(), project.id_claims().to_string());
        gate.refuses(&token, 401, "TOKEN_SIGNATURE_INVALID", &format!("{key:?}")).await;
    }
    gate.close().await;
}
