//! RFC 8725, sections 3.4 and 3.5: keys are inputs too. With the exponent 1 every number is its own signature, so a key like
//! that in a published set would let anybody sign (3.4), and so would a secret that can be guessed (3.5); the good keys
//! beside them go on.

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::routing::get;
use firegate_core::jose::{decode_base64url, encode_base64url};
use serde_json::{Value, json};

use crate::project::{Key, PROJECT, Project, edited, expect};
use crate::site::listen;
use crate::stack::{Call, at, close, door};

/// A signature that anybody can write for a key with the exponent 1: the padded digest itself (RFC 8017, section 9.2).
fn signature_without_a_key(input: &str, modulus_bytes: usize) -> Vec<u8> {
    const DIGEST_INFO: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let hash = digest(&SHA256, input.as_bytes());
    let mut padded = vec![0, 1];
    padded.resize(modulus_bytes - DIGEST_INFO.len() - hash.as_ref().len() - 1, 0xff);
    padded.push(0);
    padded.extend(DIGEST_INFO);
    padded.extend(hash.as_ref());
    padded
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_anyone_can_sign_with_verifies_nothing() {
    let project = Project::open().await;
    let good = Key::IdToken.signer().public_jwk();
    let named = |key: Value, id: &str| edited(&key, "kid", json!(id));
    let keys = json!({"keys": [
        good,
        named(edited(&good, "e", json!("AQ")), "exponent-one"),
        named(edited(&good, "use", json!("enc")), "for-encryption"),
        named(edited(&good, "alg", json!("RS512")), "another-algorithm"),
        {"kty": "oct", "kid": "secret", "alg": "RS256", "k": "AAAA"},
    ]});
    let (listener, url) = listen().await;
    let document = keys.to_string();
    let router = Router::new().route("/keys", get(move || async move { document }));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    let text = format!(
        "project: {PROJECT}\nbackends: {{ api: '{}' }}\nallow: [allAuthenticatedUsers]\ngoogle: {{ id_token_keys: '{url}keys' }}\n",
        project.service
    );
    let door = door(&text, &project.clock);
    door.ready().await;
    let send = async |token: &str| Call::get(&at(&door, "/a")).bearer(token).send().await;

    let modulus = decode_base64url(good["n"].as_str().expect("a modulus")).expect("base64url");
    let segment = |value: &Value| encode_base64url(value.to_string().as_bytes());
    let header = edited(&Key::IdToken.header(), "kid", json!("exponent-one"));
    let input = format!("{}.{}", segment(&header), segment(&project.id_claims()));
    let signature = signature_without_a_key(&input, modulus.len());
    let forged = format!("{input}.{}", encode_base64url(&signature));
    expect(&send(&forged).await, 401, "TOKEN_KEY_UNKNOWN", "e = 1");
    for id in ["for-encryption", "another-algorithm", "secret"] {
        let header = edited(&Key::IdToken.header(), "kid", json!(id));
        let token = Key::IdToken.sign_as(&header, project.id_claims().to_string());
        expect(&send(&token).await, 401, "TOKEN_KEY_UNKNOWN", id);
    }
    send(&project.id_token()).await.ok();
    close(door).await;
}
