//! What the fuzz targets share: a project, its issuers' keys, and the tokens that were signed with them.
//!
//! The private keys were thrown away when `examples/seeds.rs` had made `fixed/`. Nobody can sign anything any more, so
//! the oracle is exact: a token that is accepted and does not stand in `fixed/signed.txt`, byte for byte, is a forgery.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use firegate_core::identity::{KeyRing, KeyState, identify};
use firegate_core::jose::KeySet;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The time at which every token is judged; `examples/seeds.rs` signs for it.
pub const NOW: i64 = 1_800_000_000;

/// The audience of the one backend.
const AUDIENCE: &str = "https://api.example.com";

/// As permissive as a project can be: what is refused all the same is refused by the tokens' own rules.
const CONFIGURATION: &str = "project: demo-project\nproject_number: '42'\n\
    backends: { api: https://api.example.com }\nallow: [allAuthenticatedUsers]\n\
    users: { accept: [id_token, session_cookie], tenants: any, anonymous: allow }\n";

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let parsed = firegate_files::configuration::parse("firegate.yaml", CONFIGURATION);
    Snapshot::compile(&parsed.expect("the configuration is valid"))
});

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let usable = |document: &str| {
        KeyState::Usable(Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set")))
    };
    KeyRing {
        id_token: usable(include_str!("../fixed/id_token_keys.json")),
        session_cookie: usable(include_str!("../fixed/session_cookie_keys.json")),
        ..KeyRing::default()
    }
});

static SIGNED: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let signed: HashSet<&str> = include_str!("../fixed/signed.txt").lines().collect();
    // An oracle that accepts nothing would find nothing.
    assert!(!signed.is_empty() && signed.iter().all(|token| accepts(token)), "a signed token is refused");
    signed
});

/// Whether the door would take the token for a user's.
pub fn accepts(token: &str) -> bool {
    identify(token, &SNAPSHOT.identity, AUDIENCE, &RING, UnixTime::from_seconds(NOW)).is_ok()
}

/// Whether the token was signed while the private keys existed.
pub fn is_signed(token: &str) -> bool {
    SIGNED.contains(token)
}

/// Header fields of one name, one for each line. `None` if a line is no header value.
pub fn fields(name: &HeaderName, lines: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        headers.append(name, HeaderValue::from_bytes(line).ok()?);
    }
    Some(headers)
}

/// The parts between delimiters in all fields of a name, without the blanks around them.
pub fn parts(headers: &HeaderMap, name: &HeaderName, delimiter: u8) -> Vec<Vec<u8>> {
    let fields = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    fields
        .flat_map(|field| field.split(|byte| *byte == delimiter))
        .map(|part| part.trim_ascii().to_vec())
        .collect()
}

/// What holds for every accepted key set.
pub fn check_key_ids(set: &KeySet) {
    let key_ids: Vec<&str> = set.key_ids().collect();
    assert!(!key_ids.is_empty(), "a set without keys was accepted");
    assert_eq!(key_ids.iter().collect::<HashSet<_>>().len(), key_ids.len(), "a key id is repeated");
    assert!(key_ids.iter().all(|key_id| set.find(key_id).is_some()), "a key cannot be found");
    assert!(set.refused().iter().all(|key| !key.why.is_empty()), "a key was refused without a reason");
}
