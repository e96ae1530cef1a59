//! The tokens that were read lately, shared by all workers: an app sends the same one many times in a row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use firegate_core::identity::{KeyRing, ReadToken, ReadTokens};
use firegate_core::time::{SharedClock, UnixTime};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio_util::sync::CancellationToken;

use super::keys::KeySets;
use super::sweep::sweep;
use crate::limits::READ_TOKENS_BYTES_MAX;

/// What a token takes that was read, for each byte of its text: its claims stand in it twice over, taken apart and put
/// together.
const BYTES_PER_TEXT_BYTE: u64 = 5;

/// What it takes besides.
const BYTES_BESIDES: u64 = 1024;

/// The typical length of a token, for the cache's first allocation.
const TEXT_BYTES_TYPICAL: u64 = 1024;

/// How many bytes of a token are hashed to find it: the last ones, which are its signature's.
const HASHED_BYTES: usize = 24;

/// Tokens by their text, for as long as they can pass and up to a bound in bytes.
#[derive(Debug)]
pub(super) struct RecentTokens(Cache<Text, Arc<ReadToken>, ByBytes>);

#[derive(Clone, Debug)]
struct Text(Arc<ReadToken>);

/// A token that is looked for.
struct Wanted<'a>(&'a str);

#[derive(Clone, Debug)]
struct ByBytes;

impl RecentTokens {
    pub(super) fn new() -> Self {
        let items = READ_TOKENS_BYTES_MAX / (TEXT_BYTES_TYPICAL * BYTES_PER_TEXT_BYTE + BYTES_BESIDES);
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, READ_TOKENS_BYTES_MAX, ByBytes))
    }

    /// Lets go of those that can pass no more, until `shutdown`.
    pub(super) async fn run(
        self: Arc<Self>,
        key_sets: Arc<KeySets>,
        clock: SharedClock,
        shutdown: CancellationToken,
    ) {
        let forget = move |read: &Self, now| read.forget_spent(&key_sets.ring(now).ring, now);
        sweep(self, forget, clock, shutdown).await;
    }

    fn forget_spent(&self, keys: &KeyRing, now: UnixTime) {
        self.0.retain(|_, token| !token.is_spent(keys, now));
    }
}

impl ReadTokens for RecentTokens {
    fn get(&self, text: &str) -> Option<Arc<ReadToken>> {
        self.0.get(&Wanted(text))
    }

    fn insert(&self, token: Arc<ReadToken>) {
        self.0.insert(Text(Arc::clone(&token)), token);
    }
}

impl Weighter<Text, Arc<ReadToken>> for ByBytes {
    fn weight(&self, _: &Text, token: &Arc<ReadToken>) -> u64 {
        token.text().len() as u64 * BYTES_PER_TEXT_BYTE + BYTES_BESIDES
    }
}

/// Only tokens whose signature is good get in, and nobody chooses the bytes of those: what is hashed is as good as random.
/// Whoever looks for another token with the same end finds that its text is another.
fn hash_end(text: &str, state: &mut impl Hasher) {
    let bytes = text.as_bytes();
    state.write(bytes.get(bytes.len().saturating_sub(HASHED_BYTES)..).unwrap_or_default());
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(self.0.text(), state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_end(self.0, state);
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.0.text() == other.0.text()
    }
}

impl Eq for Text {}

impl Equivalent<Text> for Wanted<'_> {
    fn equivalent(&self, key: &Text) -> bool {
        self.0 == key.0.text()
    }
}

#[cfg(test)]
mod tests {
    use firegate_core::identity::{KeyRing, KeyState, VerifiedSignatures, identify};
    use firegate_core::jose::{KeySet, RsaSigner};
    use firegate_core::time::UnixTime;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// Every signature was seen before.
    #[derive(Debug)]
    struct Remembered;

    impl VerifiedSignatures for Remembered {
        fn contains(&self, _digest: &[u8; 32]) -> bool {
            true
        }

        fn insert(&self, _digest: [u8; 32], _expires_at: UnixTime) {}
    }

    #[test]
    fn it_is_bounded_and_finds_exactly_the_text_that_it_is_asked_for() {
        let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allAuthenticatedUsers]\n";
        let configuration = firegate_files::configuration::parse("firegate.yaml", text).expect("a file");
        let rules = firegate_core::snapshot::Snapshot::compile(&configuration).identity;
        let signer = RsaSigner::generate().expect("a key");
        let document = json!({"keys": [signer.public_jwk()]}).to_string();
        let keys = Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set"));
        let recent = Arc::new(RecentTokens::new());
        let ring = KeyRing {
            id_token: KeyState::Usable(keys),
            verified: Some(Arc::new(Remembered)),
            read: Some(Arc::clone(&recent) as Arc<dyn ReadTokens>),
            ..KeyRing::default()
        };
        // The signature is not looked at here, so one of many stands under every text.
        let signed = signer.sign(&json!({})).expect("a token");
        let (_, signature) = signed.rsplit_once('.').expect("three parts");
        let token = |user: usize| {
            let claims = json!({
                "iss": "https://securetoken.google.com/demo-project", "aud": "demo-project", "sub": format!("user-{user}"),
                "auth_time": NOW, "iat": NOW, "exp": NOW + 3600,
                "firebase": {"identities": {}, "sign_in_provider": "password"},
            });
            let whole = signer.sign(&claims).expect("a token");
            let (words, _) = whole.rsplit_once('.').expect("three parts");
            format!("{words}.{signature}")
        };
        let uid = |token: &str| {
            let identified = identify(token, &rules, "", &ring, UnixTime::from_seconds(NOW));
            identified.expect("a user").principal.user().expect("a user").uid.clone()
        };
        let tokens = (0..1500).map(token).collect::<Vec<_>>();
        for (number, token) in tokens.iter().enumerate() {
            assert_eq!(uid(token), format!("user-{number}"));
            assert_eq!(uid(token), format!("user-{number}"), "though the ends of all tokens are the same");
        }
        let kept = tokens.iter().filter(|token| recent.get(token).is_some()).count();
        assert!(kept > 100 && recent.0.weight() <= READ_TOKENS_BYTES_MAX, "{kept} {}", recent.0.weight());
    }
}
