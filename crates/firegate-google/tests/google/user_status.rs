//! Users are looked up once, together, and again before what is known of them is stale.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::time::{Clock, UnixTime};
use firegate_google::user_status::UserStatusFault;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Answer, now};
use crate::user_status_stage::{IN_TIME, STALENESS_SECONDS, Stage, account, asked_for, until};

#[tokio::test]
async fn a_thousand_first_requests_of_500_users_take_few_calls_of_at_most_100_users() {
    let stage = Stage::new().await;
    assert_eq!(stage.known("user-0"), None);
    stage.directory.set(None, "user-7", &json!({"disabled": true}));
    let mut asked = JoinSet::new();
    for number in 0..1000 {
        let cache = Arc::clone(&stage.cache);
        asked.spawn(async move { (number, cache.look_up(None, &format!("user-{}", number % 500)).await) });
    }
    for (number, found) in asked.join_all().await {
        assert_eq!(found.expect("found").account, account(number % 500 == 7, 1000), "{number}");
    }
    let sizes: Vec<_> = stage.server.received().iter().map(|request| asked_for(request).len()).collect();
    eprintln!("1000 first requests of 500 users: calls of {sizes:?} users");
    assert!(sizes.len() <= 10 && sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 500, "nobody is asked for twice");
    let statistics = stage.statistics();
    assert_eq!(
        (statistics.users, statistics.calls, statistics.users_asked_for, statistics.failed_calls),
        (500, sizes.len() as u64, 500, 0)
    );
    assert_eq!(stage.known("user-7"), Some(account(true, 1000)));
}

#[tokio::test]
async fn requests_of_one_user_share_one_look_up_and_its_record() {
    let stage = Stage::new().await;
    stage.server.hold();
    let began = now(&stage.clock);
    let mut asked = JoinSet::new();
    for _ in 0..1000 {
        let cache = Arc::clone(&stage.cache);
        asked.spawn(async move { cache.look_up(None, "alice").await });
    }
    stage.server.wait_for_requests(1).await;
    stage.server.release();
    for known in asked.join_all().await {
        let known = known.expect("found");
        assert_eq!(known.account, account(false, 1000));
        assert!((began..=began + 1).contains(&known.as_of.as_seconds()), "{known:?}");
    }
    assert_eq!(stage.server.count(), 1);
    stage.look_up("alice").await.expect("there is a young record");
    assert_eq!(stage.server.count(), 1);
    stage.clock.advance(STALENESS_SECONDS);
    let stale = stage.cache.known(None, "alice").expect("known, however old");
    assert!(stage.clock.now().since(stale.as_of).as_secs() >= 60);
    let young = stage.look_up("alice").await.expect("found");
    assert!(stage.clock.now().since(young.as_of).as_secs() <= 1);
    assert_eq!(stage.server.count(), 2);
}

