//! Every bound of the front door's I/O, named and in one place.

use std::time::Duration;

use firegate_core::limits::{ASSERTION_LIFETIME_MAX, CLOCK_SKEW_MAX};

// Requests, as clients send them.

/// How long a client may take to send a request's head.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a stopping runtime waits for work that cannot be cancelled, such as a name look-up.
pub const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a stream may go on after its user's lease, and one of gRPC after its time, to end the message that is under way.
pub const STREAM_ENDING_GRACE: Duration = Duration::from_secs(5);

/// How long the answer to a WebSocket's Close frame is waited for.
pub const WEB_SOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a client may leave an answer of Firegate's own untouched, as it can over HTTP/2 by a window without room.
pub const OWN_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a worker looks for streams whose time is over and that nobody asks for more.
pub const STREAM_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stream may go on after its bounds when it does not end by itself, because its client does not read. Then its
/// connection is cut.
pub const STREAM_OVERDUE_GRACE: Duration = Duration::from_secs(6);

/// How long a client may take nothing of what is written to it.
pub const CLIENT_WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a client may be waited for in all before it counts how many bytes of a body it sends in a second.
pub const REQUEST_BODY_PACE_GRACE: Duration = Duration::from_secs(10);

/// How much of a body that nobody wants any more is still read, so that the client gets to read the answer.
pub const UNWANTED_BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long such a body is still read.
pub const UNWANTED_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// How often an HTTP/2 peer is asked whether it is still there.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How large a request's head may be, in bytes: what Google's load balancer lets through. Over HTTP/2 hyper answers a larger
/// one by itself: a bare 431, without a reason, a line in the log or CORS headers.
pub const REQUEST_HEAD_BYTES_MAX: u32 = 64 * 1024;

/// How many header fields a request may have.
pub const REQUEST_HEADERS_MAX: usize = 100;

/// How many options the `Connection` fields of a request may list, each of which is looked for among its headers: no fewer than
/// there may be headers to name.
pub const CONNECTION_OPTIONS_MAX: usize = 100;

/// How long the first line of an HTTP/1 request may be, in bytes: room for a token in the query.
pub const REQUEST_LINE_BYTES_MAX: usize = 32 * 1024;

/// How long a request's method may be, in bytes.
pub const REQUEST_METHOD_BYTES_MAX: usize = 32;

/// How many hexadecimal digits the size of a chunk may have: 4 GiB.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 8;

/// How many bytes of extensions the chunks of one body may have together.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 8 * 1024;

/// How many bytes the trailers of a chunked body may have.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// How many fields they may have.
pub const TRAILER_FIELDS_MAX: usize = 64;

/// How much of what an HTTP/1 client sends is read ahead: a whole head, and a piece of what follows it.
pub const HTTP1_READ_BUFFER_BYTES_MAX: usize = REQUEST_HEAD_BYTES_MAX as usize + 8 * 1024;

/// How many bytes of a request over HTTP/1 are read at once at its beginning: there is room for them on the stack alone.
pub const HTTP1_FIRST_READ_BYTES: usize = 4 * 1024;

/// How much of a body from an HTTP/1 client is read at once as long as no more is there, and how much of an answer is gathered.
pub const HTTP1_PIECE_BYTES: usize = 16 * 1024;

/// How long a connection may be idle between two requests; over HTTP/2 pings and settings do not count. Google's load balancer
/// keeps its own for ten minutes, and wants backends to wait longer, lest it sends into one that is just closed.
pub const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(620);

/// How many streams one HTTP/2 connection may have open.
pub const HTTP2_STREAMS_MAX: u32 = 256;

/// How many streams that a client opened and reset again may wait to be looked at (rapid reset, CVE-2023-44487).
pub const HTTP2_PENDING_RESETS_MAX: usize = 32;

/// How many streams of one connection, in all its time, are reset for a client's errors before the connection is
/// (MadeYouReset, CVE-2025-8671). A load balancer's serves many clients.
pub const HTTP2_LOCAL_RESETS_MAX: usize = 256;

/// How many frames that do nothing an HTTP/2 client may send at once: SETTINGS, PRIORITY, empty DATA, PING
/// beyond one for each frame of DATA that it was sent (Go's gRPC does so), RST_STREAM beyond one for each answer.
pub const HTTP2_IDLE_FRAMES_BURST: u32 = 1000;

/// How many of them in a second, in the long run.
pub const HTTP2_IDLE_FRAMES_PER_SECOND: u32 = 100;

/// How many WINDOW_UPDATE frames an HTTP/2 client may send at once.
pub const HTTP2_WINDOW_UPDATES_BURST: u32 = 2000;

