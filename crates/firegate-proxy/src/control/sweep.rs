//! Letting go of what is remembered of tokens once it is worth nothing. The bounds of the caches alone would keep it until
//! others need the room, and a process that holds what no request can use grows to those bounds for nothing.

use std::sync::Arc;

use firegate_core::time::SharedClock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::keys::KeySets;
use super::read_tokens::RecentTokens;
use super::verified::VerifiedTokens;
use crate::assertions::SharedAssertions;
use crate::limits::SWEEP_INTERVAL;

/// What is remembered of tokens.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) clock: SharedClock,
    pub(super) key_sets: Arc<KeySets>,
    pub(super) verified: Arc<VerifiedTokens>,
    pub(super) read: Arc<RecentTokens>,
    pub(super) assertions: SharedAssertions,
}

impl Sweep {
    /// Sweeps from time to time until `shutdown`.
    pub(super) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.sweep();
        }
    }

    fn sweep(&self) {
        let now = self.clock.now();
        self.verified.forget_expired(now);
        self.read.forget_spent(&self.key_sets.ring(now).ring, now);
        self.assertions.forget_expired(now);
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

    const AUDIENCE: &str = "https://api.example.com";
    const CONFIGURATION: &str = "project: demo-project\nbackends: { api: 'https://api.example.com' }\n\
                                 allow: [allAuthenticatedUsers]\n";

    /// What is remembered: verdicts, tokens that were read, assertions.
    fn remembered(sweep: &Sweep, token: &str) -> [usize; 3] {
        [
            sweep.verified.figures().entries,
            usize::from(sweep.read.get(token).is_some()),
            sweep.assertions.kept(),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn what_expired_is_let_go_of_without_anybody_asking_for_it() {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let assertions =
            Assertions::new(KeySource::Generated(None), Vec::new(), "door".to_owned(), clock.now());
        let sweep = Arc::new(Sweep {
            clock: Arc::new(clock.clone()),
            key_sets: Arc::default(),
            verified: Arc::new(VerifiedTokens::new(1024 * 1024, None)),
            read: Arc::new(RecentTokens::new()),
            assertions: Arc::new(assertions.expect("a key")),
        });
        let signer = RsaSigner::generate().expect("a key");
        let document = json!({"keys": [signer.public_jwk()]}).to_string();
        let keys = KeySet::parse_rs256(document.as_bytes()).expect("a key set");
        let ring = KeyRing {
            id_token: KeyState::Usable(Arc::new(keys)),
            verified: Some(Arc::clone(&sweep.verified) as Arc<dyn VerifiedSignatures>),
            read: Some(Arc::clone(&sweep.read) as Arc<dyn ReadTokens>),
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
            assert!(sweep.assertions.assertion(form, &alice, AUDIENCE, now).expect("signed").is_some());
        }

        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&sweep).run(stop.clone()));
        tokio::time::sleep(2 * SWEEP_INTERVAL).await;
        assert_eq!(remembered(&sweep, &token), [1, 1, 1]);
        clock.advance(i64::try_from(ASSERTION_LIFETIME_MAX.as_secs()).expect("minutes"));
        tokio::time::sleep(2 * SWEEP_INTERVAL).await;
        assert_eq!(remembered(&sweep, &token), [1, 1, 0]);
        clock.advance(3600);
        tokio::time::sleep(2 * SWEEP_INTERVAL).await;
        assert_eq!(remembered(&sweep, &token), [0, 0, 0]);
        stop.cancel();
        running.await.expect("it ends");
    }
}
