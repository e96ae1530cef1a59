//! Access tokens. They are opaque to everyone but this process: the principal, the scopes and the expiry are sealed in
//! the token itself, so that nothing has to be kept and nothing can fill up. A restart ends them all.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use firegate_core::jose::{decode_base64url, encode_base64url};
use firegate_core::time::{SharedClock, UnixTime};
use serde::{Deserialize, Serialize};

use crate::member::Principal;

/// How Google's access tokens begin, which tools go by.
const PREFIX: &str = "ya29.";

/// The scope that covers every API.
pub(crate) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The scope of the IAM Credentials API.
pub(crate) const IAM: &str = "https://www.googleapis.com/auth/iam";
/// The scope of Firebase's APIs.
pub(crate) const FIREBASE: &str = "https://www.googleapis.com/auth/firebase";

/// Issues and opens access tokens.
pub(crate) struct AccessTokens {
    key: RandomizedNonceKey,
    clock: SharedClock,
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessToken {
    pub(crate) principal: Principal,
    scopes: Vec<String>,
    expires_at_seconds: i64,
}

impl AccessToken {
    /// Whether an API of this scope may be called with it.
    pub(crate) fn covers(&self, api_scope: &str) -> bool {
        self.scopes.iter().any(|scope| scope == CLOUD_PLATFORM || scope == api_scope)
    }
}

impl AccessTokens {
    /// # Errors
    /// If the system has no randomness.
    pub(crate) fn new(clock: SharedClock) -> Result<Self, Unspecified> {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret)?;
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &secret)?, clock })
    }

    /// A new token, and when it expires.
    pub(crate) fn issue(
        &self,
        principal: Principal,
        scopes: impl IntoIterator<Item = impl Into<String>>,
        lifetime: Duration,
    ) -> Result<(String, UnixTime), super::KeyUnavailable> {
        let expires_at = self.clock.now().plus(lifetime);
        let token = AccessToken {
            principal,
            scopes: scopes.into_iter().map(Into::into).collect(),
            expires_at_seconds: expires_at.as_seconds(),
        };
        let mut sealed = serde_json::to_vec(&token).map_err(|_| super::KeyUnavailable::Seal)?;
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::empty(), &mut sealed)
            .map_err(|_| super::KeyUnavailable::Seal)?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut sealed);
        Ok((format!("{PREFIX}{}", encode_base64url(&bytes)), expires_at))
    }

    /// What `token` says, if this process issued it and it has not expired.
    pub(crate) fn open(&self, token: &str) -> Option<AccessToken> {
        let mut bytes = decode_base64url(token.strip_prefix(PREFIX)?)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        let token: AccessToken = serde_json::from_slice(opened).ok()?;
        (self.clock.now().as_seconds() < token.expires_at_seconds).then_some(token)
    }
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccessTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use firegate_core::time::{ShiftedClock, SystemClock};

    use super::*;

    #[test]
    fn a_token_opens_only_here_only_unchanged_and_only_until_it_expires() {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let tokens = AccessTokens::new(Arc::new(clock.clone())).unwrap();
        let alice = Principal::User("alice@example.com".to_owned());
        let (token, _) = tokens.issue(alice.clone(), [CLOUD_PLATFORM], Duration::from_secs(60)).unwrap();
        assert!(!token.contains("alice"));
        assert_eq!(tokens.open(&token).map(|token| token.principal), Some(alice));
        assert_eq!(AccessTokens::new(Arc::new(SystemClock)).unwrap().open(&token), None);
        assert_eq!(tokens.open(&token.replace("ya29.", "ya29.AAAA")), None);
        assert_eq!(tokens.open("ya29."), None);
        assert_eq!(tokens.open(""), None);
        clock.advance(60);
        assert_eq!(tokens.open(&token), None);
    }
}
