//! Every bound of the files, named and in one place.

use std::time::Duration;

/// The largest file that is read; a Google export of a large security policy has about 100 KiB.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// How deep the mappings and lists of a file may nest.
pub const YAML_DEPTH_MAX: usize = 32;

/// How many values a file may hold, with the copies that its aliases make.
pub const YAML_NODES_MAX: usize = 50_000;

/// How many problems are reported; what follows is counted only.
pub const DIAGNOSTICS_MAX: usize = 100;

/// The longest line of a file, in bytes, that is printed with a problem; of a longer one only the position is given.
pub const SOURCE_LINE_BYTES_MAX: usize = 500;

/// How many backends a configuration may have.
pub const BACKENDS_MAX: usize = 1_000;

/// How many Cloud Run services, or tags of them, the URL mask of one backend service may lead to: each becomes a backend.
pub const MASKED_SERVICES_MAX: usize = 1_000;

/// How many endpoints a backend may have: each request to it looks at them all.
pub const ENDPOINTS_MAX: usize = 32;

/// How many requests may be under way to one backend, if it does not say so itself.
pub const BACKEND_REQUESTS_DEFAULT: u64 = 2_048;

/// The most that a backend may say.
pub const BACKEND_REQUESTS_MAX: u64 = 1_000_000;

/// How long there is between two health checks, if the backend does not say so itself.
pub const HEALTH_CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);

/// How long the answer to a health check may take, if the backend does not say so itself.
pub const HEALTH_CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// How many routes the short form may have.
pub const ROUTES_MAX: usize = 10_000;

/// How many members one `allow` list may have: Google's bound for a whole IAM policy.
pub const MEMBERS_MAX: usize = 1_500;

/// The longest member, in bytes.
pub const MEMBER_BYTES_MAX: usize = 1_024;

/// How many members an IAM policy may have at Google, over all bindings (<https://cloud.google.com/iam/quotas#limits>).
pub const POLICY_PRINCIPALS_MAX: usize = 1_500;

/// How many of them may be groups.
pub const POLICY_GROUPS_MAX: usize = 250;

/// How many bindings of one role and one member, which differ in their conditions, a policy may have at Google
/// (<https://cloud.google.com/iam/quotas#limits>).
pub const POLICY_CONDITIONS_OF_ONE_GRANT_MAX: usize = 20;

/// The longest name of a claim, in bytes.
pub const CLAIM_NAME_BYTES_MAX: usize = 128;

/// The longest name of a backend, in characters: it becomes a label of metrics.
pub const BACKEND_NAME_CHARACTERS_MAX: usize = 63;

/// The longest route path, in bytes.
pub const ROUTE_PATH_BYTES_MAX: usize = 2_048;

/// The longest audience, in bytes.
pub const AUDIENCE_BYTES_MAX: usize = 2_048;

/// How many audiences of Google ID tokens may be listed: each is compared with every such token.
pub const GOOGLE_AUDIENCES_MAX: usize = 100;

/// The largest `clock_skew`: the 300 seconds of the Go Admin SDK are the most that anyone uses.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

/// The longest time-out: Cloud Run ends every request after 60 minutes.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// The longest `max_staleness` of a user's status: an ID token lives one hour, so later answers protect nobody.
pub const REVOCATION_STALENESS_MAX: Duration = Duration::from_secs(3_600);

/// The largest `body_bytes_max`, 64 GiB.
pub const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// How many bytes of a body a client has to send in a second, on average, unless the backend's `body_bytes_per_second_min`
/// says otherwise. Messages of gRPC, and what a client sends while it is answered already, are excepted.
pub const BODY_BYTES_PER_SECOND_MIN_DEFAULT: u64 = 240;

/// The largest `body_bytes_per_second_min`, 1 MiB.
pub const BODY_BYTES_PER_SECOND_MIN_MAX: u64 = 1024 * 1024;

/// The largest `verified_tokens_bytes` of the cache, 16 GiB.
pub const CACHE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// How many addresses the public listener may have.
pub const LISTEN_ADDRESSES_MAX: usize = 16;

/// How many connections a configuration may allow at most, in all and from one client.
pub const CONNECTIONS_MAX: u32 = 1_000_000;

