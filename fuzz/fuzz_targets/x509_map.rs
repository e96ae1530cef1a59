//! Google's map from key id to certificate. The input is the document, or the DER of one certificate that is put into a
//! document: so the fuzzer changes ASN.1 rather than base64.
#![no_main]

use std::fmt::Write as _;

use firegate_core::jose::KeySet;
use firegate_core::limits::{KEY_SET_KEYS_MAX, RSA_MODULUS_BITS_MIN};
use firegate_fuzz::check_key_ids;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey;

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"{") {
        check(data);
    } else {
        check(json!({ "key": pem(data) }).to_string().as_bytes());
    }
});

fn check(document: &[u8]) {
    let Ok(set) = KeySet::parse_rs256(document) else { return };
    check_key_ids(&set);
    let certificates: Map<String, Value> = serde_json::from_slice(document).expect("a key set is JSON");
    // What has `keys` is a JWK set, which has its own target.
    if certificates.get("keys").is_some_and(Value::is_array) {
        return;
    }
    assert!(certificates.len() <= KEY_SET_KEYS_MAX);
    assert_eq!(set.key_ids().count() + set.refused().len(), certificates.len(), "a key was lost");
    for key_id in set.key_ids() {
        let text = certificates[key_id].as_str().expect("a certificate is text");
        let (_, pem) = parse_x509_pem(text.as_bytes()).expect("an accepted certificate is PEM");
        let certificate = pem.parse_x509().expect("an accepted certificate is X.509");
        let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed() else {
            panic!("{key_id:?} is not RSA")
        };
        let bits = |number: &[u8]| {
            let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
            number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
        };
        assert!(bits(key.modulus) >= RSA_MODULUS_BITS_MIN, "{key_id:?} has {} bits", bits(key.modulus));
        assert!(bits(key.exponent) > 1, "{key_id:?} has the exponent 1 or 0");
        for number in [key.modulus, key.exponent] {
            assert!(number.last().is_some_and(|byte| byte % 2 == 1), "{key_id:?} has an even number");
        }
    }
}

fn pem(der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    // 48 bytes are a line of 64 letters.
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
            for at in 0..4 {
                let letter = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize] as char;
                text.push(if at <= group.len() { letter } else { '=' });
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "-----END CERTIFICATE-----");
    text
}
