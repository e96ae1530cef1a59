//! What stands where an ID token should: in a request without one, in one whose token is none, and in one that has more than
//! one. Nothing is quoted of it that could be a secret.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;

use crate::cors::CorsPolicy;
use crate::facts::{Authorization, RequestFacts};
use crate::jose::CompactJwsError;
use crate::token_source::is_in_query;

/// The schemes of `Authorization` that a refusal names: those of IANA's registry, and others that are in use. Another first
/// word may be a secret's.
const SCHEMES: [&str; 26] = [
    "AccessKey",
    "Api-Key",
    "ApiKey",
    "AWS4-HMAC-SHA256",
    "Basic",
    "Bearer",
    "Concealed",
    "Digest",
    "DPoP",
    "Firebase",
    "GNAP",
    "HOBA",
    "HMAC",
    "JWT",
    "Key",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SharedKey",
    "Signature",
    "Token",
    "vapid",
];

/// Where Cloud Run's front looks for a token before it looks into `Authorization`.
const FOR_CLOUD_RUN: HeaderName = HeaderName::from_static("x-serverless-authorization");

/// What a request has instead of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingToken {
    /// Nothing that anybody would take for a credential.
    Nothing,
    /// `Authorization` is there, and empty.
    Empty,
    /// `Authorization` says `Bearer`, and nothing behind it.
    EmptyBearer,
    /// `Authorization` holds what looks like a token, without `Bearer` in front of it.
    BareToken,
    /// `Authorization` holds a credential of another scheme, of this name.
    OtherScheme(&'static str),
    /// `Authorization` holds something that has no known scheme and is no token.
    UnknownScheme,
    /// `Authorization` holds a bearer token, and the backend reads none there.
    UnreadBearer,
    /// The query holds an `access_token` and none is read there: the backend looks for none, or the request is an ordinary one.
    UnreadQuery,
    /// A bearer token stands in the header that Cloud Run's own front reads.
    ForCloudRun,
    /// The request is a preflight, and nothing says which pages may call.
    Preflight {
        /// The page's origin, as far as it is shown.
        origin: String,
    },
}

impl MissingToken {
    /// What a request has in which no token was found.
    pub(crate) fn of(facts: &RequestFacts<'_>) -> Self {
        // One that may be answered was answered before anybody was asked for a token.
        if let Some(origin) = CorsPolicy::preflight_origin(facts) {
            return Self::Preflight { origin };
        }
        match facts.authorization() {
            Ok(Authorization::Bearer(_)) => Self::UnreadBearer,
            Ok(Authorization::Other(value)) => Self::beside(value),
            Ok(Authorization::Absent) if is_in_query(facts) => Self::UnreadQuery,
            Ok(Authorization::Absent) if facts.header(FOR_CLOUD_RUN).is_some() => Self::ForCloudRun,
            Ok(Authorization::Absent) | Err(_) => Self::Nothing,
        }
    }

    /// What a value is that does not say `Bearer`.
    fn beside(value: &str) -> Self {
        if value.trim().is_empty() {
            return Self::Empty;
        }
        if value.starts_with("eyJ") && value.contains('.') {
            return Self::BareToken;
        }
        let scheme = value
            .split_once([' ', '\t'])
            .and_then(|(first, _)| SCHEMES.into_iter().find(|scheme| scheme.eq_ignore_ascii_case(first)));
        scheme.map_or(Self::UnknownScheme, Self::OtherScheme)
    }

    /// What to do next, if it is anything else than the catalogue says.
    pub(super) fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Empty | Self::EmptyBearer => {
                "put the ID token behind `Bearer `: the variable that was to hold it is empty, or was never set"
            }
            Self::BareToken => "write `Bearer ` in front of it: `Authorization: Bearer <ID token>`",
            Self::UnreadBearer => {
                "send the token where the backend looks for it, or add `authorization` to its `token_sources`"
            }
            Self::UnreadQuery => {
                "send it as `Authorization: Bearer <ID token>`; for a WebSocket or an `EventSource`, which cannot, add `query` to the \
                 backend's `token_sources`"
            }
            Self::ForCloudRun => {
                "send it as `Authorization: Bearer <ID token>`: the other header is what Firegate itself sends to the service"
            }
            Self::Preflight { origin } => return Some(preflight_hint(origin)),
            Self::Nothing | Self::OtherScheme(_) | Self::UnknownScheme => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}

/// What lets the page call. Its origin is written out if it looks like one, so that the hint can be copied.
fn preflight_hint(origin: &str) -> Cow<'static, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_[]".contains(&byte);
    let is_of_web = origin.starts_with("http://") || origin.starts_with("https://");
    if origin == "null" {
        return Cow::Borrowed(
            "serve the page by http or https, and name its origin in `cors.origins`: `null` is the origin of local files and \
             sandboxed frames, whoever made them, and is never allowed",
        );
    }
    if is_of_web && origin.bytes().all(is_plain) {
        return Cow::Owned(format!(
            "let the page call: add `cors: {{ origins: ['{origin}'] }}` to the configuration"
        ));
    }
    Cow::Borrowed("let the page call: add `cors: { origins: [ORIGIN] }` with its origin to the configuration")
}

