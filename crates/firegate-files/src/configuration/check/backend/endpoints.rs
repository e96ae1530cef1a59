//! Where a backend is, and what may go there in the clear.

use super::super::Checker;
use super::super::values::{audience_hint, is_audience};
use crate::configuration::google::is_loopback;
use crate::configuration::model::{Backend, Credential, Endpoint, IdentityHeaders, Plaintext, UserToken};
use crate::configuration::names::ProjectId;
use crate::configuration::source::{BackendFullSource, EndpointSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::ENDPOINTS_MAX;
use crate::suggestion::quoted;
use crate::yaml::Part;

impl Checker<'_> {
    /// The origins that a backend names itself.
    pub(in super::super) fn endpoints(
        &mut self,
        path: &YamlPath,
        source: &mut BackendFullSource,
        project: Option<&ProjectId>,
    ) -> Option<Vec<Endpoint>> {
        let audience = source.audience.take();
        match (source.url.take(), source.endpoints.take()) {
            (Some(_), Some(_)) => {
                let found = Diagnostic::error(code::EITHER_OR, "`url` and `endpoints` exclude each other")
                    .hint("keep `url`, or write it as one of the `endpoints`");
                self.report_part(&path.key("endpoints"), Part::Key, found);
                None
            }
            (Some(url), None) => {
                let url = self.origin_url(&path.key("url"), code::URL, &url.0);
                // The short form has no key `url`; then the place is that of the backend itself.
                self.endpoint(url?, &path.key("audience"), audience, project).map(|endpoint| vec![endpoint])
            }
            (None, Some(endpoints)) if !endpoints.is_empty() => {
                let path = path.key("endpoints");
                if endpoints.len() > ENDPOINTS_MAX {
                    let message =
                        format!("there are {} endpoints, the most is {ENDPOINTS_MAX}", endpoints.len());
                    let found = Diagnostic::error(code::TOO_LARGE, message)
                        .hint("name one for each region, and let a load balancer choose within it");
                    self.report_part(&path, Part::Key, found);
                    return None;
                }
                let endpoints = endpoints.into_iter().enumerate();
                let checked: Vec<Option<Endpoint>> = endpoints
                    .map(|(index, endpoint)| {
                        self.one_of_endpoints(&path.index(index), endpoint, audience.as_ref(), project)
                    })
                    .collect();
                self.each_endpoint_once(&path, &checked).then_some(())?;
                checked.into_iter().collect()
            }
            (None, _) => {
                let found = Diagnostic::error(code::MISSING_KEY, format!("`{path}` has no `url`"))
                    .hint("add the origin of the service: `url: https://api-abc123-uc.a.run.app`");
                if !self.was_refused(&path.key("endpoints")) {
                    self.missing(&path.key("url"), found);
                }
                None
            }
        }
    }

    /// One that stands twice would get twice the requests, and be its own second try.
    fn each_endpoint_once(&mut self, path: &YamlPath, endpoints: &[Option<Endpoint>]) -> bool {
        let mut before = Vec::new();
        let mut valid = true;
        for (index, endpoint) in endpoints.iter().enumerate() {
            let Some(Endpoint { url, .. }) = endpoint else { continue };
            if before.contains(&url) {
                let message = format!("{} is listed twice", quoted(&url.origin().ascii_serialization()));
                let found = Diagnostic::error(code::URL, message).hint("remove one of them");
                self.report(&path.index(index).key("url"), found);
                valid = false;
            }
            before.push(url);
        }
        valid
    }

    fn one_of_endpoints(
        &mut self,
        path: &YamlPath,
        source: EndpointSource,
        audience: Option<&String>,
        project: Option<&ProjectId>,
    ) -> Option<Endpoint> {
        let Some(url) = source.url else {
            let found = Diagnostic::error(code::MISSING_KEY, format!("`{path}` has no `url`"))
                .hint("add the origin of the service: `url: https://api-abc123-uc.a.run.app`");
            self.missing(&path.key("url"), found);
            return None;
        };
        let url = self.origin_url(&path.key("url"), code::URL, &url.0);
        let audience = source.audience.or_else(|| audience.cloned());
        self.endpoint(url?, &path.key("audience"), audience, project)
    }

    /// One origin, and for whom the tokens are that go there: `path` is where the audience stands.
    pub(in super::super) fn endpoint(
        &mut self,
        url: url::Url,
        path: &YamlPath,
        audience: Option<String>,
        project: Option<&ProjectId>,
    ) -> Option<Endpoint> {
        let host = url.host_str().filter(|host| host.ends_with(".run.app")).map(str::to_owned);
        if let (Some(host), Some(port)) = (&host, url.port()) {
            let message = format!("Cloud Run does not answer at the port {port} of {}", quoted(host));
            let hint = format!(
                "write `https://{host}`: the port that the container listens on is Cloud Run's own affair"
            );
            self.report(&path.parent().key("url"), Diagnostic::warning(code::URL, message).hint(hint));
        }
        let Some(audience) = audience else {
            let audience = url.origin().ascii_serialization();
            return Some(Endpoint { url, audience });
        };
        if !is_audience(&audience) {
            let message = "an audience is a text without white space, for example the URL of the service";
            self.report(path, Diagnostic::error(code::AUDIENCE, message).hint(audience_hint(&audience)));
            return None;
        }
        if let Some(bare) = audience.strip_suffix('/').filter(|bare| bare.contains("://")) {
            let message = format!("the audience {} ends with a slash", quoted(&audience));
            let hint = format!("Cloud Run compares exactly, and its URLs have none: write `{bare}`");
            self.report(path, Diagnostic::warning(code::AUDIENCE, message).hint(hint));
        } else if let (Some(_), Some(bare)) = (&host, audience.strip_prefix("http://")) {
            let message = format!("the audience {} begins with `http`", quoted(&audience));
            let hint = format!("Cloud Run compares exactly, and its URLs are https: write `https://{bare}`");
            self.report(path, Diagnostic::warning(code::AUDIENCE, message).hint(hint));
        } else if project.is_some_and(|project| project.as_str() == audience) {
            let message = format!("the audience {} is the project ID", quoted(&audience));
            let hint = "that is the audience of Firebase's tokens; Cloud Run expects the URL of the service in Google's";
            self.report(path, Diagnostic::warning(code::AUDIENCE, message).hint(hint));
        }
        Some(Endpoint { url, audience })
    }

    /// Refuses to send over plain http what only the service may read, unless it stays on this machine.
    pub(super) fn in_the_clear(&mut self, path: &YamlPath, backend: &Backend) -> Option<()> {
        if backend.plaintext == Plaintext::Allow {
            return Some(());
        }
        let sent: Vec<&str> = [
            (backend.credential != Credential::None, "a Google token"),
            (backend.identity_headers != IdentityHeaders::None, "identity headers"),
            (backend.user_token == UserToken::Forward, "the user's token"),
        ]
        .into_iter()
        .filter_map(|(sent, what)| sent.then_some(what))
        .collect();
        let remote = backend
            .endpoints()
            .position(|endpoint| endpoint.url.scheme() == "http" && !is_loopback(&endpoint.url));
        match remote {
            Some(index) if !sent.is_empty() => {
                let message = format!("{} would go over plain http to another machine", sent.join(" and "));
                let found = Diagnostic::error(code::PLAINTEXT, message).hint(
                    "use https; or set `plaintext: allow` if you trust the network between, or `identity_headers: none` \
                     and `credential: none` if the service needs neither",
                );
                let given = path.key("endpoints").index(index).key("url");
                let given = if self.stands_at(&given) { given } else { path.key("url") };
                self.report(&given, found);
                None
            }
            _ => Some(()),
        }
    }
}
