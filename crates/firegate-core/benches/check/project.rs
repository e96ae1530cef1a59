//! A project with one key, its users' tokens, and the one place that calls what is measured.

use std::sync::Arc;

use firegate_core::decision::{Decision, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KeyRing, KeyState, NoKnownAccounts, VerifiedSignatures, identify};
use firegate_core::jose::{CompactJws, KeySet, RsaSigner, encode_base64url};
use firegate_core::limiter::NoCounters;
use firegate_core::path::NormalPath;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use http::{HeaderMap, Method};
use quick_cache::sync::Cache;
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;

const CONFIGURATION: &str = "project: demo-project\nbackends: { api: https://api.example.com }\n\
    allow: [allAuthenticatedUsers]\nusers: { tenants: any }\n";

/// How many signatures are remembered: as many as a busy instance sees in an hour.
const SIGNATURES_MAX: usize = 100_000;

/// Whether good signatures are remembered.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    None,
    Kept,
}

/// The front door's memory of good signatures.
#[derive(Debug)]
struct Signatures(Cache<[u8; 32], ()>);

impl VerifiedSignatures for Signatures {
    fn contains(&self, digest: &[u8; 32]) -> bool {
        self.0.get(digest).is_some()
    }

    fn insert(&self, digest: [u8; 32], _: UnixTime) {
        self.0.insert(digest, ());
    }
}

pub(crate) struct Project {
    signer: RsaSigner,
    keys: Arc<KeySet>,
    snapshot: Snapshot,
    path: NormalPath,
}

impl Project {
    pub(crate) fn new() -> Self {
        let signer = RsaSigner::generate().expect("a key");
        // Google publishes two or three keys at a time.
        let others = [0; 2].map(|_| RsaSigner::generate().expect("a key").public_jwk());
        let document = json!({ "keys": [others[0], others[1], signer.public_jwk()] }).to_string();
        let configuration = firegate_files::configuration::parse("firegate.yaml", CONFIGURATION);
        Self {
            keys: Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set")),
            snapshot: Snapshot::compile(&configuration.expect("a configuration")),
            path: NormalPath::parse("/v1/orders/42").expect("a path"),
            signer,
        }
    }

    pub(crate) fn key_id(&self) -> &str {
        self.signer.key_id()
    }

    pub(crate) fn ring(&self, memory: Memory) -> KeyRing {
        let verified: Option<Arc<dyn VerifiedSignatures>> = match memory {
            Memory::None => None,
            Memory::Kept => Some(Arc::new(Signatures(Cache::new(SIGNATURES_MAX)))),
        };
        KeyRing { id_token: KeyState::Usable(Arc::clone(&self.keys)), verified, ..KeyRing::default() }
    }

    /// Every claim that a user who signed in with Google has.
    pub(crate) fn payload() -> Value {
        json!({
            "name": "Ada Lovelace", "picture": format!("https://lh3.googleusercontent.com/a/{}", "x".repeat(60)),
            "iss": "https://securetoken.google.com/demo-project", "aud": "demo-project", "auth_time": NOW - 60,
            "user_id": "mZ8k2VfQx7YbC1dEoP4rT6uWsJ93", "sub": "mZ8k2VfQx7YbC1dEoP4rT6uWsJ93", "iat": NOW - 60,
            "exp": NOW + 3540, "email": "ada.lovelace@example.com", "email_verified": true,
            "firebase": {
                "identities": {"google.com": ["104857203948572039485"], "email": ["ada.lovelace@example.com"]},
                "sign_in_provider": "google.com",
            },
        })
    }

    pub(crate) fn token(&self) -> String {
        self.signer.sign(&Self::payload()).expect("a token")
    }

    /// The same words under a signature that nobody made: as long as a real one, and as expensive to refuse.
    pub(crate) fn with_wrong_signature(&self, token: &str) -> String {
        let (words, _) = token.rsplit_once('.').expect("three parts");
        format!("{words}.{}", encode_base64url(&[0x5a; 256]))
    }

    pub(crate) fn accepts(&self, token: &str, keys: &KeyRing) -> bool {
        identify(token, &self.snapshot.identity, "https://api.example.com", keys, UnixTime::from_seconds(NOW))
            .is_ok()
    }

    /// The signature and nothing else: what remains of a check if reading cost nothing.
    pub(crate) fn verifies(&self, token: &str) -> bool {
        let jws = CompactJws::parse(token).expect("a token");
        self.keys.find(self.key_id()).expect("the key").verifies(&jws)
    }

    pub(crate) fn headers(&self, token: &str) -> HeaderMap {
        [
            ("host", "api.example.com"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            ("accept", "application/json"),
            ("authorization", &format!("Bearer {token}")),
        ]
        .into_iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
        .collect()
    }

    pub(crate) fn permits(&self, headers: &HeaderMap, keys: &KeyRing) -> bool {
        let facts = RequestFacts::of(&Method::GET, self.path.clone(), headers);
        let (snapshot, now) = (&self.snapshot, UnixTime::from_seconds(NOW));
        let world = World { snapshot, keys, accounts: &NoKnownAccounts, counters: &NoCounters, now };
        matches!(Decision::start(&facts, &world), Step::Done(Outcome::Permit(_)))
    }
}
