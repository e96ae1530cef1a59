//! Refusals in the form and the words of Identity Toolkit: the client SDKs turn `error.message` into their own codes,
//! so the texts are protocol, not prose.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::accounts::StoreError;
use crate::limits::{
    ACCOUNTS_MAX, BODY_BYTES_MAX, CUSTOM_ATTRIBUTES_UNITS_MAX, PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
};

/// Why a request is refused. What `Display` prints is the `error.message` of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// The project already has an account with this address.
    #[error("EMAIL_EXISTS")]
    EmailExists,
    /// There are as many accounts as are kept.
    #[error("QUOTA_EXCEEDED : This server keeps {ACCOUNTS_MAX} accounts at most; delete some.")]
    QuotaExceeded,
    /// The project already has an account with this phone number.
    #[error("PHONE_NUMBER_EXISTS")]
    PhoneNumberExists,
    /// The project already has an account with this id.
    #[error("DUPLICATE_LOCAL_ID")]
    DuplicateLocalId,
    /// No e-mail address was given.
    #[error("MISSING_EMAIL")]
    MissingEmail,
    /// The e-mail address is none.
    #[error("INVALID_EMAIL")]
    InvalidEmail,
    /// No password was given.
    #[error("MISSING_PASSWORD")]
    MissingPassword,
    /// The password is too short.
    #[error("WEAK_PASSWORD : Password should be at least {PASSWORD_CHARACTERS_MIN} characters")]
    WeakPassword,
    /// The password is too long.
    #[error(
        "PASSWORD_DOES_NOT_MEET_REQUIREMENTS : Password should be at most {PASSWORD_CHARACTERS_MAX} characters"
    )]
    LongPassword,
    /// No such account, no password, or the wrong one: one answer, so that it does not tell who has an account.
    #[error("INVALID_LOGIN_CREDENTIALS")]
    InvalidLoginCredentials,
    /// The account is disabled.
    #[error("USER_DISABLED")]
    UserDisabled,
    /// There is no such account.
    #[error("USER_NOT_FOUND")]
    UserNotFound,
    /// No ID token was given.
    #[error("MISSING_ID_TOKEN")]
    MissingIdToken,
    /// The ID token is malformed, expired or not signed by this server.
    #[error("INVALID_ID_TOKEN")]
    InvalidIdToken,
    /// The token was made before its account's tokens were revoked.
    #[error("TOKEN_EXPIRED")]
    TokenExpired,
    /// The token belongs to another tenant.
    #[error("TENANT_ID_MISMATCH")]
    TenantIdMismatch,
    /// The tenant id is none.
    #[error("INVALID_TENANT_ID")]
    InvalidTenantId,
    /// No custom token was given.
    #[error("MISSING_CUSTOM_TOKEN")]
    MissingCustomToken,
    /// The custom token cannot be used.
    #[error("INVALID_CUSTOM_TOKEN : {0}")]
    InvalidCustomToken(&'static str),
    /// The custom token names no user.
    #[error("MISSING_IDENTIFIER")]
    MissingIdentifier,
    /// No grant type was given.
    #[error("MISSING_GRANT_TYPE")]
    MissingGrantType,
    /// The grant type is not `refresh_token`.
    #[error("INVALID_GRANT_TYPE")]
    InvalidGrantType,
    /// No refresh token was given.
    #[error("MISSING_REFRESH_TOKEN")]
    MissingRefreshToken,
    /// The refresh token is not one of this server's.
    #[error("INVALID_REFRESH_TOKEN")]
    InvalidRefreshToken,
    /// No user id was given.
    #[error("MISSING_LOCAL_ID")]
    MissingLocalId,
    /// The user id is empty or too long.
    #[error("INVALID_LOCAL_ID")]
    InvalidLocalId,
    /// The phone number is not in E.164 form.
    #[error("INVALID_PHONE_NUMBER : Invalid format.")]
    InvalidPhoneNumber,
    /// The display name is too long.
    #[error("INVALID_DISPLAY_NAME")]
    InvalidDisplayName,
    /// The photo URL is too long.
    #[error("INVALID_PHOTO_URL")]
    InvalidPhotoUrl,
    /// The custom claims are no JSON object.
    #[error("INVALID_CLAIMS")]
    InvalidClaims,
    /// The custom claims are too long.
    #[error(
        "CLAIMS_TOO_LARGE : Developer claims payload should not exceed {CUSTOM_ATTRIBUTES_UNITS_MAX} characters"
    )]
    ClaimsTooLarge,
    /// The custom claims use a reserved name.
    #[error("FORBIDDEN_CLAIM : {0}")]
    ForbiddenClaim(&'static str),
    /// The session cookie's life is out of range.
    #[error("INVALID_DURATION")]
    InvalidDuration,
    /// None or too many accounts were named.
    #[error("LOCAL_ID_LIST_EXCEEDS_LIMIT")]
    LocalIdListExceedsLimit,
    /// The page token is none.
    #[error("INVALID_PAGE_SELECTION")]
    InvalidPageSelection,
    /// The parameter is for administrators.
    #[error("UNEXPECTED_PARAMETER : {0}")]
    UnexpectedParameter(&'static str),
    /// The caller is no administrator.
    #[error("INSUFFICIENT_PERMISSION")]
    InsufficientPermission,
    /// A user cannot do this to the own account.
    #[error("OPERATION_NOT_ALLOWED")]
    OperationNotAllowed,
    /// The body is not what the operation takes.
    #[error("Invalid JSON payload received. {0}")]
    InvalidArgument(String),
    /// The body is too large.
    #[error("The request body is larger than {BODY_BYTES_MAX} bytes.")]
    BodyTooLarge,
    /// The body did not come in time.
    #[error("The request body did not arrive in time.")]
    BodyTimeout,
    /// An end user's call without an API key.
    #[error(
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or \
         other form of API consumer identity to call this API."
    )]
    MissingApiKey,
    /// An administrator's call without credentials.
    #[error(
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other \
         valid authentication credential. See \
         https://developers.google.com/identity/sign-in/web/devconsole-project."
    )]
    MissingCredentials,
    /// An administrator's call with a bearer token that is none here.
    #[error(
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )]
    InvalidCredentials,
    /// An administrator's or control call from where none is served.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is nothing at this path.
    #[error(
        "There is nothing at this path. The paths start with the API's host name, for example \
             /identitytoolkit.googleapis.com/v1/accounts:signUp."
    )]
    NotFound,
    /// An operation of Identity Platform that this server does not have.
    #[error("UNIMPLEMENTED : {0} is not implemented by this server.")]
    Unimplemented(String),
    /// The server failed. The cause is in its log, not in the answer.
    #[error("INTERNAL_ERROR : The server failed; its log says why.")]
    Internal,
}

