//! Custom tokens: what a developer's own server mints to sign in a user of its own.
//!
//! Production checks their signature with the public key of the project's service account. This server knows no such
//! key unless it is given some; without, it takes the token's word, as the reference emulator does, but only from
//! callers on this machine, because whoever may bring unproven tokens can be any user.

use firegate_core::jose::{CompactJws, KeySet, strict_json};
use firegate_core::time::UnixTime;
use serde_json::{Map, Value};

use crate::accounts::checked;
use crate::error::ApiError;
use crate::limits::CUSTOM_ATTRIBUTES_UNITS_MAX;
use crate::tokens::is_unsigned;

const AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// What makes a custom token acceptable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CustomTokenProof<'a> {
    /// The signature of one of these keys.
    Keys(&'a KeySet),
    /// Nothing: the caller is on this machine.
    NotNeeded,
    /// There are no keys, and the caller is not on this machine.
    Impossible,
}

/// A custom token's content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CustomToken {
    pub(crate) local_id: String,
    pub(crate) claims: Map<String, Value>,
}

/// Reads a custom token that is to be used in the directory of `tenant`.
///
/// # Errors
/// If the token is not acceptable, in Identity Toolkit's words.
pub(crate) fn read(
    text: &str,
    tenant: Option<&str>,
    proof: CustomTokenProof<'_>,
    now: UnixTime,
) -> Result<CustomToken, ApiError> {
    if matches!(proof, CustomTokenProof::Impossible) {
        return Err(ApiError::InvalidCustomToken(
            "((this server has no key to check custom tokens with, and takes unchecked ones from this machine alone))",
        ));
    }
    // Plain JSON is no token at all, but handy in tests; it counts where no proof is asked for.
    if text.starts_with('{') && matches!(proof, CustomTokenProof::NotNeeded) {
        let payload = strict_json::parse_object(text.as_bytes())
            .map_err(|_| ApiError::InvalidCustomToken("((not a JSON object))"))?;
        return read_payload(&payload);
    }
    let token =
        CompactJws::parse(text).map_err(|_| ApiError::InvalidCustomToken("Invalid assertion format"))?;
    if token.payload_text("aud") != Some(AUDIENCE) {
        return Err(ApiError::InvalidCustomToken(
            "((the audience is not Identity Toolkit; an ID token is no custom token))",
        ));
    }
    let is_proven = match proof {
        CustomTokenProof::Keys(keys) => {
            // The Admin SDKs send no key id, so every key is tried.
            token.header_text("alg") == Some("RS256")
                && keys.key_ids().filter_map(|key_id| keys.find(key_id)).any(|key| key.verifies(&token))
        }
        CustomTokenProof::NotNeeded => is_unsigned(&token) || token.header_text("alg") == Some("RS256"),
        CustomTokenProof::Impossible => false,
    };
    if !is_proven {
        return Err(ApiError::InvalidCustomToken("The signature is not valid for this project"));
    }
    let expires_at = token.payload().integer("exp").map(UnixTime::from_seconds);
    if expires_at.is_none_or(|expires_at| expires_at <= now) {
        return Err(ApiError::InvalidCustomToken("The custom token has expired"));
    }
    if token.payload_text("tenant_id") != tenant {
        return Err(ApiError::TenantIdMismatch);
    }
    read_payload(&token.into_payload())
}

fn read_payload(payload: &Map<String, Value>) -> Result<CustomToken, ApiError> {
    let local_id = match payload.get("uid").or_else(|| payload.get("user_id")) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(ApiError::MissingIdentifier),
    };
    let local_id = checked::local_id(local_id)
        .map_err(|_| ApiError::InvalidCustomToken("The uid is longer than 128 characters"))?;
    let claims = match payload.get("claims") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(claims)) => claims.clone(),
        Some(_) => return Err(ApiError::InvalidClaims),
    };
    checked::claims(&claims)?;
    if serde_json::to_string(&claims)
        .is_ok_and(|text| text.encode_utf16().count() > CUSTOM_ATTRIBUTES_UNITS_MAX)
    {
        return Err(ApiError::ClaimsTooLarge);
    }
    Ok(CustomToken { local_id, claims })
}

#[cfg(test)]
mod tests {
    use firegate_core::jose::{RsaSigner, encode_base64url};
    use serde_json::json;

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    fn unsigned(payload: &Value) -> String {
        let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
        format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(payload))
    }

    fn payload() -> Value {
        json!({ "aud": AUDIENCE, "iat": 1_700_000_000, "exp": 1_700_003_600, "uid": "alice" })
    }

    fn with(name: &str, value: Value) -> String {
        let mut payload = payload();
        payload[name] = value;
        unsigned(&payload)
    }

    #[test]
    fn tokens_are_checked_in_all_but_the_signature() {
        fn check(token: &str, tenant: Option<&str>, expected: Result<&str, ApiError>) {
            let read = read(token, tenant, CustomTokenProof::NotNeeded, NOW).map(|token| token.local_id);
            assert_eq!(read, expected.map(str::to_owned), "{token}");
        }
        let invalid = |token: &str, part: &str| {
            let error = read(token, None, CustomTokenProof::NotNeeded, NOW).unwrap_err().to_string();
            assert!(error.starts_with("INVALID_CUSTOM_TOKEN : ") && error.contains(part), "{error}");
        };
        check(&unsigned(&payload()), None, Ok("alice"));
        check(r#"{"uid":"bob","claims":{"role":"admin"}}"#, None, Ok("bob"));
        check(r#"{"uid":7}"#, None, Ok("7"));
        check(r#"{"claims":{}}"#, None, Err(ApiError::MissingIdentifier));
        check(r#"{"uid":"bob","claims":{"sub":"root"}}"#, None, Err(ApiError::ForbiddenClaim("sub")));
        check(&with("claims", json!([])), None, Err(ApiError::InvalidClaims));
        check(&with("claims", json!({ "a": "x".repeat(1000) })), None, Err(ApiError::ClaimsTooLarge));
        check(&with("tenant_id", json!("t")), Some("t"), Ok("alice"));
        check(&with("tenant_id", json!("t")), None, Err(ApiError::TenantIdMismatch));
        check(&unsigned(&payload()), Some("t"), Err(ApiError::TenantIdMismatch));
        invalid(&with("aud", json!("p")), "audience");
        invalid(&with("exp", json!(1_700_000_000)), "expired");
        invalid(&with("exp", json!(null)), "expired");
        invalid(&with("uid", json!("x".repeat(129))), "128");
        invalid("x.y", "Invalid assertion format");
    }

    #[test]
    fn with_keys_only_their_signature_counts() {
        let signer = RsaSigner::generate().unwrap();
        let document = json!({ "keys": [signer.public_jwk()] }).to_string();
        let keys = KeySet::parse_rs256(document.as_bytes()).unwrap();
        let check = |token: &str, accepted: bool| {
            assert_eq!(read(token, None, CustomTokenProof::Keys(&keys), NOW).is_ok(), accepted, "{token}");
        };
        check(&signer.sign(&payload()).unwrap(), true);
        check(&RsaSigner::generate().unwrap().sign(&payload()).unwrap(), false);
        check(&unsigned(&payload()), false);
        check(r#"{"uid":"bob"}"#, false);
    }

    #[test]
    fn strangers_cannot_bring_unproven_tokens() {
        let refused = read(&unsigned(&payload()), None, CustomTokenProof::Impossible, NOW).unwrap_err();
        assert!(refused.to_string().starts_with("INVALID_CUSTOM_TOKEN : "), "{refused}");
    }
}
