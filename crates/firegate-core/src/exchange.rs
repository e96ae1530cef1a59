//! The token exchange of RFC 8693: a user's Firebase token in, a short-lived token for one backend's audience out. Here is
//! what a request says and what an error says; whether the user may is [`Decision::exchange`](crate::decision::Decision)'s
//! to decide, by the rules of a request to that backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use firegate_files::configuration::Credential;
use serde_json::{Value, json};

use crate::limits::EXCHANGE_FORM_BYTES_MAX;
use crate::reason::{Code, Denial, Fault};
use crate::snapshot::{Backend, Snapshot};

/// The grant type of RFC 8693, section 2.1.
pub const TOKEN_EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A JWT: a Firebase ID token or session cookie in, Firegate's own token out.
pub const JWT_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An ID token: a Firebase ID token in, a Google ID token out.
pub const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";

/// What a client asks the token endpoint for.
#[derive(Clone, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// The user's token.
    pub subject_token: String,
    /// The subject token has to be a Firebase ID token, because the client says so; else it may be a session cookie.
    pub subject_is_id_token: bool,
    /// The audience of the token that is asked for.
    pub audience: String,
    /// What kind of token is asked for.
    pub requested: RequestedToken,
}

/// What kind of token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedToken {
    /// Firegate's own, about the user.
    Firegate,
    /// A Google ID token that the user's own federation yields.
    GoogleIdToken,
}

/// The error codes of RFC 6749, section 5.2, and RFC 8693, section 2.2.2, as far as they occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeErrorCode {
    /// The request is not one, or its subject token is not acceptable.
    InvalidRequest,
    /// The token of this user may not be had by this user.
    UnauthorizedClient,
    /// Another grant than the token exchange.
    UnsupportedGrantType,
    /// A scope, of which there are none.
    InvalidScope,
    /// No backend has this audience, or none that such a token can be had for.
    InvalidTarget,
    /// It could not be decided (RFC 6749 has this code for the other endpoint; no other one says "not your fault").
    TemporarilyUnavailable,
}

/// Why no token is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeError {
    /// What kind of error it is.
    pub code: ExchangeErrorCode,
    /// One sentence for the client's developer. It tells nothing of the policy.
    pub description: String,
    /// The status of the answer.
    pub status: u16,
    /// The stable reason, if the decision refused.
    pub reason: Option<Code>,
}

impl ExchangeRequest {
    /// Reads the form of a request to the token endpoint. Parameters that are not known are ignored, as RFC 6749, section 3.2,
    /// asks; those that are known may occur once.
    ///
    /// # Errors
    /// If it is no token exchange that can be answered.
    pub fn parse(form: &[u8]) -> Result<Self, ExchangeError> {
        if form.len() > EXCHANGE_FORM_BYTES_MAX {
            return Err(invalid(format!("the form is longer than {EXCHANGE_FORM_BYTES_MAX} bytes")));
        }
        let mut parameters = Parameters::read(form)?;
        match parameters.take("grant_type").as_deref() {
            Some(TOKEN_EXCHANGE_GRANT) => {}
            None => return Err(invalid("`grant_type` is missing")),
            Some(_) => {
                let why = format!("`grant_type` has to be {TOKEN_EXCHANGE_GRANT}");
                return Err(ExchangeError::new(ExchangeErrorCode::UnsupportedGrantType, why));
            }
        }
        if parameters.take("actor_token").is_some() || parameters.take("actor_token_type").is_some() {
            return Err(invalid(
                "`actor_token` is not supported: a user's token is exchanged for that user alone",
            ));
        }
        if parameters.take("scope").is_some_and(|scope| !scope.trim().is_empty()) {
            let why = "there are no scopes: the audience says what the token is for";
            return Err(ExchangeError::new(ExchangeErrorCode::InvalidScope, why));
        }
        let subject_token =
            parameters.take("subject_token").ok_or_else(|| invalid("`subject_token` is missing"))?;
        let subject_is_id_token = match parameters.take("subject_token_type").as_deref() {
            Some(ID_TOKEN_TYPE) => true,
            Some(JWT_TOKEN_TYPE) => false,
            None => return Err(invalid("`subject_token_type` is missing")),
            Some(_) => {
                return Err(invalid(format!(
                    "`subject_token_type` has to be {ID_TOKEN_TYPE} or {JWT_TOKEN_TYPE}"
                )));
            }
        };
        let requested = match parameters.take("requested_token_type").as_deref() {
            None | Some(JWT_TOKEN_TYPE) => RequestedToken::Firegate,
            Some(ID_TOKEN_TYPE) => RequestedToken::GoogleIdToken,
            Some(_) => {
                return Err(invalid(format!(
                    "`requested_token_type` has to be {JWT_TOKEN_TYPE} or {ID_TOKEN_TYPE}"
                )));
            }
        };
        let audience = match (parameters.take("audience"), parameters.take("resource")) {
            (Some(audience), None) | (None, Some(audience)) => audience,
            (None, None) => {
                return Err(ExchangeError::new(ExchangeErrorCode::InvalidTarget, "`audience` is missing"));
            }
            (Some(_), Some(_)) => {
                let why = "a token is for one audience: send `audience` or `resource`, not both";
                return Err(ExchangeError::new(ExchangeErrorCode::InvalidTarget, why));
            }
        };
        Ok(Self { subject_token, subject_is_id_token, audience, requested })
    }

