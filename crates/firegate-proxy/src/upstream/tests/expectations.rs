use std::sync::atomic::AtomicBool;

use super::*;

const EXPECTING: &[(&str, &str)] = &[("expect", "100-continue"), ("content-length", "4")];

/// A body that takes note of being asked for.
fn noting(asked: &Arc<AtomicBool>) -> Body {
    let asked = Arc::clone(asked);
    streamed(std::iter::once_with(move || {
        asked.store(true, Ordering::Relaxed);
        Bytes::from_static(b"body")
    }))
}

#[tokio::test]
async fn a_service_that_refuses_gets_nothing_of_the_body() {
    let origin = Origin::start(|mut stream, _| async move {
        let head = head(&mut stream).await.expect("a head");
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        // Not every interim answer asks for it, and the refusal's own body takes a while.
        for piece in [
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
            "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 4\r\n\r\n",
            "nope",
        ] {
            stream.write_all(piece.as_bytes()).await.expect("it is sent");
            settle().await;
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("an end");
        assert!(rest.is_empty(), "{rest:?}");
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let asked = Arc::new(AtomicBool::new(false));
    let response = site.send(Method::POST, EXPECTING, noting(&asked)).await.expect("an answer");
    let answer = Answer::read(response).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::EXPECTATION_FAILED, &b"nope"[..]));
    settle().await;
    assert!(!asked.load(Ordering::Relaxed), "the client would be told to go on");
}

#[tokio::test]
async fn a_service_that_asks_gets_the_body() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let origin = Origin::start(move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            head(&mut stream).await.expect("a head");
            settle().await;
            assert!(!seen.load(Ordering::Relaxed), "it was asked for before the service said so");
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("it is sent");
            let mut body = [0; 4];
            stream.read_exact(&mut body).await.expect("a body");
            assert_eq!(&body, b"body");
            say(&mut stream, "thanks").await;
            assert!(head(&mut stream).await.is_none(), "the connection is kept, and nothing else comes");
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let response = site.send(Method::POST, EXPECTING, noting(&asked)).await.expect("an answer");
    assert_eq!(Answer::read(response).await.body, "thanks");
    assert_eq!(site.endpoint(0).idle_connections(), 1);
}

/// Most services know nothing of expectations, and wait for the body.
#[tokio::test]
async fn a_service_that_says_nothing_gets_the_body_after_a_while() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await.expect("a head");
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.expect("a body");
        say(&mut stream, "thanks").await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let asked = Arc::new(AtomicBool::new(false));
    let response = site.send(Method::POST, EXPECTING, noting(&asked)).await.expect("an answer");
    assert_eq!(Answer::read(response).await.body, "thanks");
}

/// A connection that cannot be made is another one's affair: the body still waits for the word of whoever gets the request.
#[tokio::test(start_paused = true)]
async fn the_body_is_held_back_at_the_next_endpoint_too() {
    /// Many times what an exchange takes while everything happens at once.
    const TURNS: usize = 10_000;
    // What is done after a while only is not done here: the word has to be heard.
    let _still = Still::stand();
    let origin = Origin::start(|mut stream, _| async move {
        while let Some(asked) = head(&mut stream).await {
            assert!(asked.contains("expect: 100-continue\r\n"), "{asked}");
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("it is sent");
            let mut body = [0; 4];
            stream.read_exact(&mut body).await.expect("a body");
            assert_eq!(&body, b"body");
            say(&mut stream, "thanks").await;
        }
    })
    .await;
    let (down, up) = (nobody(), origin.url());
    let site = Site::new(&format!("endpoints: [ {{ url: 'http://{down}' }}, {{ url: '{up}' }} ]"));
    for _ in 0..4 {
        let asked = Arc::new(AtomicBool::new(false));
        let turns = async {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        };
        let response = tokio::select! {
            response = site.send(Method::POST, EXPECTING, noting(&asked)) => response.expect("an answer"),
            () = turns => panic!("nobody heard that the service wants the body"),
        };
        assert_eq!(Answer::read(response).await.body, "thanks");
        assert!(asked.load(Ordering::Relaxed));
    }
    assert!(site.figures()[0].failed_connects > 0, "the other one was tried");
}

/// However long its answer takes: it has said what it wants.
#[tokio::test(start_paused = true)]
async fn a_body_that_was_refused_is_not_sent_while_the_refusal_comes() {
    let _still = Still::stand();
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await.expect("a head");
        let refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 4\r\n\r\nno";
        stream.write_all(refusal).await.expect("it is sent");
        std::future::pending::<()>().await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let asked = Arc::new(AtomicBool::new(false));
    let mut refusal =
        site.send(Method::POST, EXPECTING, noting(&asked)).await.expect("an answer").into_body();
    let frame = refusal.frame().await.expect("a piece").expect("no error");
    assert_eq!(frame.into_data().expect("data"), "no");
    tokio::time::advance(2 * crate::limits::UPSTREAM_CONTINUE_TIMEOUT).await;
    settle().await;
    assert!(!asked.load(Ordering::Relaxed));
}
