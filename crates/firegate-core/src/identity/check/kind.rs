//! Which kind of token a token says it is, by its issuer, and whether that kind is accepted.

use super::IdentityRules;
use crate::app_check::APP_CHECK_ISSUER_PREFIX;
use crate::assertion::EXCHANGED_TOKEN_TYPE;
use crate::identity::TokenKind;
use crate::jose::CompactJws;
use crate::reason::Reason;

/// The audience of custom tokens, which are for Identity Platform's own eyes.
const CUSTOM_TOKEN_AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// The issuer of Google ID tokens, in both of its spellings (Google: OpenID Connect, "validating an ID token").
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// The kind, if it is accepted.
pub(super) fn kind_of(jws: &CompactJws<'_>, rules: &IdentityRules) -> Result<TokenKind, Reason> {
    let issuer = jws.payload_text("iss").unwrap_or_default();
    let unknown = || Reason::TokenIssuerUnknown { found: issuer.to_owned() };
    for kind in TokenKind::FIREBASE {
        let prefix = kind.firebase_issuer_prefix();
        let Some(project) = prefix.and_then(|prefix| issuer.strip_prefix(prefix)) else { continue };
        return match kind {
            _ if project != rules.project => Err(wrong_project(rules, project)),
            kind if rules.accepts(kind) => Ok(kind),
            TokenKind::SessionCookie => Err(Reason::TokenIsSessionCookie),
            _ => Err(unknown()),
        };
    }
    if GOOGLE_ISSUERS.contains(&issuer) {
        let kind = TokenKind::GoogleIdToken;
        return if rules.accepts(kind) { Ok(kind) } else { Err(Reason::TokenIsGoogleIdToken) };
    }
    if issuer == rules.issuer {
        // An assertion has the same issuer and keys, and another type.
        let is_exchanged = jws.header_text("typ") == Some(EXCHANGED_TOKEN_TYPE);
        let kind = TokenKind::ExchangedToken;
        return if is_exchanged && rules.accepts(kind) { Ok(kind) } else { Err(Reason::TokenIsFiregatesOwn) };
    }
    Err(match issuer {
        _ if jws.payload_text("aud") == Some(CUSTOM_TOKEN_AUDIENCE) => Reason::TokenIsCustomToken,
        _ if issuer.starts_with(APP_CHECK_ISSUER_PREFIX) => Reason::TokenIsAppCheckToken,
        _ => unknown(),
    })
}

pub(super) fn wrong_project(rules: &IdentityRules, found: &str) -> Reason {
    Reason::TokenWrongProject { expected: rules.project.clone(), found: found.to_owned() }
}

impl IdentityRules {
    pub(super) fn accepts(&self, kind: TokenKind) -> bool {
        kind.accepted_by().is_some_and(|word| self.users.accept.contains(&word))
    }

    /// The issuer of a kind of token.
    pub(super) fn issuer_of(&self, kind: TokenKind) -> String {
        match kind {
            TokenKind::GoogleIdToken => GOOGLE_ISSUERS.join(" or "),
            TokenKind::ExchangedToken => self.issuer.clone(),
            TokenKind::AppCheck => APP_CHECK_ISSUER_PREFIX.to_owned(),
            TokenKind::IdToken | TokenKind::SessionCookie => {
                format!("{}{}", kind.firebase_issuer_prefix().unwrap_or_default(), self.project)
            }
        }
    }
}
