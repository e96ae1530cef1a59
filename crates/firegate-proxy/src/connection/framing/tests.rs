//! The scanner's verdicts, each on the bytes as a whole and however they are cut.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{FramedStream, Scan, Scanner, Signals, Then, Violation};
use crate::limits::{
    CHUNK_EXTENSIONS_BYTES_MAX, HTTP1_READ_BUFFER_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEAD_TIMEOUT,
    REQUEST_HEADERS_MAX, REQUEST_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
    UNWANTED_BODY_TIMEOUT,
};

/// What goes on of the pieces, and what is done with the rest.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Then) {
    let (mut scanner, mut held, mut passed) = (Scanner::default(), Vec::new(), Vec::new());
    let mut last = Then::More;
    for piece in pieces {
        held.extend_from_slice(piece);
        let Scan { clean, then } = scanner.scan(&held);
        passed.extend(held.drain(..clean));
        last = then;
        if matches!(then, Then::Refuse(_) | Then::Break(_)) {
            break;
        }
    }
    (passed, last)
}

/// That so much of the bytes goes on, and what becomes of the rest, in whatever pieces they come.
#[track_caller]
fn check(bytes: &[u8], clean: usize, then: Then) {
    let expected = (bytes[..clean].to_vec(), then);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(read([bytes]), expected, "{shown:?}");
    assert_eq!(read(bytes.chunks(1)), expected, "octet by octet: {shown:?}");
    // Of long ones not every cut.
    for cut in (1..bytes.len()).step_by(1 + bytes.len() / 400) {
        let (one, two) = bytes.split_at(cut);
        assert_eq!(read([one, two]), expected, "cut at {cut}: {shown:?}");
    }
}

#[track_caller]
fn passes(bytes: impl AsRef<[u8]>) {
    check(bytes.as_ref(), bytes.as_ref().len(), Then::More);
}

#[track_caller]
fn refuses(bytes: impl AsRef<[u8]>, violation: Violation) {
    check(bytes.as_ref(), 0, Then::Refuse(violation));
    // The same head in a pipeline: what is before it goes on.
    let before = b"POST / HTTP/1.1\r\nhost: door\r\ncontent-length: 3\r\n\r\nabc";
    let pipeline = [before, bytes.as_ref()].concat();
    check(&pipeline, before.len(), Then::Refuse(violation));
}

/// A head with these fields.
fn with(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: door\r\n{fields}\r\n")
}

