//! Every bound of the local Google parts, named and in one place.

use std::time::Duration;

/// The largest request body of a token endpoint: an assertion or a subject token and a few parameters.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest key set that is read from an issuer.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// How long fetching an issuer's key set may take in all.
pub const KEY_SET_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a fetched key set is used before it is fetched again.
pub const KEY_SET_AGE_MAX: Duration = Duration::from_secs(300);

/// How long after a fetch an unknown key id, or a failure, does not cause the next one.
pub const KEY_SET_COOL_DOWN: Duration = Duration::from_secs(1);

/// What the key endpoints state as `max-age`, in seconds. Short, because the keys change with every start.
pub const KEYS_MAX_AGE_SECONDS: u32 = 300;

/// The life of a Google ID token.
pub const ID_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The life of an access token, and the longest that `generateAccessToken` grants.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The longest life of a service account's signed assertion.
pub const ASSERTION_LIFETIME_MAX: Duration = Duration::from_secs(3600);

/// How far the clock of whoever signs an assertion or a subject token may differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// The longest audience that an ID token is minted for.
pub const AUDIENCE_BYTES_MAX: usize = 2048;

/// The longest chain of delegates in an impersonation.
pub const DELEGATES_MAX: usize = 10;

/// All mapped attributes of a federated principal together.
pub const ATTRIBUTES_BYTES_MAX: usize = 8192;

/// The largest blob that `signBlob` signs, in bytes.
pub const BLOB_BYTES_MAX: usize = 16 * 1024;

/// The life of an App Check token that a session uses again and again: Google's default.
pub const APP_CHECK_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The life of an App Check token that is meant to be used once.
pub const APP_CHECK_LIMITED_USE_LIFETIME: Duration = Duration::from_secs(300);

/// The shortest life of an App Check token that a custom provider may ask for.
pub const APP_CHECK_CUSTOM_LIFETIME_MIN: Duration = Duration::from_secs(30 * 60);

/// The longest life of an App Check token that a custom provider may ask for.
pub const APP_CHECK_CUSTOM_LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest `jti` that a caller may choose for an App Check token.
pub const APP_CHECK_TOKEN_ID_BYTES_MAX: usize = 500;

/// The longest id of an app.
pub const APP_ID_BYTES_MAX: usize = 128;

/// How many consumed App Check tokens are remembered at once; one more is refused until one of them has expired.
pub const CONSUMED_TOKENS_MAX: usize = 100_000;

/// How long a browser may keep the answer to a preflight.
pub const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

/// How long before now a certificate begins, for clocks that run behind.
pub const CERTIFICATE_BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// How long a certificate is valid from now on.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long connecting to the container may take.
pub const CONTAINER_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the container may take until it answers: Cloud Run's default request time-out.
pub const CONTAINER_RESPONSE_TIMEOUT: Duration = Duration::from_secs(300);

/// How long requests under way may last once a server is told to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two events of the sample's event stream.
pub const EVENT_INTERVAL: Duration = Duration::from_millis(200);

/// How many events the sample's event stream sends.
pub const EVENT_COUNT: u32 = 5;
