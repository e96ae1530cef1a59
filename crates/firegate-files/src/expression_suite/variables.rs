//! What a test says of a request. What it does not say is empty, zero or false, as in Google's tool.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use firegate_expr::{Attribute, Attributes, Fact, Value};
use serde_json::{Map, Value as Json};

use super::entries;
use crate::yaml::{self, Node, ScalarKind};

/// How the text of a variable is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Number,
    Truth,
    Time,
}

const VARIABLES: [(Attribute, Form); 24] = [
    (Attribute::OriginIp, Form::Text),
    (Attribute::OriginUserIp, Form::Text),
    (Attribute::OriginRegionCode, Form::Text),
    (Attribute::OriginAsn, Form::Number),
    (Attribute::OriginTlsJa3Fingerprint, Form::Text),
    (Attribute::OriginTlsJa4Fingerprint, Form::Text),
    (Attribute::RequestMethod, Form::Text),
    (Attribute::RequestPath, Form::Text),
    (Attribute::RequestScheme, Form::Text),
    (Attribute::RequestQuery, Form::Text),
    (Attribute::RequestTime, Form::Time),
    (Attribute::RequestHost, Form::Text),
    (Attribute::ResourceName, Form::Text),
    (Attribute::ResourceType, Form::Text),
    (Attribute::ResourceService, Form::Text),
    (Attribute::DestinationIp, Form::Text),
    (Attribute::DestinationPort, Form::Number),
    (Attribute::AuthUid, Form::Text),
    (Attribute::AuthEmail, Form::Text),
    (Attribute::AuthEmailVerified, Form::Truth),
    (Attribute::AuthTenant, Form::Text),
    (Attribute::AuthProvider, Form::Text),
    (Attribute::AuthAnonymous, Form::Truth),
    (Attribute::AuthAppId, Form::Text),
];

/// How what is written becomes a value.
type Reading = fn(&str) -> Option<Json>;

/// What Firegate does not evaluate, and a test can say.
const UNEVALUATED: [(&str, Reading); 7] = [
    ("token.recaptcha_exemption.valid", truth),
    ("token.recaptcha_action.valid", truth),
    ("token.recaptcha_action.score", fraction),
    ("token.recaptcha_action.captcha_status", text),
    ("token.recaptcha_action.action", text),
    ("token.recaptcha_session.valid", truth),
    ("token.recaptcha_session.score", fraction),
];

fn truth(written: &str) -> Option<Json> {
    written.parse().ok().map(Json::Bool)
}

fn fraction(written: &str) -> Option<Json> {
    written.parse::<f64>().ok().map(Json::from)
}

fn text(written: &str) -> Option<Json> {
    Some(Json::from(written))
}

/// The names of all variables.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    let attributes = VARIABLES.iter().map(|(attribute, _)| attribute.name());
    attributes.chain(UNEVALUATED.iter().map(|(name, _)| *name)).chain(["request.headers", "auth.token"])
}

/// A request, as a test describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    attributes: BTreeMap<&'static str, Json>,
    headers: BTreeMap<String, String>,
    /// The claims of the verified user, if there is one.
    claims: Option<Map<String, Json>>,
    time: Option<i64>,
    unevaluated: BTreeMap<&'static str, Json>,
}

impl Variables {
    /// Reads what stands under `when`, and says which keys mean nothing.
    pub(super) fn of(when: Option<&Node>) -> (Self, Vec<Vec<String>>) {
        let mut variables = Self::default();
        for (name, read) in UNEVALUATED {
            let default = ["false", "0", ""].into_iter().find_map(read);
            variables.unevaluated.extend(default.map(|value| (name, value)));
        }
        // A text has a default of its own: nothing, and not the word.
        for name in ["token.recaptcha_action.captcha_status", "token.recaptcha_action.action"] {
            variables.unevaluated.insert(name, Json::from(""));
        }
        let mut unknown = Vec::new();
        if let Some(when) = when {
            variables.read(when, &mut Vec::new(), &mut unknown);
        }
        if let Some(claims) = &mut variables.claims {
            let known =
                [("sub", "auth.uid"), ("email", "auth.email"), ("email_verified", "auth.email_verified")];
            for (claim, attribute) in known {
                if let (Some(value), false) =
                    (variables.attributes.get(attribute), claims.contains_key(claim))
                {
                    claims.insert(claim.to_owned(), value.clone());
                }
            }
        }
        (variables, unknown)
    }

