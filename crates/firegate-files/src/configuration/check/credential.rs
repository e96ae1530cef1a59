//! How Firegate identifies itself to a backend.

use std::collections::BTreeMap;

use super::Checker;
use crate::configuration::model::{AcceptedToken, Backend, Credential, Endpoint, Users};
use crate::configuration::names::{BackendName, ServiceAccountEmail, WorkloadIdentityProvider};
use crate::configuration::source::{BackendFullSource, CredentialSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::suggestion::quoted;
use crate::yaml::Part;

impl Checker<'_> {
    /// The credential of a backend. By default a service reached by https gets a Google token, one reached by http
    /// does not.
    pub(super) fn credential(
        &mut self,
        path: &YamlPath,
        source: &BackendFullSource,
        endpoints: Option<&[Endpoint]>,
        users: Option<&Users>,
    ) -> Option<Credential> {
        let account = source.service_account.as_deref().map(|text| {
            self.name::<ServiceAccountEmail>(&path.key("service_account"), code::CREDENTIAL, text)
        });
        let provider = source.workload_identity_provider.as_deref().map(|text| {
            self.name::<WorkloadIdentityProvider>(
                &path.key("workload_identity_provider"),
                code::CREDENTIAL,
                text,
            )
        });
        let word = match source.credential {
            Some(word) => word,
            None if endpoints?.iter().any(|endpoint| endpoint.url.scheme() == "https") => {
                CredentialSource::Default
            }
            None => CredentialSource::None,
        };
        let unused = |word: &str, keys: &[(&str, bool)], checker: &mut Self| {
            for (key, _) in keys.iter().filter(|(_, given)| *given) {
                let message = format!("`{key}` has no effect with `credential: {word}`");
                let hint = "it goes with `credential: impersonate` or `federate_user`; remove it, or change the credential";
                let found = Diagnostic::warning(code::CREDENTIAL, message).hint(hint);
                checker.report_part(&path.key(key), Part::Key, found);
            }
        };
        let given =
            [("service_account", account.is_some()), ("workload_identity_provider", provider.is_some())];
        match word {
            CredentialSource::Default => {
                unused("default", &given, self);
                Some(Credential::Default)
            }
            CredentialSource::Metadata => {
                unused("metadata", &given, self);
                Some(Credential::Metadata)
            }
            CredentialSource::None => {
                unused("none", &given, self);
                Some(Credential::None)
            }
            CredentialSource::Impersonate => {
                unused("impersonate", &given[1..], self);
                let service_account = self.needed(path, "impersonate", "service_account", account);
                Some(Credential::Impersonate { service_account: service_account? })
            }
            CredentialSource::FederateUser => {
                let service_account = self.needed(path, "federate_user", "service_account", account);
                let provider = self.needed(path, "federate_user", "workload_identity_provider", provider);
                self.not_federated(path, users);
                let (service_account, provider) = (service_account?, provider?);
                self.federation_is_open(path, &service_account);
                Some(Credential::FederateUser { service_account, provider })
            }
        }
    }

    /// What a credential cannot do without.
    fn needed<T>(&mut self, path: &YamlPath, word: &str, key: &str, given: Option<Option<T>>) -> Option<T> {
        if let Some(checked) = given {
            return checked;
        }
        let example = match key {
            "service_account" => "service_account: caller@my-project.iam.gserviceaccount.com",
            _ => {
                "workload_identity_provider: \
                 //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
            }
        };
        if !self.was_refused(&path.key(key)) {
            let message = format!("`credential: {word}` needs a `{key}`");
            let found =
                Diagnostic::error(code::CREDENTIAL, message).hint(format!("add for example `{example}`"));
            self.report(&path.key("credential"), found);
        }
        None
    }

    /// The provider trusts the issuer of ID tokens alone, so the exchange would fail for every other kind. Another backend
    /// may still take them; where only they are accepted, nobody could ever reach this one.
    fn not_federated(&mut self, path: &YamlPath, users: Option<&Users>) {
        let accept = users.map(|users| users.accept.as_slice()).unwrap_or_default();
        let kinds: Vec<&str> = accept
            .iter()
            .filter_map(|kind| match kind {
                AcceptedToken::IdToken => None,
                AcceptedToken::SessionCookie => Some("session cookies"),
                AcceptedToken::GoogleIdToken => Some("Google ID tokens"),
                AcceptedToken::ExchangedToken => Some("exchanged tokens"),
            })
            .collect();
        if kinds.is_empty() {
            return;
        }
        let kinds = kinds.join(" and ");
        let found = if accept.contains(&AcceptedToken::IdToken) {
            let message = format!("{kinds} are refused here: they cannot be federated");
            Diagnostic::warning(code::CREDENTIAL, message).hint(
                "let the app send `getIdToken()` to this backend, or use another credential here; other backends take them",
            )
        } else {
            let message = format!("nobody could reach this backend: {kinds} cannot be federated");
            Diagnostic::error(code::CREDENTIAL, message)
                .hint("add `id_token` to `users.accept`, or use another credential here")
        };
        self.report(&path.key("credential"), found);
    }

    /// Users can have tokens of the accounts that `federate_user` names. One that Firegate itself calls another backend with
    /// opens that to all of them, beside Firegate and whatever its `allow` says.
    pub(super) fn own_accounts(&mut self, backends: Option<&BTreeMap<BackendName, Backend>>) {
        let Some(backends) = backends else { return };
        for (name, backend) in backends {
            let Credential::FederateUser { service_account, .. } = &backend.credential else { continue };
            let is_own = |credential: &Credential| matches!(credential, Credential::Impersonate { service_account: own } if own == service_account);
            let Some((other, _)) = backends.iter().find(|(_, other)| is_own(&other.credential)) else {
                continue;
            };
            let message = format!(
                "{} is whom Firegate itself calls `{other}` as: every user whom the provider admits could call it without \
                 Firegate, whatever its `allow` says",
                quoted(service_account.as_str())
            );
            let found = Diagnostic::error(code::FEDERATION, message)
                .hint("give `federate_user` an account of its own");
            let path = YamlPath::root().key("backends").key(name.as_str()).key("service_account");
            self.report(&path, found);
        }
    }

    /// The token endpoints are public and the user holds the token, so Firegate's own checks do not stand in the way of
    /// the exchange. No configuration of Firegate's can change that, so every one is told.
    fn federation_is_open(&mut self, path: &YamlPath, service_account: &ServiceAccountEmail) {
        let message = format!(
            "every user whom the provider admits can act as `{service_account}` without Firegate too, \
             whatever `allow` and `users` say"
        );
        let hint = "give the provider an attribute condition that admits the intended users alone, and the service account \
                    no other use than calling this service; docs/credentials.md has the lines";
        self.report(&path.key("credential"), Diagnostic::warning(code::FEDERATION, message).hint(hint));
    }
}
