//! The URLs of services.

use url::Url;

use super::Checker;
use crate::configuration::names::NO_VARIABLES;
use crate::diagnostic::{Diagnostic, YamlPath};
use crate::suggestion::quoted;

/// Where the URL of a service comes from.
const PRINT_URL: &str = "`gcloud run services describe SERVICE --format='value(status.url)'` prints it";

impl Checker<'_> {
    /// The URL of an HTTP server, without credentials, query and fragment; what it has more is the caller's to judge.
    pub(super) fn http_url(&mut self, path: &YamlPath, code: &'static str, text: &str) -> Option<Url> {
        if has_password(text) {
            let found = Diagnostic::error(code, "the URL holds a user name or password").conceal();
            self.report(path, found.hint("remove what is before `@`"));
            return None;
        }
        match http_url(text) {
            Ok(url) => Some(url),
            Err((message, hint)) => {
                self.report(path, Diagnostic::error(code, message).hint_if(hint));
                None
            }
        }
    }

    /// The URL of an HTTP server's root.
    pub(super) fn origin_url(&mut self, path: &YamlPath, code: &'static str, text: &str) -> Option<Url> {
        let url = self.http_url(path, code, text)?;
        if url.path() == "/" {
            return Some(url);
        }
        let origin = url.origin().ascii_serialization();
        let found = Diagnostic::error(code, format!("{} has a path", quoted(text)))
            .hint(format!("requests keep their own path: write `{origin}`"));
        self.report(path, found);
        None
    }
}

/// Whether a URL has something before an `@` in its authority, which is never repeated in a message.
pub(super) fn has_password(text: &str) -> bool {
    let rest = text.split_once("//").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\']).next().is_some_and(|authority| authority.contains('@'))
}

/// The URL, or what is wrong and what to write.
fn http_url(text: &str) -> Result<Url, (String, Option<String>)> {
    // The parser forgives what an operator would not mean: it drops tabs and turns backslashes.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err((
            format!("{} is not a URL", quoted(text)),
            Some("it has white space or a backslash".to_owned()),
        ));
    }
    // No URL has braces (RFC 3986), and no name that is resolved has a `$`.
    let from_host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = from_host.split('/').next().unwrap_or(from_host);
    if text.contains(['{', '}']) || host.contains('$') {
        return Err((format!("{} holds a variable", quoted(text)), Some(NO_VARIABLES.to_owned())));
    }
    let has_http_scheme = text.starts_with("http://") || text.starts_with("https://");
    if !has_http_scheme {
        let (message, hint) = match text.split_once("://") {
            Some((scheme, _)) => (
                format!("{} has the scheme {}", quoted(text), quoted(scheme)),
                "write `https://`, or `http://` for a service on this machine".to_owned(),
            ),
            None => {
                let local =
                    text.starts_with("localhost") || text.starts_with("127.") || text.starts_with('[');
                let scheme = if local { "http" } else { "https" };
                let hint = match local || text.contains(['.', ':']) {
                    true => format!("did you mean `{scheme}://{text}`?"),
                    false => format!(
                        "write the whole URL, for example `https://api-abc123-uc.a.run.app`; {PRINT_URL}"
                    ),
                };
                (format!("{} has no scheme", quoted(text)), hint)
            }
        };
        return Err((message, Some(hint)));
    }
    let url = Url::parse(text).map_err(|error| (format!("{} is not a URL: {error}", quoted(text)), None))?;
    if url
        .host_str()
        .is_some_and(|host| ["console.cloud.google.com", "console.firebase.google.com"].contains(&host))
    {
        let message = format!("{} is a page about the service, and not the service", quoted(text));
        return Err((message, Some(format!("write the service's own URL; {PRINT_URL}"))));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let plain = text.split(['?', '#']).next().unwrap_or(text);
        return Err((format!("{} has a query or fragment", quoted(text)), Some(format!("write `{plain}`"))));
    }
    if url.port() == Some(0) {
        return Err((format!("{} has the port 0", quoted(text)), None));
    }
    Ok(url)
}
