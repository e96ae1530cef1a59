//! Who counts as a signed-in user.

use std::time::Duration;

use super::Checker;
use crate::configuration::model::{AcceptedToken, Anonymous, Revocation, Tenants, Users};
use crate::configuration::names::{TenantId, is_pool_name};
use crate::configuration::source::{
    AcceptSource, AnonymousSource, OnFailureSource, RevocationSource, SwitchSource, TenantsSource,
    TenantsWordSource, UsersSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::{CLOCK_SKEW_MAX, REVOCATION_STALENESS_MAX};
use crate::suggestion::quoted;
use crate::yaml::Part;

/// The default of `clock_skew`.
const CLOCK_SKEW_DEFAULT: Duration = Duration::from_secs(10);

/// The default of `max_staleness`.
const STALENESS_DEFAULT: Duration = Duration::from_secs(60);

/// The default of `identity_pool`.
const IDENTITY_POOL_DEFAULT: &str = "firebase";

impl Checker<'_> {
    pub(super) fn users(&mut self, users: UsersSource) -> Option<Users> {
        let path = YamlPath::root().key("users");
        let accept = self.accept(&path.key("accept"), users.accept);
        let audiences_path = path.key("google_audiences");
        let google_audiences =
            self.google_audiences(&audiences_path, users.google_audiences, accept.as_deref());
        let tenants = self.tenants(&path.key("tenants"), users.tenants);
        let identity_pool = self.identity_pool(&path.key("identity_pool"), users.identity_pool);
        let skew = Duration::ZERO..=CLOCK_SKEW_MAX;
        let clock_skew = self.duration(&path.key("clock_skew"), users.clock_skew, CLOCK_SKEW_DEFAULT, skew);
        let revocation = self.revocation(&path.key("revocation"), users.revocation);
        Some(Users {
            accept: accept?,
            tenants: tenants?,
            anonymous: match users.anonymous {
                None | Some(AnonymousSource::Deny) => Anonymous::Deny,
                Some(AnonymousSource::Allow) => Anonymous::Allow,
            },
            identity_pool: identity_pool?,
            clock_skew: clock_skew?,
            google_audiences: google_audiences?,
            revocation: revocation?,
        })
    }

    fn accept(&mut self, path: &YamlPath, accept: Option<Vec<AcceptSource>>) -> Option<Vec<AcceptedToken>> {
        let Some(accept) = accept else { return Some(vec![AcceptedToken::IdToken]) };
        let mut checked: Vec<AcceptedToken> = Vec::new();
        for kind in accept {
            let kind = match kind {
                AcceptSource::IdToken => AcceptedToken::IdToken,
                AcceptSource::SessionCookie => AcceptedToken::SessionCookie,
                AcceptSource::GoogleIdToken => AcceptedToken::GoogleIdToken,
                AcceptSource::ExchangedToken => AcceptedToken::ExchangedToken,
            };
            if !checked.contains(&kind) {
                checked.push(kind);
            }
        }
        if checked.is_empty() {
            let found = Diagnostic::error(code::USERS, "no kind of token is accepted")
                .hint("write `accept: [id_token]`, or remove the key");
            self.report(path, found);
            return None;
        }
        Some(checked)
    }

    fn tenants(&mut self, path: &YamlPath, tenants: Option<TenantsSource>) -> Option<Tenants> {
        match tenants {
            None | Some(TenantsSource::Word(TenantsWordSource::None)) => Some(Tenants::None),
            Some(TenantsSource::Word(TenantsWordSource::Any)) => Some(Tenants::Any),
            Some(TenantsSource::Listed(tenants)) if tenants.is_empty() => {
                let found = Diagnostic::error(code::USERS, "the list of tenants is empty")
                    .hint("write `tenants: none` for project-level users alone");
                self.report(path, found);
                None
            }
            Some(TenantsSource::Listed(tenants)) => {
                let checked: Vec<Option<TenantId>> = tenants
                    .iter()
                    .enumerate()
                    .map(|(index, tenant)| self.name(&path.index(index), code::USERS, tenant))
                    .collect();
                checked.into_iter().collect::<Option<Vec<_>>>().map(Tenants::Listed)
            }
        }
    }

    fn identity_pool(&mut self, path: &YamlPath, pool: Option<String>) -> Option<String> {
        let Some(pool) = pool else { return Some(IDENTITY_POOL_DEFAULT.to_owned()) };
        if is_pool_name(&pool) {
            return Some(pool);
        }
        let found = Diagnostic::error(code::USERS, format!("{} is not the name of a pool", quoted(&pool)))
            .hint(
                "a pool has 4 to 32 lower-case letters, digits and hyphens, and does not begin with `gcp-`",
            );
        self.report(path, found);
        None
    }

    fn revocation(&mut self, path: &YamlPath, revocation: Option<RevocationSource>) -> Option<Revocation> {
        let Some(revocation) = revocation else { return Some(Revocation::Off) };
        let staleness = Duration::from_secs(1)..=REVOCATION_STALENESS_MAX;
        let given = [
            ("max_staleness", revocation.max_staleness.is_some()),
            ("on_failure", revocation.on_failure.is_some()),
        ];
        let max_staleness =
            self.duration(&path.key("max_staleness"), revocation.max_staleness, STALENESS_DEFAULT, staleness);
        match revocation.check {
            None => {
                let given = given.into_iter().filter_map(|(key, given)| given.then_some(key)).collect();
                self.unused_revocation(path, given)?;
                max_staleness.map(|_| Revocation::Off)
            }
            // Written out, it turns the check off and keeps its settings for another day.
            Some(SwitchSource::Off) => max_staleness.map(|_| Revocation::Off),
            Some(SwitchSource::Required) => {
                let allow_on_failure = revocation.on_failure == Some(OnFailureSource::Allow);
                if allow_on_failure {
                    self.revocation_fails_open(path);
                }
                Some(Revocation::Required { max_staleness: max_staleness?, allow_on_failure })
            }
        }
    }

    /// Settings of a check that is not made: whoever wrote them believes to be protected.
    fn unused_revocation(&mut self, path: &YamlPath, keys: Vec<&str>) -> Option<()> {
        if self.was_refused(&path.key("check")) {
            return Some(());
        }
        if keys.is_empty() && !self.has_refused_below(path) {
            let message = "this says nothing: users are not looked up without `check: required`";
            let found = Diagnostic::error(code::REVOCATION, message)
                .hint("add `check: required`; or remove it, if they are not meant to be looked up");
            self.report_part(path, Part::Key, found);
            return None;
        }
        if keys.is_empty() {
            return Some(());
        }
        for key in keys {
            let message = format!("`{key}` does nothing: users are not looked up without `check: required`");
            let found = Diagnostic::error(code::REVOCATION, message)
                .hint("add `check: required`; or `check: off`, if they are not meant to be looked up");
            self.report_part(&path.key(key), Part::Key, found);
        }
        None
    }

    fn revocation_fails_open(&mut self, path: &YamlPath) {
        let message =
            "while Google cannot be asked, a disabled or revoked user passes of whom this is not known yet";
        let found = Diagnostic::warning(code::REVOCATION_FAILS_OPEN, message)
            .hint("with `on_failure: deny` such a request is answered 503 until Google answers again");
        self.report(&path.key("on_failure"), found);
    }
}
