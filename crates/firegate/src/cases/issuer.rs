//! The tokens of a case's users, signed by a key that nobody else knows.

use std::sync::Arc;

use anyhow::Context as _;
use firegate_core::identity::{KeyRing, KeyState};
use firegate_core::jose::{KeySet, RsaSigner};
use firegate_core::time::UnixTime;
use firegate_files::decision_cases::{CaseUser, TokenState};
use serde_json::{Value, json};

/// How long ago a case's users signed in, in seconds.
const SIGNED_IN_AGO_SEC: i64 = 60;

/// How long a token lives, in seconds: as long as Firebase's.
const LIFETIME_SEC: i64 = 3_600;

/// Who signs in the place of Firebase.
#[derive(Debug)]
pub struct Issuer {
    firebase: RsaSigner,
    stranger: RsaSigner,
}

impl Issuer {
    /// Makes the keys, which takes up to a second.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn generate() -> anyhow::Result<Self> {
        let generate = || RsaSigner::generate().context("no key could be made");
        Ok(Self { firebase: generate()?, stranger: generate()? })
    }

    /// The key set that it would publish.
    pub fn key_set(&self) -> Value {
        json!({"keys": [self.firebase.public_jwk()]})
    }

    /// The keys of ID tokens, as a decision wants them.
    ///
    /// # Errors
    /// Never, unless its own key cannot be read.
    pub(crate) fn key_ring(&self) -> anyhow::Result<KeyRing> {
        let keys = KeySet::parse_rs256(self.key_set().to_string().as_bytes())?;
        Ok(KeyRing { id_token: KeyState::Usable(Arc::new(keys)), ..KeyRing::default() })
    }

    /// The ID token of a user of `project`.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn id_token(&self, user: &CaseUser, project: &str, now: UnixTime) -> anyhow::Result<String> {
        let project = if user.token == TokenState::OtherProject { "another-project" } else { project };
        let age = if user.token == TokenState::Expired { LIFETIME_SEC } else { 0 } + SIGNED_IN_AGO_SEC;
        let signed_in = now.as_seconds().saturating_sub(age);
        let mut firebase = json!({"identities": {}, "sign_in_provider": user.provider});
        if let Some(tenant) = &user.tenant {
            firebase["tenant"] = json!(tenant);
        }
        let mut payload = json!({
            "iss": format!("https://securetoken.google.com/{project}"), "aud": project, "sub": user.uid, "user_id": user.uid,
            "auth_time": signed_in, "iat": signed_in, "exp": signed_in.saturating_add(LIFETIME_SEC), "firebase": firebase,
        });
        if let Some(email) = &user.email {
            payload["email"] = json!(email);
            payload["email_verified"] = json!(user.email_verified);
        }
        for (name, value) in &user.claims {
            payload[name] = value.clone();
        }
        match user.token {
            TokenState::Malformed => Ok("a.token".to_owned()),
            TokenState::WrongSignature => {
                // The header of the right key, and the signature of another.
                let (good, bad) = (self.firebase.sign(&payload)?, self.stranger.sign(&payload)?);
                let (input, _) = good.rsplit_once('.').unwrap_or_default();
                let (_, signature) = bad.rsplit_once('.').unwrap_or_default();
                Ok(format!("{input}.{signature}"))
            }
            TokenState::Good | TokenState::Expired | TokenState::OtherProject => {
                Ok(self.firebase.sign(&payload)?)
            }
        }
    }
}