#[test]
fn requests_go_on_one_after_the_other() {
    passes("GET / HTTP/1.1\r\nHost: door\r\n\r\n");
    passes("GET /a?b=%20&c HTTP/1.0\r\n\r\n");
    passes("PROPFIND /\u{fc} HTTP/1.1\r\nHost: door\r\n\r\n");
    passes("GET http://door/a HTTP/1.1\r\nHost: door\r\n\r\n");
    passes(b"GET / HTTP/1.1\r\nx:\t a \t b\xfc \r\ny:\r\nz:  \t \r\n\r\n");
    passes(with("content-length: 5\r\n") + "GET /GET / HTTP/1.1\r\n\r\n");
    passes(with("Content-Length: 0\r\n") + &with("Content-Length: 1\r\n") + "a" + &with(""));
    passes(with("Upgrade: h2c\r\nContent-Length: 1\r\n") + "a" + &with(""));
    passes("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    let chunked = with("Transfer-Encoding:  Chunked \r\n");
    passes(format!("{chunked}0\r\n\r\nGET / HTTP/1.1\r\n\r\n"));
    passes(format!(
        "{chunked}5\r\nhello\r\n00a;x=\"y\";z\r\n0123456789\r\n0;\t\r\nA: b\r\nC:\r\n\r\n{chunked}"
    ));
    passes(format!("{chunked}FFFFFFFF\r\nit goes on"));
    passes(format!("{chunked}{}0\r\n\r\n", "1\r\na\r\n".repeat(20)));
}

#[test]
fn the_rest_of_a_head_is_waited_for() {
    let head = with("content-length: 1\r\n");
    check(&head.as_bytes()[..head.len() - 1], 0, Then::More);
    let two = format!("{head}xGET / HT");
    check(two.as_bytes(), head.len() + 1, Then::More);
    check(b"", 0, Then::More);
}

#[test]
fn request_lines_have_one_form() {
    for line in ["\r\nGET / HTTP/1.1", "\nGET / HTTP/1.1", "\r"] {
        refuses(format!("{line}\r\n\r\n"), Violation::LeadingLineEnd);
    }
    for line in ["", "GET", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /a b HTTP/1.1", "GET / HTTQ/1.1"] {
        if !line.is_empty() {
            refuses(format!("{line}\r\n\r\n"), Violation::RequestLine);
        }
    }
    for line in
        ["GET /", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/1", "GET / HTTP/0.9", "GET / HTTP/01.1"]
    {
        refuses(format!("{line}\r\n\r\n"), Violation::Version);
    }
    for line in [" / HTTP/1.1", "G(T / HTTP/1.1", "G\u{e9}T / HTTP/1.1", "UNREAD / HTTP/1.1"] {
        refuses(format!("{line}\r\n\r\n"), Violation::Method);
    }
    refuses(format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(33)), Violation::Method);
    for target in ["/a#b", "#", "http://door/#", "/#?"] {
        refuses(format!("GET {target} HTTP/1.1\r\n\r\n"), Violation::Fragment);
    }
    for target in
        ["*", "a", "door", "door:80", "ftp://door/", "http://", "http:/a", "?a", "/a<b", "/?\"", "//["]
    {
        if target != "//[" {
            refuses(format!("GET {target} HTTP/1.1\r\n\r\n"), Violation::Target);
        }
    }
    refuses(b"GET /\xff HTTP/1.1\r\n\r\n", Violation::Target);
    refuses("CONNECT door:443 HTTP/1.1\r\n\r\n", Violation::Connect);
    refuses("GET\t/ HTTP/1.1\r\n\r\n", Violation::ControlCharacter);
    // A client that speaks TLS, from its first byte on.
    for start in [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        refuses(start, Violation::TlsHandshake);
    }
}

#[test]
fn lines_end_in_one_way() {
    refuses("GET / HTTP/1.1\nHost: door\n\n", Violation::BareLf);
    refuses(with("a: b\nc: d\r\n"), Violation::BareLf);
    refuses(with("a: b\r\r\n"), Violation::BareCr);
    refuses(with("a: b\rc: d\r\n"), Violation::BareCr);
    refuses(with("\rc: d\r\n"), Violation::BareCr);
    for octet in (0..0x20_u8).chain([0x7f]).filter(|octet| !matches!(octet, b'\t' | b'\r' | b'\n')) {
        let octet = char::from(octet);
        refuses(with(&format!("a: b{octet}c\r\n")), Violation::ControlCharacter);
        refuses(with(&format!("a{octet}: b\r\n")), Violation::ControlCharacter);
        refuses(format!("GET /{octet} HTTP/1.1\r\n\r\n"), Violation::ControlCharacter);
    }
}

#[test]
fn fields_have_names() {
    refuses(with("a: b\r\n c\r\n"), Violation::FoldedLine);
    refuses(with("a: b\r\n\tc: d\r\n"), Violation::FoldedLine);
    refuses("GET / HTTP/1.1\r\n Host: door\r\n\r\n", Violation::FoldedLine);
    refuses(with(": b\r\n"), Violation::NameEmpty);
    refuses(with("Transfer-Encoding : chunked\r\n"), Violation::NameSpace);
    refuses(with("Content-Length\t: 3\r\n"), Violation::NameSpace);
    refuses(with("a b: c\r\n"), Violation::NameSpace);
    refuses(with("abc\r\n"), Violation::NameToken);
    refuses(with("a(b: c\r\n"), Violation::NameToken);
    refuses(with("a\u{fc}: c\r\n"), Violation::NameToken);
}

#[test]
fn a_body_has_one_length() {
    for value in ["", "+3", "-3", "3,3", "3, 3", "03", "00", "0x3", "3 3", "3.0", "1000000000000000000"] {
        refuses(with(&format!("Content-Length: {value}\r\n")), Violation::ContentLength);
    }
    refuses(with("Content-Length: 3\r\nContent-Length: 3\r\n"), Violation::ContentLengthRepeated);
    refuses(with("Content-Length: 0\r\ncontent-length: 0\r\n"), Violation::ContentLengthRepeated);
    for value in [
        "",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;x",
        "xchunked",
        "chunke",
        "\"chunked\"",
        "chunked\u{fc}",
        "chun ked",
    ] {
        refuses(with(&format!("Transfer-Encoding: {value}\r\n")), Violation::TransferEncoding);
    }
    let chunked = "Transfer-Encoding: chunked\r\n";
    refuses(with(&format!("{chunked}{chunked}")), Violation::TransferEncodingRepeated);
    refuses(with(&format!("{chunked}Transfer-Encoding: identity\r\n")), Violation::TransferEncodingRepeated);
    refuses(with(&format!("{chunked}Content-Length: 3\r\n")), Violation::BothLengths);
    refuses(with(&format!("Content-Length: 3\r\n{chunked}")), Violation::BothLengths);
    refuses(format!("POST / HTTP/1.0\r\n{chunked}\r\n"), Violation::TransferEncodingInHttp10);
    let upgrade = "Connection: upgrade\r\nUpgrade: WebSocket\r\n";
    refuses(with(&format!("{upgrade}Content-Length: 3\r\n")), Violation::UpgradeWithBody);
    refuses(with(&format!("{upgrade}{chunked}")), Violation::UpgradeWithBody);
}

#[test]
fn chunks_have_one_form() {
    let head = with("Transfer-Encoding: chunked\r\n");
    let breaks = |body: &str, right: usize, violation| {
        let bytes = format!("{head}{body}");
        check(bytes.as_bytes(), head.len() + right, Then::Break(violation));
    };
    breaks("x\r\n", 0, Violation::ChunkSize);
    breaks("\r\n", 0, Violation::ChunkSize);
    breaks(";a\r\n", 0, Violation::ChunkSize);
    breaks("0x3\r\nabc", 1, Violation::ChunkSize);
    breaks("+3\r\nabc", 0, Violation::ChunkSize);
    breaks("-1\r\n", 0, Violation::ChunkSize);
    breaks(" 3\r\nabc", 0, Violation::ChunkSize);
    breaks("3 \r\nabc", 1, Violation::ChunkSize);
    breaks("3\nabc", 1, Violation::ChunkSize);
    breaks("3\r\nabc\r\n\r\n", 8, Violation::ChunkSize);
    breaks("3\rabc", 2, Violation::ChunkSize);
    breaks("000000003\r\nabc", 8, Violation::ChunkSize);
    breaks("100000000\r\n", 8, Violation::ChunkSize);
    breaks("FFFFFFFFFFFFFFFF0\r\n", 8, Violation::ChunkSize);
    breaks("3;a\nb\r\nabc", 3, Violation::ChunkExtension);
    breaks("3;a\rb\r\nabc", 4, Violation::ChunkSize);
    breaks("3;\0\r\nabc", 2, Violation::ChunkExtension);
    breaks("3\r\nabcd\r\n", 6, Violation::ChunkEnd);
    breaks("3\r\nabc\n0\r\n\r\n", 6, Violation::ChunkEnd);
    breaks("3\r\nabc\r0\r\n\r\n", 7, Violation::ChunkEnd);
    breaks("0\r\na\r\n\r\n", 4, Violation::Trailer);
    breaks("0\r\n: b\r\n\r\n", 3, Violation::Trailer);
    breaks("0\r\n b: c\r\n\r\n", 3, Violation::Trailer);
    breaks("0\r\na : b\r\n\r\n", 4, Violation::Trailer);
    breaks("0\r\na: b\n\r\n", 7, Violation::Trailer);
    breaks("0\r\n\n", 3, Violation::Trailer);
    breaks("0\r\n\rX", 4, Violation::Trailer);
    breaks("0\r\na: b\0\r\n\r\n", 7, Violation::Trailer);
    let extension = "x".repeat(CHUNK_EXTENSIONS_BYTES_MAX / 2 + 1);
    let chunk = format!("1;{extension}\r\na\r\n");
    breaks(
        &format!("{chunk}{chunk}"),
        chunk.len() + 2 + CHUNK_EXTENSIONS_BYTES_MAX / 2 - 1,
        Violation::ChunkExtension,
    );
    breaks(
        &format!("0\r\n{}", "a:b\r\n".repeat(TRAILER_FIELDS_MAX + 1)),
        3 + 5 * TRAILER_FIELDS_MAX,
        Violation::Trailer,
    );
    breaks(&format!("0\r\na:{}", "b".repeat(TRAILER_BYTES_MAX)), 3 + TRAILER_BYTES_MAX, Violation::Trailer);
}

/// What stands before the fault, in whatever pieces it comes, and behind other requests too.
#[tokio::test]
async fn of_a_refused_head_the_page_is_known_that_was_named_before_the_fault() {
    const BEFORE: &str =
        "POST / HTTP/1.1\r\nhost: door\r\norigin: https://before.example\r\ncontent-length: 3\r\n\r\nabc";
    let (fault, app) = ("a b: c\r\n", "https://app.example");
    for (fields, expected) in [
        (format!("Origin: {app}\r\n{fault}"), Some(app)),
        (format!("a: b\r\norigin:\t{app} \r\nc: d\r\n{fault}"), Some(app)),
        (format!("Origin: {app}\r\nOrigin: {app}\r\nOrigin: {app}\r\n{fault}"), None),
        (format!("{fault}Origin: {app}\r\n"), None),
        (format!("Origin: {app}\r"), None),
        (format!("X-Origin: {app}\r\n{fault}"), None),
        (format!("Origin:\r\n{fault}"), Some("")),
        (fault.to_owned(), None),
    ] {
        let head = with(&fields);
        for cut in 1..head.len() {
            let mut scanner = Scanner::default();
            for end in [cut, head.len()] {
                if !matches!(scanner.scan(&head.as_bytes()[..end]).then, Then::More) {
                    break;
                }
            }
            let found = scanner.origin().map(|place| head[place].trim_ascii());
            assert_eq!(found, expected, "{fields:?} cut at {cut}");
        }
        for before in ["", BEFORE] {
            let (mut client, stream) = duplex(4096);
            let signals = Arc::new(Signals::default());
            let mut framed = FramedStream::new(stream, Arc::clone(&signals));
            client.write_all(format!("{before}{head}").as_bytes()).await.expect("room");
            let mut read = vec![0; before.len() + super::signals::UNREAD_HEAD.len()];
            framed.read_exact(&mut read).await.expect("the request that stands for it");
            assert!(read.ends_with(super::signals::UNREAD_HEAD));
            let mut request = http::Request::builder().method("UNREAD").body(()).expect("a request");
            signals.mark(&mut request);
            assert!(request.extensions().get::<Violation>().is_some());
            let found =
                request.headers().get(http::header::ORIGIN).map(|value| value.to_str().expect("text"));
            assert_eq!(found, expected, "{fields:?} behind {before:?}");
        }
    }
}

#[test]
fn heads_are_bounded() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - 16));
    assert_eq!(line(100).len(), 100);
    passes(line(REQUEST_LINE_BYTES_MAX) + "\r\n");
    for length in [REQUEST_LINE_BYTES_MAX + 1, REQUEST_LINE_BYTES_MAX + 2, 2 * REQUEST_LINE_BYTES_MAX] {
        check(line(length).as_bytes(), 0, Then::Refuse(Violation::TargetTooLong));
    }
    let most = REQUEST_HEAD_BYTES_MAX as usize;
    let head = |length: usize| {
        let head = with(&format!("a: {}\r\n", "a".repeat(length - 36)));
        assert_eq!(head.len(), length);
        head
    };
    assert_eq!(read([head(most).as_bytes()]).1, Then::More);
    for length in [most + 1, most + 2, most + 3, 2 * most] {
        let head = head(length);
        let expected = (Vec::new(), Then::Refuse(Violation::HeadTooLarge));
        assert_eq!(read([head.as_bytes()]), expected, "{length}");
        assert_eq!(read(head.as_bytes().chunks(1)), expected, "{length}");
        assert_eq!(read(head.as_bytes().chunks(most)), expected, "{length}");
    }
    let fields = |count: usize| with(&"a:\r\n".repeat(count - 1));
    passes(fields(REQUEST_HEADERS_MAX));
    check(fields(REQUEST_HEADERS_MAX + 1).as_bytes(), 0, Then::Refuse(Violation::TooManyFields));
}

