//! Tokens of the greatest length that is looked at, each as expensive as its kind can be made.

use firegate_core::jose::encode_base64url;
use firegate_core::limits::TOKEN_BYTES_MAX;
use serde_json::{Value, json};

use crate::project::Project;

/// Names and tokens.
pub(crate) fn tokens(project: &Project) -> Vec<(&'static str, String)> {
    let header = json!({"alg": "RS256", "kid": project.key_id(), "typ": "JWT"}).to_string();
    let signature = encode_base64url(&[0x5a; 256]);
    let object = |inner: &str| format!("{{{inner}}}");
    // How many bytes of JSON fill the payload, or the header, of a token of the greatest length.
    let room = (TOKEN_BYTES_MAX - signature.len() - encode_base64url(header.as_bytes()).len() - 2) * 3 / 4;
    let with_payload = |payload: &str| {
        assert!(payload.len() <= room, "{} bytes do not fit into {room}", payload.len());
        let [header, payload] = [header.as_str(), payload].map(|part| encode_base64url(part.as_bytes()));
        format!("{header}.{payload}.{signature}")
    };
    let fill = |unit: &str| unit.repeat((room - 64) / unit.len());
    let names: String = (0..).map(|n| format!(r#""{n:x}":0,"#)).take(1_500).collect();
    let members = object(names.trim_end_matches(','));
    let [third, two_thirds] = [TOKEN_BYTES_MAX / 3, TOKEN_BYTES_MAX * 2 / 3].map(|length| random(length - 2));
    vec![
        ("random", random(TOKEN_BYTES_MAX)),
        ("random_in_three_parts", format!("{third}.{third}.{third}")),
        ("dots", ".".repeat(TOKEN_BYTES_MAX)),
        ("braces", with_payload(&fill("{"))),
        ("brackets", with_payload(&format!(r#"{{"a":{}"#, fill("[")))),
        ("members", with_payload(&members)),
        (
            "members_in_header",
            format!("{}.{}.", encode_base64url(members.as_bytes()), encode_base64url(b"{}")),
        ),
        ("nested_members", with_payload(&object(&format!(r#""a":{members}"#)))),
        ("values", with_payload(&object(&format!(r#""a":[{}0]"#, "0,".repeat(4_000))))),
        ("one_string", with_payload(&object(&format!(r#""a":"{}""#, fill("a"))))),
        ("escapes", with_payload(&object(&format!(r#""a":"{}""#, fill(r"\u00e9"))))),
        ("one_number", with_payload(&object(&format!(r#""a":{}"#, fill("1"))))),
        ("exponents", with_payload(&object(&format!(r#""a":[{}0]"#, fill("1.7976931348623157e-308,"))))),
        ("repeated_member", with_payload(&object(&format!(r#"{names}"z":0,"z":0"#)))),
        (
            "one_signature",
            format!(
                "{}.{}.{two_thirds}",
                encode_base64url(header.as_bytes()),
                encode_base64url(valid(0).as_bytes())
            ),
        ),
        // Everything is right but the signature: it costs the hash of all of it, and RSA.
        ("wrong_signature", with_payload(&valid(room - valid(0).len()))),
    ]
}

/// A payload that passes every check, with one claim that makes it longer.
fn valid(padding: usize) -> String {
    let mut payload = Project::payload();
    payload["padding"] = Value::String("a".repeat(padding));
    payload.to_string()
}

/// Base64url letters without a pattern, the same with every run.
fn random(length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    // The generator of Marsaglia, 2003: xorshift with 13, 7, 17.
    let letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(ALPHABET[(state >> 58) as usize])
    };
    std::iter::repeat_with(letter).take(length).collect()
}
