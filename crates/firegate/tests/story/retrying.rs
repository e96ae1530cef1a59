//! The `retryPolicy` of a URL map in force: which requests are tried again, how often, and how long one try may take.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::any;
use firegate_proxy::FrontDoor;
use firegate_proxy::limits::{UPSTREAM_ATTEMPTS_MAX, UPSTREAM_REPEATED_MIN, UPSTREAM_REPEATED_PERCENT_MAX};
use http::{Method, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::gate::{PATIENCE, read_head, send_head};
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, clock, close, door_of};
use crate::url_map::configuration;

/// A front door before a service, with a map that tries requests again.
fn door(service: &str, policy: &str) -> FrontDoor {
    let map = format!("defaultRouteAction: {{retryPolicy: {{{policy}}}}}\n");
    door_of(configuration(&map, [service, service]), Arc::new(clock()), None)
}

async fn get(door: &FrontDoor) -> Answer {
    let answer = Call::get(&at(door, "/")).send();
    tokio::time::timeout(PATIENCE, answer).await.expect("it comes in time")
}

/// A service that fails as often as it is told before it answers, and says how often it was asked.
async fn failing(failures: usize, status: u16) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let status = if number < failures { status } else { 200 };
        async move { StatusCode::from_u16(status).expect("a status") }
    };
    (serve(Router::new().fallback(any(answer))).await, asked)
}

#[tokio::test]
async fn requests_are_tried_again_as_the_map_says_and_no_oftener() {
    let policy = |retries: u32, condition: &str| {
        format!(
            "defaultRouteAction: {{retryPolicy: {{numRetries: {retries}, retryConditions: [{condition}]}}}}\n"
        )
    };
    for (failures, status, map, body, expected, times) in [
        (2, 503, policy(2, "gateway-error"), "", 200, 3),
        (2, 503, policy(1, "gateway-error"), "", 503, 2),
        (1, 500, policy(2, "gateway-error"), "", 500, 1),
        (1, 409, policy(2, "retriable-4xx"), "", 200, 2),
        (1, 503, policy(2, "5xx"), "body", 503, 1),
        (1, 503, String::new(), "", 503, 1),
    ] {
        let (web, asked) = failing(failures, status).await;
        let door = door_of(configuration(&map, [&web, &web]), Arc::new(clock()), None);
        let answer = Call::new(Method::POST, &at(&door, "/")).body(body).send().await;
        assert_eq!((answer.status.as_u16(), asked.load(Ordering::SeqCst)), (expected, times), "{map} {body}");
        close(door).await;
    }
}

/// A service that fails so often by its answer and then breaks off every time, and says how often it was asked.
async fn breaking_off(answers: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let service = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_head(&mut stream).await;
            if counted.fetch_add(1, Ordering::SeqCst) < answers {
                let answer = "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.expect("it is sent");
            }
        }
    });
    (service, asked)
}

/// What would be repeated without a policy, because it is safe, is not repeated beside it.
#[tokio::test]
async fn what_breaks_off_is_tried_again_as_the_map_says_and_no_oftener() {
    for (answers, policy, times) in [
        (0, "numRetries: 1, retryConditions: [gateway-error]", 2),
        (1, "numRetries: 1, retryConditions: [gateway-error]", 2),
        (0, "numRetries: 5, retryConditions: [gateway-error]", 6),
        // It does not speak of what breaks off.
        (0, "numRetries: 1, retryConditions: [retriable-4xx]", UPSTREAM_ATTEMPTS_MAX),
    ] {
        let (service, asked) = breaking_off(answers).await;
        let door = door(&service, policy);
        get(&door).await.expect_refusal(502, "UPSTREAM_BROKE_OFF", "RETRY_LATER");
        assert_eq!(asked.load(Ordering::SeqCst), times, "{answers} {policy}");
        close(door).await;
    }
}

/// A service that leaves so many requests without an answer, and says how often it was asked.
async fn hanging(requests: usize) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move { if number < requests { pending().await } else { StatusCode::OK } }
    };
    (serve(Router::new().fallback(any(answer))).await, asked)
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_given_up_and_another_one_begun() {
    let policy = |retries: u32| {
        format!("numRetries: {retries}, perTryTimeout: {{seconds: 1}}, retryConditions: [gateway-error]")
    };
    // On a busy machine more than the first one may take too long.
    let (service, asked) = hanging(1).await;
    let patient = door(&service, &policy(5));
    assert_eq!(get(&patient).await.status, 200);
    assert!(asked.load(Ordering::SeqCst) >= 2);
    close(patient).await;

    let (service, asked) = hanging(usize::MAX).await;
    let given_up = door(&service, &policy(2));
    get(&given_up).await.expect_refusal(504, "UPSTREAM_TIMED_OUT", "RETRY_LATER");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    close(given_up).await;
}