#[test]
fn nothing_behind_a_request_to_switch_goes_on_before_it_is_answered() {
    let head = with("Connection: Upgrade\r\nUpgrade: WebSocket\r\nContent-Length: 0\r\n");
    let next = "GET /admin HTTP/1.1\r\nHost: door\r\n\r\n";
    check(format!("{head}{next}").as_bytes(), head.len(), Then::AwaitSwitch);
    let mut scanner = Scanner::default();
    assert_eq!(scanner.scan(head.as_bytes()), Scan { clean: head.len(), then: Then::AwaitSwitch });
    assert_eq!(scanner.scan(next.as_bytes()), Scan { clean: 0, then: Then::AwaitSwitch });
    scanner.resume();
    assert_eq!(scanner.scan(next.as_bytes()), Scan { clean: next.len(), then: Then::More });
}

/// Closed over unread bytes, the connection would be reset, and the answer lost.
#[tokio::test(start_paused = true)]
async fn what_a_refused_client_still_sends_is_read_for_a_while() {
    let broken = with("Transfer-Encoding: chunked\r\n") + "x\r\n";
    for (begin, lingers) in [("GET\r\n\r\n", true), (&*broken, true), ("GET / HTTP/1.1\r\n\r\n", false)] {
        // It sends more than there is room for, and says nothing more.
        for closes in [true, false] {
            let (mut client, stream) = duplex(1024);
            let mut framed = FramedStream::new(stream, Arc::new(Signals::default()));
            client.write_all(begin.as_bytes()).await.expect("room");
            let mut read = [0; 1024];
            assert!(framed.read(&mut read).await.is_ok_and(|count| count > 0), "{begin:?}");
            if begin == broken {
                framed.read(&mut read).await.expect_err("it goes no further");
            }
            let more = async {
                if lingers {
                    client.write_all(&[b'x'; 16 * 1024]).await.expect("it is read");
                }
                (!closes).then_some(client)
            };
            let begun = tokio::time::Instant::now();
            let both = async { tokio::join!(framed.shutdown(), more) };
            let ends = tokio::time::timeout(10 * UNWANTED_BODY_TIMEOUT, both).await;
            let (ended, _open) = ends.expect("what is sent is read, and not for ever");
            ended.expect("an end");
            let expected = if lingers && !closes { UNWANTED_BODY_TIMEOUT } else { Duration::ZERO };
            assert_eq!(begun.elapsed(), expected, "{begin:?} {closes}");
        }
    }
}

