//! What the service is told of the user. Cloud Run strips the signature of the token it validates, so Firegate signs a
//! short assertion of its own; presets speak as API Gateway or Identity-Aware Proxy would, so that backends that exist
//! need no change.

use std::borrow::Cow;

use firegate_files::configuration::IdentityHeaders;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::identity::{GoogleAccount, Principal, User};
use crate::limits::{ASSERTION_LIFETIME_MAX, EXCHANGED_TOKEN_LIFETIME_MAX};
use crate::permit::Permit;
use crate::time::UnixTime;

/// The assertion's header.
pub const FIREGATE_ASSERTION: HeaderName = HeaderName::from_static("x-firegate-assertion");
/// The `typ` of an exchanged token's header. An assertion has the same issuer and keys, and neither passes for the other
/// (RFC 8725, section 3.11).
pub const EXCHANGED_TOKEN_TYPE: &str = "firegate-exchanged+jwt";

const FIREGATE_CALLER: HeaderName = HeaderName::from_static("x-firegate-caller");
const FIREGATE_USER_ID: HeaderName = HeaderName::from_static("x-firegate-user-id");
const FIREGATE_USER_EMAIL: HeaderName = HeaderName::from_static("x-firegate-user-email");
const FIREGATE_USER_TENANT: HeaderName = HeaderName::from_static("x-firegate-user-tenant");
const IAP_ASSERTION: HeaderName = HeaderName::from_static("x-goog-iap-jwt-assertion");
const IAP_USER_ID: HeaderName = HeaderName::from_static("x-goog-authenticated-user-id");
const IAP_USER_EMAIL: HeaderName = HeaderName::from_static("x-goog-authenticated-user-email");
const APIGATEWAY_USER_INFO: HeaderName = HeaderName::from_static("x-apigateway-api-userinfo");
const ENDPOINT_USER_INFO: HeaderName = HeaderName::from_static("x-endpoint-api-userinfo");

/// An assertion that is to be signed and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionForm {
    /// Firegate's own.
    Firegate,
    /// Identity-Aware Proxy's, for users of external identities.
    IdentityAwareProxy,
}

impl AssertionForm {
    /// The form that a backend's preset asks for.
    pub const fn of(preset: IdentityHeaders) -> Option<Self> {
        match preset {
            IdentityHeaders::Firegate => Some(Self::Firegate),
            IdentityHeaders::Iap => Some(Self::IdentityAwareProxy),
            IdentityHeaders::ApiGateway | IdentityHeaders::None => None,
        }
    }

    /// The header that carries it.
    pub const fn header(self) -> HeaderName {
        match self {
            Self::Firegate => FIREGATE_ASSERTION,
            Self::IdentityAwareProxy => IAP_ASSERTION,
        }
    }

    /// The `typ` of its JWS header; IAP's is a plain JWT.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Firegate => "firegate-assertion+jwt",
            Self::IdentityAwareProxy => "JWT",
        }
    }

    /// Its claims. It expires with the principal's token, and after five minutes at the latest.
    pub fn claims(self, principal: &Principal, issuer: &str, audience: &str, now: UnixTime) -> Value {
        let mut claims = match (self, principal) {
            (Self::Firegate, Principal::User(user)) => firegate_claims(user, issuer),
            (Self::Firegate, Principal::GoogleAccount(account)) => caller_claims(account, issuer),
            (Self::IdentityAwareProxy, Principal::User(user)) => iap_claims(user),
            (Self::IdentityAwareProxy, Principal::GoogleAccount(account)) => iap_account_claims(account),
        };
        let expires_at = now.plus(ASSERTION_LIFETIME_MAX).min(principal.expires_at());
        insert_bounds(&mut claims, audience, now, expires_at);
        Value::Object(claims)
    }
}

/// The claims of a token that is exchanged for a user's: the user as the assertion tells of them, and what Firegate needs to
/// take it for theirs again. It expires with the user's token, and after five minutes at the latest.
pub fn exchanged_token_claims(user: &User, issuer: &str, audience: &str, now: UnixTime) -> Value {
    let mut claims = firegate_claims(user, issuer);
    claims.insert("auth_time".to_owned(), json!(user.auth_time.as_seconds()));
    claims.insert("firebase".to_owned(), Value::Object(user.claims.firebase().clone()));
    let expires_at = now.plus(EXCHANGED_TOKEN_LIFETIME_MAX).min(user.expires_at);
    insert_bounds(&mut claims, audience, now, expires_at);
    // A user may have signed in by a clock that is a little ahead, and no token is issued before its user signed in.
    claims.insert("iat".to_owned(), json!(now.max(user.auth_time).as_seconds()));
    Value::Object(claims)
}

fn insert_bounds(claims: &mut Map<String, Value>, audience: &str, now: UnixTime, expires_at: UnixTime) {
    claims.insert("aud".to_owned(), json!(audience));
    claims.insert("iat".to_owned(), json!(now.as_seconds()));
    claims.insert("exp".to_owned(), json!(expires_at.as_seconds()));
}

/// A Google account is named by `caller` and has no `sub`: a service that takes `sub` for a user's ID finds none.
fn caller_claims(account: &GoogleAccount, issuer: &str) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!(issuer));
    claims.insert("caller".to_owned(), json!(format!("serviceAccount:{}", account.email)));
    claims
}

