//! Requests whose bodies come late, or not to their end, and what that says of the service.

use firegate_files::url_map::{RetryCondition, RetryPolicy};
use futures_util::Stream;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep};

use super::*;
use crate::stream::{BoundedBody, Bounds, Side, copied};
use crate::upstream::Retries;

/// How long the service has for its answer.
const PATIENT: &str = "timeouts: { response_headers: 1s }";

/// Much longer, and shorter than the time between two pings.
const LONG: Duration = Duration::from_secs(8);

/// By what steps time passes.
const STEP: Duration = Duration::from_millis(100);

/// How many streams the services allow, which is more than any test has.
const STREAMS_MAX: u32 = 100;

/// How both versions are configured.
const PROTOCOLS: [&str; 2] = ["http1", "h2c"];

/// A service that says hello when it has the whole request, and nothing when it breaks off.
async fn reader() -> Origin {
    Origin::answering(STREAMS_MAX, |request| async move {
        if request.into_body().collect().await.is_err() {
            return std::future::pending().await;
        }
        Response::new(full("hello"))
    })
    .await
}

/// A client's body, as the door makes one, and how far it is.
fn client_body<S>(pieces: S, bounds: Bounds) -> (Body, BodyProgress)
where
    S: Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send + Unpin + 'static,
{
    let progress = bounds.progress.clone();
    let body = BoundedBody::new(StreamBody::new(pieces), Bounds { side: Side::Request, ..bounds });
    (body.streamed(), progress)
}

/// A piece at once, and then whatever `then` comes to.
fn after_a_piece<F>(then: F) -> impl Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send + Unpin
where
    F: Future<Output = Option<Result<Frame<Bytes>, hyper::Error>>> + Send + 'static,
{
    use futures_util::stream::{StreamExt, iter, once};
    let first = iter([Ok(Frame::data(Bytes::from_static(b"piece")))]);
    first.chain(Box::pin(once(then).filter_map(std::future::ready)))
}

/// What a connection says whose other side is gone.
async fn broken_off() -> Option<Result<Frame<Bytes>, hyper::Error>> {
    let (connection, other_side) = tokio::io::duplex(1024);
    drop(other_side);
    let (mut dispatch, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.expect("it needs no words");
    let (sent, _) = tokio::join!(dispatch.send_request(Request::new(full(""))), connection);
    Some(Err(sent.expect_err("nobody is there")))
}

/// The outcome of a request that ought to get no answer.
fn unanswered(outcome: Result<Response<ServiceBody>, Refused>) -> Code {
    match outcome {
        Ok(response) => panic!("an answer: {}", response.status()),
        Err(refused) => refused.code(),
    }
}

fn failures(site: &Site) -> u64 {
    site.figures()[0].failures
}

/// Sends a request with a body, and lets time pass in vain until there is an outcome, `most` at the longest; what came of it
/// and how long that took.
async fn send_for(
    site: &Site,
    (body, progress): (Body, BodyProgress),
    most: Duration,
) -> (Result<Response<ServiceBody>, Refused>, Duration) {
    let mut sent = std::pin::pin!(site.send_watched(Method::POST, &[], body, progress));
    let mut passed = Duration::ZERO;
    while passed <= most {
        tokio::select! {
            biased;
            outcome = &mut sent => return (outcome, passed),
            () = settle() => {}
        }
        tokio::time::advance(STEP).await;
        passed += STEP;
    }
    panic!("there is no outcome after {passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_is_not_late_while_the_client_is_silent() {
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = reader().await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}, {PATIENT}", origin.url()));
        let late = async {
            sleep(LONG).await;
            None
        };
        let body = client_body(after_a_piece(late), Bounds::default());
        let (response, passed) = send_for(&site, body, LONG * 2).await;
        assert_eq!(Answer::read(response.expect("an answer")).await.body, "hello", "{protocol}");
        assert!(passed >= LONG, "{protocol} {passed:?}");
        assert_eq!(failures(&site), 0, "{protocol}");
    }
}

