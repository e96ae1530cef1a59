//! A security policy, checked.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use firegate_expr::{Dialect, Expression};
use ipnet::IpNet;
use url::Url;

/// The priority of the default rule, which every policy of Google's has.
pub const DEFAULT_RULE_PRIORITY: u32 = 2_147_483_647;

/// A policy. First match wins, from the lowest priority number up; a request that no rule matches is allowed, as it is by a
/// policy that is made without a default rule.
#[derive(Clone, Debug)]
pub struct SecurityPolicy {
    /// Its name, as logs show it; without one in the file that of the file.
    pub name: String,
    /// The file that it was read from.
    pub file: Arc<str>,
    /// How it was read.
    pub dialect: Dialect,
    /// Whether a load balancer before Firegate has evaluated the same policy: what cannot be evaluated here was then.
    pub evaluated_upstream: bool,
    /// The headers in which `origin.user_ip` is looked for, in lower case and in order.
    pub user_ip_request_headers: Vec<String>,
    /// The rules, by ascending priority.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its priority, which no other rule of the policy has.
    pub priority: u32,
    /// The line of the file that it begins in.
    pub line: usize,
    /// What it is for, as its author says.
    pub description: String,
    /// Whether it is tried out: logged and counted, and the rules after it decide.
    pub preview: bool,
    /// Which requests it is for.
    pub matcher: Matcher,
    /// What becomes of them.
    pub action: Action,
    /// The headers that are set in a request that it allows: names in lower case.
    pub request_headers: Vec<(String, String)>,
}

/// Which requests a rule is for.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// All: `srcIpRanges: ['*']`.
    Everything,
    /// Those from these addresses.
    SourceRanges(Vec<IpNet>),
    /// Those for which it is true.
    Expression(Arc<Expression>),
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// The policy lets it pass.
    Allow,
    /// It is refused, with this status.
    Deny(DenyStatus),
    /// It is sent elsewhere.
    Redirect(Redirect),
    /// It is counted, and refused beyond a number.
    Throttle(RateLimit),
    /// The same, and whoever exceeds is banned for a time.
    RateBasedBan(RateLimit, Ban),
}

/// The status of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenyStatus {
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 429.
    TooManyRequests,
    /// 502.
    BadGateway,
}

/// Where a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To a URL, by 302.
    External(Url),
    /// To Google's reCAPTCHA, which Firegate cannot ask: the request is refused, or, if a load balancer has asked it already,
    /// the rule does not match.
    GoogleRecaptcha,
}

/// How many requests pass, and what becomes of the others.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// How many requests conform.
    pub threshold: Threshold,
    /// What becomes of the others.
    pub exceed: Exceed,
    /// What counts as the same client; never empty.
    pub keys: Vec<Key>,
}

/// So many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// How many.
    pub count: NonZeroU32,
    /// In how long.
    pub interval: Duration,
}

/// What becomes of a request that exceeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exceed {
    /// It is refused.
    Deny(DenyStatus),
    /// It is sent elsewhere.
    Redirect(Redirect),
}

/// Who is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// How long after the interval in which the limit was exceeded.
    pub duration: Duration,
    /// How many requests, those included that were refused, lead to a ban; without it every request that exceeds does.
    pub threshold: Option<Threshold>,
}

/// What counts as the same client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// All clients together.
    All,
    /// The client's address.
    Ip,
    /// The client's address as a proxy vouches for it.
    XffIp,
    /// `origin.user_ip`.
    UserIp,
    /// A header, by its name in lower case.
    HttpHeader(String),
    /// A cookie.
    HttpCookie(String),
    /// The path.
    HttpPath,
    /// The server's name in the TLS handshake.
    Sni,
    /// The client's country.
    RegionCode,
    /// The client's autonomous system.
    Asn,
    /// How the client speaks TLS.
    TlsJa3Fingerprint,
    /// How the client speaks TLS.
    TlsJa4Fingerprint,
    /// The verified user. Firegate's own.
    AuthUid,
    /// The verified user's tenant. Firegate's own.
    AuthTenant,
    /// A claim of the verified user. Firegate's own.
    AuthClaim(String),
    /// The app, by App Check. Firegate's own.
    AppId,
}

impl DenyStatus {
    /// The HTTP status.
    pub const fn code(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooManyRequests => 429,
            Self::BadGateway => 502,
        }
    }
}

impl Action {
    /// Its name in Google's logs: `configuredAction`.
    pub const fn configured_action(&self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny(_) => "DENY",
            Self::Redirect(Redirect::External(_)) => "EXTERNAL_302",
            Self::Redirect(Redirect::GoogleRecaptcha) => "GOOGLE_RECAPTCHA",
            Self::Throttle(_) => "THROTTLE",
            Self::RateBasedBan(..) => "RATE_BASED_BAN",
        }
    }

    /// The limit, if it has one.
    pub const fn rate_limit(&self) -> Option<&RateLimit> {
        match self {
            Self::Throttle(limit) | Self::RateBasedBan(limit, _) => Some(limit),
            Self::Allow | Self::Deny(_) | Self::Redirect(_) => None,
        }
    }
}

impl Key {
    /// Whether it asks for the verified user or app.
    pub const fn is_of_user(&self) -> bool {
        matches!(self, Self::AuthUid | Self::AuthTenant | Self::AuthClaim(_) | Self::AppId)
    }

    /// Whether clients that do not have it are counted all together.
    pub const fn falls_back_to_all(&self) -> bool {
        matches!(
            self,
            Self::HttpHeader(_)
                | Self::HttpCookie(_)
                | Self::Sni
                | Self::RegionCode
                | Self::Asn
                | Self::TlsJa3Fingerprint
                | Self::TlsJa4Fingerprint
        )
    }

    /// Its name in a file: `enforceOnKeyType`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Ip => "IP",
            Self::XffIp => "XFF_IP",
            Self::UserIp => "USER_IP",
            Self::HttpHeader(_) => "HTTP_HEADER",
            Self::HttpCookie(_) => "HTTP_COOKIE",
            Self::HttpPath => "HTTP_PATH",
            Self::Sni => "SNI",
            Self::RegionCode => "REGION_CODE",
            Self::Asn => "ASN",
            Self::TlsJa3Fingerprint => "TLS_JA3_FINGERPRINT",
            Self::TlsJa4Fingerprint => "TLS_JA4_FINGERPRINT",
            Self::AuthUid => "AUTH_UID",
            Self::AuthTenant => "AUTH_TENANT",
            Self::AuthClaim(_) => "AUTH_CLAIM",
            Self::AppId => "APP_ID",
        }
    }
}

impl SecurityPolicy {
    /// Whether any rule asks for the client's country or autonomous system, for which a database is needed.
    pub fn needs_regions(&self) -> bool {
        self.rules.iter().any(|rule| {
            let by_key = rule
                .action
                .rate_limit()
                .is_some_and(|limit| limit.keys.iter().any(|key| matches!(key, Key::RegionCode | Key::Asn)));
            let by_expression = match &rule.matcher {
                Matcher::Expression(expression) => {
                    expression.reads().any(firegate_expr::Attribute::is_of_region)
                }
                Matcher::Everything | Matcher::SourceRanges(_) => false,
            };
            by_key || by_expression
        })
    }
}
