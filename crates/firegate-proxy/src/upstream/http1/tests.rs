//! What is read of an answer: the same however its bytes are cut, and of what is none nothing.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Version};
use http_body_util::BodyExt as _;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use tokio::net::{TcpListener, TcpStream};

use super::answer_head::AnswerHead;
use super::body::{Framing, read_chunked};
use super::connection::Http1Connection;
use super::error::Malformed;
use super::outgoing::RequestTarget;
use crate::http1::{Chunked, ChunkedError, Sender};
use crate::limits::{
    CHUNK_EXTENSIONS_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX, UPSTREAM_BUFFER_BYTES_MAX,
};
use crate::stream::full;
use crate::upstream::OwnFields;
use crate::upstream::resolve::ResolvedAddress;
use crate::upstream::socket::Socket;
use crate::upstream::transport::Transport;
use crate::upstream::unanswered::Unanswered;

/// What a chunked body comes to: its content, its trailers, whether it is over, and how much is behind it.
type Read = Result<(Vec<u8>, Option<HeaderMap>, bool, usize), Malformed>;

/// Reads a chunked body in these pieces.
fn read_chunks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut chunked, mut buffer) = (Chunked::new(Sender::Service), BytesMut::new());
    let (mut content, mut trailers) = (Vec::new(), None);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !chunked.is_over()
            && let Some(frame) = read_chunked(&mut chunked, &mut buffer)?
        {
            match frame.into_data() {
                Ok(data) => content.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    Ok((content, trailers, chunked.is_over(), buffer.len()))
}

fn cut(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let mut places = places.iter().map(|place| place % (bytes.len() + 1)).collect::<Vec<_>>();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
}

fn slices(pieces: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    pieces.iter().map(Vec::as_slice)
}

/// Bytes that are like a chunked body.
fn nearly_chunked() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..40)
            .prop_map(|data| [format!("{:x}\r\n", data.len()).into_bytes(), data, b"\r\n".to_vec()].concat()),
        1 => Just(b"5;a=b\r\nhello\r\n".to_vec()),
        1 => Just(b"2  \r\nhi\r\n".to_vec()),
        1 => Just(b"0\r\n\r\n".to_vec()),
        1 => Just(b"0\r\nA: b\r\nC: d\r\n\r\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn chunks_are_read_the_same_however_they_are_cut(
        bytes in nearly_chunked(),
        places in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let whole = read_chunks([bytes.as_slice()]);
        prop_assert_eq!(&read_chunks(slices(&cut(&bytes, &places))), &whole);
        prop_assert_eq!(read_chunks(bytes.chunks(1)), whole);
    }

    #[test]
    fn a_head_is_read_the_same_however_it_is_cut(
        fields in prop::collection::vec("[A-Za-z-]{1,12}: ?[ -~]{0,20}", 0..8),
        line in prop_oneof![Just("HTTP/1.1 200 OK"), Just("HTTP/1.0 404 Gone"), Just("HTTP/1.1 103 "), Just("HTTP/2 200")],
        rest in prop::collection::vec(any::<u8>(), 0..16),
        places in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let head = [line.to_owned()].into_iter().chain(fields).map(|line| line + "\r\n").collect::<String>();
        let bytes = [head.as_bytes(), b"\r\n", &rest].concat();
        let whole = read_head([bytes.as_slice()]);
        prop_assert_eq!(&read_head(slices(&cut(&bytes, &places))), &whole);
        prop_assert_eq!(read_head(bytes.chunks(1)), whole);
    }

    #[test]
    fn nothing_that_a_service_writes_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_chunks([bytes.as_slice()]);
        let _ = read_head([bytes.as_slice()]);
        let _ = read_head([&b"HTTP/1.1 200 OK\r\n"[..], &bytes, b"\r\n\r\n"]);
    }
}

/// What a head says, and how much was behind it; whole heads only.
fn read_head<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<String>, ()> {
    let (mut buffer, mut told, mut behind) = (BytesMut::new(), None, 0);
    for piece in pieces {
        if told.is_some() {
            behind += piece.len();
            continue;
        }
        buffer.extend_from_slice(piece);
        if let Some(head) = AnswerHead::read(&mut buffer, None).map_err(drop)? {
            behind = buffer.len();
            let framing = head.framing(false);
            told = Some(format!("{head:?} {framing:?} {}", head.keeps_connection()));
        }
    }
    Ok(told.map(|told| format!("{told} {behind}")))
}

fn head(text: &str) -> Result<AnswerHead, Malformed> {
    let mut buffer = BytesMut::from(text.as_bytes());
    AnswerHead::read(&mut buffer, None).map(|head| head.expect("a whole head"))
}

