//! The attributes of each language, and what people write instead of them.

use super::node::Type;
use crate::attribute::Attribute;
use crate::language::{Dialect, Language};

/// Who knows a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Google, and so everybody.
    Google,
    /// Firegate alone.
    Firegate,
    /// Nobody.
    Nowhere,
}

impl Scope {
    pub(super) fn includes(self, dialect: Dialect) -> bool {
        match self {
            Self::Google => true,
            Self::Firegate => dialect == Dialect::Firegate,
            Self::Nowhere => false,
        }
    }
}

/// An attribute in the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) path: &'static str,
    /// `None` for what Firegate does not evaluate.
    pub(super) attribute: Option<Attribute>,
    pub(super) kind: Type,
    armor: Scope,
    iam: Scope,
}

impl Entry {
    pub(super) const fn scope(&self, language: Language) -> Scope {
        match language {
            Language::Armor => self.armor,
            Language::IamCondition => self.iam,
        }
    }
}

const fn armor(path: &'static str, attribute: Attribute, kind: Type) -> Entry {
    Entry { path, attribute: Some(attribute), kind, armor: Scope::Google, iam: Scope::Nowhere }
}

const fn iam(path: &'static str, attribute: Attribute, kind: Type) -> Entry {
    Entry { path, attribute: Some(attribute), kind, armor: Scope::Nowhere, iam: Scope::Google }
}

const fn user(path: &'static str, attribute: Attribute, kind: Type) -> Entry {
    Entry { path, attribute: Some(attribute), kind, armor: Scope::Firegate, iam: Scope::Firegate }
}

/// The spelling of Firebase Security Rules, in IAM conditions alone.
const fn security_rules(path: &'static str, attribute: Attribute, kind: Type) -> Entry {
    Entry { path, attribute: Some(attribute), kind, armor: Scope::Nowhere, iam: Scope::Firegate }
}

const fn unknown(path: &'static str, kind: Type) -> Entry {
    Entry { path, attribute: None, kind, armor: Scope::Google, iam: Scope::Nowhere }
}

/// <https://cloud.google.com/armor/docs/rules-language-reference#attributes>,
/// <https://cloud.google.com/iam/docs/conditions-attribute-reference>
pub(super) const ATTRIBUTES: &[Entry] = &[
    armor("origin.ip", Attribute::OriginIp, Type::Text),
    armor("origin.user_ip", Attribute::OriginUserIp, Type::Text),
    armor("origin.region_code", Attribute::OriginRegionCode, Type::Text),
    armor("origin.asn", Attribute::OriginAsn, Type::Int),
    armor("origin.tls_ja3_fingerprint", Attribute::OriginTlsJa3Fingerprint, Type::Text),
    armor("origin.tls_ja4_fingerprint", Attribute::OriginTlsJa4Fingerprint, Type::Text),
    armor("request.headers", Attribute::RequestHeaders, Type::Map),
    armor("request.method", Attribute::RequestMethod, Type::Text),
    armor("request.scheme", Attribute::RequestScheme, Type::Text),
    armor("request.query", Attribute::RequestQuery, Type::Text),
    Entry {
        path: "request.path",
        attribute: Some(Attribute::RequestPath),
        kind: Type::Text,
        armor: Scope::Google,
        iam: Scope::Google,
    },
    unknown("token.recaptcha_exemption.valid", Type::Bool),
    unknown("token.recaptcha_action.score", Type::Double),
    unknown("token.recaptcha_action.captcha_status", Type::Text),
    unknown("token.recaptcha_action.action", Type::Text),
    unknown("token.recaptcha_action.valid", Type::Bool),
    unknown("token.recaptcha_session.score", Type::Double),
    unknown("token.recaptcha_session.valid", Type::Bool),
    iam("request.time", Attribute::RequestTime, Type::Timestamp),
    iam("request.host", Attribute::RequestHost, Type::Text),
    iam("request.auth.access_levels", Attribute::RequestAccessLevels, Type::List),
    iam("resource.name", Attribute::ResourceName, Type::Text),
    iam("resource.type", Attribute::ResourceType, Type::Text),
    iam("resource.service", Attribute::ResourceService, Type::Text),
    iam("destination.ip", Attribute::DestinationIp, Type::Text),
    iam("destination.port", Attribute::DestinationPort, Type::Int),
    user("auth.uid", Attribute::AuthUid, Type::Text),
    user("auth.email", Attribute::AuthEmail, Type::Text),
    user("auth.email_verified", Attribute::AuthEmailVerified, Type::Bool),
    user("auth.tenant", Attribute::AuthTenant, Type::Text),
    user("auth.provider", Attribute::AuthProvider, Type::Text),
    user("auth.anonymous", Attribute::AuthAnonymous, Type::Bool),
    user("auth.app_id", Attribute::AuthAppId, Type::Text),
    user("auth.token", Attribute::AuthToken, Type::Map),
    security_rules("request.auth.uid", Attribute::AuthUid, Type::Text),
    security_rules("request.auth.token", Attribute::AuthToken, Type::Map),
];

