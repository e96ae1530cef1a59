//! A workload identity pool's provider: whose tokens it takes, what it makes of their claims, and which it rejects.
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers>

use std::collections::BTreeMap;
use std::str::FromStr;

use firegate_core::limits::FEDERATED_SUBJECT_BYTES_MAX;
use serde_json::{Map, Value};
use url::Url;

use super::error::{OAuthCode, OAuthError};
use super::options::OptionsError;
use crate::limits::ATTRIBUTES_BYTES_MAX;
use crate::member::FederatedPrincipal;

const SUBJECT: &str = "google.subject";
const GROUPS: &str = "google.groups";
const ATTRIBUTE_PREFIX: &str = "attribute.";

/// An OIDC provider of a workload identity pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadIdentityProvider {
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub name: String,
    /// The exact `iss` of its tokens. A trailing slash here may be missing there, as in the documented commands.
    pub issuer: String,
    /// The `aud` values that are accepted; if empty, the provider's own resource name is.
    pub allowed_audiences: Vec<String>,
    /// Where its JWK set or map of certificates is published (`http://` on this machine).
    pub jwks_url: Url,
    /// What becomes of the token's claims; one entry is for `google.subject`.
    pub attribute_mapping: Vec<AttributeMapping>,
    /// What the claims have to fulfil. Without one, every token of the issuer is admitted.
    pub attribute_condition: Option<AttributeCondition>,
}

/// One entry of an attribute mapping: `target=assertion.source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeMapping {
    /// `google.subject`, `google.groups` or `attribute.NAME`.
    pub target: String,
    /// The claim it is taken from.
    pub source: ClaimPath,
}

/// A claim of the token, written `assertion.NAME` or `assertion.OBJECT.NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath(Vec<String>);

/// Why a text is no claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no claim of the token; write assertion.NAME")]
pub struct ClaimPathError(String);

impl FromStr for ClaimPath {
    type Err = ClaimPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<_> =
            text.strip_prefix("assertion.").into_iter().flat_map(|path| path.split('.')).collect();
        if names.is_empty() || names.iter().any(|name| name.is_empty()) {
            return Err(ClaimPathError(text.to_owned()));
        }
        Ok(Self(names.into_iter().map(str::to_owned).collect()))
    }
}

impl ClaimPath {
    fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.get(name))
    }
}

/// A literal that a claim is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimLiteral {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
}

/// What a token's claims have to fulfil: the part of IAM's condition language that such conditions need. As in that
/// language, a comparison with a claim that is absent is an error, and an error rejects the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeCondition {
    /// `assertion.NAME == LITERAL`.
    Equals(ClaimPath, ClaimLiteral),
    /// `has(assertion.NAME)`.
    Has(ClaimPath),
    /// `!(…)`.
    Not(Box<AttributeCondition>),
    /// `… && …`.
    All(Vec<AttributeCondition>),
    /// `… || …`.
    Any(Vec<AttributeCondition>),
}

impl AttributeCondition {
    /// Whether the claims fulfil it; `None` is an error. `&&` and `||` absorb an error whose value cannot matter.
    fn evaluate(&self, claims: &Map<String, Value>) -> Option<bool> {
        match self {
            Self::Equals(path, literal) => path.find(claims).map(|value| match literal {
                ClaimLiteral::Text(text) => value.as_str() == Some(text),
                ClaimLiteral::Truth(truth) => value.as_bool() == Some(*truth),
            }),
            Self::Has(path) => Some(path.find(claims).is_some()),
            Self::Not(condition) => condition.evaluate(claims).map(|truth| !truth),
            Self::All(conditions) => absorb(conditions, claims, false),
            Self::Any(conditions) => absorb(conditions, claims, true),
        }
    }
}

/// The value of conditions joined by an operator that `decisive` decides alone.
fn absorb(conditions: &[AttributeCondition], claims: &Map<String, Value>, decisive: bool) -> Option<bool> {
    let values: Vec<_> = conditions.iter().map(|condition| condition.evaluate(claims)).collect();
    if values.contains(&Some(decisive)) {
        return Some(decisive);
    }
    if values.contains(&None) { None } else { Some(!decisive) }
}