#[test]
fn an_answer_ends_as_it_says() {
    for (fields, expected) in [
        ("", "Ok(UntilClosed)"),
        ("Content-Length: 5\r\n", "Ok(Length(5))"),
        ("Content-Length: 0\r\n", "Ok(Ended)"),
        ("Content-Length: 5, 5\r\nContent-Length: 5\r\n", "Ok(Length(5))"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "Err(ContentLength)"),
        ("Content-Length: 5, 6\r\n", "Err(ContentLength)"),
        ("Content-Length: +5\r\n", "Err(ContentLength)"),
        ("Content-Length: 0x5\r\n", "Err(ContentLength)"),
        ("Content-Length:\r\n", "Err(ContentLength)"),
        ("Content-Length: 5,\r\n", "Err(ContentLength)"),
        ("Content-Length: 18446744073709551616\r\n", "Err(ContentLength)"),
        ("Transfer-Encoding: Chunked\r\n", "Ok(Chunked("),
        ("Transfer-Encoding: gzip\r\n", "Err(TransferEncoding)"),
        ("Transfer-Encoding: gzip, chunked\r\n", "Err(TransferEncoding)"),
        ("Transfer-Encoding: chunked, chunked\r\n", "Err(TransferEncoding)"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Err(TransferEncoding)"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Ok(Chunked("),
        ("Transfer-Encoding: \u{b}chunked\r\n", "none"),
    ] {
        let Ok(read) = head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")) else {
            assert_eq!(expected, "none", "{fields:?}");
            continue;
        };
        let framing = format!("{:?}", read.framing(false));
        assert!(framing.starts_with(expected), "{fields:?}: {framing}");
        if expected == "Err(TransferEncoding)" {
            assert!(read.framing(true).is_err(), "a HEAD has no body, and says of none: {fields:?}");
            continue;
        }
        assert!(matches!(read.framing(true), Ok(Framing::Ended)), "a HEAD has no body: {fields:?}");
        for status in ["204 No Content", "304 Not Modified"] {
            let read = head(&format!("HTTP/1.1 {status}\r\n{fields}\r\n")).expect("a head");
            assert!(matches!(read.framing(false), Ok(Framing::Ended)), "{status}: {fields:?}");
        }
    }
    let old = head("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a head");
    assert_eq!(old.framing(false).err(), Some(Malformed::TransferEncodingInHttp10));
}

/// A client might go by the other one.
#[test]
fn one_statement_of_its_length_is_left_to_an_answer() {
    for (fields, expected) in [
        ("Content-Length: 5\r\n", Some("5")),
        ("Content-Length: 5, 5\r\nContent-Length: 5\r\n", Some("5")),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", None),
        ("Content-Length: +5\r\n", None),
        ("Content-Length:\r\n", None),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", None),
    ] {
        let head = head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).expect("a head");
        let lengths = head.headers.get_all("content-length").iter().collect::<Vec<_>>();
        assert_eq!(lengths, expected.into_iter().collect::<Vec<_>>(), "{fields:?}");
    }
}

#[test]
fn a_connection_is_kept_only_if_nothing_speaks_against_it() {
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive, CLOSE\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x-close\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", false),
    ] {
        assert_eq!(head(text).expect("a head").keeps_connection(), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_head_is_none() {
    for text in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: y\r\n\r\n",
    ] {
        assert!(head(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_head_has_its_bound() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(UPSTREAM_BUFFER_BYTES_MAX));
    for (bytes, expected) in [(UPSTREAM_BUFFER_BYTES_MAX - 1, None), (UPSTREAM_BUFFER_BYTES_MAX, Some(()))] {
        let mut buffer = BytesMut::from(&endless.as_bytes()[..bytes]);
        let read = AnswerHead::read(&mut buffer, None);
        assert_eq!(read.err().map(|error| assert_eq!(error, Malformed::HeadTooLarge)), expected, "{bytes}");
    }
    let whole = |length: usize| {
        let start = "HTTP/1.1 200 OK\r\nX: ";
        head(&format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))).map(drop)
    };
    assert_eq!(whole(UPSTREAM_BUFFER_BYTES_MAX), Ok(()));
    assert_eq!(whole(UPSTREAM_BUFFER_BYTES_MAX + 1), Err(Malformed::HeadTooLarge));
}

/// A connection to somebody who has reset it.
async fn reset() -> Box<Http1Connection> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (other, _) = listener.accept().await.expect("a connection");
    other.set_zero_linger().expect("a socket");
    drop(other);
    Http1Connection::new(Transport::Plain(Socket::plain(stream)), ResolvedAddress { address, epoch: 0 })
}

