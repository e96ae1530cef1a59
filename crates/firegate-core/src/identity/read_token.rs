use std::fmt;
use std::sync::Arc;

use super::{KeyRing, KeyState, Principal, TokenKind};
use crate::jose::CompactJws;
use crate::time::UnixTime;

/// A token that was taken apart before, and whom it named when every check let it pass. Both follow from its text alone, so
/// they may be kept; whether it passes is judged anew each time, signature, times and policy included.
#[derive(Debug)]
pub struct ReadToken {
    pub(super) jws: CompactJws<'static>,
    kind: TokenKind,
    project: Box<str>,
    principal: Arc<Principal>,
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
        jws: CompactJws<'_>,
        kind: TokenKind,
        project: &str,
        principal: Arc<Principal>,
    ) -> Self {
        Self { jws: jws.into_owned(), kind, project: project.into(), principal }
    }

    /// Whom it names, if it is still read as the same kind of token of the same project.
    pub(super) fn principal(&self, kind: TokenKind, project: &str) -> Option<&Arc<Principal>> {
        (self.kind == kind && *self.project == *project).then_some(&self.principal)
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
