//! The compact serialisation of RFC 7515, section 7.1, read strictly.

use std::borrow::Cow;
use std::sync::OnceLock;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use serde_json::{Map, Value};

use super::base64url::decode_base64url;
use super::sha256;
use super::strict_json::{JsonDocument, JsonObject};
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_MEMBERS_MAX, TOKEN_VALUES_MAX};

/// A compact JWS taken apart: syntax is proven, the signature is not.
#[derive(Clone, Debug)]
pub struct CompactJws<'a> {
    text: Cow<'a, str>,
    header: JsonDocument,
    payload: JsonDocument,
    signature: Vec<u8>,
    signing_input_bytes: usize,
    signed_digest: OnceLock<Digest>,
    digest: OnceLock<[u8; 32]>,
    /// The fingerprint of the first keys that it was named with, and that name: a token that is kept is nearly always judged by
    /// the same ones.
    pub(super) named: OnceLock<([u8; 32], [u8; 32])>,
}

/// Why a text is no compact JWS. The closed list names what is wrong and quotes nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactJwsError {
    /// The token is longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// There are not exactly three parts between dots.
    #[error("the token does not have three parts separated by dots")]
    PartCount,
    /// A part is not canonical, unpadded base64url (RFC 7515, section 2).
    #[error("the {0} is not canonical unpadded base64url")]
    Base64(&'static str),
    /// A part is not a JSON object without repeated members.
    #[error("the {0} is not a JSON object without repeated members, or it is too deep or too large")]
    Json(&'static str),
}

impl<'a> CompactJws<'a> {
    /// Takes a compact JWS apart.
    ///
    /// # Errors
    /// If it is not exactly what RFC 7515 describes; the size is checked before anything is parsed.
    pub fn parse(text: &'a str) -> Result<Self, CompactJwsError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(CompactJwsError::TooLong);
        }
        let (header, payload, signature) = parts(text).ok_or(CompactJwsError::PartCount)?;
        let object = |part: &str, name| {
            let bytes = decode_base64url(part).ok_or(CompactJwsError::Base64(name))?;
            let object = JsonDocument::read(bytes, TOKEN_VALUES_MAX, TOKEN_MEMBERS_MAX);
            object.map_err(|_| CompactJwsError::Json(name))
        };
        Ok(Self {
            text: Cow::Borrowed(text),
            header: object(header, "header")?,
            payload: object(payload, "payload")?,
            signature: decode_base64url(signature).ok_or(CompactJwsError::Base64("signature"))?,
            signing_input_bytes: header.len() + 1 + payload.len(),
            signed_digest: OnceLock::new(),
            digest: OnceLock::new(),
            named: OnceLock::new(),
        })
    }

    /// The whole token as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same with a text of its own.
    pub(crate) fn into_owned(self) -> CompactJws<'static> {
        let Self { text, header, payload, signature, signing_input_bytes, signed_digest, digest, named } =
            self;
        let text = Cow::Owned(text.into_owned());
        CompactJws { text, header, payload, signature, signing_input_bytes, signed_digest, digest, named }
    }

    /// Names the whole token by SHA-256, made once: the hash of what is signed, which the signature needs too, and of the
    /// signature. A token has one spelling, so no byte of its text is left out and no other text has this name.
    pub fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| sha256(&[self.signed_digest().as_ref(), &self.signature].concat()))
    }

    /// The SHA-256 of the bytes under the signature, made once: hashing them costs as much as reading the claims.
    pub(super) fn signed_digest(&self) -> &Digest {
        self.signed_digest.get_or_init(|| digest(&SHA256, self.signing_input().as_bytes()))
    }

    /// The header's members.
    pub fn header(&self) -> JsonObject<'_> {
        self.header.object()
    }

    /// The payload's members, not yet proven to be anyone's words.
    pub fn payload(&self) -> JsonObject<'_> {
        self.payload.object()
    }

    /// The payload as it was read, leaving the rest.
    pub(crate) fn into_payload_document(self) -> JsonDocument {
        self.payload
    }

    /// The payload as a tree, leaving the rest.
    pub fn into_payload(self) -> Map<String, Value> {
        self.payload().into()
    }

    /// A header member that is a string.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header().text(name)
    }

    /// A payload member that is a string.
    pub fn payload_text(&self, name: &str) -> Option<&str> {
        self.payload().text(name)
    }

    /// `header.payload`, the bytes under the signature.
    pub fn signing_input(&self) -> &str {
        &self.text[..self.signing_input_bytes]
    }

    /// The payload's segment as it stands in the token.
    pub fn payload_segment(&self) -> &str {
        self.signing_input().split_once('.').map_or("", |(_, payload)| payload)
    }

    /// The signature's bytes; empty in an unsigned token.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// The three parts of a text that has exactly two dots. The first one is soon found from the start and the last one from the
