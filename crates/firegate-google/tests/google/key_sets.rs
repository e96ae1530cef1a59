use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::time::{Clock, ShiftedClock};
use firegate_google::key_sets::{KeySetCache, KeySetSource, RefreshOutcome, RefreshReason};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, SIGNERS, Server, client, clock, jwk_set};

const IN_TIME: Duration = Duration::from_secs(60);

fn keys(numbers: &[usize]) -> Answer {
    Answer::json(&jwk_set(numbers)).with("cache-control", "public, max-age=3600")
}

fn cache(server: &Server, clock: &ShiftedClock, data_dir: Option<PathBuf>) -> Arc<KeySetCache> {
    let source = KeySetSource { name: "id_token", url: server.url("/keys") };
    KeySetCache::new(source, client(), Arc::new(clock.clone()), data_dir)
}

/// Whether the cache would verify tokens of the key with this number now.
fn has(cache: &KeySetCache, clock: &ShiftedClock, key: usize) -> bool {
    cache.current().usable(clock.now()).is_some_and(|keys| keys.find(SIGNERS[key].key_id()).is_some())
}

struct Running(CancellationToken, JoinHandle<()>);

impl Running {
    fn start(cache: &Arc<KeySetCache>) -> Self {
        let shutdown = CancellationToken::new();
        Self(shutdown.clone(), tokio::spawn(Arc::clone(cache).run(shutdown)))
    }

    async fn stop(self) {
        self.0.cancel();
        self.1.await.expect("the task ends");
    }
}

async fn until(cache: &KeySetCache, mut holds: impl FnMut() -> bool) {
    let mut attempts = cache.attempts();
    tokio::time::timeout(IN_TIME, async {
        while !holds() {
            attempts.changed().await.expect("the cache lives");
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn keys_that_are_down_at_start_are_there_within_five_seconds_of_their_return() {
    let clock = clock();
    let mut server = Server::start(|_| keys(&[0])).await;
    server.stop().await;
    let cache = cache(&server, &clock, None);
    let running = Running::start(&cache);
    until(&cache, || cache.current().failures >= 3).await;
    let began = Instant::now();
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Unavailable);
    assert!(
        began.elapsed() <= Duration::from_millis(2500),
        "a request waits two seconds: {:?}",
        began.elapsed()
    );
    assert!(cache.current().usable(clock.now()).is_none() && cache.current().last_error.is_some());
    server.restart().await;
    let returned = Instant::now();
    until(&cache, || has(&cache, &clock, 0)).await;
    assert!(returned.elapsed() <= Duration::from_secs(5), "{:?}", returned.elapsed());
    assert_eq!(cache.current().last_error, None);
    running.stop().await;
}

#[tokio::test]
async fn an_early_request_gets_keys_that_return_while_it_waits() {
    let clock = clock();
    let server = Server::start(|_| Answer::new(503, "text/html", "<html>")).await;
    let cache = cache(&server, &clock, None);
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Unavailable);
    server.respond(|_| keys(&[0]));
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Refreshed);
    assert!(has(&cache, &clock, 0));
}

#[tokio::test]
async fn scenario_4_garbage_never_evicts_good_keys() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache(&server, &clock, None);
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Refreshed);
    let good = jwk_set(&[1]).to_string();
    let with = |members: Value| {
        let mut set = jwk_set(&[1]);
        set["keys"][0].as_object_mut().expect("a key").extend(members.as_object().expect("members").clone());
        Answer::json(&set)
    };
    let many: Vec<_> = (0..10_000)
        .map(|kid| json!({"kid": kid.to_string(), "kty": "RSA", "n": "AQAB", "e": "AQAB"}))
        .collect();
    let garbage = [
        ("HTML with status 200", Answer::new(200, "text/html", "<html>Sign in to this network</html>")),
        ("no keys", Answer::json(&json!({"keys": []}))),
        ("truncated", Answer::new(200, "application/json", good[..good.len() - 9].to_owned())),
        ("over 1 MiB", Answer::new(200, "application/json", good.clone() + &" ".repeat(1024 * 1024))),
        ("a redirect", Answer::new(302, "text/plain", "").with("location", server.url("/else").as_str())),
        ("exponent 1", with(json!({"e": "AQ"}))),
        ("512 bits", with(json!({"n": firegate_core::jose::encode_base64url(&[0xFF; 64])}))),
        ("for encryption", with(json!({"use": "enc"}))),
        ("another algorithm", with(json!({"alg": "RS512"}))),
        ("10,000 keys", Answer::json(&json!({"keys": many}))),
        ("compressed", Answer::new(200, "application/json", good.clone()).with("content-encoding", "gzip")),
        ("an error", Answer::new(403, "application/json", good.clone())),
    ];
    for (number, (what, answer)) in garbage.into_iter().enumerate() {
        server.respond(move |_| answer.clone());
        clock.advance(31);
        let before = cache.current();
        let outcome = cache.refresh(RefreshReason::UnknownKeyId, before.generation()).await;
        let after = cache.current();
        assert_eq!(outcome, RefreshOutcome::Unavailable, "{what}");
        assert_eq!((after.generation(), after.failures), (before.generation(), number as u64 + 1), "{what}");
        assert!(after.last_error.is_some() && has(&cache, &clock, 0) && !has(&cache, &clock, 1), "{what}");
        eprintln!("scenario 4: {what}: {:?}; the set before serves", after.last_error);
    }
    assert!(server.received().iter().all(|request| request.target == "/keys"));
}

