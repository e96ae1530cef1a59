//! ID tokens and session cookies: their claims, as Identity Platform orders them, their signing and their proof.
//! <https://firebase.google.com/docs/auth/admin/verify-id-tokens>

use std::sync::Arc;

use firegate_core::jose::{CompactJws, encode_base64url};
use firegate_core::time::UnixTime;
use serde_json::{Map, Value, json};

use crate::accounts::{Account, Directory, REFUSED_CLAIMS};
use crate::error::ApiError;
use crate::keys::SigningKey;
use crate::limits::ID_TOKEN_LIFETIME;

/// The provider of a sign-in with address and password.
pub(crate) const PROVIDER_PASSWORD: &str = "password";
/// The provider of an anonymous sign-in.
pub(crate) const PROVIDER_ANONYMOUS: &str = "anonymous";
/// The provider of a sign-in with a custom token.
pub(crate) const PROVIDER_CUSTOM: &str = "custom";

/// The claims that only the server sets: a custom claim of such a name is not shown, whether or not the server has a
/// value for it.
const SERVER_CLAIMS: [&str; 5] = ["email", "email_verified", "phone_number", "provider_id", "user_id"];

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSigning {
    /// RS256, as production does.
    Rs256,
    /// Not at all, as the reference emulator does: `alg` is `none` and the signature is empty. Anyone can forge such
    /// tokens, so they are for loopback alone.
    None,
}

/// What signs and verifies tokens of one kind.
#[derive(Clone, Debug)]
pub(crate) enum TokenSigner {
    Rs256(Arc<SigningKey>),
    Unsigned,
}

impl TokenSigner {
    fn sign(&self, payload: &Value) -> Result<String, ApiError> {
        match self {
            Self::Rs256(key) => key.sign(payload).map_err(ApiError::internal),
            Self::Unsigned => {
                let header = encode_base64url(br#"{"alg":"none","typ":"JWT"}"#);
                Ok(format!("{header}.{}.", encode_base64url(payload.to_string().as_bytes())))
            }
        }
    }

    fn verifies(&self, token: &CompactJws<'_>) -> bool {
        match self {
            Self::Rs256(key) => key.verifies(token),
            Self::Unsigned => is_unsigned(token),
        }
    }
}

/// Whether the token says of itself that it has no signature, and has none.
pub(crate) fn is_unsigned(token: &CompactJws<'_>) -> bool {
    token.header_text("alg") == Some("none") && token.signature().is_empty()
}

/// The sign-in that a token speaks of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SignIn {
    pub(crate) provider: String,
    /// When the user proved to be the user; refreshing keeps it.
    pub(crate) auth_time: UnixTime,
    /// The claims of the custom token that the user came with.
    pub(crate) session_claims: Map<String, Value>,
}

/// An ID token that this server made, with the directory of its user.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedIdToken {
    pub(crate) directory: Directory,
    pub(crate) local_id: String,
    pub(crate) sign_in_provider: String,
    pub(crate) auth_time: UnixTime,
    payload: Map<String, Value>,
}

/// Makes an ID token.
pub(crate) fn id_token(
    signer: &TokenSigner,
    directory: &Directory,
    account: &Account,
    sign_in: &SignIn,
    now: UnixTime,
) -> Result<String, ApiError> {
    signer.sign(&id_token_claims(directory, account, sign_in, now))
}

/// Makes an ID token that takes the place of `replaced` and is never the same text, though it may be made within the
/// same second: the client SDKs take the refresh token along only if the ID token is a new one. The order of the
/// claims, which means nothing, makes the difference.
pub(crate) fn replacing_id_token(
    signer: &TokenSigner,
    directory: &Directory,
    account: &Account,
    sign_in: &SignIn,
    now: UnixTime,
    replaced: &str,
) -> Result<String, ApiError> {
    let mut claims = id_token_claims(directory, account, sign_in, now);
    let token = signer.sign(&claims)?;
    if token != replaced {
        return Ok(token);
    }
    if let Some(claims) = claims.as_object_mut()
        && let Some(issued_at) = claims.shift_remove("iat")
    {
        claims.insert("iat".to_owned(), issued_at);
    }
    signer.sign(&claims)
}

