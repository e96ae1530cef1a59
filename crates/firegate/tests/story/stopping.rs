//! A stop: what is under way is finished, and what holds nothing up is not waited for.

use std::convert::Infallible;
#[cfg(unix)]
use std::fs::File;
#[cfg(unix)]
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use bytes::Bytes;
use firegate_core::time::{Clock, ShiftedClock, UnixTime};
use firegate_files::configuration;
use firegate_proxy::limits::HAND_OVER_QUEUE_MAX;
use firegate_proxy::{FrontDoor, FrontDoorOptions};
use futures_util::stream;
use http::Request;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::gate::PATIENCE;
use crate::stack::authority::Authority;
#[cfg(unix)]
use crate::stack::binary::Served;
use crate::stack::server::serve;
use crate::stack::{Call, at, claims, clock, close, door, options, stranger};
use crate::tls::{door_of, encrypted};

/// Much less than the time to drain, on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_hold_a_stop() {
    let clock = clock();
    let door =
        door("project: demo-project\nbackends: { api: 'http://127.0.0.1:9' }\nallow: [allUsers]\n", &clock);
    let silent = TcpStream::connect(door.address()).await.expect("a connection");
    let answer = Call::get(&at(&door, "/")).send().await;
    assert_eq!(answer.status.as_u16(), 502, "the connection before was accepted");
    tokio::time::timeout(AT_ONCE, close(door)).await.expect("it stops");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_handshake_that_nobody_goes_on_with_does_not_hold_a_stop() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let door = door_of(&authority, &["one"]).await;
    let silent = TcpStream::connect(door.address()).await.expect("a connection");
    // Accepted after it, and so it was accepted.
    drop(encrypted(&authority, &door, "one.example", &["http/1.1"]).await);
    tokio::time::timeout(AT_ONCE, close(door)).await.expect("it stops");
    drop(silent);
}

/// A configuration and the certificate that it names.
#[cfg(unix)]
fn files(authority: &Authority) -> [String; 2] {
    authority.issue("one", &["one.example"]);
    let files = ["firegate.yaml", "one.pem"].map(|name| authority.file(name));
    std::fs::write(&files[0], authority.configuration(&["one"])).expect("a file");
    files
}

