//! What is done with a request: where it goes, and what happens on the way.

use std::time::Duration;

use regex::bytes::Regex;

use super::super::path_template::TemplateRewrite;
use super::super::service::ServiceName;
use super::{ErrorPolicy, HeaderAction, RulePlace};

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
    /// Whether it is switched off, so that the service itself answers for other origins.
    pub disabled: bool,
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
