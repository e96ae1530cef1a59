use std::sync::OnceLock;

use firegate_files::members::is_registered_claim;
use serde_json::{Map, Value};

use super::TokenKind;
use crate::jose::{JsonDocument, JsonValue};

/// The claims of a verified token that say more of its user than every token does. Most requests ask for none of them: they
/// become trees of values when somebody does.
#[derive(Clone, Debug)]
pub struct Claims {
    payload: JsonDocument,
    /// An exchanged token has the user's own nested.
    are_nested: bool,
    own: OnceLock<Map<String, Value>>,
    firebase: OnceLock<Map<String, Value>>,
}

impl Claims {
    pub(super) fn new(kind: TokenKind, payload: JsonDocument) -> Self {
        let are_nested = kind == TokenKind::ExchangedToken;
        Self { payload, are_nested, own: OnceLock::new(), firebase: OnceLock::new() }
    }

    /// The custom claims and the profile's `name`, `picture` and `phone_number`.
    pub fn own(&self) -> &Map<String, Value> {
        self.own.get_or_init(|| {
            if self.are_nested {
                return self.object("claims");
            }
            let members = self.payload.object().iter().filter(|(name, _)| !is_registered_claim(name));
            members.map(|(name, value)| (name.to_owned(), value.into())).collect()
        })
    }

    /// The `firebase` claim.
    pub fn firebase(&self) -> &Map<String, Value> {
        self.firebase.get_or_init(|| self.object("firebase"))
    }

    fn object(&self, claim: &str) -> Map<String, Value> {
        self.payload.object().get(claim).and_then(JsonValue::as_object).map(Map::from).unwrap_or_default()
    }
}

impl PartialEq for Claims {
    fn eq(&self, other: &Self) -> bool {
        self.own() == other.own() && self.firebase() == other.firebase()
    }
}

#[cfg(test)]
impl From<Map<String, Value>> for Claims {
    fn from(own: Map<String, Value>) -> Self {
        let payload = JsonDocument::from(&own);
        Self::new(TokenKind::IdToken, payload)
    }
}
