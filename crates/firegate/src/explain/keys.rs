//! The key sets that a token is judged by, fetched for this one question.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use firegate_core::assertion::EXCHANGED_TOKEN_TYPE;
use firegate_core::identity::{KeyRing, KeyState, TokenKind};
use firegate_core::jose::{CompactJws, KeySet};
use firegate_files::configuration::{AcceptedToken, Configuration};
use firegate_google::http::{ExchangeBounds, HttpClient, Roots};
use firegate_google::limits::KEY_SET_BODY_BYTES_MAX;
use tokio::runtime::Handle;
use url::Url;

use super::limits::KEYS_TIMEOUT;
use super::summary::GOOGLE_ISSUERS;

/// Where the front door publishes the keys of its assertions and exchanged tokens.
const DOOR_KEYS_PATH: &str = "/.well-known/firegate/jwks.json";

/// Where a key set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// An endpoint.
    Url(Url),
    /// A file, which was read.
    File {
        /// Its name.
        name: PathBuf,
        /// What it holds: keys of ID tokens.
        document: Vec<u8>,
    },
}

/// The keys that a token needs, and why they could not be had.
#[derive(Debug, Default)]
pub(super) struct FetchedKeys {
    pub(super) ring: KeyRing,
    pub(super) problem: Option<String>,
}

impl KeySource {
    /// A text with a scheme is a URL, any other the name of a file with the keys of ID tokens. That is read once: it may be a
    /// pipe.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no keys.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
            return Ok(Self::Url(url));
        }
        let name = PathBuf::from(text);
        let no_keys = |why: String| no_keys_from(&name.display().to_string(), &why);
        let document = read_file(&name).map_err(no_keys)?;
        KeySet::parse_rs256(&document).map_err(|error| no_keys(error.to_string()))?;
        Ok(Self::File { name, document })
    }

    async fn read(&self, kind: TokenKind) -> Result<KeySet, String> {
        let (document, place) = match self {
            Self::Url(url) => (fetch(url).await, url.to_string()),
            Self::File { name, document } => (Ok(document.clone()), name.display().to_string()),
        };
        let parse = match kind {
            TokenKind::ExchangedToken => KeySet::parse_es256,
            TokenKind::IdToken
            | TokenKind::SessionCookie
            | TokenKind::GoogleIdToken
            | TokenKind::AppCheck => KeySet::parse_rs256,
        };
        let keys = document.and_then(|document| parse(&document).map_err(|error| error.to_string()));
        keys.map_err(|why| no_keys_from(&place, &why))
    }
}

/// Gets the one key set that the token's issuer signs with; none for a token of nobody's that is known. Where to get it is
/// the configuration's word, never the token's.
pub(super) async fn obtain(
    token: &str,
    configuration: &Configuration,
    id_token_keys: Option<KeySource>,
) -> FetchedKeys {
    let mut fetched = FetchedKeys::default();
    let Ok(jws) = CompactJws::parse(token) else { return fetched };
    let Some(kind) = kind_of(&jws, configuration) else { return fetched };
    let endpoints = &configuration.google;
    let (source, state) = match kind {
        TokenKind::IdToken => {
            let usual = || KeySource::Url(endpoints.id_token_keys.clone());
            (Ok(id_token_keys.unwrap_or_else(usual)), &mut fetched.ring.id_token)
        }
        TokenKind::SessionCookie => {
            (Ok(KeySource::Url(endpoints.session_cookie_keys.clone())), &mut fetched.ring.session_cookie)
        }
        TokenKind::GoogleIdToken => {
            (Ok(KeySource::Url(endpoints.google_id_token_keys.clone())), &mut fetched.ring.google_id_token)
        }
        TokenKind::ExchangedToken => (keys_of_the_door(configuration), &mut fetched.ring.exchanged_token),
        TokenKind::AppCheck => return fetched,
    };
    let keys = match source {
        Ok(source) => source.read(kind).await,
        Err(problem) => Err(problem),
    };
    match keys {
        Ok(keys) => *state = KeyState::Usable(Arc::new(keys)),
        Err(problem) => fetched.problem = Some(problem),
    }
    fetched
}

