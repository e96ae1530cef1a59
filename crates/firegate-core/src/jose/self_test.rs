//! The check of the checks, made once at start: a cryptographic library that was built wrongly says so before the first
//! request, and not by letting everybody in or nobody.

use super::{CompactJws, KeySet};

/// A token whose private key was thrown away, and the key that it was signed with.
const TOKEN: &str = include_str!("self_test/token.txt");
const KEYS: &[u8] = include_bytes!("self_test/keys.json");

/// Verifies a constant token, and finds the forgeries of it.
///
/// # Errors
/// If a good signature is not verified, or a bad one is.
pub fn self_test() -> Result<(), SelfTestError> {
    let keys = KeySet::parse_rs256(KEYS).map_err(|_| SelfTestError)?;
    let verifies = |text: &str| {
        let token = CompactJws::parse(text).ok()?;
        Some(keys.find(token.header_text("kid")?)?.verifies(&token))
    };
    let (words, signature) = TOKEN.rsplit_once('.').ok_or(SelfTestError)?;
    let other_signature = match signature.strip_prefix('A') {
        Some(rest) => format!("B{rest}"),
        None => format!("A{}", signature.get(1..).unwrap_or_default()),
    };
    let forged = format!("{words}.{other_signature}");
    let unsigned = format!("{words}.");
    let is_sound = verifies(TOKEN) == Some(true)
        && verifies(&forged) == Some(false)
        && verifies(&unsigned) == Some(false);
    if is_sound { Ok(()) } else { Err(SelfTestError) }
}

/// The verification of signatures does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the verification of signatures does not work: a known token was not told from its forgeries\nhint: the binary was built \
     wrongly; use a released one, or report how this one was built"
)]
pub struct SelfTestError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_build_is_sound() {
        assert_eq!(self_test(), Ok(()));
    }
}
