//! What the server runs for each request: one script, which touches one key.
//!
//! A key's name has a hash tag of its own, so that a cluster spreads the keys of one rule over its nodes.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use firegate_core::limiter::{Algorithm, CountOutcome, Limits, SharedCount, StoreQuestion, Threshold};
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, cmd};

use crate::limits::LIMITS_STORE_PROBE_INTERVAL;

/// Reads the time where the counting is: the clocks of the processes that count are never compared.
const SERVER_CLOCK: &str =
    "local time = redis.call('TIME')\nlocal now = time[1] * 1000 + math.floor(time[2] / 1000)\n";

/// What is counted to see whether anything can be. A request's key has a rule and a hash in the place of this word.
const PROBE_KEY: &str = "firegate:{probe}";

/// The counting itself.
const COUNT: &str = include_str!("count.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SERVER_CLOCK));

/// A script and the name that the server knows it by.
#[derive(Debug)]
struct Script {
    text: String,
    sha1: String,
}

impl Script {
    fn new(clock: &str) -> Self {
        let text = format!("{clock}{COUNT}");
        let sha1 = redis::Script::new(&text).get_hash().to_owned();
        Self { text, sha1 }
    }

    /// Calls it, by its name (`EVALSHA`) or with its whole text (`EVAL`), which teaches the server the name.
    fn call(&self, with_text: bool, key: &str, limits: &Limits, unreported: u32) -> Cmd {
        let (verb, script) = if with_text { ("EVAL", &self.text) } else { ("EVALSHA", &self.sha1) };
        let mut command = cmd(verb);
        command.arg(script).arg(1).arg(key);
        let total = limits.ban.and_then(|ban| ban.threshold());
        command
            .arg(limits.threshold.count())
            .arg(limits.threshold.interval_ms())
            .arg(u8::from(limits.algorithm == Algorithm::Sliding))
            .arg(u8::from(limits.ban.is_some()))
            .arg(limits.ban.map_or(0, |ban| ban.duration_ms()))
            .arg(total.map_or(0, |total| total.count()))
            .arg(total.map_or(0, |total| total.interval_ms()))
            .arg(unreported);
        command
    }
}

fn key(question: &StoreQuestion) -> String {
    format!("firegate:{{{}:{}}}", question.rule().identity(), question.store_key())
}

/// Puts a question to the server.
///
/// # Errors
/// If it does not answer, or with an error.
pub(super) async fn ask(
    connection: &mut (impl ConnectionLike + Send),
    question: &StoreQuestion,
) -> Result<SharedCount, RedisError> {
    count(connection, &key(question), question.rule().limits(), question.unreported()).await
}

/// Has the server count for a key that is nobody's: one that is there may write nothing, as a replica or without memory.
///
/// # Errors
/// If it does not answer, or with an error.
pub(super) async fn probe(connection: &mut (impl ConnectionLike + Send)) -> Result<(), RedisError> {
    let threshold = Threshold::new(NonZeroU32::MIN, LIMITS_STORE_PROBE_INTERVAL);
    let limits = Limits { threshold, ban: None, algorithm: Algorithm::Fixed };
    count(connection, PROBE_KEY, &limits, 0).await.map(drop)
}

async fn count(
    connection: &mut (impl ConnectionLike + Send),
    key: &str,
    limits: &Limits,
    unreported: u32,
) -> Result<SharedCount, RedisError> {
    let by_name = SCRIPT.call(false, key, limits, unreported).query_async::<[i64; 6]>(connection).await;
    let answer = match by_name {
        // The server was restarted, or never knew it: one more round trip, once.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            SCRIPT.call(true, key, limits, unreported).query_async(connection).await?
        }
        other => other?,
    };
    Ok(read(answer))
}

