use std::fmt;
use std::sync::Arc;

use super::check::Times;
use super::{IdentityRules, KeyRing, KeyState, Principal, TokenKind};
use crate::jose::CompactJws;
use crate::time::UnixTime;

/// A token that was taken apart before, and whom it named when every check let it pass. Both follow from its text and the rules
/// that it was judged by, so they may be kept; its times and its signature are judged anew each time, and by other rules
/// everything is.
#[derive(Debug)]
pub struct ReadToken {
    pub(super) jws: CompactJws<'static>,
    pub(super) kind: TokenKind,
    pub(super) times: Times,
    pub(super) principal: Arc<Principal>,
    /// Those that it passed by: these very ones, held on to so that no others take their place in memory.
    rules: Arc<IdentityRules>,
}

/// The tokens that were read lately. Only those get in that passed every check with a signature that had been seen before: a
/// stranger cannot fill it, and neither do users who come once.
pub trait ReadTokens: fmt::Debug + Send + Sync {
    /// The token of exactly this text.
    fn get(&self, text: &str) -> Option<Arc<ReadToken>>;

    /// Takes note of one.
    fn insert(&self, token: Arc<ReadToken>);
}

impl ReadToken {
    pub(super) fn new(
        jws: CompactJws<'static>,
        kind: TokenKind,
        times: Times,
        rules: &Arc<IdentityRules>,
        principal: Arc<Principal>,
    ) -> Self {
        Self { jws, kind, times, principal, rules: Arc::clone(rules) }
    }

    /// Whether it passed by these very rules.
    pub(super) fn has_passed(&self, rules: &Arc<IdentityRules>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// Whether it can pass no more: it has expired, or its key is none of its issuer's any longer. Without any keys nothing is
    /// known of that.
    pub fn is_spent(&self, keys: &KeyRing, now: UnixTime) -> bool {
        let is_retired = |key_id| match keys.state(self.kind) {
            KeyState::Usable(keys) => keys.find(key_id).is_none(),
            KeyState::Missing => false,
        };
        self.principal.expires_at() <= now || self.jws.header_text("kid").is_some_and(is_retired)
    }

    /// Its text.
    pub fn text(&self) -> &str {
        self.jws.text()
    }
}