/// However long the client was waited for, and whenever in the service's time the request ends.
#[tokio::test(start_paused = true)]
async fn a_service_has_its_time_from_the_end_of_the_request() {
    const ALMOST_ALL_OF_IT: Duration = Duration::from_millis(900);
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = Origin::answering(STREAMS_MAX, |request| async move {
            request.into_body().collect().await.expect("a whole body");
            sleep(ALMOST_ALL_OF_IT).await;
            Response::new(full("hello"))
        })
        .await;
        for half_seconds in [0, 1] {
            let site = Site::new(&format!("url: '{}', protocol: {protocol}, {PATIENT}", origin.url()));
            let late = async move {
                sleep(LONG + Duration::from_millis(500) * half_seconds).await;
                None
            };
            let body = client_body(after_a_piece(late), Bounds::default());
            let (response, _) = send_for(&site, body, LONG * 2).await;
            let response =
                response.unwrap_or_else(|refused| panic!("{protocol} {half_seconds}: {refused:?}"));
            assert_eq!(Answer::read(response).await.body, "hello", "{protocol} {half_seconds}");
            assert_eq!(failures(&site), 0, "{protocol} {half_seconds}");
        }
    }
}

/// And no longer, whether the request came at once or late.
#[tokio::test(start_paused = true)]
async fn a_service_has_no_more_than_its_time_from_the_end_of_the_request() {
    const TIME: Duration = Duration::from_secs(1);
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = Origin::answering(STREAMS_MAX, |request| async move {
            request.into_body().collect().await.expect("a whole body");
            std::future::pending().await
        })
        .await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}, {PATIENT}", origin.url()));
        for ends_after in [Duration::ZERO, TIME / 10, TIME, LONG] {
            let late = async move {
                sleep(ends_after).await;
                None
            };
            let body = client_body(after_a_piece(late), Bounds::default());
            let (outcome, passed) = send_for(&site, body, LONG * 2).await;
            assert_eq!(unanswered(outcome), Code::UpstreamTimedOut, "{protocol}");
            let lasts = ends_after + TIME;
            assert!((lasts..=lasts + STEP).contains(&passed), "{protocol} {ends_after:?} {passed:?}");
        }
    }
}

