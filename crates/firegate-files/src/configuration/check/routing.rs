//! Routes: which path goes to which backend.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::load_balancer::Backends;
use super::{Checker, Given};
use crate::configuration::model::{AppCheck, Backend, Endpoint, PolicyFile, Route, Routing};
use crate::configuration::names::BackendName;
use crate::configuration::path_pattern::PathPattern;
use crate::configuration::source::{FileSource, RouteSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::ROUTES_MAX;
use crate::members::Member;
use crate::suggestion::{alternatives, nearest, quoted};
use crate::url_map::{self, UrlMap};
use crate::yaml::Part;

/// The backend of the route that is not for a path alone: none of an empty path, or if the path has a route of its own.
fn backend_of<'a>(path: &str, by_path: &BTreeMap<&PathPattern, &'a BackendName>) -> Option<&'a BackendName> {
    if path.is_empty() || by_path.contains_key(&PathPattern::Exact(path.to_owned())) {
        return None;
    }
    let mut slashes = path.rmatch_indices('/');
    slashes.find_map(|(at, _)| by_path.get(&PathPattern::Prefix(path.get(..=at)?.to_owned())).copied())
}

impl Checker<'_> {
    /// Routes name backends that do not pass as well; what they lead to is looked at of those that do.
    pub(super) fn routing(
        &mut self,
        routes: Option<Vec<RouteSource>>,
        url_map: Option<FileSource>,
        backends: Option<&Backends>,
    ) -> Option<Routing> {
        let root = YamlPath::root();
        match (routes, url_map) {
            (Some(_), Some(_)) => {
                let found = Diagnostic::error(code::EITHER_OR, "`routes` and `url_map` exclude each other")
                    .hint("keep one of them");
                self.report_part(&root.key("url_map"), Part::Key, found);
                None
            }
            (None, Some(file)) => self.url_map(&root.key("url_map"), file, backends).map(Routing::UrlMap),
            (Some(routes), None) => self.routes(routes, backends).map(Routing::Routes),
            (None, None)
                if self.was_refused(&root.key("routes")) || self.was_refused(&root.key("url_map")) =>
            {
                None
            }
            (None, None) => self.default_route(&backends.filter(|backends| backends.is_whole())?.named),
        }
    }

    /// The URL map, whose services are backends by their names.
    fn url_map(
        &mut self,
        path: &YamlPath,
        file: FileSource,
        backends: Option<&Backends>,
    ) -> Option<Arc<UrlMap>> {
        let PolicyFile { file, text, dialect, .. } = self.policy_file(path, file)?;
        let known: Vec<String> = self.backend_names(backends).into_iter().collect();
        let known = (!known.is_empty()).then_some(known.as_slice());
        let backends = backends.map(|backends| &backends.named);
        let map = url_map::parse(&file.display().to_string(), &text, dialect, known, self.diagnostics)?;
        for name in backends.into_iter().flat_map(BTreeMap::keys) {
            if !map.services().any(|service| service.as_str() == name.as_str()) {
                let message = format!("no rule of the URL map leads to the backend `{name}`");
                let found = Diagnostic::warning(code::ROUTE_BACKEND, message);
                let found =
                    found.hint("a backend service is the backend with its name; remove what is not used");
                self.report_part(&YamlPath::root().key("backends").key(name.as_str()), Part::Key, found);
            }
        }
        self.hosts_that_are_not_rewritten(path, &map, backends);
        self.error_services_are_open(path, &map, backends);
        Some(Arc::new(map))
    }

    /// Pages are fetched for nobody in particular, so that nothing of a user goes to the service that has them.
    fn error_services_are_open(
        &mut self,
        path: &YamlPath,
        map: &UrlMap,
        backends: Option<&BTreeMap<BackendName, Backend>>,
    ) {
        for (action, policy) in map.error_policies() {
            let Some(service) = &policy.service else { continue };
            let backend =
                backends.and_then(|all| all.iter().find(|(name, _)| name.as_str() == service.as_str()));
            let Some((_, backend)) = backend else { continue };
            let is_open = backend.grants().iter().any(|grant| grant.member == Member::AllUsers);
            let is_plain = backend.security_policy.is_none() && backend.app_check == AppCheck::Off;
            if is_open && is_plain {
                continue;
            }
            let message = format!(
                "the pages for the errors of line {} cannot be had of `{service}`: they are fetched for nobody in particular",
                action.place.line
            );
            let hint = format!(
                "let everyone have them: `{service}: {{ url: …, allow: [allUsers] }}`, without a security policy and App Check"
            );
            self.report(path, Diagnostic::error(code::URL_MAP_ERROR_POLICY, message).hint(hint));
        }
    }

    /// Cloud Run's front finds a service by the host, so its own is kept.
    fn hosts_that_are_not_rewritten(
        &mut self,
        path: &YamlPath,
        map: &UrlMap,
        backends: Option<&BTreeMap<BackendName, Backend>>,
    ) {
        let is_on_cloud_run = |service: &url_map::WeightedService| {
            let backend = backends?.iter().find(|(name, _)| name.as_str() == service.service.as_str());
            backend.map(|(_, backend)| backend.endpoints().any(Endpoint::is_on_cloud_run))
        };
        for (action, route) in map.route_actions() {
            let Some(host) = &route.rewrite.host else { continue };
            let Some(service) = route.services.iter().find(|service| is_on_cloud_run(service) == Some(true))
            else {
                continue;
            };
            let message = format!(
                "the `hostRewrite` in line {} of the URL map has no effect on `{}`: Cloud Run finds a service by its own host",
                action.place.line, service.service
            );
            let hint = format!(
                "remove it; the service finds the client's host in `X-Forwarded-Host`, and a header action can tell it {}",
                quoted(host)
            );
            self.report(path, Diagnostic::warning(code::URL_MAP_REWRITE, message).hint(hint));
        }
    }

    /// All paths go to the only backend.
    fn default_route(&mut self, backends: &BTreeMap<BackendName, Backend>) -> Option<Routing> {
        let mut names = backends.keys();
        match (names.next(), names.next()) {
            (Some(only), None) => {
                let path = PathPattern::Prefix("/".to_owned());
                Some(Routing::Routes(vec![Route { path, backend: only.clone() }]))
            }
            (first, _) => {
                let name = first.map_or("api", BackendName::as_str);
                let message = format!("there are {} backends and no `routes`", backends.len());
                let found = Diagnostic::error(code::ROUTES_MISSING, message).hint(format!(
                    "say which path goes where: `routes: [ {{ path: /*, backend: {name} }} ]`"
                ));
                self.report_part(&YamlPath::root().key("backends"), Part::Key, found);
                None
            }
        }
    }

    fn routes(&mut self, routes: Vec<RouteSource>, backends: Option<&Backends>) -> Option<Vec<Route>> {
        let path = YamlPath::root().key("routes");
        if routes.is_empty() || routes.len() > ROUTES_MAX {
            let found = match routes.len() {
                0 => Diagnostic::error(code::ROUTES_MISSING, "with no route every path is answered 404")
                    .hint("add `{ path: /*, backend: NAME }`, or remove the key if there is one backend"),
                count => Diagnostic::error(
                    code::TOO_LARGE,
                    format!("there are {count} routes, the most is {ROUTES_MAX}"),
                )
                .hint("put paths that begin alike and go to one backend together, as `/prefix/*`"),
            };
            self.report_part(&path, Part::Key, found);
            return None;
        }
        // Made once: ten thousand routes are compared with a thousand names.
        let known = self.backend_names(backends);
        let backends = backends.map(|backends| &backends.named);
        let mut seen: BTreeMap<PathPattern, usize> = BTreeMap::new();
        let mut named: BTreeSet<String> = BTreeSet::new();
        let mut checked = Some(Vec::with_capacity(routes.len()));
        for (index, route) in routes.into_iter().enumerate() {
            let path = path.index(index);
            named.extend(route.backend.clone());
            let pattern = self.route_path(&path, route.path, index, &mut seen);
            let backend = self.route_backend(&path, route.backend, &known);
            match (&mut checked, pattern, backend) {
                (Some(routes), Some(path), Some(backend)) => routes.push(Route { path, backend }),
                _ => checked = None,
            }
        }
        for name in
            backends.into_iter().flat_map(BTreeMap::keys).filter(|name| !named.contains(name.as_str()))
        {
            let found =
                Diagnostic::warning(code::ROUTE_BACKEND, format!("no route leads to the backend `{name}`"))
                    .hint(format!(
                        "add `{{ path: /{name}/*, backend: {name} }}` to `routes`, or remove the backend"
                    ));
            self.report_part(&YamlPath::root().key("backends").key(name.as_str()), Part::Key, found);
        }
        if let (Some(routes), Some(backends)) = (&checked, backends) {
            self.bare_prefixes(&path, routes, backends);
        }
        checked
    }

    /// Most servers answer `/admin` as they do `/admin/`: if it goes to the same service by another backend, its rules are not
    /// those that were meant for it.
    fn bare_prefixes(
        &mut self,
        path: &YamlPath,
        routes: &[Route],
        backends: &BTreeMap<BackendName, Backend>,
    ) {
        let by_path: BTreeMap<&PathPattern, &BackendName> =
            routes.iter().map(|route| (&route.path, &route.backend)).collect();
        let is_one_service = |one: &BackendName, other: &BackendName| {
            let [Some(one), Some(other)] = [one, other].map(|name| backends.get(name)) else { return false };
            one.endpoints().any(|endpoint| other.endpoints().any(|found| found.url == endpoint.url))
        };
        for (index, route) in routes.iter().enumerate() {
            let PathPattern::Prefix(prefix) = &route.path else { continue };
            let bare = prefix.trim_end_matches('/');
            let Some(other) = backend_of(bare, &by_path) else { continue };
            if *other == route.backend || !is_one_service(other, &route.backend) {
                continue;
            }
            let message = format!(
                "`{prefix}*` does not match `{bare}`, which goes to the same service as the backend `{other}`"
            );
            let hint = format!(
                "add `{{ path: {bare}, backend: {} }}`, or `{other}` if its rules are meant",
                route.backend
            );
            let found = Diagnostic::warning(code::ROUTE_PATH, message).hint(hint);
            self.report(&path.index(index).key("path"), found);
        }
    }

    fn route_path(
        &mut self,
        path: &YamlPath,
        text: Option<String>,
        index: usize,
        seen: &mut BTreeMap<PathPattern, usize>,
    ) -> Option<PathPattern> {
        let path = path.key("path");
        let Some(text) = text else {
            let found = Diagnostic::error(code::MISSING_KEY, format!("`{}` has no `path`", path.parent()))
                .hint("add `path: /exact` or `path: /prefix/*`");
            self.missing(&path, found);
            return None;
        };
        let pattern = self.name::<PathPattern>(&path, code::ROUTE_PATH, &text)?;
        self.parameter_in_path(&path, &text);
        if let Some(first) = seen.insert(pattern.clone(), index) {
            let message = format!("the path {} was routed before, by `routes[{first}]`", quoted(&text));
            self.report(&path, Diagnostic::error(code::ROUTE_PATH, message).hint("remove one of them"));
            return None;
        }
        Some(pattern)
    }

    /// Many frameworks write parameters in braces, which stand in no URL as they are, or behind a colon.
    fn parameter_in_path(&mut self, path: &YamlPath, text: &str) {
        let is_name = |name: &str| name.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_parameter = |part: &&str| {
            (part.starts_with('{') && part.ends_with('}')) || part.strip_prefix(':').is_some_and(is_name)
        };
        let Some(parameter) = text.split('/').find(is_parameter) else { return };
        let start = text.split(parameter).next().unwrap_or_default();
        let message = format!("{} in the path of a route stands for itself", quoted(parameter));
        let found = Diagnostic::warning(code::ROUTE_PATH, message)
            .hint(format!("routes have no parameters: write `{start}*`, or a URL map with path templates"));
        self.report(path, found);
    }

    fn route_backend(
        &mut self,
        path: &YamlPath,
        name: Option<String>,
        known: &BTreeSet<String>,
    ) -> Option<BackendName> {
        let path = path.key("backend");
        let Some(name) = name else {
            let found = Diagnostic::error(code::MISSING_KEY, format!("`{}` has no `backend`", path.parent()));
            self.missing(&path, found.hint("add the name of one of the `backends`"));
            return None;
        };
        if known.contains(&name) {
            return name.parse().ok();
        }
        if known.is_empty() && self.was_refused(&YamlPath::root().key("backends")) {
            return None;
        }
        let known = known.iter().map(String::as_str);
        let hint = match nearest(&name, known.clone()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.len() == 0 => "add it to `backends`".to_owned(),
            None => format!("the backends are {}", alternatives(known)),
        };
        let message = format!("there is no backend {}", quoted(&name));
        self.report(&path, Diagnostic::error(code::ROUTE_BACKEND, message).hint(hint));
        None
    }

    /// The names in the file, even of backends that did not pass.
    fn backend_names(&self, backends: Option<&Backends>) -> BTreeSet<String> {
        let path = YamlPath::root().key("backends");
        match (backends, &self.given) {
            (Some(backends), _) => backends.names.clone(),
            (None, Given::File(document)) if !self.was_refused(&path) => {
                document.keys(&path).into_iter().collect()
            }
            (None, Given::File(_) | Given::Flags) => BTreeSet::new(),
        }
    }
}
