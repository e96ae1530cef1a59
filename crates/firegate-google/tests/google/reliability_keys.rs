//! Key servers that fail in every way, one test for each scenario, with its figures printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firegate_core::time::{Clock, ShiftedClock, SystemClock};
use firegate_google::http::FetchError;
use firegate_google::key_sets::{
    KeySetCache, KeySetFault, KeySetSource, KeySnapshot, RefreshOutcome, RefreshReason,
};
use firegate_google::limits::KEY_REFRESH_WAITERS_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::{
    Answer, CountingClock, SIGNERS, Server, client, clock, jwk_set, now, resident_mebibytes,
};

const IN_TIME: Duration = Duration::from_secs(60);

fn keys(numbers: &[usize]) -> Answer {
    Answer::json(&jwk_set(numbers)).with("cache-control", "public, max-age=60")
}

fn cache_of(url: Url, clock: &ShiftedClock) -> Arc<KeySetCache> {
    KeySetCache::new(KeySetSource { name: "app_check", url }, client(), Arc::new(clock.clone()), None)
}

fn has(cache: &KeySetCache, clock: &ShiftedClock, key: usize) -> bool {
    cache.current().usable(clock.now()).is_some_and(|keys| keys.find(SIGNERS[key].key_id()).is_some())
}

fn keys_held(known: &KeySnapshot) -> usize {
    known.held.as_ref().map_or(0, |held| held.keys.key_ids().count())
}

fn run(cache: &Arc<KeySetCache>) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    (shutdown.clone(), tokio::spawn(Arc::clone(cache).run(shutdown)))
}

async fn stop((shutdown, task): (CancellationToken, JoinHandle<()>)) {
    shutdown.cancel();
    task.await.expect("the task ends");
}

async fn until(cache: &KeySetCache, mut holds: impl FnMut() -> bool) {
    let mut attempts = cache.attempts();
    let waiting = async {
        while !holds() {
            attempts.changed().await.expect("the cache lives");
        }
    };
    tokio::time::timeout(IN_TIME, waiting).await.expect("in time");
}

/// A server that sends a head and then as much of a body as is taken, `piece` after `piece`.
struct Endless {
    url: Url,
    sent: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Endless {
    async fn start(head: &'static str, body_bytes: usize, piece: usize, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("an address")));
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let serving = async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let mut rest = body_bytes;
                let mut taken = connection.write_all(head.as_bytes()).await;
                while taken.is_ok() && rest > 0 {
                    taken = connection.write_all(&vec![b' '; piece]).await;
                    rest = rest.saturating_sub(piece);
                    counter.fetch_add(piece, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                }
            }
        };
        let task = AbortOnDropHandle::new(tokio::spawn(serving));
        Self { url: url.expect("a URL"), sent, _task: task }
    }
}

#[tokio::test]
async fn scenario_1_keys_are_down_at_start() {
    let clock = clock();
    let times = Arc::new(std::sync::Mutex::new(Vec::<Instant>::new()));
    let arrivals = Arc::clone(&times);
    let server = Server::start(move |_| {
        arrivals.lock().expect("not poisoned").push(Instant::now());
        Answer::new(503, "text/html", "<html>")
    })
    .await;
    let cache = cache_of(server.url("/keys"), &clock);
    let running = run(&cache);
    until(&cache, || cache.current().failures == 1).await;
    let began = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..1000 {
        let cache = Arc::clone(&cache);
        waiting.spawn(async move { cache.refresh(RefreshReason::Missing, 0).await });
    }
    assert!(waiting.join_all().await.iter().all(|outcome| *outcome == RefreshOutcome::Unavailable));
    let waited = began.elapsed();
    until(&cache, || cache.current().failures >= 5).await;
    let pauses: Vec<_> = {
        let times = times.lock().expect("not poisoned");
        times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f32()).collect()
    };
    server.respond(|_| keys(&[0]));
    let returned = Instant::now();
    until(&cache, || has(&cache, &clock, 0)).await;
    eprintln!(
        "scenario 1: 1000 requests waited {waited:?}; pauses {pauses:?}; ready {:?} after the return",
        returned.elapsed()
    );
    assert!(waited <= Duration::from_secs(3) && returned.elapsed() <= Duration::from_secs(5));
    assert!(pauses.iter().all(|pause| (0.7..=5.0).contains(pause)), "{pauses:?}");
    assert!(pauses.last() > pauses.first(), "{pauses:?}");
    stop(running).await;
}