impl FetchedKeys {
    /// Gets App Check's keys too.
    pub(super) async fn obtain_of_app_check(&mut self, configuration: &Configuration) {
        let source = KeySource::Url(configuration.google.app_check_keys.clone());
        match source.read(TokenKind::AppCheck).await {
            Ok(keys) => self.ring.app_check = KeyState::Usable(Arc::new(keys)),
            Err(problem) => self.problem = Some(self.problem.take().unwrap_or(problem)),
        }
    }
}

/// Whose keys are needed. Google's are even where Firegate takes no such token: Cloud Run goes by them.
fn kind_of(jws: &CompactJws<'_>, configuration: &Configuration) -> Option<TokenKind> {
    let issuer = jws.payload_text("iss").unwrap_or_default();
    if GOOGLE_ISSUERS.contains(&issuer) {
        return Some(TokenKind::GoogleIdToken);
    }
    if configuration.assertion.issuer.as_deref() == Some(issuer) {
        let is_judged = jws.header_text("typ") == Some(EXCHANGED_TOKEN_TYPE)
            && configuration.users.accept.contains(&AcceptedToken::ExchangedToken);
        return is_judged.then_some(TokenKind::ExchangedToken);
    }
    TokenKind::FIREBASE
        .into_iter()
        .find(|kind| kind.firebase_issuer_prefix().is_some_and(|prefix| issuer.starts_with(prefix)))
}

/// Where the front door itself publishes the keys of its tokens: below its issuer, as its discovery document says.
fn keys_of_the_door(configuration: &Configuration) -> Result<KeySource, String> {
    let issuer = configuration.assertion.issuer.as_deref().unwrap_or_default();
    let url = Url::parse(&format!("{}{DOOR_KEYS_PATH}", issuer.trim_end_matches('/')));
    match url {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(KeySource::Url(url)),
        Ok(_) | Err(_) => Err(format!(
            "the issuer {issuer:?} is no http or https URL, below which the front door would publish its keys"
        )),
    }
}

fn no_keys_from(place: &str, why: &str) -> String {
    format!("no keys from {place}: {why}")
}

async fn fetch(url: &Url) -> Result<Vec<u8>, String> {
    let bounds = ExchangeBounds { timeout: KEYS_TIMEOUT, body_bytes_max: KEY_SET_BODY_BYTES_MAX };
    // Plain http needs no roots, and a machine without any can still ask its local identity server.
    let client = match url.scheme() {
        "http" => HttpClient::new(Handle::current(), Roots::Given(Vec::new())),
        _ => HttpClient::new(Handle::current(), Roots::Platform),
    };
    let client = client.map_err(|error| error.to_string())?;
    let response = client.get(url, bounds).await.map_err(|error| error.to_string())?;
    Ok(response.into_body().to_vec())
}

fn read_file(file: &PathBuf) -> Result<Vec<u8>, String> {
    let bytes_max = KEY_SET_BODY_BYTES_MAX as u64;
    let mut document = Vec::new();
    let opened =
        std::fs::File::open(file).and_then(|open| open.take(bytes_max + 1).read_to_end(&mut document));
    match opened {
        Ok(length) if length as u64 > bytes_max => Err("the file is too large".to_owned()),
        Ok(_) => Ok(document),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_keys_are_below_an_issuer_that_is_a_url() {
        let check = |issuer: Option<&str>, expected: Option<&str>| {
            let member = ["allAuthenticatedUsers".to_owned()];
            let mut configuration =
                Configuration::minimal("my-project", "https://a.run.app", &member).expect("a configuration");
            configuration.assertion.issuer = issuer.map(str::to_owned);
            let expected = expected.map(|url| KeySource::parse(url).expect("a URL"));
            assert_eq!(keys_of_the_door(&configuration).ok(), expected, "{issuer:?}");
        };
        let keys = "https://door.example.com/.well-known/firegate/jwks.json";
        check(Some("https://door.example.com"), Some(keys));
        check(Some("https://door.example.com/"), Some(keys));
        check(Some("http://127.0.0.1:8080"), Some("http://127.0.0.1:8080/.well-known/firegate/jwks.json"));
        check(Some("urn:firegate:my-project"), None);
        check(Some("file:///etc"), None);
        check(None, None);
    }
}
