//! How a service of several endpoints is reached, and what becomes of requests when one of them fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use firegate_core::jose::CompactJws;
use firegate_proxy::limits::UPSTREAM_EJECTION_FAILURES;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::gate::{PATIENCE, Site, expect_echo, metric, open_web_socket};
use crate::stack::server::nobody;
use crate::stack::{Answer, Call, at, text};

/// A service that a test writes itself: each request's head is answered by what `answer` makes of it.
async fn service(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                while let Some(head) = head(&mut stream).await {
                    let answer = answer(&head);
                    stream.write_all(answer.as_bytes()).await.expect("it is sent");
                }
            });
        }
    });
    format!("http://{address}")
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

fn answer(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// For whom the Google token and the assertion of a request are.
fn audiences(head: &str) -> String {
    let audience = |token: Option<&str>| {
        let token = token.expect("a token").trim_start_matches("Bearer ");
        let claims = CompactJws::parse(token).expect("a token").into_payload();
        text(&claims["aud"])
    };
    let google = audience(header(head, "x-serverless-authorization"));
    format!("{google} {}", audience(header(head, "x-firegate-assertion")))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_gets_tokens_for_its_own_audience() {
    let site = Site::open().await;
    let (one, two) = (
        service(|head| answer("200 OK", "", &audiences(head))).await,
        service(|head| answer("200 OK", "", &audiences(head))).await,
    );
    let door = site
        .door(&format!(
            "allow: [allAuthenticatedUsers]\nbackends: {{ api: {{ credential: metadata, \
             endpoints: [ {{ url: '{one}', audience: first }}, {{ url: '{two}', audience: second }} ] }} }}"
        ))
        .await;
    let token = site.stack.id_token().await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = Call::get(&at(&door, "/")).bearer(&token).send().await;
        seen.push(String::from_utf8(answer.body.to_vec()).expect("text"));
    }
    seen.sort();
    assert_eq!(seen, ["first first", "first first", "second second", "second second"]);
    site.close([door]).await;
}

/// A token for one service is not sent to another one because the first cannot be reached.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_another_endpoint_instead_has_tokens_for_that_one() {
    let site = Site::open().await;
    let nobody = nobody();
    let well = service(|head| answer("200 OK", "", &audiences(head))).await;
    let door = site
        .door(&format!(
            "allow: [allAuthenticatedUsers]\nbackends: {{ api: {{ credential: metadata, \
             endpoints: [ {{ url: '{nobody}', audience: first }}, {{ url: '{well}', audience: second }} ] }} }}"
        ))
        .await;
    let token = site.stack.id_token().await;
    for _ in 0..4 {
        let answer = Call::get(&at(&door, "/")).bearer(&token).send().await;
        assert_eq!(answer.body.as_ref(), b"second second");
    }
    let failures = format!("firegate_upstream_failures_total{{backend=\"api\",endpoint=\"{nobody}\"}}");
    assert!(metric(&door, &failures).await > 0.0, "the other one was tried");
    site.close([door]).await;
}