#[tokio::test]
async fn scenario_2_keys_are_down_for_half_an_hour_and_then_for_a_day() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    let running = run(&cache);
    until(&cache, || has(&cache, &clock, 0)).await;
    let fetched = cache.current().fetched_at();
    server.respond(|_| Answer::new(500, "text/plain", ""));
    clock.advance(60);
    until(&cache, || cache.current().failures >= 1).await;
    for _ in 0..29 {
        clock.advance(60);
        assert!(has(&cache, &clock, 0), "a known key verifies throughout");
    }
    let (known, now) = (cache.current(), clock.now());
    eprintln!("scenario 2: after half an hour {known:?}");
    assert!(known.usable(now).is_some() && !known.is_fresh(now) && known.last_error.is_some());
    assert_eq!((known.fetched_at(), keys_held(&known)), (fetched, 1));
    assert!(now.since(fetched.expect("a fetch")).as_secs() >= 1800);
    clock.advance(24 * 3600 - 1860);
    assert!(has(&cache, &clock, 0));
    clock.advance(120);
    let known = cache.current();
    let is_usable = has(&cache, &clock, 0) || known.usable(clock.now()).is_some();
    assert!(!is_usable && keys_held(&known) == 1, "closed, but held");
    stop(running).await;
}

#[tokio::test]
async fn scenario_3_keys_hang_or_trickle() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Refreshed);
    server.hold();
    let began = Instant::now();
    assert_eq!(cache.refresh_for_key_id("new", 1).await, RefreshOutcome::Unavailable);
    let waited = began.elapsed();
    let reads = Instant::now();
    for _ in 0..10_000 {
        assert!(has(&cache, &clock, 0));
    }
    let read = reads.elapsed() / 10_000;
    until(&cache, || cache.current().failures == 1).await;
    let ended = began.elapsed();
    // A byte every tenth of a second: 30 seconds for the whole.
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 300\r\n\r\n";
    let slow = Endless::start(HEAD, 300, 1, Duration::from_millis(100)).await;
    let trickling = cache_of(slow.url.clone(), &clock);
    let began = Instant::now();
    assert_eq!(trickling.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Unavailable);
    let waited_slowly = began.elapsed();
    until(&trickling, || trickling.current().failures == 1).await;
    eprintln!(
        "scenario 3: an unknown key waited {waited:?}, a known one {read:?}; fetches ended after {ended:?} and {:?}",
        began.elapsed()
    );
    assert!(waited <= Duration::from_secs(3) && waited_slowly <= Duration::from_secs(3));
    assert!(ended <= Duration::from_secs(7) && began.elapsed() <= Duration::from_secs(7));
    assert!(read < Duration::from_millis(1), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_3_more_requests_than_may_wait_do_not_make_the_background_task_spin() {
    let server = Server::start(|_| keys(&[0])).await;
    server.hold();
    let clock = CountingClock::new(Arc::new(SystemClock));
    let source = KeySetSource { name: "app_check", url: server.url("/keys") };
    let cache = KeySetCache::new(source, client(), Arc::<CountingClock>::clone(&clock), None);
    let mut waiting = JoinSet::new();
    for _ in 0..KEY_REFRESH_WAITERS_MAX + 1 {
        let cache = Arc::clone(&cache);
        waiting.spawn(async move { cache.refresh(RefreshReason::Missing, 0).await });
    }
    // One too many was told at once, so all the others wait.
    assert_eq!(waiting.join_next().await.expect("a task").expect("no panic"), RefreshOutcome::Unavailable);
    let before = clock.looks();
    let running = run(&cache);
    // A loop without a pause is there at once; one with a pause looks no more than a few times meanwhile.
    let spins = tokio::time::timeout(Duration::from_millis(300), clock.more(20)).await.is_ok();
    let looks = clock.looks() - before;
    eprintln!("scenario 3: {looks} looks at the clock while as many wait as may");
    server.release();
    assert!(!spins, "{looks}");
    assert!(waiting.join_all().await.iter().all(|outcome| *outcome == RefreshOutcome::Refreshed));
    stop(running).await;
}

#[tokio::test]
async fn scenario_4_huge_and_packed_documents_are_not_read() {
    const BYTES: usize = 50 * 1024 * 1024;
    const HUGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    const BOMB: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n";
    const REDIRECT: &str =
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let clock = clock();
    for (what, head, expected) in [
        ("50 MB", HUGE, FetchError::TooLarge),
        ("a gzip bomb", BOMB, FetchError::Compressed),
        ("a redirect to a metadata server", REDIRECT, FetchError::Status(302)),
    ] {
        let server = Endless::start(head, BYTES, 64 * 1024, Duration::ZERO).await;
        let cache = cache_of(server.url.clone(), &clock);
        let (began, before) = (Instant::now(), resident_mebibytes());
        assert_eq!(cache.refresh(RefreshReason::Missing, 0).await, RefreshOutcome::Unavailable, "{what}");
        let sent = server.sent.load(Ordering::Relaxed);
        let error = cache.current().last_error.clone().expect("an error");
        eprintln!(
            "scenario 4: {what}: {sent} bytes were taken in {:?}: {error}; {before:?} MiB before, {:?} MiB after",
            began.elapsed(),
            resident_mebibytes()
        );
        // A client that unpacks, or goes where it is sent, would fail too, but of something else.
        assert_eq!(error, KeySetFault::Fetch(expected), "{what}");
        // What the sockets buffer comes on top of the bound.
        assert!(sent <= 16 * 1024 * 1024, "{what}: {sent}");
    }
}

#[tokio::test]
async fn scenario_5_a_new_key_signs_before_the_old_set_is_over() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    let running = run(&cache);
    until(&cache, || has(&cache, &clock, 0)).await;
    server.respond(|_| keys(&[0, 1]));
    let began = Instant::now();
    let mut asked = JoinSet::new();
    for _ in 0..1000 {
        let cache = Arc::clone(&cache);
        asked.spawn(async move { cache.refresh_for_key_id(SIGNERS[1].key_id(), 1).await });
    }
    assert!(asked.join_all().await.iter().all(|outcome| *outcome == RefreshOutcome::Refreshed));
    let verified = began.elapsed();
    assert!(has(&cache, &clock, 1));
    assert_eq!(server.count(), 2, "one fetch for all");
    // The old key is withdrawn: it is gone with the first fetch that says so, at the latest after max-age.
    server.respond(|_| keys(&[1]));
    clock.advance(60);
    until(&cache, || !has(&cache, &clock, 0)).await;
    eprintln!("scenario 5: the new key verified after {verified:?}; {} fetches in all", server.count());
    assert!(verified <= Duration::from_secs(2) && has(&cache, &clock, 1));
    stop(running).await;
}

