use std::sync::Arc;
use std::time::Duration;

use firegate_core::identity::KnownAccount;
use firegate_core::time::UnixTime;
use firegate_google::accounts::{AccountsClient, EMULATOR_BEARER};
use firegate_google::caller::Caller;
use firegate_google::user_status::{UserStatusFault, UserStatusSettings};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{client, now};
use crate::user_status_stage::{STALENESS_SECONDS, Stage, account, until};

#[tokio::test]
async fn a_refusal_outlives_an_outage_and_a_flood_of_100_000_other_users() {
    let mut stage = Stage::with(|options| options.users_max = 1000).await;
    stage.run();
    stage.directory.set(None, "revoked", &json!({"validSince": "2000"}));
    stage.directory.set(None, "disabled", &json!({"disabled": true}));
    stage.directory.delete("deleted");
    // The cache is full before they come: whoever comes late is the first to go.
    stage.flood(2000).await;
    let until = UnixTime::from_seconds(now(&stage.clock) + 3600);
    let refused = [("revoked", account(false, 2000)), ("disabled", account(true, 1000)), ("deleted", None)];
    for (uid, expected) in refused {
        assert_eq!(stage.look_up(uid).await.expect("in order").account, expected);
        stage.cache.refused(None, uid, until);
    }
    stage.look_up("good").await.expect("in order");
    let began = Instant::now();
    stage.flood(100_000).await;
    let statistics = stage.statistics();
    eprintln!("100,000 other users in {:?}: {statistics:?}", began.elapsed());
    assert!(statistics.users <= 1000, "{statistics:?}");
    stage.out_of_order();
    stage.clock.advance(3500);
    assert_eq!(stage.known("good"), None, "the flood did evict");
    for (uid, expected) in refused {
        assert!(stage.look_up(uid).await.is_err());
        assert_eq!(stage.known(uid), Some(expected), "{uid}");
    }
    assert!(!stage.cache.has_forgotten_refusals());
    // A wall clock that is far ahead for a while lets nobody go: it may be put right while their tokens are alive.
    stage.clock.advance(7 * 24 * 3600);
    stage.background_look().await;
    stage.clock.advance(-7 * 24 * 3600);
    assert_eq!(stage.statistics().pinned, refused.len());
    stage.stop().await;
}

#[tokio::test]
async fn a_refusal_by_a_token_of_minutes_stands_for_the_users_session_cookie_too() {
    const TWO_WEEKS: i64 = 14 * 24 * 3600;
    let full = |refusals_max| {
        Stage::with(move |options| {
            options.refusals_max = refusals_max;
            options.settings.token_lifetime_max = Duration::from_secs(TWO_WEEKS.unsigned_abs());
        })
    };
    for (refusals_max, token_seconds) in [(0, 300), (0, -1), (1, 300), (1, -1)] {
        let what = format!("{refusals_max} places, a token of {token_seconds} s");
        let stage = full(refusals_max).await;
        stage.directory.set(None, "revoked", &json!({"validSince": "2000"}));
        stage.look_up("revoked").await.expect("in order");
        let until = UnixTime::from_seconds(now(&stage.clock) + token_seconds);
        stage.cache.refused(None, "revoked", until);
        assert_eq!(stage.statistics().pinned, refusals_max, "{what}");
        // What could not be kept would have been kept as long; that shows when it would have ended.
        let is_full = refusals_max == 0;
        for seconds in [0, 300 + 3600 + 60, TWO_WEEKS - 3600] {
            stage.clock.advance(seconds);
            assert_eq!(stage.cache.has_forgotten_refusals(), is_full, "{what}, {seconds} s more");
        }
        stage.clock.advance(2 * 3600);
        assert!(!stage.cache.has_forgotten_refusals(), "{what}");
    }
}

#[tokio::test]
async fn who_is_found_disabled_without_a_request_is_pinned_too() {
    let mut stage = Stage::with(|options| options.users_max = 100).await;
    stage.run();
    stage.look_up("alice").await.expect("in order");
    stage.look_up("bob").await.expect("in order");
    stage.directory.set(None, "alice", &json!({"disabled": true}));
    stage.directory.set(None, "bob", &json!({"validSince": "5000"}));
    stage.clock.advance(50);
    until("both were refreshed and pinned", || stage.statistics().pinned == 2).await;
    stage.flood(5000).await;
    stage.out_of_order();
    assert_eq!(stage.known("alice"), Some(account(true, 1000)));
    assert_eq!(stage.known("bob"), Some(account(false, 5000)));
    stage.stop().await;
}

