//! Keys under which every signature counts: for the answer to what would be if the signature were valid.

use std::sync::Arc;

use firegate_core::identity::{KeyRing, KeyState, TokenKind, VerifiedSignatures};
use firegate_core::jose::{CompactJws, KeySet};
use firegate_core::time::UnixTime;
use serde_json::json;

/// The public key of RFC 7515, appendix A.3.1. It stands where some key has to, and verifies nothing here.
const EXAMPLE_KEY: [&str; 2] =
    ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];

/// Takes every signature for one that was found good before.
#[derive(Debug)]
struct EverySignature;

impl VerifiedSignatures for EverySignature {
    fn contains(&self, _digest: &[u8; 32]) -> bool {
        true
    }

    fn insert(&self, _digest: [u8; 32], _expires_at: UnixTime) {}
}

/// Takes the signature of one token for a good one, beside those that were before.
#[derive(Debug)]
struct SignatureOf {
    digest: [u8; 32],
    before: Option<Arc<dyn VerifiedSignatures>>,
}

impl VerifiedSignatures for SignatureOf {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        self.digest == *digest || self.before.as_ref().is_some_and(|before| before.contains(digest))
    }

    fn insert(&self, _digest: [u8; 32], _expires_at: UnixTime) {}
}

/// Keys by which the token's signature is good, whatever its kind; none for a text that names no key. What is decided with
/// them is a conditional, and is never shown as the answer.
pub(crate) fn keys_that_believe(token: &str) -> KeyRing {
    let Some(keys) = key_named_by(token) else { return KeyRing::default() };
    let state = KeyState::Usable(Arc::new(keys));
    KeyRing {
        id_token: state.clone(),
        session_cookie: state.clone(),
        google_id_token: state.clone(),
        exchanged_token: state,
        app_check: KeyState::Missing,
        verified: Some(Arc::new(EverySignature)),
        read: None,
    }
}

/// Makes the signature of this one token good, by keys of its kind that were missing. Other signatures are checked as before.
pub(super) fn believe(ring: &mut KeyRing, kind: TokenKind, token: &str) {
    let (Some(keys), Ok(jws)) = (key_named_by(token), CompactJws::parse(token)) else { return };
    let digest = keys.digest_of(&jws);
    let before = ring.verified.take();
    ring.verified = Some(Arc::new(SignatureOf { digest, before }));
    let state = KeyState::Usable(Arc::new(keys));
    match kind {
        TokenKind::IdToken => ring.id_token = state,
        TokenKind::SessionCookie => ring.session_cookie = state,
        TokenKind::GoogleIdToken => ring.google_id_token = state,
        TokenKind::ExchangedToken => ring.exchanged_token = state,
        TokenKind::AppCheck => ring.app_check = state,
    }
}

/// A key set with one key, which has the name that the token says.
fn key_named_by(token: &str) -> Option<KeySet> {
    let jws = CompactJws::parse(token).ok()?;
    let [x, y] = EXAMPLE_KEY;
    let key = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": jws.header_text("kid")?});
    KeySet::parse_es256(json!({"keys": [key]}).to_string().as_bytes()).ok()
}
