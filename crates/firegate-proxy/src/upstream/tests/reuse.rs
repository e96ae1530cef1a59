//! A connection that was given back is taken again at once, before the runtime has looked at what the service does meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use futures_util::poll;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::tls::Authority;
use super::*;
use crate::limits::UPSTREAM_FIRST_READ_BYTES;

/// What the service leaves behind its first answer.
type Leave = fn(&mut Wire);

/// Bytes that a service wrote, of which no more are on their way.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// A service on a thread of its own, which goes on while this one blocks.
struct Blunt {
    address: SocketAddr,
    leave: Sender<()>,
    left: Receiver<()>,
    /// Ends with the second connection.
    serving: JoinHandle<()>,
}

impl Wire {
    fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) -> Self {
        let (stream, _) = listener.accept().expect("a connection");
        // What is written is sent at once, whether or not what was sent before has arrived.
        stream.set_nodelay(true).expect("a socket");
        let Some(config) = tls else { return Self::Plain(stream) };
        let session = ServerConnection::new(Arc::clone(config)).expect("a session");
        Self::Tls(Box::new(StreamOwned::new(session, stream)))
    }

    fn bytes(&mut self) -> &mut (dyn Write + 'static) {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.as_mut(),
        }
    }

    fn read_head(&mut self) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let read = match self {
                Self::Plain(stream) => stream.read_exact(&mut byte),
                Self::Tls(stream) => stream.read_exact(&mut byte),
            };
            read.expect("a byte of the head");
            head.extend_from_slice(&byte);
        }
    }

    fn answer(&mut self, text: &str) {
        self.bytes().write_all(answer(text).as_bytes()).expect("it is sent");
        self.bytes().flush().expect("it is sent");
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

fn answer(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

impl Blunt {
    /// Answers once by each of two connections, and leaves something behind the first answer when it is told to.
    fn start(tls: Option<Arc<ServerConfig>>, leave: Leave) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let ((tell, told), (done, left)) = (channel(), channel());
        let serving = std::thread::spawn(move || {
            let accept = |text| {
                let mut wire = Wire::accept(&listener, tls.as_ref());
                wire.read_head();
                wire.answer(text);
                wire
            };
            let mut first = accept("first");
            told.recv().expect("it is told to");
            leave(&mut first);
            done.send(()).expect("somebody waits");
            accept("second");
        });
        Self { address, leave: tell, left, serving }
    }

    /// Has it leave something, and waits for that without letting the runtime look.
    fn leave_something(&self) {
        self.leave.send(()).expect("it waits");
        self.left.recv().expect("it is done");
    }
}

/// In TLS and in the clear; one request after the other, and the second begun before the first has ended.
async fn asks_by_another_connection(leave: Leave) {
    for begins_before in [false, true] {
        let authority = Authority::new(&[b"http/1.1"]);
        let service = Blunt::start(Some(authority.config()), leave);
        let site = authority.site(service.address, "");
        asks_twice(service, site, begins_before).await;

        let service = Blunt::start(None, leave);
        let site = Site::new(&format!("url: 'http://{}'", service.address));
        asks_twice(service, site, begins_before).await;
    }
}

async fn asks_twice(service: Blunt, site: Site, begins_before: bool) {
    let first = site.send(Method::POST, &[], full("")).await.expect("an answer");
    let mut second = pin!(site.post(full("")));
    if begins_before {
        // It gives way, and what the runtime sees thereupon is nothing yet.
        assert!(poll!(second.as_mut()).is_pending());
        tokio::task::yield_now().await;
        service.leave_something();
    }
    let body = first.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(body, "first");
    assert_eq!(site.endpoint(0).idle_connections(), 1);
    if !begins_before {
        service.leave_something();
    }
    // It may be done once only, and nothing of it was sent.
    assert_eq!(second.await.expect("an answer").body, "second");
    service.serving.join().expect("no panic");
    assert_eq!(site.figures()[0].failures, 0);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_the_next_ones() {
    asks_by_another_connection(|wire| wire.answer("planted")).await;
}

/// TLS gives nothing of a record before the whole of it has come, and reads it piece by piece.
#[tokio::test]
async fn nor_is_one_that_is_too_long_to_be_read_at_once() {
    asks_by_another_connection(|wire| wire.answer(&"planted".repeat(2_000))).await;
}

/// Of a record whose beginning came along with the answer before it nothing has been seen above TLS, and nothing is to be seen
/// below.
#[tokio::test]
async fn nor_is_one_that_has_begun_to_come() {
    let authority = Authority::new(&[b"http/1.1"]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = authority.config();
    let serving = std::thread::spawn(move || {
        let mut first = Wire::accept(&listener, Some(&config));
        first.read_head();
        let Wire::Tls(mut stream) = first else { unreachable!("it is in TLS") };
        let mut records = [Vec::new(), Vec::new()];
        for (text, record) in ["first", "planted"].into_iter().zip(&mut records) {
            stream.conn.writer().write_all(answer(text).as_bytes()).expect("there is room");
            stream.conn.write_tls(record).expect("there is room");
        }
        let [whole, cut] = records;
        let (begun, rest) = cut.split_at(cut.len() / 2);
        stream.sock.write_all(&[&whole, begun].concat()).expect("it is sent");
        // Whoever asks again by this connection gets what was meant for nobody.
        if let Ok(1..) = stream.read(&mut [0]) {
            stream.sock.write_all(rest).expect("it is sent");
            return;
        }
        let mut second = Wire::accept(&listener, Some(&config));
        second.read_head();
        second.answer("second");
    });
    let site = authority.site(address, "");
    for expected in ["first", "second"] {
        assert_eq!(site.post(full("")).await.expect("an answer").body, expected);
    }
    serving.join().expect("no panic");
}

/// Of what TLS has read and nobody has taken nothing is to be seen below it. The answer fills what there is room for in a read.
#[tokio::test]
async fn nor_is_one_that_tls_has_read_already() {
    let authority = Authority::new(&[b"http/1.1"]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = authority.config();
    let serving = std::thread::spawn(move || {
        let mut first = Wire::accept(&listener, Some(&config));
        first.read_head();
        let head_bytes = answer(&"x".repeat(1000)).len() - 1000;
        let full = answer(&"x".repeat(UPSTREAM_FIRST_READ_BYTES - head_bytes));
        assert_eq!(full.len(), UPSTREAM_FIRST_READ_BYTES);
        let both = full + &answer("planted");
        first.bytes().write_all(both.as_bytes()).expect("it is sent");
        first.bytes().flush().expect("it is sent");
        let mut second = Wire::accept(&listener, Some(&config));
        second.read_head();
        second.answer("second");
    });
    let site = authority.site(address, "");
    assert!(site.post(full("")).await.expect("an answer").body.iter().all(|octet| *octet == b'x'));
    assert_eq!(site.post(full("")).await.expect("an answer").body, "second");
    serving.join().expect("no panic");
}

#[tokio::test]
async fn a_connection_that_the_service_closes_just_then_fails_nobody() {
    asks_by_another_connection(|wire| {
        if let Wire::Tls(stream) = wire {
            stream.conn.send_close_notify();
            stream.flush().expect("it is sent");
        }
        wire.socket().shutdown(Shutdown::Both).expect("it is open");
    })
    .await;
}

#[tokio::test]
async fn nor_does_one_that_ends_without_a_word() {
    asks_by_another_connection(|wire| wire.socket().shutdown(Shutdown::Both).expect("it is open")).await;
}
