//! A service, or whoever can make it answer so, says two things of how long its answer is. A client that goes by the other one
//! takes a part for the whole, or a body for the next answer.

use std::io;
use std::path::Path;
use std::sync::Arc;

use firegate_files::configuration::{NamedFiles, parse_with_files};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::stack::{Call, at, clock, close, door, door_of};
use crate::wire::rest;

/// What a client gets of this answer.
async fn answer(of_service: &str) -> String {
    answer_to("GET", of_service).await
}

async fn answer_to(method: &str, of_service: &str) -> String {
    let of_service = of_service.to_owned();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let of_service = of_service.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(of_service.as_bytes()).await;
            });
        }
    });
    let text = format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = door(&text, &clock());
    let mut stream = tokio::net::TcpStream::connect(door.address()).await.expect("a connection");
    let request = format!("{method} / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let answer = rest(&mut stream).await;
    close(door).await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_chunks_is_left_out() {
    const SERVICE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
    let answer = answer(SERVICE).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("0123456789"), "{answer}");
    assert!(!answer.contains("content-length") && answer.contains("transfer-encoding: chunked"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_said_twice_is_said_once() {
    let answer = answer("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nwhole").await;
    assert!(answer.ends_with("\r\n\r\nwhole") && answer.contains("content-length: 5\r\n"), "{answer}");
    assert_eq!(answer.matches("content-length").count(), 1, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coding_that_nobody_asked_for_is_not_handed_on_as_none() {
    for service in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    ] {
        let answer = answer(service).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{service:?}: {answer}");
        assert!(answer.contains("x-firegate-reason: UPSTREAM_PROTOCOL\r\n"), "{service:?}: {answer}");
    }
}

/// What could be read in two ways is read in none.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_none_is_no_answer() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\nX: y\r\n z\r\n",
        "Content-Length: 5\r\nX: \0\r\n",
    ] {
        let service = format!("HTTP/1.1 200 OK\r\n{fields}\r\nwhole!");
        let answer = answer(&service).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{service:?}: {answer}");
        assert!(answer.contains("x-firegate-reason: UPSTREAM_PROTOCOL\r\n"), "{service:?}: {answer}");
    }
}

/// An HTTP/2 client ends the stream for it, and has no answer.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_read_by_a_length_none_is_handed_on_that_is_none() {
    for (fields, expected) in [
        ("Content-Length: 5\r\n", Some("content-length: 5\r\n")),
        ("Content-Length: 5, 5\r\nContent-Length: 5\r\n", Some("content-length: 5\r\n")),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", None),
        ("Content-Length: 5, 6\r\n", None),
        ("Content-Length: +5\r\n", None),
        ("Content-Length:\r\n", None),
    ] {
        let answer = answer_to("HEAD", &format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{fields:?}: {answer}");
        assert_eq!(answer.matches("content-length").count(), expected.iter().count(), "{fields:?}: {answer}");
        assert!(expected.is_none_or(|field| answer.contains(field)), "{fields:?}: {answer}");
    }
}

/// Without a length and without chunks the end of the connection is the end of the answer; what is broken off looks the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_services_version_is_not_the_clients() {
    let answer = answer("HTTP/1.0 200 OK\r\n\r\nwhole").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("transfer-encoding: chunked\r\n") && answer.ends_with("0\r\n\r\n"), "{answer}");
}

struct Map;

impl NamedFiles for Map {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok("name: m\ndefaultService: web\ndefaultCustomErrorResponsePolicy:\n  errorService: web\n  errorResponseRules:\n  \
            - { matchResponseCodes: ['404'], path: /404.html }\n"
            .to_owned())
    }
}

/// A page in the place of an error is an answer like any other.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_error_has_one_length_too() {
    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let count = stream.read(&mut head).await.unwrap_or_default();
                let is_page = head[..count].starts_with(b"GET /404.html ");
                let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(if is_page { PAGE } else { missing }.as_bytes()).await;
            });
        }
    });
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\nbackends: {{ web: 'http://{address}' }}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &Map).expect("a configuration");
    let door = door_of(configuration, Arc::new(clock()), None);
    let answer = Call::get(&at(&door, "/a")).send().await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (404, b"0123456789".as_slice()));
    assert_eq!(answer.header("content-length"), None);
    close(door).await;
}