/// How many of them in a second, in the long run.
pub const HTTP2_WINDOW_UPDATES_PER_SECOND: u32 = 100;

/// For so many bytes that it was sent an HTTP/2 client may send one more of them. Go's sends two for 4 KiB.
pub const HTTP2_WINDOW_UPDATE_BYTES_MIN: u32 = 512;

/// For each frame of DATA that it was sent, how many more: one for the stream and one for the connection.
pub const HTTP2_WINDOW_UPDATES_PER_DATA_FRAME: u32 = 2;

/// How many of those it may have left over, and how many pings.
pub const HTTP2_WINDOW_UPDATES_EARNED_MAX: u32 = 64 * 1024;

/// How large the table may be by which an HTTP/2 peer refers to earlier headers (HPACK), in bytes.
pub const HTTP2_HEADER_TABLE_BYTES_MAX: u32 = 4 * 1024;

/// How many bytes of a request's body an HTTP/2 client may send ahead of being read: 10 Mbit/s where an answer takes 100 ms,
/// and no more than 256 MiB for the 2,048 requests that a backend may have under way.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// The same for all streams of a connection together: as much as its streams, so that uploads to a service that does not read
/// hold up no other. A load balancer's connection carries many users.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = HTTP2_STREAM_WINDOW_BYTES * HTTP2_STREAMS_MAX;

/// How many bytes of an answer are kept for a client that reads slowly, for each HTTP/2 stream.
pub const HTTP2_SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

// Listening, and how connections get in and end.

/// How many connections may wait at a socket to be accepted; the system may allow fewer (`net.core.somaxconn`).
pub const ACCEPT_BACKLOG: i32 = 4096;

/// How long to wait before accepting again when the system has no descriptors left.
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How many accepted connections may wait for one worker to take them.
pub const HAND_OVER_QUEUE_MAX: usize = 256;

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

// Towards the services.

/// How many idle HTTP/1 connections each worker keeps open to an endpoint.
pub const UPSTREAM_IDLE_CONNECTIONS_MAX: usize = 128;

/// How long an idle connection to an endpoint is kept.
pub const UPSTREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How many interim answers (1xx) a service may send by HTTP/1 before the one that counts.
pub const UPSTREAM_INTERIM_ANSWERS_MAX: usize = 100;

/// How many connections that turned out to be closed a request tries before it makes one of its own.
pub const UPSTREAM_STALE_CONNECTIONS_MAX: usize = 2;

/// How many HTTP/2 connections each worker has open to an endpoint; another one is made when all are full.
pub const UPSTREAM_HTTP2_CONNECTIONS_MAX: usize = 16;

/// How many HTTP/2 connections each worker has open to an endpoint for WebSockets. They have connections of their own, each
/// with as many streams as one for requests: a WebSocket lasts, and requests would wait behind it.
pub const UPSTREAM_HTTP2_TUNNEL_CONNECTIONS_MAX: usize = 16;

/// How many HTTP/2 connections are made for a request that the endpoint closes as soon as they are made.
pub const UPSTREAM_HTTP2_VAIN_CONNECTIONS_MAX: usize = 3;

/// How many requests are under way on one HTTP/2 connection to an endpoint, if it allows as many.
pub const UPSTREAM_HTTP2_STREAMS_MAX: usize = 100;

/// How long after it was connected to an HTTP/2 endpoint is waited for to say whether it takes WebSockets.
pub const UPSTREAM_SETTINGS_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is looked whether it has.
pub const UPSTREAM_SETTINGS_LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How much of an answer an HTTP/2 endpoint may send ahead of the client's reading, in bytes.
pub const UPSTREAM_STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// The same for all answers of a connection together, as much as its streams: who does not read holds up nobody else.
pub const UPSTREAM_CONNECTION_WINDOW_BYTES: u32 =
    UPSTREAM_STREAM_WINDOW_BYTES * UPSTREAM_HTTP2_STREAMS_MAX as u32;

/// How much of an answer an HTTP/1 connection to an endpoint holds, in bytes. The answer's head has to fit.
pub const UPSTREAM_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// How large the first piece of a request's body may be, in bytes, to be kept until the answer begins, so that the request can
/// be sent once more if an HTTP/2 endpoint says that it did nothing with it. It is what a client sends at once, and not copied.
pub const UPSTREAM_KEPT_PIECE_BYTES_MAX: usize = 64 * 1024;

/// How large the head of an HTTP/2 answer may be, in bytes.
pub const UPSTREAM_RESPONSE_HEAD_BYTES_MAX: u32 = 64 * 1024;

