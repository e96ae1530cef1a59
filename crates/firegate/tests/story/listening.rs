//! How connections get in: on every address, evenly over the workers, and no more than there are places for.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use firegate_files::configuration;
use firegate_proxy::{FrontDoor, FrontDoorOptions, InheritedSockets, StartError};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::PATIENCE;
use crate::metrics::scrape;
use crate::reloading::reload;
#[cfg(unix)]
use crate::stack::binary::Served;
use crate::stack::server::{listen, serve};
use crate::stack::{Call, at, clock, close, door, log, options};

/// What a front door needs to let everybody through to a service.
pub(crate) fn open_to_all(service: &str, more: &str) -> String {
    format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nbackends: {{ api: '{service}' }}\nallow: [allUsers]\n{more}"
    )
}

pub(crate) async fn hello() -> String {
    serve(Router::new().fallback(any(|| async { "hello" }))).await
}

/// A service that switches to WebSocket and keeps what it was sent to itself.
async fn switching() -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let _ = stream.read(&mut head).await;
                let answer =
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
                while let Ok(1..) = stream.read(&mut head).await {}
            });
        }
    });
    url
}

/// How many connections each worker has.
async fn open_connections(door: &FrontDoor) -> Vec<i64> {
    let (_, samples) = scrape(door).await;
    let open = samples.iter().filter(|(name, _)| name.starts_with("firegate_connections_open{"));
    open.map(|(_, open)| *open).collect()
}

