//! Google's ID tokens, as every endpoint here mints them.

use serde_json::{Map, Value, json};

use super::service_account::unique_id;
use super::{KeyUnavailable, State};
use crate::limits::ID_TOKEN_LIFETIME;

/// The issuer of Google's ID tokens.
pub(crate) const ISSUER: &str = "https://accounts.google.com";

/// An ID token to be minted for a Google account or service account.
#[derive(Debug)]
pub(crate) struct IdToken<'a> {
    /// The account's e-mail address.
    pub(crate) email: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) authorized_party: &'a str,
    /// Whether the address is in the token.
    pub(crate) includes_email: bool,
    /// Further claims.
    pub(crate) extra: Map<String, Value>,
}

impl IdToken<'_> {
    pub(crate) async fn mint(self, state: &State) -> Result<String, KeyUnavailable> {
        let now = state.options.clock.now();
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), json!(self.audience));
        claims.insert("azp".to_owned(), json!(self.authorized_party));
        if self.includes_email {
            claims.insert("email".to_owned(), json!(self.email));
            claims.insert("email_verified".to_owned(), json!(true));
        }
        claims.insert("exp".to_owned(), json!(now.plus(ID_TOKEN_LIFETIME).as_seconds()));
        claims.extend(self.extra);
        claims.insert("iat".to_owned(), json!(now.as_seconds()));
        claims.insert("iss".to_owned(), json!(ISSUER));
        claims.insert("sub".to_owned(), json!(unique_id(self.email)));
        state.keys.sign(&Value::Object(claims)).await
    }
}
