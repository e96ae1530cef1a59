//! One backend with policies of a size, and a request that every rule has to be looked at for.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firegate_core::decision::{Decision, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KeyRing, KeyState, NoKnownAccounts, VerifiedSignatures};
use firegate_core::jose::{KeySet, RsaSigner};
use firegate_core::limiter::NoCounters;
use firegate_core::path::NormalPath;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use serde_json::json;

const NOW: i64 = 1_800_000_000;

/// The front door's memory of good signatures, of one token.
#[derive(Debug, Default)]
struct OneSignature(AtomicBool);

impl VerifiedSignatures for OneSignature {
    fn contains(&self, _: &[u8; 32]) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn insert(&self, _: [u8; 32], _: UnixTime) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Files<'a>(&'a [(&'a str, String)]);

impl NamedFiles for Files<'_> {
    fn read(&self, name: &Path) -> io::Result<String> {
        let file = self.0.iter().find(|(known, _)| Path::new(known) == name);
        file.map(|(_, text)| text.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A configuration, and a request that it lets pass.
pub(crate) struct Site {
    snapshot: Snapshot,
    keys: KeyRing,
    headers: HeaderMap,
    path: NormalPath,
}

impl Site {
    /// A backend with these settings, and a request with a user's token or without one.
    pub(crate) fn new(backend: &str, more: &str, files: &[(&str, String)], has_user: bool) -> Self {
        let text = format!(
            "project: demo-project\nbackends: {{ api: {{ url: 'https://api.example.com', {backend} }} }}\n{more}\n"
        );
        let configuration =
            parse_with_files("firegate.yaml", &text, &Files(files)).unwrap_or_else(|found| panic!("{found}"));
        let signer = RsaSigner::generate().expect("a key");
        let document = json!({ "keys": [signer.public_jwk()] }).to_string();
        let keys = Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set"));
        let token = signer.sign(&json!({
            "iss": "https://securetoken.google.com/demo-project", "aud": "demo-project", "sub": "ada", "user_id": "ada",
            "auth_time": NOW - 60, "iat": NOW - 60, "exp": NOW + 3540, "email": "ada@example.com", "email_verified": true,
            "firebase": { "identities": {}, "sign_in_provider": "password" },
        }));
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", "okhttp/4.12.0".parse().expect("a value"));
        if has_user {
            let value = format!("Bearer {}", token.expect("a token"));
            headers.insert(AUTHORIZATION, value.parse().expect("a value"));
        }
        Self {
            snapshot: Snapshot::compile(&configuration),
            keys: KeyRing {
                id_token: KeyState::Usable(keys),
                verified: Some(Arc::new(OneSignature::default())),
                ..KeyRing::default()
            },
            headers,
            path: NormalPath::parse("/v1/orders/42").expect("a path"),
        }
    }

    /// The whole decision.
    pub(crate) fn decide(&self) {
        let facts = RequestFacts {
            host: "api.example.com",
            client: [198, 51, 100, 7].into(),
            ..RequestFacts::of(&Method::GET, self.path.clone(), &self.headers)
        };
        let world = World {
            snapshot: &self.snapshot,
            keys: &self.keys,
            accounts: &NoKnownAccounts,
            counters: &NoCounters,
            now: UnixTime::from_seconds(NOW),
        };
        match Decision::start(&facts, &world) {
            Step::Done(Outcome::Permit(_)) => {}
            Step::Done(outcome) => panic!("it is not let pass: {outcome:?}"),
            Step::Need(need, _) => panic!("it needs {need:?}"),
        }
    }
}

/// An IAM policy with so many bindings, each under a condition; the last is the user's.
pub(crate) fn bindings(count: usize) -> String {
    let binding = |number: usize| {
        let member = if number + 1 == count {
            "user:ada@example.com".to_owned()
        } else {
            format!("user:{number}@example.org")
        };
        let condition = json!({ "title": "t", "expression": "request.path.startsWith('/v1/')" });
        json!({ "role": "roles/run.invoker", "members": [member], "condition": condition })
    };
    json!({ "version": 3, "bindings": (0..count).map(binding).collect::<Vec<_>>() }).to_string()
}

/// A security policy with so many rules, of which none matches but the last: one in ten has an expression, the others ranges.
pub(crate) fn rules(count: usize) -> String {
    let rule = |number: usize| {
        let matched = if number % 10 == 3 {
            json!({ "expr": { "expression": format!("request.path.startsWith('/admin/{number}/') && request.method == 'POST'") } })
        } else {
            let range = format!("10.{}.{}.0/24", number / 256, number % 256);
            json!({ "versionedExpr": "SRC_IPS_V1", "config": { "srcIpRanges": [range] } })
        };
        json!({ "priority": number, "action": "deny(403)", "match": matched })
    };
    let all = json!({ "versionedExpr": "SRC_IPS_V1", "config": { "srcIpRanges": ["*"] } });
    let last = json!({ "priority": 2_147_483_647, "action": "allow", "match": all });
    let rules = (0..count).map(rule).chain([last]).collect::<Vec<_>>();
    json!({ "name": "policy", "type": "CLOUD_ARMOR", "rules": rules }).to_string()
}

/// A URL map with so many prefixes, none of which is the request's but the last.
pub(crate) fn map(count: usize) -> String {
    let path =
        |number: usize| if number + 1 == count { "/v1/*".to_owned() } else { format!("/area{number}/*") };
    let rules =
        (0..count).map(|number| json!({ "paths": [path(number)], "service": "api" })).collect::<Vec<_>>();
    json!({
        "name": "map", "defaultService": "api",
        "hostRules": [{ "hosts": ["api.example.com"], "pathMatcher": "paths" }],
        "pathMatchers": [{ "name": "paths", "defaultService": "api", "pathRules": rules }],
    })
    .to_string()
}
