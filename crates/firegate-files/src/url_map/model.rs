//! The checked URL map. What Google's API says with fields of which only some may stand together, these types say by
//! themselves: a rule leads to services or is a redirect, a path matcher has path rules or route rules.

use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::path_template::{PathTemplate, TemplateRewrite};
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

/// A condition: all of its parts must hold.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// What the path must be like.
    pub path: PathMatch,
    /// What the headers must be like.
    pub headers: Vec<HeaderMatch>,
    /// What the query must be like.
    pub query: Vec<QueryMatch>,
}

/// What a path must be like.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// It begins so; the empty prefix is every path.
    Prefix {
        /// The beginning.
        prefix: String,
        /// Whether letters of both cases are the same.
        ignore_case: bool,
    },
    /// It is this one.
    Full {
        /// The path.
        path: String,
        /// Whether letters of both cases are the same.
        ignore_case: bool,
    },
    /// It has this form.
    Template(PathTemplate),
    /// The whole of it matches this.
    Regex(Regex),
}

/// What a header must be like.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Its name in lower case; also `:authority` and `:method`.
    pub name: String,
    /// What its value must be like.
    pub value: ValueMatch,
    /// Whether it must not be like that.
    pub invert: bool,
}

/// What a parameter of the query must be like.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// The parameter's name.
    pub name: String,
    /// What its value must be like.
    pub value: ValueMatch,
}

/// What a text must be like.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// It is this one.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It is there.
    Present,
    /// It is a whole number from `start` to before `end`.
    Range {
        /// The smallest.
        start: i64,
        /// One more than the largest.
        end: i64,
    },
    /// The whole of it matches this.
    Regex(Regex),
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub struct Action {
    /// Where the rule or default stands.
    pub place: RulePlace,
    /// What is done.
    pub target: Target,
    /// What takes the place of errors, where the rule or default says so.
    pub error_policy: Option<ErrorPolicy>,
}

/// What takes the place of the errors that services answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPolicy {
    /// The service that has the pages; given if any rule has a path.
    pub service: Option<ServiceName>,
    /// What is done for which errors; no two are for the same.
    pub rules: Vec<ErrorRule>,
}

/// What takes the place of some errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRule {
    /// Which ones.
    pub codes: Vec<ErrorCodes>,
    /// The path of the page at the error service.
    pub path: Option<String>,
    /// The status instead of the error's.
    pub status: Option<u16>,
}

/// Statuses of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCodes {
    /// This one.
    One(u16),
    /// All that begin with this digit, 4 or 5.
    Class(u16),
}

impl ErrorPolicy {
    /// The rule for a status: that of the very status before that of its class.
    pub fn rule(&self, status: u16) -> Option<&ErrorRule> {
        let of = |codes| self.rules.iter().find(|rule| rule.codes.contains(&codes));
        of(ErrorCodes::One(status)).or_else(|| of(ErrorCodes::Class(status / 100)))
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To one of these services.
    Services(Box<RouteAction>),
    /// Elsewhere, by itself.
    Redirect(UrlRedirect),
}

/// How a request goes to a service.
#[derive(Clone, Debug, Default)]
pub struct RouteAction {
    /// The services, at least one, and one at least has a weight.
    pub services: Vec<WeightedService>,
    /// What becomes of the URL.
    pub rewrite: UrlRewrite,
    /// How long the whole answer may take from the end of the request, retries included.
    pub timeout: Option<Duration>,
    /// How long the request and its answer may take from its head on.
    pub max_stream_duration: Option<Duration>,
    /// When it is tried again.
    pub retry: Option<RetryPolicy>,
    /// Where a copy of the request goes.
    pub mirror: Option<MirrorPolicy>,
    /// Which pages of other origins may call, instead of the configuration's `cors`.
    pub cors: Option<CorsPolicy>,
    /// What is spoilt on purpose.
    pub fault: FaultInjection,
}

/// A service and how often it is chosen.
#[derive(Clone, Debug)]
pub struct WeightedService {
    /// The service.
    pub service: ServiceName,
    /// Its share, from 0 to 1000.
    pub weight: u32,
    /// What is done to the headers of requests to it and of its answers.
    pub header_action: HeaderAction,
}

/// What becomes of a URL before the service sees it.
#[derive(Clone, Debug, Default)]
pub struct UrlRewrite {
    /// The host that the service is told.
    pub host: Option<String>,
    /// The path.
    pub path: Option<PathRewrite>,
}

/// What becomes of a path.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// The part that matched is replaced.
    Prefix(String),
    /// It is made of what the template's variables matched.
    Template(TemplateRewrite),
    /// Everything that matches is replaced.
    Regex {
        /// What is replaced.
        pattern: Regex,
        /// What it is replaced by, with `${1}` for a group.
        substitution: String,
    },
}

