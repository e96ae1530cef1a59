//! Every bound of the clients of Google, named and in one place.

use std::time::Duration;

/// The largest key set that is read; Google's have about 2 KiB.
pub const KEY_SET_BODY_BYTES_MAX: usize = 1024 * 1024;

/// The largest key set file that is read from the data directory: a whole document, escaped as a JSON string.
pub const KEY_SET_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The largest answer of a token endpoint that is read: a token of 16 KiB in its JSON, with room for an error.
pub const TOKEN_BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest answer of `accounts:lookup` that is read: [`ACCOUNTS_PER_LOOKUP_MAX`] accounts with all that they link.
pub const ACCOUNTS_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest credential or subject token file that is read.
pub const CREDENTIAL_FILE_BYTES_MAX: u64 = 64 * 1024;

/// How long opening a TCP connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one fetch of a key set may take in all.
pub const KEY_FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call of a token endpoint may take in all.
pub const TOKEN_FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one `accounts:lookup` may take in all: a user's first request waits for it.
pub const ACCOUNTS_LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a caller waits for a key set.
pub const KEY_REFRESH_WAIT_MAX: Duration = Duration::from_secs(2);

/// How many callers may wait for one key set; the next one is told at once that it is unavailable.
pub const KEY_REFRESH_WAITERS_MAX: usize = 4096;

/// How long a key set is fresh whose answer does not say.
pub const KEY_MAX_AGE_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// The shortest time that a key set counts as fresh, whatever its answer says.
pub const KEY_MAX_AGE_MIN: Duration = Duration::from_secs(60);

/// The longest time that a key set counts as fresh, whatever its answer says.
pub const KEY_MAX_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a key set may be used after its fetch while no later fetch succeeds.
pub const KEY_STALE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long after a fetch for an unknown key id no other fetch is made for one.
pub const UNKNOWN_KEY_ID_COOL_DOWN: Duration = Duration::from_secs(30);

/// The shortest pause between two attempts to fetch one key set, and the first one after a failure.
pub const KEY_RETRY_MIN: Duration = Duration::from_secs(1);

/// The longest pause after a failed fetch while a usable set is held.
pub const KEY_RETRY_MAX: Duration = Duration::from_secs(30);

/// The longest pause after a failed fetch while no usable set is held: with it the front door is ready within five
/// seconds after the endpoint's return.
pub const KEY_RETRY_MISSING_MAX: Duration = Duration::from_secs(4);

/// How long the background tasks sleep at most before they look at the wall clock again: a timer does not notice that
/// the process was frozen.
pub const WAKE_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// How far the wall clock may step back before what was fetched "later than now" is fetched again.
pub const CLOCK_STEP_MAX: Duration = Duration::from_secs(60);

/// How long a stopping task waits for a file that is being written.
pub const FILE_WRITE_WAIT_MAX: Duration = Duration::from_secs(2);

/// A token is handed out only while at least this much of its life is left: the call it is for has to arrive in it.
pub const TOKEN_REMAINING_MIN: Duration = Duration::from_secs(30);

/// How long before its expiry a token is renewed at the latest.
pub const TOKEN_RENEWAL_LEAD: Duration = Duration::from_secs(5 * 60);

/// How much earlier than [`TOKEN_RENEWAL_LEAD`] a renewal may begin, chosen at random for each token.
pub const TOKEN_RENEWAL_JITTER: Duration = Duration::from_secs(5 * 60);

/// The shortest pause between two renewals: a metadata server may answer with a token that has little life left.
pub const TOKEN_RENEWAL_INTERVAL_MIN: Duration = Duration::from_secs(30);

/// How long a caller waits for a token.
pub const TOKEN_WAIT_MAX: Duration = Duration::from_secs(3);

/// How long a call that needs a token of another identity waits for it: whoever waits for the whole has their own bound, and is
/// told by the log at which step it hangs.
pub const TOKEN_CHAIN_WAIT_MAX: Duration = Duration::from_secs(30);

/// How many callers may wait for one token; the next one is told at once that it is unavailable.
pub const TOKEN_WAITERS_MAX: usize = 4096;

/// How long a failure to get a token is remembered, so that an outage is not hammered.
pub const TOKEN_FAILURE_MEMORY: Duration = Duration::from_secs(1);

/// The first pause after a failed renewal.
pub const TOKEN_RETRY_MIN: Duration = Duration::from_secs(1);

/// The longest pause after a failed renewal.
pub const TOKEN_RETRY_MAX: Duration = Duration::from_secs(30);

/// How often a line of the log says that an outage goes on.
pub const OUTAGE_LINE_INTERVAL: Duration = Duration::from_secs(60);

/// How long after a refused token of one audience no other is minted because of a refusal.
pub const TOKEN_REMINT_COOL_DOWN: Duration = Duration::from_secs(30);

/// How many audiences one credential keeps tokens for: one per backend.
pub const AUDIENCES_MAX: usize = 1000;

