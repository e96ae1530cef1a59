//! A bearer token. The input is the token's text, or three lines (header, payload, signature) that are made into one:
//! so the fuzzer changes JSON rather than base64.
#![no_main]

use firegate_core::jose::{CompactJws, decode_base64url, encode_base64url, strict_json};
use firegate_core::limits::{JSON_DEPTH_MAX, TOKEN_BYTES_MAX, TOKEN_VALUES_MAX};
use firegate_fuzz::{accepts, is_signed};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    if let Some((header, (payload, signature))) =
        text.split_once('\n').and_then(|(header, rest)| Some((header, rest.split_once('\n')?)))
    {
        let [header, payload] = [header, payload].map(|part| encode_base64url(part.as_bytes()));
        check(&format!("{header}.{payload}.{}", signature.trim_end()));
    }
});

fn check(token: &str) {
    assert_eq!(accepts(token), is_signed(token), "accepted without a signature, or refused with one");
    let Ok(jws) = CompactJws::parse(token) else { return };
    assert!(token.len() <= TOKEN_BYTES_MAX);
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments[..] else { panic!("{} segments", segments.len()) };

    // Canonical: no two texts are the same token.
    assert_eq!(jws.signing_input(), format!("{header}.{payload}"));
    assert_eq!(jws.payload_segment(), payload);
    assert_eq!(encode_base64url(jws.signature()), signature);
    for (segment, members) in [(header, jws.header()), (payload, jws.payload())] {
        let bytes = decode_base64url(segment).expect("what was parsed is base64url");
        assert_eq!(encode_base64url(&bytes), segment);
        check_object(&bytes, &members.into());
    }
}

/// Compares the strict reading with a lenient one and with a count of the text's own members.
fn check_object(text: &[u8], members: &Map<String, Value>) {
    let lenient: Map<String, Value> = serde_json::from_slice(text).expect("what is strict JSON is JSON");
    assert_eq!(&lenient, members);
    let (member_count, value_count) = count(&Value::Object(lenient), 0);
    assert!(value_count <= TOKEN_VALUES_MAX, "{value_count} values");
    assert_eq!(colons_outside_strings(text), member_count, "a repeated member was lost");
    assert!(strict_json::parse_object(text).is_ok());
}

/// How many members and how many values there are, and no deeper than the bound.
fn count(value: &Value, depth: usize) -> (usize, usize) {
    assert!(depth <= JSON_DEPTH_MAX + 1, "too deep");
    let inner: Vec<(usize, usize)> = match value {
        Value::Object(members) => members.values().map(|value| count(value, depth + 1)).collect(),
        Value::Array(values) => values.iter().map(|value| count(value, depth + 1)).collect(),
        _ => Vec::new(),
    };
    let own = value.as_object().map_or(0, Map::len);
    inner.iter().fold((own, 1), |sum, inner| (sum.0 + inner.0, sum.1 + inner.1))
}

fn colons_outside_strings(text: &[u8]) -> usize {
    let (mut count, mut is_inside, mut is_escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_inside => is_escaped = true,
            b'"' => is_inside = !is_inside,
            b':' if !is_inside => count += 1,
            _ => {}
        }
    }
    count
}