#[tokio::test]
async fn refusals_beyond_the_bound_are_known_to_be_forgotten_until_their_tokens_end() {
    let stage = Stage::with(|options| {
        options.refusals_max = 3;
        options.settings.token_lifetime_max = Duration::from_secs(600);
    })
    .await;
    let until = UnixTime::from_seconds(now(&stage.clock) + 600);
    for number in 0..4 {
        assert!(!stage.cache.has_forgotten_refusals(), "{number}");
        let uid = format!("user-{number}");
        stage.look_up(&uid).await.expect("in order");
        stage.cache.refused(None, &uid, until);
        stage.cache.refused(None, &uid, until);
    }
    assert!(stage.cache.has_forgotten_refusals());
    assert_eq!(stage.statistics().pinned, 3);
    stage.clock.advance(3600 + 599);
    assert!(stage.cache.has_forgotten_refusals());
    stage.clock.advance(3);
    assert!(!stage.cache.has_forgotten_refusals());
    // A refusal of whom nothing is known any more cannot be pinned.
    let until = UnixTime::from_seconds(now(&stage.clock) + 600);
    stage.cache.refused(None, "never-seen", until);
    assert!(stage.cache.has_forgotten_refusals());
}

/// What comes of a look-up behind those of 2000 other users, for whom Identity Platform needs five calls in a row.
async fn behind_a_flood(stage: &Stage) -> Result<KnownAccount, UserStatusFault> {
    let mut others = JoinSet::new();
    for number in 0..2000 {
        let cache = Arc::clone(&stage.cache);
        others.spawn(async move { cache.look_up(None, &format!("other-{number}")).await });
    }
    // Who is spawned last comes into the line last.
    let cache = Arc::clone(&stage.cache);
    tokio::spawn(async move { cache.look_up(None, "disabled").await }).await.expect("no panic")
}

#[tokio::test]
async fn a_flood_of_other_users_is_no_outage_of_identity_platform() {
    let stage = Stage::new().await;
    stage.directory.set(None, "disabled", &json!({"disabled": true}));
    let answers = stage.directory.clone();
    stage.server.respond(move |request| answers.answer(request).after(Duration::from_millis(900)));
    assert_eq!(behind_a_flood(&stage).await, Err(UserStatusFault::Overloaded), "it answers the others");

    // Where nobody is answered, that is Google's doing and no flood's.
    let stage = Stage::new().await;
    stage.server.hold();
    let fault = behind_a_flood(&stage).await.expect_err("nobody is answered");
    assert!(!matches!(fault, UserStatusFault::Overloaded), "{fault}");
}

#[tokio::test]
async fn a_user_who_is_enabled_again_or_made_anew_comes_in_by_a_newer_look_up() {
    let stage = Stage::new().await;
    stage.directory.set(None, "alice", &json!({"disabled": true}));
    stage.directory.delete("bob");
    for uid in ["alice", "bob"] {
        stage.look_up(uid).await.expect("in order");
        stage.cache.refused(None, uid, UnixTime::from_seconds(now(&stage.clock) + 3600));
    }
    stage.directory.set(None, "alice", &json!({"disabled": false}));
    stage.directory.set(None, "bob", &json!({}));
    stage.clock.advance(STALENESS_SECONDS);
    for uid in ["alice", "bob"] {
        assert_eq!(stage.look_up(uid).await.expect("in order").account, account(false, 1000));
        assert_eq!(stage.known(uid), Some(account(false, 1000)));
    }
}

#[tokio::test]
async fn other_settings_make_nobody_forgotten_and_go_for_whoever_comes_next() {
    let mut stage =
        Stage::with(|options| options.settings.token_lifetime_max = Duration::from_secs(600)).await;
    stage.run();
    stage.directory.set(None, "revoked", &json!({"validSince": "2000"}));
    for uid in ["revoked", "good"] {
        stage.look_up(uid).await.expect("in order");
    }
    stage.cache.refused(None, "revoked", UnixTime::from_seconds(now(&stage.clock) + 600));
    let settings = |max_staleness: i64| UserStatusSettings {
        accounts: AccountsClient::new(client(), Some(stage.server.url("/"))),
        caller: Caller::Fixed(EMULATOR_BEARER),
        max_staleness: Duration::from_secs(max_staleness.unsigned_abs()),
        token_lifetime_max: Duration::from_secs(2 * 7 * 24 * 3600),
    };
    stage.out_of_order();
    stage.cache.go_by(settings(5 * STALENESS_SECONDS));
    stage.clock.advance(3 * STALENESS_SECONDS);
    // What is known is young enough now, and what is known against somebody stays.
    assert_eq!(stage.look_up("good").await.expect("young enough").account, account(false, 1000));
    assert!(stage.look_up("revoked").await.is_ok());
    stage.clock.advance(3 * STALENESS_SECONDS);
    assert!(stage.look_up("good").await.is_err());
    assert_eq!(stage.known("revoked"), Some(account(false, 2000)));
    assert_eq!(stage.statistics().pinned, 1);
    stage.stop().await;
}
