//! Where a backend's tokens are looked for, and how long its streams outlive them.

use super::Checker;
use crate::configuration::model::{AcceptedToken, Revocation, StreamsUntil, TokenSource, Users};
use crate::configuration::source::{StreamsUntilSource, TokenSourceSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};

impl Checker<'_> {
    pub(super) fn streams(
        &mut self,
        path: &YamlPath,
        until: Option<StreamsUntilSource>,
        users: Option<&Users>,
    ) -> Option<StreamsUntil> {
        match until {
            None | Some(StreamsUntilSource::TokenExpiry) => Some(StreamsUntil::TokenExpiry),
            Some(StreamsUntilSource::Never) => Some(StreamsUntil::Never),
            Some(StreamsUntilSource::Revocation) => {
                if users.is_none_or(|users| users.revocation != Revocation::Off) {
                    return Some(StreamsUntil::Revocation);
                }
                let found = Diagnostic::error(
                    code::STREAMS,
                    "streams cannot end at a revocation that is not looked for",
                )
                .hint("set `users: { revocation: { check: required } }`, or use `until: token_expiry`");
                self.report(&path.key("streams").key("until"), found);
                None
            }
        }
    }

    pub(super) fn token_sources(
        &mut self,
        path: &YamlPath,
        sources: Option<Vec<TokenSourceSource>>,
        users: Option<&Users>,
    ) -> Option<Vec<TokenSource>> {
        let Some(sources) = sources else { return Some(vec![TokenSource::Authorization]) };
        let path = path.key("token_sources");
        if sources.is_empty() {
            let found = Diagnostic::error(code::TOKEN_SOURCES, "a token must be looked for somewhere")
                .hint("write `token_sources: [authorization]`, or remove the key");
            self.report(&path, found);
            return None;
        }
        let mut checked: Vec<TokenSource> = Vec::new();
        let mut valid = true;
        for (index, source) in sources.into_iter().enumerate() {
            let source = match source {
                TokenSourceSource::Authorization => TokenSource::Authorization,
                TokenSourceSource::Cookie => TokenSource::Cookie,
                TokenSourceSource::Query => TokenSource::Query,
                TokenSourceSource::WebsocketProtocol => TokenSource::WebsocketProtocol,
            };
            if checked.contains(&source) {
                let found = Diagnostic::error(code::TOKEN_SOURCES, "this source is listed twice")
                    .hint("a source is looked at once; remove one of them");
                self.report(&path.index(index), found);
                valid = false;
                continue;
            }
            valid &= self.token_source(&path.index(index), source, users);
            checked.push(source);
        }
        valid.then_some(checked)
    }

    /// Whether the source goes with the rest; what is risky about it is said.
    fn token_source(&mut self, path: &YamlPath, source: TokenSource, users: Option<&Users>) -> bool {
        let lacks_cookies = users.is_some_and(|users| !users.accept.contains(&AcceptedToken::SessionCookie));
        match source {
            TokenSource::Cookie if lacks_cookies => {
                let message =
                    "`cookie` reads the `__session` cookie, and `users.accept` has no `session_cookie`";
                let found = Diagnostic::error(code::TOKEN_SOURCES, message)
                    .hint("add `session_cookie` to `users.accept`, or remove `cookie`");
                self.report(path, found);
                false
            }
            TokenSource::Query => {
                let message = "Google's load balancer and Cloud Run log the query with the token in it, which is good \
                               until it expires";
                let found = Diagnostic::warning(code::TOKEN_IN_QUERY, message).hint(
                    "for WebSockets use `websocket_protocol`, for server-sent events `fetch` with `Authorization`; or \
                     exclude these requests from the logs",
                );
                self.report(path, found);
                true
            }
            TokenSource::Authorization | TokenSource::Cookie | TokenSource::WebsocketProtocol => true,
        }
    }
}
