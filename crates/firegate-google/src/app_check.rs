//! Replay protection of App Check: a token is consumed at Google, once.
//!
//! `projects.verifyAppCheckToken` of the Firebase App Check API answers whether a token was consumed before, and consumes
//! it. It refuses nothing by itself: whoever asks has to refuse what was consumed already. The token's signature and
//! claims are checked before, by the decision.
//!
//! Either answer means that the token is consumed now, so Google is asked about a token once: a spent one that comes a
//! thousand times costs no call and takes no place of another's.

mod spent;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use serde_json::{Value, json};
use url::Url;

use firegate_core::jose::strict_json;

use self::spent::{SpentTokens, TokenDigest, Turn};
use crate::caller::Caller;
use crate::credentials::exchange::{post_json, succeeded};
use crate::fault::{CredentialFault, FaultKind, FaultSource};
use crate::http::{ExchangeBounds, HttpClient, extend};
use crate::limits::{
    APP_CHECK_BODY_BYTES_MAX, APP_CHECK_CONSUME_TIMEOUT, APP_CHECK_CONSUMING_MAX, APP_CHECK_SPENT_TOKENS_MAX,
};

/// Where App Check tokens are consumed.
pub const APP_CHECK_URL: &str = "https://firebaseappcheck.googleapis.com";

/// A client of `verifyAppCheckToken`.
#[derive(Debug)]
pub struct AppCheckClient {
    http: HttpClient,
    base: Option<Url>,
    project: String,
    caller: Caller,
    tokens: SpentTokens,
}

/// Whether a token was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// This was its first use; it has none left.
    Now,
    /// It was consumed before: a replay.
    Before,
}

/// Why it is not known whether a token was used before. It may be consumed nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeFault {
    /// Google refuses this token: the fault is the token's.
    #[error("verifyAppCheckToken refuses the token: {0}")]
    Token(FaultSource),
    /// The call is refused whatever the token is, or fails: the fault is not the token's.
    #[error("verifyAppCheckToken: {0}{hint}", hint = hint(.0))]
    Call(FaultSource),
    /// There is no credential for the call.
    #[error("verifyAppCheckToken: {0}")]
    Credential(#[from] CredentialFault),
    /// As many tokens as are allowed are being consumed already.
    #[error("too many App Check tokens are being consumed")]
    Overloaded,
}

fn hint(source: &FaultSource) -> &'static str {
    match source {
        FaultSource::Answered { status: 401 | 403, .. } => {
            "; grant Firegate's identity roles/firebaseappcheck.tokenVerifier, and enable firebaseappcheck.googleapis.com"
        }
        FaultSource::Answered { status: 404, .. } => "; check `project` and `google.app_check`",
        _ => "",
    }
}

impl ConsumeFault {
    /// Whether trying again helps. A token that Google refuses is refused again.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Token(_) => FaultKind::Refused,
            Self::Call(source) => source.kind(),
            Self::Credential(fault) => fault.kind(),
            Self::Overloaded => FaultKind::Unavailable,
        }
    }

    /// Whether the mistake is Firegate's own, and of nobody whom it asked.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Token(source) | Self::Call(source) => source.is_internal(),
            Self::Credential(fault) => fault.source.is_internal(),
            Self::Overloaded => false,
        }
    }

    /// Whether the token is at fault, and neither Google nor Firegate.
    pub fn is_about_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

impl AppCheckClient {
    /// A client for one project of the API at `base`, Google's own by default.
    pub fn new(http: HttpClient, base: Option<Url>, project: String, caller: Caller) -> Self {
        let tokens = SpentTokens::new(APP_CHECK_SPENT_TOKENS_MAX, APP_CHECK_CONSUMING_MAX);
        Self { http, base, project, caller, tokens }
    }

    /// Consumes a token that was verified before. One attempt: a second one would find consumed what the first one
    /// consumed before its answer was lost. A token of which an answer is remembered, or whose call is under way for
    /// another request, was used before; a call that fails or is given up is not remembered.
    ///
    /// # Errors
    /// If there is no documented answer in time. Nothing but such an answer means a first use.
    pub async fn consume(&self, token: &str) -> Result<Consumed, ConsumeFault> {
        let turn = match self.tokens.take(sha256(token)) {
            Turn::Own(turn) => turn,
            Turn::Replay => return Ok(Consumed::Before),
            Turn::Full => return Err(ConsumeFault::Overloaded),
        };
        let bearer = self.caller.bearer().await?;
        let consumed = self.verify(token, &bearer).await.map_err(|source| match source {
            FaultSource::Answered { status: 400, .. } => ConsumeFault::Token(source),
            source => ConsumeFault::Call(source),
        })?;
        turn.spent();
        Ok(consumed)
    }

    async fn verify(&self, token: &str, bearer: &HeaderValue) -> Result<Consumed, FaultSource> {
        const BOUNDS: ExchangeBounds =
            ExchangeBounds { timeout: APP_CHECK_CONSUME_TIMEOUT, body_bytes_max: APP_CHECK_BODY_BYTES_MAX };
        let base = self.base.as_ref().map_or(APP_CHECK_URL, Url::as_str);
        let url = extend(base, ["v1beta", "projects", &format!("{}:verifyAppCheckToken", self.project)])?;
        let body = json!({ "app_check_token": token });
        let answer = succeeded(post_json(&self.http, &url, bearer, &body, BOUNDS).await?)?;
        let unusable = FaultSource::Unusable("not the documented JSON");
        let answer = strict_json::parse_object(answer.body()).map_err(|_| unusable.clone())?;
        match answer.get("alreadyConsumed") {
            _ if answer.contains_key("error") => Err(unusable),
            // Protocol Buffers leave out what is false (ProtoJSON).
            None | Some(Value::Bool(false)) => Ok(Consumed::Now),
            Some(Value::Bool(true)) => Ok(Consumed::Before),
            Some(_) => Err(unusable),
        }
    }
}

fn sha256(token: &str) -> TokenDigest {
    let mut array = TokenDigest::default();
    array.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    array
}
