//! RFC 8725, sections 2.6 and 3.7: UTF-8 is the one encoding, and JSON has one reading. Of a member that stands twice one
//! parser takes the first and another the last.

use crate::project::{Key, Project, edited};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_has_one_reading() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let claims = edited(&project.id_claims(), "name", json!("Ève 🦊"));
    let text = claims.to_string();
    let sign = |payload: &[u8]| Key::IdToken.sign_as(&Key::IdToken.header(), payload);
    gate.admits(&sign(text.as_bytes())).await;
    let latin_1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let overlong = text.replacen("Ève", "\u{1}", 1).into_bytes();
    let overlong: Vec<u8> =
        overlong.iter().flat_map(|byte| if *byte == 1 { vec![0xc0, 0xaf] } else { vec![*byte] }).collect();
    let appended = |more: &str| text.replacen('{', &format!("{{{more},"), 1).into_bytes();
    for (payload, why) in [
        (latin_1, "Latin-1"),
        (utf_16, "UTF-16"),
        (overlong, "an overlong form"),
        ([&b"\xef\xbb\xbf"[..], text.as_bytes()].concat(), "a byte order mark"),
        (text.replacen("Ève", "\\ud800", 1).into_bytes(), "half a surrogate pair"),
        (appended("\"sub\":\"root\""), "two `sub`"),
        (appended("\"\\u0073ub\":\"root\""), "two `sub`, one of them escaped"),
        (appended("\"x\":{\"a\":1,\"a\":2}"), "a repeated member below"),
        (appended("\"x\":NaN"), "no number"),
        (format!("{text}{text}").into_bytes(), "two objects"),
        (format!("[{text}]").into_bytes(), "an array"),
        (format!("{text}\0").into_bytes(), "a zero byte at the end"),
        (text.replacen("{", "{/*c*/", 1).into_bytes(), "a comment"),
    ] {
        gate.refuses(&sign(&payload), 401, "TOKEN_MALFORMED", why).await;
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_one_spelling() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let token = project.id_token();
    gate.admits(&token).await;
    let last = token.chars().next_back().expect("a character");
    // The last character of 256 bytes has four bits that say nothing: another spelling of the same signature.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let position = alphabet.find(last).expect("base64url");
    let other = alphabet.as_bytes()[position + 1] as char;
    let mut same_bytes = token.clone();
    same_bytes.pop();
    same_bytes.push(other);
    for (spelling, why) in [
        (same_bytes, "bits that say nothing"),
        (format!("{token}=="), "padding"),
        (token.replace('.', "%2E"), "escapes"),
        (token.replace(['-', '_'], "+"), "the other alphabet"),
    ] {
        gate.refuses(&spelling, 401, "TOKEN_MALFORMED", why).await;
    }
    gate.close().await;
}
