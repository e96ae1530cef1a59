//! A rule of the routes, compiled, and what a request takes along from the one that it belongs to.

use std::sync::Arc;
use std::time::Duration;

use firegate_files::configuration::Endpoint;
use firegate_files::url_map::{RetryPolicy, RulePlace, Share};

use super::destination::Destination;
use super::draw::{Lot, below, is_in};
use super::error_page::{ErrorPage, ErrorPages};
use super::header_action::HeaderActions;
use super::names::RouteNumber;
use super::redirect::Redirect;
use super::rewrite::PathRewrite;
use crate::cors::CorsPolicy;
use crate::facts::RequestFacts;
use crate::path::NormalPath;
use crate::snapshot::Backend;

/// What decides where a request goes.
#[derive(Debug)]
pub struct Rule {
    /// Where it stands.
    pub place: RulePlaceInFile,
    pub(super) target: Target,
}

impl Rule {
    /// Whether a request that took it would come to this backend too, or to one that the same callers may call, so that nobody
    /// gains by having it taken.
    pub(super) fn is_as_good(&self, facts: &RequestFacts<'_>, backend: &Arc<Backend>) -> bool {
        let Target::Services(services) = &self.target else { return false };
        let choice = services.draw(facts.random);
        let destination =
            choice.and_then(|(_, choice)| choice.destination.backend(facts.host, facts.path.as_str()));
        destination
            .is_some_and(|other| Arc::ptr_eq(other, backend) || other.lets_the_same_callers_pass(backend))
    }
}

/// The file and the place in it where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlaceInFile {
    /// The file's name; none for the short form of routes.
    pub file: Option<Arc<str>>,
    /// The path in the file, for example `routes[2]` or `pathMatchers[0].routeRules[1]`.
    pub path: String,
    /// The line, if it is known.
    pub line: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Target {
    Services(Box<Services>),
    Redirect(Redirect),
}

/// The services of a rule, and how requests get there.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// At least one.
    pub(super) choices: Vec<Choice>,
    pub(super) rewrite: Option<PathRewrite>,
    pub(super) host: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) max_stream_duration: Option<Duration>,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) cors: Cors,
    pub(super) delay: Option<(Duration, Share)>,
    pub(super) abort: Option<(u16, Share)>,
    pub(super) mirror: Option<(Arc<Backend>, Share)>,
    pub(super) errors: ErrorPages,
}

/// What a rule says of pages of other origins.
#[derive(Debug, Default)]
pub(super) enum Cors {
    /// Nothing.
    #[default]
    OfConfiguration,
    /// That they are the service's own affair.
    Off,
    /// Which may call.
    Own(CorsPolicy),
}

/// One of several services.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) destination: Destination,
    pub(super) weight: u32,
    pub(super) headers: HeaderActions,
}

/// How a request goes to its service: what the rule says that it belongs to, and what chance chose.
#[derive(Clone, Debug)]
pub struct RouteEntry {
    pub(super) rule: Arc<Rule>,
    pub(super) route: RouteNumber,
    /// Which of the rule's services it is.
    pub(super) choice: usize,
    pub(super) backend: Arc<Backend>,
    /// The path that the service gets, if it is another one.
    pub(super) rewritten: Option<NormalPath>,
    /// What chance decides by.
    pub(super) random: u64,
}

impl RulePlaceInFile {
    pub(super) fn in_map(file: &Arc<str>, place: &RulePlace) -> Self {
        Self { file: Some(Arc::clone(file)), path: place.path.clone(), line: Some(place.line) }
    }
}

impl std::fmt::Display for RulePlaceInFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(formatter, "{file}:{line} ({})", self.path),
            (Some(file), None) => write!(formatter, "{file} ({})", self.path),
            (None, _) => formatter.write_str(&self.path),
        }
    }
}

