//! Which requests without an answer a route's `retryPolicy` covers, and how they are tried again.

use firegate_files::url_map::{RetryCondition, RetryPolicy};
use tokio::time::Instant;

use super::*;
use crate::limits::{RETRY_PAUSE, UPSTREAM_ATTEMPTS_MAX};
use crate::upstream::Retries;

fn retries(retries: u32, condition: RetryCondition) -> Retries {
    Retries::new(&RetryPolicy { retries, per_try_timeout: None, conditions: vec![condition] })
}

/// Sends as the door does for a route with a policy.
async fn send(
    site: &Site,
    method: Method,
    mut body: Body,
    progress: BodyProgress,
    retries: &mut Retries,
) -> Result<Response<ServiceBody>, Refused> {
    let mut passage = site.upstream.enter(0, TimeLimits::default())?;
    let sending = Sending { progress, ..sending() };
    loop {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        match passage.send(request, &sending).await {
            Ok(response) => return Ok(response),
            Err(failure) => (passage, body) = failure.again_by(retries).await?,
        }
    }
}

async fn post(site: &Site, retries: &mut Retries) -> Result<Response<ServiceBody>, Refused> {
    send(site, Method::POST, full(""), BodyProgress::default(), retries).await
}

/// A service that gives up this many requests, and then answers. How it gives them up is the test's.
async fn refusing(streams: usize) -> Origin {
    Origin::start(move |stream, number| async move {
        let mut connection = h2::server::handshake(stream).await.expect("a connection");
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            if number < streams {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            } else {
                respond.send_response(Response::new(()), true).expect("a head");
            }
        }
    })
    .await
}

/// As often as the route says, which may be oftener than what is safe in any case.
#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_tried_again_as_often_as_its_route_says() {
    const REFUSED: usize = UPSTREAM_ATTEMPTS_MAX + 1;
    let origin = refusing(REFUSED).await;
    let site = Site::new(&format!("url: '{}', protocol: h2c", origin.url()));
    let begun = Instant::now();
    assert!(post(&site, &mut retries(REFUSED as u32, RetryCondition::RefusedStream)).await.is_ok());
    assert_eq!(origin.connections(), REFUSED + 1);
    // Each pause is twice as long as the one before.
    assert_eq!(begun.elapsed(), RETRY_PAUSE * 15);
}

/// There may be another connection in a moment, to the same endpoint too.
#[tokio::test]
async fn what_could_not_be_connected_is_tried_again_as_often_as_its_route_says() {
    let site = Site::new(&format!("url: 'http://{}'", nobody()));
    for (condition, connects) in
        [(RetryCondition::ConnectFailure, 4), (RetryCondition::Any5xx, 8), (RetryCondition::RefusedStream, 9)]
    {
        let refused = post(&site, &mut retries(3, condition)).await.expect_err("nobody listens");
        assert_eq!(refused.code(), Code::UpstreamUnreachable);
        assert_eq!(site.figures()[0].failed_connects, connects, "{condition:?}");
    }
}

/// It says when a request is tried again, and this is not that.
#[tokio::test]
async fn what_a_policy_does_not_speak_of_it_does_not_allow() {
    let origin = Origin::start(|mut stream, _| async move {
        head(&mut stream).await;
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for condition in [RetryCondition::RefusedStream, RetryCondition::ConnectFailure] {
        let refused = post(&site, &mut retries(3, condition)).await.expect_err("it breaks off");
        assert_eq!(refused.code(), Code::UpstreamBrokeOff);
    }
    assert_eq!(origin.connections(), 2);
}

/// Its body is gone, and the service may have a part of it.
#[tokio::test]
async fn what_its_client_breaks_off_is_not_tried_again() {
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let progress = BodyProgress::default();
    let pieces = [Ok(Frame::data(Bytes::from_static(b"piece"))), Err(BodyError::Reset)];
    let pieces = StreamBody::new(futures_util::stream::iter(pieces));
    let bounds = crate::stream::Bounds {
        side: crate::stream::Side::Request,
        progress: progress.clone(),
        ..Default::default()
    };
    let body = crate::stream::BoundedBody::new(pieces, bounds).streamed();
    let outcome = send(&site, Method::POST, body, progress, &mut retries(3, RetryCondition::Any5xx)).await;
    assert!(matches!(outcome, Err(Refused::Departed(_))), "{outcome:?}");
    settle().await;
    assert_eq!(origin.connections(), 1);
}