#[tokio::test]
async fn scenario_5_a_key_that_is_published_after_its_token_came_is_no_lost_login() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    cache.refresh(RefreshReason::Missing, 0).await;
    assert_eq!(cache.refresh_for_key_id(SIGNERS[1].key_id(), 1).await, RefreshOutcome::Refreshed);
    clock.advance(10);
    // The cool-down answers at once, and the snapshot says whether the keys are older than the token.
    let issued_at = now(&clock);
    assert_eq!(cache.refresh_for_key_id(SIGNERS[1].key_id(), 1).await, RefreshOutcome::CoolingDown);
    let fetched_at = cache.current().fetched_at().expect("fetched").as_seconds();
    assert!(fetched_at < issued_at, "{fetched_at} {issued_at}: worth another try");
    assert!(fetched_at > issued_at - 12, "{fetched_at} {issued_at}: a token of an hour ago is not");
}

#[tokio::test]
async fn scenario_6_a_flood_of_unknown_key_ids_causes_one_fetch_for_each_cool_down() {
    const PER_SECOND: usize = 5_000;
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    cache.refresh(RefreshReason::Missing, 0).await;
    let (began, before) = (Instant::now(), resident_mebibytes());
    for second in 0..60 {
        for number in 0..PER_SECOND {
            let key_id = format!("{second}-{number}");
            let outcome = cache.refresh_for_key_id(&key_id, 1).await;
            assert_ne!(outcome, RefreshOutcome::Unavailable);
        }
        clock.advance(1);
        assert!(has(&cache, &clock, 0), "no good key is evicted");
    }
    let each = began.elapsed() / u32::try_from(60 * PER_SECOND).expect("a small number");
    let fetches = server.count() - 1;
    eprintln!(
        "scenario 6: {} unknown key ids in 60 s: {fetches} fetches, {each:?} each; {before:?} MiB before, {:?} MiB after",
        60 * PER_SECOND,
        resident_mebibytes()
    );
    assert!(fetches <= 3, "{fetches}");
}