/// The longest audience, in bytes.
pub const AUDIENCE_BYTES_MAX: usize = 2048;

/// The memory for tokens of federated users, in bytes.
pub const FEDERATED_TOKENS_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How many tokens of federated users are kept.
pub const FEDERATED_TOKENS_MAX: usize = 20_000;

/// How many federated users may be exchanged for at once.
pub const FEDERATIONS_UNDER_WAY_MAX: usize = 256;

/// How many failures to exchange a user's token are remembered.
pub const FEDERATION_FAILURES_MAX: usize = 1024;

/// How long a refusal of a federated user is remembered.
pub const FEDERATION_REFUSAL_MEMORY: Duration = Duration::from_secs(10);

/// How many accounts one `accounts:lookup` may ask for, the API's own bound.
pub const ACCOUNTS_PER_LOOKUP_MAX: usize = 100;

/// How many characters of Google's own words about an error are kept.
pub const ERROR_TEXT_CHARACTERS_MAX: usize = 240;

/// The longest word of such a text that is kept: a token is longer.
pub const ERROR_WORD_CHARACTERS_MAX: usize = 100;

/// How long a request waits for the look-up of its user.
pub const USER_STATUS_WAIT_MAX: Duration = Duration::from_secs(3);

/// How many requests may wait for look-ups, and how many users be looked up at once.
pub const USER_STATUS_WAITERS_MAX: usize = 4096;

/// How many look-ups may be under way for the users of one tenant.
pub const USER_STATUS_CALLS_PER_TENANT_MAX: usize = 4;

/// How many look-ups may be under way in all.
pub const USER_STATUS_CALLS_MAX: usize = 32;

/// How many users are known at most, about 50 MiB; beyond it the least useful ones go. Those who were refused and those
/// who hold streams have bounds of their own.
pub const USER_STATUS_USERS_MAX: usize = 100_000;

/// How many refused users are kept until their tokens expire: about 90 MB, at some 450 bytes for each.
pub const USER_STATUS_REFUSALS_MAX: usize = 200_000;

/// How much longer than its token's life a refusal is kept: a wall clock may be ahead by as much, and be put right.
pub const REFUSAL_MEMORY_GRACE: Duration = Duration::from_secs(3600);

/// The longest life of a token whose refusal is kept to its end. No process lives as long, and a token's own claim may
/// be beyond what a clock counts.
pub const REFUSAL_MEMORY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long a failed look-up stands for those of the same tenant, so that an outage is not hammered.
pub const USER_STATUS_FAILURE_MEMORY: Duration = Duration::from_secs(1);

/// How many more calls one refused look-up may cost, in halves of halves: of a hundred users one is found with fourteen.
pub const USER_STATUS_SPLIT_CALLS_MAX: usize = 28;

/// How many users are remembered whose look-up was refused while others' were answered.
pub const USER_STATUS_REFUSED_QUESTIONS_MAX: usize = 1024;

/// How long such a refusal is remembered.
pub const USER_STATUS_REFUSED_QUESTION_MEMORY: Duration = Duration::from_secs(10);

/// The first pause of refreshing after a failed look-up.
pub const USER_STATUS_RETRY_MIN: Duration = Duration::from_secs(1);

/// The longest pause of refreshing after a failed look-up.
pub const USER_STATUS_RETRY_MAX: Duration = Duration::from_secs(30);

/// The shortest pause between two looks at which records are due.
pub const USER_STATUS_TICK_MIN: Duration = Duration::from_millis(50);

/// The age below which no record is refreshed, however short the bound on staleness: with a bound of zero every request
/// looks its user up, and only streams need more.
pub const USER_STATUS_REFRESH_AGE_MIN: Duration = Duration::from_millis(500);

/// How many users of one look-up are such whose records are due, however many requests wait: their streams would outlive
/// their sessions otherwise.
pub const USER_STATUS_REFRESH_PLACES_MIN: usize = 25;

/// How long the schedule of refreshing may become before forgotten users are thrown out of it.
pub const USER_STATUS_SCHEDULE_MIN: usize = 1024;

/// How often the oldest record is looked for.
pub const STALENESS_MEASURE_INTERVAL: Duration = Duration::from_secs(5);

/// How long consuming an App Check token may take in all: a request waits for it.
pub const APP_CHECK_CONSUME_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest answer of `verifyAppCheckToken` that is read: it has one member.
pub const APP_CHECK_BODY_BYTES_MAX: usize = 16 * 1024;

/// How many App Check tokens may be consumed at the same time; the next one is told at once.
pub const APP_CHECK_CONSUMING_MAX: usize = 512;

/// How many App Check tokens are remembered as spent, about 13 MB of their digests; beyond it the least useful ones go,
/// and Google is asked about them again.
pub const APP_CHECK_SPENT_TOKENS_MAX: usize = 100_000;

/// How many key ids are remembered that were looked for and not found.
pub const MISSING_KEY_IDS_MAX: usize = 1024;