#[tokio::test]
async fn a_repeated_key_id_counts_once_and_a_bad_key_takes_no_good_one_along() {
    let clock = clock();
    let server = Server::start(|_| {
        let mut set = jwk_set(&[0, 1, 2]);
        let key_id = set["keys"][0]["kid"].clone();
        set["keys"][1]["kid"] = key_id;
        Answer::json(&set)
    })
    .await;
    let cache = cache(&server, &clock, None);
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Refreshed);
    let snapshot = cache.current();
    let keys = snapshot.usable(clock.now()).expect("usable keys");
    assert_eq!((keys.key_ids().count(), keys.refused().len()), (2, 1));
}

#[tokio::test]
async fn a_thousand_unknown_key_ids_cause_one_fetch_and_then_none_while_cooling_down() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache(&server, &clock, None);
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Refreshed);
    // The issuer has rotated: all of a thousand requests bring the new key's id at once.
    server.respond(|_| keys(&[0, 1]));
    server.hold();
    let seen = cache.current().generation();
    let asking = |_| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { cache.refresh(RefreshReason::UnknownKeyId, seen).await })
    };
    let asked: Vec<_> = (0..1000).map(asking).collect();
    server.wait_for_requests(2).await;
    server.release();
    for outcome in asked {
        assert_eq!(outcome.await.expect("no panic"), RefreshOutcome::Refreshed);
    }
    assert_eq!((server.count(), has(&cache, &clock, 1)), (2, true));
    // A request that saw the old keys finds the new ones; a key that does not exist is not asked for again.
    assert_eq!(cache.refresh(RefreshReason::UnknownKeyId, seen).await, RefreshOutcome::Refreshed);
    let seen = cache.current().generation();
    for seconds in [0, 10, 10] {
        clock.advance(seconds);
        assert_eq!(cache.refresh(RefreshReason::UnknownKeyId, seen).await, RefreshOutcome::CoolingDown);
    }
    assert_eq!(server.count(), 2);
    clock.advance(11);
    assert_eq!(cache.refresh(RefreshReason::UnknownKeyId, seen).await, RefreshOutcome::Refreshed);
    assert_eq!(
        (server.count(), cache.current().generation()),
        (3, seen),
        "the same keys are the same generation"
    );
}