impl ApiError {
    /// Logs `cause` and gives the refusal that tells the client nothing of it.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "an operation failed");
        Self::Internal
    }

    /// The HTTP status of the answer.
    fn status(&self) -> StatusCode {
        match self {
            Self::MissingCredentials | Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::MissingApiKey | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unimplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// `errors[].reason`, and `error.status` where Identity Toolkit gives one.
    fn reason_and_status(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::MissingCredentials => ("required", Some("UNAUTHENTICATED")),
            Self::InvalidCredentials => ("authError", Some("UNAUTHENTICATED")),
            Self::MissingApiKey | Self::Forbidden(_) => ("forbidden", Some("PERMISSION_DENIED")),
            Self::NotFound => ("notFound", Some("NOT_FOUND")),
            Self::Unimplemented(_) => ("unimplemented", Some("UNIMPLEMENTED")),
            Self::InvalidArgument(_) => ("parseError", Some("INVALID_ARGUMENT")),
            Self::BodyTimeout | Self::BodyTooLarge => ("invalid", Some("INVALID_ARGUMENT")),
            Self::Internal => ("internal", Some("INTERNAL")),
            _ => ("invalid", None),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DuplicateEmail => Self::EmailExists,
            StoreError::DuplicatePhoneNumber => Self::PhoneNumberExists,
            StoreError::DuplicateLocalId => Self::DuplicateLocalId,
            StoreError::Full => Self::QuotaExceeded,
            StoreError::NotFound => Self::UserNotFound,
            StoreError::Refused(refusal) => *refusal,
            StoreError::File(..) | StoreError::Version(_) | StoreError::Database(_) => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = (self.status(), self.to_string());
        let (reason, status_name) = self.reason_and_status();
        let mut error = json!({
            "code": status.as_u16(),
            "message": &message,
            "errors": [{ "message": &message, "reason": reason, "domain": "global" }],
        });
        if let Some(name) = status_name {
            error["status"] = name.into();
        }
        let mut response = crate::reply::json(status, &json!({ "error": error }));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Bearer realm="https://accounts.google.com/""#),
            );
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &ApiError, status: u16, message_start: &str) {
        assert_eq!(error.status().as_u16(), status, "{error:?}");
        assert!(error.to_string().starts_with(message_start), "{error}");
    }

    #[test]
    fn refusals_carry_identity_toolkits_words() {
        check(&ApiError::EmailExists, 400, "EMAIL_EXISTS");
        check(&ApiError::WeakPassword, 400, "WEAK_PASSWORD : Password should be at least 6 characters");
        check(&ApiError::MissingCredentials, 401, "Request is missing required authentication credential.");
        check(&ApiError::MissingApiKey, 403, "Method doesn't allow unregistered callers");
        check(&ApiError::Unimplemented("POST /v2/x".to_owned()), 501, "UNIMPLEMENTED : POST /v2/x");
        check(&StoreError::NotFound.into(), 400, "USER_NOT_FOUND");
        check(&StoreError::Full.into(), 400, "QUOTA_EXCEEDED : ");
    }
}
