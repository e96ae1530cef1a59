//! What the headers of a URL map say of a client's connection: of the client's own alone, and not of one that a proxy has.

use std::sync::Arc;

use firegate_files::configuration::parse_with_files;
use firegate_proxy::FrontDoor;
use http::Version;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::mirror;
use crate::reminting::over_http2;
use crate::stack::authority::{Authority, VERSIONS, connect};
use crate::stack::{clock, close, door_of, text};
use crate::url_map::TheFile;

/// A door before a service that is told what is known of the client's connection.
async fn door(more: &str) -> FrontDoor {
    let service = mirror().await;
    let configuration = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\nbackends: {{ web: '{service}' }}\n{more}"
    );
    let value =
        "{client_ip_address};{client_port};{client_protocol};{client_encrypted};{tls_version};{server_port}";
    let map = format!(
        "name: m\ndefaultService: global/backendServices/web\n\
         headerAction: {{requestHeadersToAdd: [{{headerName: X-Known, headerValue: '{value}', replace: true}}]}}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &configuration, &TheFile(map));
    door_of(configuration.unwrap_or_else(|found| panic!("{found}")), Arc::new(clock()), None)
}

/// What the service is told when this is asked.
async fn known(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), version: Version, fields: &str) -> String {
    let request = format!("GET / {version:?}\r\nHost: one.example\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    // A client that does not say goodbye in TLS is none of this test's.
    let _ = stream.read_to_string(&mut answer).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let seen: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    text(&seen["headers"]["x-known"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxys_connection_is_like_is_not_said_of_its_client() {
    let door = door("behind: { hops: 1, peers: [127.0.0.0/8] }\n").await;
    let server = door.address().port();
    let check = async |version, fields: &str, expected: &dyn Fn(u16) -> String| {
        let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
        let port = stream.local_addr().expect("an address").port();
        assert_eq!(known(&mut stream, version, fields).await, expected(port), "{version:?} {fields}");
    };
    let own = |protocol: &'static str| move |port| format!("127.0.0.1;{port};{protocol};false;;{server}");
    check(Version::HTTP_11, "", &own("HTTP/1.1")).await;
    check(Version::HTTP_10, "", &own("HTTP/1.0")).await;
    let anothers = |known: &'static str| move |_| format!("{known};;");
    let elsewhere = "X-Forwarded-For: 203.0.113.9\r\n";
    check(Version::HTTP_11, elsewhere, &anothers("203.0.113.9;;HTTP/1.1;false")).await;
    // A proxy on the client's own machine has taken TLS off.
    let encrypted = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n";
    check(Version::HTTP_11, encrypted, &anothers("127.0.0.1;;HTTP/1.1;true")).await;
    let seen = over_http2(&door, "nobody", None).await.json();
    assert!(text(&seen["headers"]["x-known"]).contains(";HTTP/2;false;"), "{seen}");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_tls_is_the_one_that_was_agreed_on() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door(&authority.setting(&["one"])).await;
    for (version, expected) in VERSIONS.iter().zip(["TLSv1.3", "TLSv1.2"]) {
        let config = Arc::new(authority.client(&["http/1.1"], std::slice::from_ref(version)));
        let mut stream = connect(config, door.address(), "one.example").await.expect("a handshake");
        let known = known(&mut stream, Version::HTTP_11, "").await;
        assert!(known.contains(&format!(";HTTP/1.1;true;{expected};")), "{known}");
    }
    close(door).await;
}
