//! One process takes over from another on the same socket, and nobody notices.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::any;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::metrics::serve;
use crate::process::Process;

/// How many clients send one request after the other meanwhile, each on a connection of its own.
const CLIENTS: usize = 4;

/// How many requests are sent while either process is the only one.
const REQUESTS: usize = 50;

async fn request(address: SocketAddr) -> Result<(), String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match exchange.await {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello") => Ok(()),
        Ok(answer) => Err(answer),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_goes_from_one_process_to_the_next_and_no_request_fails() {
    let service = serve(Router::new().fallback(any(|| async { "hello" }))).await;
    let configuration = format!(
        "project: demo-project\nbackends: {{ api: 'http://{service}' }}\nallow: [allUsers]\nlisten: 127.0.0.1:9\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), configuration).expect("a file");
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = socket.local_addr().expect("an address");
    let start = || Process::start_inheriting(&["-c", "firegate.yaml"], &socket, folder.path());

    let former = start();
    assert_eq!(former.address, address.to_string(), "the socket takes the place of `listen`");
    let over = Arc::new(AtomicBool::new(false));
    let client = || {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            let mut failures = Vec::new();
            while !over.load(Ordering::Relaxed) {
                failures.extend(request(address).await.err());
            }
            failures
        })
    };
    let clients = (0..CLIENTS).map(|_| client()).collect::<Vec<_>>();
    for _ in 0..REQUESTS {
        request(address).await.expect("the former process answers");
    }
    let next = start();
    former.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || former.end());
    assert!(ended.await.expect("it ends").success());
    for _ in 0..REQUESTS {
        request(address).await.expect("the next process answers");
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let failures = client.await.expect("it ends");
        assert!(failures.is_empty(), "{failures:?}");
    }
    next.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || next.end());
    assert!(ended.await.expect("it ends").success());
}