#[tokio::test]
async fn a_request_waits_three_seconds_for_a_hanging_look_up_and_the_work_goes_on() {
    let stage = Stage::new().await;
    stage.server.hold();
    let began = Instant::now();
    assert!(stage.look_up("alice").await.is_err());
    let waited = began.elapsed();
    eprintln!("waited {waited:?} for a hanging look-up");
    assert!(waited >= Duration::from_millis(2900) && waited <= Duration::from_millis(4500), "{waited:?}");
    assert_eq!(stage.known("alice"), None, "an outage says nothing of a user");
    // A caller that goes away takes nothing along.
    let cache = Arc::clone(&stage.cache);
    until("the call failed", || stage.statistics().failed_calls == 1).await;
    // While the failure is remembered the answer is that at once; the look-up after it is the one that hangs.
    let asked = tokio::spawn(async move {
        while cache.look_up(None, "bob").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    stage.server.wait_for_requests(2).await;
    asked.abort();
    stage.server.release();
    until("bob is known", || stage.known("bob").is_some()).await;
}

#[tokio::test]
async fn more_waiters_than_the_limit_are_told_at_once() {
    use firegate_google::limits::USER_STATUS_WAITERS_MAX;
    let stage = Stage::new().await;
    stage.server.hold();
    let mut asked = JoinSet::new();
    for number in 0..USER_STATUS_WAITERS_MAX + 50 {
        let cache = Arc::clone(&stage.cache);
        asked.spawn(async move { cache.look_up(None, &format!("user-{number}")).await });
    }
    for _ in 0..50 {
        let first = asked.join_next().await.expect("a task").expect("no panic");
        assert_eq!(first, Err(UserStatusFault::Overloaded));
    }
    stage.server.release();
    for known in asked.join_all().await {
        assert!(known.is_ok(), "{known:?}");
    }
}

#[tokio::test]
async fn an_outage_is_not_hammered() {
    let stage = Stage::new().await;
    stage.out_of_order();
    let mut faults = HashSet::new();
    for number in 0..100 {
        let fault = stage.look_up(&format!("user-{number}")).await.expect_err("it is down");
        faults.insert(fault.to_string());
    }
    eprintln!("100 requests in an outage made {} calls: {faults:?}", stage.server.count());
    assert!(stage.server.count() <= 3, "{}", stage.server.count());
}

#[tokio::test]
async fn only_users_who_were_here_lately_are_refreshed() {
    let mut stage = Stage::new().await;
    for uid in ["busy", "gone"] {
        stage.look_up(uid).await.expect("in order");
    }
    stage.run();
    assert_eq!(stage.server.count(), 2);
    // Ahead of the bound both are refreshed: both were here within it.
    stage.clock.advance(46);
    until("refreshed", || stage.server.count() == 3).await;
    assert_eq!(asked_for(&stage.server.last()).into_iter().collect::<HashSet<_>>().len(), 2, "in one call");
    for round in 0..5 {
        // One stays; the other was here a long time ago.
        until("a young record", || {
            let as_of = stage.cache.known(None, "busy").map(|known| known.as_of.as_seconds());
            as_of.is_some_and(|as_of| as_of >= now(&stage.clock) - 30)
        })
        .await;
        stage.clock.advance(46);
        until("refreshed", || stage.server.count() == 4 + round).await;
        assert_eq!(asked_for(&stage.server.last()), ["busy"], "round {round}");
    }
    let known = stage.cache.known(None, "gone").expect("known, however old");
    assert!(stage.clock.now().since(known.as_of).as_secs() > 200, "it has aged");
    stage.stop().await;
}

#[tokio::test]
async fn refreshing_backs_off_in_an_outage_and_shows_the_staleness() {
    let mut stage = Stage::new().await;
    stage.look_up("alice").await.expect("in order");
    let watch = stage.cache.watch(None, "alice", UnixTime::from_seconds(1000));
    stage.out_of_order();
    stage.run();
    stage.clock.advance(120);
    until("it failed twice", || stage.statistics().failed_calls >= 2).await;
    let staleness = || stage.statistics().oldest_staleness.map_or(0, |staleness| staleness.as_secs());
    until("the staleness shows", || staleness() >= 120).await;
    let began = Instant::now();
    let calls = stage.statistics().calls;
    until("it failed again", || stage.statistics().calls > calls).await;
    eprintln!("{} calls failed; the last pause took {:?}", stage.statistics().failed_calls, began.elapsed());
    assert!(!watch.is_revoked(), "an outage ends no stream");
    stage.in_order();
    until("young again", || {
        stage
            .cache
            .known(None, "alice")
            .is_some_and(|known| known.as_of.as_seconds() >= now(&stage.clock) - 10)
    })
    .await;
    until("the staleness is gone", || staleness() < 60).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_watch_fires_when_a_look_up_ends_the_session_and_keeps_looking_until_then() {
    let mut stage = Stage::new().await;
    for uid in ["revoked", "disabled", "deleted", "good"] {
        stage.look_up(uid).await.expect("in order");
    }
    stage.run();
    let signed_in = UnixTime::from_seconds(1500);
    let watch = |uid| stage.cache.watch(None, uid, signed_in);
    let watches = ["revoked", "disabled", "deleted", "good"].map(watch);
    let second = watch("revoked");
    // Nobody makes a request; the streams alone keep the users known.
    for _ in 0..3 {
        let calls = stage.server.count();
        stage.clock.advance(STALENESS_SECONDS + 1);
        until("refreshed", || stage.server.count() > calls).await;
    }
    assert!(watches.iter().all(|watch| !watch.is_revoked()));
    stage.directory.set(None, "revoked", &json!({"validSince": "1501"}));
    stage.directory.set(None, "disabled", &json!({"disabled": true}));
    stage.directory.set(None, "good", &json!({"validSince": "1500"}));
    stage.directory.delete("deleted");
    // The answer to a call of before the change may still be under way.
    stage.clock.advance(STALENESS_SECONDS + 1);
    for watch in &watches[..3] {
        tokio::time::timeout(IN_TIME, watch.revoked()).await.expect("it fires");
    }
    assert!(second.is_revoked() && second.signal().is_cancelled() && !watches[3].is_revoked());
    assert!(watch("disabled").is_revoked(), "one that comes later fires at once");
    assert_eq!(stage.statistics().watched, 4);
    drop((watches, second));
    assert_eq!(stage.statistics().watched, 0);
    stage.stop().await;
}

#[tokio::test]
async fn a_watch_over_a_user_of_whom_nothing_is_known_has_them_looked_up() {
    let mut stage = Stage::with(|options| options.users_max = 10).await;
    stage.directory.set(None, "alice", &json!({"disabled": true}));
    let watch = stage.cache.watch(None, "alice", UnixTime::from_seconds(1500));
    stage.flood(1000).await;
    stage.run();
    tokio::time::timeout(IN_TIME, watch.revoked()).await.expect("it fires");
    drop(watch);
    assert_eq!(stage.known("alice"), Some(account(true, 1000)), "what was learnt stays");
    stage.stop().await;
}

/// Their streams alone keep them known: no request would ever see to it that they are looked up.
#[tokio::test]
async fn whoever_is_in_the_hands_of_a_look_up_that_panics_is_looked_up_again() {
    let mut stage = Stage::new().await;
    stage.run();
    let watch = stage.cache.watch(None, "alice", UnixTime::from_seconds(1500));
    until("looked up", || stage.known("alice").is_some()).await;
    stage.looks.betray();
    stage.clock.advance(STALENESS_SECONDS + 1);
    until("it falls down", || stage.looks.has_betrayed()).await;
    stage.directory.set(None, "alice", &json!({"disabled": true}));
    let fires = async {
        while !watch.is_revoked() {
            stage.clock.advance(STALENESS_SECONDS + 1);
            stage.background_look().await;
        }
    };
    tokio::time::timeout(IN_TIME / 3, fires).await.expect("it fires");
    drop(watch);
    stage.stop().await;
}

#[tokio::test]
async fn tenants_do_not_mix() {
    let stage = Stage::new().await;
    stage.directory.set(Some("blue"), "alice", &json!({"disabled": true}));
    stage.directory.set(Some("red"), "alice", &json!({"validSince": "3000"}));
    let look_up = |tenant| stage.cache.look_up(tenant, "alice");
    let (none, blue, red) = tokio::join!(look_up(None), look_up(Some("blue")), look_up(Some("red")));
    assert_eq!(none.expect("found").account, account(false, 1000));
    assert_eq!(blue.expect("found").account, account(true, 1000));
    assert_eq!(red.expect("found").account, account(false, 3000));
    assert_eq!(stage.server.count(), 3);
    let targets: HashSet<_> = stage.server.received().into_iter().map(|request| request.target).collect();
    assert!(targets.contains("/v1/projects/demo/tenants/blue/accounts:lookup"), "{targets:?}");
    assert_eq!(stage.cache.known(Some("green"), "alice"), None);
    let until = UnixTime::from_seconds(now(&stage.clock) + 3600);
    stage.cache.refused(Some("blue"), "alice", until);
    assert_eq!(stage.statistics().pinned, 1);
    // An answer about another tenant's user is none.
    stage.server.respond(|_| {
        Answer::json(
            &json!({"kind": "identitytoolkit#GetAccountInfoResponse", "users": [{"localId": "bob"}]}),
        )
    });
    assert!(stage.cache.look_up(Some("blue"), "bob").await.is_err());
    assert_eq!(stage.cache.known(Some("blue"), "bob"), None);
}

#[tokio::test]
async fn junk_is_a_failure_and_never_means_deleted() {
    let json = |value: Value| Answer::json(&value);
    let text = |text: &'static str| Answer::new(200, "application/json", text);
    let named = |users: Value| {
        Answer::json(&json!({"kind": "identitytoolkit#GetAccountInfoResponse", "users": users}))
    };
    let junk = [
        ("HTML", Answer::new(200, "text/html", "<html>Sign in to this network</html>")),
        ("nothing", text("")),
        ("null", text("null")),
        ("a list", text("[]")),
        ("a string", text("\"\"")),
        ("an empty object", json(json!({}))),
        ("an empty list of users without the answer's name", json(json!({"users": []}))),
        ("another answer's name", json(json!({"kind": "identitytoolkit#DeleteAccountResponse"}))),
        ("no list", named(json!({}))),
        ("null for a list", named(json!(null))),
        ("truncated", text(r#"{"kind": "identitytoolkit#GetAccountInfoResponse""#)),
        ("two documents", text(r#"{"kind": "identitytoolkit#GetAccountInfoResponse"}{}"#)),
        ("an error", json(json!({"kind": "identitytoolkit#GetAccountInfoResponse", "error": {}}))),
        ("another user", named(json!([{"localId": "bob"}]))),
        ("another case", named(json!([{"localId": "Alice"}]))),
        ("another tenant's user", named(json!([{"localId": "alice", "tenantId": "blue"}]))),
        ("one user twice", named(json!([{"localId": "alice"}, {"localId": "alice", "disabled": true}]))),
        ("a wrongly typed user", named(json!([{"localId": "alice", "disabled": "no"}]))),
        ("a user without a name", named(json!([{}]))),
        ("a time that is none", named(json!([{"localId": "alice", "validSince": "soon"}]))),
        ("compressed", named(json!([])).with("content-encoding", "gzip")),
        ("not found", Answer::new(404, "text/html", "<html>")),
        ("a redirect", Answer::new(302, "text/plain", "").with("location", "/else")),
        (
            "an error of the API",
            Answer { status: 400, ..json(json!({"error": {"message": "USER_NOT_FOUND"}})) },
        ),
    ];
    for (what, answer) in junk {
        let stage = Stage::new().await;
        stage.server.respond(move |_| answer.clone());
        let fault = stage.look_up("alice").await.expect_err(what);
        assert!(matches!(fault, UserStatusFault::Lookup(_)), "{what}: {fault}");
        assert_eq!(stage.known("alice"), None, "{what}");
        assert_eq!((stage.statistics().failed_calls, stage.statistics().pinned), (1, 0), "{what}");
    }
    let stage = Stage::new().await;
    stage.directory.delete("alice");
    assert_eq!(stage.look_up("alice").await.expect("the documented answer").account, None);
}

#[tokio::test]
async fn a_clock_that_steps_back_makes_no_record_young() {
    let mut stage = Stage::new().await;
    stage.look_up("alice").await.expect("in order");
    stage.run();
    stage.clock.advance(-3600);
    let known = stage.cache.known(None, "alice").expect("known");
    assert!(known.as_of <= stage.clock.now(), "{known:?}");
    // The step is noticed, and what passes from then on counts.
    let calls = stage.server.count();
    stage.background_look().await;
    stage.clock.advance(STALENESS_SECONDS);
    let known = stage.cache.known(None, "alice").expect("known");
    assert!(stage.clock.now().since(known.as_of).as_secs() >= 60, "{known:?}");
    until("refreshed", || stage.server.count() > calls).await;
    stage.stop().await;
}
