//! Services that answer before they have the whole request, and requests that are not as long as they say.

use tokio::sync::mpsc;

use super::*;
use crate::limits::UPSTREAM_INTERIM_ANSWERS_MAX;

/// What of a request's body comes when it is sent here; it ends with the sender.
type Pieces = mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>;

/// A body whose pieces a test sends.
fn told() -> (Pieces, Body) {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
    (sender, StreamBody::new(pieces).streamed())
}

fn send(pieces: &Pieces, text: &'static str) {
    pieces.send(Ok(Frame::data(Bytes::from_static(text.as_bytes())))).expect("it is asked for");
}

/// Reads until this has come, and returns what came before.
async fn read_up_to(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(stream.read_u8().await.expect("more of it"));
    }
    String::from_utf8(read).expect("text")
}

/// And the connection is then as good as any other.
#[tokio::test]
async fn the_rest_of_a_request_is_sent_though_its_answer_is_over() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await.expect("a head");
        say(&mut stream, "early").await;
        read_up_to(&mut stream, "4\r\nrest\r\n0\r\n\r\n").await;
        head(&mut stream).await.expect("the next request");
        say(&mut stream, "next").await;
        let _ = head(&mut stream).await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let (pieces, body) = told();
    assert_eq!(site.post(body).await.expect("an answer").body, "early");
    assert_eq!(site.endpoint(0).idle_connections(), 0, "it is still needed");
    send(&pieces, "rest");
    drop(pieces);
    let endpoint = site.endpoint(0);
    until(|| endpoint.idle_connections() == 1).await;
    assert_eq!(site.get().await.expect("an answer").body, "next");
    assert_eq!(origin.connections(), 1);
}

/// A conversation in which each side waits for the other one.
#[tokio::test]
async fn both_bodies_move_on_by_turns() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await.expect("a head");
        let fields = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(fields).await.expect("it is sent");
        for (asked, answer) in
            [("1\r\na\r\n", "1\r\nA\r\n"), ("1\r\nb\r\n", "1\r\nB\r\n"), ("0\r\n\r\n", "0\r\n\r\n")]
        {
            read_up_to(&mut stream, asked).await;
            stream.write_all(answer.as_bytes()).await.expect("it is sent");
        }
        let _ = head(&mut stream).await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let (pieces, body) = told();
    let mut answer = site.send(Method::POST, &[], body).await.expect("a head").into_body();
    for (asked, expected) in [("a", "A"), ("b", "B")] {
        send(&pieces, asked);
        let frame = answer.frame().await.expect("a piece").expect("no error");
        assert_eq!(frame.into_data().expect("data"), expected);
    }
    drop(pieces);
    assert!(answer.frame().await.is_none());
    let endpoint = site.endpoint(0);
    until(|| endpoint.idle_connections() == 1).await;
}