fn id_token_claims(directory: &Directory, account: &Account, sign_in: &SignIn, now: UnixTime) -> Value {
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    // A custom claim may take the place of these two, and of no other.
    account.display_name.as_deref().map(|name| put("name", name.into()));
    account.photo_url.as_deref().map(|picture| put("picture", picture.into()));
    for (name, value) in account.custom_claims().into_iter().chain(sign_in.session_claims.clone()) {
        if !SERVER_CLAIMS.contains(&name.as_str()) && !REFUSED_CLAIMS.contains(&name.as_str()) {
            put(&name, value);
        }
    }
    if sign_in.provider == PROVIDER_ANONYMOUS {
        put("provider_id", PROVIDER_ANONYMOUS.into());
    }
    put("iss", issuer(&directory.project).into());
    put("aud", directory.project.as_str().into());
    put("auth_time", sign_in.auth_time.as_seconds().into());
    put("user_id", account.local_id.as_str().into());
    put("sub", account.local_id.as_str().into());
    put("iat", now.as_seconds().into());
    put("exp", now.plus(ID_TOKEN_LIFETIME).as_seconds().into());
    let mut identities = Map::new();
    if let Some(email) = &account.email {
        put("email", email.as_str().into());
        put("email_verified", account.email_verified.into());
        identities.insert("email".to_owned(), json!([email]));
    }
    if let Some(phone_number) = &account.phone_number {
        put("phone_number", phone_number.as_str().into());
        identities.insert("phone".to_owned(), json!([phone_number]));
    }
    let mut firebase = json!({ "identities": identities, "sign_in_provider": sign_in.provider });
    if let Some(tenant) = &directory.tenant {
        firebase["tenant"] = tenant.as_str().into();
    }
    put("firebase", firebase);
    Value::Object(claims)
}

/// Proves that this server made `token` for a user of `project`, and that it has not expired. Whether its user still
/// exists, and was not revoked since, is for the caller to find out.
///
/// # Errors
/// `INVALID_ID_TOKEN`, without telling why.
pub(crate) fn verify_id_token(
    signer: &TokenSigner,
    project: &str,
    token: &str,
    now: UnixTime,
) -> Result<VerifiedIdToken, ApiError> {
    let token = CompactJws::parse(token).map_err(|_| ApiError::InvalidIdToken)?;
    let is_genuine = signer.verifies(&token)
        && token.payload_text("iss") == Some(issuer(project).as_str())
        && token.payload_text("aud") == Some(project);
    if !is_genuine {
        return Err(ApiError::InvalidIdToken);
    }
    let payload = token.into_payload();
    read_id_token(project, payload, now).ok_or(ApiError::InvalidIdToken)
}

fn read_id_token(project: &str, payload: Map<String, Value>, now: UnixTime) -> Option<VerifiedIdToken> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let firebase = payload.get("firebase")?;
    let expires_at = UnixTime::from_seconds(payload.get("exp")?.as_i64()?);
    (now < expires_at).then_some(())?;
    Some(VerifiedIdToken {
        directory: Directory::of_tenant(project, text(firebase.get("tenant"))).ok()?,
        local_id: text(payload.get("sub"))?,
        sign_in_provider: text(firebase.get("sign_in_provider"))?,
        auth_time: UnixTime::from_seconds(payload.get("auth_time")?.as_i64()?),
        payload,
    })
}

/// Makes a session cookie: the ID token's claims under another issuer, another key and a longer life.
pub(crate) fn session_cookie(
    signer: &TokenSigner,
    token: &VerifiedIdToken,
    now: UnixTime,
    lifetime: std::time::Duration,
) -> Result<String, ApiError> {
    let mut claims = token.payload.clone();
    let issuer = format!("https://session.firebase.google.com/{}", token.directory.project);
    claims.insert("iss".to_owned(), issuer.into());
    claims.insert("iat".to_owned(), now.as_seconds().into());
    claims.insert("exp".to_owned(), now.plus(lifetime).as_seconds().into());
    signer.sign(&Value::Object(claims))
}