    fn read(&mut self, node: &Node, path: &mut Vec<String>, unknown: &mut Vec<Vec<String>>) {
        for entry in entries(node) {
            path.push(entry.key.clone());
            let name = path.join(".");
            if name == "auth" {
                self.claims.get_or_insert_default();
            }
            let is_variable =
                name == "request.headers" || name == "auth.token" || self.variable(&name, &entry.value);
            match name.as_str() {
                "request.headers" => {
                    for header in entries(&entry.value) {
                        self.headers
                            .insert(header.key.to_ascii_lowercase(), scalar(&header.value).to_owned());
                    }
                }
                "auth.token" => {
                    let claims =
                        entries(&entry.value).iter().map(|claim| (claim.key.clone(), json(&claim.value)));
                    self.claims.get_or_insert_default().extend(claims);
                }
                _ if is_variable => {}
                _ if entries(&entry.value).is_empty() && !entry.value.is_null() => unknown.push(path.clone()),
                _ if known().any(|known| known.starts_with(&format!("{name}."))) => {
                    self.read(&entry.value, path, unknown);
                }
                _ => unknown.push(path.clone()),
            }
            path.pop();
        }
    }

    /// Keeps the value of a variable; false if there is none of this name, or the value cannot be its.
    fn variable(&mut self, name: &str, node: &Node) -> bool {
        if !entries(node).is_empty() {
            return false;
        }
        let written = scalar(node);
        if let Some((name, read)) = UNEVALUATED.iter().find(|(known, _)| *known == name) {
            return read(written).map(|value| self.unevaluated.insert(name, value)).is_some();
        }
        let Some((attribute, form)) = VARIABLES.iter().find(|(attribute, _)| attribute.name() == name) else {
            return false;
        };
        let value = match form {
            Form::Text => Some(Json::from(written)),
            Form::Number => written.parse::<i64>().ok().map(Json::from),
            Form::Truth => truth(written),
            Form::Time => {
                self.time = firegate_expr::Timestamp::parse(written)
                    .map(firegate_expr::Timestamp::seconds)
                    .or_else(|| written.parse().ok());
                return self.time.is_some();
            }
        };
        value.map(|value| self.attributes.insert(attribute.name(), value)).is_some()
    }
}

impl Attributes for Variables {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        if attribute == Attribute::RequestTime {
            return self.time.map(Value::time).into();
        }
        let is_address =
            matches!(attribute, Attribute::OriginIp | Attribute::OriginUserIp | Attribute::DestinationIp);
        match self.attributes.get(attribute.name()) {
            None => Fact::Absent,
            Some(Json::String(text)) if is_address => match text.parse::<IpAddr>() {
                Ok(address) if address.to_string() == *text => Fact::Known(Value::Address(address)),
                _ => Fact::Known(Value::text(text)),
            },
            Some(value) => Fact::Known(value.into()),
        }
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers.get(name).map(|value| Cow::Borrowed(value.as_bytes()))
    }

    fn has_user(&self) -> bool {
        self.claims.is_some()
    }

    fn claim(&self, name: &str) -> Fact<'_> {
        self.claims.as_ref().and_then(|claims| claims.get(name)).map(Value::from).into()
    }

    fn unevaluated(&self, name: &str) -> Fact<'_> {
        self.unevaluated.get(name).map_or(Fact::Unavailable, |value| Fact::Known(value.into()))
    }
}

fn scalar(node: &Node) -> &str {
    match &node.value {
        yaml::Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => &scalar.text,
        _ => "",
    }
}

/// A claim: what YAML says of its type holds.
fn json(node: &Node) -> Json {
    match &node.value {
        yaml::Value::Mapping(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
        yaml::Value::Sequence(nodes) => Json::Array(nodes.iter().map(json).collect()),
        yaml::Value::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => Json::Null,
            ScalarKind::Boolean(truth) => Json::Bool(truth),
            ScalarKind::Integer | ScalarKind::Float => {
                serde_json::from_str(&scalar.text).unwrap_or_else(|_| Json::from(scalar.text.as_str()))
            }
            ScalarKind::Text => Json::from(scalar.text.as_str()),
        },
    }
}
