//! A JWK set, as RS256 and as ES256 keys.
#![no_main]

use firegate_core::jose::{KeySet, decode_base64url};
use firegate_core::limits::{KEY_SET_KEYS_MAX, RSA_MODULUS_BITS_MIN};
use firegate_fuzz::check_key_ids;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    for (parsed, is_acceptable) in
        [(KeySet::parse_rs256(data), is_rs256 as fn(&Value) -> bool), (KeySet::parse_es256(data), is_es256)]
    {
        let Ok(set) = parsed else { continue };
        check_key_ids(&set);
        let document: Value = serde_json::from_slice(data).expect("a key set is JSON");
        let Some(keys) = document["keys"].as_array() else { continue };
        assert!(keys.len() <= KEY_SET_KEYS_MAX);
        assert_eq!(set.key_ids().count() + set.refused().len(), keys.len(), "a key was lost");
        for key_id in set.key_ids() {
            let accepted = keys.iter().any(|key| key["kid"] == key_id && is_acceptable(key));
            assert!(accepted, "{key_id:?} was accepted");
        }
    }
});

fn is_rs256(key: &Value) -> bool {
    let number = |name: &str| {
        let bytes = key[name].as_str().and_then(decode_base64url).unwrap_or_default();
        bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
            .skip_while(|bit| *bit == 0)
            .collect()
    };
    let (modulus, exponent): (Vec<u8>, Vec<u8>) = (number("n"), number("e"));
    key["kty"] == "RSA"
        && (key["alg"].is_null() || key["alg"] == "RS256")
        && (key["use"].is_null() || key["use"] == "sig")
        && modulus.len() >= RSA_MODULUS_BITS_MIN
        && modulus.last() == Some(&1)
        && exponent.len() > 1
        && exponent.last() == Some(&1)
}

fn is_es256(key: &Value) -> bool {
    let is_coordinate =
        |name: &str| key[name].as_str().and_then(decode_base64url).is_some_and(|bytes| bytes.len() == 32);
    key["kty"] == "EC"
        && key["crv"] == "P-256"
        && (key["alg"].is_null() || key["alg"] == "ES256")
        && (key["use"].is_null() || key["use"] == "sig")
        && is_coordinate("x")
        && is_coordinate("y")
}
