//! Bytes as they are: a client that sends what it likes, and an origin that keeps what it got.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use firegate_core::time::ShiftedClock;
use firegate_proxy::FrontDoor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::stack::{clock, close, door};

/// How long an answer may take before a test gives up. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A request that nothing is wrong with.
pub(crate) const INNOCENT: &str = "GET /innocent HTTP/1.1\r\nHost: door\r\n\r\n";

/// What a smuggled request would look like to the origin.
pub(crate) const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: door\r\n\r\n";

/// A front door that everyone may pass, before an origin.
pub(crate) struct Wire {
    pub(crate) door: FrontDoor,
    pub(crate) origin: Origin,
}

/// A server that answers every request alike, and keeps the bytes that it got.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
    ended: watch::Receiver<usize>,
}

impl Wire {
    pub(crate) async fn open() -> Self {
        Self::open_by(door).await
    }

    /// The same, by another way to open the door with a configuration.
    pub(crate) async fn open_by(door: impl FnOnce(&str, &ShiftedClock) -> FrontDoor) -> Self {
        let origin = Origin::open().await;
        let text = format!(
            "project: demo-project\nbackends: {{ api: 'http://{}' }}\nallow: [allUsers]\n",
            origin.address
        );
        let door = door(&text, &clock());
        Self { door, origin }
    }

    pub(crate) async fn close(self) {
        close(self.door).await;
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.door.address()).await.expect("a connection")
    }

    /// Sends bytes, and reads until the door closes.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The door may have read enough before everything is sent.
        let _ = stream.write_all(bytes.as_ref()).await;
        rest(&mut stream).await
    }

    /// That a request is refused as malformed, behind one that is answered; that the connection closes behind it, and that the
    /// origin sees nothing of it.
    pub(crate) async fn refuses(&self, request: impl AsRef<[u8]>) {
        self.refuses_with(request, 400, "REQUEST_MALFORMED").await;
    }

    pub(crate) async fn refuses_with(&self, request: impl AsRef<[u8]>, status: u16, reason: &str) {
        let shown = String::from_utf8_lossy(request.as_ref()).chars().take(300).collect::<String>();
        let before = self.origin.received().len();
        let pipeline = [INNOCENT.as_bytes(), request.as_ref(), SMUGGLED.as_bytes()].concat();
        let answers = self.send(pipeline).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{shown:?}: {answers}");
        assert!(answers.starts_with("HTTP/1.1 200 "), "{shown:?}: {answers}");
        let refusal = &answers[answers.rfind("HTTP/1.1 ").expect("a second answer")..];
        assert!(refusal.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {refusal}");
        for part in
            [&format!("x-firegate-reason: {reason}\r\n"), "connection: close\r\n", "\"domain\":\"firegate\""]
        {
            assert!(refusal.contains(part), "{shown:?}: {part:?} is not in {refusal}");
        }
        let received = self.origin.received()[before..].to_owned();
        assert_eq!(received.matches(" HTTP/1.1\r\n").count(), 1, "{shown:?}: the origin got {received}");
        assert!(received.starts_with("GET /innocent HTTP/1.1\r\n"), "{shown:?}: the origin got {received}");
    }

    /// That a request is answered by the origin. Every attack shows this too: else it could not fail.
    pub(crate) async fn admits(&self, request: impl AsRef<[u8]>) -> String {
        let before = self.origin.received().len();
        let answer = self.send(request.as_ref()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        self.origin.received()[before..].to_owned()
    }
}

/// What comes until the other side closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let _ = read.unwrap_or_else(|_| panic!("the door does not close: {shown}"));
    shown
}

impl Origin {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (end, ended) = watch::channel(0);
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, end) = (Arc::clone(&kept), end.clone());
                tokio::spawn(async move {
                    answer(stream, |bytes| {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
                    })
                    .await;
                    end.send_modify(|count| *count += 1);
                });
            }
        });
        Self { address, received, ended }
    }

    /// Everything that it got, in the order in which it came.
    pub(crate) fn received(&self) -> String {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&received).into_owned()
    }

    /// Waits until so many of its connections have ended.
    pub(crate) async fn ended(&self, count: usize) {
        let mut ended = self.ended.clone();
        let wait = ended.wait_for(|ended| *ended >= count);
        tokio::time::timeout(PATIENCE, wait).await.expect("they end").expect("the origin lives");
    }
}

/// Reads requests by the framing that stands in them, and answers each when it is whole.
async fn answer(mut stream: TcpStream, mut keep: impl FnMut(&[u8])) {
    let (mut unread, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        keep(&buffer[..count]);
        unread.extend_from_slice(&buffer[..count]);
        while let Some(length) = whole(&unread) {
            unread.drain(..length);
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                return;
            }
        }
    }
}

/// How long the first request is, if it is whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding: chunked\r\n") {
        return find(&bytes[head..], b"0\r\n\r\n").map(|end| head + end + 5);
    }
    let length = text.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length = head + length.map_or(0, |length| length.parse::<usize>().expect("a length"));
    (bytes.len() >= length).then_some(length)
}

/// A request with these lines behind the `Host`, and this body.
pub(crate) fn post(lines: &str, body: &str) -> String {
    format!("POST /attack HTTP/1.1\r\nHost: door\r\n{lines}\r\n{body}")
}
