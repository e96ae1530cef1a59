//! What Cloud Run's front can say of a request: that it passes and as whose, or why it does not.

use std::fmt;

use firegate_core::jose::CompactJwsError;
use firegate_core::time::UnixTime;
use http::{HeaderName, header};

const SERVERLESS_AUTHORIZATION: HeaderName = HeaderName::from_static("x-serverless-authorization");

/// The header that a credential came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialHeader {
    /// `Authorization`.
    Authorization,
    /// `X-Serverless-Authorization`. If a request has it, it alone is looked at.
    ServerlessAuthorization,
}

impl CredentialHeader {
    /// The header's name.
    pub const fn name(self) -> HeaderName {
        match self {
            Self::Authorization => header::AUTHORIZATION,
            Self::ServerlessAuthorization => SERVERLESS_AUTHORIZATION,
        }
    }
}

impl fmt::Display for CredentialHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Authorization => "Authorization",
            Self::ServerlessAuthorization => "X-Serverless-Authorization",
        })
    }
}

/// Who is calling, as the validated token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The e-mail address, if the token has a verified one.
    pub email: Option<String>,
    /// The numeric id of the account.
    pub subject: String,
}

/// Cloud Run's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request goes to the container.
    Admit(Admission),
    /// The request ends here.
    Refuse(Refusal),
}

/// How a request got through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The caller; `None` on a public service, where nobody is asked.
    pub caller: Option<Caller>,
    /// The header whose token was validated; the container sees that token without its signature.
    pub validated: Option<CredentialHeader>,
}

impl Admission {
    pub(super) const PUBLIC: Self = Self { caller: None, validated: None };
}

/// A refusal, and what it looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: RefusalStatus,
    /// Why.
    pub cause: RefusalCause,
}

/// The statuses that Cloud Run's front refuses with, each with its own page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalStatus {
    /// 401: a credential was presented and is not acceptable.
    Unauthorized,
    /// 403: no credential was presented, or its owner may not invoke the service.
    Forbidden,
    /// 404: there is no such service at this address for this caller.
    NotFound,
}

/// Why a request does not reach the container. Displayed, it explains itself to whoever sent the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalCause {
    /// No service has this `Host`.
    #[error(
        "no Cloud Run service answers for the host {0:?}; send the service's own host in the Host header"
    )]
    ForeignHost(String),
    /// The ingress setting does not let the request in.
    #[error(
        "the service's ingress setting does not admit requests from here; call it from its network, or through its load balancer"
    )]
    IngressBlocked,
    /// The path belongs to Google's front end.
    #[error(
        "the path {0} is reserved by Google's front end and never reaches a container; use another one, such as /health"
    )]
    ReservedPath(String),
    /// Neither header carries a credential.
    #[error(
        "the request has no credential; send a Google ID token as Authorization: Bearer, or as X-Serverless-Authorization: Bearer"
    )]
    NoCredential,
    /// A header is repeated, so that it is open which value counts.
    #[error("the header {0} is repeated; send it once")]
    RepeatedHeader(CredentialHeader),
    /// The header's value is of another scheme.
    #[error("the header {0} does not carry a bearer token; write \"Bearer\" and the token")]
    NotBearer(CredentialHeader),
    /// A Google access token.
    #[error(
        "this is a Google access token, and Cloud Run takes ID tokens alone; fetch an ID token for the service's URL"
    )]
    AccessToken,
    /// The token is no compact JWS.
    #[error("the credential is no JSON Web Token: {0}")]
    Malformed(CompactJwsError),
    /// The token has been through Cloud Run before.
    #[error(
        "Cloud Run has already validated this token for another service and removed its signature; fetch one of your own for this service"
    )]
    SignatureRemoved,
    /// A Firebase ID token or session cookie.
    #[error(
        "this token is from {issuer}: it identifies a user of the Firebase project, whom IAM does not know. Cloud Run \
         accepts tokens of https://accounts.google.com alone, and no binding or custom audience changes that; let a \
         front door verify the user and call the service as a service account"
    )]
    FirebaseToken {
        /// The `iss` of the token.
        issuer: String,
    },
    /// A token of somebody else.
    #[error("the token is from {0:?}, and Cloud Run accepts tokens of https://accounts.google.com alone")]
    ForeignIssuer(String),
    /// The token's algorithm is not Google's.
    #[error("the token is signed with {0:?}; Google signs with RS256")]
    Algorithm(String),
    /// No key of Google has the token's key id.
    #[error("the token names the key {0:?}, which is not among Google's; fetch a new token")]
    UnknownKey(String),
    /// The signature is not Google's.
    #[error("the token's signature is not Google's")]
    BadSignature,
    /// The token is for somebody else.
    #[error(
        "the token is for the audience {found:?}, and the service answers to {accepted:?}; fetch a token for one of these, exactly as written"
    )]
    Audience {
        /// The `aud` of the token.
        found: String,
        /// What would be accepted.
        accepted: Vec<String>,
    },
    /// The token is no longer valid.
    #[error("the token expired at {expired_at}, and it is {now}; fetch a new one")]
    Expired {
        /// The `exp` of the token.
        expired_at: UnixTime,
        /// The time of the request.
        now: UnixTime,
    },
    /// A claim that Google always sets is missing.
    #[error("the token has no usable {0} claim")]
    MissingClaim(&'static str),
    /// The caller is known and may not.
    #[error("{} has no roles/run.invoker on the service; add the binding", .0.email.as_deref().unwrap_or(&.0.subject))]
    NotInvoker(Caller),
}

impl RefusalCause {
    /// What Cloud Run writes into the service's request log.
    pub const fn log_text(&self) -> &'static str {
        match self {
            Self::NoCredential => {
                "The request was not authenticated. Either allow unauthenticated invocations or set the proper \
                 Authorization header. Read more at https://cloud.google.com/run/docs/securing/authenticating \
                 Additional troubleshooting documentation can be found at: \
                 https://cloud.google.com/run/docs/troubleshooting#unauthorized-client"
            }
            Self::ForeignHost(_) | Self::IngressBlocked | Self::ReservedPath(_) => {
                "The request was refused before it reached the service."
            }
            Self::NotInvoker(_) => {
                "The request was not authorized to invoke this service. Read more at \
                 https://cloud.google.com/run/docs/securing/authenticating Additional troubleshooting documentation \
                 can be found at: https://cloud.google.com/run/docs/troubleshooting#401"
            }
            _ => {
                "The request was not authorized to invoke this service. Read more at \
                 https://cloud.google.com/run/docs/securing/authenticating Additional troubleshooting documentation \
                 can be found at: https://cloud.google.com/run/docs/troubleshooting#401 The access token could not \
                 be verified."
            }
        }
    }
}
