//! `kill -9` under load: the next process opens the same data directory by itself, and serves before any key could be fetched.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::routing::{any, get};
use firegate_core::time::{Clock, SystemClock};
use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::PATIENCE;
use crate::stack::binary::Served;
use crate::stack::server::serve;
use crate::stack::{Call, claims, stranger};

const KILLS: usize = 6;
/// How many clients send requests while the process is killed.
const CLIENTS: usize = 4;

/// Sends requests on one connection until it breaks.
async fn load(address: SocketAddr, token: String, answered: Arc<AtomicUsize>) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let request = format!("GET / HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut answer = Vec::new();
    loop {
        if stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        answer.clear();
        // Its head and its body may come in pieces.
        while !answer.ends_with(b"hello") {
            let Ok(1..) = stream.read_buf(&mut answer).await else { return };
            let begins_well = answer.iter().zip(b"HTTP/1.1 200 ").all(|(found, expected)| found == expected);
            assert!(begins_well, "{}", String::from_utf8_lossy(&answer));
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_under_load_the_next_process_serves_at_once_by_what_it_finds() {
    let signer = stranger();
    let are_kept = Arc::new(AtomicBool::new(false));
    let keys = json!({"keys": [signer.public_jwk()]}).to_string();
    let known = Arc::clone(&are_kept);
    // The keys can be fetched until they are in the data directory; afterwards there are only those.
    let publish = move || {
        let answer = match known.load(Ordering::Relaxed) {
            false => (StatusCode::OK, keys.clone()),
            true => (StatusCode::BAD_GATEWAY, String::new()),
        };
        async move { answer }
    };
    let google = serve(Router::new().route("/keys", get(publish))).await;
    let service = serve(Router::new().fallback(any(|| async { "hello" }))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "project: demo-project\nbackends: {{ api: {{ url: '{service}', credential: none }} }}\nallow: [allAuthenticatedUsers]\n\
         google: {{ id_token_keys: '{google}/keys' }}\ndata_dir: kept\n"
    );
    std::fs::write(folder.path().join("firegate.yaml"), text).expect("a file");
    let token = signer.sign(&claims("demo-project", SystemClock.now().as_seconds())).expect("a token");

    let (mut assertion_keys, mut slowest) = (None, std::time::Duration::ZERO);
    let answered = Arc::new(AtomicUsize::new(0));
    for _ in 0..KILLS {
        #[expect(clippy::disallowed_methods, reason = "how long a process takes is what is measured")]
        let start = std::time::Instant::now();
        let process = Served::start_in(folder.path(), &["-c", "firegate.yaml", "--listen", "127.0.0.1:0"]);
        let at = |path: &str| format!("http://{}{path}", process.address).parse().expect("a URL");
        let ready = async {
            while Call::get(&at("/.well-known/firegate/ready")).send().await.status != StatusCode::OK {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
        slowest = slowest.max(start.elapsed());
        let published = Call::get(&at("/.well-known/firegate/jwks.json")).send().await.ok();
        assert_eq!(*assertion_keys.get_or_insert_with(|| published.clone()), published, "the same keys sign");
        let before = answered.load(Ordering::Relaxed);
        let clients = (0..CLIENTS)
            .map(|_| tokio::spawn(load(process.address, token.clone(), Arc::clone(&answered))))
            .collect::<Vec<_>>();
        let loaded = async {
            while answered.load(Ordering::Relaxed) < before + 20 * CLIENTS {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, loaded).await.expect("requests are answered");
        // They are written beside the requests, which do not wait for it.
        let kept = async {
            while !folder.path().join("kept/keys-id_token.json").exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, kept).await.expect("the keys are written");
        are_kept.store(true, Ordering::Relaxed);
        process.signal("KILL");
        assert!(!process.end().success());
        for client in clients {
            client.await.expect("every answer was right until the end");
        }
    }
    println!(
        "{KILLS} kills under load: ready after {} ms at the latest, {} requests answered, none wrongly",
        slowest.as_millis(),
        answered.load(Ordering::Relaxed)
    );
}
