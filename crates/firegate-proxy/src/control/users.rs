//! What Identity Platform says of users, under the settings of one configuration.

use std::sync::Arc;
use std::time::Duration;

use firegate_core::identity::{TokenKind, User};
use firegate_files::configuration::{Configuration, Revocation, Trust};
use firegate_google::accounts::AccountsClient;
use firegate_google::caller::Caller;
use firegate_google::user_status::{RevocationWatch, UserStatusCache, UserStatusOptions};
use url::Url;

use super::{ControlOptions, ControlRuntime, Tended};

/// What is known of users, and what it was asked by.
#[derive(Debug)]
pub(super) struct UserStatus {
    settings: Settings,
    cache: Arc<Tended<UserStatusCache>>,
}

/// Everything that what is known depends on.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    project: String,
    identity_toolkit: Url,
    caller: Caller,
    max_staleness: Duration,
    token_lifetime_max: Duration,
}

/// A watch over one user, for as long as a stream of theirs is open.
#[derive(Debug)]
pub(crate) struct Watch {
    watch: RevocationWatch,
    /// Looks the user up again and again, also when another configuration is in force meanwhile.
    _cache: Arc<Tended<UserStatusCache>>,
}

impl Watch {
    /// Waits until the user's sessions are over; for ever, if they never are.
    pub(crate) async fn revoked(&self) {
        self.watch.revoked().await;
    }

    /// Whether they are over.
    pub(crate) fn is_revoked(&self) -> bool {
        self.watch.is_revoked()
    }
}

impl UserStatus {
    /// Looks users up, if the configuration asks for it or an emulator's unsigned tokens are worth nothing without. What
    /// `former` knows stays known if it was asked for by the same settings.
    pub(super) fn new(
        control: &ControlRuntime,
        options: &ControlOptions<'_>,
        caller: &Caller,
        former: Option<&Self>,
    ) -> Option<Self> {
        let settings = Settings::of(options.configuration, caller)?;
        let cache = match former.filter(|former| former.settings == settings) {
            Some(former) => Arc::clone(&former.cache),
            None => {
                let url = settings.identity_toolkit.clone();
                let cache = UserStatusCache::new(UserStatusOptions::new(
                    settings.project.clone(),
                    AccountsClient::new(control.http.clone(), Some(url)),
                    caller.clone(),
                    settings.max_staleness,
                    settings.token_lifetime_max,
                    Arc::clone(&options.process.clock),
                ));
                control.tend(cache, UserStatusCache::run)
            }
        };
        Some(Self { settings, cache })
    }

    pub(super) fn cache(&self) -> &Arc<UserStatusCache> {
        &self.cache
    }

    pub(super) fn watch(&self, user: &User) -> Watch {
        let watch = self.cache.watch(user.tenant.as_deref(), &user.uid, user.auth_time);
        Watch { watch, _cache: Arc::clone(&self.cache) }
    }
}

impl Settings {
    fn of(configuration: &Configuration, caller: &Caller) -> Option<Self> {
        let users = &configuration.users;
        let max_staleness = match (users.revocation, configuration.trust()) {
            (Revocation::Required { max_staleness, .. }, _) => max_staleness,
            (Revocation::Off, Trust::Emulator) => Duration::ZERO,
            (Revocation::Off, Trust::Google) => return None,
        };
        let is_accepted =
            |kind: &TokenKind| kind.accepted_by().is_some_and(|word| users.accept.contains(&word));
        let accepted = TokenKind::ALL.into_iter().filter(is_accepted);
        Some(Self {
            project: configuration.project.to_string(),
            identity_toolkit: configuration.google.identity_toolkit.clone(),
            caller: caller.clone(),
            max_staleness,
            token_lifetime_max: accepted.map(TokenKind::lifetime_max).max().unwrap_or_default(),
        })
    }
}
