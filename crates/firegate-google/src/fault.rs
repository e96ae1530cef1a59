//! Why there is no Google token: refused, so that somebody has to change something, or unavailable, so that a retry helps.

use std::fmt;

use firegate_core::jose::{CompactJwsError, SignError};

use crate::http::FetchError;
use crate::limits::{ERROR_TEXT_CHARACTERS_MAX, ERROR_WORD_CHARACTERS_MAX};

/// Google's reason where an API is not enabled in a project.
const SERVICE_DISABLED: &str = "SERVICE_DISABLED";

/// Google's reason where the caller's token is not for this API, as that of a virtual machine with the default scopes.
const SCOPE_INSUFFICIENT: &str = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";

/// Whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It will be refused again until somebody changes a permission or a setting.
    Refused,
    /// It may work in a moment.
    Unavailable,
}

/// A failure to get a token: at which step, and why. Nothing of any token is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {source}{hint}", hint = Hint(self.hint()))]
pub struct CredentialFault {
    /// What was being asked for.
    pub step: Step,
    /// Why it was not given.
    pub source: FaultSource,
}

/// The calls by which tokens are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The metadata server's `identity` or `token`.
    MetadataServer,
    /// The OAuth 2.0 token endpoint, with a service account's key.
    ServiceAccountKey,
    /// The OAuth 2.0 token endpoint, with a user's refresh token.
    RefreshToken,
    /// Reading the subject token of workload identity federation.
    SubjectToken,
    /// The Security Token Service's token exchange.
    SecurityTokenService,
    /// IAM Credentials' `generateAccessToken`.
    GenerateAccessToken,
    /// IAM Credentials' `generateIdToken`.
    GenerateIdToken,
    /// Waiting for a call that others wait for too.
    Waiting,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultSource {
    /// No answer came.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// It answered with an error: its status, its own code and words, cleaned of anything as long as a token.
    #[error(
        "it answered {status}{}{code}{}{description}", if code.is_empty() { "" } else { " " },
        if description.is_empty() { "" } else { ": " }
    )]
    Answered {
        /// The HTTP status.
        status: u16,
        /// The `error` of OAuth 2.0 (RFC 6749, section 5.2), or of Google's errors (AIP-193) the `reason`, else the `status`.
        code: String,
        /// The words that came with it.
        description: String,
    },
    /// The answer is not what is documented.
    #[error("its answer is not usable: {0}")]
    Unusable(&'static str),
    /// What came is no JWT.
    #[error("its answer is no JWT: {0}")]
    NotJwt(#[from] CompactJwsError),
    /// The answer lacks the header by which the metadata server identifies itself.
    #[error(
        "the answer lacks `Metadata-Flavor: Google`, so something else answers at the metadata server's address"
    )]
    NotMetadataServer,
    /// These credentials cannot give an ID token for a service's audience by themselves.
    #[error(
        "ID tokens of user credentials cannot be for a service; impersonate a service account instead:\n  \
         gcloud auth application-default login --impersonate-service-account=SERVICE_ACCOUNT\n  \
         gcloud iam service-accounts add-iam-policy-binding SERVICE_ACCOUNT --member=user:YOU \
         --role=roles/iam.serviceAccountTokenCreator"
    )]
    UserCredentials,
    /// Federated credentials have no ID tokens without a service account.
    #[error(
        "workload identity federation gives no ID tokens by itself; name a service account with `credential: impersonate`, or \
         create the file anew:\n  gcloud iam workload-identity-pools create-cred-config PROVIDER --service-account=SERVICE_ACCOUNT …"
    )]
    FederatedCredentials,
    /// The subject token's file could not be read.
    #[error("its file could not be read: {0}")]
    File(std::io::ErrorKind),
    /// The assertion could not be signed.
    #[error("the assertion could not be signed: {0}")]
    Sign(#[from] SignError),
    /// Too many callers wait, or too many calls are under way.
    #[error("too many requests wait for tokens")]
    Overloaded,
    /// The call takes longer than a request waits; it goes on.
    #[error("it takes longer than a request waits")]
    TimedOut,
    /// The audience is empty or too long, or there are too many of them.
    #[error("the audience is empty or too long, or there are too many audiences")]
    Audience,
}

impl FaultSource {
    /// Whether trying again helps.
    pub fn kind(&self) -> FaultKind {
        match self {
            // 408 and 429 ask for patience; every other 4xx is the answer to this very request.
            Self::Answered { status: 408 | 429, .. } => FaultKind::Unavailable,
            Self::Answered { status: 400..=499, .. }
            | Self::UserCredentials
            | Self::FederatedCredentials
            | Self::Audience
            | Self::Fetch(FetchError::InvalidUrl)
            | Self::Sign(_) => FaultKind::Refused,
            Self::Answered { .. }
            | Self::Fetch(_)
            | Self::Unusable(_)
            | Self::NotJwt(_)
            | Self::NotMetadataServer
            | Self::File(_)
            | Self::Overloaded
            | Self::TimedOut => FaultKind::Unavailable,
        }
    }