/// The attribute that `path` names, whatever the dialect.
pub(super) fn attribute(language: Language, path: &str) -> Option<&'static Entry> {
    ATTRIBUTES.iter().find(|entry| entry.path == path && entry.scope(language) != Scope::Nowhere)
}

/// All names that may be written.
pub(super) fn known(language: Language, dialect: Dialect) -> impl Iterator<Item = &'static str> {
    ATTRIBUTES.iter().filter(move |entry| entry.scope(language).includes(dialect)).map(|entry| entry.path)
}

/// What to write instead of a name that is often guessed.
pub(super) fn often_guessed(language: Language, path: &str) -> Option<String> {
    let rest_of = |prefix: &str| path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
    let is_armor = language == Language::Armor;
    if let Some(header) = rest_of("request.header") {
        return Some(format!("headers are written `request.headers['{}']`", header.replace('_', "-")));
    }
    let claim = ["auth.claims", "request.auth.claims", "request.auth.token", "request.auth", "auth.token"]
        .into_iter()
        .find_map(rest_of);
    let token = rest_of("token").or_else(|| rest_of("jwt")).or_else(|| rest_of("claims"));
    Some(match path {
        "request.host" | "request.hostname" | "request.authority" if is_armor => {
            "the host is a header: `request.headers['host']`".to_owned()
        }
        "request.user_agent" if is_armor => "write `request.headers['user-agent']`".to_owned(),
        "request.url" | "request.uri" if is_armor => {
            "write `request.path` and `request.query`; the host is `request.headers['host']`".to_owned()
        }
        "request.url" | "request.uri" => "write `request.host` and `request.path`".to_owned(),
        "source.region_code" | "origin.region" | "origin.country" | "origin.country_code" => {
            "write `origin.region_code`".to_owned()
        }
        "source.ip" | "client.ip" | "request.ip" | "request.remote_ip" | "request.client_ip"
        | "remote_ip" => "write `origin.ip`".to_owned(),
        "request.body" | "request.params" => {
            "Google has announced this attribute, and does not have it yet; `request.query` has the query"
                .to_owned()
        }
        "origin.sni" => {
            "the server name can be a key of a rate limit (`SNI`), and is no attribute".to_owned()
        }
        "auth.sub" | "auth.user_id" | "auth.id" | "request.auth.sub" | "request.auth.user_id" => {
            "the user's id is `auth.uid`".to_owned()
        }
        "auth.role" | "auth.roles" | "auth.admin" => {
            format!(
                "claims are under `auth.token`: `auth.token.{}`",
                claim.unwrap_or("role").trim_start_matches("auth.")
            )
        }
        _ => match (claim, token) {
            (Some(claim), _) | (None, Some(claim)) => {
                format!("a claim of the verified user is `auth.token.{claim}`, in dialect `firegate`")
            }
            _ => return None,
        },
    })
}
