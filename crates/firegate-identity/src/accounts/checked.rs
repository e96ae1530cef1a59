//! Values from requests, each proven to be what its name says.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::limits::{
    CUSTOM_ATTRIBUTES_UNITS_MAX, DISPLAY_NAME_CHARACTERS_MAX, EMAIL_BYTES_MAX, LOCAL_ID_CHARACTERS_MAX,
    PHONE_NUMBER_DIGITS, PHOTO_URL_BYTES_MAX,
};

/// The claims that nobody may set by custom attributes or a custom token.
pub(crate) const REFUSED_CLAIMS: [&str; 16] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "cnf",
    "exp",
    "firebase",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "sub",
];

/// A user id: 1 to 128 characters.
pub(crate) fn local_id(text: String) -> Result<String, ApiError> {
    let fits = (1..=LOCAL_ID_CHARACTERS_MAX).contains(&text.chars().count());
    if fits { Ok(text) } else { Err(ApiError::InvalidLocalId) }
}

/// An address in lower case, which is how Identity Platform compares them.
pub(crate) fn email(text: &str) -> Result<String, ApiError> {
    let plausible = text.len() <= EMAIL_BYTES_MAX
        && !text.contains(|character: char| character.is_whitespace() || character.is_control())
        && matches!(text.split_once('@'), Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if plausible { Ok(text.to_lowercase()) } else { Err(ApiError::InvalidEmail) }
}

/// A phone number in E.164 form.
pub(crate) fn phone_number(text: String) -> Result<String, ApiError> {
    let plausible = text.strip_prefix('+').is_some_and(|digits| {
        PHONE_NUMBER_DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if plausible { Ok(text) } else { Err(ApiError::InvalidPhoneNumber) }
}

/// A display name.
pub(crate) fn display_name(text: String) -> Result<String, ApiError> {
    let fits = text.chars().count() <= DISPLAY_NAME_CHARACTERS_MAX;
    if fits { Ok(text) } else { Err(ApiError::InvalidDisplayName) }
}

/// A photo's URL, of which only the length is checked, as Identity Platform does.
pub(crate) fn photo_url(text: String) -> Result<String, ApiError> {
    if text.len() <= PHOTO_URL_BYTES_MAX { Ok(text) } else { Err(ApiError::InvalidPhotoUrl) }
}

/// Serialised custom claims.
pub(crate) fn custom_attributes(text: String) -> Result<String, ApiError> {
    if text.encode_utf16().count() > CUSTOM_ATTRIBUTES_UNITS_MAX {
        return Err(ApiError::ClaimsTooLarge);
    }
    let object = firegate_core::jose::strict_json::parse_object(text.as_bytes())
        .map_err(|_| ApiError::InvalidClaims)?;
    claims(&object)?;
    Ok(text)
}

/// Checks the claims of custom attributes or of a custom token.
///
/// # Errors
/// If a reserved name is used.
pub(crate) fn claims(claims: &Map<String, Value>) -> Result<(), ApiError> {
    match REFUSED_CLAIMS.iter().find(|name| claims.contains_key(**name)) {
        Some(name) => Err(ApiError::ForbiddenClaim(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_lower_case() {
        fn check(text: &str, expected: Result<&str, ApiError>) {
            assert_eq!(email(text), expected.map(str::to_owned), "{text}");
        }
        check("Alice@Example.COM", Ok("alice@example.com"));
        check("alice", Err(ApiError::InvalidEmail));
        check("alice@", Err(ApiError::InvalidEmail));
        check("@example.com", Err(ApiError::InvalidEmail));
        check("a@b@example.com", Err(ApiError::InvalidEmail));
        check("a b@example.com", Err(ApiError::InvalidEmail));
        check(&format!("{}@example.com", "a".repeat(EMAIL_BYTES_MAX)), Err(ApiError::InvalidEmail));
    }

    #[test]
    fn custom_attributes_are_a_bounded_object_without_reserved_names() {
        fn check(text: &str, expected: Result<(), ApiError>) {
            assert_eq!(custom_attributes(text.to_owned()).map(drop), expected, "{text}");
        }
        check(r#"{"role":"admin"}"#, Ok(()));
        check(r#"{"email":"x"}"#, Ok(()));
        check("{}", Ok(()));
        check("[]", Err(ApiError::InvalidClaims));
        check("", Err(ApiError::InvalidClaims));
        check(r#"{"a":1,"a":2}"#, Err(ApiError::InvalidClaims));
        check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(992)), Ok(()));
        check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(993)), Err(ApiError::ClaimsTooLarge));
        for name in REFUSED_CLAIMS {
            check(&format!(r#"{{"{name}":1}}"#), Err(ApiError::ForbiddenClaim(name)));
        }
    }
}