/// How many connections one client may have open if the configuration does not say: more than any browser or proxy of an
/// office opens, and a small part of what there is for all.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: u32 = 1024;

/// How many requests a configuration may allow to be under way at most.
pub const REQUESTS_MAX: u32 = 1_000_000;

/// How many requests may be under way if the configuration does not say: half a gigabyte of memory, if each holds 32 KiB.
pub const REQUESTS_DEFAULT: u32 = 16_384;

/// How many trusted proxies may stand before Firegate.
pub const HOPS_MAX: u8 = 16;

/// The largest file of Google's that is read: policies of 10,000 bindings or of 1,000 rules fit in.
pub const GOOGLE_FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many values a file of Google's may hold.
pub const GOOGLE_FILE_NODES_MAX: usize = 500_000;

/// How many cases one file of decision cases may have.
pub const CASES_MAX: usize = 10_000;

/// How often a case may send its request.
pub const CASE_REPEAT_MAX: u32 = 10_000;

/// How many wildcards and variables a path template of a URL map may have (the Compute API's `pathTemplateMatch`).
pub const URL_MAP_TEMPLATE_OPERATORS_MAX: usize = 5;

/// The longest path, prefix, template or redirect of a URL map, in characters (the Compute API).
pub const URL_MAP_TEXT_CHARACTERS_MAX: usize = 1_024;

/// The longest host of a URL map, in characters (the Compute API's `hostRedirect`).
pub const URL_MAP_HOST_CHARACTERS_MAX: usize = 255;

/// The largest weight of a service (the Compute API).
pub const URL_MAP_WEIGHT_MAX: u32 = 1_000;

/// How many tests a URL map may have (the Compute API).
pub const URL_MAP_TESTS_MAX: usize = 100;

/// How often a URL map may let a request be tried again. Each try is a request to a service that may be in trouble.
pub const URL_MAP_RETRIES_MAX: u32 = 25;

/// How many regular expressions a URL map may have: those of paths are tried one by one.
pub const URL_MAP_REGEXES_MAX: usize = 500;

/// How many bytes one regular expression of a URL map may take when it is compiled.
pub const URL_MAP_REGEX_BYTES_MAX: usize = 256 * 1024;

/// How many route rules of one path matcher are compared with each other, to find those that are never reached.
pub const URL_MAP_SHADOWING_RULES_MAX: usize = 500;

/// How many more of a file's keys have to be fields of a format than not, for the file to be taken for one of it.
pub const FORMAT_TELLTALES_MIN: i64 = 2;

/// How many rules a security policy may have.
pub const SECURITY_POLICY_RULES_MAX: usize = 10_000;

/// How many keys a rate limit may count by; Google takes three.
pub const RATE_LIMIT_KEYS_MAX: usize = 8;

/// The longest interval of a rate limit, and the longest ban.
pub const RATE_LIMIT_INTERVAL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The highest count of a rate limit in dialect `firegate`.
pub const RATE_LIMIT_COUNT_MAX: u32 = 1_000_000_000;

/// How many ranges of addresses the rules of a policy may hold in all.
pub const SOURCE_RANGES_MAX: usize = 100_000;

/// Cloud Armor: how many ranges of addresses a rule may have.
/// <https://cloud.google.com/armor/quotas>
pub const GOOGLE_SOURCE_RANGES_MAX: usize = 10;

/// Cloud Armor: how many keys `enforceOnKeyConfigs` may hold.
/// <https://cloud.google.com/armor/docs/rate-limiting-overview>
pub const GOOGLE_RATE_LIMIT_KEYS_MAX: usize = 3;

/// Cloud Armor: the highest count of a `throttle` rule, and of a `rate_based_ban` rule.
pub const GOOGLE_THROTTLE_COUNT_MAX: u32 = 1_000_000;
/// See [`GOOGLE_THROTTLE_COUNT_MAX`].
pub const GOOGLE_BAN_COUNT_MAX: u32 = 10_000;

/// Cloud Armor: the longest description of a rule, in characters.
pub const GOOGLE_DESCRIPTION_CHARACTERS_MAX: usize = 2_048;
