//! From the routes of a configuration, in either form, to the one structure that requests are routed by.

use std::sync::Arc;

use firegate_files::configuration::{self, PathPattern};
use firegate_files::url_map::{self, HeaderAction, RouteAction, RouteMatch, RulePath, Rules, UrlMap};
use http::{HeaderName, Method};

use super::conditions::HeaderCondition;
use super::destination::{Destination, Destinations};
use super::error_page::ErrorPages;
use super::header_action::{HeaderActions, Level};
use super::hosts::Hosts;
use super::names::{Names, RouteNumber};
use super::paths::{Index, Pattern, normal};
use super::redirect::Redirect;
use super::rewrite::PathRewrite;
use super::rule::{Choice, Cors, Rule, RulePlaceInFile, Services, Target};
use super::{Candidate, Fallback, Order, PathMatcher, Routes};
use crate::cors::CorsPolicy;

impl Routes {
    /// Compiles the short form. Routes to backends that do not exist were refused with the configuration; here they are
    /// left out.
    pub(crate) fn of_short_form(routes: &[configuration::Route], destinations: &Destinations) -> Self {
        let (mut candidates, mut rules, mut names) = (Vec::new(), Vec::new(), Names::default());
        for (number, route) in routes.iter().enumerate() {
            let Some(destination) = destinations.find(route.backend.as_str()) else { continue };
            let headers = HeaderActions::new([level_of_service(&destination)]);
            let choice = Choice { destination, weight: 1, headers };
            let services = Services { choices: vec![choice], ..Services::default() };
            let place = RulePlaceInFile { file: None, path: format!("routes[{number}]"), line: None };
            let path = match &route.path {
                PathPattern::Exact(path) => RulePath::Exact(path.clone()),
                PathPattern::Prefix(prefix) => RulePath::Prefix(prefix.clone()),
            };
            let rule = Arc::new(Rule { place, target: Target::Services(Box::new(services)) });
            let number = names.give(route.path.to_string(), &rule);
            candidates.push(Candidate::of_path(&path, rules.len(), number));
            rules.push(rule);
        }
        let mut hosts = Hosts::default();
        hosts.add(&url_map::HostPattern::Any, 0);
        let matcher = PathMatcher::new(Order::MostSpecific, candidates, rules, None);
        Self { hosts, matchers: vec![matcher], default: None, names }
    }

    /// Compiles a URL map. Services that are no backends were refused with the configuration; here they get no request.
    pub(crate) fn of_url_map(map: &UrlMap, destinations: &Destinations) -> Self {
        let compiler = Compiler { map, destinations, of_map: Level::of(&map.header_action) };
        let mut hosts = Hosts::default();
        for rule in &map.host_rules {
            rule.hosts.iter().for_each(|host| hosts.add(host, rule.path_matcher));
        }
        let mut names = Names::default();
        let matchers = map.path_matchers.iter().map(|matcher| compiler.matcher(matcher, &mut names));
        let matchers = matchers.collect();
        let rule = compiler.rule(&map.default, &[], &[&map.default]);
        let route = names.give("default".to_owned(), &rule);
        Self { hosts, matchers, default: Some(Fallback { rule, route }), names }
    }
}

impl PathMatcher {
    fn new(
        order: Order,
        candidates: Vec<Candidate>,
        rules: Vec<Arc<Rule>>,
        default: Option<Fallback>,
    ) -> Self {
        let patterns = || (0..).zip(candidates.iter().map(|candidate| &candidate.pattern));
        let index = Index::new(patterns());
        let in_lower_case = Index::in_lower_case(patterns());
        let has_capital_letters = patterns().any(|(_, pattern)| pattern.has_capital_letters());
        let asks_more = |candidate: &Candidate| !candidate.headers.is_empty() || !candidate.query.is_empty();
        let has_conditions = candidates.iter().any(asks_more);
        Self { index, in_lower_case, has_capital_letters, order, candidates, has_conditions, rules, default }
    }
}

impl Candidate {
    fn of_path(path: &RulePath, rule: usize, route: RouteNumber) -> Self {
        Self { pattern: Pattern::of_rule(path), headers: Vec::new(), query: Vec::new(), rule, route }
    }

    fn of_match(found: &RouteMatch, rule: usize, route: RouteNumber) -> Self {
        let pattern = match &found.path {
            url_map::PathMatch::Prefix { prefix, ignore_case: false } => Pattern::Prefix(normal(prefix)),
            url_map::PathMatch::Prefix { prefix, ignore_case: true } => {
                Pattern::PrefixIgnoringCase(normal(prefix))
            }
            url_map::PathMatch::Full { path, ignore_case: false } => Pattern::Full(normal(path)),
            url_map::PathMatch::Full { path, ignore_case: true } => Pattern::FullIgnoringCase(normal(path)),
            url_map::PathMatch::Template(template) => Pattern::Template(template.with_texts(normal)),
            url_map::PathMatch::Regex(found) => Pattern::Regex(found.clone()),
        };
        let headers = found.headers.iter().map(HeaderCondition::of).collect();
        Self { pattern, headers, query: found.query.clone(), rule, route }
    }
}

