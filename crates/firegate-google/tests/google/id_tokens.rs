use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firegate_core::time::{Clock, ShiftedClock};
use firegate_google::credentials::{Credential, CredentialSource, Endpoints};
use firegate_google::fault::{FaultKind, FaultSource};
use firegate_google::id_tokens::{IdTokenCache, Remint};
use firegate_google::limits::{AUDIENCES_MAX, TOKEN_REMAINING_MIN};
use firegate_google::tokens::MintCounts;
use tokio::runtime::Builder;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, Received, Server, client, clock, id_token, now};

const AUDIENCE: &str = "https://api.example.com";

/// A metadata server whose tokens live for so many seconds and are all different.
fn minting(clock: &ShiftedClock, lifetime: i64) -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
    let clock = clock.clone();
    let minted = AtomicUsize::new(0);
    move |request| {
        let query = request.target.split_once('?').expect("a query").1;
        let number = minted.fetch_add(1, Ordering::SeqCst);
        let token = id_token(&Received::form(query)["audience"], now(&clock) + lifetime, number);
        Answer::new(200, "application/text", token).with("metadata-flavor", "Google")
    }
}

fn down(_: &Received) -> Answer {
    Answer::new(503, "text/plain", "")
}

async fn start(lifetime: i64) -> (ShiftedClock, Server, Arc<IdTokenCache>) {
    let (clock, server, cache, _) = start_counted(lifetime).await;
    (clock, server, cache)
}

async fn start_counted(lifetime: i64) -> (ShiftedClock, Server, Arc<IdTokenCache>, Arc<MintCounts>) {
    let clock = clock();
    let server = Server::start(minting(&clock, lifetime)).await;
    let endpoints = Endpoints { metadata: Some(server.url("/")), ..Endpoints::default() };
    let credential =
        Credential::new(CredentialSource::Metadata, endpoints, client(), Arc::new(clock.clone()));
    let mints = Arc::default();
    (clock, server, IdTokenCache::new(credential, Arc::clone(&mints)), mints)
}

/// All callers' tokens, asked for at the same time.
async fn get_at_once(cache: &Arc<IdTokenCache>, callers: usize) -> Vec<String> {
    let asking = |_| {
        let cache = Arc::clone(cache);
        tokio::spawn(async move { cache.get(AUDIENCE).await.expect("a token").text().to_owned() })
    };
    let mut tokens = Vec::new();
    for asked in (0..callers).map(asking).collect::<Vec<_>>() {
        tokens.push(asked.await.expect("no panic"));
    }
    tokens.dedup();
    tokens
}

#[tokio::test]
async fn each_attempt_to_mint_is_counted_and_what_is_kept_is_none() {
    let (_, server, cache, mints) = start_counted(3600).await;
    let counted = || (mints.successes(), mints.failures());
    get_at_once(&cache, 20).await;
    assert_eq!(counted(), (1, 0), "twenty who ask together ask once");
    cache.get(AUDIENCE).await.expect("the kept one");
    assert_eq!(counted(), (1, 0));
    server.respond(down);
    cache.get("https://other.example.com").await.expect_err("nobody mints");
    assert_eq!(counted(), (1, 1));
    cache.get("https://other.example.com").await.expect_err("nobody is asked again at once");
    assert_eq!(counted(), (1, 1));
}

#[tokio::test]
async fn callers_share_one_token_and_each_audience_has_its_own() {
    let (_, server, cache) = start(3600).await;
    assert!(cache.peek(AUDIENCE).is_none());
    assert_eq!(get_at_once(&cache, 500).await.len(), 1);
    assert_eq!(server.count(), 1);
    let other = cache.get("https://other.example.com").await.expect("a token");
    let kept = cache.peek(AUDIENCE).expect("kept");
    assert_ne!(other.text(), kept.text());
    assert_eq!((kept.bearer().is_sensitive(), server.count()), (true, 2));
}

