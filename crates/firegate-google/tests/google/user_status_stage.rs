//! What the tests of user status play on: a cache of it, the server that it asks, and the accounts there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firegate_core::identity::{AccountStatus, KnownAccount};
use firegate_core::time::{ShiftedClock, UnixTime};
use firegate_google::accounts::{AccountsClient, EMULATOR_BEARER};
use firegate_google::caller::Caller;
use firegate_google::user_status::{
    UserStatusCache, UserStatusFault, UserStatusOptions, UserStatusSettings, UserStatusStatistics,
};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, CountingClock, Received, Server, client, clock};

pub(crate) const IN_TIME: Duration = Duration::from_secs(60);
pub(crate) const STALENESS_SECONDS: i64 = 60;
const HOUR: Duration = Duration::from_secs(3600);

/// Accounts by tenant and uid, null for a deleted one. Whoever was never set has an account in order.
#[derive(Clone, Default)]
pub(crate) struct Directory(Arc<Mutex<Accounts>>);

type Accounts = HashMap<(Option<String>, String), Value>;

impl Directory {
    pub(crate) fn set(&self, tenant: Option<&str>, uid: &str, members: &Value) {
        let key = (tenant.map(str::to_owned), uid.to_owned());
        self.0.lock().expect("not poisoned").insert(key, members.clone());
    }

    pub(crate) fn delete(&self, uid: &str) {
        self.0.lock().expect("not poisoned").insert((None, uid.to_owned()), Value::Null);
    }

    pub(crate) fn answer(&self, request: &Received) -> Answer {
        let tenant = request
            .target
            .split_once("/tenants/")
            .and_then(|(_, rest)| rest.split('/').next())
            .map(str::to_owned);
        let directory = self.0.lock().expect("not poisoned");
        let users: Vec<_> = asked_for(request)
            .into_iter()
            .filter_map(|uid| {
                let mut user = json!({"localId": uid, "validSince": "1000"});
                match directory.get(&(tenant.clone(), uid)) {
                    Some(Value::Object(members)) => user.as_object_mut()?.extend(members.clone()),
                    Some(_) => return None,
                    None => {}
                }
                if let Some(tenant) = &tenant {
                    user["tenantId"] = json!(tenant);
                }
                Some(user)
            })
            .collect();
        let mut answer = json!({"kind": "identitytoolkit#GetAccountInfoResponse"});
        if !users.is_empty() {
            answer["users"] = json!(users);
        }
        Answer::json(&answer)
    }
}

pub(crate) fn asked_for(request: &Received) -> Vec<String> {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let uids = body["localId"].as_array().expect("a list").iter();
    uids.map(|uid| uid.as_str().expect("text").to_owned()).collect()
}

/// A cache and the server that it asks.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) directory: Directory,
    pub(crate) clock: ShiftedClock,
    pub(crate) cache: Arc<UserStatusCache>,
    pub(crate) looks: Arc<CountingClock>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut UserStatusOptions)) -> Self {
        let directory = Directory::default();
        let answers = directory.clone();
        let server = Server::start(move |request| answers.answer(request)).await;
        let clock = clock();
        let accounts = AccountsClient::new(client(), Some(server.url("/")));
        let caller = Caller::Fixed(EMULATOR_BEARER);
        let staleness = Duration::from_secs(STALENESS_SECONDS.unsigned_abs());
        let looks = CountingClock::new(Arc::new(clock.clone()));
        let shared = Arc::<CountingClock>::clone(&looks);
        let (max_staleness, token_lifetime_max) = (staleness, HOUR);
        let settings = UserStatusSettings { accounts, caller, max_staleness, token_lifetime_max };
        let mut options = UserStatusOptions::new("demo".to_owned(), settings, shared);
        change(&mut options);
        Self { server, directory, clock, cache: UserStatusCache::new(options), looks, running: None }
    }

    pub(crate) fn run(&mut self) {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&self.cache).run(shutdown.clone()));
        self.looks.count_only(task.id());
        self.running = Some((shutdown, task));
    }

    /// Waits until the background task has done all that it does in one round, knowing what the clock says now. It looks
    /// three or four times in a round, twice of these at the beginning.
    pub(crate) async fn background_look(&self) {
        self.looks.more(6).await;
    }

    pub(crate) async fn stop(self) {
        let (shutdown, task) = self.running.expect("it runs");
        shutdown.cancel();
        task.await.expect("the task ends");
    }

    pub(crate) fn in_order(&self) {
        let answers = self.directory.clone();
        self.server.respond(move |request| answers.answer(request));
    }

    pub(crate) fn out_of_order(&self) {
        self.server.respond(|_| Answer::new(503, "text/html", "<html>"));
    }

    pub(crate) async fn look_up(&self, uid: &str) -> Result<KnownAccount, UserStatusFault> {
        self.cache.look_up(None, uid).await
    }

    pub(crate) fn known(&self, uid: &str) -> Option<Option<AccountStatus>> {
        self.cache.known(None, uid).map(|known| known.account)
    }

    pub(crate) fn statistics(&self) -> UserStatusStatistics {
        self.cache.statistics()
    }

    /// Looks many users up, a few thousand at once.
    pub(crate) async fn flood(&self, count: usize) {
        for chunk in (0..count).collect::<Vec<_>>().chunks(2000) {
            let mut asked = JoinSet::new();
            for number in chunk {
                let (cache, uid) = (Arc::clone(&self.cache), format!("other-{number}"));
                asked.spawn(async move { cache.look_up(None, &uid).await.expect("in order") });
            }
            asked.join_all().await;
        }
    }
}

pub(crate) fn account(disabled: bool, valid_since: i64) -> Option<AccountStatus> {
    Some(AccountStatus { disabled, valid_since: UnixTime::from_seconds(valid_since) })
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(IN_TIME, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}
