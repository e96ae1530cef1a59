//! Every bound of the front door's I/O, named and in one place: of its two sides in `clients` and `services`, and the others
//! here.

mod clients;
mod services;

use std::time::Duration;

use firegate_core::limits::{ASSERTION_LIFETIME_MAX, CLOCK_SKEW_MAX};

pub use self::clients::*;
pub use self::services::*;

// Listening, and how connections get in and end.

/// How many connections may wait at a socket to be accepted; the system may allow fewer (`net.core.somaxconn`).
pub const ACCEPT_BACKLOG: i32 = 4096;

/// How long to wait before accepting again when the system has no descriptors left.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How many accepted connections may wait for one worker to take them.
pub const HAND_OVER_QUEUE_MAX: usize = 256;

/// How many sockets a worker learns of at once. What comes of one is still in the processor's caches when it goes on.
pub const WORKER_EVENTS_PER_TURN: usize = 32;

/// How many connections there may be for each worker, if the configuration does not say and there are descriptors enough.
pub const CONNECTIONS_PER_WORKER_DEFAULT: usize = 8192;

/// If there are descriptors for fewer connections than these, the log says so at the start.
pub const CONNECTIONS_FEW: usize = 1024;

/// How many descriptors are for other things than connections of clients and to services.
pub const DESCRIPTORS_RESERVED: usize = 128;

/// How often a line of the log is written about connections that are refused, or cannot be accepted.
pub const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take, from the connection on.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many TLS handshakes may be under way; others wait, within their time. Each is some ten kilobytes, and a signature.
pub const TLS_HANDSHAKES_MAX: usize = 2048;

/// How much is read of a request that came without TLS where TLS is spoken, so that its client gets to read the answer.
pub const PLAIN_HTTP_BYTES_MAX: u64 = 64 * 1024;

/// How long that may take.
pub const PLAIN_HTTP_TIMEOUT: Duration = Duration::from_secs(2);

/// How large a file of certificates or a key may be, in bytes.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How long idle connections stay open once a stop was asked for. A request that was on its way when the client was not
/// told yet is still answered.
pub const IDLE_CONNECTION_GRACE: Duration = Duration::from_secs(1);

// The listeners that are not for the public.

/// How many connections the probes' and the operators' listeners each have open at once.
pub const PRIVATE_CONNECTIONS_MAX: usize = 64;

/// How long a connection to them may last as a whole, its one request and the answer included.
pub const PRIVATE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How large the head of a request to them may be, in bytes.
pub const PRIVATE_HEAD_BYTES_MAX: usize = 16 * 1024;

/// How many header fields a request to them may have.
pub const PRIVATE_HEADERS_MAX: usize = 64;

// Assertions, and the exchange of tokens.

/// How many signed assertions are kept, in bytes.
pub const ASSERTION_CACHE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A kept assertion is sent while at least this much of its life is left.
pub const ASSERTION_REMAINING_MIN: Duration = Duration::from_secs(60);

/// How long a copy of the JWK set may be used: the `max-age` of its `Cache-Control`.
pub const JWK_SET_MAX_AGE: Duration = Duration::from_secs(300);

/// How long a generated assertion key signs before the next one does.
pub const ASSERTION_KEY_PERIOD: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How long a generated assertion key is published before it signs. Some gateways keep a JWK set for hours, whatever its
/// `max-age` says.
pub const ASSERTION_KEY_PUBLISHED_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a generated assertion key stays published after the next one signs: the tokens that it signed live five minutes,
/// clocks differ by five more, and a process that shares the data directory learns of it with its next check.
pub const ASSERTION_KEY_KEPT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How often it is checked whether a step of the assertion keys is due.
pub const ASSERTION_KEY_CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How large a file of assertion keys may be, in bytes: a few hundred for each key.
pub const ASSERTION_KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// How many generated assertion keys may be live; there are three at most unless something goes wrong.
pub const ASSERTION_KEYS_MAX: usize = 16;

/// How often the keys are read again because another process has just made the file that this one was about to make.
pub const ASSERTION_KEY_READS_MAX: usize = 4;

/// How many token exchanges may be under way.
pub const EXCHANGES_MAX: usize = 1024;

/// How many forms the token endpoint waits for of one client: one IPv4 address, or one IPv6 network of 64 bits. A form is a few
/// packets, so that an office behind one address needs few at once, and the slow ones of a stranger leave the others their
/// places.
pub const EXCHANGE_FORMS_PER_CLIENT_MAX: usize = 32;

/// How long the token endpoint waits for a form.
pub const EXCHANGE_FORM_TIMEOUT: Duration = Duration::from_secs(5);

/// How much memory the tokens take that were read lately, in bytes.
pub const READ_TOKENS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How often that is let go of which is remembered of tokens, and of no use any more.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

// The store in which several processes count rate limits.

/// How long a request waits for the store of rate limits. Then, or when it fails, each process counts by itself.
pub const LIMITS_STORE_ANSWER_TIMEOUT: Duration = Duration::from_millis(75);

