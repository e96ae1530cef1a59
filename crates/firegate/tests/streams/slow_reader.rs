//! Clients that read slowly, or not at all: what the service sends is held back, and nobody outlives a bound by not looking.

use std::io::ErrorKind;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::site::{Site, empty, in_time, read_head};
use crate::stack::server::listen;

/// More than the buffers of the two systems' sockets hold of one answer, and much less than 100 MB.
const HELD_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// Scenario 17's clients, half of them.
const CLIENTS: usize = 100;

/// What each of them may cost: 64 MiB for two hundred.
const CLIENT_BYTES_MAX: u64 = 320 * 1024;

/// A service whose every answer has no end.
struct Endless {
    url: String,
    /// How much of all answers it got rid of.
    sent: Arc<AtomicU64>,
    /// Says when it could not go on with one.
    let_go: mpsc::UnboundedReceiver<()>,
}

impl Endless {
    async fn serve() -> Self {
        let (listener, url) = listen().await;
        let sent = Arc::new(AtomicU64::new(0));
        let (told, let_go) = mpsc::unbounded_channel();
        let total = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (total, told) = (Arc::clone(&total), told.clone());
                tokio::spawn(async move {
                    read_head(&mut stream).await;
                    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                    let chunk = [b"4000\r\n".to_vec(), vec![b'x'; 0x4000], b"\r\n".to_vec()].concat();
                    let mut written = stream.write_all(head.as_bytes()).await;
                    while written.is_ok() {
                        total.fetch_add(0x4000, Ordering::Relaxed);
                        written = stream.write_all(&chunk).await;
                    }
                    told.send(()).expect("the test listens");
                });
            }
        });
        Self { url, sent, let_go }
    }

    /// Waits until the door has broken an answer off.
    async fn is_let_go(&mut self) {
        in_time(self.let_go.recv()).await.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_1_a_client_that_never_reads_does_not_outlive_its_lease() {
    let mut service = Endless::serve().await;
    let site = Site::open(&service.url, "user_token: drop").await;
    let client = site.send("GET /big", "", 3).await;
    service.is_let_go().await;
    drop(client);
    site.close().await;
}

/// When it looks again, it can tell that what it finds is not the whole.
#[tokio::test(flavor = "multi_thread")]
async fn over_http_1_0_the_connection_of_a_client_that_never_reads_is_reset() {
    let mut service = Endless::serve().await;
    let site = Site::open(&service.url, "user_token: drop").await;
    let mut client = site.send_by("HTTP/1.0", "GET /big", "", 3).await;
    service.is_let_go().await;
    let mut read = Vec::new();
    let end = in_time(client.read_to_end(&mut read)).await.map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "{} bytes", read.len());
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_client_that_never_reads_does_not_outlive_its_lease() {
    let mut service = Endless::serve().await;
    let site = Site::open(&service.url, "user_token: drop").await;
    let mut sender = site.http2(65_535).await;
    let request = Request::get(format!("http://{}/big", site.door.address()))
        .header("authorization", format!("Bearer {}", site.token(3)))
        .body(empty())
        .expect("a request");
    // The connection lives and answers pings; nobody asks for the body.
    let answer = in_time(sender.send_request(request)).await.expect("an answer");
    service.is_let_go().await;
    drop(answer);
    site.close().await;
}

/// Scenario 17: an answer without an end for clients that read nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn scenario_17_what_clients_do_not_read_is_not_sent_and_not_kept() {
    if !is_alone("slow_reader::scenario_17_what_clients_do_not_read_is_not_sent_and_not_kept") {
        return;
    }
    let mut service = Endless::serve().await;
    let site = Site::open(&service.url, "user_token: drop, timeouts: { idle: 2s }").await;
    let before = resident_bytes("VmRSS:");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(site.send("GET /big", "", 3000).await);
    }
    for _ in 0..CLIENTS {
        service.is_let_go().await;
    }
    let sent = service.sent.load(Ordering::Relaxed) / CLIENTS as u64;
    assert!(sent < HELD_BYTES_MAX, "{sent} bytes went out for each client that read none");
    let peak = resident_bytes("VmHWM:").saturating_sub(before);
    let each = peak / CLIENTS as u64;
    println!("scenario 17: each answer got rid of {sent} bytes, and cost this process {each} bytes at most");
    assert!(each < CLIENT_BYTES_MAX, "each client cost this process {each} bytes");
    drop(clients);
    site.close().await;
}

/// Runs a test once more in a process of its own, where no other test takes memory, and says whether this is that process.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "FIREGATE_TEST_IS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = Command::new(std::env::current_exe().expect("this program"));
    let output = alone.args(["--exact", "--nocapture", test]).env(ALONE, "yes").output().expect("it runs");
    let [said, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    print!("{said}");
    assert!(output.status.success() && said.contains(" 1 passed"), "{complained}");
    false
}

/// What this process takes of the machine's memory.
fn resident_bytes(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says so");
    let kibibytes = status.lines().find_map(|text| text.strip_prefix(line)).expect("a line");
    kibibytes.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
