//! App Check tokens: what they say, and whether one is of this project and of now.

use std::time::Duration;

use aws_lc_rs::rand;
use firegate_core::jose::{CompactJws, encode_base64url};
use firegate_core::time::UnixTime;
use serde_json::{Value, json};

use super::super::{KeyUnavailable, State};
use crate::limits::APP_ID_BYTES_MAX;

/// Who signs App Check tokens; the project's number follows.
const ISSUER: &str = "https://firebaseappcheck.googleapis.com/";

/// An App Check token to be minted.
#[derive(Debug)]
pub(super) struct AppCheckToken<'a> {
    /// The app's id, the `sub`.
    pub(super) app: &'a str,
    /// Which provider attests the app: `debug` or `custom`.
    pub(super) provider: &'static str,
    pub(super) lifetime: Duration,
    /// The `jti`; one is made up without it.
    pub(super) token_id: Option<&'a str>,
}

impl AppCheckToken<'_> {
    /// The answer of an exchange: the token, and its life in protobuf's JSON form.
    pub(super) async fn mint(self, state: &State) -> Result<Value, KeyUnavailable> {
        let now = state.options.clock.now();
        let number = &state.options.project_number;
        let token_id = match self.token_id {
            Some(token_id) => token_id.to_owned(),
            None => random_token_id()?,
        };
        let claims = json!({
            "sub": self.app,
            "aud": [format!("projects/{number}"), format!("projects/{}", state.options.project)],
            "provider": self.provider,
            "iss": format!("{ISSUER}{number}"),
            "exp": now.plus(self.lifetime).as_seconds(),
            "iat": now.as_seconds(),
            "jti": token_id,
        });
        let token = state.app_check.key.get().await?.signer.sign(&claims)?;
        Ok(json!({ "token": token, "ttl": format!("{}s", self.lifetime.as_secs()) }))
    }
}

/// A token that was found valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VerifiedToken {
    pub(super) token_id: String,
    pub(super) expires_at: UnixTime,
}

/// What a token that this process signed says, if it is of this project and has not expired.
pub(super) async fn verify(state: &State, token: &str) -> Result<Option<VerifiedToken>, KeyUnavailable> {
    let Ok(token) = CompactJws::parse(token) else { return Ok(None) };
    let key = state.app_check.key.get().await?;
    let is_ours = token.header_text("kid").is_some() && key.verifies(&token);
    Ok(is_ours.then(|| read(state, &token)).flatten())
}

fn read(state: &State, token: &CompactJws<'_>) -> Option<VerifiedToken> {
    let number = &state.options.project_number;
    let is_of_project = token.payload_text("iss") == Some(&format!("{ISSUER}{number}"));
    let expires_at = UnixTime::from_seconds(token.payload().integer("exp")?);
    let is_timely = state.options.clock.now() < expires_at;
    let token_id = token.payload_text("jti")?.to_owned();
    (is_of_project && is_timely).then_some(VerifiedToken { token_id, expires_at })
}

/// Whether `app` is the id of an app of the project, such as `1:123456789012:web:0123456789abcdef`.
pub(super) fn is_app_of(app: &str, project_number: &str) -> bool {
    if app.len() > APP_ID_BYTES_MAX {
        return false;
    }
    let parts: Vec<_> = app.split(':').collect();
    let ["1", number, "web" | "android" | "ios", name] = parts.as_slice() else { return false };
    let is_hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    *number == project_number && !name.is_empty() && name.bytes().all(is_hexadecimal)
}

fn random_token_id() -> Result<String, KeyUnavailable> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| KeyUnavailable::Randomness)?;
    Ok(encode_base64url(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_of_the_project_whose_number_it_bears() {
        let check = |app: &str, expected: bool| assert_eq!(is_app_of(app, "42"), expected, "{app:?}");
        check("1:42:web:0123456789abcdef", true);
        check("1:42:android:a", true);
        check("1:42:ios:a", true);
        check("1:43:web:a", false);
        check("2:42:web:a", false);
        check("1:42:web:", false);
        check("1:42:web:XYZ", false);
        check("1:42:desktop:a", false);
        check("1:42:web:a:b", false);
        check("1:42:web", false);
        check("", false);
        check(&format!("1:42:web:{}", "a".repeat(APP_ID_BYTES_MAX)), false);
    }
}
