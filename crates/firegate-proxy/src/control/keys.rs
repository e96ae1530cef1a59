//! The key sets of every kind of token that is accepted, and what they hold at one moment.

use std::sync::Arc;

use firegate_core::identity::{KeyRing, KeyState, TokenKind};
use firegate_core::time::UnixTime;
use firegate_files::configuration::{AppCheck, Configuration, Trust};
use firegate_google::key_sets::{KeySetCache, KeySetSource, KeySnapshot};
use url::Url;

use super::{ControlOptions, ControlRuntime, Tended};
use crate::assertions::SharedAssertions;

/// The issuers' published keys, one cache for each kind of token that some backend accepts.
#[derive(Debug, Default)]
pub(super) struct KeySets {
    published: Vec<(TokenKind, Arc<Tended<KeySetCache>>)>,
    /// Whose keys verify the tokens of Firegate's own exchange, if those are accepted.
    own: Option<SharedAssertions>,
}

impl KeySets {
    /// The key sets of a configuration; those of `former` that come from the same addresses.
    pub(super) fn new(
        control: &ControlRuntime,
        options: &ControlOptions<'_>,
        own: SharedAssertions,
        former: Option<&Self>,
    ) -> Self {
        let ControlOptions { configuration, process, .. } = options;
        let published = TokenKind::ALL.into_iter().filter(|kind| is_accepted(configuration, *kind));
        let cache = |kind| {
            let (name, url) = source(configuration, kind)?;
            if let Some(kept) = former.and_then(|former| former.tended(kind))
                && kept.source().url == *url
            {
                return Some((kind, Arc::clone(kept)));
            }
            let source = KeySetSource { name, url: url.clone() };
            let data_dir = process.keeps_data.then(|| configuration.data_dir.clone());
            let cache = KeySetCache::new(source, control.http.clone(), Arc::clone(&process.clock), data_dir);
            let tended = match configuration.trust() {
                Trust::Google => control.tend(cache, KeySetCache::run),
                Trust::Emulator => Tended::alone(cache),
            };
            Some((kind, tended))
        };
        Self {
            published: published.filter_map(cache).collect(),
            own: is_accepted(configuration, TokenKind::ExchangedToken).then_some(own),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<KeySetCache>> {
        self.published.iter().map(|(_, cache)| &***cache)
    }

    pub(super) fn of(&self, kind: TokenKind) -> Option<&Arc<KeySetCache>> {
        self.tended(kind).map(|cache| &***cache)
    }

    fn tended(&self, kind: TokenKind) -> Option<&Arc<Tended<KeySetCache>>> {
        self.published.iter().find(|(published, _)| *published == kind).map(|(_, cache)| cache)
    }

    /// The keys that may be used at this moment. Takes no lock.
    pub(super) fn ring(&self, now: UnixTime) -> Keys {
        let mut keys = Keys { ring: KeyRing::default(), generations: [0; TokenKind::ALL.len()] };
        for (kind, cache) in &self.published {
            let snapshot = cache.current();
            if let Some(generation) = keys.generations.get_mut(*kind as usize) {
                *generation = snapshot.generation();
            }
            let state = state(&snapshot, now);
            match kind {
                TokenKind::IdToken => keys.ring.id_token = state,
                TokenKind::SessionCookie => keys.ring.session_cookie = state,
                TokenKind::GoogleIdToken => keys.ring.google_id_token = state,
                TokenKind::AppCheck => keys.ring.app_check = state,
                TokenKind::ExchangedToken => {}
            }
        }
        if let Some(own) = &self.own {
            keys.ring.exchanged_token = KeyState::Usable(own.verifying_keys());
        }
        keys
    }
}

/// Keys of ID tokens are always held: they are the least that a front door is for.
fn is_accepted(configuration: &Configuration, kind: TokenKind) -> bool {
    match kind {
        TokenKind::IdToken => true,
        TokenKind::AppCheck => {
            configuration.backends.values().any(|backend| backend.app_check != AppCheck::Off)
        }
        TokenKind::SessionCookie | TokenKind::GoogleIdToken | TokenKind::ExchangedToken => {
            kind.accepted_by().is_some_and(|word| configuration.users.accept.contains(&word))
        }
    }
}

/// Where a kind's keys are published, and how they are called in logs, metrics and files. Firegate has its own.
fn source(configuration: &Configuration, kind: TokenKind) -> Option<(&'static str, &Url)> {
    let google = &configuration.google;
    match kind {
        TokenKind::IdToken => Some(("id_token", &google.id_token_keys)),
        TokenKind::SessionCookie => Some(("session_cookie", &google.session_cookie_keys)),
        TokenKind::GoogleIdToken => Some(("google_id_token", &google.google_id_token_keys)),
        TokenKind::AppCheck => Some(("app_check", &google.app_check_keys)),
        TokenKind::ExchangedToken => None,
    }
}

fn state(snapshot: &KeySnapshot, now: UnixTime) -> KeyState {
    match snapshot.usable(now) {
        Some(keys) => KeyState::Usable(Arc::clone(keys)),
        None => KeyState::Missing,
    }
}

/// The keys of one moment, and which ones they are.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) ring: KeyRing,
    generations: [u64; TokenKind::ALL.len()],
}

impl Keys {
    pub(super) fn generation(&self, kind: TokenKind) -> u64 {
        self.generations.get(kind as usize).copied().unwrap_or_default()
    }
}
