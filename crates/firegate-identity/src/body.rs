//! Request bodies: JSON objects and forms, read as leniently as Google's front end reads them. Names may be in camel
//! or in snake case, numbers may stand for strings and strings for numbers.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::limits::{BODY_BYTES_MAX, BODY_TIMEOUT};

/// A request's fields under their camel-case names. Passwords and tokens are among them, so it cannot be printed.
#[derive(Clone, Default)]
pub(crate) struct RequestBody(Map<String, Value>);

impl RequestBody {
    /// Reads the body of a request: a form if it says so, else JSON, whatever it says.
    pub(crate) async fn read(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_bytes(&parts.headers, body).await?;
        if !parts.headers.get(CONTENT_TYPE).is_some_and(is_form) {
            return Self::from_json(&bytes);
        }
        // `curl -d` calls everything a form. As one it has a single field of a strange name, and all that it says
        // would count as not said: who signs up with address and password would be made an anonymous user.
        if bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::InvalidArgument(
                "Its Content-Type says that it is a form; send it with Content-Type: application/json."
                    .to_owned(),
            ));
        }
        Ok(Self::from_form(&bytes))
    }

    /// Reads a JSON object; nothing at all is an object without members.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, ApiError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let object = firegate_core::jose::strict_json::parse_object(bytes)
            .map_err(|error| ApiError::InvalidArgument(error.to_string()))?;
        Ok(Self::from_fields(object))
    }

    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn from_form(bytes: &[u8]) -> Self {
        let fields = form_urlencoded::parse(bytes);
        Self::from_fields(
            fields.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect(),
        )
    }

    fn from_fields(fields: Map<String, Value>) -> Self {
        let named = fields.into_iter().filter(|(_, value)| !value.is_null());
        Self(named.map(|(name, value)| (camel_case(&name), value)).collect())
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the field is a list with something in it.
    pub(crate) fn has_elements(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_array).is_some_and(|values| !values.is_empty())
    }

    /// A field that is a string.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.0.get(name).map(|value| as_text(name, value)).transpose()
    }

    /// A field that is a string with something in it.
    pub(crate) fn nonempty_text(&self, name: &str) -> Result<Option<String>, ApiError> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A field that is a list of strings, or one string.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, ApiError> {
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(|value| as_text(name, value)).collect(),
            Some(value) => Ok(vec![as_text(name, value)?]),
        }
    }

    /// A field that is true or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(unexpected(name, "true or false")),
        }
    }

    /// A field that is a whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        self.0
            .get(name)
            .map(|value| number(value).ok_or_else(|| unexpected(name, "a whole number")))
            .transpose()
    }

    /// A field that is an object; without it an empty one.
    pub(crate) fn object(&self, name: &str) -> Result<Map<String, Value>, ApiError> {
        match self.0.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object.clone()),
            Some(_) => Err(unexpected(name, "an object")),
        }
    }
}

fn is_form(content_type: &HeaderValue) -> bool {
    let media_type = content_type.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

async fn read_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(ApiError::BodyTooLarge);
    }
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await {
        Err(_) => Err(ApiError::BodyTimeout),
        Ok(Err(_)) if announced.is_none() => Err(ApiError::BodyTooLarge),
        Ok(Err(error)) => Err(ApiError::InvalidArgument(error.to_string())),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

fn as_text(name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(unexpected(name, "a string")),
    }
}

fn unexpected(name: &str, expected: &str) -> ApiError {
    ApiError::InvalidArgument(format!("The field {name} has to be {expected}."))
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        match character {
            '_' => raise = true,
            _ if raise => {
                camel.extend(character.to_uppercase());
                raise = false;
            }
            _ => camel.push(character),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_read_leniently() {
        let body = RequestBody::from_json(
            br#"{"grant_type":"refresh_token","validDuration":"300","n":7,"on":"true","list":["a",1],"none":null}"#,
        )
        .unwrap();
        assert_eq!(body.text("grantType").unwrap().as_deref(), Some("refresh_token"));
        assert_eq!(body.integer("validDuration").unwrap(), Some(300));
        assert_eq!(body.text("n").unwrap().as_deref(), Some("7"));
        assert_eq!(body.flag("on").unwrap(), Some(true));
        assert_eq!(body.texts("list").unwrap(), ["a", "1"]);
        assert!(!body.has("none"));
        assert!(body.text("list").is_err());
        assert!(RequestBody::from_json(b" ").unwrap().text("x").unwrap().is_none());
        assert!(RequestBody::from_json(b"[]").is_err());
        assert!(RequestBody::from_json(b"{").is_err());
    }

    #[test]
    fn forms_are_read_like_objects() {
        let body = RequestBody::from_form(b"grant_type=refresh_token&refresh_token=a%2Bb");
        assert_eq!(body.text("refreshToken").unwrap().as_deref(), Some("a+b"));
    }
}