/// Nor does a client's upload wait because it does not read yet.
#[tokio::test]
async fn a_request_is_sent_though_nobody_reads_its_answer() {
    const PIECES: usize = 64;
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let origin = Origin::start(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            head(&mut stream).await.expect("a head");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot").await.expect("it is sent");
            for _ in 0..PIECES {
                read_up_to(&mut stream, "5\r\npiece\r\n").await;
                count.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let (pieces, body) = told();
    let answer = site.send(Method::POST, &[], body).await.expect("a head");
    (0..PIECES).for_each(|_| send(&pieces, "piece"));
    until(|| read.load(Ordering::Relaxed) == PIECES).await;
    drop(answer);
    until(|| pieces.is_closed()).await;
    assert_eq!(site.endpoint(0).idle_connections(), 0, "who leaves takes the connection along");
}

/// An end would make the service take a part for the whole.
#[tokio::test]
async fn a_body_that_breaks_off_has_no_end() {
    for is_answered in [false, true] {
        let (tell, told_rest) = tokio::sync::oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let origin = Origin::start(move |mut stream, _| {
            let tell = tell.lock().expect("the sender").take();
            async move {
                head(&mut stream).await.expect("a head");
                if is_answered {
                    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart";
                    stream.write_all(part).await.expect("it is sent");
                }
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                tell.expect("one request").send(rest).expect("the test waits");
            }
        })
        .await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        let (pieces, body) = told();
        let sent = site.send(Method::POST, &[], body);
        let breaks_off = async {
            send(&pieces, "piece");
            until(|| origin.connections() == 1).await;
            if !is_answered {
                settle().await;
                pieces.send(Err(BodyError::Reset)).expect("it is asked for");
            }
        };
        let (answer, ()) = tokio::join!(sent, breaks_off);
        assert_eq!(answer.is_ok(), is_answered);
        if let Ok(answer) = answer {
            pieces.send(Err(BodyError::Reset)).expect("it is asked for");
            assert!(answer.into_body().collect().await.is_err(), "the answer ends with it");
        }
        assert_eq!(told_rest.await.expect("it ends"), b"5\r\npiece\r\n", "{is_answered}");
        assert_eq!(site.endpoint(0).idle_connections(), 0);
    }
}

/// What is beyond it would be another request, and what is missing would be taken out of the next one.
#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_was_said_is_broken_off() {
    for (text, sent) in [("longer", ""), ("sho", "sho")] {
        let (tell, told_rest) = tokio::sync::oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let origin = Origin::start(move |mut stream, _| {
            let tell = tell.lock().expect("the sender").take();
            async move {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                tell.expect("one request").send(rest).expect("the test waits");
            }
        })
        .await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        let (pieces, body) = told();
        let request = site.send(Method::POST, &[("content-length", "5")], body);
        let comes_late = async {
            until(|| origin.connections() == 1).await;
            settle().await;
            send(&pieces, text);
            drop(pieces);
        };
        let (answer, ()) = tokio::join!(request, comes_late);
        assert!(answer.is_err(), "{text}");
        let read = String::from_utf8(told_rest.await.expect("it ends")).expect("text");
        let (head, rest) = read.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("content-length: 5") && rest == sent, "{text}: {read}");
    }
}

#[tokio::test]
async fn interim_answers_have_an_end() {
    for (interim, is_answered) in
        [(UPSTREAM_INTERIM_ANSWERS_MAX, true), (UPSTREAM_INTERIM_ANSWERS_MAX + 1, false)]
    {
        let origin = Origin::start(move |mut stream, _| async move {
            head(&mut stream).await;
            let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(interim);
            let _ = stream.write_all(interim.as_bytes()).await;
            say(&mut stream, "hello").await;
        })
        .await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        match site.get().await {
            Ok(answer) => assert!(is_answered && answer.body == "hello"),
            Err(refused) => assert!(!is_answered && refused.code() == Code::UpstreamProtocol),
        }
    }
}

/// Something between may have gone by the other one.
#[tokio::test]
async fn a_connection_with_an_answer_of_two_lengths_carries_no_second_request() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
        let fields = "Content-Length: 2\r\nTransfer-Encoding: chunked";
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("it is sent");
        assert!(head(&mut stream).await.is_none(), "another request");
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for connections in 1..3 {
        assert_eq!(site.get().await.expect("an answer").body, "hello");
        assert_eq!((origin.connections(), site.endpoint(0).idle_connections()), (connections, 0));
    }
}

/// It has answered all the same, and wants no more of the request.
#[tokio::test]
async fn an_answer_of_a_service_that_takes_no_more_is_the_answer() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
        let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
        stream.write_all(refusal).await.expect("it is sent");
    })
    .await;
    let site = Site::new(&format!("url: '{}', body_bytes_max: 1GiB", origin.url()));
    let endless = streamed(std::iter::repeat_with(|| Bytes::from_static(&[b'x'; 65536])).take(1024));
    match site.post(endless).await {
        Ok(answer) => assert_eq!((answer.status.as_u16(), &*answer.body), (413, &b"big"[..])),
        // The system may tell of the reset before what came before it.
        Err(refused) => assert_eq!(refused.code(), Code::UpstreamBrokeOff),
    }
    assert_eq!(site.endpoint(0).idle_connections(), 0);
}