/// What a route says of the whole is counted from there, too.
#[tokio::test(start_paused = true)]
async fn an_answer_has_the_time_of_its_route_from_the_end_of_the_request() {
    const WHOLE: Duration = Duration::from_secs(10);
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = reader().await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let ends_at = Instant::now() + LONG;
        let late = async move {
            tokio::time::sleep_until(ends_at).await;
            None
        };
        let (body, progress) = client_body(after_a_piece(late), Bounds::default());
        let limits = TimeLimits { whole: Some(WHOLE), ..TimeLimits::default() };
        let passage = site.upstream.enter(0, limits).expect("a place");
        let sending = Sending { progress, ..sending() };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        let mut sent = std::pin::pin!(passage.send(request, &sending));
        let response = loop {
            tokio::select! {
                biased;
                sent = &mut sent => break sent.expect("an answer"),
                () = settle() => tokio::time::advance(STEP).await,
            }
        };
        let deadline = response.body().deadline().expect("it has one");
        assert!(deadline >= ends_at + WHOLE, "{protocol} {:?}", deadline - ends_at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_the_whole_request_or_does_not_read_it_is_late() {
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = Origin::answering(STREAMS_MAX, |request| async move {
            let _unread = request;
            std::future::pending().await
        })
        .await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}, {PATIENT}", origin.url()));
        let whole = client_body(after_a_piece(std::future::ready(None)), Bounds::default());
        let endless = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b'x'; 65536]))));
        let endless = client_body(endless, Bounds::default());
        for body in [whole, endless] {
            let (outcome, passed) = send_for(&site, body, LONG).await;
            assert_eq!(unanswered(outcome), Code::UpstreamTimedOut, "{protocol}");
            assert!(passed < LONG / 2, "{protocol} {passed:?}");
        }
        assert_eq!(failures(&site), 2, "{protocol}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_time_is_over_before_the_client_has_sent_it_is_no_failure_of_the_service() {
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = reader().await;
        let settings = "timeouts: { response_headers: 1s, total: 5s }";
        let site = Site::new(&format!("url: '{}', protocol: {protocol}, {settings}", origin.url()));
        let body = client_body(after_a_piece(std::future::pending()), Bounds::default());
        let (outcome, passed) = send_for(&site, body, LONG).await;
        assert_eq!(unanswered(outcome), Code::UpstreamTimedOut, "{protocol}");
        assert!(passed >= Duration::from_secs(5), "{protocol} {passed:?}");
        assert_eq!(failures(&site), 0, "{protocol}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_its_upload_is_no_failure_of_the_service() {
    for protocol in PROTOCOLS {
        let origin = reader().await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let (body, progress) = client_body(after_a_piece(broken_off()), Bounds::default());
        let outcome = site.send_watched(Method::POST, &[], body, progress).await;
        assert!(matches!(outcome, Err(Refused::Departed(_))), "{protocol} {outcome:?}");
        assert_eq!(failures(&site), 0, "{protocol}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_client_is_no_failure_of_the_service() {
    for protocol in PROTOCOLS {
        let origin = Origin::answering(STREAMS_MAX, echo).await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let (leave, told) = tokio::sync::oneshot::channel();
        let leaves = async {
            let () = told.await.expect("it is told");
            broken_off().await
        };
        let (body, progress) = client_body(after_a_piece(leaves), Bounds::default());
        let response = site.send_watched(Method::POST, &[], body, progress).await.expect("an answer");
        leave.send(()).expect("it waits");
        assert!(response.into_body().collect().await.is_err(), "{protocol}");
        assert_eq!(failures(&site), 0, "{protocol}");
    }
}

#[tokio::test]
async fn a_copy_that_is_broken_off_is_no_failure_of_the_service() {
    for protocol in PROTOCOLS {
        let origin = reader().await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let (body, _) = client_body(after_a_piece(broken_off()), Bounds::default());
        let progress = BodyProgress::default();
        let (body, copy) = copied(body, u64::MAX, progress.clone());
        let sent = site.send_watched(Method::POST, &[], copy, progress);
        let (outcome, original) = tokio::join!(sent, body.collect());
        assert!(original.is_err());
        assert_eq!(unanswered(outcome), Code::UpstreamBrokeOff, "{protocol}");
        assert_eq!(failures(&site), 0, "{protocol}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_over_its_time_is_no_failure_of_the_service() {
    let _still = Still::stand();
    for protocol in PROTOCOLS {
        let origin = reader().await;
        let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
        let deadline = Some(Instant::now() + LONG / 2);
        let bounds = Bounds { deadline, ..Bounds::default() };
        let body = client_body(after_a_piece(std::future::pending()), bounds);
        let (outcome, _) = send_for(&site, body, LONG).await;
        assert_eq!(unanswered(outcome), Code::UpstreamTimedOut, "{protocol}");
        assert_eq!(failures(&site), 0, "{protocol}");
    }
}

/// Each in its own words, and none of them the service's doing.
#[tokio::test]
async fn why_a_body_did_not_reach_its_end_is_told() {
    for (error, expected) in [
        (BodyError::TooLarge, Code::BodyTooLarge),
        (BodyError::TooSlow, Code::BodyTooSlow),
        (BodyError::Idle, Code::BodyTooSlow),
        (BodyError::TooLong, Code::UpstreamTimedOut),
        (BodyError::Panicked, Code::Internal),
        (BodyError::CopyBroken, Code::UpstreamBrokeOff),
    ] {
        let origin = reader().await;
        let site = Site::new(&format!("url: '{}'", origin.url()));
        let told = error.to_string();
        let progress = BodyProgress::default();
        let bounds = Bounds { side: Side::Request, progress: progress.clone(), ..Bounds::default() };
        let pieces = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"piece"))), Err(error)]);
        let body = BoundedBody::new(StreamBody::new(pieces), bounds).streamed();
        let outcome = site.send_watched(Method::POST, &[], body, progress).await;
        assert_eq!(unanswered(outcome), expected, "{told}");
        settle().await;
        assert_eq!((failures(&site), origin.connections()), (0, 1), "{told}");
    }
}

/// What was sent of it is gone: tried again, a request would reach its service without its body.
#[tokio::test]
async fn what_had_a_body_is_not_tried_again_though_its_route_says_so() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let policy = RetryPolicy { retries: 3, per_try_timeout: None, conditions: vec![RetryCondition::Any5xx] };
    for (body, may_resend) in [(full("body"), false), (full(""), true)] {
        let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        let failed = passage.send(request, &sending()).await.expect_err("it breaks off");
        assert_eq!(failed.again_by(&mut Retries::new(&policy)).await.is_ok(), may_resend);
    }
}
