//! Why a request goes where it goes, and what was near. It is for people; requests are routed by [`Routes::select`].

use firegate_expr::suggestion::nearest;
use http::HeaderName;

use super::conditions::{Asked, query_holds};
use super::rule::{RulePlaceInFile, Target};
use super::{Candidate, PathMatcher, Routes};
use crate::facts::RequestFacts;
use crate::limits::NEAR_ROUTES_SHOWN_MAX;

/// What was looked at to route a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTrace {
    /// The pattern that names the host; none if the request goes by what holds for all the others.
    pub host: Option<String>,
    /// The pattern that its path is like; none if it goes by a default.
    pub path: Option<String>,
    /// Where the rule stands that was found.
    pub place: Option<RulePlaceInFile>,
    /// The services that chance chooses from, with their weights; one or none if there is no choice.
    pub services: Vec<(String, u32)>,
    /// What was near.
    pub near: Vec<NearRoute>,
}

/// A pattern that did not match, and would have if one thing were different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearRoute {
    /// The pattern of hosts or paths.
    pub pattern: String,
    /// Where the rule stands, if it is known.
    pub place: Option<RulePlaceInFile>,
    /// What is different.
    pub why: String,
}

impl Routes {
    /// What was looked at to route a request.
    pub fn trace(&self, facts: &RequestFacts<'_>) -> RouteTrace {
        let found = self.find(facts, facts.path.as_str());
        let named = self.hosts.find_named(facts.host);
        let matcher = self.hosts.find(facts.host).and_then(|number| self.matchers.get(number));
        let mut near = Vec::new();
        if named.is_none() {
            near.extend(self.near_host(facts.host));
        }
        if let Some(matcher) = matcher {
            matcher.near(facts, found.map(|found| &found.rule.place), &mut near);
        }
        let services = found.and_then(|found| match &found.rule.target {
            Target::Services(services) => Some(&services.choices),
            Target::Redirect(_) => None,
        });
        let services = services.into_iter().flatten();
        RouteTrace {
            host: named
                .map(|(pattern, _)| pattern.to_string())
                .or_else(|| self.hosts.take_any().then(|| "*".to_owned())),
            path: found.and_then(|found| found.matched).map(|(pattern, _)| pattern.to_string()),
            place: found.map(|found| found.rule.place.clone()),
            services: services.map(|choice| (choice.destination.name().to_owned(), choice.weight)).collect(),
            near,
        }
    }

    /// Where the rule stands by which a request goes.
    pub fn place(&self, facts: &RequestFacts<'_>) -> Option<&RulePlaceInFile> {
        self.find(facts, facts.path.as_str()).map(|found| &found.rule.place)
    }

    /// The headers that the choice of a route for this request depends on.
    pub fn headers_asked(&self, facts: &RequestFacts<'_>) -> Vec<HeaderName> {
        let matcher = self.hosts.find(facts.host).and_then(|number| self.matchers.get(number));
        matcher.map(|matcher| matcher.headers_asked(facts)).unwrap_or_default()
    }

    /// The pattern that was meant, perhaps.
    fn near_host(&self, host: &str) -> Option<NearRoute> {
        let mut patterns = self.hosts.patterns().map(|pattern| pattern.to_string()).collect::<Vec<_>>();
        patterns.sort_unstable();
        let pattern = nearest(host, patterns.iter().map(String::as_str))?.to_owned();
        let why = format!("the request is for the host {host:?}");
        Some(NearRoute { pattern, place: None, why })
    }
}

impl PathMatcher {
    /// The rules that would have been found if one thing were different. `found` is the one that was.
    fn near(&self, facts: &RequestFacts<'_>, found: Option<&RulePlaceInFile>, near: &mut Vec<NearRoute>) {
        let path = facts.path.as_str();
        let is_default = found
            .is_none_or(|found| self.default.as_ref().is_some_and(|default| default.rule.place == *found));
        for candidate in &self.candidates {
            let Some(rule) = self.rules.get(candidate.rule) else { continue };
            if found == Some(&rule.place) {
                // What stands behind it was not looked at.
                return;
            }
            let why =
                candidate.unfulfilled(facts).or_else(|| candidate.other_path(path).filter(|_| is_default));
            if let Some(why) = why
                && near.len() < NEAR_ROUTES_SHOWN_MAX
            {
                let pattern = candidate.pattern.to_string();
                near.push(NearRoute { pattern, place: Some(rule.place.clone()), why });
            }
        }
        if is_default && near.is_empty() {
            near.extend(self.nearest_path(path));
        }
    }

    /// The pattern that was meant, perhaps.
    fn nearest_path(&self, path: &str) -> Option<NearRoute> {
        let texts = self.candidates.iter().map(|candidate| candidate.pattern.to_string()).collect::<Vec<_>>();
        let pattern = nearest(path, texts.iter().map(|text| text.trim_end_matches('*')))?;
        let position = texts.iter().position(|text| text.trim_end_matches('*') == pattern)?;
        let rule = self.rules.get(self.candidates.get(position)?.rule)?;
        let why = format!("the path is {path:?}");
        Some(NearRoute { pattern: texts.get(position)?.clone(), place: Some(rule.place.clone()), why })
    }

    /// The headers that the conditions ask for of those rules whose pattern the path is like.
    fn headers_asked(&self, facts: &RequestFacts<'_>) -> Vec<HeaderName> {
        let is_like = |candidate: &&Candidate| candidate.pattern.find(facts.path.as_str()).is_some();
        let mut names = Vec::new();
        for condition in self.candidates.iter().filter(is_like).flat_map(|candidate| &candidate.headers) {
            let name = condition.header().filter(|name| !names.contains(*name));
            names.extend(name.cloned());
        }
        names
    }
}

impl Candidate {
    /// The first condition that is not fulfilled of a rule whose pattern the path is like.
    fn unfulfilled(&self, facts: &RequestFacts<'_>) -> Option<String> {
        self.pattern.find(facts.path.as_str())?;
        let header = self.headers.iter().find(|condition| !condition.holds(facts));
        let header =
            header.map(|condition| format!("its condition on headers is not fulfilled: {condition}"));
        header.or_else(|| {
            let query = self.query.iter().find(|condition| !query_holds(condition, facts.query))?;
            let asked = Asked(&query.value);
            Some(format!("its condition on the query is not fulfilled: {} {asked}", query.name))
        })
    }

    /// How the path would have to be written to be like this pattern.
    fn other_path(&self, path: &str) -> Option<String> {
        if self.pattern.find(path).is_some() {
            return None;
        }
        let with_slash = format!("{path}/");
        let spellings = [
            Some(with_slash),
            path.strip_suffix('/').filter(|path| !path.is_empty()).map(str::to_owned),
            Some(path.to_ascii_lowercase()),
        ];
        let spelling = spellings.into_iter().flatten().find(|path| self.pattern.find(path).is_some())?;
        Some(format!("it is for {spelling:?}, and the path is {path:?}"))
    }
}
