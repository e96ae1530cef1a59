//! What is said once for each backend, and not with every request.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// What the Admin SDK asks for in its emulator mode, of which it says only that a signature is not valid.
const OF_EMULATOR_MODE: &str = "in its emulator mode (`FIREBASE_AUTH_EMULATOR_HOST`) firebase-admin takes unsigned tokens alone: start `firegate dev` with \
     `--token-signing none`";

/// What has been said, and what is to be said of tokens.
#[derive(Debug)]
pub(crate) struct Hints {
    /// Tokens are signed by the local identity server, which can leave that out.
    signs_locally: bool,
    /// The backends of which it has been said that they answered 401.
    given: Mutex<HashSet<String>>,
}

impl Hints {
    pub(crate) fn new(signs_locally: bool) -> Self {
        Self { signs_locally, given: Mutex::default() }
    }

    /// The service itself answered 401, and did not get the user's token.
    pub(super) fn user_token_dropped(&self, backend: &str) {
        if self.is_first(backend) {
            let emulator_mode =
                if self.signs_locally { ["; ", OF_EMULATOR_MODE].concat() } else { String::new() };
            tracing::info!(
                backend,
                "the service itself answered 401 and did not get the user's token; hint: if it verifies Firebase tokens, set \
                 `user_token: forward`{emulator_mode}"
            );
        }
    }

    /// The service itself answered 401 although it got the user's token, in which it may find what it does not expect here.
    pub(super) fn user_token_refused(&self, backend: &str) {
        if self.signs_locally && self.is_first(backend) {
            tracing::info!(
                backend,
                "the service itself answered 401, and it got the user's token; hint: {OF_EMULATOR_MODE}"
            );
        }
    }

    fn is_first(&self, backend: &str) -> bool {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(backend.to_owned())
    }
}
