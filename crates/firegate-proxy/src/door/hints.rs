//! What is said once for each backend, and not with every request.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The backends of which it has been said.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    given: Mutex<HashSet<String>>,
}

impl Hints {
    /// The service itself answered 401, and did not get the user's token.
    pub(super) fn user_token_dropped(&self, backend: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.insert(backend.to_owned()) {
            tracing::info!(
                backend,
                "the service itself answered 401 and did not get the user's token; hint: if it verifies Firebase tokens, set \
                 `user_token: forward`"
            );
        }
    }
}
