use std::sync::Arc;

use super::TokenKind;
use crate::jose::KeySet;

/// What is known of one issuer's keys at this moment.
#[derive(Clone, Debug, Default)]
pub enum KeyState {
    /// Nothing that may be used: never fetched, or too old.
    #[default]
    Missing,
    /// A set that may be used: fetched lately, or kept within the stale bound while the endpoint is out of reach.
    Usable(Arc<KeySet>),
}

/// The keys of all accepted issuers, pinned to them: a key of one never verifies the tokens of another.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    /// Keys of ID tokens.
    pub id_token: KeyState,
    /// Keys of session cookies.
    pub session_cookie: KeyState,
}

impl KeyRing {
    /// The keys for one kind of token.
    pub fn state(&self, kind: TokenKind) -> &KeyState {
        match kind {
            TokenKind::IdToken => &self.id_token,
            TokenKind::SessionCookie => &self.session_cookie,
        }
    }
}
