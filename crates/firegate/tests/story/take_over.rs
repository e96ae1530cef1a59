//! One process takes over from another on the same socket, and nobody notices.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::PATIENCE;
use crate::stack::binary::Served;
use crate::stack::{Answer, Call};
use crate::stopping::{Held, exchange};

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

/// What is handed over from one process to the next, and what both are configured with.
struct Sockets {
    public: TcpListener,
    health: TcpListener,
    folder: TempDir,
}

impl Sockets {
    fn new(service: &str) -> Self {
        let configuration = format!(
            "project: demo-project\nbackends: {{ api: '{service}' }}\nallow: [allUsers]\nlisten: 127.0.0.1:8\n\
             health: {{ listen: 127.0.0.1:9 }}\ngoogle: {{ id_token_keys: '{service}/keys' }}\n"
        );
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("firegate.yaml"), configuration).expect("a file");
        let listen = || TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        Self { public: listen(), health: listen(), folder }
    }

    fn address(&self) -> SocketAddr {
        self.public.local_addr().expect("an address")
    }

    fn start(&self) -> Served {
        Served::start_inheriting(&self.public, &self.health, self.folder.path(), &["-c", "firegate.yaml"])
    }

    async fn probe(&self) -> Answer {
        let address = self.health.local_addr().expect("an address");
        Call::get(&format!("http://{address}/readyz").parse().expect("a URL")).send().await
    }
}

async fn stop(process: Served) {
    process.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || process.end());
    assert!(ended.await.expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_goes_from_one_process_to_the_next_and_no_request_fails() {
    let sockets = Sockets::new(&Held::start().await.url);
    let address = sockets.address();
    let former = sockets.start();
    assert_eq!(former.address, address, "the socket takes the place of `listen`");
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
    let next = sockets.start();
    stop(former).await;
    for _ in 0..REQUESTS {
        request(address).await.expect("the next process answers");
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let failures = client.await.expect("it ends");
        assert!(failures.is_empty(), "{failures:?}");
    }
    stop(next).await;
}

/// Whoever asks whether requests may come is not told of the process that is on its way out.
#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_by_the_next_process_while_the_former_one_finishes() {
    let mut held = Held::start().await;
    let sockets = Sockets::new(&held.url);
    let mut former = sockets.start();
    let ready = async { while sockets.probe().await.status.as_u16() != 200 {} };
    tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
    let under_way = tokio::spawn(exchange(sockets.address(), "/slow"));
    held.came.recv().await.expect("a request");

    let next = sockets.start();
    held.keys_fetched(2).await;
    former.signal("TERM");
    // What the former one has accepted before is answered by it, and nothing after.
    former.next_line("a private listener is left to whoever else listens").await;
    let answered = async { while sockets.probe().await.status.as_u16() != 200 {} };
    tokio::time::timeout(PATIENCE, answered).await.expect("the next one is ready");
    for _ in 0..REQUESTS {
        let answer = sockets.probe().await;
        assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    }
    held.let_go.send(true).expect("the service waits");
    let answer = under_way.await.expect("it ends");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    let ended = tokio::task::spawn_blocking(move || former.end());
    assert!(ended.await.expect("it ends").success());
    stop(next).await;
}