/// By another connection it is sent for the first time.
#[tokio::test]
async fn a_request_of_which_nothing_was_written_is_had_back_whole() {
    let (target, host) = ("/a".parse().expect("a target"), HeaderValue::from_static("a.example"));
    let target = RequestTarget { target: &target, host: &host, own_fields: &OwnFields::default() };
    let mut request = Request::new(full("a body"));
    request.headers_mut().insert("x-a", HeaderValue::from_static("b"));
    let answer = reset().await.exchange(request, &target, None).await;
    let Err(Unanswered::Unsent(request, _)) = answer else { panic!("{answer:?}") };
    assert_eq!(request.headers()["x-a"], "b");
    let body = request.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "a body");
}

/// What the service calls its status goes on as it does, and the values are parts of what was read.
#[test]
fn a_head_is_told_as_it_is() {
    let mut buffer = BytesMut::from(&b"HTTP/1.0 299 Fine So Far\r\nX-A:  a b \r\nx-a: c\r\n\r\nrest"[..]);
    let head = AnswerHead::read(&mut buffer, None).expect("a head").expect("the whole");
    assert_eq!((head.status.as_u16(), head.version, &buffer[..]), (299, Version::HTTP_10, &b"rest"[..]));
    assert_eq!(head.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["a b", "c"]);
    assert_eq!(head.reason.expect("it is not the usual one").as_bytes(), b"Fine So Far");
}

#[test]
fn chunks_are_read_strictly() {
    let whole = |text: &str| read_chunks([text.as_bytes()]);
    assert_eq!(whole("2\r\nhi\r\n0\r\n\r\nmore"), Ok((b"hi".to_vec(), None, true, 4)));
    let (_, trailers, is_over, _) = whole("0\r\nA: b\r\n\r\n").expect("a body");
    assert_eq!((trailers.expect("trailers")["a"].as_bytes(), is_over), (&b"b"[..], true));
    for (text, expected) in [
        ("\r\n", ChunkedError::Size),
        ("+2\r\nhi\r\n", ChunkedError::Size),
        ("0x2\r\nhi\r\n", ChunkedError::Size),
        (" 2\r\nhi\r\n", ChunkedError::Size),
        ("2 2\r\nhi\r\n", ChunkedError::Size),
        ("2\nhi\r\n", ChunkedError::Size),
        ("2\rhi\r\n", ChunkedError::Size),
        ("00000000000000002\r\nhi\r\n", ChunkedError::Size),
        ("2;a\nb\r\nhi\r\n", ChunkedError::Extension),
        ("2\r\nhi!\r\n", ChunkedError::End),
        ("2\r\nhi\n", ChunkedError::End),
        ("2\r\nhi\r2", ChunkedError::End),
        ("0\r\nA: b\nC: d\r\n\r\n", ChunkedError::Trailers),
        ("0\r\nA: b\r\n c\r\n\r\n", ChunkedError::Trailers),
        ("0\r\nA : b\r\n\r\n", ChunkedError::Trailers),
        ("0\r\n\n", ChunkedError::Trailers),
        ("0\r\n\rx", ChunkedError::Trailers),
    ] {
        assert_eq!(whole(text), Err(Malformed::Chunked(expected)), "{text:?}");
    }
    let too_long = format!("1;{}", "x".repeat(CHUNK_EXTENSIONS_BYTES_MAX + 1));
    assert_eq!(whole(&too_long), Err(Malformed::Chunked(ChunkedError::Extension)));
    let too_long = format!("0\r\nA: {}", "x".repeat(TRAILER_BYTES_MAX));
    assert_eq!(whole(&too_long), Err(Malformed::Chunked(ChunkedError::Trailers)));
    let too_many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(TRAILER_FIELDS_MAX + 1));
    assert_eq!(whole(&too_many), Err(Malformed::Chunked(ChunkedError::Trailers)));
}

/// A body is not copied on its way.
#[test]
fn a_chunk_is_a_part_of_what_was_read() {
    let (mut chunked, mut buffer) = (Chunked::new(Sender::Service), BytesMut::from(&b"5\r\nhello\r\n"[..]));
    let place = buffer[3..8].as_ptr();
    let frame = read_chunked(&mut chunked, &mut buffer).expect("a chunk").expect("a frame");
    let data: Bytes = frame.into_data().expect("data");
    assert_eq!((data.as_ptr(), &data[..]), (place, &b"hello"[..]));
}
