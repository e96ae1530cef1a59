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
            google_audiences: users.google_audiences.unwrap_or_default(),
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
        let max_staleness = self.duration(
            &path.key("max_staleness"),
            revocation.max_staleness,
            STALENESS_DEFAULT,
            staleness,
        )?;
        match revocation.check {
            None | Some(SwitchSource::Off) => Some(Revocation::Off),
            Some(SwitchSource::Required) => Some(Revocation::Required {
                max_staleness,
                allow_on_failure: revocation.on_failure == Some(OnFailureSource::Allow),
            }),
        }
    }
}
