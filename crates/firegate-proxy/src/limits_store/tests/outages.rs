//! A store that is slow, or gone, and comes back.

use tokio::time::Instant;

use super::server::RedisServer;
use super::*;
use crate::limits::LIMITS_STORE_ANSWER_TIMEOUT;

/// So much more than the time that is promised, for a machine that does much else.
const MARGIN: Duration = Duration::from_secs(2);

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn when_the_store_dies_the_windows_of_each_process_take_over_until_it_is_back() {
    let mut server = RedisServer::start(&[]);
    let replicas = [(); 2].map(|()| Replica::start(&server.url(), PATIENCE, &Roots::Platform));
    let rule = throttle(4, HOUR);
    for replica in &replicas {
        replica.wait(true).await;
    }
    // Two of the four, one by each.
    for replica in &replicas {
        assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    }
    server.kill();
    // Each goes on from what it knows to have been counted together: the first from one, the second from two.
    let mut passed = 2;
    for (replica, more) in replicas.iter().zip([3, 2]) {
        for place in 0..6 {
            let expected = if place < more { CountOutcome::Conform } else { CountOutcome::Exceed };
            assert_eq!(replica.count(&rule, "192.0.2.1").await, expected, "{place}");
        }
        replica.wait(false).await;
        passed += more;
    }
    assert!(passed <= 2 * 4, "no more than the limit for each process");

    server.restart();
    for replica in &replicas {
        let began = Instant::now();
        replica.wait(true).await;
        assert!(began.elapsed() < Duration::from_secs(5) + MARGIN);
        assert_eq!(replica.store.figures().losses, 1);
        // What passed meanwhile is not forgotten.
        assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Exceed);
        // The server knows neither key nor script any more.
        let question = replica.questions()[0];
        assert_eq!(replica.count(&rule, "192.0.2.2").await, CountOutcome::Conform);
        assert_eq!(replica.questions()[0], question + 1);
    }
}

#[tokio::test]
async fn what_passed_without_the_store_is_told_to_it() {
    let mut server = RedisServer::start(&[]);
    let replicas = [(); 2].map(|()| Replica::start(&server.url(), PATIENCE, &Roots::Platform));
    let rule = throttle(4, HOUR);
    for replica in &replicas {
        replica.wait(true).await;
    }
    server.kill();
    for _ in 0..3 {
        assert_eq!(replicas[0].count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    }
    server.restart();
    for replica in &replicas {
        // The second one has asked nothing yet, and may not have noticed.
        replica.store.connection.store(None);
        replica.store.is_there.send_replace(false);
        replica.wait(true).await;
    }
    assert_eq!(replicas[0].count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    assert_eq!(replicas[1].count(&rule, "192.0.2.1").await, CountOutcome::Exceed);
}

#[tokio::test]
async fn a_store_that_freezes_is_waited_for_once_and_shortly() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), LIMITS_STORE_ANSWER_TIMEOUT, &Roots::Platform);
    let rule = throttle(1_000_000, HOUR);
    replica.wait(true).await;
    server.freeze();
    let began = Instant::now();
    while replica.store.connection.load().is_some() {
        assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    }
    assert!(began.elapsed() < Duration::from_millis(100) + MARGIN, "{:?}", began.elapsed());
    // From now on nobody waits.
    let (before, began) = (replica.questions(), Instant::now());
    for _ in 0..1000 {
        assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    }
    assert!(began.elapsed() < Duration::from_millis(100) + MARGIN, "{:?}", began.elapsed());
    assert_eq!(replica.questions()[2], before[2] + 1000);

    server.thaw();
    let began = Instant::now();
    replica.wait(true).await;
    assert!(began.elapsed() < Duration::from_secs(5) + MARGIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_store_that_freezes_is_noticed_without_any_request() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), LIMITS_STORE_ANSWER_TIMEOUT, &Roots::Platform);
    replica.wait(true).await;
    server.freeze();
    replica.wait(false).await;
}

#[tokio::test]
async fn requests_that_wait_are_bounded_in_number() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), PATIENCE, &Roots::Platform);
    let rule = throttle(1_000_000, HOUR);
    replica.wait(true).await;
    let places = u32::try_from(LIMITS_STORE_WAITERS_MAX).expect("a number");
    let taken = replica.store.waiters.acquire_many(places).await.expect("places");
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    assert_eq!(replica.questions(), [0, 0, 0, 1]);
    drop(taken);
    // Too many requests say nothing of the store.
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    assert_eq!(replica.questions(), [1, 0, 0, 1]);
    assert_eq!(replica.store.figures().losses, 0);
}
