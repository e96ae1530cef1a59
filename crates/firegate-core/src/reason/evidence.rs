//! The evidence of each reason in one sentence: for the log and for `firegate explain`, never for the client. What a stranger
//! wrote is quoted with `{:?}`, so that it cannot write lines of its own into a log.

use std::fmt;

use super::Reason;
use crate::time::span;

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppCheckAppNotAllowed { app_id } => {
                write!(formatter, "the app {app_id:?} is not in `app_check.apps`")
            }
            Self::AppCheckTokenExpired { expired_at, now } => {
                let ago = span(now.since(*expired_at));
                write!(
                    formatter,
                    "the App Check token expired at {}, {ago} before {}",
                    expired_at.date(),
                    now.date()
                )
            }
            Self::AppCheckTokenInvalid { part, why } => {
                write!(formatter, "the App Check token's {part} {why}")
            }
            Self::ArmorDenied(denied) => denied.fmt(formatter),
            Self::BodyTooLarge { bytes_max } => {
                write!(formatter, "the body is longer than {bytes_max} bytes")
            }
            Self::CorsOriginNotAllowed { part, value } => {
                write!(formatter, "`cors` does not allow the request's {part} {value:?}")
            }
            Self::CredentialAmbiguous(ambiguous) => ambiguous.fmt(formatter),
            Self::DeniedByIamPolicy { principal, rule } => write!(formatter, "{rule} denies {principal:?}"),
            Self::FederationRefused { answer } => {
                write!(formatter, "the user's token was not exchanged: {answer:?}")
            }
            Self::HostNotLocal { host } => write!(
                formatter,
                "the host {host:?} is none of this machine's, none that the URL map names in full, and none of `--host`"
            ),
            Self::MethodNotAllowed { allowed } => write!(formatter, "the methods there are {allowed}"),
            Self::NoInvokerBinding { principal, near, members, more } => {
                write!(formatter, "no member matches {principal:?}; ")?;
                for line in near {
                    write!(formatter, "{line}; ")?;
                }
                write!(formatter, "the members are {members:?}")?;
                if *more > 0 { write!(formatter, " and {more} more") } else { Ok(()) }
            }
            Self::OwnPathNotServed { is_exchange: true } => {
                formatter.write_str("the path is that of the token exchange, which is not switched on")
            }
            Self::OwnPathNotServed { is_exchange: false } => {
                formatter.write_str("nothing is at this path, which is one of Firegate's own")
            }
            Self::RateLimited(exceeded) => exceeded.fmt(formatter),
            Self::RequestHeadTimedOut { after } => {
                write!(formatter, "the head was not whole after {} s", after.as_secs())
            }
            Self::RequestHeadTooLarge { bytes_max, fields_max } => {
                write!(formatter, "the head has more than {bytes_max} bytes or {fields_max} fields")
            }
            Self::RequestMalformed { why } => formatter.write_str(why),
            Self::RequestTargetTooLong { part, bytes_max } => {
                write!(formatter, "the request's {part} is longer than {bytes_max} bytes")
            }
            Self::TenantNotAccepted { tenant } => write!(formatter, "the user belongs to tenant {tenant:?}"),
            Self::TlsWherePlain => {
                formatter.write_str("the client speaks TLS (`https://`), and this port plain HTTP")
            }
            Self::TokenAlgorithmNotAllowed { found } => {
                write!(formatter, "expected alg RS256, found {found:?}")
            }
            Self::TokenClaimInvalid { claim, why } => write!(formatter, "the claim `{claim}` {why}"),
            Self::TokenExpired { expired_at, now } => {
                let ago = span(now.since(*expired_at));
                write!(formatter, "expired at {}, {ago} before {}", expired_at.date(), now.date())
            }
            Self::TokenHeaderNotAllowed { member } => {
                write!(formatter, "the header's `{member}` is missing or not allowed")
            }
            Self::TokenIssuerUnknown { found } => write!(formatter, "the issuer is {found:?}"),
            Self::TokenKeyUnknown { key_id, .. } => {
                write!(formatter, "no published key has the id {key_id:?}")
            }
            Self::TokenMalformed(malformed) => malformed.fmt(formatter),
            Self::TokenMissing(missing) => missing.fmt(formatter),
            Self::TokenNotYetValid { claim, at, now } => {
                let ahead = span(at.since(*now));
                write!(formatter, "`{claim}` is {}, {ahead} after {}", at.date(), now.date())
            }
            Self::TokenRevoked { auth_time, valid_since } => {
                write!(formatter, "signed in at {}, revoked up to {}", auth_time.date(), valid_since.date())
            }
            Self::TokenWrongAudience { expected, found } => {
                write!(formatter, "expected one of the audiences {expected:?}, found {found:?}")
            }
            Self::TokenWrongProject { expected, found } => {
                write!(formatter, "expected project {expected:?}, found {found:?}")
            }
            Self::AnonymousUserNotAccepted
            | Self::AppCheckTokenConsumed
            | Self::AppCheckTokenMissing
            | Self::BodyTooSlow
            | Self::CookieOriginNotAllowed
            | Self::FaultInjected { .. }
            | Self::LeaseOver
            | Self::RedirectLoop
            | Self::RouteNotFound
            | Self::TokenIsAppCheckToken
            | Self::TokenIsCustomToken
            | Self::TokenIsFiregatesOwn
            | Self::TokenIsGoogleIdToken
            | Self::TokenIsSessionCookie
            | Self::TokenSignatureInvalid
            | Self::TokenUnsigned
            | Self::UserDisabled
            | Self::UserNotFound => formatter.write_str(self.code().entry().message),
        }
    }
}
