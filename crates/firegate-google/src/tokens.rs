//! Google's tokens as Firegate holds them. Neither is ever printed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use firegate_core::jose::CompactJws;
use firegate_core::time::UnixTime;
use http::HeaderValue;

use crate::fault::FaultSource;
use crate::limits::TOKEN_REMAINING_MIN;

/// A Google-signed ID token for one audience.
#[derive(Clone, PartialEq, Eq)]
pub struct IdToken {
    text: String,
    bearer: HeaderValue,
    expires_at: UnixTime,
}

/// An OAuth 2.0 access token of Google.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    text: String,
    bearer: HeaderValue,
    expires_at: UnixTime,
}

/// How often Google was asked for ID tokens, and with what outcome.
#[derive(Debug, Default)]
pub struct MintCounts {
    successes: AtomicU64,
    failures: AtomicU64,
}

impl MintCounts {
    /// Counts an attempt.
    pub(crate) fn count<T, E>(&self, minted: &Result<T, E>) {
        let count = if minted.is_ok() { &self.successes } else { &self.failures };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many attempts got a token.
    pub fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// How many got none.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl IdToken {
    /// Reads a token that Google has minted for `audience`. Its signature is for the service to check.
    ///
    /// # Errors
    /// If it is no JWT, is for another audience, has no `exp`, or less than [`TOKEN_REMAINING_MIN`] until it: an answer
    /// of a cache, or an error page, must not become a token.
    pub fn parse(text: &str, audience: &str, now: UnixTime) -> Result<Self, FaultSource> {
        let text = text.trim_ascii();
        let token = CompactJws::parse(text)?;
        if token.payload_text("aud") != Some(audience) {
            return Err(FaultSource::Unusable("the token is for another audience"));
        }
        let expires_at = token
            .payload()
            .integer("exp")
            .map(UnixTime::from_seconds)
            .ok_or(FaultSource::Unusable("the token has no expiry"))?;
        if expires_at.since(now) < TOKEN_REMAINING_MIN {
            return Err(FaultSource::Unusable(
                "the token has expired or is about to; is this machine's clock right?",
            ));
        }
        Ok(Self { bearer: bearer(text)?, text: text.to_owned(), expires_at })
    }

    /// The token.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `Bearer …`, for `X-Serverless-Authorization` or `Authorization`; marked sensitive.
    pub fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    /// The token's own `exp`.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

impl AccessToken {
    /// A token that expires at `expires_at`.
    ///
    /// # Errors
    /// If it is empty or has characters that no header can carry.
    pub fn new(text: &str, expires_at: UnixTime) -> Result<Self, FaultSource> {
        if text.is_empty() {
            return Err(FaultSource::Unusable("the access token is empty"));
        }
        Ok(Self { bearer: bearer(text)?, text: text.to_owned(), expires_at })
    }

    /// The token.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `Bearer …`, for `Authorization`; marked sensitive.
    pub fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    /// When it expires.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// A token that has an end.
pub(crate) trait Expiring {
    fn expires_at(&self) -> UnixTime;
}

impl Expiring for IdToken {
    fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

impl Expiring for AccessToken {
    fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IdToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccessToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The header value of a bearer token (RFC 6750, section 2.1).
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, FaultSource> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| FaultSource::Unusable("the token has characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use firegate_core::jose::encode_base64url;

    use super::*;

    fn check(payload: &str, accepted: bool) {
        let token = format!("{}.{}.AAAA", encode_base64url(b"{}"), encode_base64url(payload.as_bytes()));
        let now = UnixTime::from_seconds(1000);
        let parsed = IdToken::parse(&format!("{token}\n"), "https://service", now);
        assert_eq!(parsed.is_ok(), accepted, "{payload}: {parsed:?}");
        if let Ok(parsed) = parsed {
            assert_eq!(parsed.text(), token);
            assert!(!format!("{parsed:?} {:?}", parsed.bearer()).contains(&token));
        }
    }

    #[test]
    fn only_an_unexpired_token_for_the_audience_is_one() {
        check(r#"{"aud":"https://service","exp":1030}"#, true);
        check(r#"{"aud":"https://service","exp":1029}"#, false);
        check(r#"{"aud":"https://service"}"#, false);
        check(r#"{"aud":"https://service","exp":"2000"}"#, false);
        check(r#"{"aud":"https://service","exp":2000.5}"#, false);
        check(r#"{"aud":"https://service/","exp":2000}"#, false);
        check(r#"{"aud":["https://service"],"exp":2000}"#, false);
        check(r#"{"exp":2000}"#, false);
        assert!(IdToken::parse("<html>404</html>", "https://service", UnixTime::from_seconds(0)).is_err());
    }
}