#[tokio::test]
async fn a_frozen_process_joins_one_refresh() {
    let (clock, server, cache) = start(3600).await;
    let before = cache.get(AUDIENCE).await.expect("a token");
    clock.advance(2 * 3600);
    assert!(cache.peek(AUDIENCE).is_none(), "an expired token is never handed out");
    let after = get_at_once(&cache, 500).await;
    assert_eq!((after.len(), server.count()), (1, 2));
    assert_ne!(after[0], before.text());
}

#[tokio::test]
async fn tokens_are_renewed_at_least_five_minutes_early_without_anybody_waiting() {
    let (clock, server, cache) = start(3600).await;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&cache).run(shutdown.clone()));
    let before = cache.get(AUDIENCE).await.expect("a token");
    clock.advance(3600 - 11 * 60);
    assert_eq!(cache.get(AUDIENCE).await.expect("a token"), before, "not before the earliest time");
    assert_eq!(server.count(), 1);
    clock.advance(6 * 60 + 1);
    assert_eq!(cache.peek(AUDIENCE).expect("alive for five minutes"), before);
    server.wait_for_requests(2).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while cache.peek(AUDIENCE).is_none_or(|token| token == before) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the new token is kept");
    shutdown.cancel();
    running.await.expect("the task ends");
}

#[tokio::test]
async fn a_token_with_little_life_left_is_used_but_not_asked_for_again_at_once() {
    let (_, server, cache) = start(240).await;
    for _ in 0..10 {
        cache.get(AUDIENCE).await.expect("a token");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_outage_is_served_on_the_kept_token_until_its_guard_and_then_refused() {
    let (clock, server, cache) = start(3600).await;
    let kept = cache.get(AUDIENCE).await.expect("a token");
    server.respond(down);
    clock.advance(3600 - 60);
    assert_eq!(cache.get(AUDIENCE).await.expect("the kept token"), kept);
    clock.advance(40);
    let fault = cache.get(AUDIENCE).await.expect_err("twenty seconds are too little for a call");
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    // For a second nobody asks again.
    let asked = server.count();
    let began = Instant::now();
    for _ in 0..100 {
        cache.get(AUDIENCE).await.expect_err("still down");
    }
    let attempts = server.count() - asked;
    assert!(attempts as u64 <= began.elapsed().as_secs() + 1, "{attempts} attempts in {:?}", began.elapsed());
    server.respond(minting(&clock, 3600));
    let recovered = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match cache.get(AUDIENCE).await {
                Ok(token) => return token,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert!(recovered.await.expect("within five seconds").expires_at() > clock.now());
}

#[tokio::test]
async fn scenario_8_the_metadata_server_is_down_slow_or_failing_for_ten_minutes() {
    const OUTAGE_SECONDS: i64 = 600;
    for ill in ["it answers 500", "it hangs", "its port is closed"] {
        let (clock, mut server, cache) = start(OUTAGE_SECONDS).await;
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&cache).run(shutdown.clone()));
        let kept = cache.get(AUDIENCE).await.expect("a token");
        match ill {
            "it answers 500" => server.respond(|_| Answer::new(500, "text/plain", "")),
            "it hangs" => server.hold(),
            _ => server.stop().await,
        }
        let (mut slowest, mut served, mut refused) = (Duration::ZERO, 0, 0);
        let guard = i64::try_from(TOKEN_REMAINING_MIN.as_secs()).expect("a small number");
        for _ in 0..OUTAGE_SECONDS / 10 {
            let began = Instant::now();
            let left = || kept.expires_at().as_seconds() - now(&clock);
            let left_before = left();
            let got = cache.get(AUDIENCE).await;
            slowest = slowest.max(began.elapsed());
            match got {
                Ok(token) => {
                    assert_eq!(token, kept, "{ill}");
                    assert!(left_before >= guard, "{ill}: sent with {left_before} s left");
                    served += 1;
                }
                Err(fault) => {
                    assert_eq!(fault.kind(), FaultKind::Unavailable, "{ill}: {fault}");
                    assert!(left() <= guard, "{ill}: refused with {} s left", left());
                    refused += 1;
                }
            }
            clock.advance(10);
        }
        assert!(served >= 50 && refused >= 1, "{ill}: {served} served, {refused} refused");
        let fault = cache.get(AUDIENCE).await.expect_err("never an expired token");
        assert_eq!((fault.kind(), cache.peek(AUDIENCE)), (FaultKind::Unavailable, None), "{ill}");
        server.respond(minting(&clock, 3600));
        match ill {
            "it hangs" => server.release(),
            "its port is closed" => server.restart().await,
            _ => {}
        }
        let returned = Instant::now();
        let recovering = async {
            loop {
                match cache.get(AUDIENCE).await {
                    Ok(token) => return token,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let token = tokio::time::timeout(Duration::from_secs(20), recovering).await.expect("it recovers");
        let recovered = returned.elapsed();
        eprintln!(
            "scenario 8: {ill}: {served} served on the kept token, {refused} refused, the slowest after {slowest:?}; \
             recovered after {recovered:?}"
        );
        assert!(slowest < Duration::from_secs(4), "{ill}: {slowest:?}");
        assert!(recovered <= Duration::from_secs(5), "{ill}: {recovered:?}");
        assert!(token.expires_at() > clock.now(), "{ill}");
        shutdown.cancel();
        running.await.expect("the task ends");
    }
}

#[tokio::test]
async fn a_metadata_server_that_hangs_holds_no_request_longer_than_three_seconds() {
    let (_, server, cache) = start(3600).await;
    server.hold();
    let began = Instant::now();
    let fault = cache.get(AUDIENCE).await.expect_err("no answer");
    assert_eq!(fault.source, FaultSource::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refused_token_is_minted_anew_once_in_half_a_minute() {
    let (clock, server, cache) = start(3600).await;
    let first = cache.get(AUDIENCE).await.expect("a token");
    assert_eq!(cache.invalidate("https://unknown.example.com", &first), Remint::Replaced);
    assert_eq!(cache.invalidate(AUDIENCE, &first), Remint::Wanted);
    assert_eq!(
        cache.invalidate(AUDIENCE, &first),
        Remint::Wanted,
        "another request with the same token joins"
    );
    assert!(cache.peek(AUDIENCE).is_none());
    let second = cache.get(AUDIENCE).await.expect("a token");
    assert_ne!(first, second);
    assert_eq!(cache.invalidate(AUDIENCE, &first), Remint::Replaced);
    assert_eq!(cache.invalidate(AUDIENCE, &second), Remint::CoolingDown);
    assert_eq!((cache.get(AUDIENCE).await.expect("a token"), server.count()), (Arc::clone(&second), 2));
    clock.advance(31);
    server.respond(down);
    assert_eq!(cache.invalidate(AUDIENCE, &second), Remint::Wanted);
    assert_eq!(cache.get(AUDIENCE).await.expect("the refused token serves if there is no other"), second);
    assert_eq!(cache.peek(AUDIENCE), Some(second));
}

#[tokio::test]
async fn audiences_are_bounded() {
    let (_, server, cache) = start(3600).await;
    for audience in ["", &"x".repeat(2049)] {
        assert_eq!(cache.get(audience).await.expect_err("no audience").source, FaultSource::Audience);
    }
    server.respond(down);
    for number in 0..AUDIENCES_MAX {
        let fault = cache.get(&number.to_string()).await.expect_err("the server is down");
        assert_ne!(fault.source, FaultSource::Audience);
    }
    assert_eq!(cache.get("one more").await.expect_err("too many").source, FaultSource::Audience);
}

#[test]
fn a_call_outlives_its_caller_and_the_callers_runtime() {
    let control = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (_, server, cache) = control.block_on(start(3600));
    server.hold();
    let worker = Builder::new_current_thread().enable_all().build().expect("a runtime");
    worker.block_on(async {
        tokio::select! {
            token = cache.get(AUDIENCE) => panic!("the server holds its answer: {token:?}"),
            () = server.wait_for_requests(1) => {}
        }
    });
    drop(worker);
    server.release();
    let kept = control.block_on(cache.get(AUDIENCE)).expect("the first call's token");
    assert_eq!((cache.peek(AUDIENCE), server.count()), (Some(kept), 1));
}
