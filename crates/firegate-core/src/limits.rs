//! Every bound of the decision, named and in one place. A limit that a peer can reach has a test that reaches it.

use std::time::Duration;

/// The longest token that is looked at: an ID token with the largest custom claims has about 3 KiB.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// How deep the JSON of a token or a key set may nest.
pub const JSON_DEPTH_MAX: usize = 32;

/// How many values the JSON of a key set may hold in all.
pub const JSON_VALUES_MAX: usize = 4096;

/// How many values a token's header or payload may hold in all: more than the groups of anybody who fits into
/// [`TOKEN_BYTES_MAX`], and fewer than as many bytes could hold, because each costs time before anything is verified.
pub const TOKEN_VALUES_MAX: usize = 2048;

/// How many members the objects of a token's header or payload may have in all, nested ones included. Identity Platform
/// takes 1000 bytes of custom claims; the rest is for the groups of an enterprise's SAML or OIDC provider.
pub const TOKEN_MEMBERS_MAX: usize = 512;

/// How many keys a published key set may hold.
pub const KEY_SET_KEYS_MAX: usize = 64;

/// The shortest RSA modulus that is accepted.
pub const RSA_MODULUS_BITS_MIN: usize = 2048;

/// The longest user id of Identity Platform, in characters as the Admin SDK for Node.js counts them: UTF-16 code units.
pub const SUBJECT_CHARACTERS_MAX: usize = 128;

/// The longest `google.subject` of workload identity federation, one less than the longest user id.
pub const FEDERATED_SUBJECT_BYTES_MAX: usize = 127;

/// The longest life of an ID token that Identity Platform mints: one hour.
pub const ID_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(3600);

/// The longest life of a session cookie: two weeks.
pub const SESSION_COOKIE_LIFETIME_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

/// The largest clock skew that can be configured; the Go Admin SDK's 300 seconds are the most that anyone uses.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

/// The longest life of Firegate's own assertion.
pub const ASSERTION_LIFETIME_MAX: Duration = Duration::from_secs(300);

/// The longest path that is normalised and matched.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// The longest life of an App Check token: what the console lets a project choose.
pub const APP_CHECK_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest app ID that is looked at.
pub const APP_ID_BYTES_MAX: usize = 256;

/// The longest life of a Google ID token: one hour.
pub const GOOGLE_ID_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(3600);

/// The longest life of a token that Firegate exchanges for a user's.
pub const EXCHANGED_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(300);

/// The longest form that the token exchange reads: a token and a few short parameters.
pub const EXCHANGE_FORM_BYTES_MAX: usize = 32 * 1024;

/// How much of a header's value a refusal quotes in the log: any host's whole name, with its scheme and port.
pub const CLIENT_TEXT_SHOWN_BYTES_MAX: usize = 288;

/// How many of a backend's members a refusal names in the log.
pub const MEMBERS_SHOWN_MAX: usize = 20;

/// How many members that were near a refusal tells of in the log.
pub const NEAR_SHOWN_MAX: usize = 5;

/// The longest name of a request that is taken from a proxy.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Among how many locks the windows of rate limits are spread.
pub const LIMITER_SHARDS: usize = 640;

/// How many keys of rate limits are held under one of these locks: 1,146,880 in all, in about 120 MiB. What a table of 2,048
/// places takes without growing.
pub const LIMITER_KEYS_PER_SHARD_MAX: usize = 1792;

/// How often a full table of rate limits is looked through for keys that are over.
pub const LIMITER_SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// For how many rules of rate limits there are counters of their own in the metrics; the others share one.
pub const LIMITER_LABELS_MAX: usize = 1000;

/// The longest host that is looked for among a URL map's wildcards: a name (RFC 1035, section 2.3.4) and a port.
pub const HOST_BYTES_MAX: usize = 255 + 6;

/// How many bytes of a header, cookie or path a limit counts by, as in Cloud Armor.
pub const RATE_LIMIT_KEY_BYTES_MAX: usize = 128;

/// How many characters of a key Google's logs show.
pub const RATE_LIMIT_KEY_LOGGED_BYTES_MAX: usize = 36;

/// How many strange things about a security policy's rules are noted of one request.
pub const ARMOR_NOTES_MAX: usize = 8;

/// How many routes that nearly matched are told of.
pub const NEAR_ROUTES_SHOWN_MAX: usize = 5;

/// How many methods a request may name beside its own, where a rule asks for the method: the registered ones that frameworks
/// take are fewer, and each is one more reading of the request.
pub const OTHER_METHODS_MAX: usize = 8;
