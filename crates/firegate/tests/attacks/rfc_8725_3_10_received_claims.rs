//! RFC 8725, section 3.10: `jku`, `x5u` and `kid` are the sender's words. Nothing is fetched from where a token says (SSRF),
//! no key is taken out of one, and `kid` is compared, never used as a path or a query.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::json;

use crate::project::{Key, Project, edited};
use crate::site::listen;

#[tokio::test(flavor = "multi_thread")]
async fn no_token_says_where_its_key_is() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let (listener, evil) = listen().await;
    let fetches = Arc::new(AtomicUsize::new(0));
    let (counter, document) =
        (Arc::clone(&fetches), json!({"keys": [Key::Stranger.signer().public_jwk()]}).to_string());
    let answer = move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
        document
    };
    let router = Router::new().fallback(get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });

    let claims = project.id_claims().to_string();
    gate.admits(&Key::IdToken.sign_as(&Key::IdToken.header(), &claims)).await;
    for (member, value) in [
        ("jku", json!(evil.as_str())),
        ("x5u", json!(evil.as_str())),
        ("jwk", Key::Stranger.signer().public_jwk()),
        ("x5c", json!(["MIIB"])),
    ] {
        // Signed by the attacker, and even by the issuer itself.
        for key in [Key::Stranger, Key::IdToken] {
            let token = key.sign_as(&edited(&key.header(), member, value.clone()), &claims);
            gate.refuses(&token, 401, "TOKEN_HEADER_NOT_ALLOWED", member).await;
        }
    }
    let id = Key::IdToken.signer().key_id();
    for kid in [
        evil.as_str(),
        "../../../dev/null",
        "/dev/null",
        "' UNION SELECT 'key' --",
        "*",
        &id[..id.len() - 1],
        &id.to_uppercase(),
        &format!(" {id}"),
        &format!("{id}\n"),
        &"k".repeat(8000),
    ] {
        let token = Key::Stranger.sign_as(&edited(&Key::IdToken.header(), "kid", json!(kid)), &claims);
        gate.refuses(&token, 401, "TOKEN_KEY_UNKNOWN", kid).await;
    }
    for kid in [json!(""), json!(null), json!(0), json!([id])] {
        let token = Key::IdToken.sign_as(&edited(&Key::IdToken.header(), "kid", kid.clone()), &claims);
        gate.refuses(&token, 401, "TOKEN_HEADER_NOT_ALLOWED", &kid.to_string()).await;
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 0, "something was fetched from where a token said");
    gate.close().await;
}