/// The `iss` of a project's ID tokens.
pub(crate) fn issuer(project: &str) -> String {
    format!("https://securetoken.google.com/{project}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    fn sign_in(provider: &str) -> SignIn {
        SignIn { provider: provider.to_owned(), auth_time: NOW, session_claims: Map::new() }
    }

    fn names(claims: &Value) -> Vec<&str> {
        claims.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_password_users_claims_stand_in_productions_order() {
        let mut account = Account::new(Some("alice".to_owned()), NOW).unwrap();
        account.email = Some("alice@example.com".to_owned());
        account.display_name = Some("Alice".to_owned());
        account.custom_attributes =
            Some(r#"{"role":"admin","email":"root@example.com","name":"Al"}"#.to_owned());
        let directory = Directory::of_tenant("p", Some("t".to_owned())).unwrap();
        let claims = id_token_claims(&directory, &account, &sign_in(PROVIDER_PASSWORD), NOW);
        assert_eq!(
            claims.to_string(),
            r#"{"name":"Al","role":"admin","iss":"https://securetoken.google.com/p","aud":"p","#.to_owned()
                + r#""auth_time":1700000000,"user_id":"alice","sub":"alice","iat":1700000000,"exp":1700003600,"#
                + r#""email":"alice@example.com","email_verified":false,"#
                + r#""firebase":{"identities":{"email":["alice@example.com"]},"sign_in_provider":"password","tenant":"t"}}"#
        );
    }

    #[test]
    fn no_claim_of_a_server_name_comes_from_elsewhere() {
        let mut account = Account::new(Some("mallory".to_owned()), NOW).unwrap();
        account.custom_attributes = Some(
            r#"{"email":"root@example.com","email_verified":true,"sub":"root","exp":9999999999}"#.to_owned(),
        );
        let claims =
            id_token_claims(&Directory::of_project("p"), &account, &sign_in(PROVIDER_ANONYMOUS), NOW);
        assert_eq!(
            names(&claims),
            ["provider_id", "iss", "aud", "auth_time", "user_id", "sub", "iat", "exp", "firebase"]
        );
        assert_eq!(claims["sub"], "mallory");
        assert_eq!(claims["exp"], 1_700_003_600);
    }

    #[test]
    fn a_token_that_replaces_another_is_a_new_text_with_the_same_claims() {
        let account = Account::new(Some("alice".to_owned()), NOW).unwrap();
        let (directory, sign_in) = (Directory::of_project("p"), sign_in(PROVIDER_PASSWORD));
        let signer = TokenSigner::Unsigned;
        let replacing = |replaced: &str| {
            replacing_id_token(&signer, &directory, &account, &sign_in, NOW, replaced).unwrap()
        };
        let first = id_token(&signer, &directory, &account, &sign_in, NOW).unwrap();
        let second = replacing(&first);
        assert_ne!(second, first);
        assert_eq!(replacing(&second), first, "and so on in turn");
        let payload = |token: &str| CompactJws::parse(token).unwrap().into_payload();
        assert_eq!(payload(&first), payload(&second));
    }

    #[test]
    fn an_id_token_counts_for_its_project_until_it_expires() {
        let account = Account::new(Some("alice".to_owned()), NOW).unwrap();
        let directory = Directory::of_project("p");
        let signer = TokenSigner::Unsigned;
        let token = id_token(&signer, &directory, &account, &sign_in(PROVIDER_CUSTOM), NOW).unwrap();
        let verify = |token: &str, project: &str, age_seconds: i64| {
            let now = UnixTime::from_seconds(NOW.as_seconds() + age_seconds);
            verify_id_token(&signer, project, token, now).map(|token| token.local_id)
        };
        assert_eq!(verify(&token, "p", 3599), Ok("alice".to_owned()));
        assert_eq!(verify(&token, "p", 3600), Err(ApiError::InvalidIdToken));
        assert_eq!(verify(&token, "q", 0), Err(ApiError::InvalidIdToken));
        assert_eq!(verify(&format!("{token}AAAA"), "p", 0), Err(ApiError::InvalidIdToken));
        assert_eq!(verify("", "p", 0), Err(ApiError::InvalidIdToken));
    }
}
