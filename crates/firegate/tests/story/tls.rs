//! TLS on the public listener, as clients see it: which certificate, which protocol, and what becomes of whoever speaks
//! none.

use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use firegate_proxy::FrontDoor;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::gate::PATIENCE;
use crate::metrics::scrape;
use crate::stack::authority::{Authority, VERSIONS, connect};
use crate::stack::server::serve;
use crate::stack::{clock, close, door};

/// A front door with the certificates of these names, before a service that says by which scheme it was asked.
pub(crate) async fn door_of(authority: &Authority, names: &[&str]) -> FrontDoor {
    let scheme = |headers: HeaderMap| async move {
        headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok()).unwrap_or("none").to_owned()
    };
    let service = serve(Router::new().fallback(any(scheme))).await;
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nbackends: {{ api: '{service}' }}\n\
         allow: [allUsers]\n{}",
        authority.setting(names)
    );
    let door = door(&text, &clock());
    assert!(door.is_tls());
    door
}

/// A connection of a client that trusts the authority.
pub(crate) async fn encrypted(
    authority: &Authority,
    door: &FrontDoor,
    host: &str,
    protocols: &[&str],
) -> TlsStream<TcpStream> {
    let config = Arc::new(authority.client(protocols, VERSIONS));
    connect(config, door.address(), host).await.expect("a handshake")
}

/// Waits until so many handshakes have ended so: a client may have done its part before the server has.
async fn handshakes(door: &FrontDoor, result: &str, expected: i64) {
    let name = format!("firegate_tls_handshakes_total{{result=\"{result}\"}}");
    let counted = async { while scrape(door).await.1[&name] != expected {} };
    tokio::time::timeout(PATIENCE, counted).await.expect("they are counted");
}

fn serial(certificate: &[u8]) -> Vec<u8> {
    let (_, certificate) = X509Certificate::from_der(certificate).expect("a certificate");
    certificate.raw_serial().to_vec()
}

/// The serial number of the certificate that a connection was given.
fn given(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    serial(&stream.get_ref().1.peer_certificates().expect("certificates")[0])
}

async fn get(sender: &mut hyper::client::conn::http1::SendRequest<Empty<bytes::Bytes>>) -> String {
    let request = Request::get("/").header("host", "one.example").body(Empty::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let authority = Authority::new();
    let one = serial(&authority.issue("one", &["one.example"]));
    let two = serial(&authority.issue("two", &["*.two.example"]));
    let door = door_of(&authority, &["one", "two"]).await;
    for versions in [&VERSIONS[..1], &VERSIONS[1..]] {
        let config = || Arc::new(authority.client(&["http/1.1"], versions));
        for (host, expected) in [("one.example", &one), ("a.two.example", &two), ("b.two.example", &two)] {
            let stream = connect(config(), door.address(), host).await;
            assert_eq!(&given(&stream.expect("a handshake")), expected, "{host}");
        }
        // The first one is for whoever asks for another name, who does not trust it then.
        let refused = connect(config(), door.address(), "a.b.two.example").await;
        let refused = refused.expect_err("it is for another name").to_string();
        assert!(refused.contains("one.example"), "{refused}");
    }
    handshakes(&door, "success", 6).await;
    handshakes(&door, "failure", 2).await;
    let (text, samples) = scrape(&door).await;
    assert_eq!(samples["firegate_tls_certificates_current"], 1, "{text}");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_spoken_as_agreed_and_the_service_learns_of_https() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door_of(&authority, &["one"]).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let stream = encrypted(&authority, &door, "one.example", protocols).await;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
        tokio::spawn(connection);
        assert_eq!(get(&mut sender).await, "https", "{protocols:?}");
    }
    let stream = encrypted(&authority, &door, "one.example", &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::get("https://one.example/").body(Empty::<bytes::Bytes>::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
    assert_eq!(body.as_ref(), b"https");
    drop(sender);

    // What was not agreed on is not spoken: not HTTP/2 without its name, and not HTTP/1 under the other's.
    for (protocols, bytes) in [
        (&["http/1.1"][..], &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..]),
        (&["h2"], b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n"),
    ] {
        let mut stream = encrypted(&authority, &door, "one.example", protocols).await;
        stream.write_all(bytes).await.expect("it is sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{protocols:?}: {answer:?}");
        assert!(answer.len() < 9 || answer[3] != 4, "there are no settings: {answer:?}");
    }
    close(door).await;
}

/// A browser that is given a URL with `http:` gets to read what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_no_tls_is_told_so_and_reaches_nothing() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door_of(&authority, &["one"]).await;
    let send = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
        stream.write_all(bytes).await.expect("it is sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = send(b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https"), "{answer}");
    let answer = send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(send(b"\0\0\0\0").await, "");
    handshakes(&door, "failure", 3).await;
    let (text, samples) = scrape(&door).await;
    assert_eq!(
        samples["firegate_decisions_total{outcome=\"permit\",code=\"\",backend=\"api\"}"], 0,
        "{text}"
    );
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_given_to_new_connections_and_the_open_ones_go_on() {
    let authority = Authority::new();
    let former = serial(&authority.issue("one", &["one.example"]));
    let door = door_of(&authority, &["one"]).await;
    let connect = async || encrypted(&authority, &door, "one.example", &["http/1.1"]).await;
    let open = connect().await;
    assert_eq!(given(&open), former);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(open)).await.expect("HTTP/1");
    tokio::spawn(connection);
    assert_eq!(get(&mut sender).await, "https");

    let key = std::fs::read(authority.file("one-key.pem")).expect("the key");
    let next = serial(&authority.issue("one", &["one.example"]));
    let next_key = std::fs::read(authority.file("one-key.pem")).expect("the key");
    std::fs::write(authority.file("one-key.pem"), &key).expect("a file");
    door.reload_certificates().await;
    assert_eq!(given(&connect().await), former, "the key is another certificate's");
    let (text, samples) = scrape(&door).await;
    assert_eq!(samples["firegate_tls_certificates_current"], 0, "{text}");

    std::fs::write(authority.file("one-key.pem"), &next_key).expect("a file");
    door.reload_certificates().await;
    assert_eq!(given(&connect().await), next);
    let (text, samples) = scrape(&door).await;
    assert_eq!(samples["firegate_tls_certificates_current"], 1, "{text}");
    assert_eq!(get(&mut sender).await, "https", "the open connection goes on");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_both_protocols_by_tls() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door_of(&authority, &["one"]).await;
    let port = door.address().port();
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", flag, "--cacert", &authority.file("authority.pem")])
            .args(["--resolve", &format!("one.example:{port}:127.0.0.1"), "--write-out", " %{http_version}"])
            .args(["--noproxy", "*", &format!("https://one.example:{port}/")]);
        let output = tokio::task::spawn_blocking(move || curl.output()).await.expect("it ends");
        let output = output.expect("curl runs");
        let (said, complaint) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(said, format!("https {version}"), "{complaint}");
    }
    close(door).await;
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_the_front_door_closed() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    authority.issue("two", &["two.example"]);
    let file = authority.file("firegate.yaml");
    let text = format!(
        "project: demo-project\nbackends: {{ api: 'http://127.0.0.1:9' }}\nallow: [allUsers]\n\
         tls: {{ certificates: [{{ cert: '{}', key: '{}' }}] }}\n",
        authority.file("one.pem"),
        authority.file("two-key.pem"),
    );
    std::fs::write(&file, text).expect("a file");
    crate::command_line::check(
        &["serve", "--listen", "127.0.0.1:0", "-c", &file],
        2,
        &["two-key.pem", "one.pem", "is not the one", "hint: "],
    );
}
