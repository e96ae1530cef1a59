//! RFC 8725, section 3.2: no algorithms but those that the application needs. Firebase signs with RS256, so a signature of
//! another kind is refused also if the issuer's own key made it, and so is a key of another kind that the issuer publishes.

use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding,
};
use firegate_core::jose::EcdsaP256Signer;
use serde_json::json;

use crate::project::{EXCHANGE, Key, Project, claims_of, edited};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_signature_of_another_kind_is_none() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let others: [(&str, &'static dyn RsaEncoding); 5] = [
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
        ("PS384", &RSA_PSS_SHA384),
        ("PS512", &RSA_PSS_SHA512),
    ];
    let payload = || project.id_claims().to_string();
    for (algorithm, encoding) in others {
        let named = edited(&Key::IdToken.header(), "alg", json!(algorithm));
        let token = Key::IdToken.sign_by(encoding, &named, payload());
        gate.refuses(&token, 401, "TOKEN_ALGORITHM_NOT_ALLOWED", algorithm).await;
        let disguised = Key::IdToken.sign_by(encoding, &Key::IdToken.header(), payload());
        gate.refuses(&disguised, 401, "TOKEN_SIGNATURE_INVALID", algorithm).await;
    }
    gate.admits(&Key::IdToken.sign_by(&RSA_PKCS1_SHA256, &Key::IdToken.header(), payload())).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_key_of_another_kind_verifies_nothing() {
    let project = Project::open().await;
    let other = EcdsaP256Signer::generate().expect("a key");
    let published = json!({"keys": [Key::IdToken.signer().public_jwk(), other.public_jwk().expect("a JWK")]});
    let gate = project.gate_with_keys(&published).await;
    let random = aws_lc_rs::rand::SystemRandom::new();
    let token = other.sign("JWT", &project.id_claims(), &random).expect("a token");
    gate.refuses(&token, 401, "TOKEN_ALGORITHM_NOT_ALLOWED", "ES256").await;
    let disguised = edited(&Key::IdToken.header(), "kid", json!(other.key_id()));
    let token = Key::IdToken.sign_as(&disguised, project.id_claims().to_string());
    gate.refuses(&token, 401, "TOKEN_KEY_UNKNOWN", "RS256 by the name of the other key").await;
    gate.admits(&project.id_token()).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_algorithm_of_one_kind_of_token_is_not_that_of_another() {
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let exchanged = gate.exchanged(&project.id_token(), "api").await;
    gate.admits(&exchanged).await;
    // The words of an exchanged token, which is ES256, under the RS256 that everything else here has.
    let header = edited(&Key::IdToken.header(), "typ", json!("firegate-exchanged+jwt"));
    let token = Key::IdToken.sign_as(&header, claims_of(&exchanged).to_string());
    gate.refuses(&token, 401, "TOKEN_ALGORITHM_NOT_ALLOWED", "an exchanged token with RS256").await;
    gate.close().await;
}
