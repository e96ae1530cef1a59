//! RFC 8725, section 3.1 (the attacks of section 2.1; CVE-2015-9235 and its many repetitions): the token chose how it is
//! verified. So the algorithm is compared with the one that is expected, and used for nothing else: not even a MAC that is
//! good under the published key, taken for a secret, says anything.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use firegate_core::jose::decode_base64url;
use serde_json::{Value, json};

use crate::project::{Key, Project, edited, signed};
use crate::site::Site;
use crate::stack::{claims, unsigned};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_does_not_choose_the_algorithm() {
    let site = Site::open().await;
    let payload = || claims("demo-project", site.now());
    let key_id = site.signer.key_id();
    for (header, signature, reason) in [
        (json!({"alg": "none"}), &b""[..], "TOKEN_UNSIGNED"),
        (json!({"alg": "none", "kid": key_id, "typ": "JWT"}), b"", "TOKEN_UNSIGNED"),
        (json!({"alg": "None", "kid": key_id}), b"", "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (json!({"alg": "rs256", "kid": key_id}), b"s", "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (json!({"alg": ["RS256"], "kid": key_id}), b"s", "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (json!({"alg": "RS256", "kid": key_id}), b"", "TOKEN_SIGNATURE_INVALID"),
        (json!({"alg": "RS256", "kid": key_id, "jwk": {"kty": "RSA"}}), b"s", "TOKEN_HEADER_NOT_ALLOWED"),
        (
            json!({"alg": "RS256", "kid": key_id, "crit": ["b64"], "b64": false}),
            b"s",
            "TOKEN_HEADER_NOT_ALLOWED",
        ),
        (json!({"alg": "RS256"}), b"s", "TOKEN_HEADER_NOT_ALLOWED"),
    ] {
        let token = unsigned(header.clone(), payload(), signature);
        let answer = site.send(site.call("/a").bearer(&token)).await;
        assert_eq!(answer.header("x-firegate-reason"), Some(reason), "{header}");
        assert_eq!(answer.status.as_u16(), 401, "{header}");
    }
    site.send(site.call("/a").bearer(&site.token())).await.ok();
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_is_no_secret_to_compare_a_mac_with() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    for (what, secret) in public_key_as_bytes() {
        for (algorithm, mac) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let key = hmac::Key::new(mac, &secret);
            let forge = |header: &Value| {
                signed(header, project.id_claims().to_string(), |input| {
                    hmac::sign(&key, input).as_ref().to_vec()
                })
            };
            let why = format!("{algorithm} under {what}");
            let header = edited(&Key::IdToken.header(), "alg", json!(algorithm));
            gate.refuses(&forge(&header), 401, "TOKEN_ALGORITHM_NOT_ALLOWED", &why).await;
            gate.refuses(&forge(&Key::IdToken.header()), 401, "TOKEN_SIGNATURE_INVALID", &why).await;
        }
    }
    gate.admits(&project.id_token()).await;
    gate.close().await;
}

/// The bytes that careless verifiers take for the secret when a token says that it has a MAC.
fn public_key_as_bytes() -> Vec<(&'static str, Vec<u8>)> {
    let jwk = Key::IdToken.signer().public_jwk();
    let pair = RsaKeyPair::from_pkcs8(Key::IdToken.signer().pkcs8()).expect("a key");
    let modulus = jwk["n"].as_str().expect("a modulus");
    vec![
        ("the JWK", jwk.to_string().into_bytes()),
        ("the modulus as it is published", modulus.as_bytes().to_vec()),
        ("the modulus", decode_base64url(modulus).expect("base64url")),
        ("the key in PKCS #1", pair.public_key().as_ref().to_vec()),
        (
            "the key as an X.509 certificate has it",
            pair.public_key().as_der().expect("DER").as_ref().to_vec(),
        ),
        ("nothing", Vec::new()),
    ]
}