    /// Whether a session cookie does not do: because the client says that it sends an ID token, or because Google, which is to
    /// take it, knows no cookies.
    pub(crate) fn needs_id_token(&self) -> bool {
        self.subject_is_id_token || self.requested == RequestedToken::GoogleIdToken
    }

    /// The one backend that the token would be for.
    ///
    /// # Errors
    /// If there is none, or several, or none that such a token can be had for.
    pub fn target<'a>(&self, snapshot: &'a Snapshot) -> Result<&'a Arc<Backend>, ExchangeError> {
        let target = |why: &str| ExchangeError::new(ExchangeErrorCode::InvalidTarget, why);
        let is_for = |backend: &&Arc<Backend>| backend.audiences().any(|audience| audience == self.audience);
        let mut backends = snapshot.backends.iter().filter(is_for);
        let (Some(backend), None) = (backends.next(), backends.next()) else {
            return Err(target("`audience` is not that of a backend"));
        };
        let federates = matches!(backend.credential(), Credential::FederateUser { .. });
        match self.requested {
            // A token of the account that Firegate itself calls with is never handed out.
            RequestedToken::GoogleIdToken if !federates => Err(target(
                "a Google ID token can be had for backends with `credential: federate_user` alone",
            )),
            RequestedToken::GoogleIdToken | RequestedToken::Firegate => Ok(backend),
        }
    }
}

impl std::fmt::Debug for ExchangeRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the token.
        formatter
            .debug_struct("ExchangeRequest")
            .field("audience", &self.audience)
            .field("requested", &self.requested)
            .finish_non_exhaustive()
    }
}

/// The parameters of a form, each at most once.
struct Parameters(BTreeMap<String, String>);

/// Parameters that mean something here.
const KNOWN_PARAMETERS: [&str; 10] = [
    "actor_token",
    "actor_token_type",
    "audience",
    "grant_type",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "client_id",
];

impl Parameters {
    fn read(form: &[u8]) -> Result<Self, ExchangeError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            if !KNOWN_PARAMETERS.contains(&name.as_ref()) {
                continue;
            }
            // A parameter without a value counts as left out (RFC 6749, section 3.2), but not as a place for a second one.
            if parameters.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(match name.as_ref() {
                    "audience" | "resource" => {
                        let why = format!("`{name}` occurs more than once: a token is for one audience");
                        ExchangeError::new(ExchangeErrorCode::InvalidTarget, why)
                    }
                    name => invalid(format!("`{name}` occurs more than once")),
                });
            }
        }
        Ok(Self(parameters))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }
}

impl ExchangeErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

impl ExchangeError {
    /// An error that the request itself is at fault for.
    pub fn new(code: ExchangeErrorCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), status: 400, reason: None }
    }

    /// How a refusal of the decision is told: a token that is not acceptable is an invalid request (RFC 8693, section 2.2.2),
    /// a user who may not call is not authorised.
    pub fn of_denial(denial: &Denial) -> Self {
        let reason = denial.reason.code();
        let entry = reason.entry();
        let code = match entry.status {
            403 => ExchangeErrorCode::UnauthorizedClient,
            _ => ExchangeErrorCode::InvalidRequest,
        };
        Self { code, description: entry.message.to_owned(), status: 400, reason: Some(reason) }
    }

    /// How a failure is told: as one, never as the user's fault.
    pub fn of_fault(fault: &Fault) -> Self {
        let entry = fault.code.entry();
        Self {
            code: ExchangeErrorCode::TemporarilyUnavailable,
            description: entry.message.to_owned(),
            status: 503,
            reason: Some(fault.code),
        }
    }

    /// The body of the answer. RFC 6749, section 5.2, allows visible ASCII without `"` and `\` in a description.
    pub fn body(&self) -> Value {
        let description: String = self
            .description
            .chars()
            .map(|character| match character {
                '`' | '"' | '\\' => '\'',
                ' '..='~' => character,
                _ => '?',
            })
            .collect();
        let mut body = json!({"error": self.code.as_str(), "error_description": description});
        if let (Some(reason), Some(members)) = (self.reason, body.as_object_mut()) {
            members.insert("firegate_reason".to_owned(), json!(reason.entry().name));
            members.insert("firegate_action".to_owned(), json!(reason.entry().action.as_str()));
        }
        body
    }
}

fn invalid(description: impl Into<String>) -> ExchangeError {
    ExchangeError::new(ExchangeErrorCode::InvalidRequest, description)
}

#[cfg(test)]
mod tests;
