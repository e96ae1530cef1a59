//! How a backend is spoken to: the version of HTTP, how long it is waited for, how much of it is asked for at once.

use std::time::Duration;

use super::Checker;
use crate::configuration::model::{Credential, Endpoint, HealthCheck, Protocol, Timeouts};
use crate::configuration::source::{HealthCheckSource, ProtocolSource, TimeoutsSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::{
    BACKEND_REQUESTS_DEFAULT, BACKEND_REQUESTS_MAX, HEALTH_CHECK_INTERVAL_DEFAULT,
    HEALTH_CHECK_TIMEOUT_DEFAULT, TIMEOUT_MAX,
};
use crate::suggestion::quoted;
use crate::yaml::Part;

impl Checker<'_> {
    /// HTTP/2 is agreed on in the TLS handshake, and without TLS it is known beforehand; each word is for one of the two.
    pub(super) fn protocol(
        &mut self,
        path: &YamlPath,
        protocol: Option<ProtocolSource>,
        endpoints: Option<&[Endpoint]>,
    ) -> Option<Protocol> {
        let (protocol, word, scheme, hint) = match protocol {
            None | Some(ProtocolSource::Auto) => return Some(Protocol::Auto),
            Some(ProtocolSource::Http1) => return Some(Protocol::Http1),
            Some(ProtocolSource::H2) => {
                (Protocol::H2, "h2", "https", "write `h2c`, which is HTTP/2 without TLS")
            }
            Some(ProtocolSource::H2c) => {
                (Protocol::H2c, "h2c", "http", "write `h2`, which is HTTP/2 over TLS")
            }
        };
        if endpoints.is_none_or(|all| all.iter().all(|endpoint| endpoint.url.scheme() == scheme)) {
            return Some(protocol);
        }
        let is_of_both =
            endpoints.is_some_and(|all| all.iter().any(|endpoint| endpoint.url.scheme() == scheme));
        let hint = if is_of_both {
            "the endpoints are of both kinds: remove it, or give all of them one scheme"
        } else {
            hint
        };
        let message = format!("`protocol: {word}` is for {scheme} URLs");
        self.report(&path.key("protocol"), Diagnostic::error(code::PROTOCOL, message).hint(hint));
        None
    }

    pub(super) fn timeouts(&mut self, path: &YamlPath, timeouts: Option<TimeoutsSource>) -> Option<Timeouts> {
        let default = Timeouts::default();
        let Some(timeouts) = timeouts else { return Some(default) };
        let range = shortest()..=TIMEOUT_MAX;
        let connect = self.duration(&path.key("connect"), timeouts.connect, default.connect, range.clone());
        let headers_path = path.key("response_headers");
        let response_headers =
            self.duration(&headers_path, timeouts.response_headers, default.response_headers, range.clone());
        let idle = self.duration(&path.key("idle"), timeouts.idle, default.idle, range.clone());
        let total = match timeouts.total {
            Some(total) => Some(self.duration(&path.key("total"), Some(total), TIMEOUT_MAX, range)?),
            None => None,
        };
        Some(Timeouts { connect: connect?, response_headers: response_headers?, idle: idle?, total })
    }

    pub(super) fn backend_requests_max(&mut self, path: &YamlPath, requests: Option<u64>) -> Option<usize> {
        let requests = requests.unwrap_or(BACKEND_REQUESTS_DEFAULT);
        match usize::try_from(requests) {
            Ok(count) if (1..=BACKEND_REQUESTS_MAX).contains(&requests) => Some(count),
            _ => {
                let message = format!("{requests} is out of range");
                let hint = format!("from 1 to {BACKEND_REQUESTS_MAX}; there is no way to say unlimited");
                self.report(path, Diagnostic::error(code::QUANTITY, message).hint(hint));
                None
            }
        }
    }

    /// A check has no credential. Cloud Run's front would refuse it, and where it passed it would keep an instance awake.
    pub(super) fn health_check(
        &mut self,
        backend: &YamlPath,
        source: HealthCheckSource,
        credential: Option<&Credential>,
        endpoints: Option<&[Endpoint]>,
    ) -> Option<HealthCheck> {
        let path = backend.key("health_check");
        let is_serverless = endpoints.is_some_and(|all| all.iter().any(Endpoint::is_on_cloud_run));
        if is_serverless || credential.is_some_and(|credential| *credential != Credential::None) {
            let message = "a health check carries no credential, and is not for Cloud Run";
            let found = Diagnostic::error(code::HEALTH_CHECK, message)
                .hint("remove it: Cloud Run checks its instances itself; or set `credential: none` if the service runs elsewhere");
            self.report_part(&path, Part::Key, found);
            return None;
        }
        let Some(asked) = source.path else {
            let found = Diagnostic::error(code::MISSING_KEY, format!("`{path}` has no `path`"))
                .hint("add the path that answers 2xx while all is well, for example `path: /healthz`");
            self.missing(&path.key("path"), found);
            return None;
        };
        if !asked.starts_with('/') || !asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            let found = Diagnostic::error(code::HEALTH_CHECK, format!("{} is not a path", quoted(&asked)))
                .hint("write it as it stands in a request, for example `/healthz`");
            self.report(&path.key("path"), found);
            return None;
        }
        let range = shortest()..=TIMEOUT_MAX;
        let interval_path = path.key("interval");
        let interval =
            self.duration(&interval_path, source.interval, HEALTH_CHECK_INTERVAL_DEFAULT, range.clone());
        let timeout_path = path.key("timeout");
        let timeout = self.duration(&timeout_path, source.timeout, HEALTH_CHECK_TIMEOUT_DEFAULT, range);
        Some(HealthCheck { path: asked, interval: interval?, timeout: timeout? })
    }
}

fn shortest() -> Duration {
    Duration::from_millis(1)
}
