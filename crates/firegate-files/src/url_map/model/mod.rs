//! The checked URL map. What Google's API says with fields of which only some may stand together, these types say by
//! themselves: a rule leads to services or is a redirect, a path matcher has path rules or route rules.

mod action;
mod error_policy;
mod header_action;
mod matching;

use std::fmt;
use std::sync::Arc;

pub use self::action::{
    Action, CorsPolicy, FaultInjection, MirrorPolicy, PathRewrite, RedirectPath, RetryCondition, RetryPolicy,
    RouteAction, Share, Target, UrlRedirect, UrlRewrite, WeightedService,
};
pub use self::error_policy::{ErrorCodes, ErrorPolicy, ErrorRule};
pub use self::header_action::{AddedHeader, HeaderAction, HeaderValueTemplate, HeaderVariable, ValuePart};
pub use self::matching::{HeaderMatch, PathMatch, PathRegex, QueryMatch, RouteMatch, ValueMatch};
use super::service::ServiceName;

/// A checked URL map.
#[derive(Clone, Debug)]
pub struct UrlMap {
    /// The name of the file, as diagnostics call it.
    pub file: Arc<str>,
    /// The map's own name.
    pub name: String,
    /// Which hosts go to which path matcher. No host stands in two rules.
    pub host_rules: Vec<HostRule>,
    /// The path matchers.
    pub path_matchers: Vec<PathMatcher>,
    /// Where requests go whose host is in no rule.
    pub default: Action,
    /// What is done to the headers of every request and answer.
    pub header_action: HeaderAction,
    /// What the map's author expects of it.
    pub tests: Vec<MapTest>,
}

impl UrlMap {
    /// Every service that requests may go to, as often as it is named; mirrors and error services too.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        let of_errors = self.error_policies().filter_map(|(_, policy)| policy.service.as_ref());
        of_errors.chain(self.services_of_routes())
    }

    fn services_of_routes(&self) -> impl Iterator<Item = &ServiceName> {
        self.route_actions().flat_map(|(_, action)| {
            let mirror = action.mirror.as_ref().map(|mirror| &mirror.service);
            action.services.iter().map(|service| &service.service).chain(mirror)
        })
    }

    /// Where copies of requests go, and by which actions.
    pub fn mirrors(&self) -> impl Iterator<Item = (&Action, &MirrorPolicy)> {
        self.route_actions().filter_map(|(action, route)| Some((action, route.mirror.as_ref()?)))
    }

    /// Whether any header that is added says where clients are.
    pub fn asks_for_regions(&self) -> bool {
        let of_matchers = self.path_matchers.iter().flat_map(|matcher| {
            let of_rules: Vec<_> = match &matcher.rules {
                Rules::Paths(_) => Vec::new(),
                Rules::Routes(rules) => rules.iter().map(|rule| &rule.header_action).collect(),
            };
            of_rules.into_iter().chain([&matcher.header_action])
        });
        let of_services = self.route_actions().flat_map(|(_, action)| &action.services);
        let of_services = of_services.map(|service| &service.header_action);
        of_matchers.chain(of_services).chain([&self.header_action]).any(HeaderAction::asks_for_regions)
    }

    /// What takes the place of errors, and by which actions.
    pub fn error_policies(&self) -> impl Iterator<Item = (&Action, &ErrorPolicy)> {
        self.actions().filter_map(|action| Some((action, action.error_policy.as_ref()?)))
    }

    /// Every action that leads to services.
    pub fn route_actions(&self) -> impl Iterator<Item = (&Action, &RouteAction)> {
        self.actions().filter_map(|action| match &action.target {
            Target::Services(route) => Some((action, &**route)),
            Target::Redirect(_) => None,
        })
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        let of_rules = self.path_matchers.iter().flat_map(|matcher| {
            let (paths, routes) = match &matcher.rules {
                Rules::Paths(rules) => (rules.as_slice(), &[][..]),
                Rules::Routes(rules) => (&[][..], rules.as_slice()),
            };
            let actions = paths.iter().map(|rule| &rule.action).chain(routes.iter().map(|rule| &rule.action));
            actions.chain([&matcher.default])
        });
        of_rules.chain([&self.default])
    }
}

/// Where in the file something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    /// The path, for example `pathMatchers[0].routeRules[2]`.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
}

/// Hosts and the path matcher that their requests go to.
#[derive(Clone, Debug)]
pub struct HostRule {
    /// The hosts, at least one.
    pub hosts: Vec<HostPattern>,
    /// The position of the path matcher in [`UrlMap::path_matchers`].
    pub path_matcher: usize,
    /// Where the rule stands.
    pub place: RulePlace,
}

/// A pattern of hosts, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host; with a port if it names one.
    Exact(String),
    /// Hosts with this end, which begins with `.` or `-`: `*.example.com` is `.example.com`.
    Suffix(String),
    /// Every host.
    Any,
}

/// How the paths of some hosts are routed.
#[derive(Clone, Debug)]
pub struct PathMatcher {
    /// Its name.
    pub name: String,
    /// The rules.
    pub rules: Rules,
    /// Where requests go that no rule matches.
    pub default: Action,
    /// What is done to the headers of its requests and answers.
    pub header_action: HeaderAction,
}

/// The rules of a path matcher.
#[derive(Clone, Debug)]
pub enum Rules {
    /// An exact path, else the longest prefix.
    Paths(Vec<PathRule>),
    /// The first that matches, in this order, which is that of their priorities.
    Routes(Vec<RouteRule>),
}

/// Paths and what is done with their requests.
#[derive(Clone, Debug)]
pub struct PathRule {
    /// The paths, at least one.
    pub paths: Vec<RulePath>,
    /// What is done.
    pub action: Action,
}

/// The path of a path rule, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RulePath {
    /// This path.
    Exact(String),
    /// Every path that begins so; ends with `/`.
    Prefix(String),
}

impl fmt::Display for RulePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => formatter.write_str(path),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

/// Conditions and what is done with the requests that fulfil them.
#[derive(Clone, Debug)]
pub struct RouteRule {
    /// Its priority, which no other rule of the path matcher has.
    pub priority: u32,
    /// The conditions, at least one, of which any is enough.
    pub matches: Vec<RouteMatch>,
    /// What is done.
    pub action: Action,
    /// What is done to the headers of its requests and answers.
    pub header_action: HeaderAction,
}

/// What the author of a map expects of it.
#[derive(Clone, Debug)]
pub struct MapTest {
    /// Where it stands.
    pub place: RulePlace,
    /// What it is about.
    pub description: String,
    /// The host of the request.
    pub host: String,
    /// The path of the request, with its query.
    pub path: String,
    /// The headers of the request.
    pub headers: Vec<(String, String)>,
    /// The service that gets it.
    pub service: Option<ServiceName>,
    /// The URL that the service or the client gets.
    pub output_url: Option<String>,
    /// The status of the redirect.
    pub redirect_status: Option<u16>,
}
