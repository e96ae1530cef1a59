//! The token exchange, and accepting the tokens that it issues.

use std::collections::BTreeMap;

use url::Url;

use super::Checker;
use crate::configuration::model::{AcceptedToken, AssertionSettings, Backend, Users};
use crate::configuration::names::BackendName;
use crate::configuration::source::ExchangeSource;
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::suggestion::quoted;
use crate::yaml::Part;

impl Checker<'_> {
    /// Whether the token exchange answers. Tokens of the exchange may be accepted without it: another replica may
    /// exchange.
    pub(super) fn exchange(
        &mut self,
        source: Option<ExchangeSource>,
        assertion: Option<&AssertionSettings>,
        users: Option<&Users>,
        backends: Option<&BTreeMap<BackendName, Backend>>,
    ) -> bool {
        let enabled = source.and_then(|exchange| exchange.enabled).unwrap_or(false);
        let accepts = users.is_some_and(|users| users.accept.contains(&AcceptedToken::ExchangedToken));
        let root = YamlPath::root();
        if enabled {
            self.exchange_issuer(&root.key("exchange").key("enabled"), "the token exchange", assertion);
        } else if accepts {
            let path = self.accept_path("exchanged_token");
            self.exchange_issuer(&path, "`exchanged_token`", assertion);
        }
        let otherwise = match (enabled, accepts) {
            (false, false) => return enabled,
            (true, false) => "turn `exchange` off",
            (false, true) => "remove `exchanged_token` from `users.accept`",
            (true, true) => "turn `exchange` off and remove `exchanged_token` from `users.accept`",
        };
        self.exchange_audiences(otherwise, backends);
        enabled
    }

    /// The `iss` of exchanged tokens has to be the door's origin: clients look below it for the metadata (RFC 8414,
    /// section 3), and a path would be another place. That it is https, or on this machine, the assertion's own check
    /// has seen.
    fn exchange_issuer(&mut self, path: &YamlPath, what: &str, assertion: Option<&AssertionSettings>) {
        let issuer_path = YamlPath::root().key("assertion").key("issuer");
        // An assertion that did not pass was already reported.
        let Some(assertion) = assertion else { return };
        let Some(issuer) = &assertion.issuer else {
            let message = format!("{what} needs an `assertion.issuer`, which is the `iss` of the tokens");
            let found = Diagnostic::error(code::EXCHANGE, message).hint(
                "add the public origin of this front door: `assertion: { issuer: https://api.example.com }`",
            );
            if !self.was_refused(&issuer_path) {
                self.report(path, found);
            }
            return;
        };
        match Url::parse(issuer) {
            Ok(url) if url.path() == "/" => {}
            Ok(url) => {
                let message =
                    format!("{what} needs an issuer without a path, and {} has one", quoted(issuer));
                let hint = format!("write `{}`", url.origin().ascii_serialization());
                self.report(&issuer_path, Diagnostic::error(code::EXCHANGE, message).hint(hint));
            }
            // It was parsed before; if it cannot be now, it is no issuer.
            Err(error) => {
                let message = format!("{} is not a URL: {error}", quoted(issuer));
                let hint =
                    "write the public origin of this front door, for example `https://api.example.com`";
                self.report(&issuer_path, Diagnostic::error(code::EXCHANGE, message).hint(hint));
            }
        }
    }

    /// The audience alone says which backend an exchanged token is for: where two have one, a token for the one would
    /// be good at both, whoever issued it. `otherwise` says how to do without such tokens.
    fn exchange_audiences(&mut self, otherwise: &str, backends: Option<&BTreeMap<BackendName, Backend>>) {
        let mut first: BTreeMap<&str, &BackendName> = BTreeMap::new();
        for (name, backend) in backends.into_iter().flatten() {
            for (index, endpoint) in backend.endpoints().enumerate() {
                let other = *first.entry(&endpoint.audience).or_insert(name);
                if other == name {
                    continue;
                }
                let message = format!(
                    "`{other}` and `{name}` have one audience, {}: an exchanged token for one of them would be good at both",
                    quoted(&endpoint.audience)
                );
                let found = Diagnostic::error(code::EXCHANGE, message).hint(format!(
                    "give one of them an `audience` of its own, on Cloud Run a custom audience; or {otherwise}"
                ));
                let backend = self.place_of(name);
                let own = [backend.key("endpoints").index(index).key("audience"), backend.key("audience")];
                let path = own.into_iter().find(|own| self.stands_at(own)).unwrap_or(backend);
                self.report_part(&path, Part::Key, found);
            }
        }
    }

    /// Where the file speaks of a backend. A service that requests name by a URL mask is where the mask's backend is, and what
    /// exports alone name where they are named.
    fn place_of(&self, name: &BackendName) -> YamlPath {
        // No other name has a dot.
        let named = name.as_str().split('.').next().unwrap_or_default();
        let path = YamlPath::root().key("backends").key(named);
        let exports = YamlPath::root().key("load_balancer");
        if !self.stands_at(&path) && self.stands_at(&exports) { exports } else { path }
    }
}
