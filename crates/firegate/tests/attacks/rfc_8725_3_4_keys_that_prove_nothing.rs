//! RFC 8725, section 3.4: keys are inputs too. With the exponent 1 every number is its own signature, so a key like that in a
//! published set would let anybody sign; it is left out, and the good keys beside it go on.

use firegate_core::jose::decode_base64url;
use serde_json::{Value, json};

use crate::project::{Key, Project, edited, padded_digest, signed};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_anyone_can_sign_with_verifies_nothing() {
    let project = Project::open().await;
    let good = Key::IdToken.signer().public_jwk();
    let named = |key: Value, id: &str| edited(&key, "kid", json!(id));
    let gate = project
        .gate_with_keys(&json!({"keys": [
            good,
            named(edited(&good, "e", json!("AQ")), "exponent-one"),
            named(edited(&good, "use", json!("enc")), "for-encryption"),
            named(edited(&good, "alg", json!("RS512")), "another-algorithm"),
        ]}))
        .await;
    let modulus = decode_base64url(good["n"].as_str().expect("a modulus")).expect("base64url");
    let header = edited(&Key::IdToken.header(), "kid", json!("exponent-one"));
    let forged =
        signed(&header, project.id_claims().to_string(), |input| padded_digest(input, modulus.len()));
    gate.refuses(&forged, 401, "TOKEN_KEY_UNKNOWN", "e = 1").await;
    for id in ["for-encryption", "another-algorithm"] {
        let header = edited(&Key::IdToken.header(), "kid", json!(id));
        let token = Key::IdToken.sign_as(&header, project.id_claims().to_string());
        gate.refuses(&token, 401, "TOKEN_KEY_UNKNOWN", id).await;
    }
    gate.admits(&project.id_token()).await;
    gate.close().await;
}