/// How many header fields an answer over HTTP/1 may have. For so many there is room on the stack.
pub const UPSTREAM_HEADERS_MAX: usize = 100;

/// How often an HTTP/2 endpoint that says nothing is asked whether it is still there, while requests are under way. Servers of
/// gRPC close a connection that is asked more than once in five minutes.
pub const UPSTREAM_PING_INTERVAL: Duration = Duration::from_secs(330);

/// How long an endpoint, whichever HTTP it speaks, says nothing until the system asks the system there (TCP keep-alive).
pub const UPSTREAM_KEEPALIVE_TIME: Duration = Duration::from_secs(10);

/// How long the answer to a PING may take, and how long TCP waits between its questions; the system says how many it asks.
pub const UPSTREAM_PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one address is tried before the next one is too: the Connection Attempt Delay of RFC 8305.
pub const UPSTREAM_ATTEMPT_STAGGER: Duration = Duration::from_millis(250);

/// How long an address to which no connection could be made, or not in that time, is tried after the others of its host.
pub const UPSTREAM_ADDRESS_ASIDE_TIME: Duration = Duration::from_secs(30);

/// How many addresses of a host are kept.
pub const UPSTREAM_ADDRESSES_MAX: usize = 32;

/// How often the addresses of a host are looked for again.
pub const UPSTREAM_RESOLVE_INTERVAL: Duration = Duration::from_secs(30);

/// The same after a failure.
pub const UPSTREAM_RESOLVE_RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// How long the search may take.
pub const UPSTREAM_RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often each endpoint's addresses and idle connections are looked at.
pub const UPSTREAM_TEND_INTERVAL: Duration = Duration::from_secs(2);

/// How often a request is sent at most.
pub const UPSTREAM_ATTEMPTS_MAX: usize = 3;

/// How many of the requests to a backend that are under way may be sent once more, in percent.
pub const UPSTREAM_REPEATED_PERCENT_MAX: usize = 20;

/// How many may be in any case.
pub const UPSTREAM_REPEATED_MIN: usize = 10;

/// How many failures in a row eject an endpoint.
pub const UPSTREAM_EJECTION_FAILURES: u32 = 5;

/// How long an endpoint is left alone the first time; each time after it is twice as long.
pub const UPSTREAM_EJECTION_TIME: Duration = Duration::from_secs(10);

/// The longest that it is left alone.
pub const UPSTREAM_EJECTION_TIME_MAX: Duration = Duration::from_secs(300);

/// How long an ejection is remembered, so that the next one is longer.
pub const UPSTREAM_EJECTION_MEMORY: Duration = Duration::from_secs(600);

/// How many of a backend's endpoints have to be neither ejected nor failing, in percent, for that to count.
pub const UPSTREAM_AVAILABLE_PERCENT_MIN: usize = 20;

/// How many failed checks in a row make an endpoint unhealthy; one that succeeds makes it healthy.
pub const UPSTREAM_HEALTH_FAILURES_MAX: usize = 2;

/// How long the body of a request with `Expect: 100-continue` is held back for the service's word.
pub const UPSTREAM_CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much of an HTML answer is looked at to see whether Cloud Run's front wrote it.
pub const REFUSAL_PEEK_BYTES_MAX: usize = 1024;

/// How long the first bytes of such an answer may take.
pub const REFUSAL_PEEK_TIMEOUT: Duration = Duration::from_secs(2);

/// How much memory the tokens take that were read lately, in bytes.
pub const READ_TOKENS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How often that is let go of which is remembered of tokens, and of no use any more.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How long a thread for blocking work is kept that has none.
pub const BLOCKING_THREAD_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How often such a thread is used for nothing, so that one is always there where the system gives no more.
pub const BLOCKING_THREAD_PULSE: Duration = Duration::from_secs(6);

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

/// How long to wait before a request is tried again by a URL map's `retryPolicy`; twice as long before the next time.
pub const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// The longest of these pauses.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(250);

/// How many copies of requests may be under way to the services that a URL map mirrors them to; what is beyond is not copied.
pub const MIRRORED_REQUESTS_MAX: usize = 256;

/// How long the head of an error's page may take, and each piece of it.
pub const ERROR_PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes an error's page may have.
pub const ERROR_PAGE_BYTES_MAX: u64 = 1024 * 1024;

/// How long a copy may take.
pub const MIRRORED_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How far the copy of a request's body may be behind, in bytes: then it is broken off.
pub const MIRRORED_BODY_BYTES_MAX: usize = 128 * 1024;

/// How many bytes each piece of such a copy counts for beside its own.
pub const MIRRORED_PIECE_BYTES: usize = 256;
