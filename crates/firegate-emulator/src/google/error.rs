//! The two forms in which Google refuses: AIP-193 JSON of the APIs, and OAuth's JSON (RFC 6749, section 5.2) of the
//! token endpoints.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::keys::KeyUnavailable;

/// The status codes of `google.rpc.Code` that these endpoints use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RpcStatus {
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    ResourceExhausted,
    Internal,
}

impl RpcStatus {
    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        }
    }
}

/// A refusal of an API, as <https://google.aip.dev/193> describes it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: RpcStatus,
    message: String,
    info: Option<Value>,
}

impl ApiError {
    fn new(status: RpcStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), info: None }
    }

    fn with_info(mut self, reason: &str, domain: &str, metadata: Value) -> Self {
        self.info = Some(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason, "domain": domain, "metadata": metadata,
        }));
        self
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(RpcStatus::InvalidArgument, message)
    }

    /// What App Check answers to whatever it does not believe, without saying why.
    pub(crate) fn attestation_failed() -> Self {
        Self::new(RpcStatus::PermissionDenied, "App attestation failed.")
    }

    pub(crate) fn token_refused(message: impl Into<String>) -> Self {
        Self::new(RpcStatus::PermissionDenied, message)
    }

    pub(crate) fn resource_exhausted(message: impl Into<String>) -> Self {
        Self::new(RpcStatus::ResourceExhausted, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(RpcStatus::NotFound, message)
    }

    pub(crate) fn credentials_missing(service: &str) -> Self {
        Self::new(
            RpcStatus::Unauthenticated,
            "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or \
             other valid authentication credential. See \
             https://developers.google.com/identity/sign-in/web/devconsole-project.",
        )
        .with_info("CREDENTIALS_MISSING", "googleapis.com", json!({ "service": service }))
    }

    pub(crate) fn credentials_invalid(service: &str) -> Self {
        Self::new(
            RpcStatus::Unauthenticated,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
             valid authentication credential. See \
             https://developers.google.com/identity/sign-in/web/devconsole-project.",
        )
        .with_info("ACCESS_TOKEN_INVALID", "googleapis.com", json!({ "service": service }))
    }

    pub(crate) fn scope_insufficient(service: &str) -> Self {
        Self::new(RpcStatus::PermissionDenied, "Request had insufficient authentication scopes.").with_info(
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "googleapis.com",
            json!({ "service": service }),
        )
    }

    pub(crate) fn permission_denied(permission: &str) -> Self {
        Self::new(
            RpcStatus::PermissionDenied,
            format!("Permission '{permission}' denied on resource (or it may not exist)."),
        )
        .with_info(
            "IAM_PERMISSION_DENIED",
            "iam.googleapis.com",
            json!({ "permission": permission }),
        )
    }
}

impl From<KeyUnavailable> for ApiError {
    fn from(error: KeyUnavailable) -> Self {
        Self::new(RpcStatus::Internal, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, status) = self.status.parts();
        let mut error = json!({ "code": code.as_u16(), "message": self.message, "status": status });
        if let (Some(info), Some(members)) = (self.info, error.as_object_mut()) {
            members.insert("details".to_owned(), json!([info]));
        }
        let mut response = (code, Json(json!({ "error": error }))).into_response();
        if code == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The error codes of RFC 6749, section 5.2, and of RFC 8693, section 2.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OAuthCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
    ServerError,
}

impl OAuthCode {
    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::InvalidTarget => (StatusCode::BAD_REQUEST, "invalid_target"),
            Self::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

/// A refusal of a token endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OAuthError {
    status: StatusCode,
    code: OAuthCode,
    description: String,
}

impl OAuthError {
    pub(crate) fn new(code: OAuthCode, description: impl Into<String>) -> Self {
        Self { status: code.parts().0, code, description: description.into() }
    }

    /// The same refusal with status 401, which Google gives for a missing domain-wide delegation.
    pub(crate) fn unauthorized(self) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..self }
    }
}

impl From<KeyUnavailable> for OAuthError {
    fn from(error: KeyUnavailable) -> Self {
        Self::new(OAuthCode::ServerError, error.to_string())
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (_, code) = self.code.parts();
        tracing::warn!(code, description = self.description, "a local token endpoint refused");
        (self.status, Json(json!({ "error": code, "error_description": self.description }))).into_response()
    }
}
