//! How Firegate identifies itself to a backend.

use super::Checker;
use crate::configuration::model::{AcceptedToken, Credential, Endpoint, Users};
use crate::configuration::names::{ServiceAccountEmail, WorkloadIdentityProvider};
use crate::configuration::source::{BackendFullSource, CredentialSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
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
                self.no_session_cookies(path, users);
                Some(Credential::FederateUser { service_account: service_account?, provider: provider? })
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

    /// Session cookies have another issuer than the provider trusts: the exchange would fail for every one.
    fn no_session_cookies(&mut self, path: &YamlPath, users: Option<&Users>) {
        if users.is_some_and(|users| users.accept.contains(&AcceptedToken::SessionCookie)) {
            let found = Diagnostic::error(code::CREDENTIAL, "a session cookie cannot be federated")
                .hint("remove `session_cookie` from `users.accept`, or use another credential here");
            self.report(&path.key("credential"), found);
        }
    }
}