impl fmt::Display for MissingToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Nothing => "the request carries no ID token",
            Self::Empty => "`Authorization` is empty",
            Self::EmptyBearer => "`Authorization` says `Bearer` with nothing behind it",
            Self::BareToken => {
                "`Authorization` holds what looks like a token, without `Bearer ` in front of it"
            }
            Self::OtherScheme(scheme) => {
                return write!(
                    formatter,
                    "`Authorization` has the scheme {scheme:?}, and an ID token stands behind `Bearer`"
                );
            }
            Self::UnknownScheme => {
                "`Authorization` holds no `Bearer`; what stands there is no scheme that is known, may be a secret, and is not told"
            }
            Self::UnreadBearer => {
                "there is a bearer token in `Authorization`, where this backend looks for none (`token_sources`)"
            }
            Self::UnreadQuery => {
                "there is an `access_token` in the query, which counts for WebSockets and event streams alone, and where the \
                 backend looks for it (`token_sources`)"
            }
            Self::ForCloudRun => {
                "there is a token in `X-Serverless-Authorization`, where Cloud Run's front looks for Google's and Firegate for none"
            }
            Self::Preflight { origin } => {
                return write!(
                    formatter,
                    "this is a preflight for a page of {origin:?}: browsers send no token with it, and no `cors` says \
                     which pages may call"
                );
            }
        };
        formatter.write_str(text)
    }
}

/// Why what stands in a token's place is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedToken {
    /// It is no compact JWS.
    Jws(CompactJwsError),
    /// `Bearer` stands in front of it twice.
    BearerTwice,
    /// It stands in quotes or brackets.
    Enclosed,
    /// Its beginning is there, and not its end.
    Cut,
    /// Something stands behind it that belongs to no token.
    WithMoreBehind,
    /// It is what JavaScript makes of a promise or another object that is used as a text.
    JavaScriptObject,
    /// It is what JavaScript or Python writes where there is no value.
    NoValue(&'static str),
    /// It is a variable that a shell or a template was to fill in.
    NotFilledIn,
    /// It is an OAuth access token of Google's.
    AccessToken,
    /// It is a refresh token of Firebase's.
    RefreshToken,
    /// It is a Google API key.
    ApiKey,
    /// There are blanks in it.
    Blank,
    /// It holds bytes that are no visible ASCII.
    NotVisible,
}

impl MalformedToken {
    /// What a text with blanks is, behind `Bearer`.
    pub(crate) fn with_blanks(text: &str) -> Self {
        let text = text.trim();
        if is_not_filled_in(text) {
            return Self::NotFilledIn;
        }
        let first = text.split([' ', '\t']).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("bearer") {
            return Self::BearerTwice;
        }
        if first == "[object" { Self::JavaScriptObject } else { Self::Blank }
    }

    /// What a text is that is no compact JWS.
    pub(crate) fn of(text: &str, error: CompactJwsError) -> Self {
        let no_value = ["undefined", "null", "None"].into_iter().find(|word| *word == text);
        match no_value {
            Some(word) => Self::NoValue(word),
            None if text.starts_with(['"', '\'', '<', '[', '(', '{']) && text.contains("eyJ") => {
                Self::Enclosed
            }
            None if is_not_filled_in(text) => Self::NotFilledIn,
            None if text.starts_with("eyJ") => Self::spoilt(text).unwrap_or(Self::Jws(error)),
            None => Self::known(text).unwrap_or(Self::Jws(error)),
        }
    }

    /// What has become of a text that begins as a token does.
    fn spoilt(text: &str) -> Option<Self> {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let parts: Vec<&str> = text.split('.').collect();
        match parts.as_slice() {
            [_] | [_, _] if text.bytes().all(|byte| is_base64url(byte) || byte == b'.') => Some(Self::Cut),
            [header, claims, signature]
                if header.bytes().chain(claims.bytes()).all(is_base64url)
                    && !signature.bytes().all(is_base64url) =>
            {
                Some(Self::WithMoreBehind)
            }
            _ => None,
        }
    }

    /// What else of Google's a text is, by how those begin.
    fn known(text: &str) -> Option<Self> {
        let beginnings = [("ya29.", Self::AccessToken), ("AMf-", Self::RefreshToken), ("AIza", Self::ApiKey)];
        beginnings.into_iter().find_map(|(start, known)| text.starts_with(start).then_some(known))
    }

