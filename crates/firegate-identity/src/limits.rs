//! Every bound of the server, named and in one place.

use std::time::Duration;

/// The largest request body that is read.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a client may take to send a request body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many connections of this machine may be open at once; one more is closed.
pub const CONNECTIONS_MAX: usize = 1024;

/// How many connections of other machines may be open at once; one more is closed.
pub const OTHERS_CONNECTIONS_MAX: usize = 64;

/// How many requests one HTTP/2 connection may have under way at once.
pub const CONNECTION_STREAMS_MAX: u32 = 8;

/// How long a connection may be open without a request under way. A head that is not whole yet is none.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest head of an HTTP/1 request.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The pause after a connection could not be taken, for example because the process has too many files open.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How long requests under way may last once the server is told to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How many operations may be at work on the blocking pool at once; the others wait for their turn.
pub const OPERATIONS_CONCURRENT_MAX: usize = 64;

/// The memory of one argon2id hash in KiB: OWASP's minimum for two passes and one lane.
pub const PASSWORD_HASH_MEMORY_KIBIBYTES: u32 = 19_456;

/// The passes of one argon2id hash.
pub const PASSWORD_HASH_PASSES: u32 = 2;

/// The lanes of one argon2id hash.
pub const PASSWORD_HASH_LANES: u32 = 1;

/// The shortest password that is accepted, in characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 6;

/// The longest password that is accepted, in characters.
pub const PASSWORD_CHARACTERS_MAX: usize = 4096;

/// The longest user id, in characters.
pub const LOCAL_ID_CHARACTERS_MAX: usize = firegate_core::limits::SUBJECT_CHARACTERS_MAX;

/// How long a generated user id is, in characters, as Identity Platform's are.
pub const LOCAL_ID_GENERATED_CHARACTERS: usize = 28;

/// The longest project or tenant id, in characters.
pub const DIRECTORY_ID_CHARACTERS_MAX: usize = 128;

/// The longest e-mail address, in bytes.
pub const EMAIL_BYTES_MAX: usize = 256;

/// The longest display name, in characters.
pub const DISPLAY_NAME_CHARACTERS_MAX: usize = 256;

/// The longest photo URL, in bytes.
pub const PHOTO_URL_BYTES_MAX: usize = 2048;

/// The fewest and the most digits of an E.164 phone number.
pub const PHONE_NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// The longest serialised custom claims, in UTF-16 units as Google counts them.
pub const CUSTOM_ATTRIBUTES_UNITS_MAX: usize = 1000;

/// How many accounts one lookup may ask for, per kind of identifier.
pub const LOOKUP_IDENTIFIERS_MAX: usize = 1000;

/// How many accounts one `accounts:batchDelete` may name.
pub const BATCH_DELETE_MAX: usize = 1000;

/// How many accounts a page of `accounts:batchGet` holds if the caller does not say.
pub const PAGE_ACCOUNTS_DEFAULT: usize = 20;

/// How many accounts a page of `accounts:batchGet` holds at most.
pub const PAGE_ACCOUNTS_MAX: usize = 1000;

/// How many accounts are kept, of all projects and tenants together; whoever signs up then is refused. Every web page that a
/// developer looks at can sign users up, and whoever is in the network with `firegate dev --lan`.
pub const ACCOUNTS_MAX: usize = 100_000;

/// How many refresh tokens are kept, of all accounts together, also of those that are no more; the oldest go first.
pub const REFRESH_TOKENS_MAX: i64 = 250_000;

/// How many refresh tokens an account keeps; the oldest go first.
pub const REFRESH_TOKENS_PER_ACCOUNT_MAX: u32 = 100;

/// The entropy of a refresh token.
pub const REFRESH_TOKEN_BYTES: usize = 32;

/// The longest refresh token that is looked at.
pub const REFRESH_TOKEN_TEXT_BYTES_MAX: usize = 1024;

/// How long an ID token lives.
pub const ID_TOKEN_LIFETIME: Duration = firegate_core::limits::ID_TOKEN_LIFETIME_MAX;

/// The shortest life of a session cookie that can be asked for.
pub const SESSION_COOKIE_LIFETIME_MIN: Duration = Duration::from_secs(300);

/// The longest life of a session cookie, and the one that is given if none is asked for.
pub const SESSION_COOKIE_LIFETIME_MAX: Duration = firegate_core::limits::SESSION_COOKIE_LIFETIME_MAX;

/// How long a client may keep the public keys. Short, because a server without a data directory has new keys after
/// every start.
pub const PUBLIC_KEYS_MAX_AGE: Duration = Duration::from_secs(300);

/// How large the file of a signing key may be, in bytes: one of 2,048 bits has some 1,200.
pub const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// How long before its making a certificate is valid, for clients whose clock is behind.
pub const CERTIFICATE_BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// How long a certificate is valid.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a browser may keep the answer to a preflight.
pub const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3600);