/// Has a pipe in the place of a file, at once: that nothing is there in between would be told of first.
#[cfg(unix)]
pub(crate) fn put_pipe_at(file: &str) {
    let pipe = format!("{file}.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    std::fs::rename(pipe, file).expect("it is in its place");
}

/// Waits until somebody reads a pipe, which goes on until what is returned is dropped.
#[cfg(unix)]
pub(crate) async fn read_by_somebody(pipe: String) -> File {
    let (opened, reading) = oneshot::channel();
    // Whoever opens it to write waits for somebody who reads.
    std::thread::spawn(move || opened.send(File::options().write(true).open(pipe)));
    let reading = tokio::time::timeout(PATIENCE, reading).await.expect("it is looked at");
    reading.expect("a thread").expect("a pipe")
}

/// A pipe that nobody writes to stands for a disk that does not answer.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_certificates_that_hangs_does_not_hold_a_stop() {
    // Whoever looks at it by itself every few seconds hangs, or whoever does so for a SIGHUP.
    for signal in [None, Some("HUP")] {
        let authority = Authority::new();
        let [file, pipe] = files(&authority);
        let arguments = ["--listen", "127.0.0.1:0", "-c", &file];
        let served = Served::start_in(Path::new(&file).parent().expect("a folder"), &arguments);
        put_pipe_at(&pipe);
        if let Some(signal) = signal {
            served.signal(signal);
        }
        let _never_written = read_by_somebody(pipe).await;
        served.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || served.end());
        let ended = tokio::time::timeout(AT_ONCE, ended).await.unwrap_or_else(|_| panic!("{signal:?}"));
        assert!(ended.expect("it ends").success(), "{signal:?}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_hangs_at_the_start_is_told_and_does_not_hold_a_stop() {
    // That it hangs is told after a while: both at once.
    let [by_configuration, by_certificate] =
        [0, 1].map(|hanging| tokio::spawn(start_with_a_file_that_hangs(hanging)));
    by_configuration.await.expect("the configuration's own file");
    by_certificate.await.expect("a file that it names");
}

#[cfg(unix)]
async fn start_with_a_file_that_hangs(hanging: usize) {
    let authority = Authority::new();
    let files = files(&authority);
    let (file, pipe) = (files[0].clone(), files[hanging].clone());
    put_pipe_at(&pipe);
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(["serve", "--listen", "127.0.0.1:0", "-c", &file]).env_clear().stderr(Stdio::piped());
    let mut process = command.spawn().expect("the binary runs");
    let mut log = BufReader::new(process.stderr.take().expect("its log"));
    let _never_written = read_by_somebody(pipe.clone()).await;
    let told = tokio::task::spawn_blocking(move || {
        let mut told = String::new();
        while !told.contains("does not answer") {
            assert_ne!(log.read_line(&mut told).expect("a line"), 0, "it ended:\n{told}");
        }
        told
    });
    let told = tokio::time::timeout(PATIENCE, told).await.expect("it is told").expect("it goes on");
    assert!(told.contains(&format!("it does not start yet: the file {pipe} does not answer")), "{told}");
    let number = process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &number]).status().expect("kill runs").success());
    let ended = tokio::task::spawn_blocking(move || process.wait().expect("it ends"));
    let ended = tokio::time::timeout(AT_ONCE, ended).await.expect("it stops");
    assert!(ended.expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_still_needs_a_token_gets_it_while_the_door_drains() {
    let (clock, signer) = (clock(), stranger());
    let audience = "http://service.example";
    let now = clock.now().as_seconds();
    let token = json!({"iss": "https://accounts.google.com", "aud": audience, "sub": "1", "iat": now, "exp": now + 3600});
    let token = signer.sign(&token).expect("a token");
    let (asked, was_asked) = oneshot::channel::<()>();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let once = Arc::new(tokio::sync::Mutex::new(Some((asked, may_go_on))));
    let metadata = move || async move {
        if let Some((asked, may_go_on)) = once.lock().await.take() {
            asked.send(()).expect("the test waits");
            may_go_on.await.expect("the test goes on");
        }
        ([("metadata-flavor", "Google")], token.clone())
    };
    let keys = json!({"keys": [signer.public_jwk()]}).to_string();
    let router = Router::new()
        .route("/keys", get(|| async { keys }))
        .route("/service", any(|| async { "hello" }))
        .fallback(get(metadata));
    let local = serve(router).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allAuthenticatedUsers]\n\
             backends: {{ api: {{ url: '{local}', audience: '{audience}', credential: metadata }} }}\n\
             google: {{ id_token_keys: '{local}/keys', metadata: '{local}' }}\n"
        ),
        &clock,
    );
    door.ready().await;
    let user = signer.sign(&claims("demo-project", now)).expect("a token");
    let request = tokio::spawn(Call::get(&at(&door, "/service")).bearer(&user).send());
    was_asked.await.expect("the metadata server is asked");
    let stopping = tokio::spawn(close(door));
    go_on.send(()).expect("the metadata server waits");
    assert_eq!(request.await.expect("it ends").body.as_ref(), b"hello");
    tokio::time::timeout(AT_ONCE, stopping).await.expect("it stops").expect("cleanly");
}