    /// What to do next, if it is anything else than the catalogue says.
    pub(super) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::BearerTwice => Some(
                "write `Bearer ` once: the code that sets the header and the text it is given both begin with it",
            ),
            Self::Enclosed => Some(
                "send the token itself: `JSON.stringify(token)`, and the output of `jq` without `-r`, have quotes around it",
            ),
            Self::Cut => Some(
                "send the whole result of `getIdToken()`, of some 1000 characters: a terminal, a log or a field of a database cut it",
            ),
            Self::WithMoreBehind => Some(
                "send the result of `getIdToken()` and nothing behind it: no comma, no quote, no line end that is written as `\\n` or `%0A`",
            ),
            Self::JavaScriptObject => Some(
                "write `await` before `getIdToken()`: it returns a promise, and the token is what that becomes",
            ),
            Self::NoValue(_) => Some(
                "send the request when somebody is signed in: wait for `auth.authStateReady()`, then for `getIdToken()`",
            ),
            Self::NotFilledIn => {
                Some("have it filled in: a shell does so between double quotes, and not between single ones")
            }
            Self::AccessToken => Some(
                "send the result of `getIdToken()`: the access token of a sign-in with Google is for Google's own APIs",
            ),
            Self::RefreshToken => Some(
                "send the result of `getIdToken()`: the refresh token is for Firebase alone, and the SDK keeps it",
            ),
            Self::ApiKey => Some(
                "sign a user in with it and send their `getIdToken()`: a key says which project calls, not who",
            ),
            Self::Jws(_) | Self::Blank | Self::NotVisible => None,
        }
    }
}

/// Whether a text is the name of what was meant: `$TOKEN`, `${TOKEN}`, `{{token}}` or `<ID token>`. No token begins so.
fn is_not_filled_in(text: &str) -> bool {
    text.starts_with(['$', '<']) || text.starts_with("{{")
}

impl fmt::Display for MalformedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Jws(error) => return error.fmt(formatter),
            Self::NoValue(word) => {
                return write!(formatter, "`{word}` stands in the token's place: the app had none");
            }
            Self::BearerTwice => "`Bearer` stands in front of the token twice",
            Self::Enclosed => "there are quotes or brackets around the token",
            Self::Cut => {
                "the token has a beginning and no end: not all of its three parts, separated by dots, are there"
            }
            Self::WithMoreBehind => "behind the token stands something that is no part of it",
            Self::JavaScriptObject => {
                "`[object …]` stands in the token's place: the app sent an object as a text; was `await` forgotten?"
            }
            Self::NotFilledIn => "the name of a variable stands in the token's place, and not its value",
            Self::AccessToken => "this is an access token of Google's (`ya29.…`), and no ID token",
            Self::RefreshToken => "this is a refresh token of Firebase's (`AMf-…`), and no ID token",
            Self::ApiKey => "this is an API key (`AIza…`), and no token",
            Self::Blank => "there are blanks in the token",
            Self::NotVisible => "the token holds bytes that are no visible ASCII",
        };
        formatter.write_str(text)
    }
}

/// What of a request could be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousCredential {
    /// There are several fields `Authorization`.
    SeveralAuthorizations,
    /// `Authorization` holds a list.
    AuthorizationList,
    /// `Authorization` holds bytes that are no visible ASCII.
    AuthorizationNotVisible,
    /// There are several session cookies with a value.
    SeveralCookies,
    /// A cookie is none by RFC 6265, and the session cookie for services that read cookies more freely.
    CookieLookAlike,
    /// The session cookie is no text.
    CookieNotText,
    /// The query has several `access_token`.
    SeveralInQuery,
    /// A parameter of the query is `access_token` for services that read queries more freely.
    QueryLookAlike,
    /// The subprotocols of a WebSocket name `access_token` more than once, or without a token, or are no text.
    Subprotocols,
    /// Tokens were sent in two places on purpose.
    SeveralPlaces,
    /// Beside the session cookie stands a bearer token that the backend does not read, and its service might.
    CookieBesideBearer,
    /// There are several App Check tokens, or one that is no text.
    AppCheck,
}

impl AmbiguousCredential {
    /// What to do next, if it is anything else than the catalogue says.
    pub(super) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::SeveralCookies => Some(
                "delete all but one: a browser sends one for each path and domain that it was set for, so set it with one \
                 `Path` and one `Domain` alone",
            ),
            Self::CookieLookAlike => {
                Some("rename the cookie, or delete it; the session cookie is `__session`")
            }
            Self::CookieNotText => {
                Some("set `__session` to the result of `createSessionCookie()`, unchanged")
            }
            Self::SeveralInQuery | Self::QueryLookAlike => {
                Some("send one parameter `access_token`, written so and followed by `&` or nothing")
            }
            Self::Subprotocols => Some("offer `access_token` once, and the ID token right behind it"),
            Self::SeveralPlaces => Some("send the token in one of the places"),
            Self::CookieBesideBearer => {
                Some("send one of them, or add `authorization` to the backend's `token_sources`")
            }
            Self::AppCheck => Some("send exactly one `X-Firebase-AppCheck: <App Check token>` header"),
            Self::SeveralAuthorizations | Self::AuthorizationList | Self::AuthorizationNotVisible => None,
        }
    }
}

