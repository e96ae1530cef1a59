use firegate_core::time::SharedClock;
use url::Url;

use super::service_account::ServiceAccount;
use super::workload_identity::WorkloadIdentityProvider;
use crate::member::{Member, Principal};

/// What the local Google endpoints know.
#[derive(Clone, Debug)]
pub struct GoogleOptions {
    /// The project's ID.
    pub project: String,
    /// The project's number, in decimal digits.
    pub project_number: String,
    /// Every service account there is.
    pub service_accounts: Vec<ServiceAccount>,
    /// The e-mail address of the service account that the metadata server speaks for.
    pub default_service_account: String,
    /// The bindings on service accounts.
    pub impersonations: Vec<Impersonation>,
    /// Who has the role "Firebase App Check Token Verifier": who may have an App Check token consumed.
    pub app_check_verifiers: Vec<Member>,
    /// The providers that the Security Token Service admits users of.
    pub workload_identity_providers: Vec<WorkloadIdentityProvider>,
    /// The users who have signed in with `gcloud auth application-default login`.
    pub authorized_users: Vec<AuthorizedUser>,
    /// Where clients reach these endpoints; the `token_uri` of key files begins with it.
    pub base_url: Url,
    /// The time.
    pub clock: SharedClock,
}

/// A binding on a service account: `member` may act as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// Who may.
    pub member: Member,
    /// The e-mail address of the service account.
    pub service_account: String,
    /// How far it goes.
    pub role: ImpersonationRole,
}

/// The predefined roles that let a member act as a service account:
/// <https://cloud.google.com/iam/docs/service-account-permissions>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImpersonationRole {
    /// `roles/iam.serviceAccountOpenIdTokenCreator`: ID tokens alone.
    OpenIdTokenCreator,
    /// `roles/iam.serviceAccountTokenCreator`: ID tokens, access tokens, signatures, and standing in a chain of delegates.
    TokenCreator,
    /// `roles/iam.workloadIdentityUser`: ID tokens and access tokens.
    WorkloadIdentityUser,
}

/// The permissions that the IAM Credentials API asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    GetOpenIdToken,
    GetAccessToken,
    ImplicitDelegation,
    SignBlob,
}

impl Permission {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GetOpenIdToken => "iam.serviceAccounts.getOpenIdToken",
            Self::GetAccessToken => "iam.serviceAccounts.getAccessToken",
            Self::ImplicitDelegation => "iam.serviceAccounts.implicitDelegation",
            Self::SignBlob => "iam.serviceAccounts.signBlob",
        }
    }
}

impl ImpersonationRole {
    pub(crate) const fn grants(self, permission: Permission) -> bool {
        match self {
            Self::TokenCreator => true,
            Self::OpenIdTokenCreator => matches!(permission, Permission::GetOpenIdToken),
            Self::WorkloadIdentityUser => {
                matches!(permission, Permission::GetOpenIdToken | Permission::GetAccessToken)
            }
        }
    }
}

/// A user credential as `gcloud auth application-default login` keeps it (`type: authorized_user`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedUser {
    /// The user's e-mail address.
    pub email: String,
    /// The OAuth client that the user consented to.
    pub client_id: String,
    /// The OAuth client's secret.
    pub client_secret: String,
    /// The refresh token.
    pub refresh_token: String,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A service account is named that is not in the list.
    #[error("there is no service account {0}; add it to the service accounts")]
    UnknownServiceAccount(String),
    /// A provider's name is not of the documented form.
    #[error(
        "{0:?} is no provider's name; write projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
    )]
    ProviderName(String),
    /// A provider maps no `google.subject`.
    #[error("the provider {0} maps no google.subject; add google.subject=assertion.sub")]
    NoSubjectMapping(String),
    /// An attribute has no permitted name.
    #[error("{0:?} is no mapped attribute; write google.subject, google.groups or attribute.NAME")]
    AttributeName(String),
    /// The operating system gave no random bytes.
    #[error("the system has no random bytes to make a key with")]
    Randomness,
}

impl GoogleOptions {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let named = self.impersonations.iter().map(|binding| &binding.service_account);
        for email in named.chain([&self.default_service_account]) {
            if !self.service_accounts.iter().any(|account| account.email() == email) {
                return Err(OptionsError::UnknownServiceAccount(email.clone()));
            }
        }
        self.workload_identity_providers.iter().try_for_each(WorkloadIdentityProvider::check)
    }

    /// Whether a binding gives `principal` the permission on the service account.
    pub(crate) fn permits(
        &self,
        principal: &Principal,
        permission: Permission,
        service_account: &str,
    ) -> bool {
        self.impersonations.iter().any(|binding| {
            binding.service_account == service_account
                && binding.role.grants(permission)
                && binding.member.includes(principal)
        })
    }
}