#[tokio::test]
async fn scenario_6_during_the_cool_down_no_unknown_key_id_waits_for_a_fetch_that_others_need() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    cache.refresh(RefreshReason::Missing, 0).await;
    assert_eq!(cache.refresh_for_key_id("a", 1).await, RefreshOutcome::Refreshed);
    server.hold();
    let needed = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.refresh(RefreshReason::Missing, 1).await }
    });
    server.wait_for_requests(3).await;
    // Whoever waited for that one would be told that it takes too long.
    assert_eq!(cache.refresh_for_key_id("b", 1).await, RefreshOutcome::CoolingDown);
    server.release();
    assert_eq!(needed.await.expect("no panic"), RefreshOutcome::Refreshed);
    // After the cool-down one begins for the key ids, and all of them wait for it.
    clock.advance(31);
    server.respond(|_| keys(&[0, 1]));
    server.hold();
    let mut asked = JoinSet::new();
    for number in 0..10 {
        let cache = Arc::clone(&cache);
        asked.spawn(async move { cache.refresh_for_key_id(&format!("c{number}"), 1).await });
    }
    server.wait_for_requests(4).await;
    server.release();
    assert!(asked.join_all().await.iter().all(|outcome| *outcome == RefreshOutcome::Refreshed));
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn scenario_6_an_unknown_key_id_is_tried_at_once_while_fetches_fail_and_then_remembered() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    let running = run(&cache);
    until(&cache, || has(&cache, &clock, 0)).await;
    assert_eq!(cache.refresh_for_key_id("missing", 1).await, RefreshOutcome::Refreshed);
    server.respond(|_| Answer::new(500, "text/plain", ""));
    // Fetches fail in the background until the pauses are long.
    clock.advance(60);
    until(&cache, || cache.current().failures >= 4).await;
    server.respond(|_| keys(&[0, 1]));
    let began = Instant::now();
    assert_eq!(cache.refresh_for_key_id(SIGNERS[1].key_id(), 1).await, RefreshOutcome::Refreshed);
    eprintln!("scenario 6: a new key during pauses was there after {:?}", began.elapsed());
    assert!(began.elapsed() <= Duration::from_secs(1) && has(&cache, &clock, 1));
    // What was looked for with success and not found is known to be missing also when fetches fail again.
    clock.advance(31);
    let generation = cache.current().generation();
    assert_eq!(cache.refresh_for_key_id("missing", generation).await, RefreshOutcome::Refreshed);
    server.respond(|_| Answer::new(500, "text/plain", ""));
    clock.advance(25);
    cache.refresh(RefreshReason::Expired, generation).await;
    clock.advance(4);
    assert_eq!(cache.refresh_for_key_id("missing", generation).await, RefreshOutcome::CoolingDown);
    stop(running).await;
}

#[tokio::test]
async fn scenario_21_the_wall_clock_steps() {
    let clock = clock();
    let server = Server::start(|_| keys(&[0])).await;
    let cache = cache_of(server.url("/keys"), &clock);
    let running = run(&cache);
    until(&cache, || has(&cache, &clock, 0)).await;
    for step in [3600, -3600, -300, 300, -3600, 3600] {
        let attempts = cache.current().attempts;
        let began = Instant::now();
        clock.advance(step);
        assert!(has(&cache, &clock, 0), "{step}: the keys serve meanwhile");
        until(&cache, || cache.current().attempts > attempts && cache.current().is_fresh(clock.now())).await;
        let fetched = cache.current().fetched_at().expect("a fetch");
        eprintln!("scenario 21: after {step} s fresh again within {:?}", began.elapsed());
        assert!(clock.now().since(fetched) <= Duration::from_secs(5), "{step}: {fetched}");
        assert!(has(&cache, &clock, 0));
    }
    assert!(server.count() <= 8, "no storm of fetches: {}", server.count());
    stop(running).await;
}