#[tokio::test]
async fn a_cool_down_is_measured_from_the_attempt_even_if_it_failed() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache(&server, &clock, None);
    cache.refresh(RefreshReason::Missing, 0).await;
    server.respond(|_| Answer::new(500, "text/plain", ""));
    for _ in 0..3 {
        let outcome = cache.refresh(RefreshReason::UnknownKeyId, cache.current().generation()).await;
        assert_eq!(outcome, RefreshOutcome::Unavailable, "whether the key exists cannot be said");
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_frozen_process_serves_its_set_and_renews_it_by_one_fetch() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache(&server, &clock, None);
    cache.refresh(RefreshReason::Missing, 0).await;
    server.respond(|_| keys(&[1]));
    clock.advance(2 * 3600);
    assert!(has(&cache, &clock, 0) && !cache.current().is_fresh(clock.now()));
    let seen = cache.current().generation();
    let joined = (0..100).map(|_| {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { cache.refresh(RefreshReason::Expired, seen).await })
    });
    for outcome in joined.collect::<Vec<_>>() {
        assert_eq!(outcome.await.expect("no panic"), RefreshOutcome::Refreshed);
    }
    assert_eq!(server.count(), 2);
    assert!(has(&cache, &clock, 1) && !has(&cache, &clock, 0), "a withdrawn key is gone at once");
}

#[tokio::test]
async fn the_background_task_wakes_by_the_wall_clock() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache(&server, &clock, None);
    let running = Running::start(&cache);
    until(&cache, || has(&cache, &clock, 0)).await;
    server.respond(|_| keys(&[0, 1]));
    // Ahead of the hour that the keys are fresh: between three quarters and seven eighths of it.
    clock.advance(3600 * 7 / 8 + 2);
    assert!(cache.current().is_fresh(clock.now()));
    until(&cache, || has(&cache, &clock, 1)).await;
    // A clock that steps back leaves keys "fetched later than now": they are fetched again.
    clock.advance(-7200);
    server.respond(|_| keys(&[2]));
    until(&cache, || has(&cache, &clock, 2)).await;
    assert_eq!(server.count(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_set_serves_through_an_outage_up_to_the_stale_bound() {
    let clock = clock();
    let mut server = Server::start(|_| keys(&[0])).await;
    let cache = cache(&server, &clock, None);
    cache.refresh(RefreshReason::Missing, 0).await;
    server.stop().await;
    clock.advance(24 * 3600 - 60);
    assert_eq!(cache.refresh(RefreshReason::Expired, 1).await, RefreshOutcome::Unavailable);
    assert!(has(&cache, &clock, 0));
    clock.advance(120);
    assert!(!has(&cache, &clock, 0), "after the bound they are not used, though they are held");
    server.restart().await;
    assert_eq!(cache.refresh(RefreshReason::Missing, 1).await, RefreshOutcome::Refreshed);
    assert!(has(&cache, &clock, 0));
}

#[tokio::test]
async fn the_last_good_set_outlives_a_restart_during_an_outage() {
    let clock = clock();
    let directory = tempfile::tempdir().expect("a directory");
    let data_dir = directory.path().join("data");
    let mut server = Server::start(|_| keys(&[0])).await;
    let first = cache(&server, &clock, Some(data_dir.clone()));
    let running = Running::start(&first);
    until(&first, || has(&first, &clock, 0)).await;
    running.stop().await;
    server.stop().await;

    let restarted = cache(&server, &clock, Some(data_dir.clone()));
    assert!(has(&restarted, &clock, 0) && restarted.current().is_fresh(clock.now()));
    let source = KeySetSource { name: "id_token", url: server.url("/keys-of-another-issuer") };
    let other = KeySetCache::new(source, client(), Arc::new(clock.clone()), Some(data_dir.clone()));
    assert!(other.current().held.is_none(), "a file never stands for another address");
    clock.advance(25 * 3600);
    assert!(cache(&server, &clock, Some(data_dir.clone())).current().held.is_none(), "too old");
    clock.advance(-25 * 3600);

    let names: Vec<_> =
        std::fs::read_dir(&data_dir).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["keys-id_token.json"], "nothing half-written is left");
    std::fs::write(data_dir.join("keys-id_token.json"), "{\"url\":").expect("written");
    assert!(
        cache(&server, &clock, Some(data_dir)).current().held.is_none(),
        "a torn file is no reason to fail"
    );
}

#[tokio::test]
async fn a_hanging_endpoint_holds_no_caller_longer_than_two_seconds() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    server.hold();
    let cache = cache(&server, &clock, None);
    let began = Instant::now();
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Unavailable);
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(1900) && waited <= Duration::from_secs(3), "{waited:?}");
    // The fetch goes on without its callers.
    server.release();
    until(&cache, || has(&cache, &clock, 0)).await;
    assert_eq!(server.count(), 1);
}