#[tokio::test]
async fn what_came_behind_a_request_to_switch_goes_on_when_that_is_answered() {
    let head = with("Connection: Upgrade\r\nUpgrade: WebSocket\r\n");
    let next = "GET /next HTTP/1.1\r\nHost: door\r\n\r\n";
    for (is_switched, behind) in [(false, next), (true, next), (true, "\x01\x02")] {
        let (mut client, stream) = duplex(1024);
        let signals = Arc::new(Signals::default());
        let mut framed = FramedStream::new(stream, Arc::clone(&signals));
        client.write_all(format!("{head}{behind}").as_bytes()).await.expect("room");
        let mut read = vec![0; 1024];
        assert_eq!(framed.read(&mut read).await.expect("a head"), head.len());
        signals.answer(is_switched);
        let count = tokio::time::timeout(Duration::from_secs(20), framed.read(&mut read)).await;
        let count = count.expect("it goes on").expect("more");
        assert_eq!(&read[..count], behind.as_bytes(), "{is_switched} {behind:?}");
    }
}

/// An earlier answer is none to the next request to switch.
#[tokio::test]
async fn each_request_to_switch_waits_for_an_answer_of_its_own() {
    let head = with("Connection: Upgrade\r\nUpgrade: WebSocket\r\n");
    let (mut client, stream) = duplex(1024);
    let signals = Arc::new(Signals::default());
    let mut framed = FramedStream::new(stream, Arc::clone(&signals));
    let mut read = vec![0; 1024];
    for is_switched in [false, false, true] {
        client.write_all(head.as_bytes()).await.expect("room");
        assert_eq!(framed.read(&mut read).await.expect("a head"), head.len());
        assert!(poll!(pin!(framed.read(&mut read))).is_pending(), "it is not answered");
        signals.answer(is_switched);
    }
    client.write_all(b"\x81\x80").await.expect("room");
    assert_eq!(framed.read(&mut read).await.expect("more"), 2);
}