/// Its stream would be open until the upload comes to its end, which nobody waits for any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_answered_already_does_not_hold_a_stop() {
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 204 No Content\r\n\r\n"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let service = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut read = Vec::new();
            while !read.windows(4).any(|part| part == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut read).await.expect("a head"), 0);
            }
            stream.write_all(answer.as_bytes()).await.expect("it is sent");
            // It would take the rest.
            let _ = stream.read_to_end(&mut read).await;
        });
        let backend = format!("{{ url: 'http://{service}', body_bytes_per_second_min: 0 }}");
        let text = format!("project: demo-project\nbackends: {{ api: {backend} }}\nallow: [allUsers]\n");
        let door = door(&text, &clock());
        let stream = TokioIo::new(TcpStream::connect(door.address()).await.expect("a connection"));
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let stalled = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let request = Request::post("http://door/").body(stalled).expect("a request");
        let answered = sender.send_request(request).await.expect("an answer");
        answered.into_body().collect().await.expect("a whole body");
        tokio::time::timeout(2 * AT_ONCE, close(door)).await.expect("it stops");
        connection.await.expect("it ends").expect("it is closed in order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_first_and_reads_then_learns_why_it_was_refused() {
    let clock = clock();
    let door = door(
        "project: demo-project\nbackends: { api: 'http://127.0.0.1:9' }\nallow: [allAuthenticatedUsers]\n",
        &clock,
    );
    let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
    let body = vec![b'x'; 5 * 1024 * 1024];
    let head = format!("POST / HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    stream.write_all(&body).await.expect("the whole body is sent");
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.expect("the answer is there");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401");
    drop(stream);
    close(door).await;
}

/// A clock that keeps whoever asks for the time on a worker until it is let go.
#[derive(Debug)]
struct Keeping {
    clock: ShiftedClock,
    keeps: AtomicBool,
    kept: mpsc::UnboundedSender<()>,
    /// It ends when the other end is dropped.
    let_go: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Clock for Keeping {
    fn now(&self) -> UnixTime {
        let is_worker = std::thread::current().name().is_some_and(|name| name.starts_with("firegate-worker"));
        if is_worker && self.keeps.load(Ordering::SeqCst) {
            let _ = self.kept.send(());
            let _ = self.let_go.lock().expect("a lock").recv();
        }
        self.clock.now()
    }

    fn steady(&self) -> Duration {
        self.clock.steady()
    }
}

/// Those who wait for a worker, and those who wait at the socket because too many wait for a worker.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_to_be_let_in_when_the_stop_comes_is_served() {
    const WAITING: usize = HAND_OVER_QUEUE_MAX + 20;
    let service = serve(Router::new().fallback(any(|| async { "hello" }))).await;
    let text = format!(
        "project: demo-project\nhealth: {{ listen: 127.0.0.1:0 }}\nallow: [allUsers]\nbackends: {{ api: '{service}' }}\n"
    );
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    let (kept, mut is_kept) = mpsc::unbounded_channel();
    let (go_on, let_go) = std::sync::mpsc::channel();
    let (keeps, let_go) = (AtomicBool::new(false), Mutex::new(let_go));
    let keeping = Arc::new(Keeping { clock: clock(), keeps, kept, let_go });
    let options = options(configuration, Arc::clone(&keeping) as _, None);
    // On a busy machine those who are let in last are not looked at for long.
    let options = FrontDoorOptions { workers: Some(1), idle_connection_grace: PATIENCE, ..options };
    let door = FrontDoor::start(options).expect("it starts");
    let (address, health) = (door.address(), door.health_address().expect("a listener"));
    assert!(exchange_and_close(address).await.ends_with("hello"));

    keeping.keeps.store(true, Ordering::SeqCst);
    let asking = tokio::spawn(exchange_and_close(address));
    is_kept.recv().await.expect("a worker asks for the time");
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(CLOSING).await.expect("it is sent");
        waiting.push(stream);
    }
    let stopping = tokio::spawn(close(door));
    let probe = format!("http://{health}/readyz").parse().expect("a URL");
    while Call::get(&probe).send().await.body.as_ref() != b"not ready: stopping\n" {}
    drop(go_on);
    assert!(asking.await.expect("it ends").ends_with("hello"));
    for (number, mut stream) in waiting.into_iter().enumerate() {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer).await;
        assert!(read.is_ok() && answer.ends_with("hello"), "{number}: {read:?} {answer}");
    }
    stopping.await.expect("it stops");
}

/// A request whose connection ends with its answer.
const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";

async fn exchange_and_close(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(CLOSING).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a whole answer");
    answer
}

/// A service whose answers wait until they are let go, and that says when a request has come.
pub(crate) struct Held {
    /// Where it is.
    pub(crate) url: String,
    pub(crate) came: mpsc::UnboundedReceiver<()>,
    pub(crate) let_go: watch::Sender<bool>,
    key_fetches: watch::Receiver<usize>,
}

impl Held {
    pub(crate) async fn start() -> Self {
        let (came, arrivals) = mpsc::unbounded_channel();
        let (let_go, held) = watch::channel(false);
        let slow = move || {
            let (came, mut held) = (came.clone(), held.clone());
            async move {
                came.send(()).expect("the test waits");
                held.wait_for(|let_go| *let_go).await.expect("the test goes on");
                "done"
            }
        };
        let keys = json!({"keys": [stranger().public_jwk()]}).to_string();
        let (fetched, key_fetches) = watch::channel(0);
        let keys = move || async move {
            fetched.send_modify(|times| *times += 1);
            keys
        };
        let router = Router::new().route("/slow", any(slow)).route("/keys", get(keys));
        let url = serve(router.fallback(any(|| async { "hello" }))).await;
        Self { url, came: arrivals, let_go, key_fetches }
    }

    /// Waits until the keys were fetched so often.
    pub(crate) async fn keys_fetched(&mut self, times: usize) {
        self.key_fetches.wait_for(|fetched| *fetched >= times).await.expect("the service runs");
    }
}

