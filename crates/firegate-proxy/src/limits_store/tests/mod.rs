//! Counting in real servers, which are killed, frozen and brought back.

mod cluster;
mod outages;
pub(super) mod server;
mod sharing;
mod tls;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use firegate_core::limiter::{
    Algorithm, CountOutcome, Counting, KeyPart, KeyType, Limits, OnStoreFailure, RateLimit,
    RateLimitDescription, RuleLabel, Settled, StoreAnswer, Threshold,
};
use firegate_core::time::SystemClock;
use firegate_files::configuration::{self, LimitsStore as StoreSetting};
use redis::aio::MultiplexedConnection;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;

/// Long enough for a machine that does much else: who measures nothing waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One process that counts in a store: its own windows, and its own connection.
struct Replica {
    store: Arc<LimitsStore>,
    counters: SharedCounters,
    _stop: DropGuard,
}

impl Replica {
    /// A process with this `limits_store`, which waits so long for an answer.
    fn start(limits_store: &str, answer_timeout: Duration, roots: &Roots) -> Self {
        let store = store(limits_store, answer_timeout, roots).expect("a store");
        let (store, stop) = (Arc::new(store), CancellationToken::new());
        tokio::spawn(Arc::clone(&store).run(stop.clone()));
        let memory = Arc::new(MemoryCounters::new(Arc::new(SystemClock), [3; 16]));
        let counters = SharedCounters::new(memory, store.secret);
        Self { store, counters, _stop: stop.drop_guard() }
    }

    /// Waits until the store is there, or is not.
    async fn wait(&self, is_there: bool) {
        let mut state = self.store.is_there.subscribe();
        let waited = tokio::time::timeout(PATIENCE, state.wait_for(|found| *found == is_there)).await;
        waited.expect("in time").expect("it lives");
    }

    async fn count(&self, rule: &Arc<RateLimit>, address: &str) -> CountOutcome {
        let question = match self.counters.count(rule, &[key(address)]) {
            Counting::Counted(count) => return count.outcome,
            Counting::AskStore(question) => question,
        };
        let answer = self.store.ask(&question).await;
        let answer = match &answer {
            Answer::SharedCount(count) => StoreAnswer::Counted(count),
            Answer::Overloaded => StoreAnswer::NotAsked,
            _ => StoreAnswer::Away,
        };
        match self.counters.settle(&question, answer) {
            Settled::Counted(count) => count.outcome,
            Settled::Unavailable => panic!("each process counts by itself"),
        }
    }

    fn questions(&self) -> [u64; 4] {
        self.store.figures().questions.map(|(_, count)| count)
    }
}

fn store(
    limits_store: &str,
    answer_timeout: Duration,
    roots: &Roots,
) -> Result<LimitsStore, LimitsStoreError> {
    match setting(limits_store) {
        StoreSetting::Redis(server) => LimitsStore::new(*server, "demo-project", roots, answer_timeout),
        StoreSetting::Memory => panic!("{limits_store} is no server"),
    }
}

/// What a configuration with this `limits_store` says.
fn setting(limits_store: &str) -> StoreSetting {
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nbackends: {{ api: 'https://api.example' }}\nlimits_store: {limits_store}\n"
    );
    configuration::parse("firegate.yaml", &text).expect("a configuration").limits_store
}

fn key(address: &str) -> KeyPart<'_> {
    KeyPart { key_type: KeyType::Ip, value: address.as_bytes() }
}

fn throttle(count: u32, interval: Duration) -> Arc<RateLimit> {
    throttle_on_failure(count, interval, OnStoreFailure::Local)
}

fn throttle_on_failure(count: u32, interval: Duration, on_store_failure: OnStoreFailure) -> Arc<RateLimit> {
    let threshold = Threshold::new(NonZeroU32::new(count).expect("not zero"), interval);
    let label = RuleLabel { backend: "api".to_owned(), policy: "edge".to_owned(), priority: 1000 };
    Arc::new(RateLimit::new(&RateLimitDescription {
        label: &label,
        limits: Limits { threshold, ban: None, algorithm: Algorithm::Fixed },
        rule: b"IP",
        preview: false,
        on_store_failure,
    }))
}

impl server::RedisServer {
    /// A connection that waits as long as it takes.
    pub(super) async fn connection(&self) -> MultiplexedConnection {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection")
    }
}