fn read([outcome, left, count, previous, total_left, total]: [i64; 6]) -> SharedCount {
    let count_of = |number| u32::try_from(number).unwrap_or_default();
    let time_of = |number| u64::try_from(number).unwrap_or_default();
    SharedCount {
        outcome: match outcome {
            0 => CountOutcome::Conform,
            1 => CountOutcome::Exceed,
            _ => CountOutcome::Banned,
        },
        left_ms: time_of(left),
        count: count_of(count),
        previous: count_of(previous),
        total_left_ms: time_of(total_left),
        total: count_of(total),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use firegate_core::limiter::{
        Ban, Counters as _, Counting, KeyPart, KeyType, MemoryCounters, OnStoreFailure, RateLimit,
        RateLimitDescription, RuleLabel, SharedCounters, Window,
    };
    use firegate_core::time::SystemClock;
    use proptest::prelude::{Strategy, any, prop};
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::super::tests::server::RedisServer;
    use super::*;

    /// Long enough that nothing expires by the server's own clock while a test runs by one of its own.
    const UNIT_MS: u64 = 60_000;

    fn threshold() -> impl Strategy<Value = Threshold> {
        (1..6_u32, 1..40_u64).prop_map(|(count, units)| {
            Threshold::new(NonZeroU32::new(count).expect("not zero"), Duration::from_millis(units * UNIT_MS))
        })
    }

    fn limits() -> impl Strategy<Value = Limits> {
        let ban = (prop::option::of(threshold()), 0..60_u64)
            .prop_map(|(threshold, units)| Ban::new(threshold, Duration::from_millis(units * UNIT_MS)));
        (threshold(), prop::option::of(ban), any::<bool>()).prop_map(|(threshold, ban, slides)| Limits {
            threshold,
            ban,
            algorithm: if slides { Algorithm::Sliding } else { Algorithm::Fixed },
        })
    }

    /// A question about a key of its own.
    fn question(limits: Limits, name: usize) -> StoreQuestion {
        let label = RuleLabel { backend: "api".to_owned(), policy: "edge".to_owned(), priority: 1 };
        let rule = Arc::new(RateLimit::new(&RateLimitDescription {
            label: &label,
            limits,
            rule: b"",
            preview: false,
            on_store_failure: OnStoreFailure::Local,
        }));
        let memory = Arc::new(MemoryCounters::new(Arc::new(SystemClock), [0; 16]));
        let name = name.to_string();
        let key = KeyPart { key_type: KeyType::Ip, value: name.as_bytes() };
        match SharedCounters::new(memory, [0; 32]).count(&rule, &[key]) {
            Counting::AskStore(question) => *question,
            Counting::Counted(count) => panic!("{count:?} needs no store"),
        }
    }

    #[tokio::test]
    async fn the_script_counts_as_the_window_does() {
        let server = RedisServer::start(&[]);
        let mut connection = server.connection().await;
        // The last argument is the time, and the one before it what was not reported.
        let script = Script::new("local now = tonumber(ARGV[10])\nARGV[8] = ARGV[9]\n");
        let cases = (limits(), prop::collection::vec((0..12_u64, 0..3_u32), 1..40));
        let mut runner = TestRunner::deterministic();
        for name in 0..300 {
            let (limits, requests) = cases.new_tree(&mut runner).expect("a case").current();
            let (question, mut window) = (question(limits, name), None);
            let mut now_ms = 1_790_000_000_000;
            for (place, (pause, unreported)) in requests.iter().enumerate() {
                now_ms += pause * UNIT_MS;
                // Processes report seldom.
                let unreported = if place % 5 == 4 { *unreported } else { 0 };
                let mut call = script.call(true, &key(&question), question.rule().limits(), 0);
                call.arg(unreported).arg(now_ms);
                let found = read(call.query_async(&mut connection).await.expect("an answer"));
                let window = window.get_or_insert_with(|| Window::new(&limits, now_ms));
                let expected = window.shared(&limits, unreported, now_ms);
                // What a banned key was counted before does not matter any more.
                let expected = match expected.outcome {
                    CountOutcome::Banned => {
                        SharedCount { count: 0, previous: 0, total_left_ms: 0, total: 0, ..expected }
                    }
                    CountOutcome::Conform | CountOutcome::Exceed => expected,
                };
                assert_eq!(found, expected, "request {place} of {requests:?} under {limits:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_put_back_makes_nothing_last_longer() {
        let server = RedisServer::start(&[]);
        let mut connection = server.connection().await;
        let script = Script::new("local now = tonumber(ARGV[9])\n");
        let threshold = Threshold::new(NonZeroU32::MIN, Duration::from_secs(60));
        let bans = Limits {
            threshold,
            ban: Some(Ban::new(None, Duration::from_secs(600))),
            algorithm: Algorithm::Fixed,
        };
        for (name, limits, times_s, left_s) in [
            (1, Limits { ban: None, ..bans }, [10_000, 10_000, 5_000], 60),
            (2, bans, [10_000, 10_000, 5_000], 660),
        ] {
            let question = question(limits, name);
            let mut last = None;
            for time_s in times_s {
                let mut call = script.call(true, &key(&question), question.rule().limits(), 0);
                call.arg(time_s * 1000);
                last = Some(read(call.query_async(&mut connection).await.expect("an answer")));
            }
            let last = last.expect("an answer");
            assert_ne!(last.outcome, CountOutcome::Conform);
            assert_eq!(last.left_ms, left_s * 1000, "{limits:?}");
        }
    }
}