/// Waits until so many connections are open in all.
async fn open_in_all(door: &FrontDoor, expected: i64) -> Vec<i64> {
    let counted = async {
        loop {
            let open = open_connections(door).await;
            if open.iter().sum::<i64>() == expected {
                return open;
            }
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("they are counted")
}

/// Sends a request on a connection of its own and keeps the connection. `None` if it is closed instead.
pub(crate) async fn keep_open(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    answered(&mut stream).await.then_some(stream)
}

/// Whether a request on this connection is answered by the service.
pub(crate) async fn answered(stream: &mut TcpStream) -> bool {
    answered_with(stream, "/", "hello").await
}

/// Whether a request on this connection is answered so.
async fn answered_with(stream: &mut TcpStream, path: &str, expected: &str) -> bool {
    let request = format!("GET {path} HTTP/1.1\r\nHost: door\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    while !answer.ends_with(expected.as_bytes()) {
        match stream.read_buf(&mut answer).await {
            Ok(1..) => {}
            _ => return false,
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_the_list_is_answered_on() {
    let door = door(&open_to_all(&hello().await, "listen: ['127.0.0.1:0', '127.0.0.1:0']\n"), &clock());
    let addresses = door.addresses().to_vec();
    assert_eq!(addresses.len(), 2);
    assert_ne!(addresses[0], addresses[1]);
    assert_eq!(door.address(), addresses[0]);
    for address in addresses {
        let url = format!("http://{address}/").parse().expect("a URL");
        assert_eq!(Call::get(&url).send().await.body.as_ref(), b"hello");
    }
    close(door).await;
}

/// A worker keeps a connection to its end, so long ones must not fall together by chance.
#[tokio::test(flavor = "multi_thread")]
async fn eight_http2_clients_lie_evenly_on_two_workers() {
    let door = door(&open_to_all(&hello().await, ""), &clock());
    let mut clients = Vec::new();
    for _ in 0..8 {
        let stream = TcpStream::connect(door.address()).await.expect("a connection");
        let (mut client, connection) =
            http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2");
        tokio::spawn(connection);
        let request = Request::get(at(&door, "/").as_str()).body(Empty::new()).expect("a request");
        let answer = client.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.expect("a whole body");
        clients.push(client);
    }
    let open = open_in_all(&door, 8).await;
    assert!(open.len() == 2 && open.iter().all(|open| (3..=5).contains(open)), "{open:?}");
    drop(clients);
    open_in_all(&door, 0).await;
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_web_sockets_lie_evenly_on_two_workers_and_count_until_they_end() {
    let door = door(&open_to_all(&switching().await, ""), &clock());
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
        let request = "GET / HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        let mut status_line = [0; 12];
        stream.read_exact(&mut status_line).await.expect("an answer");
        assert_eq!(&status_line, b"HTTP/1.1 101");
        clients.push(stream);
    }
    let open = open_in_all(&door, 8).await;
    assert!(open.len() == 2 && open.iter().all(|open| (3..=5).contains(open)), "{open:?}");
    drop(clients);
    open_in_all(&door, 0).await;
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_is_closed_counted_and_leaves_the_others_alone() {
    log::begin();
    for (limits, name) in [
        ("limits: { connections_max: 3 }\n", "connections_max"),
        ("limits: { connections_per_address_max: 3 }\n", "connections_per_address_max"),
    ] {
        let door = door(&open_to_all(&hello().await, limits), &clock());
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(keep_open(door.address()).await.expect("there is a place"));
        }
        assert!(keep_open(door.address()).await.is_none(), "{name}");
        for client in &mut clients {
            assert!(answered(client).await, "{name}");
        }
        let line = log::line(|line| line.contains("connections were refused") && line.contains(name)).await;
        // One address with so many may stand for many.
        assert_eq!(line.contains("set `behind`"), name.contains("address"), "{line}");
        let (text, samples) = scrape(&door).await;
        assert_eq!(samples[&format!("firegate_connections_refused_total{{limit=\"{name}\"}}")], 1, "{text}");
        assert_eq!(samples["firegate_connections_accepted_total"], 3, "{text}");
        clients.pop();
        open_in_all(&door, 2).await;
        assert!(keep_open(door.address()).await.is_some(), "{name}: the place is free again");
        close(door).await;
    }
}

#[tokio::test]
async fn a_door_that_nothing_leads_to_and_a_socket_that_nobody_has_a_use_for_are_refused() {
    let of = |listen: Vec<SocketAddr>, inherited: InheritedSockets| {
        let configuration = configuration::parse("firegate.yaml", &open_to_all("http://127.0.0.1:9", ""));
        let options = options(configuration.expect("a configuration"), Arc::new(clock()), None);
        FrontDoor::start(FrontDoorOptions { listen, inherited, ..options })
    };
    let Err(StartError::NoAddress) = of(Vec::new(), InheritedSockets::default()) else { panic!("it starts") };
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let inherited = InheritedSockets::of(vec![("health".to_owned(), socket)]).expect("it listens");
    let started = of(vec![([127, 0, 0, 1], 0).into()], inherited);
    let Err(StartError::InheritedInVain { name: "health" }) = started else { panic!("it starts") };
}

/// Everybody comes from the proxies' few addresses there.
#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_trusted_proxy_are_not_counted_by_its_address() {
    let more = "limits: { connections_per_address_max: 1 }\nbehind: { hops: 1, peers: [127.0.0.0/8] }\n";
    let door = door(&open_to_all(&hello().await, more), &clock());
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(keep_open(door.address()).await.expect("there is a place"));
    }
    close(door).await;
}

/// Whoever puts a proxy before a door that is open would otherwise shut everybody out but the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_trusted_from_the_reload_on_that_names_it_and_no_longer_than_until_the_next() {
    let limited = open_to_all(&hello().await, "limits: { connections_per_address_max: 1 }\n");
    let behind = format!("{limited}behind: {{ hops: 1, peers: [127.0.0.0/8] }}\n");
    let mut door = door(&limited, &clock());
    let _first = keep_open(door.address()).await.expect("there is a place");
    for (text, is_let_in) in [(&limited, false), (&behind, true), (&limited, false)] {
        reload(&mut door, text).await.expect("it is put in force");
        assert_eq!(keep_open(door.address()).await.is_some(), is_let_in, "{text}");
    }
    close(door).await;
}

/// What an idle connection costs the process, as the system counts it. A debug build's is larger than a release's, and the
/// bound is there for what would be wrong by its nature: a buffer for a whole head, or a task for each timer.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_cost_little_and_those_beyond_the_limit_are_refused() {
    use crate::stack::binary::Served;

    const IDLE: usize = 1000;
    const KIB_MAX: u64 = 64;

    let text = open_to_all(
        &hello().await,
        &format!("limits: {{ connections_max: {IDLE}, connections_per_address_max: {IDLE} }}\n"),
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), text).expect("a file");
    let serve = Served::start_in(folder.path(), &["-c", "firegate.yaml", "--listen", "127.0.0.1:0"]);
    let address = serve.address;
    let mut warm = keep_open(address).await.expect("a place");
    let before = serve.resident_kib();
    let places = Arc::new(tokio::sync::Semaphore::new(50));
    let connecting = (1..IDLE).map(|_| {
        let places = Arc::clone(&places);
        tokio::spawn(async move {
            let _place = places.acquire_owned().await;
            let mut client = TcpStream::connect(address).await.expect("a connection");
            // Connections to the service are not what is measured.
            let path = "/.well-known/firegate/ready";
            assert!(answered_with(&mut client, path, "ready\n").await, "there is a place");
            client
        })
    });
    let mut clients = Vec::new();
    for client in connecting.collect::<Vec<_>>() {
        clients.push(client.await.expect("it connects"));
    }
    let each = serve.resident_kib().saturating_sub(before) / (IDLE as u64 - 1);
    println!("{each} KiB for each of {IDLE} idle connections");
    assert!(each <= KIB_MAX, "{each} KiB for each idle connection");
    for _ in 0..50 {
        assert!(keep_open(address).await.is_none(), "there is no place left");
    }
    assert!(answered(&mut warm).await && answered(&mut clients[IDLE / 2]).await);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_private_listeners_are_told_by_urls_that_answer() {
    let more = "health: { listen: 127.0.0.1:0 }\n";
    let served = Served::start(&open_to_all(&hello().await, more), "text", "info");
    for (line, name, status) in [
        ("the metrics are told", "url=", StatusCode::OK),
        ("probes are answered", "liveness=", StatusCode::OK),
        // There are no keys to be had.
        ("probes are answered", "readiness=", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let line = served.line(|told| told.contains(line)).await;
        let url = line.split_once(name).expect("a URL").1.split_whitespace().next().expect("a URL");
        let answer = Call::get(&url.parse().expect("a URL")).send().await;
        assert_eq!(answer.status, status, "{line}");
    }
}
