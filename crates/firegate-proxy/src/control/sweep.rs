//! Letting go of what is remembered of tokens once it is worth nothing. The bounds of the caches alone would keep it until
//! others need the room, and a process that holds what no request can use grows to those bounds for nothing.

use std::sync::Arc;

use firegate_core::time::{SharedClock, UnixTime};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::limits::SWEEP_INTERVAL;

/// Has a cache `forget` what is worth nothing any more, from time to time until `shutdown`. Each cache has one task for it,
/// however many generations hold the cache.
pub(crate) async fn sweep<T: Send + Sync + 'static>(
    cache: Arc<T>,
    forget: impl Fn(&T, UnixTime) + Clone + Send + 'static,
    clock: SharedClock,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let (cache, forget, now) = (Arc::clone(&cache), forget.clone(), clock.now());
        // To walk over a large cache takes milliseconds, and the control runtime has one thread.
        let swept = tokio::task::spawn_blocking(move || forget(&cache, now));
        // A panic there has been reported by the thread itself.
        let _ = shutdown.run_until_cancelled(swept).await;
    }
}

#[cfg(test)]
mod tests {
    use firegate_core::assertion::AssertionForm;
    use firegate_core::identity::{KeyRing, KeyState, ReadTokens, VerifiedSignatures, identify};
    use firegate_core::jose::{KeySet, RsaSigner};
    use firegate_core::limits::ASSERTION_LIFETIME_MAX;
    use firegate_core::snapshot::Snapshot;
    use firegate_core::time::{Clock, ShiftedClock, SystemClock};
    use serde_json::json;

    use super::*;
    use crate::assertions::{Assertions, KeySource};
    use crate::control::keys::KeySets;
    use crate::control::read_tokens::RecentTokens;
    use crate::control::verified::VerifiedTokens;

    struct Caches {
        verified: Arc<VerifiedTokens>,
        read: Arc<RecentTokens>,
        assertions: Arc<Assertions>,
    }

    const AUDIENCE: &str = "https://api.example.com";
    const CONFIGURATION: &str = "project: demo-project\nbackends: { api: 'https://api.example.com' }\n\
                                 allow: [allAuthenticatedUsers]\n";

    /// What is remembered: verdicts, tokens that were read, assertions.
    fn remembered(caches: &Caches, token: &str) -> [usize; 3] {
        [
            caches.verified.figures().entries,
            usize::from(caches.read.get(token).is_some()),
            caches.assertions.kept(),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn what_expired_is_let_go_of_without_anybody_asking_for_it() {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let assertions =
            Assertions::new(KeySource::Generated(None), Vec::new(), "door".to_owned(), clock.now());
        let caches = Caches {
            verified: Arc::new(VerifiedTokens::new(1024 * 1024, None)),
            read: Arc::new(RecentTokens::new()),
            assertions: Arc::new(assertions.expect("a key")),
        };
        let signer = RsaSigner::generate().expect("a key");
        let document = json!({"keys": [signer.public_jwk()]}).to_string();
        let keys = KeySet::parse_rs256(document.as_bytes()).expect("a key set");
        let ring = KeyRing {
            id_token: KeyState::Usable(Arc::new(keys)),
            verified: Some(Arc::clone(&caches.verified) as Arc<dyn VerifiedSignatures>),
            read: Some(Arc::clone(&caches.read) as Arc<dyn ReadTokens>),
            ..KeyRing::default()
        };
        let configuration =
            firegate_files::configuration::parse("firegate.yaml", CONFIGURATION).expect("a file");
        let rules = Snapshot::compile(&configuration).identity;
        let now = clock.now();
        let issued = now.as_seconds();
        let claims = json!({
            "iss": "https://securetoken.google.com/demo-project", "aud": "demo-project", "sub": "alice",
            "auth_time": issued, "iat": issued, "exp": issued + 3600,
            "firebase": {"identities": {}, "sign_in_provider": "password"},
        });
        let token = signer.sign(&claims).expect("a token");
        for _ in 0..2 {
            let alice = identify(&token, &rules, AUDIENCE, &ring, now).expect("a user").principal;
            let form = AssertionForm::Firegate;
            assert!(caches.assertions.assertion(form, &alice, AUDIENCE, now).expect("signed").is_some());
        }

        let stop = CancellationToken::new();
        let shared: SharedClock = Arc::new(clock.clone());
        let running = [
            tokio::spawn(VerifiedTokens::run(
                Arc::clone(&caches.verified),
                Arc::clone(&shared),
                stop.clone(),
            )),
            tokio::spawn(RecentTokens::run(
                Arc::clone(&caches.read),
                Arc::<KeySets>::default(),
                Arc::clone(&shared),
                stop.clone(),
            )),
            tokio::spawn(Arc::clone(&caches.assertions).run(shared, stop.clone())),
        ];
        tokio::time::sleep(2 * SWEEP_INTERVAL).await;
        assert_eq!(remembered(&caches, &token), [1, 1, 1]);
        clock.advance(i64::try_from(ASSERTION_LIFETIME_MAX.as_secs()).expect("minutes"));
        tokio::time::sleep(2 * SWEEP_INTERVAL).await;
        assert_eq!(remembered(&caches, &token), [1, 1, 0]);
        clock.advance(3600);
        tokio::time::sleep(2 * SWEEP_INTERVAL).await;
        assert_eq!(remembered(&caches, &token), [0, 0, 0]);
        stop.cancel();
        for task in running {
            task.await.expect("it ends");
        }
    }
}
