//! The bounds of what clients send, and of their streams.

use std::time::Duration;

// Requests, as clients send them.

/// How long a client may take to send a request's head.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(15);

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

/// How much is read at once of what an HTTP/1 client still sends when its connection is about to be closed.
pub const UNWANTED_PIECE_BYTES: usize = 4 * 1024;

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

/// How many digits the length of a request's body may have: more bytes than anybody has.
pub const CONTENT_LENGTH_DIGITS_MAX: usize = 18;

/// How many hexadecimal digits the size of a client's chunk may have: 4 GiB.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 8;

/// How many bytes of extensions the chunks of one body may have together, a client's or a service's.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 8 * 1024;

/// How many bytes the lines of a chunked body's trailers may have.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// How many fields they may have.
pub const TRAILER_FIELDS_MAX: usize = 64;

/// How much of what an HTTP/1 client sends is read ahead: a whole head, and a piece of what follows it.
pub const HTTP1_READ_BUFFER_BYTES_MAX: usize = REQUEST_HEAD_BYTES_MAX as usize + 8 * 1024;

/// How many bytes of a request over HTTP/1 are read at once at its beginning: there is room for them on the stack alone.
pub const HTTP1_FIRST_READ_BYTES: usize = 4 * 1024;

/// How much of a body from an HTTP/1 client is read at once as long as no more is there, and how much of an answer is gathered.
pub const HTTP1_PIECE_BYTES: usize = 16 * 1024;

/// How much room a message over HTTP/1 has at first when it is written, a client's answer or a service's request.
pub const SPARE_BUFFER_BYTES: usize = 2 * 1024;

/// How large the buffer is at most that each worker keeps for the next message: what is gathered, and as much again, because a
/// buffer that grows is doubled.
pub const SPARE_BUFFER_BYTES_MAX: usize = 2 * HTTP1_PIECE_BYTES;

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