struct Compiler<'a> {
    map: &'a UrlMap,
    destinations: &'a Destinations,
    of_map: Option<Arc<Level>>,
}

impl Compiler<'_> {
    fn matcher(&self, matcher: &url_map::PathMatcher, names: &mut Names) -> PathMatcher {
        let of_matcher = Level::of(&matcher.header_action);
        let (mut candidates, mut rules) = (Vec::new(), Vec::new());
        let order = match &matcher.rules {
            Rules::Paths(path_rules) => {
                for rule in path_rules {
                    let errors = [&rule.action, &matcher.default, &self.map.default];
                    let compiled = self.rule(&rule.action, &[of_matcher.as_ref()], &errors);
                    candidates.extend(rule.paths.iter().map(|path| {
                        let route = names.give(format!("{} {path}", matcher.name), &compiled);
                        Candidate::of_path(path, rules.len(), route)
                    }));
                    rules.push(compiled);
                }
                Order::MostSpecific
            }
            Rules::Routes(route_rules) => {
                for rule in route_rules {
                    let of_rule = Level::of(&rule.header_action);
                    let errors = [&rule.action, &matcher.default, &self.map.default];
                    let compiled = self.rule(&rule.action, &[of_rule.as_ref(), of_matcher.as_ref()], &errors);
                    let name = format!("{} priority {}", matcher.name, rule.priority);
                    let route = names.give(name, &compiled);
                    let matches = rule.matches.iter();
                    candidates.extend(matches.map(|found| Candidate::of_match(found, rules.len(), route)));
                    rules.push(compiled);
                }
                Order::First
            }
        };
        let errors = [&matcher.default, &self.map.default];
        let rule = self.rule(&matcher.default, &[of_matcher.as_ref()], &errors);
        let route = names.give(format!("{} default", matcher.name), &rule);
        PathMatcher::new(order, candidates, rules, Some(Fallback { rule, route }))
    }

    /// A rule, with what is done to headers between its services and the map, and those that say what takes the place of
    /// errors.
    fn rule(
        &self,
        action: &url_map::Action,
        levels: &[Option<&Arc<Level>>],
        errors: &[&url_map::Action],
    ) -> Arc<Rule> {
        let place = RulePlaceInFile::in_map(&self.map.file, &action.place);
        let target = match &action.target {
            url_map::Target::Redirect(redirect) => Target::Redirect(Redirect::of(redirect)),
            url_map::Target::Services(action) => {
                let policies = errors.iter().map(|action| action.error_policy.as_ref());
                let errors = ErrorPages::new(policies, self.destinations);
                Target::Services(Box::new(Services { errors, ..self.services(action, levels) }))
            }
        };
        Arc::new(Rule { place, target })
    }

    fn services(&self, action: &RouteAction, levels: &[Option<&Arc<Level>>]) -> Services {
        let choice = |service: &url_map::WeightedService| {
            let destination = self.destinations.find(service.service.as_str())?;
            let headers = self.headers(&service.header_action, levels, level_of_service(&destination));
            Some(Choice { destination, weight: service.weight, headers })
        };
        let mirror = action.mirror.as_ref();
        Services {
            choices: action.services.iter().filter_map(choice).collect(),
            rewrite: action.rewrite.path.as_ref().map(PathRewrite::of),
            host: action.rewrite.host.clone(),
            timeout: action.timeout,
            max_stream_duration: action.max_stream_duration,
            retry: action.retry.clone(),
            cors: action.cors.as_ref().map_or(Cors::OfConfiguration, cors),
            delay: action.fault.delay,
            abort: action.fault.abort,
            mirror: mirror
                .and_then(|mirror| Some((self.destinations.backend(mirror.service.as_str())?, mirror.share))),
            errors: ErrorPages::default(),
        }
    }

    fn headers(
        &self,
        of_weighted: &HeaderAction,
        levels: &[Option<&Arc<Level>>],
        of_service: Option<Arc<Level>>,
    ) -> HeaderActions {
        let between = levels.iter().map(|level| level.cloned());
        let last = [self.of_map.clone(), of_service];
        HeaderActions::new([Level::of(of_weighted)].into_iter().chain(between).chain(last))
    }
}

/// What the backend service itself does to headers.
fn level_of_service(destination: &Destination) -> Option<Arc<Level>> {
    Level::of(&destination.representative()?.settings.header_action)
}

/// A rule's own policy. A method or header that is no word of HTTP can be in no request.
fn cors(policy: &url_map::CorsPolicy) -> Cors {
    if policy.disabled {
        return Cors::Off;
    }
    Cors::Own(CorsPolicy {
        origins: policy.origins.clone(),
        origin_patterns: policy.origin_patterns.clone(),
        local_network_origins: false,
        methods: policy.methods.iter().filter_map(|method| method.parse::<Method>().ok()).collect(),
        headers: policy.headers.iter().filter_map(|name| name.parse::<HeaderName>().ok()).collect(),
        exposed_headers: policy.exposed_headers.iter().filter_map(|name| name.parse().ok()).collect(),
        max_age_seconds: policy.max_age_seconds,
        credentials: policy.credentials,
    })
}