impl fmt::Display for AmbiguousCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SeveralAuthorizations => "there is more than one `Authorization` header",
            Self::AuthorizationList => "`Authorization` holds more than one credential",
            Self::AuthorizationNotVisible => "`Authorization` holds bytes that are no visible ASCII",
            Self::SeveralCookies => "there is more than one `__session` cookie",
            Self::CookieLookAlike => "there is a cookie that some services take for `__session`",
            Self::CookieNotText => "the `__session` cookie is no text",
            Self::SeveralInQuery => "the query has more than one `access_token`",
            Self::QueryLookAlike => "the query has a parameter that some services take for `access_token`",
            Self::Subprotocols => {
                "the subprotocols name `access_token` more than once, or without a token behind it, or are no text"
            }
            Self::SeveralPlaces => "tokens stand in more than one place",
            Self::CookieBesideBearer => {
                "beside the `__session` cookie there is a bearer token in `Authorization`, where this backend looks for none"
            }
            Self::AppCheck => "there is more than one `X-Firebase-AppCheck` header, or one that is no text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn what_is_sent_in_a_tokens_place_by_mistake_is_told_by_its_name() {
        let check = |text: &str, expected: MalformedToken| {
            assert_eq!(MalformedToken::of(text, CompactJwsError::PartCount), expected, "{text}");
            let told = Reason::TokenMalformed(expected);
            assert!(!told.to_string().contains(text), "{told}");
            let fix =
                Reason::TokenMalformed(MalformedToken::Jws(CompactJwsError::PartCount)).hint().into_owned();
            assert_eq!(told.hint() == fix, matches!(expected, MalformedToken::Jws(_)), "{text}");
        };
        for text in ["$TOKEN", "${TOKEN}", "${idToken}", "{{token}}", "<token>"] {
            check(text, MalformedToken::NotFilledIn);
        }
        for text in ["\"eyJh.eyJi.c\"", "'eyJh.eyJi.c'", "<eyJh.eyJi.c>", "{\"idToken\":\"eyJh.eyJi.c\"}"] {
            check(text, MalformedToken::Enclosed);
        }
        for text in ["eyJhbGciOi", "eyJhbGciOi.eyJpc3Mi"] {
            check(text, MalformedToken::Cut);
        }
        for text in ["eyJh.eyJi.c\\n", "eyJh.eyJi.c%0A", "eyJh.eyJi.c,", "eyJh.eyJi.c\""] {
            check(text, MalformedToken::WithMoreBehind);
        }
        for text in ["eyJh.eyJi.", "eyJh.eyJi.c.d", "eyJh!.eyJi.c", "eyJh.ey i.c"] {
            check(text, MalformedToken::Jws(CompactJwsError::PartCount));
        }
        check("ya29.a0AfH6SMB", MalformedToken::AccessToken);
        check("AMf-vBz1abc", MalformedToken::RefreshToken);
        check("AIzaSyA1234567890", MalformedToken::ApiKey);
        check("{\"idToken\":\"x\"}", MalformedToken::Jws(CompactJwsError::PartCount));
        check("4aXeP_kUcJ9LxuHj33JkfUAt3VbXy7kIPn8CQPRyQNk", MalformedToken::Jws(CompactJwsError::PartCount));
        for text in ["<ID token>", "{{ token }}", "${ token }"] {
            assert_eq!(MalformedToken::with_blanks(text), MalformedToken::NotFilledIn, "{text}");
        }
    }

    #[test]
    fn whoever_is_nearly_let_in_is_told_what_is_missing() {
        let refused = |near: &[&str]| Reason::NoInvokerBinding {
            principal: "ada".to_owned(),
            near: near.iter().map(|line| (*line).to_owned()).collect(),
            members: vec!["user:ada@example.com".to_owned()],
            more: 0,
        };
        let hint = refused(&["user:ada@example.com would match, but the user's address is not verified"])
            .hint()
            .into_owned();
        assert!(hint.contains("`sendEmailVerification(user)`") && !hint.contains("add the user"), "{hint}");
        assert!(refused(&[]).hint().starts_with("add the user to the backend's `allow`"));
    }

    #[test]
    fn an_empty_header_is_told_as_one() {
        for value in ["", " "] {
            assert_eq!(MissingToken::beside(value), MissingToken::Empty);
        }
        assert_eq!(MissingToken::beside("s3cr3t"), MissingToken::UnknownScheme);
    }
}