/// The time of a route is that of all tries together.
#[tokio::test]
async fn there_is_no_other_try_when_the_time_of_the_route_is_over() {
    let (service, asked) = hanging(usize::MAX).await;
    let map = "defaultRouteAction: {timeout: {nanos: 500000000}, \
               retryPolicy: {numRetries: 3, retryConditions: [gateway-error]}}\n";
    let door = door_of(configuration(map, [&service, &service]), Arc::new(clock()), None);
    get(&door).await.expect_refusal(504, "UPSTREAM_TIMED_OUT", "RETRY_LATER");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_trouble_gets_no_more_repeats_than_the_budget_has() {
    const REQUESTS: usize = 100;
    const REPEATS: usize = REQUESTS * UPSTREAM_REPEATED_PERCENT_MAX / 100;
    const { assert!(REPEATS > UPSTREAM_REPEATED_MIN) };
    let (asked, mut seen) = watch::channel(0);
    let (let_go, held) = watch::channel(false);
    // It fails when all have come, and holds what is sent once more.
    let answer = move || {
        let (mut number, mut all, mut held) = (0, asked.subscribe(), held.clone());
        asked.send_modify(|count| number = std::mem::replace(count, *count + 1));
        async move {
            if number < REQUESTS {
                all.wait_for(|count| *count >= REQUESTS).await.expect("the service runs");
            } else {
                held.wait_for(|let_go| *let_go).await.expect("the test goes on");
            }
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let service = serve(Router::new().fallback(any(answer))).await;
    let door = door(&service, "numRetries: 1, retryConditions: [gateway-error]");
    let (ended, mut answers) = mpsc::unbounded_channel();
    for _ in 0..REQUESTS {
        let (call, ended) = (Call::get(&at(&door, "/")), ended.clone());
        tokio::spawn(async move { ended.send(call.send().await.status) });
    }
    let mut answered = async |count: usize| {
        for number in 0..count {
            let status = tokio::time::timeout(PATIENCE, answers.recv()).await;
            let status = status.unwrap_or_else(|_| panic!("{number} of {count} have an answer"));
            assert_eq!(status, Some(StatusCode::SERVICE_UNAVAILABLE));
        }
    };
    // For these there is no budget, and they have the service's answer at once.
    answered(REQUESTS - REPEATS).await;
    let repeated = seen.wait_for(|count| *count >= REQUESTS + REPEATS);
    tokio::time::timeout(PATIENCE, repeated).await.expect("the others are tried again").expect("it runs");
    let_go.send_replace(true);
    answered(REPEATS).await;
    assert_eq!(*seen.borrow(), REQUESTS + REPEATS);
    close(door).await;
}

/// What was asked for once is not switched to twice: whoever answers a handshake may have begun with it.
#[tokio::test]
async fn a_web_socket_is_not_asked_for_again_because_of_the_answer() {
    let (service, asked) = failing(1, 503).await;
    let door = door(&service, "numRetries: 2, retryConditions: [gateway-error]");
    let fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (_, answer) = send_head(&door, "/", &fields).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!((get(&door).await.status.as_u16(), asked.load(Ordering::SeqCst)), (200, 2));
    close(door).await;
}

/// A body that is held back is a body: it is told what the service said, and is neither asked for nor sent again.
#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_gets_the_first_answer() {
    let (service, asked) = failing(1, 503).await;
    let door = door(&service, "numRetries: 2, retryConditions: [gateway-error]");
    let fields = [("Expect", "100-continue"), ("Content-Length", "4")];
    let (mut stream, answer) = send_head(&door, "/", &fields).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let (mut other, answer) = send_head(&door, "/", &fields).await;
    assert!(answer.starts_with("HTTP/1.1 100 ") || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    for stream in [&mut stream, &mut other] {
        stream.shutdown().await.expect("it is open");
    }
    close(door).await;
}

/// A service of which each request is answered 503 once it is told to, and that says when one has come.
async fn unavailable_when_told() -> (String, mpsc::UnboundedReceiver<()>, watch::Sender<usize>) {
    let (came, arrivals) = mpsc::unbounded_channel();
    let (tell, told) = watch::channel(0);
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = move || {
        let (came, mut told) = (came.clone(), told.clone());
        let number = asked.fetch_add(1, Ordering::SeqCst);
        async move {
            came.send(()).expect("the test waits");
            told.wait_for(|told| *told > number).await.expect("the test goes on");
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (serve(Router::new().fallback(any(answer))).await, arrivals, tell)
}

/// Its tries are of one configuration, and a stop waits for them as for any request.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_between_two_tries_goes_on_over_a_reload_and_a_stop() {
    let (former, mut came, tell) = unavailable_when_told().await;
    let (next, asked) = failing(0, 503).await;
    let map = "defaultRouteAction: {retryPolicy: {numRetries: 2, retryConditions: [gateway-error]}}\n";
    let mut door = door_of(configuration(map, [&former, &former]), Arc::new(clock()), None);
    let url = at(&door, "/");
    let under_way = tokio::spawn(async move { Call::get(&url).send().await });
    let arrival = async |came: &mut mpsc::UnboundedReceiver<()>| {
        tokio::time::timeout(PATIENCE, came.recv()).await.expect("it is asked").expect("it runs");
    };
    arrival(&mut came).await;
    let other = configuration("", [&next, &next]);
    door.reload(move || Ok(other)).await.expect("it is put in force");
    assert_eq!((get(&door).await.status.as_u16(), asked.load(Ordering::SeqCst)), (200, 1));
    tell.send_replace(1);
    arrival(&mut came).await;
    let stopping = tokio::spawn(close(door));
    tell.send_replace(2);
    arrival(&mut came).await;
    tell.send_replace(3);
    let answer = tokio::time::timeout(PATIENCE, under_way).await.expect("in time").expect("it ends");
    assert_eq!((answer.status.as_u16(), asked.load(Ordering::SeqCst)), (503, 1));
    tokio::time::timeout(PATIENCE, stopping).await.expect("it stops").expect("cleanly");
}
