use std::collections::BTreeMap;

use super::error::{OAuthCode, OAuthError};

/// The parameters of a token request (`application/x-www-form-urlencoded`).
#[derive(Debug)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads the body. A repeated parameter is refused, as RFC 6749, section 3.2, asks.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                let description = format!("Parameter not allowed more than once: {name}");
                return Err(OAuthError::new(OAuthCode::InvalidRequest, description));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter that is present and not empty: RFC 6749 treats an empty one as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| {
            OAuthError::new(OAuthCode::InvalidRequest, format!("Missing required parameter: {name}"))
        })
    }
}
