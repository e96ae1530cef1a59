//! Why a request was not forwarded. [`Reason`] is a denial and carries its evidence; [`Fault`] is a failure of ours, of
//! Google's or of the service. Both end in a [`Code`], the stable name that clients, logs and documentation share, and
//! the [catalogue](Entry) is the one place that says what each code means on the wire and to a person.

mod catalogue;
mod credential;
mod evidence;

use std::borrow::Cow;
use std::time::Duration;

pub use catalogue::{Action, Code, Entry, Family, catalogue_markdown};
use catalogue::{NEARLY_LET_IN, OTHER_LOCAL_KEYS};
pub use credential::{AmbiguousCredential, MalformedToken, MissingToken};

use crate::armor::ArmorDenied;
use crate::limiter::{CountOutcome, Exceeded};
use crate::route::ENCODED_SLASH;
use crate::time::UnixTime;

/// Why the rules refuse a request, with the evidence. The evidence is for the log and for `firegate explain`; of all
/// this the client gets the code and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// See [`Code::AnonymousUserNotAccepted`].
    AnonymousUserNotAccepted,
    /// See [`Code::AppCheckAppNotAllowed`].
    AppCheckAppNotAllowed {
        /// The token's `sub`.
        app_id: String,
    },
    /// See [`Code::AppCheckTokenConsumed`].
    AppCheckTokenConsumed,
    /// See [`Code::AppCheckTokenExpired`].
    AppCheckTokenExpired {
        /// The token's `exp`.
        expired_at: UnixTime,
        /// When it was judged.
        now: UnixTime,
    },
    /// See [`Code::AppCheckTokenInvalid`].
    AppCheckTokenInvalid {
        /// The part of the token.
        part: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// See [`Code::AppCheckTokenMissing`].
    AppCheckTokenMissing,
    /// See [`Code::ArmorDenied`].
    ArmorDenied(Box<ArmorDenied>),
    /// See [`Code::BodyTooLarge`].
    BodyTooLarge {
        /// The backend's limit in bytes.
        bytes_max: u64,
    },
    /// See [`Code::BodyTooSlow`].
    BodyTooSlow,
    /// See [`Code::CookieOriginNotAllowed`].
    CookieOriginNotAllowed,
    /// See [`Code::CorsOriginNotAllowed`].
    CorsOriginNotAllowed {
        /// What of the preflight is not allowed.
        part: &'static str,
        /// What it is, as far as it is shown.
        value: String,
    },
    /// See [`Code::CredentialAmbiguous`].
    CredentialAmbiguous(AmbiguousCredential),
    /// See [`Code::DeniedByIamPolicy`].
    DeniedByIamPolicy {
        /// The user as a member would name them.
        principal: String,
        /// The rule, with its file and line, and why its condition holds.
        rule: String,
    },
    /// See [`Code::FaultInjected`].
    FaultInjected {
        /// The status that the URL map says.
        status: u16,
    },
    /// See [`Code::FederationRefused`].
    FederationRefused {
        /// Google's answer.
        answer: String,
    },
    /// See [`Code::HostNotLocal`].
    HostNotLocal {
        /// The host, as the request names it.
        host: String,
    },
    /// See [`Code::LeaseOver`].
    LeaseOver,
    /// See [`Code::MethodNotAllowed`].
    MethodNotAllowed {
        /// The methods that are answered, as the field `Allow` has them.
        allowed: &'static str,
    },
    /// See [`Code::NoInvokerBinding`].
    NoInvokerBinding {
        /// The user as a member would name them.
        principal: String,
        /// What was near: the members that would match if one thing about the user were different, a sentence each.
        near: Vec<String>,
        /// The members that did not match, or the first of them.
        members: Vec<String>,
        /// How many members there are beside those.
        more: usize,
    },
    /// See [`Code::RouteNotFound`]: a path of Firegate's own, which is never routed, where nothing is answered.
    OwnPathNotServed {
        /// Whether it is that of the token exchange.
        is_exchange: bool,
    },
    /// See [`Code::RateLimited`] and, if the key is banned, [`Code::RateLimitBanned`].
    RateLimited(Box<Exceeded>),
    /// See [`Code::RedirectLoop`].
    RedirectLoop,
    /// See [`Code::RequestHeadTimedOut`].
    RequestHeadTimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// See [`Code::RequestHeadTooLarge`].
    RequestHeadTooLarge {
        /// The most bytes that are read.
        bytes_max: u64,
        /// The most fields that are read.
        fields_max: usize,
    },
    /// See [`Code::RequestMalformed`].
    RequestMalformed {
        /// What is wrong with it.
        why: &'static str,
    },
    /// See [`Code::RequestTargetTooLong`].
    RequestTargetTooLong {
        /// What of it is too long: the request's first line, or the path.
        part: &'static str,
        /// The most bytes of that which are read.
        bytes_max: usize,
    },
    /// See [`Code::RouteNotFound`].
    RouteNotFound,
    /// See [`Code::TenantNotAccepted`].
    TenantNotAccepted {
        /// The user's tenant.
        tenant: String,
    },
    /// See [`Code::RequestMalformed`]: a client speaks TLS where none is.
    TlsWherePlain,
    /// See [`Code::TokenAlgorithmNotAllowed`].
    TokenAlgorithmNotAllowed {
        /// The header's `alg`, empty if it is no string.
        found: String,
    },
    /// See [`Code::TokenClaimInvalid`].
    TokenClaimInvalid {
        /// The claim.
        claim: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// See [`Code::TokenExpired`].
    TokenExpired {
        /// The token's `exp`.
        expired_at: UnixTime,
        /// When it was judged.
        now: UnixTime,
    },
    /// See [`Code::TokenHeaderNotAllowed`].
    TokenHeaderNotAllowed {
        /// The header's member.
        member: &'static str,
    },
    /// See [`Code::TokenIsAppCheckToken`].
    TokenIsAppCheckToken,
    /// See [`Code::TokenIsCustomToken`].
    TokenIsCustomToken,
    /// See [`Code::TokenIsFiregatesOwn`].
    TokenIsFiregatesOwn,
    /// See [`Code::TokenIsGoogleIdToken`].
    TokenIsGoogleIdToken,
    /// See [`Code::TokenIsSessionCookie`].
    TokenIsSessionCookie,
    /// See [`Code::TokenIssuerUnknown`].
    TokenIssuerUnknown {
        /// The token's `iss`, empty if it is no string.
        found: String,
    },
    /// See [`Code::TokenKeyUnknown`].
    TokenKeyUnknown {
        /// The header's `kid`.
        key_id: String,
        /// The keys are those of an identity server on this machine, such as that of `firegate dev`.
        is_local: bool,
    },
    /// See [`Code::TokenMalformed`].
    TokenMalformed(MalformedToken),
    /// See [`Code::TokenMissing`].
    TokenMissing(MissingToken),
    /// See [`Code::TokenNotYetValid`].
    TokenNotYetValid {
        /// The claim that lies in the future.
        claim: &'static str,
        /// Its value.
        at: UnixTime,
        /// When it was judged.
        now: UnixTime,
    },
    /// See [`Code::TokenRevoked`].
    TokenRevoked {
        /// The token's `auth_time`.
        auth_time: UnixTime,
        /// Sessions that began before it are revoked.
        valid_since: UnixTime,
    },
    /// See [`Code::TokenSignatureInvalid`].
    TokenSignatureInvalid,
    /// See [`Code::TokenUnsigned`].
    TokenUnsigned,
    /// See [`Code::TokenWrongAudience`].
    TokenWrongAudience {
        /// The audiences that are accepted.
        expected: Vec<String>,
        /// The token's `aud`.
        found: String,
    },
    /// See [`Code::TokenWrongProject`].
    TokenWrongProject {
        /// The configured project.
        expected: String,
        /// What the token names.
        found: String,
    },
    /// See [`Code::UserDisabled`].
    UserDisabled,
    /// See [`Code::UserNotFound`].
    UserNotFound,
}

impl Reason {
    /// The stable name.
    pub const fn code(&self) -> Code {
        match self {
            Self::AnonymousUserNotAccepted => Code::AnonymousUserNotAccepted,
            Self::AppCheckAppNotAllowed { .. } => Code::AppCheckAppNotAllowed,
            Self::AppCheckTokenConsumed => Code::AppCheckTokenConsumed,
            Self::AppCheckTokenExpired { .. } => Code::AppCheckTokenExpired,
            Self::AppCheckTokenInvalid { .. } => Code::AppCheckTokenInvalid,
            Self::AppCheckTokenMissing => Code::AppCheckTokenMissing,
            Self::ArmorDenied(_) => Code::ArmorDenied,
            Self::BodyTooLarge { .. } => Code::BodyTooLarge,
            Self::BodyTooSlow => Code::BodyTooSlow,
            Self::CookieOriginNotAllowed => Code::CookieOriginNotAllowed,
            Self::CorsOriginNotAllowed { .. } => Code::CorsOriginNotAllowed,
            Self::CredentialAmbiguous(_) => Code::CredentialAmbiguous,
            Self::DeniedByIamPolicy { .. } => Code::DeniedByIamPolicy,
            Self::FaultInjected { .. } => Code::FaultInjected,
            Self::FederationRefused { .. } => Code::FederationRefused,
            Self::HostNotLocal { .. } => Code::HostNotLocal,
            Self::LeaseOver => Code::LeaseOver,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::NoInvokerBinding { .. } => Code::NoInvokerBinding,
            Self::OwnPathNotServed { .. } => Code::RouteNotFound,
            Self::RateLimited(exceeded) => match exceeded.count.outcome {
                CountOutcome::Banned => Code::RateLimitBanned,
                CountOutcome::Conform | CountOutcome::Exceed => Code::RateLimited,
            },
            Self::RedirectLoop => Code::RedirectLoop,
            Self::RequestHeadTimedOut { .. } => Code::RequestHeadTimedOut,
            Self::RequestHeadTooLarge { .. } => Code::RequestHeadTooLarge,
            Self::RequestMalformed { .. } => Code::RequestMalformed,
            Self::RequestTargetTooLong { .. } => Code::RequestTargetTooLong,
            Self::RouteNotFound => Code::RouteNotFound,
            Self::TenantNotAccepted { .. } => Code::TenantNotAccepted,
            Self::TlsWherePlain => Code::RequestMalformed,
            Self::TokenAlgorithmNotAllowed { .. } => Code::TokenAlgorithmNotAllowed,
            Self::TokenClaimInvalid { .. } => Code::TokenClaimInvalid,
            Self::TokenExpired { .. } => Code::TokenExpired,
            Self::TokenHeaderNotAllowed { .. } => Code::TokenHeaderNotAllowed,
            Self::TokenIsAppCheckToken => Code::TokenIsAppCheckToken,
            Self::TokenIsCustomToken => Code::TokenIsCustomToken,
            Self::TokenIsFiregatesOwn => Code::TokenIsFiregatesOwn,
            Self::TokenIsGoogleIdToken => Code::TokenIsGoogleIdToken,
            Self::TokenIsSessionCookie => Code::TokenIsSessionCookie,
            Self::TokenIssuerUnknown { .. } => Code::TokenIssuerUnknown,
            Self::TokenKeyUnknown { .. } => Code::TokenKeyUnknown,
            Self::TokenMalformed(_) => Code::TokenMalformed,
            Self::TokenMissing(_) => Code::TokenMissing,
            Self::TokenNotYetValid { .. } => Code::TokenNotYetValid,
            Self::TokenRevoked { .. } => Code::TokenRevoked,
            Self::TokenSignatureInvalid => Code::TokenSignatureInvalid,
            Self::TokenUnsigned => Code::TokenUnsigned,
            Self::TokenWrongAudience { .. } => Code::TokenWrongAudience,
            Self::TokenWrongProject { .. } => Code::TokenWrongProject,
            Self::UserDisabled => Code::UserDisabled,
            Self::UserNotFound => Code::UserNotFound,
        }
    }

    /// The HTTP status of the answer: the catalogue's, unless the rule that refuses says another one.
    pub fn status(&self) -> u16 {
        match self {
            Self::ArmorDenied(denied) => denied.status.code(),
            Self::RateLimited(exceeded) => exceeded.status.as_u16(),
            Self::FaultInjected { status } => *status,
            _ => self.code().entry().status,
        }
    }

    /// What to do next: the catalogue's, unless more is known of this request.
    pub fn hint(&self) -> Cow<'static, str> {
        let special = match self {
            Self::CredentialAmbiguous(ambiguous) => ambiguous.hint().map(Cow::Borrowed),
            Self::OwnPathNotServed { is_exchange: true } => {
                Some(Cow::Borrowed("switch the token exchange on: `exchange: { enabled: true }`"))
            }
            Self::OwnPathNotServed { is_exchange: false } => Some(Cow::Borrowed(
                "ask for `jwks.json`, `ready` or, with `exchange`, `token`: nothing else is there, and no route leads to a service \
                 from there",
            )),
            Self::RequestMalformed { why: ENCODED_SLASH } => Some(Cow::Borrowed(
                "write `/` itself; or set `encoded_slash: forward` for the backend, if its own paths hold `%2F`",
            )),
            Self::TlsWherePlain => Some(Cow::Borrowed(
                "call it by `http://`, or let it speak TLS: `tls: { certificates: [ { cert: cert.pem, key: key.pem } ] }`",
            )),
            Self::TokenMalformed(malformed) => malformed.hint().map(Cow::Borrowed),
            Self::TokenMissing(missing) => missing.hint(),
            Self::NoInvokerBinding { near, .. } if !near.is_empty() => Some(NEARLY_LET_IN.into()),
            Self::TokenKeyUnknown { is_local: true, .. } => Some(OTHER_LOCAL_KEYS.into()),
            _ => None,
        };
        special.unwrap_or(Cow::Borrowed(self.code().entry().fix))
    }
}