impl Services {
    /// The service that chance chooses by the weights; the first, if none has a weight.
    pub(super) fn draw(&self, random: u64) -> Option<(usize, &Choice)> {
        let total = self.choices.iter().map(|choice| choice.weight).fold(0_u32, u32::saturating_add);
        if let ([only], _) | ([only, ..], 0) = (self.choices.as_slice(), total) {
            return Some((0, only));
        }
        let mut drawn = below(total, random, Lot::Service);
        self.choices.iter().enumerate().find(|(_, choice)| {
            let is_it = drawn < choice.weight;
            drawn = drawn.saturating_sub(choice.weight);
            is_it
        })
    }
}

impl RouteEntry {
    /// The service.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Which of the configuration's routes it is.
    pub fn route(&self) -> RouteNumber {
        self.route
    }

    /// Where the rule stands.
    pub fn place(&self) -> &RulePlaceInFile {
        &self.rule.place
    }

    /// The path that the service gets.
    pub fn path<'a>(&'a self, asked: &'a NormalPath) -> &'a NormalPath {
        self.rewritten.as_ref().unwrap_or(asked)
    }

    /// Whether the service gets another path than was asked for.
    pub fn is_rewritten(&self) -> bool {
        self.rewritten.is_some()
    }

    /// What is done to the headers of the request and its answer.
    pub fn headers(&self) -> Option<&HeaderActions> {
        let headers = &self.services()?.choices.get(self.choice)?.headers;
        (!headers.is_empty()).then_some(headers)
    }

    /// How long the whole answer may take from the end of the request, retries included. Requests that are spoilt on
    /// purpose have no time-out and are not tried again.
    pub fn timeout(&self) -> Option<Duration> {
        self.services()?.timeout.filter(|_| !self.is_spoilt())
    }

    /// How long the request and its answer may take from its head on.
    pub fn max_stream_duration(&self) -> Option<Duration> {
        self.services()?.max_stream_duration
    }

    /// The host that the service is told instead of its own. Cloud Run's is never another: its front finds the service by it.
    pub fn host(&self) -> Option<&str> {
        let is_on_cloud_run = || self.backend.settings.endpoints().any(Endpoint::is_on_cloud_run);
        self.services()?.host.as_deref().filter(|_| !is_on_cloud_run())
    }

    /// When the request is tried again.
    pub fn retry(&self) -> Option<&RetryPolicy> {
        self.services()?.retry.as_ref().filter(|_| !self.is_spoilt())
    }

    /// Which pages of other origins may call: as the rule says, else as the configuration does.
    pub fn cors<'a>(&'a self, of_configuration: Option<&'a CorsPolicy>) -> Option<&'a CorsPolicy> {
        match self.services().map(|services| &services.cors) {
            Some(Cors::Own(policy)) => Some(policy),
            Some(Cors::Off) => None,
            Some(Cors::OfConfiguration) | None => of_configuration,
        }
    }

    /// Whether the rule says itself which pages of other origins may call.
    pub fn has_own_cors(&self) -> bool {
        self.services().is_some_and(|services| !matches!(services.cors, Cors::OfConfiguration))
    }

    /// How long the request waits before it is forwarded, by fault injection.
    pub fn delay(&self) -> Option<Duration> {
        let (delay, share) = self.services()?.delay?;
        is_in(share, self.random, Lot::Delay).then_some(delay)
    }

    /// The status that the request is answered with instead of being forwarded, by fault injection.
    pub fn abort(&self) -> Option<u16> {
        let (status, share) = self.services()?.abort?;
        is_in(share, self.random, Lot::Abort).then_some(status)
    }

    /// What takes the place of an error that the service answers with.
    pub fn error_page(&self, status: u16) -> Option<ErrorPage<'_>> {
        self.services()?.errors.find(status)
    }

    /// The service that gets a copy of the request.
    pub fn mirror(&self) -> Option<&Arc<Backend>> {
        let (backend, share) = self.services()?.mirror.as_ref()?;
        is_in(*share, self.random, Lot::Mirror).then_some(backend)
    }

    fn is_spoilt(&self) -> bool {
        self.delay().is_some() || self.abort().is_some()
    }

    fn services(&self) -> Option<&Services> {
        match &self.rule.target {
            Target::Services(services) => Some(services),
            Target::Redirect(_) => None,
        }
    }
}
