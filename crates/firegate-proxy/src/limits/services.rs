//! The bounds of what goes to the services, and of what they answer.

use std::time::Duration;

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

/// How many bytes of an answer over HTTP/1 are read at once at its beginning: there is room for them on the stack alone. It
/// grows while the service fills it.
pub const UPSTREAM_FIRST_READ_BYTES: usize = 8 * 1024;

/// With less room than this in what is left of a buffer for answers over HTTP/1 there is a new one.
pub const UPSTREAM_READ_ROOM_BYTES_MIN: usize = 1024;

/// How much of a request over HTTP/1, its head and the first of its body, is copied into one piece, which costs less than to
/// tell the system of two. Most heads have an assertion and a token, and two KiB.
pub const UPSTREAM_GATHERED_BYTES_MAX: usize = 6 * 1024;

/// How many pieces of an answer over HTTP/1 wait for whoever reads it while its request is still being sent.
pub const UPSTREAM_WAITING_PIECES_MAX: usize = 1;

/// How many hexadecimal digits the size of a service's chunk may have: all that a size is counted with.
pub const UPSTREAM_CHUNK_SIZE_DIGITS_MAX: usize = 16;

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
