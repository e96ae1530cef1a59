//! RFC 8725, section 3.5: a key is worth what it costs to find. A secret that a person thought of, and an RSA key of 1024 bits,
//! can be found; published beside good keys they verify nothing, not even what is rightly signed with them.

use aws_lc_rs::hmac;
use firegate_core::jose::{decode_base64url, encode_base64url};
use num_bigint::BigUint;
use serde_json::json;

use crate::project::{Key, Project, edited, padded_digest, signed};

const SECRET: &[u8] = b"secret";

/// An RSA key of 1024 bits, which somebody has found: the modulus, and the private exponent to 65537.
const MODULUS: &str = "mdHyIlyppR0cR4oBP-V3mutXOb87dHg3tN92uqhV6wgCxRx0-3-XZ0E20dylDY8O90Np8mYfCAiArmBnIgsjO0rlBCGmKZbHfiKVCodf9ACsGGMiByGAxqOkz6Z2MOM5pcq8bp4lNUvYI2FWCFTA30rjTWD8Vc-N7pjeYxzebBk";
const PRIVATE_EXPONENT: &str = "Qf63mlKTXooM1gy52IZFOKx8MgSAJ8pkbC_sKs2Kf1pihdtdvYHSnbR3Jrc6AYU9cIz16dAyxCmRvD8UQKDyrhV-m8LOTjUkf-TXRoMGuqrlyhrgVkTbmrVQhcAKcYF1xWm9XzJ5G9x_JWhBUMM1s1cMtLegQmZf_dTqi1S8PXk";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_can_be_found_verifies_nothing() {
    let project = Project::open().await;
    let good = Key::IdToken.signer().public_jwk();
    let gate = project
        .gate_with_keys(&json!({"keys": [
            good,
            {"kty": "oct", "kid": "secret", "alg": "RS256", "k": encode_base64url(SECRET)},
            {"kty": "oct", "kid": "mac", "alg": "HS256", "k": encode_base64url(SECRET)},
            {"kty": "RSA", "kid": "short", "alg": "RS256", "use": "sig", "n": MODULUS, "e": "AQAB"},
        ]}))
        .await;
    let payload = || project.id_claims().to_string();
    let named = |id: &str| edited(&Key::IdToken.header(), "kid", json!(id));
    let mac = |input: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), input).as_ref().to_vec();
    let with_mac = signed(&edited(&named("mac"), "alg", json!("HS256")), payload(), mac);
    gate.refuses(&with_mac, 401, "TOKEN_ALGORITHM_NOT_ALLOWED", "a MAC under a published secret").await;
    for id in ["secret", "mac"] {
        gate.refuses(&signed(&named(id), payload(), mac), 401, "TOKEN_KEY_UNKNOWN", id).await;
    }
    let by_short_key = signed(&named("short"), payload(), sign_with_the_short_key);
    gate.refuses(&by_short_key, 401, "TOKEN_KEY_UNKNOWN", "1024 bits").await;
    gate.admits(&project.id_token()).await;
    gate.close().await;
}

fn sign_with_the_short_key(input: &[u8]) -> Vec<u8> {
    let number = |text: &str| BigUint::from_bytes_be(&decode_base64url(text).expect("base64url"));
    let modulus = number(MODULUS);
    let bytes = usize::try_from(modulus.bits()).expect("a small number") / 8;
    let padded = BigUint::from_bytes_be(&padded_digest(input, bytes));
    let signature = padded.modpow(&number(PRIVATE_EXPONENT), &modulus);
    assert_eq!(signature.modpow(&BigUint::from(65_537_u32), &modulus), padded, "it is a good signature");
    let signature = signature.to_bytes_be();
    [vec![0; bytes - signature.len()], signature].concat()
}
