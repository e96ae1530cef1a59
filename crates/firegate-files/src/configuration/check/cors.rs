//! Which pages of other origins may call.

use super::Checker;
use crate::configuration::model::{AllowedOrigins, Cors};
use crate::configuration::names::Origin;
use crate::configuration::source::CorsSource;
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::suggestion::quoted;

impl Checker<'_> {
    pub(super) fn cors(&mut self, source: CorsSource) -> Option<Cors> {
        let path = YamlPath::root().key("cors");
        let credentials = source.credentials.unwrap_or(false);
        let origins = match source.origins {
            Some(origins) if !origins.is_empty() => self.origins(&path.key("origins"), &origins, credentials),
            given => {
                let found = Diagnostic::error(code::CORS, "`cors` names no origins")
                    .hint("add the origins of your pages, `origins: [\"https://app.example.com\"]`, or remove `cors`");
                match given {
                    Some(_) => self.report(&path.key("origins"), found),
                    None => self.missing(&path.key("origins"), found),
                }
                None
            }
        };
        let methods = self.tokens(&path.key("methods"), source.methods.unwrap_or_default(), "GET");
        let headers = self.tokens(&path.key("headers"), source.headers.unwrap_or_default(), "X-Request-Id");
        if let Some(methods) = &methods {
            self.upper_case(&path.key("methods"), methods)?;
        }
        let headers =
            headers.map(|headers| headers.iter().map(|header| header.to_ascii_lowercase()).collect());
        Some(Cors { origins: origins?, methods: methods?, headers: headers?, credentials })
    }

    fn origins(&mut self, path: &YamlPath, texts: &[String], credentials: bool) -> Option<AllowedOrigins> {
        let mut origins = Some(Vec::new());
        for (index, text) in texts.iter().enumerate() {
            let (message, hint) = match text.as_str() {
                "*" if credentials => (
                    "`*` with `credentials` would let every site act as the user",
                    "list the origins of your pages",
                ),
                "*" if texts.len() > 1 => (
                    "`*` stands beside other origins, which it makes meaningless",
                    "keep `*` alone, or remove it",
                ),
                "*" => return Some(AllowedOrigins::Any),
                text => {
                    let origin = self.name::<Origin>(&path.index(index), code::CORS, text);
                    origins = origins.zip(origin).map(|(mut origins, origin)| {
                        origins.push(origin);
                        origins
                    });
                    continue;
                }
            };
            self.report(&path.index(index), Diagnostic::error(code::CORS, message).hint(hint));
            origins = None;
        }
        origins.map(AllowedOrigins::Listed)
    }

    /// HTTP tokens (RFC 9110, section 5.6.2), none of them `*`.
    fn tokens(&mut self, path: &YamlPath, texts: Vec<String>, example: &str) -> Option<Vec<String>> {
        let mut valid = true;
        for (index, text) in texts.iter().enumerate() {
            let is_token = !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte));
            if !is_token {
                let found = Diagnostic::error(code::CORS, format!("{} is not a name", quoted(text)))
                    .hint(format!("list each one, for example `{example}`"));
                self.report(&path.index(index), found);
                valid = false;
            }
        }
        valid.then_some(texts)
    }

    fn upper_case(&mut self, path: &YamlPath, methods: &[String]) -> Option<()> {
        let mut valid = Some(());
        for (index, method) in methods.iter().enumerate() {
            let upper = method.to_ascii_uppercase();
            if upper != *method {
                let found = Diagnostic::error(
                    code::CORS,
                    format!("the method {} is not in upper case", quoted(method)),
                )
                .hint(format!("methods are compared exactly: write `{upper}`"));
                self.report(&path.index(index), found);
                valid = None;
            }
        }
        valid
    }
}
