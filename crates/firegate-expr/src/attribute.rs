//! What an expression may ask about a request and its user, and who answers.

use std::borrow::Cow;

use crate::value::Value;

/// A fact that an expression can name. The headers and the claims are asked for one by one: [`Attributes::header`],
/// [`Attributes::claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// `origin.ip`: the address of the client ([`Value::Address`]).
    OriginIp,
    /// `origin.user_ip`: the address out of `userIpRequestHeaders`, or `origin.ip` ([`Value::Address`]).
    OriginUserIp,
    /// `origin.region_code`: ISO 3166-1 alpha-2, upper case.
    OriginRegionCode,
    /// `origin.asn`: the number of the client's autonomous system ([`Value::Int`]).
    OriginAsn,
    /// `origin.tls_ja3_fingerprint`.
    OriginTlsJa3Fingerprint,
    /// `origin.tls_ja4_fingerprint`.
    OriginTlsJa4Fingerprint,
    /// `request.headers`, and every header of it.
    RequestHeaders,
    /// `request.method`.
    RequestMethod,
    /// `request.path`: without the query.
    RequestPath,
    /// `request.scheme`: `http` or `https`.
    RequestScheme,
    /// `request.query`: undecoded, without the question mark.
    RequestQuery,
    /// `request.time` ([`Value::Timestamp`]).
    RequestTime,
    /// `request.host`: as IAM conditions call it.
    RequestHost,
    /// `request.auth.access_levels`: of Access Context Manager ([`Value::Texts`]).
    RequestAccessLevels,
    /// `resource.name`.
    ResourceName,
    /// `resource.type`.
    ResourceType,
    /// `resource.service`.
    ResourceService,
    /// `destination.ip` ([`Value::Address`]).
    DestinationIp,
    /// `destination.port` ([`Value::Int`]).
    DestinationPort,
    /// `auth.uid`: the user's id.
    AuthUid,
    /// `auth.email`: verified or not.
    AuthEmail,
    /// `auth.email_verified` ([`Value::Bool`]).
    AuthEmailVerified,
    /// `auth.tenant`: empty for a user of the project itself.
    AuthTenant,
    /// `auth.provider`: how the user signed in.
    AuthProvider,
    /// `auth.anonymous` ([`Value::Bool`]).
    AuthAnonymous,
    /// `auth.app_id`: the app, by App Check; empty if none is verified.
    AuthAppId,
    /// `auth.token`, and every claim of it.
    AuthToken,
}

impl Attribute {
    /// Whether it says something of the verified user or app, so that the request has to be identified first.
    pub const fn is_of_user(self) -> bool {
        matches!(
            self,
            Self::AuthUid
                | Self::AuthEmail
                | Self::AuthEmailVerified
                | Self::AuthTenant
                | Self::AuthProvider
                | Self::AuthAnonymous
                | Self::AuthAppId
                | Self::AuthToken
        )
    }

    /// Whether Google alone can tell it: only a file of tests gives it here.
    pub const fn is_of_google(self) -> bool {
        matches!(
            self,
            Self::RequestAccessLevels | Self::ResourceName | Self::DestinationIp | Self::DestinationPort
        )
    }

    /// Whether it needs a database that the operator names.
    pub const fn is_of_region(self) -> bool {
        matches!(self, Self::OriginRegionCode | Self::OriginAsn)
    }
}

/// An answer about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// So it is.
    Known(Value<'a>),
    /// The request or its user does not have it. A text is then empty, as in Cloud Armor; a claim is an error, as a missing
    /// key of a map is.
    Absent,
    /// It cannot be told here: no database of regions, no TLS fingerprint. The expression becomes unknown.
    Unavailable,
}

impl<'a> From<Option<Value<'a>>> for Fact<'a> {
    fn from(value: Option<Value<'a>>) -> Self {
        value.map_or(Self::Absent, Self::Known)
    }
}

/// Who answers: core feeds the facts of a request, a test those of its file. Nothing is computed before it is asked for.
///
/// An attribute of a language that the asked expression does not speak is never asked for. An answer of another type than
/// the attribute's is an evaluation error, never a match.
pub trait Attributes {
    /// Any attribute but [`Attribute::RequestHeaders`] and [`Attribute::AuthToken`].
    fn attribute(&self, attribute: Attribute) -> Fact<'_>;

    /// Whether a server is meant that takes capital letters of the path for small ones. Texts that the path is compared with
    /// stand for every way to write their letters then.
    fn ignores_case_of_path(&self) -> bool {
        false
    }

    /// A header's value, all of its lines joined by commas, those of `cookie` by `; `; `name` is in lower case. `None` if
    /// there is none.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Whether there is a verified user; without one everything under `auth` but `auth.app_id` is absent.
    fn has_user(&self) -> bool;

    /// Whether it can be said that a header is not there: of a request that was recorded, most headers are neither there nor
    /// not there. What depends on one of those is unknown.
    fn knows_header(&self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// Whether it can be said that there is no verified user.
    fn knows_user(&self) -> bool {
        true
    }

    /// A top-level claim of the verified token, by its name in the token (`email`, `firebase`, `role`).
    fn claim(&self, name: &str) -> Fact<'_>;

    /// What Firegate has no source for (`token.recaptcha_action.score` and its like), by its name. Only a file of tests gives
    /// it; whatever is not [`Fact::Known`] is unknown.
    fn unevaluated(&self, name: &str) -> Fact<'_> {
        let _ = name;
        Fact::Unavailable
    }
}

impl Attribute {
    /// As Google writes it, or Firegate.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OriginIp => "origin.ip",
            Self::OriginUserIp => "origin.user_ip",
            Self::OriginRegionCode => "origin.region_code",
            Self::OriginAsn => "origin.asn",
            Self::OriginTlsJa3Fingerprint => "origin.tls_ja3_fingerprint",
            Self::OriginTlsJa4Fingerprint => "origin.tls_ja4_fingerprint",
            Self::RequestHeaders => "request.headers",
            Self::RequestMethod => "request.method",
            Self::RequestPath => "request.path",
            Self::RequestScheme => "request.scheme",
            Self::RequestQuery => "request.query",
            Self::RequestTime => "request.time",
            Self::RequestHost => "request.host",
            Self::RequestAccessLevels => "request.auth.access_levels",
            Self::ResourceName => "resource.name",
            Self::ResourceType => "resource.type",
            Self::ResourceService => "resource.service",
            Self::DestinationIp => "destination.ip",
            Self::DestinationPort => "destination.port",
            Self::AuthUid => "auth.uid",
            Self::AuthEmail => "auth.email",
            Self::AuthEmailVerified => "auth.email_verified",
            Self::AuthTenant => "auth.tenant",
            Self::AuthProvider => "auth.provider",
            Self::AuthAnonymous => "auth.anonymous",
            Self::AuthAppId => "auth.app_id",
            Self::AuthToken => "auth.token",
        }
    }
}