/// Whoever waits for the answer to a request to switch is seen to leave, and what they send meanwhile is held: as much as hyper
/// would, and in its order.
#[tokio::test]
async fn a_client_that_leaves_before_its_request_to_switch_is_answered_is_noticed() {
    let head = with("Connection: Upgrade\r\nUpgrade: WebSocket\r\n");
    for early in [&b""[..], b"\x81\x80\0\0\0\0"] {
        let (mut client, stream) = duplex(1024);
        let mut framed = FramedStream::new(stream, Arc::new(Signals::default()));
        client.write_all(head.as_bytes()).await.expect("room");
        let mut read = vec![0; 1024];
        assert_eq!(framed.read(&mut read).await.expect("a head"), head.len());
        assert!(poll!(pin!(framed.read(&mut read))).is_pending());
        client.write_all(early).await.expect("room");
        assert!(poll!(pin!(framed.read(&mut read))).is_pending(), "nothing goes on before the answer");
        drop(client);
        assert_eq!(framed.read(&mut read).await.expect("an end"), 0, "{early:?}");
    }
    const ROOM: usize = 1000;
    let (mut client, stream) = duplex(ROOM);
    let signals = Arc::new(Signals::default());
    let mut framed = FramedStream::new(stream, Arc::clone(&signals));
    client.write_all(head.as_bytes()).await.expect("room");
    let mut read = vec![0; 1024];
    assert_eq!(framed.read(&mut read).await.expect("a head"), head.len());
    let early = (0..=u8::MAX).cycle().take(HTTP1_READ_BUFFER_BYTES_MAX + ROOM + 1).collect::<Vec<_>>();
    let (enough, more) = early.split_at(HTTP1_READ_BUFFER_BYTES_MAX + ROOM);
    {
        let (mut sending, mut reading) = (pin!(client.write_all(enough)), pin!(framed.read(&mut read)));
        while poll!(&mut sending).is_pending() {
            assert!(poll!(&mut reading).is_pending());
            tokio::task::yield_now().await;
        }
        assert!(poll!(&mut reading).is_pending());
    }
    let mut sending = pin!(client.write_all(more));
    assert!(poll!(&mut sending).is_pending(), "more than that is not read");
    signals.answer(true);
    let mut held = vec![0; early.len()];
    let (sent, read) = tokio::join!(sending, framed.read_exact(&mut held));
    sent.and(read.map(|_| ())).expect("it goes on");
    assert_eq!(held, early);
}

