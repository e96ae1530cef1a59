//! Who calls: the user's token, check by check where one fails, and the app's.

use firegate_core::decision::Identity;
use firegate_core::identity::{Audiences, Examined, Identified, Obstacle, Principal};
use firegate_core::jose::CompactJws;
use firegate_core::reason::{Reason, Stage};
use firegate_core::token_source::presented_token;
use firegate_files::configuration::{AppCheck, TokenSource};

use super::super::checks::{self, CheckVerdict};
use super::{FileLine, Finding, FindingVerdict, StageLine, Way};

impl Way<'_> {
    pub(super) fn identity(&self) -> StageLine {
        let Some(caller) = &self.caller else {
            return self.line(Stage::Identity, "nobody was asked for".to_owned(), None, Vec::new());
        };
        let (summary, place) = match &caller.identity {
            Ok(Identity { identified: Some(identified), token }) => {
                let source = token.as_ref().map(|token| words(token.source));
                let by = source.map(|source| format!(", by the token in {source}")).unwrap_or_default();
                let unproven =
                    if self.is_believed { ", if its signature is valid, which was not checked" } else { "" };
                (format!("{}{by}{unproven}", who(identified)), None)
            }
            Ok(Identity { identified: None, token: Some(token) }) => {
                let source = words(token.source);
                (format!("nobody: what stands in {source} is no token of a user that counts here"), None)
            }
            Ok(Identity { identified: None, token: None }) => {
                (format!("nobody: there is no token in {}", self.sources()), self.place_of_sources())
            }
            Err(Obstacle::Denied(reason)) => (reason.to_string(), self.place_of_identity(reason)),
            Err(Obstacle::KeysMissing { .. }) => {
                let problem = self.keys_problem.unwrap_or("no keys are known");
                (format!("the signature cannot be checked: {problem}"), None)
            }
            Err(Obstacle::KeyUnknown { key_id, .. }) => {
                (format!("no published key has the id {key_id:?}"), None)
            }
        };
        self.line(Stage::Identity, summary, place, self.failed_checks())
    }

    pub(super) fn app_check(&self) -> Option<StageLine> {
        let backend = self.backend.as_deref()?;
        if *backend.app_check() == AppCheck::Off {
            return None;
        }
        let summary = match &self.caller.as_ref()?.app {
            Ok(Some(app)) => format!("the app {app:?}"),
            Ok(None) => "no app is asked for".to_owned(),
            Err(Obstacle::Denied(reason)) => reason.to_string(),
            Err(Obstacle::KeysMissing { .. } | Obstacle::KeyUnknown { .. }) => {
                "the App Check token's signature cannot be checked".to_owned()
            }
        };
        let of_backend = self.places.of_backend(&backend.name, Some("app_check"));
        let place = of_backend.or_else(|| self.places.of("users.app_check"));
        Some(self.line(Stage::AppCheck, summary, place, Vec::new()))
    }

    /// The checks of the profile that the user's token does not pass.
    fn failed_checks(&self) -> Vec<Finding> {
        let Some(backend) = self.backend.as_deref() else { return Vec::new() };
        let token = presented_token(self.facts, backend.token_sources()).ok().flatten();
        let Some(jws) = token.as_ref().and_then(|token| CompactJws::parse(token.text).ok()) else {
            return Vec::new();
        };
        let rules = &self.world.snapshot.identity;
        let examined = Examined::new(&jws, rules, Audiences::Of(backend), self.world.keys, self.world.now);
        let checks = checks::run(&examined, self.keys_problem);
        let failed = checks.into_iter().filter(|check| check.verdict == CheckVerdict::Failed);
        failed
            .map(|check| {
                let why = format!("expected {}, found {}", check.expected, check.found);
                Finding::new(FindingVerdict::DoesNotMatch, check.name, None, why)
            })
            .collect()
    }

    /// Where the backend looks for tokens.
    fn sources(&self) -> String {
        let sources = self.backend.as_deref().map(|backend| backend.token_sources()).unwrap_or_default();
        sources.iter().map(|source| words(*source)).collect::<Vec<_>>().join(" or ")
    }

    fn place_of_sources(&self) -> Option<FileLine> {
        let backend = self.backend.as_deref()?;
        let of_backend = self.places.of_backend(&backend.name, Some("token_sources"));
        of_backend.or_else(|| self.places.of("users.token_sources"))
    }

    /// Where the setting stands that refuses a token which is good as such.
    pub(super) fn place_of_identity(&self, reason: &Reason) -> Option<FileLine> {
        let of_users =
            |key: &str| self.places.of(&format!("users.{key}")).or_else(|| self.places.of("users"));
        match reason {
            Reason::TenantNotAccepted { .. } => of_users("tenants"),
            Reason::AnonymousUserNotAccepted => of_users("anonymous"),
            Reason::TokenWrongProject { .. } => self.places.of("project"),
            Reason::CookieOriginNotAllowed => self.places.of("cors"),
            Reason::TokenMissing(_) => {
                self.backend.as_deref().and_then(|backend| self.places.of_access(&backend.name))
            }
            _ => None,
        }
    }
}

fn who(identified: &Identified) -> String {
    match &*identified.principal {
        Principal::User(user) => {
            let tenant =
                user.tenant.as_ref().map(|tenant| format!(" of tenant {tenant:?}")).unwrap_or_default();
            let email = match (&user.email, user.email_verified) {
                (Some(email), true) => format!(", {email:?} (verified)"),
                (Some(email), false) => format!(", {email:?} (not verified)"),
                (None, _) => String::new(),
            };
            format!("user {:?}{tenant}{email}", user.uid)
        }
        Principal::GoogleAccount(account) => format!("the Google account {:?}", account.email),
    }
}

const fn words(source: TokenSource) -> &'static str {
    match source {
        TokenSource::Authorization => "Authorization",
        TokenSource::Cookie => "the cookie __session",
        TokenSource::Query => "the query",
        TokenSource::WebsocketProtocol => "Sec-WebSocket-Protocol",
    }
}