    /// Whether the mistake is Firegate's own, and of nobody whom it asked.
    pub fn is_internal(&self) -> bool {
        *self == Self::Fetch(FetchError::Internal)
    }

    /// What an operator can do about it, whatever was asked for.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Answered { status: 429 | 500..=599, .. } => {
                "it is not for this machine to mend; https://status.cloud.google.com says whether it is known"
            }
            Self::Fetch(_) | Self::TimedOut | Self::Overloaded => {
                "let this process reach the endpoint: the metadata server on machines of Google's, *.googleapis.com elsewhere"
            }
            Self::Unusable(_) | Self::NotJwt(_) | Self::NotMetadataServer => {
                "see what answers at the endpoint's address, and whether this machine's clock is right"
            }
            Self::File(_) => "let this process read the file that the credential file names",
            _ => "see what docs/credentials.md says of the backend's `credential`",
        }
    }
}

impl CredentialFault {
    /// Whether trying again helps.
    pub fn kind(&self) -> FaultKind {
        self.source.kind()
    }

    /// Whether a user was refused whose own token was exchanged. Where the question is wrong that the configuration has Google
    /// asked, as for a provider that does not exist, nothing is said of the user (RFC 8693, section 2.2.2).
    pub(crate) fn is_about_the_user(&self) -> bool {
        let FaultSource::Answered { status, code, .. } = &self.source else { return false };
        self.kind() == FaultKind::Refused
            && code != SERVICE_DISABLED
            && match self.step {
                Step::SecurityTokenService => !matches!(code.as_str(), "invalid_request" | "invalid_target"),
                _ => matches!(status, 401 | 403),
            }
    }

    /// What happened, without what to do about it.
    pub fn what(&self) -> impl fmt::Display {
        let Self { step, source } = self;
        format!("{step}: {source}")
    }

    /// What an operator can do about it.
    pub fn advice(&self) -> &'static str {
        self.hint().unwrap_or_else(|| self.source.advice())
    }

    /// What an operator can do about a refusal.
    pub fn hint(&self) -> Option<&'static str> {
        let FaultSource::Answered { status, code, .. } = &self.source else { return None };
        Some(match (self.step, status) {
            (_, 403) if code == SERVICE_DISABLED => {
                "run: gcloud services enable sts.googleapis.com iamcredentials.googleapis.com (in the project that is named; it takes \
                 minutes)"
            }
            (_, 403) if code == SCOPE_INSUFFICIENT => {
                "give this machine the access scope https://www.googleapis.com/auth/cloud-platform: its tokens can do no more than its \
                 scopes, whatever roles its account has"
            }
            (Step::MetadataServer, 404) => "give the workload a service account",
            (Step::GenerateIdToken | Step::GenerateAccessToken, 403) => {
                "grant the calling identity roles/iam.serviceAccountTokenCreator on the service account (a new binding takes minutes)"
            }
            (Step::GenerateIdToken | Step::GenerateAccessToken, 404) => "check the service account's address",
            (Step::ServiceAccountKey, 400 | 401) => {
                "check that the key is not deleted or disabled, and this machine's clock"
            }
            (Step::RefreshToken, 400 | 401) if code == "invalid_grant" => {
                "run: gcloud auth application-default login"
            }
            (Step::SecurityTokenService, 400) if code == "invalid_target" => {
                "check that the workload identity pool and its provider exist, and that neither is disabled"
            }
            (Step::SecurityTokenService, 400..=403) => {
                "check the provider's issuer, allowed audiences and attribute condition"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MetadataServer => "metadata server",
            Self::ServiceAccountKey => "token endpoint, with the service account's key",
            Self::RefreshToken => "token endpoint, with the user's refresh token",
            Self::SubjectToken => "subject token",
            Self::SecurityTokenService => "Security Token Service",
            Self::GenerateAccessToken => "generateAccessToken",
            Self::GenerateIdToken => "generateIdToken",
            Self::Waiting => "waiting for a token",
        })
    }
}

struct Hint(Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |hint| write!(formatter, "; {hint}"))
    }
}

/// Another's words about an error as a log may hold them: printable ASCII, bounded, and without a word as long as a token.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    for word in text.split_ascii_whitespace() {
        let word = if word.len() > ERROR_WORD_CHARACTERS_MAX { "[…]" } else { word };
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned
            .extend(word.chars().map(|character| if character.is_ascii_control() { '?' } else { character }));
        if cleaned.chars().count() > ERROR_TEXT_CHARACTERS_MAX {
            return cleaned.chars().take(ERROR_TEXT_CHARACTERS_MAX).chain(['…']).collect();
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text), expected);
    }

    #[test]
    fn words_of_others_are_cleaned() {
        check("The given credential is rejected.", "The given credential is rejected.");
        check("a\r\nb\u{1b}[31m", "a b?[31m");
        check(&format!("bad assertion {}", "x".repeat(101)), "bad assertion […]");
        check(&"ab ".repeat(200), &format!("{}…", &"ab ".repeat(200)[..240]));
    }
}
