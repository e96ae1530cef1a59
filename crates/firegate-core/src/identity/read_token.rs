use std::fmt;
use std::sync::Arc;

use super::{Principal, TokenKind};
use crate::jose::CompactJws;

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

    /// Its text.
    pub fn text(&self) -> &str {
        self.jws.text()
    }
}
