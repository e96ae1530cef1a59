//! The one place where the corpus meets Firegate's entry points.

use std::sync::Arc;

use firegate_core::app_check::{AppCheckRules, FIREBASE_APP_CHECK, verify_app};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{IdentityRules, KeyRing, KeyState, Obstacle, identify};
use firegate_core::jose::KeySet;
use firegate_core::path::NormalPath;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_files::configuration::AppCheck;
use http::{HeaderMap, HeaderValue, Method};

/// The audience of the one backend.
pub(crate) const BACKEND: &str = "https://api.example.com";

/// A configured front door with everyone's keys.
pub(crate) struct Door {
    identity: Arc<IdentityRules>,
    app_check: AppCheck,
    keys: KeyRing,
}

/// The documents that the issuers publish, each as a JWK set or as a map of certificates.
pub(crate) struct PublishedKeys {
    pub(crate) id_token: String,
    pub(crate) session_cookie: String,
    pub(crate) google_id_token: String,
    pub(crate) app_check: String,
    /// A JWK set of ES256 keys.
    pub(crate) exchanged_token: String,
}

impl Door {
    /// A door with these lines below `users:`.
    pub(crate) fn new(users: &str, published: &PublishedKeys) -> Self {
        let text = format!(
            "project: demo-project\nproject_number: '42'\nbackends: {{ api: {BACKEND} }}\nallow: [allAuthenticatedUsers]\n\
             assertion: {{ issuer: 'https://door.example.com' }}\nusers: {users}\n"
        );
        let configuration = firegate_files::configuration::parse("firegate.yaml", &text)
            .unwrap_or_else(|report| panic!("{report}\n{text}"));
        let rs256 = |document: &str| {
            KeyState::Usable(Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set")))
        };
        let exchanged = KeySet::parse_es256(published.exchanged_token.as_bytes()).expect("a key set");
        let snapshot = Snapshot::compile(&configuration);
        Self {
            app_check: snapshot.backends[0].settings.app_check.clone(),
            identity: snapshot.identity,
            keys: KeyRing {
                id_token: rs256(&published.id_token),
                session_cookie: rs256(&published.session_cookie),
                google_id_token: rs256(&published.google_id_token),
                app_check: rs256(&published.app_check),
                exchanged_token: KeyState::Usable(Arc::new(exchanged)),
                ..KeyRing::default()
            },
        }
    }

    /// Whether the token names a caller at `now`, or the name of the reason why it does not.
    pub(crate) fn judge(&self, token: &str, now: i64) -> Result<(), &'static str> {
        verdict(identify(token, &self.identity, BACKEND, &self.keys, UnixTime::from_seconds(now)).map(drop))
    }

    /// The same of an App Check token and an app.
    pub(crate) fn judge_app(&self, token: &str, now: i64) -> Result<(), &'static str> {
        // What is no header's value never gets as far as here.
        let Ok(value) = HeaderValue::from_str(token) else { return Err("NO_HEADER_VALUE") };
        let headers = HeaderMap::from_iter([(FIREBASE_APP_CHECK, value)]);
        let path = NormalPath::parse("/").expect("a path");
        let facts = RequestFacts {
            scheme: "https",
            host: "api.example.com",
            ..RequestFacts::of(&Method::GET, path, &headers)
        };
        let rules = AppCheckRules {
            project: &self.identity.project,
            setting: &self.app_check,
            clock_skew: self.identity.users.clock_skew,
        };
        let app = verify_app(&facts, &rules, &self.keys, UnixTime::from_seconds(now));
        verdict(app.map(|app| assert!(app.is_some(), "App Check is off")))
    }
}

fn verdict(judged: Result<(), Obstacle>) -> Result<(), &'static str> {
    judged.map_err(|obstacle| match obstacle {
        Obstacle::Denied(reason) => reason.code().entry().name,
        Obstacle::KeyUnknown { .. } => "TOKEN_KEY_UNKNOWN",
        Obstacle::KeysMissing { .. } => "KEYS_UNAVAILABLE",
    })
}