/// Sends a request and reads its answer to the end of the connection.
pub(crate) async fn exchange(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: door\r\n\r\n").as_bytes())
        .await
        .expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a whole answer");
    answer
}

/// Sends so many requests on one connection, and waits for their answers and for the end of the connection.
async fn streams(address: SocketAddr, count: usize) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = |mut sender: http2::SendRequest<Empty<Bytes>>| async move {
        let request = Request::get("http://door/slow").body(Empty::new()).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
        assert_eq!(body.as_ref(), b"done");
    };
    futures_util::future::join_all((0..count).map(|_| request(sender.clone()))).await;
    // The client would go on. The server has said that it does not, and not that anything was wrong.
    connection.await.expect("it ends").expect("it is closed in order");
    drop(sender);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_told_to_probes_and_clients_and_finishes_every_request_under_way() {
    const HTTP1: usize = 20;
    const HTTP2: usize = 5;
    const STREAMS: usize = 8;

    let mut held = Held::start().await;
    let text = format!(
        "project: demo-project\nhealth: {{ listen: 127.0.0.1:0 }}\nbackends: {{ api: '{service}' }}\nallow: [allUsers]\n\
         google: {{ id_token_keys: '{service}/keys' }}\n",
        service = held.url
    );
    let door = door(&text, &clock());
    door.ready().await;
    let address = door.address();
    let probe = format!("http://{}/readyz", door.health_address().expect("a health listener"));
    let probe = probe.parse().expect("a URL");
    assert_eq!(Call::get(&probe).send().await.status.as_u16(), 200);
    let mut idle = TcpStream::connect(address).await.expect("a connection");
    let ready = b"GET /.well-known/firegate/ready HTTP/1.1\r\nHost: door\r\n\r\n";
    idle.write_all(ready).await.expect("it is sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"ready\n") {
        assert_ne!(idle.read_buf(&mut answer).await.expect("an answer"), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));

    let http1 = (0..HTTP1).map(|_| tokio::spawn(exchange(address, "/slow"))).collect::<Vec<_>>();
    let http2 = (0..HTTP2).map(|_| tokio::spawn(streams(address, STREAMS))).collect::<Vec<_>>();
    for _ in 0..HTTP1 + HTTP2 * STREAMS {
        held.came.recv().await.expect("a request");
    }
    let stopping = tokio::spawn(close(door));
    loop {
        let answer = Call::get(&probe).send().await;
        if answer.status.as_u16() == 503 {
            assert_eq!(answer.body.as_ref(), b"not ready: stopping\n");
            break;
        }
    }
    while TcpStream::connect(address).await.is_ok() {}

    // Whoever still asks on a connection that was idle is told, or finds it closed.
    answer.clear();
    let _ = idle.write_all(ready).await;
    let _ = idle.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let is_told = answer.starts_with("http/1.1 503 ") && answer.contains("\r\nconnection: close\r\n");
    assert!(answer.is_empty() || is_told, "{answer}");

    held.let_go.send(true).expect("the service waits");
    for answer in http1 {
        let answer = answer.await.expect("it ends");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    }
    for streams in http2 {
        streams.await.expect("every stream was answered");
    }
    stopping.await.expect("it stops");
}

/// Service managers and images stop a process by one of these, and whoever stops nginx gracefully by the last.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn each_signal_that_asks_for_a_stop_lets_requests_end() {
    for signal in ["INT", "TERM", "QUIT"] {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let (release, released) = watch::channel(false);
        let answer = move || {
            let (arrived, mut released) = (arrived.clone(), released.clone());
            async move {
                arrived.send(()).expect("the test waits");
                released.wait_for(|released| *released).await.expect("the test lives");
                "answered"
            }
        };
        let service = serve(Router::new().fallback(any(answer))).await;
        let configuration = format!(
            "project: demo-project\nbackends: {{ api: {{ url: '{service}', credential: none }} }}\nallow: [allUsers]\n"
        );
        let served = Served::start(&configuration, "text", "info");
        let url = served.url.clone();
        let request = tokio::spawn(async move { Call::get(&url).send().await });
        tokio::time::timeout(PATIENCE, arrivals.recv()).await.expect("in time").expect("it is sent");
        served.signal(signal);
        served.line(|line| line.contains("stopping: requests under way are finished")).await;
        release.send_replace(true);
        let answer = request.await.expect("it is answered");
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, b"answered".as_slice()), "{signal}");
        assert_eq!(served.end().code(), Some(0), "{signal}");
    }
}