const FRONT_REFUSES: &str = "Server: Google Frontend\r\nContent-Type: text/html; charset=UTF-8\r\n\
    WWW-Authenticate: Bearer error=\"invalid_token\" error_description=\"The access token could not be verified\"\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn when_the_front_refuses_the_kept_token_a_fresh_one_is_tried_once() {
    let site = Site::open().await;
    let (refused, requests) = (Arc::new(Mutex::new(Vec::<String>::new())), Arc::new(AtomicUsize::new(0)));
    let (refuses_all, is_over) = watch::channel(false);
    let (list, count) = (Arc::clone(&refused), Arc::clone(&requests));
    let url = service(move |head| {
        count.fetch_add(1, Ordering::Relaxed);
        let token = header(head, "x-serverless-authorization").expect("a token");
        match list.lock().expect("the list").iter().any(|refused| refused == token) || *is_over.borrow() {
            true => answer("401 Unauthorized", FRONT_REFUSES, "<html></html>"),
            false => answer("200 OK", "", token),
        }
    })
    .await;
    let door = site
        .door(&format!(
            "allow: [allAuthenticatedUsers]\nbackends: {{ api: {{ url: '{url}', credential: metadata }} }}"
        ))
        .await;
    let user = site.stack.id_token().await;
    let send = async |method| Call::new(method, &at(&door, "/")).bearer(&user).send().await;
    let first = send(Method::GET).await;
    assert_eq!(first.status, 200);
    let send_body =
        async || Call::new(Method::POST, &at(&door, "/")).bearer(&user).body("a body").send().await;
    let revoke = |answer: &Answer| {
        refused.lock().expect("the list").push(String::from_utf8(answer.body.to_vec()).expect("text"));
    };
    // The token is revoked; a body that was sent cannot be sent again, and the next one need not learn of it anew.
    revoke(&first);
    site.stack.clock.advance(5);
    send_body().await.expect_refusal(502, "CLOUD_RUN_REFUSED_FIREGATE", "NONE");
    let second = send_body().await;
    assert_eq!(second.status, 200, "{:?}", second.body);
    assert_ne!(second.body, first.body);
    assert_eq!(requests.load(Ordering::Relaxed), 3);
    // What has no body is sent again, whatever its method is: nothing was done with it.
    revoke(&second);
    site.stack.clock.advance(31);
    let third = send(Method::POST).await;
    assert_eq!(third.status, 200, "{:?}", third.body);
    assert_eq!(requests.load(Ordering::Relaxed), 5);
    // Now it refuses every token. Another one was minted a short while ago, and is not asked for again.
    refuses_all.send_replace(true);
    for expected in [6, 7] {
        send(Method::GET).await.expect_refusal(502, "CLOUD_RUN_REFUSED_FIREGATE", "NONE");
        assert_eq!(requests.load(Ordering::Relaxed), expected);
    }
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_takes_nothing_from_the_others() {
    let site = Site::open().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let hanging = listener.local_addr().expect("an address");
    let well = service(|_| answer("200 OK", "", "well")).await;
    let door = site
        .door(&format!(
            "allow: [allUsers]\nbackends: {{ sick: {{ url: 'http://{hanging}', requests_max: 1 }}, well: '{well}' }}\n\
             routes: [ {{ path: /sick, backend: sick }}, {{ path: /*, backend: well }} ]"
        ))
        .await;
    let url = at(&door, "/sick");
    let under_way = tokio::spawn(async move { Call::get(&url).send().await });
    let (stream, _) =
        tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it comes").expect("a connection");
    Call::get(&at(&door, "/sick")).send().await.expect_refusal(503, "UPSTREAM_OVERLOADED", "RETRY_LATER");
    assert_eq!(Call::get(&at(&door, "/")).send().await.body.as_ref(), b"well");
    // It dies, and the request that waited is told so. Sent again, it would only hang again.
    drop((stream, listener));
    let told = tokio::time::timeout(PATIENCE, under_way).await.expect("it ends").expect("an answer");
    assert_eq!(told.status, 502, "{:?}", told.body);
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_service_is_told_as_such_in_time() {
    let site = Site::open().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let hanging = listener.local_addr().expect("an address");
    let door = site
        .door(&format!(
            "allow: [allUsers]\nbackends: {{ api: {{ url: 'http://{hanging}', timeouts: {{ response_headers: 50ms }} }} }}"
        ))
        .await;
    let answer = tokio::time::timeout(PATIENCE, Call::get(&at(&door, "/")).send()).await.expect("it ends");
    answer.expect_refusal(504, "UPSTREAM_TIMED_OUT", "RETRY_LATER");
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_service_breaks_off_is_broken_off_for_the_client_too() {
    let site = Site::open().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            head(&mut stream).await;
            let part = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npiece\r\n";
            stream.write_all(part.as_bytes()).await.expect("it is sent");
            stream.set_zero_linger().expect("a socket");
        }
    });
    let door = site.door(&format!("allow: [allUsers]\nbackends: {{ api: '{url}' }}")).await;
    let mut client = TcpStream::connect(door.address()).await.expect("a connection");
    client.write_all(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n").await.expect("it is sent");
    let mut answer = Vec::new();
    // However the connection ends, the answer must not.
    let _ = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it ends");
    assert!(!answer.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    site.close([door]).await;
}

/// A service that switches to WebSockets, sends back what it gets on them, and answers other requests with this status.
pub(crate) async fn web_sockets_and(status: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Some(head) = head(&mut stream).await {
                    if !head.contains("upgrade: websocket\r\n") {
                        let answer = answer(status, "", "");
                        stream.write_all(answer.as_bytes()).await.expect("it is sent");
                        continue;
                    }
                    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                    stream.write_all(format!("{switched}{head}").as_bytes()).await.expect("it is sent");
                    let (mut from, mut to) = stream.split();
                    // Ends when the front door does.
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                }
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_goes_where_its_handshake_is_heard_and_outlives_its_endpoints_ejection() {
    let site = Site::open().await;
    let nobody = nobody();
    let (failing, well) = (web_sockets_and("503 No").await, web_sockets_and("200 OK").await);
    let door = |endpoints: [&str; 2]| {
        let endpoints = endpoints.map(|url| format!("{{ url: '{url}' }}")).join(", ");
        format!("allow: [allUsers]\nbackends: {{ api: {{ endpoints: [ {endpoints} ] }} }}")
    };
    let lonely = site.door(&door([&nobody, &well])).await;
    let mut open = Vec::new();
    for _ in 0..UPSTREAM_EJECTION_FAILURES * 4 {
        let (stream, answer, _) = open_web_socket(&lonely, "/", &[]).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        open.push(stream);
    }
    let failed = format!(
        "firegate_upstream_connects_total{{backend=\"api\",endpoint=\"{nobody}\",result=\"failure\"}}"
    );
    assert!(metric(&lonely, &failed).await < f64::from(UPSTREAM_EJECTION_FAILURES * 2), "it is left alone");

    let door = site.door(&door([&failing, &well])).await;
    let is_at =
        |seen: &str, url: &str| seen.contains(&format!("host: {}\r\n", url.trim_start_matches("http://")));
    let (mut first, _, seen) = open_web_socket(&door, "/", &[]).await;
    let (mut second, _, other) = open_web_socket(&door, "/", &[]).await;
    assert!(
        is_at(&seen, &failing) != is_at(&other, &failing),
        "they count among what is under way: {seen} {other}"
    );
    let ejected = format!("firegate_upstream_ejected{{backend=\"api\",endpoint=\"{failing}\"}}");
    let eject = async {
        while metric(&door, &ejected).await == 0.0 {
            Call::get(&at(&door, "/")).send().await;
        }
    };
    tokio::time::timeout(PATIENCE, eject).await.expect("it is ejected");
    expect_echo(&mut first).await;
    expect_echo(&mut second).await;
    for _ in 0..4 {
        let (stream, _, seen) = open_web_socket(&door, "/", &[]).await;
        assert!(is_at(&seen, &well), "{seen}");
        open.push(stream);
    }
    drop((open, first, second));
    site.close([lonely, door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_holds_its_place_for_as_long_as_it_lasts() {
    let site = Site::open().await;
    let url = web_sockets_and("200 OK").await;
    let backend = format!("{{ url: '{url}', requests_max: 1 }}");
    let door = site.door(&format!("allow: [allUsers]\nbackends: {{ api: {backend} }}")).await;
    let (mut stream, answer, _) = open_web_socket(&door, "/", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    expect_echo(&mut stream).await;
    Call::get(&at(&door, "/")).send().await.expect_refusal(503, "UPSTREAM_OVERLOADED", "RETRY_LATER");
    drop(stream);
    let again = async { while Call::get(&at(&door, "/")).send().await.status != 200 {} };
    tokio::time::timeout(PATIENCE, again).await.expect("there is a place again");
    site.close([door]).await;
}
