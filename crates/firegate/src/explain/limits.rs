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

/// How many rules of a security policy are told of.
pub(super) const RULES_SHOWN_MAX: usize = 12;

/// How many parts of an expression are told of.
pub(super) const PARTS_SHOWN_MAX: usize = 6;

/// How many ranges of a rule are told of.
pub(super) const RANGES_SHOWN_MAX: usize = 4;

/// How many members and deny rules are told of.
pub(super) const MEMBERS_SHOWN_MAX: usize = 20;

/// The longest file that is read as a request: more than the longest head, so that one that is too long is explained too.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The longest entry of a log that is read.
pub const LOG_ENTRY_BYTES_MAX: usize = 256 * 1024;

/// How many bytes of a log are read without an entry among them: what goes on so long is another file, or a device without an
/// end.
pub const LOG_GAP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// By how much the entries of a log may be out of the order of time and are put into it.
pub const LOG_DISORDER_MAX: Duration = Duration::from_secs(2);

/// How many bytes of entries wait for earlier ones.
pub const LOG_WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many groups of recorded requests, and of rules that are tried out, are told apart.
pub(super) const SIMULATION_GROUPS_MAX: usize = 1_000;

/// How many of them are shown as text under one heading.
pub(super) const SIMULATION_GROUPS_SHOWN_MAX: usize = 20;

/// How many requests of a group are shown.
pub(super) const EXAMPLES_SHOWN_MAX: usize = 3;

/// How many numbers are tried to find one by which chance draws a service: many for each of the smallest weight.
pub(super) const DRAWS_MAX: u64 = 100_000;

/// How many lines of a log are shown that are of no request.
pub(super) const BAD_LINES_SHOWN_MAX: usize = 10;

/// How often it is told how far a long log was read.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
