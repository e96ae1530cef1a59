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
    let rule = throttle_on_failure(1, HOUR, OnStoreFailure::Open);
    replica.wait(true).await;
    let places = u32::try_from(LIMITS_STORE_WAITERS_MAX).expect("a number");
    let taken = replica.store.waiters.acquire_many(places).await.expect("places");
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    assert_eq!(replica.questions(), [0, 0, 0, 1]);
    // Whoever brings it about is counted all the same.
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Exceed);
    drop(taken);
    // Too many requests say nothing of the store.
    assert_eq!(replica.count(&rule, "192.0.2.2").await, CountOutcome::Conform);
    assert_eq!(replica.questions(), [1, 0, 0, 1]);
    assert_eq!(replica.store.figures().losses, 0);
}

/// It is a replica now, or has no memory left, or lets nobody run scripts: whoever asks whether it is there hears that it is.
#[tokio::test]
async fn a_store_that_answers_and_does_not_count_is_away_until_it_counts() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), PATIENCE, &Roots::Platform);
    let rule = throttle(1_000_000, HOUR);
    replica.wait(true).await;
    let mut connection = server.connection().await;
    let refusing = redis::cmd("REPLICAOF").arg("127.0.0.1").arg("1").exec_async(&mut connection).await;
    refusing.expect("it refuses to write");
    replica.wait(false).await;
    let connections = connections(&mut connection).await;
    while self::connections(&mut connection).await < connections + 3 {
        assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    }
    let figures = replica.store.figures();
    assert!(!figures.is_there && figures.losses == 1, "{figures:?}");

    let writing = redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(&mut connection).await;
    writing.expect("it writes again");
    replica.wait(true).await;
    let answered = replica.questions()[0];
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    assert_eq!(replica.questions()[0], answered + 1);
}

/// How often the server was connected to.
async fn connections(connection: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query_async(connection).await.expect("an answer");
    let number = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    number.expect("a line").parse().expect("a number")
}

#[tokio::test]
async fn a_store_that_fails_again_as_soon_as_it_is_there_is_left_alone_for_a_moment_and_told_of_once() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), PATIENCE, &Roots::Platform);
    let rule = throttle(u32::MAX, HOUR);
    replica.wait(true).await;
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    let mut connection = server.connection().await;
    let keys = redis::cmd("KEYS").arg("firegate:{*:*}").query_async::<Vec<String>>(&mut connection).await;
    let keys = keys.expect("names");
    let other = redis::cmd("SET").arg(&keys[0]).arg("of another kind").exec_async(&mut connection).await;
    other.expect("it is set");
    let began = Instant::now();
    let flickering = async {
        while replica.store.figures().losses < 4 {
            replica.count(&rule, "192.0.2.1").await;
            let is_told_away = replica.store.is_told_away.load(Ordering::Relaxed);
            assert_eq!(
                is_told_away,
                replica.store.figures().losses > 0,
                "it is not told to be there in between"
            );
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, flickering).await.expect("it is found and lost again");
    assert!(began.elapsed() >= 2 * LIMITS_STORE_RETRY_PAUSE, "{:?}", began.elapsed());
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.expect("all is gone");
    let lasts = async {
        while replica.store.is_told_away.load(Ordering::Relaxed) {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(PATIENCE, lasts).await.expect("it is told once it has lasted");
}

/// What broke the connection may be over, and a password that was changed keep it away: that is told a minute later.
#[tokio::test(start_paused = true)]
async fn an_outage_is_told_again_once_a_minute_and_the_next_one_at_once() {
    let store = store("redis://127.0.0.1:9", PATIENCE, &Roots::Platform).expect("a store");
    assert!(store.note_away());
    assert!(!store.note_away());
    tokio::time::advance(OUTAGE_LINE_INTERVAL).await;
    assert_eq!([store.note_away(), store.note_away()], [true, false]);
    store.tell_there();
    assert_eq!([store.note_away(), store.note_away()], [true, false]);
}
