//! What Identity Platform says of users, under the settings of one configuration.

use std::sync::Arc;
use std::time::Duration;

use firegate_core::identity::{TokenKind, User};
use firegate_files::configuration::{Configuration, Revocation, Trust};
use firegate_google::accounts::AccountsClient;
use firegate_google::caller::Caller;
use firegate_google::user_status::{RevocationWatch, UserStatusCache, UserStatusOptions, UserStatusSettings};

use super::{ControlOptions, ControlRuntime, Tended};

/// What is known of users. It stays known under another configuration: whom Identity Platform has refused must not be let in
/// because a file was changed while it is out of reach.
#[derive(Debug)]
pub(super) struct UserStatus {
    cache: Arc<Tended<UserStatusCache>>,
    /// None where nobody is looked up: what is known waits for a configuration that asks for it again.
    settings: Option<UserStatusSettings>,
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
    /// Looks users up, if the configuration asks for it or an emulator's unsigned tokens are worth nothing without. What is
    /// known of users is `former`'s, and until the configuration [takes effect](Self::take_effect) they are looked up by its
    /// settings. A configuration that does not ask keeps it for the next one that does, which may come in an outage.
    pub(super) fn new(
        control: &ControlRuntime,
        options: &ControlOptions<'_>,
        caller: &Caller,
        former: Option<&Self>,
    ) -> Option<Self> {
        let settings = settings(control, options.configuration, caller);
        if let Some(former) = former {
            return Some(Self { cache: Arc::clone(&former.cache), settings });
        }
        let settings = settings?;
        let project = options.configuration.project.to_string();
        let clock = Arc::clone(&options.process.clock);
        let cache = UserStatusCache::new(UserStatusOptions::new(project, settings.clone(), clock));
        Some(Self { cache: control.tend(cache, UserStatusCache::run), settings: Some(settings) })
    }

    /// Looks users up by this configuration's settings from now on. One that is refused must not change what is in force.
    pub(super) fn take_effect(&self) {
        if let Some(settings) = &self.settings {
            self.cache.go_by(settings.clone());
        }
    }

    /// What is known of users, if they are looked up.
    pub(super) fn in_force(&self) -> Option<&Arc<UserStatusCache>> {
        self.settings.is_some().then_some(&*self.cache)
    }

    /// Watches over a user, if they are looked up.
    pub(super) fn watch(&self, user: &User) -> Option<Watch> {
        let watch = self.in_force()?.watch(user.tenant.as_deref(), &user.uid, user.auth_time);
        Some(Watch { watch, _cache: Arc::clone(&self.cache) })
    }
}

/// How users are looked up under a configuration, if they are.
fn settings(
    control: &ControlRuntime,
    configuration: &Configuration,
    caller: &Caller,
) -> Option<UserStatusSettings> {
    let users = &configuration.users;
    let max_staleness = match (users.revocation, configuration.trust()) {
        (Revocation::Required { max_staleness, .. }, _) => max_staleness,
        (Revocation::Off, Trust::Emulator) => Duration::ZERO,
        (Revocation::Off, Trust::Google) => return None,
    };
    let is_accepted = |kind: &TokenKind| kind.accepted_by().is_some_and(|word| users.accept.contains(&word));
    let accepted = TokenKind::ALL.into_iter().filter(is_accepted);
    Some(UserStatusSettings {
        accounts: AccountsClient::new(
            control.http.clone(),
            Some(configuration.google.identity_toolkit.clone()),
        ),
        caller: caller.clone(),
        max_staleness,
        token_lifetime_max: accepted.map(TokenKind::lifetime_max).max().unwrap_or_default(),
    })
}
