//! Every bound of the explanation, named and in one place.

use std::time::Duration;

/// The longest text that is read as a token: more than the longest token, so that one that is too long is explained too.
pub const TOKEN_TEXT_BYTES_MAX: usize = 64 * 1024;

/// How long fetching a key set may take in all.
pub const KEYS_TIMEOUT: Duration = Duration::from_secs(3);

/// The width of the text, in characters.
pub const LINE_CHARACTERS_MAX: usize = 100;

/// How often something is taken off a pasted text before it counts as the token.
pub(super) const WRAPPINGS_MAX: usize = 8;

/// How many characters of a value are shown: a claim of a stranger must not bury the answer.
pub(super) const VALUE_CHARACTERS_MAX: usize = 400;
