use std::sync::Arc;
use std::time::Duration;

use firegate_core::identity::KnownAccount;
use firegate_google::accounts::{AccountsClient, EMULATOR_BEARER};
use firegate_google::caller::Caller;
use firegate_google::fault::FaultKind;
use firegate_google::limits::USER_STATUS_SPLIT_CALLS_MAX;
use firegate_google::user_status::{UserStatusCache, UserStatusFault, UserStatusOptions, UserStatusSettings};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Answer, Received, Server, client, clock};
use crate::user_status_stage::asked_for;

/// Refuses every question that names a user whose id begins with `bad`, and knows all others.
fn answer(request: &Received) -> Answer {
    let uids = asked_for(request);
    if uids.iter().any(|uid| uid.starts_with("bad")) {
        return refusal();
    }
    let users: Vec<_> = uids.into_iter().map(|uid| json!({"localId": uid})).collect();
    Answer::json(&json!({"kind": "identitytoolkit#GetAccountInfoResponse", "users": users}))
}

fn refusal() -> Answer {
    let body = json!({"error": {"status": "INVALID_ARGUMENT", "message": "INVALID_LOCAL_ID"}});
    Answer { status: 400, ..Answer::json(&body) }
}

fn cache(server: &Server) -> Arc<UserStatusCache> {
    let accounts = AccountsClient::new(client(), Some(server.url("/")));
    let (max_staleness, token_lifetime_max) = (Duration::from_secs(60), Duration::from_secs(3600));
    let caller = Caller::Fixed(EMULATOR_BEARER);
    let settings = UserStatusSettings { accounts, caller, max_staleness, token_lifetime_max };
    UserStatusCache::new(UserStatusOptions::new("demo".to_owned(), settings, Arc::new(clock())))
}

/// Looks all up at once; those whose look-up failed.
async fn failed(cache: &Arc<UserStatusCache>, uids: &[String]) -> Vec<String> {
    let mut asked = JoinSet::new();
    for uid in uids.iter().cloned() {
        let cache = Arc::clone(cache);
        asked.spawn(async move {
            let found: Result<KnownAccount, UserStatusFault> = cache.look_up(None, &uid).await;
            if let Err(fault) = &found {
                assert_eq!(fault.kind(), FaultKind::Refused, "{uid}: {fault}");
            }
            found.is_err().then_some(uid)
        });
    }
    let mut failed: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    failed.sort();
    failed
}

fn users(count: usize, bad: &[&str]) -> Vec<String> {
    let good = (0..count).map(|number| format!("user-{number:03}"));
    let mut users: Vec<_> = good.collect();
    for (number, uid) in bad.iter().enumerate() {
        users.insert((number * 37 + 11) % users.len(), (*uid).to_owned());
    }
    users
}

#[tokio::test]
async fn a_user_whom_the_api_does_not_take_fails_alone() {
    for bad in [&[][..], &["bad"], &["bad-0", "bad-1"]] {
        let server = Server::start(answer).await;
        let cache = cache(&server);
        assert_eq!(failed(&cache, &users(97, bad)).await, bad);
        let most = server.received().iter().map(|request| asked_for(request).len()).max();
        assert!(server.count() <= 4 + bad.len() * 14, "{bad:?}: {} calls, {most:?} at most", server.count());
        assert!(bad.iter().all(|uid| cache.known(None, uid).is_none()), "a refusal says nothing of a user");
    }
}

#[tokio::test]
async fn a_user_whom_the_api_does_not_take_holds_nobody_up_and_is_no_hammer() {
    let server = Server::start(answer).await;
    let cache = cache(&server);
    assert_eq!(failed(&cache, &users(1, &[])).await, Vec::<String>::new());
    assert_eq!(server.count(), 1);
    for number in 0..50 {
        assert!(cache.look_up(None, "bad").await.is_err());
        cache.look_up(None, &format!("other-{number}")).await.expect("nobody else is refused");
    }
    assert_eq!(server.count(), 1 + 1 + 50);
}

#[tokio::test]
async fn where_everybody_is_refused_the_search_is_bounded_and_not_repeated() {
    let server = Server::start(|_| refusal()).await;
    let cache = cache(&server);
    let everybody = users(400, &[]);
    assert_eq!(failed(&cache, &everybody).await.len(), 400);
    let calls = server.count();
    assert!(calls <= 4 * (1 + USER_STATUS_SPLIT_CALLS_MAX), "{calls}");
    let statistics = cache.statistics();
    assert_eq!((statistics.users, statistics.pinned), (0, 0));
    assert_eq!((statistics.calls, statistics.failed_calls), (calls as u64, calls as u64));
    // The next one after the memory of the failure is one call, and not another search.
    let began = Instant::now();
    while server.count() == calls && began.elapsed() < Duration::from_secs(10) {
        assert_eq!(failed(&cache, &everybody[..100]).await.len(), 100);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.count() > calls, "the failure is forgotten in time");
    assert!(server.count() <= calls + 4, "{} more", server.count() - calls);
}