/// Each head has its own time, also when the next one has always begun by the end of the one before.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_head_runs_from_its_beginning() {
    let (mut client, stream) = duplex(64 * 1024);
    let mut framed = FramedStream::new(stream, Arc::new(Signals::default()));
    let count = 2 * REQUEST_HEAD_TIMEOUT.as_secs();
    let send = async {
        client.write_all(b"GET / HTTP/1.1\r\nHost: d").await.expect("it is read");
        for _ in 0..count {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.write_all(b"oor\r\n\r\nGET / HTTP/1.1\r\nHost: d").await.expect("it is read");
        }
        client.write_all(b"oor\r\n\r\n").await.expect("it is read");
        drop(client);
    };
    let mut read = String::new();
    let exchange = async { tokio::join!(framed.read_to_string(&mut read), send) };
    let (read_all, ()) = tokio::time::timeout(4 * REQUEST_HEAD_TIMEOUT, exchange).await.expect("an end");
    read_all.expect("text");
    assert_eq!(read, "GET / HTTP/1.1\r\nHost: door\r\n\r\n".repeat(count as usize + 1));
}

/// Only what has begun can be late: an answer may take longer than a head.
#[tokio::test(start_paused = true)]
async fn a_head_that_has_not_begun_is_not_late() {
    let (mut client, stream) = duplex(1024);
    let mut framed = FramedStream::new(stream, Arc::new(Signals::default()));
    let mut read = vec![0; 1024];
    let (begin, end) = ("GET / HTTP/1.1\r\n", "Host: door\r\n\r\n");
    for _ in 0..2 {
        let send = async {
            client.write_all(begin.as_bytes()).await.expect("room");
            tokio::time::sleep(REQUEST_HEAD_TIMEOUT * 3 / 4).await;
            client.write_all(end.as_bytes()).await.expect("room");
        };
        let (count, ()) = tokio::join!(framed.read(&mut read), send);
        assert_eq!(&read[..count.expect("a head")], [begin, end].concat().as_bytes());
        let next = tokio::time::timeout(REQUEST_HEAD_TIMEOUT * 2, framed.read(&mut read)).await;
        next.expect_err("nobody has sent anything");
    }
}
