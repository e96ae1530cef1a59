//! The vectors of project Wycheproof for JSON Web Signatures, keys and RSASSA-PKCS1-v1_5. Firegate knows less than they
//! test: RS256 alone, with payloads that are objects. What it does not know it has to refuse, valid or not.
//!
//! They lie in `vectors/`, as the project publishes them.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use firegate_core::jose::{CompactJws, KeySet, decode_base64url, strict_json};
use serde_json::{Value, json};

/// What one file came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Valid, and verified.
    verified: usize,
    /// Valid for a verifier that knows more, and refused.
    refused_though_valid: usize,
    /// Invalid, and refused.
    refused: usize,
}

/// The groups of a file of vectors.
fn groups(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{name}_test.json"));
    let file: Value = serde_json::from_slice(&std::fs::read(path).expect("the vectors")).expect("JSON");
    file["testGroups"].as_array().expect("groups").clone()
}

/// The group's keys as their issuer would publish them; a key of its own becomes a set of one.
fn key_set(group: &Value) -> Option<KeySet> {
    let published = group.get("public").or_else(|| group.get("private"))?;
    let keys = published.get("keys").and_then(Value::as_array).cloned();
    let mut keys = keys.unwrap_or_else(|| vec![published.clone()]);
    for key in &mut keys {
        if key.get("kid").is_none() {
            key["kid"] = json!("unnamed");
        }
    }
    KeySet::parse_rs256(json!({ "keys": keys }).to_string().as_bytes()).ok()
}

/// RS256 and nothing else, for a payload of any bytes: the signature's own verdict.
fn verifies_raw(token: &str, keys: &KeySet) -> bool {
    let parts = token.split('.').collect::<Vec<_>>();
    let [header, payload, signature] = parts.as_slice() else { return false };
    let Some(header) = decode_base64url(header).and_then(|text| strict_json::parse_object(&text).ok()) else {
        return false;
    };
    let (Some(_), Some(signature)) = (decode_base64url(payload), decode_base64url(signature)) else {
        return false;
    };
    let key_id = header.get("kid").map_or(Some("unnamed"), Value::as_str);
    let key = key_id.and_then(|key_id| keys.find(key_id)).or_else(|| {
        // A single key that the token does not name.
        let only = keys.key_ids().next().filter(|_| keys.key_ids().count() == 1);
        only.filter(|_| !header.contains_key("kid")).and_then(|key_id| keys.find(key_id))
    });
    let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
    header.get("alg").is_some_and(|algorithm| algorithm == "RS256")
        && key.is_some_and(|key| key.verifies_bytes(signed.as_bytes(), &signature))
}

/// The same by way of the token as Firegate reads it.
fn verifies_as_token(token: &str, keys: &KeySet) -> bool {
    CompactJws::parse(token).is_ok_and(|jws| {
        let key = jws.header_text("kid").and_then(|key_id| keys.find(key_id));
        jws.header_text("alg") == Some("RS256") && key.is_some_and(|key| key.verifies(&jws))
    })
}

/// Judges the tokens of a file. Nothing invalid passes at any level, and of what is valid RS256 passes the first.
fn judge_tokens(name: &str) -> Count {
    let mut count = Count::default();
    for group in groups(name) {
        let keys = key_set(&group).unwrap_or_default();
        for test in group["tests"].as_array().expect("tests") {
            let token = test.get("jws").or_else(|| test.get("jwe")).expect("a token");
            // The JSON serialisation is an object, and no token of ours.
            let token = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
            let token = token.as_str();
            let place = format!("{name} {}: {}", test["tcId"], test["comment"]);
            let is_valid = test["result"] == "valid";
            let raw = verifies_raw(token, &keys);
            assert!(is_valid || !raw, "{place} is accepted");
            assert!(!verifies_as_token(token, &keys) || raw, "{place} passes as a token and not as bytes");
            if is_valid {
                assert_eq!(raw, is_rs256(&group, token), "{place}");
            }
            match (is_valid, raw) {
                (true, true) => count.verified += 1,
                (true, false) => count.refused_though_valid += 1,
                (false, _) => count.refused += 1,
            }
        }
    }
    println!("{name}: {count:?}");
    count
}

/// Whether a valid vector is one of ours: the key and the header say RS256.
fn is_rs256(group: &Value, token: &str) -> bool {
    let header = token.split('.').next().and_then(decode_base64url).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let key = &group["public"];
    header["alg"] == "RS256" && (key["alg"] == "RS256" || key["keys"][0]["alg"] == "RS256")
}

#[test]
fn of_the_signatures_rs256_alone_is_verified() {
    assert_eq!(
        judge_tokens("json_web_signature"),
        Count { verified: 8, refused_though_valid: 38, refused: 355 }
    );
}

#[test]
fn of_the_cryptographic_vectors_no_encryption_and_no_weak_key_passes() {
    assert_eq!(judge_tokens("json_web_crypto"), Count { verified: 1, refused_though_valid: 5, refused: 77 });
}

#[test]
fn of_the_keys_the_mixed_the_short_and_the_broken_verify_nothing() {
    assert_eq!(judge_tokens("json_web_key"), Count { verified: 1, refused_though_valid: 4, refused: 21 });
}

#[test]
fn rsa_signatures_are_verified_as_bytes() {
    let bytes = |text: &Value| {
        let text = text.as_str().expect("hexadecimal digits");
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
        (0..text.len()).step_by(2).map(byte).collect::<Vec<_>>()
    };
    let mut count = Count::default();
    for group in groups("rsa_signature_2048_sha256") {
        let document = json!({"keys": [group["keyJwk"]]}).to_string();
        let keys = KeySet::parse_rs256(document.as_bytes()).expect("a key set");
        let key = keys.find("none").expect("the key");
        for test in group["tests"].as_array().expect("tests") {
            let verifies = key.verifies_bytes(&bytes(&test["msg"]), &bytes(&test["sig"]));
            // "Acceptable" is a signature that some old software makes and that no standard allows.
            assert_eq!(verifies, test["result"] == "valid", "{}: {}", test["tcId"], test["comment"]);
            if verifies { count.verified += 1 } else { count.refused += 1 }
        }
    }
    println!("rsa_signature_2048_sha256: {count:?}");
    assert_eq!(count, Count { verified: 9, refused_though_valid: 0, refused: 250 });
}
