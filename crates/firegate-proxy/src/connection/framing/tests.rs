//! The scanner's verdicts, each on the bytes as a whole and however they are cut.

use super::{Scan, Scanner, Then, Violation};
use crate::limits::{
    CHUNK_EXTENSIONS_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX, REQUEST_LINE_BYTES_MAX,
    TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
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

/// What stands before the fault, in whatever pieces it comes.
#[test]
fn of_a_refused_head_the_page_is_known_that_was_named_before_the_fault() {
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