impl WorkloadIdentityProvider {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if self.pool().is_none() {
            return Err(OptionsError::ProviderName(self.name.clone()));
        }
        for AttributeMapping { target, .. } in &self.attribute_mapping {
            let named = target.strip_prefix(ATTRIBUTE_PREFIX).is_some_and(|name| !name.is_empty());
            if !named && target != SUBJECT && target != GROUPS {
                return Err(OptionsError::AttributeName(target.clone()));
            }
        }
        if self.attribute_mapping.iter().all(|mapping| mapping.target != SUBJECT) {
            return Err(OptionsError::NoSubjectMapping(self.name.clone()));
        }
        Ok(())
    }

    /// The pool's resource name.
    fn pool(&self) -> Option<&str> {
        let (pool, provider) = self.name.split_once("/providers/")?;
        let parts: Vec<_> = pool.split('/').collect();
        let named = matches!(
            parts.as_slice(),
            ["projects", number, "locations", "global", "workloadIdentityPools", name]
                if !number.is_empty() && !name.is_empty()
        );
        (named && !provider.is_empty() && !provider.contains('/')).then_some(pool)
    }

    /// The name that token requests give as `audience`.
    pub(crate) fn audience(&self) -> String {
        format!("//iam.googleapis.com/{}", self.name)
    }

    pub(crate) fn accepts_issuer(&self, issuer: &str) -> bool {
        issuer == self.issuer || issuer == self.issuer.trim_end_matches('/')
    }

    pub(crate) fn accepts_audience(&self, audience: &str) -> bool {
        if self.allowed_audiences.is_empty() {
            let canonical = self.audience();
            audience == canonical || audience.strip_prefix("https:") == Some(canonical.as_str())
        } else {
            self.allowed_audiences.iter().any(|allowed| allowed == audience)
        }
    }

    /// The principal that the claims of a verified token describe.
    pub(crate) fn admit(&self, claims: &Map<String, Value>) -> Result<FederatedPrincipal, OAuthError> {
        let invalid = |description: String| OAuthError::new(OAuthCode::InvalidGrant, description);
        let mut principal = FederatedPrincipal {
            pool: self.pool().unwrap_or_default().to_owned(),
            subject: String::new(),
            groups: Vec::new(),
            attributes: BTreeMap::new(),
        };
        let mut attributes_bytes = 0;
        for AttributeMapping { target, source } in &self.attribute_mapping {
            let value = source.find(claims);
            let texts = match (target.as_str(), value) {
                (GROUPS, Some(Value::Array(values))) => {
                    values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
                }
                (_, value) => value.and_then(Value::as_str).map(|text| vec![text]),
            };
            let texts = texts.ok_or_else(|| {
                invalid(format!(
                    "The mapped attribute '{target}' must be of type STRING, and its claim present."
                ))
            })?;
            attributes_bytes += texts.iter().map(|text| text.len()).sum::<usize>();
            let first = texts.first().copied().unwrap_or_default();
            match target.as_str() {
                SUBJECT if first.len() > FEDERATED_SUBJECT_BYTES_MAX => {
                    return Err(invalid(format!(
                        "The size of mapped attribute {SUBJECT} exceeds the {FEDERATED_SUBJECT_BYTES_MAX} bytes \
                         limit. Either modify your attribute mapping or the incoming assertion to produce a mapped \
                         attribute that is less than {FEDERATED_SUBJECT_BYTES_MAX} bytes."
                    )));
                }
                SUBJECT if first.is_empty() => {
                    return Err(invalid(format!("The mapped attribute {SUBJECT} must not be empty.")));
                }
                SUBJECT => principal.subject = first.to_owned(),
                GROUPS => principal.groups = texts.into_iter().map(str::to_owned).collect(),
                _ => {
                    let name = target.strip_prefix(ATTRIBUTE_PREFIX).unwrap_or(target);
                    principal.attributes.insert(name.to_owned(), first.to_owned());
                }
            }
        }
        if attributes_bytes > ATTRIBUTES_BYTES_MAX {
            return Err(invalid(format!(
                "The total size of the mapped attributes exceeds the {ATTRIBUTES_BYTES_MAX} bytes limit."
            )));
        }
        if self.attribute_condition.as_ref().is_some_and(|condition| condition.evaluate(claims) != Some(true))
        {
            return Err(OAuthError::new(
                OAuthCode::UnauthorizedClient,
                "The given credential is rejected by the attribute condition.",
            ));
        }
        Ok(principal)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> ClaimPath {
        text.parse().unwrap()
    }

    fn provider_is(name: &str) -> AttributeCondition {
        AttributeCondition::Equals(
            path("assertion.firebase.sign_in_provider"),
            ClaimLiteral::Text(name.to_owned()),
        )
    }

    fn check(condition: &AttributeCondition, claims: &Value, expected: Option<bool>) {
        assert_eq!(condition.evaluate(claims.as_object().unwrap()), expected, "{condition:?} of {claims}");
    }

    #[test]
    fn conditions_are_evaluated_as_the_condition_language_does() {
        let password = json!({ "email_verified": true, "firebase": { "sign_in_provider": "password" } });
        let not_anonymous = AttributeCondition::Not(Box::new(provider_is("anonymous")));
        let verified =
            AttributeCondition::Equals(path("assertion.email_verified"), ClaimLiteral::Truth(true));
        check(&not_anonymous, &password, Some(true));
        check(&not_anonymous, &json!({ "firebase": { "sign_in_provider": "anonymous" } }), Some(false));
        check(&not_anonymous, &json!({}), None);
        check(&verified, &password, Some(true));
        check(&verified, &json!({ "email_verified": "true" }), Some(false));
        check(&AttributeCondition::Has(path("assertion.email_verified")), &json!({}), Some(false));
        check(&AttributeCondition::All(vec![verified.clone(), not_anonymous.clone()]), &password, Some(true));
        let unverified = json!({ "email_verified": false });
        check(
            &AttributeCondition::All(vec![not_anonymous.clone(), verified.clone()]),
            &unverified,
            Some(false),
        );
        check(&AttributeCondition::Any(vec![not_anonymous, verified]), &unverified, None);
    }

    #[test]
    fn a_claim_is_named_from_assertion_on() {
        for text in ["assertion", "assertion.", "assertion..a", "google.subject", ""] {
            assert!(text.parse::<ClaimPath>().is_err(), "{text:?}");
        }
    }
}
