//! Keys under which every signature counts: for the answer to what would be if the signature were valid.

use std::sync::Arc;

use firegate_core::identity::{KeyRing, KeyState, VerifiedSignatures};
use firegate_core::jose::{CompactJws, KeySet};
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

    fn insert(&self, _digest: [u8; 32]) {}
}

/// Keys by which the token's signature is good, whatever its kind; none for a text that names no key. What is decided with
/// them is a conditional, and is never shown as the answer.
pub(super) fn keys_that_believe(token: &str) -> KeyRing {
    let Some(key_id) =
        CompactJws::parse(token).ok().and_then(|jws| jws.header_text("kid").map(str::to_owned))
    else {
        return KeyRing::default();
    };
    let [x, y] = EXAMPLE_KEY;
    let document = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": key_id}]});
    let Ok(keys) = KeySet::parse_es256(document.to_string().as_bytes()) else { return KeyRing::default() };
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