/// As Identity-Aware Proxy writes it for Google accounts.
fn iap_account_claims(account: &GoogleAccount) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!("https://cloud.google.com/iap"));
    claims.insert("sub".to_owned(), json!(google_name(&account.subject)));
    claims.insert("email".to_owned(), json!(account.email));
    claims.insert("identity_source".to_owned(), json!("GOOGLE"));
    claims
}

fn google_name(name: &str) -> String {
    format!("accounts.google.com:{name}")
}

fn firegate_claims(user: &User, issuer: &str) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!(issuer));
    claims.insert("sub".to_owned(), json!(user.uid));
    if let Some(tenant) = &user.tenant {
        claims.insert("tenant".to_owned(), json!(tenant));
    }
    if let Some(email) = &user.email {
        claims.insert("email".to_owned(), json!(email));
        claims.insert("email_verified".to_owned(), json!(user.email_verified));
    }
    claims.insert("sign_in_provider".to_owned(), json!(user.sign_in_provider));
    // Nested, so that no custom claim can pass for one of Firegate's.
    claims.insert("claims".to_owned(), Value::Object(user.claims.own().clone()));
    claims
}

/// As Identity-Aware Proxy writes it for external identities: the namespaced subject, and Firebase's claims as `gcip`.
fn iap_claims(user: &User) -> Map<String, Value> {
    let mut gcip = user.claims.own().clone();
    gcip.insert("auth_time".to_owned(), json!(user.auth_time.as_seconds()));
    if let Some(email) = &user.email {
        gcip.insert("email".to_owned(), json!(email));
        gcip.insert("email_verified".to_owned(), json!(user.email_verified));
    }
    gcip.insert("firebase".to_owned(), Value::Object(user.claims.firebase().clone()));
    gcip.insert("sub".to_owned(), json!(user.uid));
    gcip.insert("user_id".to_owned(), json!(user.uid));
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!("https://cloud.google.com/iap"));
    claims.insert("sub".to_owned(), json!(iap_name(user, &user.uid)));
    if let Some(email) = &user.email {
        claims.insert("email".to_owned(), json!(iap_name(user, email)));
    }
    claims.insert("identity_source".to_owned(), json!("GCIP"));
    claims.insert("gcip".to_owned(), Value::Object(gcip));
    claims
}

fn iap_name(user: &User, name: &str) -> String {
    let User { project, tenant, .. } = user;
    match tenant {
        Some(tenant) => format!("securetoken.google.com/{project}/{tenant}:{name}"),
        None => format!("securetoken.google.com/{project}:{name}"),
    }
}

/// The unsigned identity headers that the permit's backend expects. They are set after every copy of the client's was
/// deleted. The assertion comes on top, once it is signed. Those that are written once for a user are borrowed from them.
pub fn plain_headers(permit: &Permit) -> Cow<'_, [(HeaderName, HeaderValue)]> {
    let Some(principal) = permit.principal() else { return Cow::default() };
    let mut headers = Vec::new();
    match (principal, permit.backend().identity_headers()) {
        (_, IdentityHeaders::None) => {}
        (_, IdentityHeaders::ApiGateway) => {
            add(&mut headers, APIGATEWAY_USER_INFO, payload_segment(principal));
            add(&mut headers, ENDPOINT_USER_INFO, payload_segment(principal));
        }
        (Principal::User(user), IdentityHeaders::Firegate) => {
            return Cow::Borrowed(user.told.headers(|| user_headers(user)));
        }
        (Principal::User(user), IdentityHeaders::Iap) => {
            add(&mut headers, IAP_USER_ID, &iap_name(user, &user.uid));
            if let Some(email) = &user.email {
                add(&mut headers, IAP_USER_EMAIL, &iap_name(user, email));
            }
        }
        (Principal::GoogleAccount(account), IdentityHeaders::Firegate) => {
            add(&mut headers, FIREGATE_CALLER, &format!("serviceAccount:{}", account.email));
        }
        (Principal::GoogleAccount(account), IdentityHeaders::Iap) => {
            add(&mut headers, IAP_USER_ID, &google_name(&account.subject));
            add(&mut headers, IAP_USER_EMAIL, &google_name(&account.email));
        }
    }
    Cow::Owned(headers)
}

/// Firegate's own headers about a user.
fn user_headers(user: &User) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    add(&mut headers, FIREGATE_USER_ID, &user.uid);
    // An unverified address is anyone's claim; a plain header has no room to say so.
    if let Some(email) = user.verified_email() {
        add(&mut headers, FIREGATE_USER_EMAIL, email);
    }
    // Ids and addresses repeat across tenants: by those alone a tenant's user would read as the project's.
    if let Some(tenant) = &user.tenant {
        add(&mut headers, FIREGATE_USER_TENANT, tenant);
    }
    headers
}

fn add(headers: &mut Vec<(HeaderName, HeaderValue)>, name: HeaderName, text: &str) {
    if let Some(value) = header_value(text) {
        headers.push((name, value));
    }
}

/// The token's payload.
fn payload_segment(principal: &Principal) -> &str {
    match principal {
        Principal::User(user) => &user.payload_segment,
        Principal::GoogleAccount(account) => &account.payload_segment,
    }
}

/// A uid or an address may hold any character. What is not visible ASCII is percent-encoded as UTF-8, so that the
/// header is never missing for some users and never reads as another user's: `%` itself is encoded too.
fn header_value(text: &str) -> Option<HeaderValue> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const NOT_PLAIN: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    // To the end in any case: without a way out the loop takes many bytes at once.
    if text.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic() & (byte != b'%')) {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::from_str(&utf8_percent_encode(text, NOT_PLAIN).to_string()).ok()
}