/// end; that there is none between them is found fastest by looking at every byte.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (header, rest) = text.split_once('.')?;
    let (payload, signature) = rest.rsplit_once('.')?;
    let has_dot = payload.bytes().fold(false, |found, byte| found | (byte == b'.'));
    (!has_dot).then_some((header, payload, signature))
}

#[cfg(test)]
mod tests {
    use super::super::encode_base64url;
    use super::*;

    fn check(text: &str, expected: Result<(), CompactJwsError>) {
        assert_eq!(CompactJws::parse(text).map(drop), expected, "{text}");
    }

    #[test]
    fn three_canonical_parts_and_nothing_else() {
        let object = encode_base64url(b"{}");
        check(&format!("{object}.{object}.AAAA"), Ok(()));
        check(&format!("{object}.{object}."), Ok(()));
        check(&format!("{object}.{object}"), Err(CompactJwsError::PartCount));
        check(&format!("{object}.{object}.AAAA.AAAA"), Err(CompactJwsError::PartCount));
        check(&format!("{object}=.{object}.AAAA"), Err(CompactJwsError::Base64("header")));
        check(&format!("{object}.{object}.AAB"), Err(CompactJwsError::Base64("signature")));
        check(&format!("{object}. {object}.AAAA"), Err(CompactJwsError::Base64("payload")));
        check(&format!("{object}.{}.AAAA", encode_base64url(b"[]")), Err(CompactJwsError::Json("payload")));
        let members = |count: usize| {
            let members = (0..count).map(|number| format!("\"{number}\":{{}}")).collect::<Vec<_>>().join(",");
            encode_base64url(format!("{{{members}}}").as_bytes())
        };
        check(&format!("{object}.{}.AAAA", members(TOKEN_MEMBERS_MAX)), Ok(()));
        check(
            &format!("{object}.{}.AAAA", members(TOKEN_MEMBERS_MAX + 1)),
            Err(CompactJwsError::Json("payload")),
        );
        // The payload itself and the array are values too.
        let values =
            |count: usize| encode_base64url(format!(r#"{{"a":[{}0]}}"#, "0,".repeat(count - 3)).as_bytes());
        check(&format!("{object}.{}.AAAA", values(TOKEN_VALUES_MAX)), Ok(()));
        check(
            &format!("{object}.{}.AAAA", values(TOKEN_VALUES_MAX + 1)),
            Err(CompactJwsError::Json("payload")),
        );
        check(&"a".repeat(TOKEN_BYTES_MAX + 1), Err(CompactJwsError::TooLong));
    }

    #[test]
    fn every_byte_of_a_token_is_in_its_name() {
        let segments = [&b"{\"a\":1}"[..], b"{\"b\":\"xyz\"}", b"signature"].map(encode_base64url);
        let name = |segments: &[String; 3]| {
            let text = segments.join(".");
            CompactJws::parse(&text).map(|token| *token.digest())
        };
        let own = name(&segments).expect("a token");
        assert_eq!(name(&segments), Ok(own));
        let signed = sha256(segments[..2].join(".").as_bytes());
        assert_eq!(own, sha256(&[&signed[..], b"signature"].concat()));
        let mut others = 0;
        for (index, segment) in segments.iter().enumerate() {
            for at in 0..segment.len() {
                for other in ["A", "g", "w", "_"] {
                    let mut changed = segments.clone();
                    changed[index].replace_range(at..=at, other);
                    // Most changes make it no token at all; all the others make it another one.
                    let differs = changed != segments
                        && name(&changed).inspect(|found| assert_ne!(*found, own)).is_ok();
                    others += usize::from(differs);
                }
            }
        }
        assert!(others > 20, "{others} other tokens");
        assert_ne!(name(&[segments[0].clone(), segments[1].clone(), String::new()]), Ok(own));
    }
}
