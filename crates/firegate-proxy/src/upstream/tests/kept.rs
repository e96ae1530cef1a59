//! Connections that are kept for the next request: how many, and for how long.

use tokio::time::{Instant, advance};

use super::*;
use crate::limits::{UPSTREAM_IDLE_CONNECTIONS_MAX, UPSTREAM_IDLE_TIMEOUT, UPSTREAM_TEND_INTERVAL};

/// A step of the time that a test lets pass.
const SECOND: Duration = Duration::from_secs(1);

async fn site(protocol: &str) -> (Origin, Site) {
    let origin = Origin::answering(100, |_| async { Response::new(full("hello")) }).await;
    let site = Site::new(&format!("url: '{}', protocol: {protocol}", origin.url()));
    (origin, site)
}

/// Lets so much time pass, and what is due then happen.
async fn pass(time: Duration) {
    advance(time).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_closed_and_not_before_its_time() {
    let _still = Still::stand();
    for protocol in ["http1", "h2c"] {
        let (origin, site) = site(protocol).await;
        site.get().await.expect("an answer");
        // What is used again is as new.
        pass(UPSTREAM_IDLE_TIMEOUT - 3 * SECOND).await;
        site.get().await.expect("an answer");
        let (last_used, endpoint) = (Instant::now(), site.endpoint(0));
        assert_eq!((origin.connections(), endpoint.idle_connections()), (1, 1), "{protocol}");
        while origin.open_connections() > 0 {
            assert!(last_used.elapsed() < 2 * UPSTREAM_IDLE_TIMEOUT, "{protocol}: it is still open");
            pass(SECOND).await;
        }
        let idle = last_used.elapsed();
        assert!(idle >= UPSTREAM_IDLE_TIMEOUT, "{protocol}: {idle:?}");
        // It is looked at now and then, and found to be idle by one look and to have been so for long by another.
        assert!(idle <= UPSTREAM_IDLE_TIMEOUT + 2 * UPSTREAM_TEND_INTERVAL + SECOND, "{protocol}: {idle:?}");
        assert_eq!(endpoint.idle_connections(), 0, "{protocol}");
    }
}

/// The service may be about to close it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_kept_for_too_long_is_not_used_though_nobody_has_closed_it_yet() {
    let _still = Still::stand();
    let (origin, site) = site("http1").await;
    // Connections are looked at every other second, and this one is over in the seconds between.
    pass(SECOND).await;
    site.get().await.expect("an answer");
    for (passed, connections) in [(UPSTREAM_IDLE_TIMEOUT - SECOND, 1), (UPSTREAM_IDLE_TIMEOUT, 2)] {
        let last_used = Instant::now();
        while last_used.elapsed() < passed {
            pass(SECOND).await;
        }
        assert_eq!(site.endpoint(0).idle_connections(), 1, "{passed:?}: it is there");
        site.get().await.expect("an answer");
        assert_eq!(origin.connections(), connections, "{passed:?}");
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_may_be() {
    const BEYOND: usize = 3;
    let (origin, site) = site("http1").await;
    let mut answers = Vec::new();
    // An answer that is not read to its end has a connection of its own.
    for _ in 0..UPSTREAM_IDLE_CONNECTIONS_MAX + BEYOND {
        answers.push(site.send(Method::GET, &[], full("")).await.expect("an answer"));
    }
    assert_eq!(origin.connections(), UPSTREAM_IDLE_CONNECTIONS_MAX + BEYOND);
    for answer in answers {
        assert_eq!(Answer::read(answer).await.body, "hello");
    }
    assert_eq!(site.endpoint(0).idle_connections(), UPSTREAM_IDLE_CONNECTIONS_MAX);
    until(|| origin.open_connections() == UPSTREAM_IDLE_CONNECTIONS_MAX).await;
}
