//! The overrides of Google's endpoints, and Firegate's own assertion.

use std::path::PathBuf;

use url::Url;

use super::Checker;
use crate::configuration::google::{DEFAULTS, GoogleEndpoints, is_loopback};
use crate::configuration::model::AssertionSettings;
use crate::configuration::source::{AssertionSource, GoogleSource, UrlSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::optional;
use crate::suggestion::quoted;
use crate::yaml::Part;

impl Checker<'_> {
    pub(super) fn google(&mut self, source: GoogleSource) -> Option<GoogleEndpoints> {
        let mut endpoint = |key: &str, given: Option<UrlSource>| self.google_endpoint(key, given);
        let id_token_keys = endpoint("id_token_keys", source.id_token_keys);
        let session_cookie_keys = endpoint("session_cookie_keys", source.session_cookie_keys);
        let app_check_keys = endpoint("app_check_keys", source.app_check_keys);
        let app_check = endpoint("app_check", source.app_check);
        let google_id_token_keys = endpoint("google_id_token_keys", source.google_id_token_keys);
        let identity_toolkit = endpoint("identity_toolkit", source.identity_toolkit);
        let sts = endpoint("sts", source.sts);
        let iam_credentials = endpoint("iam_credentials", source.iam_credentials);
        let oauth2_token = endpoint("oauth2_token", source.oauth2_token);
        let metadata = endpoint("metadata", source.metadata);
        Some(GoogleEndpoints {
            id_token_keys: id_token_keys?,
            session_cookie_keys: session_cookie_keys?,
            app_check_keys: app_check_keys?,
            app_check: app_check?,
            google_id_token_keys: google_id_token_keys?,
            identity_toolkit: identity_toolkit?,
            sts: sts?,
            iam_credentials: iam_credentials?,
            oauth2_token: oauth2_token?,
            metadata: metadata?,
        })
    }

    fn google_endpoint(&mut self, key: &str, given: Option<UrlSource>) -> Option<Url> {
        let path = YamlPath::root().key("google").key(key);
        let Some(UrlSource(text)) = given else {
            let (_, default) = DEFAULTS.iter().find(|(name, _)| *name == key)?;
            return Url::parse(default).ok();
        };
        let url = self.http_url(&path, code::GOOGLE_ENDPOINT, &text)?;
        // Whoever answers for the key sets signs everyone in. The metadata server alone speaks plain http, on a
        // link that does not leave the machine's host.
        if url.scheme() == "https" || is_loopback(&url) || key == "metadata" {
            return Some(url);
        }
        let found = Diagnostic::error(
            code::GOOGLE_ENDPOINT,
            format!("{} is plain http to another machine", quoted(&text)),
        )
        .hint("use https: keys and tokens cannot be trusted to it otherwise");
        self.report(&path, found);
        None
    }

    pub(super) fn assertion(&mut self, source: Option<AssertionSource>) -> Option<AssertionSettings> {
        let path = YamlPath::root().key("assertion");
        let Some(source) = source else { return Some(AssertionSettings::default()) };
        let issuer = source.issuer.map(|UrlSource(text)| {
            let path = path.key("issuer");
            let url = self.http_url(&path, code::ASSERTION, &text)?;
            if url.scheme() == "https" || is_loopback(&url) {
                return Some(text);
            }
            let found =
                Diagnostic::error(code::ASSERTION, format!("the issuer {} is not https", quoted(&text)))
                    .hint("it is the public URL of this front door, from which services fetch its keys");
            self.report(&path, found);
            None
        });
        let key = source.key.map(|name| self.file_name(&path.key("key"), Some(name)));
        let previous_keys = source.previous_keys.unwrap_or_default().into_iter().enumerate();
        let previous_keys: Vec<Option<PathBuf>> = previous_keys
            .map(|(index, name)| self.file_name(&path.key("previous_keys").index(index), Some(name)))
            .collect();
        if key.is_none() && !previous_keys.is_empty() && !self.was_refused(&path.key("key")) {
            let found = Diagnostic::error(code::ASSERTION, "`previous_keys` without a `key`")
                .hint("a generated key keeps its predecessors itself; name the mounted key, or remove `previous_keys`");
            self.report_part(&path.key("previous_keys"), Part::Key, found);
            return None;
        }
        Some(AssertionSettings {
            issuer: optional(issuer)?,
            key: optional(key)?,
            previous_keys: previous_keys.into_iter().collect::<Option<_>>()?,
        })
    }
}