/// How long connecting to the store of rate limits may take.
pub const LIMITS_STORE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the store of rate limits is left alone after it could not be connected to.
pub const LIMITS_STORE_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How often the store of rate limits is asked whether it is there.
pub const LIMITS_STORE_PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How many requests may wait for the store of rate limits; others this process counts, or refuses (`on_failure: closed`).
pub const LIMITS_STORE_WAITERS_MAX: usize = 4096;

/// How large the file with its password, or with the roots of its certificate, may be, in bytes.
pub const LIMITS_STORE_FILE_BYTES_MAX: u64 = 1024 * 1024;

// The configuration in force.

/// How often the files of the configuration and of certificates are looked at. A change is read when two looks find the same.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How much of a watched file is compared, in bytes. Of a larger one its length and times are, too.
pub const WATCHED_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How large the database of where addresses are may be, in bytes: the largest that are sold have some 400 MB.
pub const GEOGRAPHY_FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// How long files that are read while the process runs are waited for before that is told. From then on whatever is another
/// reason to read them begins anew.
pub const FILE_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How many threads may wait for files: for the configuration's, for those of certificates, and for the watch of each.
pub const FILE_READS_MAX: usize = 16;

/// How long a thread for blocking work is kept that has none.
pub const BLOCKING_THREAD_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How often such a thread is used for nothing, so that one is always there where the system gives no more.
pub const BLOCKING_THREAD_PULSE: Duration = Duration::from_secs(6);

/// How long a task of the control runtime rests after a panic before it is run again.
pub const TASK_RESTART_PAUSE: Duration = Duration::from_secs(1);

// The log.

/// How many bytes of log lines wait for whoever reads the log.
pub const LOG_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many lines of the log wait.
pub const LOG_QUEUE_LINES_MAX: usize = 16 * 1024;

/// How many bytes of access lines a worker gathers before it hands them over.
pub const LOG_BATCH_BYTES: usize = 64 * 1024;

/// How long a worker keeps an access line at most.
pub const LOG_BATCH_DELAY: Duration = Duration::from_millis(100);

/// How much of one text that a client chose is logged, in bytes.
pub const LOG_FIELD_BYTES_MAX: usize = 2 * 1024;

/// How long to wait before writing again to a log that takes nothing at the moment.
pub const LOG_SINK_RETRY_PAUSE: Duration = Duration::from_millis(10);

/// How long the end of the process waits for the log to be written.
pub const LOG_FINISH_TIMEOUT: Duration = Duration::from_secs(1);

// The metrics.

/// For how many routes there are counters of their own, about half a kilobyte each, and twice that where a backend is observed;
/// further routes of a backend share one. A route that leads to several backends is one for each.
pub const ROUTE_COUNTERS_MAX: usize = 1000;

// The end of the process, and of a request.

/// How long requests under way may take after a stop was asked for. Cloud Run allows ten seconds.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a stopping runtime waits for work that cannot be cancelled, such as a name look-up.
pub const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// What `Retry-After` says when nothing better is known, in seconds.
pub const RETRY_AFTER_SECONDS: u16 = 2;

// What ends by itself is not cut off meanwhile.
const _: () = assert!(STREAM_OVERDUE_GRACE.as_secs() > STREAM_ENDING_GRACE.as_secs());

// A pulse may come late; and of two threads that it uses in turn, one ends.
const _: () = {
    assert!(BLOCKING_THREAD_KEEP_ALIVE.as_secs() >= BLOCKING_THREAD_PULSE.as_secs() + 3);
    assert!(BLOCKING_THREAD_KEEP_ALIVE.as_secs() < 2 * BLOCKING_THREAD_PULSE.as_secs());
};

// When the store is away, the local windows take over within 100 ms, and it is back within 5 s.
const _: () = {
    assert!(LIMITS_STORE_ANSWER_TIMEOUT.as_millis() < 100);
    assert!(LIMITS_STORE_CONNECT_TIMEOUT.as_millis() + LIMITS_STORE_RETRY_PAUSE.as_millis() < 2500);
};

// What is under way gets most of the time that there is for a stop.
const _: () = assert!(IDLE_CONNECTION_GRACE.as_millis() * 4 <= DRAIN_TIMEOUT.as_millis());

// Whoever keeps a copy of the JWK set must have fetched a new one before the key in it signs, and must still find the
// old one after it signed for the last time.
const _: () = {
    assert!(ASSERTION_KEY_PUBLISHED_AHEAD.as_secs() >= 2 * JWK_SET_MAX_AGE.as_secs());
    assert!(ASSERTION_KEY_CHECK_INTERVAL.as_secs() >= 2 * JWK_SET_MAX_AGE.as_secs());
    assert!(ASSERTION_KEY_PUBLISHED_AHEAD.as_secs() >= 2 * ASSERTION_KEY_CHECK_INTERVAL.as_secs());
    assert!(ASSERTION_KEY_PERIOD.as_secs() > 2 * ASSERTION_KEY_PUBLISHED_AHEAD.as_secs());
    assert!(
        ASSERTION_KEY_KEPT_AFTER.as_secs()
            >= ASSERTION_KEY_CHECK_INTERVAL.as_secs()
                + ASSERTION_LIFETIME_MAX.as_secs()
                + CLOCK_SKEW_MAX.as_secs()
    );
};