/// Where a client is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlRedirect {
    /// Another host, and port.
    pub host: Option<String>,
    /// Another path.
    pub path: RedirectPath,
    /// Whether to https.
    pub https: bool,
    /// Whether without the query.
    pub strip_query: bool,
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// The path a client is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RedirectPath {
    /// The same.
    #[default]
    Kept,
    /// This one.
    Whole(String),
    /// The same, in which this stands for the part that matched; in a default, before the whole.
    Prefix(String),
}

/// When a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often again, at least once.
    pub retries: u32,
    /// How long each try may take.
    pub per_try_timeout: Option<Duration>,
    /// After what.
    pub conditions: Vec<RetryCondition>,
}

/// After what a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCondition {
    /// Any 5xx, or no answer at all.
    Any5xx,
    /// 502, 503 or 504.
    GatewayError,
    /// No connection.
    ConnectFailure,
    /// 409.
    Retriable4xx,
    /// The service reset the stream before it did anything.
    RefusedStream,
    /// gRPC's CANCELLED.
    Cancelled,
    /// gRPC's DEADLINE_EXCEEDED.
    DeadlineExceeded,
    /// gRPC's INTERNAL.
    Internal,
    /// gRPC's RESOURCE_EXHAUSTED.
    ResourceExhausted,
    /// gRPC's UNAVAILABLE.
    Unavailable,
}

/// Where a copy of requests goes.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorPolicy {
    /// The service.
    pub service: ServiceName,
    /// Of how many requests, in millionths.
    pub share: Share,
}

/// Which pages of other origins may call.
#[derive(Clone, Debug, Default)]
pub struct CorsPolicy {
    /// Exact origins; `*` for all.
    pub origins: Vec<String>,
    /// Origins the whole of which matches one of these.
    pub origin_patterns: Vec<Regex>,
    /// The methods.
    pub methods: Vec<String>,
    /// The request headers.
    pub headers: Vec<String>,
    /// The headers of answers that pages may read.
    pub exposed_headers: Vec<String>,
    /// How long a browser may keep the answer to a preflight, in seconds.
    pub max_age_seconds: Option<u32>,
    /// Whether with cookies.
    pub credentials: bool,
}

/// What is spoilt on purpose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultInjection {
    /// Requests that wait this long first.
    pub delay: Option<(Duration, Share)>,
    /// Requests that are answered with this status instead.
    pub abort: Option<(u16, Share)>,
}

/// A share of all requests, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// Of all.
    pub const ALL: Self = Self(1_000_000);

    /// Of none.
    pub const NONE: Self = Self(0);

    /// A share in hundredths, from 0.0 to 100.0.
    pub fn of_percent(percent: f64) -> Option<Self> {
        // Rounding loses what nobody can measure; the range is checked before.
        (0.0..=100.0).contains(&percent).then(|| Self((percent * 10_000.0).round() as u32))
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }
}

/// What is done to headers, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderAction {
    /// Headers that are removed from the request.
    pub request_remove: Vec<String>,
    /// Headers that the request gets.
    pub request_add: Vec<AddedHeader>,
    /// Headers that are removed from the answer.
    pub response_remove: Vec<String>,
    /// Headers that the answer gets.
    pub response_add: Vec<AddedHeader>,
}

impl HeaderAction {
    /// Whether any header that is added says where clients are.
    pub fn asks_for_regions(&self) -> bool {
        let added = self.request_add.iter().chain(&self.response_add);
        added
            .flat_map(|header| &header.value.0)
            .any(|part| *part == ValuePart::Variable(HeaderVariable::ClientRegion))
    }
}

/// A header that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedHeader {
    /// Its name in lower case.
    pub name: String,
    /// Its value, in which `{client_region}` and the like are variables.
    pub value: HeaderValueTemplate,
    /// Whether it takes the place of those that are there.
    pub replace: bool,
}

/// The value of an added header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValueTemplate(pub Vec<ValuePart>);

/// A part of the value of an added header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePart {
    /// Text as it is.
    Text(String),
    /// What is known of the request.
    Variable(HeaderVariable),
}

/// A variable in the value of an added header, of those that Google has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderVariable {
    /// The client's address.
    ClientIpAddress,
    /// Whether the client spoke TLS: `true` or `false`.
    ClientEncrypted,
    /// The version of HTTP that the client spoke.
    ClientProtocol,
    /// The client's country, where a database says so.
    ClientRegion,
    /// The client's port.
    ClientPort,
    /// The address that the client connected to.
    ServerIpAddress,
    /// The port that the client connected to.
    ServerPort,
    /// The version of TLS that the client spoke.
    TlsVersion,
    /// What Firegate does not know, and Google writes as nothing when it does not.
    Unknown,
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
