//! Several processes, one store.

use futures_util::future::join_all;
use redis::AsyncTypedCommands as _;

use super::server::RedisServer;
use super::*;
use crate::control::Control;

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_let_exactly_as_many_pass_as_may() {
    let server = RedisServer::start(&[]);
    let replicas = [(); 2].map(|()| Replica::start(&server.url(), PATIENCE, &Roots::Platform));
    let rule = throttle(500, Duration::from_secs(3600));
    for replica in &replicas {
        replica.wait(true).await;
    }
    let counted = replicas.iter().flat_map(|replica| (0..600).map(|_| replica.count(&rule, "192.0.2.1")));
    let conforming = join_all(counted).await.into_iter().filter(|outcome| *outcome == CountOutcome::Conform);
    assert_eq!(conforming.count(), 500);
    for replica in &replicas {
        assert_eq!(replica.questions()[1..], [0, 0, 0]);
    }
}

#[tokio::test]
async fn a_flood_of_one_key_is_spared_the_store() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), PATIENCE, &Roots::Platform);
    let rule = throttle(3, Duration::from_secs(3600));
    replica.wait(true).await;
    for _ in 0..1000 {
        replica.count(&rule, "192.0.2.1").await;
    }
    assert_eq!(replica.questions(), [3, 0, 0, 0]);
}

#[tokio::test]
async fn an_interval_ends_by_the_servers_clock() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), PATIENCE, &Roots::Platform);
    let rule = throttle(1, Duration::from_millis(50));
    replica.wait(true).await;
    for _ in 0..3 {
        // A request after another until one conforms again.
        while replica.count(&rule, "192.0.2.1").await != CountOutcome::Conform {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_lies_in_the_store_says_nothing_of_anybody_and_goes_by_itself() {
    let server = RedisServer::start(&[]);
    let replica = Replica::start(&server.url(), PATIENCE, &Roots::Platform);
    replica.wait(true).await;
    replica.count(&throttle(1, Duration::from_secs(3600)), "192.0.2.1").await;
    let mut connection = server.connection().await;
    let mut keys = connection.keys("*").await.expect("keys");
    keys.retain(|key| key != "firegate:{probe}");
    assert_eq!(keys.len(), 1);
    let form =
        keys[0].strip_prefix("firegate:{").and_then(|rest| rest.strip_suffix('}')).expect("a hash tag");
    assert!(form.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'), "{form}");
    let left_ms: i64 = redis::cmd("PTTL").arg(&keys[0]).query_async(&mut connection).await.expect("a time");
    assert!((3_500_000..=3_600_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn a_password_is_asked_for_and_decides_the_keys() {
    let server = RedisServer::start(&["--requirepass", "secret"]);
    let port = server.port();
    let with = |password: &str| format!("redis://{password}127.0.0.1:{port}");
    let good = Replica::start(&with(":secret@"), PATIENCE, &Roots::Platform);
    good.wait(true).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "secret\n").expect("written");
    let mapping = format!("{{ url: '{}', password_file: '{}' }}", with(""), file.path().display());
    let by_file = Replica::start(&mapping, PATIENCE, &Roots::Platform);
    by_file.wait(true).await;
    let rule = throttle(1, Duration::from_secs(3600));
    assert_eq!(good.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    assert_eq!(by_file.count(&rule, "192.0.2.1").await, CountOutcome::Exceed);

    for password in ["", ":wrong@"] {
        let store = store(&with(password), PATIENCE, &Roots::Platform).expect("a store");
        let refused = store.connect().await.err().expect("it is refused");
        assert!(!refused.contains("wrong"), "{refused}");
    }
    let other = store(&with(":other@"), PATIENCE, &Roots::Platform).expect("a store");
    assert_ne!(other.secret, good.store.secret);
    assert!(!format!("{other:?}").contains("other"));
}

#[tokio::test]
async fn a_password_file_that_is_not_there_is_told() {
    let mapping = "{ url: 'redis://127.0.0.1:1', password_file: /nowhere/password }";
    let refused = store(mapping, PATIENCE, &Roots::Platform).expect_err("it is refused").to_string();
    assert!(refused.contains("/nowhere/password") && refused.contains("hint:"), "{refused}");
}

#[test]
fn a_store_goes_on_through_a_reload_that_names_the_same_and_not_through_one_that_names_another() {
    let control = Control::start(Roots::Platform).expect("a thread");
    let memory = Arc::new(MemoryCounters::new(Arc::new(SystemClock), [3; 16]));
    let store_of = |limits_store: &str, former: Option<&RateLimits>| {
        let limits =
            RateLimits::new(control.runtime(), &setting(limits_store), "demo-project", &memory, former);
        limits.expect("it is made")
    };
    let store = |limits: &RateLimits| Arc::clone(limits.store.as_ref().expect("a store"));
    let one = store_of("redis://127.0.0.1:1", None);
    let same = store_of("redis://127.0.0.1:1", Some(&one));
    assert!(Arc::ptr_eq(&store(&same), &store(&one)));
    for other in ["redis://127.0.0.1:2", "redis://:secret@127.0.0.1:1", "redis://127.0.0.1:1/2"] {
        let other = store_of(other, Some(&one));
        assert!(!Arc::ptr_eq(&store(&other), &store(&one)));
    }
    control.stop();
}
