//! A connection that was given back is taken again at once, before the runtime has looked at what the service does meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::*;

/// What the service leaves behind its first answer.
type Leave = fn(&mut TcpStream);

/// A service on a thread of its own, which goes on while this one blocks.
struct Blunt {
    url: String,
    leave: Sender<()>,
    left: Receiver<()>,
    /// Ends with the second connection.
    serving: JoinHandle<()>,
}

impl Blunt {
    /// Answers once by each of two connections, and leaves something behind the first answer when it is told to.
    fn start(leave: Leave) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let ((tell, told), (done, left)) = (channel(), channel());
        let serving = std::thread::spawn(move || {
            let mut first = answer(&listener, "first");
            told.recv().expect("it is told to");
            leave(&mut first);
            done.send(()).expect("somebody waits");
            answer(&listener, "second");
        });
        Self { url, leave: tell, left, serving }
    }

    /// Has it leave something, and waits for that without letting the runtime look.
    fn leave_something(&self) {
        self.leave.send(()).expect("it waits");
        self.left.recv().expect("it is done");
    }
}

fn answer(listener: &TcpListener, text: &str) -> TcpStream {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a byte of the head");
        head.extend_from_slice(&byte);
    }
    let length = text.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
    stream.write_all(answer.as_bytes()).expect("it is sent");
    stream
}

async fn asks_by_another_connection(leave: Leave) {
    let service = Blunt::start(leave);
    let site = Site::new(&format!("url: '{}'", service.url));
    assert_eq!(site.post(full("")).await.expect("an answer").body, "first");
    assert_eq!(site.endpoint(0).idle_connections(), 1);
    service.leave_something();
    // It may be done once only, and nothing of it was sent.
    assert_eq!(site.post(full("")).await.expect("an answer").body, "second");
    service.serving.join().expect("no panic");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_the_next_ones() {
    asks_by_another_connection(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted").expect("it is sent");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_the_service_closes_just_then_fails_nobody() {
    asks_by_another_connection(|stream| stream.shutdown(std::net::Shutdown::Both).expect("it is open")).await;
}
