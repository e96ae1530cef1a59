use std::fmt;
use std::sync::Arc;

use super::{ReadTokens, TokenKind};
use crate::jose::{CompactJws, KeySet, PublicKey};
use crate::time::UnixTime;

/// What is known of one issuer's keys at this moment.
#[derive(Clone, Debug, Default)]
pub enum KeyState {
    /// Nothing that may be used: never fetched, or too old.
    #[default]
    Missing,
    /// A set that may be used: fetched lately, or kept within the stale bound while the endpoint is out of reach.
    Usable(Arc<KeySet>),
}

/// Signatures that were found good. It holds that verdict and no other: claims, times, tenant and policy are judged anew
/// with every request, and a refusal is never kept, so that a stranger cannot fill it.
pub trait VerifiedSignatures: fmt::Debug + Send + Sync {
    /// Whether the signature of the token with this [digest](KeySet::digest_of) was found good.
    fn contains(&self, digest: &[u8; 32]) -> bool;

    /// Takes note that it was. From `expires_at` on the token is worth nothing, and neither is this verdict.
    fn insert(&self, digest: [u8; 32], expires_at: UnixTime);
}

/// The keys of all accepted issuers, pinned to them: a key of one never verifies the tokens of another.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    /// Keys of ID tokens.
    pub id_token: KeyState,
    /// Keys of session cookies.
    pub session_cookie: KeyState,
    /// Keys of Google ID tokens.
    pub google_id_token: KeyState,
    /// Keys of exchanged tokens: those that Firegate publishes itself.
    pub exchanged_token: KeyState,
    /// Keys of App Check tokens.
    pub app_check: KeyState,
    /// The signatures that were found good with these keys before, if that is remembered.
    pub verified: Option<Arc<dyn VerifiedSignatures>>,
    /// The tokens that were read before, if that is remembered.
    pub read: Option<Arc<dyn ReadTokens>>,
}

/// What is found of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureVerdict {
    /// It was found good before.
    Remembered,
    Good,
    Bad,
}

impl KeyRing {
    /// The keys for one kind of token.
    pub fn state(&self, kind: TokenKind) -> &KeyState {
        match kind {
            TokenKind::IdToken => &self.id_token,
            TokenKind::SessionCookie => &self.session_cookie,
            TokenKind::GoogleIdToken => &self.google_id_token,
            TokenKind::ExchangedToken => &self.exchanged_token,
            TokenKind::AppCheck => &self.app_check,
        }
    }

    /// Whether `key`, one of `keys`, made the token's signature.
    pub(crate) fn verifies(&self, keys: &KeySet, key: &PublicKey, token: &CompactJws<'_>) -> bool {
        self.verify(keys, key, token) != SignatureVerdict::Bad
    }

    /// The same, telling whether it was known before.
    pub(crate) fn verify(&self, keys: &KeySet, key: &PublicKey, token: &CompactJws<'_>) -> SignatureVerdict {
        let verify = || if key.verifies(token) { SignatureVerdict::Good } else { SignatureVerdict::Bad };
        let Some(verified) = &self.verified else { return verify() };
        let digest = keys.digest_of(token);
        if verified.contains(&digest) {
            return SignatureVerdict::Remembered;
        }
        let verdict = verify();
        // A token that does not say when it ends is refused, so nothing is kept of it.
        if verdict == SignatureVerdict::Good
            && let Some(expires_at) = token.payload().integer("exp")
        {
            verified.insert(digest, UnixTime::from_seconds(expires_at));
        }
        verdict
    }
}
