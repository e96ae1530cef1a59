//! A request to ask, and the tables: what is accepted, what it says, what is refused and why.

mod armor;
mod iam;
mod lints;
mod logic;
mod refused;
mod traces;
mod user;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::{Attribute, Attributes, Dialect, Expression, Fact, Language, Outcome, Value};

/// A request: attributes by name, headers, and claims if somebody is signed in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) attributes: BTreeMap<&'static str, Json>,
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
    pub(crate) claims: Option<Map<String, Json>>,
    pub(crate) unavailable: Vec<Attribute>,
    pub(crate) time: i64,
    pub(crate) ignores_case_of_path: bool,
}

impl Attributes for Request {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        if self.unavailable.contains(&attribute) {
            return Fact::Unavailable;
        }
        if attribute == Attribute::RequestTime {
            return Fact::Known(Value::time(self.time));
        }
        match (attribute, self.attributes.get(attribute.name())) {
            (_, None) => Fact::Absent,
            (Attribute::OriginIp | Attribute::OriginUserIp, Some(Json::String(ip)))
                if ip.parse::<std::net::IpAddr>().is_ok() =>
            {
                Fact::Known(Value::Address(ip.parse().unwrap()))
            }
            (_, Some(value)) => Fact::Known(value.into()),
        }
    }

    fn ignores_case_of_path(&self) -> bool {
        self.ignores_case_of_path
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers.get(name).map(|value| Cow::Borrowed(&**value))
    }

    fn knows_header(&self, _: &str) -> bool {
        !self.unavailable.contains(&Attribute::RequestHeaders)
    }

    fn knows_user(&self) -> bool {
        !self.unavailable.contains(&Attribute::AuthToken)
    }

    fn has_user(&self) -> bool {
        self.claims.is_some()
    }

    fn claim(&self, name: &str) -> Fact<'_> {
        self.claims.as_ref().and_then(|claims| claims.get(name)).map(Value::from).into()
    }
}

/// A browser's request from Australia, with a signed-in user.
pub(crate) fn request() -> Request {
    let attributes = [
        ("origin.ip", json!("203.0.113.9")),
        ("origin.user_ip", json!("2001:db8::7")),
        ("origin.region_code", json!("AU")),
        ("origin.asn", json!(15169)),
        ("origin.tls_ja4_fingerprint", json!("t13d1516h2_8daaf6152771_b186095e22b6")),
        ("request.method", json!("GET")),
        ("request.path", json!("/api/Users/7")),
        ("request.scheme", json!("https")),
        ("request.query", json!("q=google%21&n=12")),
        ("request.host", json!("api.example.com")),
        ("resource.name", json!("projects/p/locations/europe-west1/services/api")),
        ("resource.type", json!("run.googleapis.com/Service")),
        ("resource.service", json!("run.googleapis.com")),
        ("auth.uid", json!("alice")),
        ("auth.email", json!("alice@example.com")),
        ("auth.email_verified", json!(true)),
        ("auth.provider", json!("password")),
        ("auth.anonymous", json!(false)),
    ];
    let headers = [
        ("host", "www.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("x-number", "42"),
        ("x-data", "YWJj"),
        ("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"),
    ];
    let claims = json!({
        "sub": "alice", "email": "alice@example.com", "email_verified": true, "admin": true, "level": 3, "score": 1.5,
        "roles": ["editor", "billing"], "org": {"id": "acme", "plan": {"name": "pro"}}, "nothing": null,
        "firebase": {"sign_in_provider": "password", "identities": {"email": ["alice@example.com"]}}
    });
    Request {
        attributes: attributes.into_iter().collect(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .collect(),
        claims: claims.as_object().cloned(),
        unavailable: Vec::new(),
        // A Monday, 10:30 UTC.
        time: 1_793_615_400,
        ignores_case_of_path: false,
    }
}

pub(crate) fn parse(text: &str, language: Language, dialect: Dialect) -> Expression {
    Expression::parse(text, language, dialect).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

/// What the expression says of [`request`], in short.
pub(crate) fn said(text: &str, language: Language, dialect: Dialect, request: &Request) -> String {
    match parse(text, language, dialect).evaluate(request) {
        Outcome::True => "true".to_owned(),
        Outcome::False => "false".to_owned(),
        Outcome::Unknown(name) => format!("unknown: {name}"),
        Outcome::Error(error) => format!("error: {error}"),
    }
}