/// That a credential can be read in more than one way.
pub(crate) const fn ambiguous<T>(how: AmbiguousCredential) -> Result<T, Reason> {
    Err(Reason::CredentialAmbiguous(how))
}

/// Where in the decision a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// While the request itself was read.
    Facts,
    /// While a backend was selected.
    Route,
    /// While a preflight was answered.
    Cors,
    /// While the security policy was evaluated.
    Armor,
    /// While the user was identified.
    Identity,
    /// While the app was identified.
    AppCheck,
    /// While the user was authorised.
    Iam,
    /// While a token was exchanged.
    Exchange,
    /// While a credential for the service was made.
    Credential,
    /// While the request was forwarded.
    Upstream,
}

impl Stage {
    /// The stage's name in logs and explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Route => "route",
            Self::Cors => "cors",
            Self::Armor => "armor",
            Self::Identity => "identity",
            Self::AppCheck => "app_check",
            Self::Iam => "iam",
            Self::Exchange => "exchange",
            Self::Credential => "credential",
            Self::Upstream => "upstream",
        }
    }
}

/// An expected answer of the rules: this request does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why, with the evidence.
    pub reason: Reason,
    /// Where it was decided.
    pub stage: Stage,
}

/// A failure of Firegate, of Google or of the service. A fault while deciding denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable name; its family is [`Family::Fault`].
    pub code: Code,
    /// Where it happened.
    pub stage: Stage,
    /// What is known about the cause, for the log alone.
    pub detail: String,
}
