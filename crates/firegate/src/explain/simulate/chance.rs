//! Where chance decides by the rules of a URL map: which of several services gets a request, and which requests are spoilt on
//! purpose. What was drawn for a request stands in no log, and so it is taken from where the request went, or is not known.

use std::collections::BTreeMap;

use firegate_core::facts::RequestFacts;
use firegate_core::route::{Routed, Routes, RulePlaceInFile};
use firegate_files::configuration::{Configuration, Routing};
use firegate_files::url_map::{Action, RouteAction, Rules, Share, Target};

use super::super::limits::DRAWS_MAX;

/// The rules of a URL map, as far as chance has a part in them.
#[derive(Debug, Default)]
pub(super) struct Chance<'a> {
    /// By their paths in the file.
    rules: BTreeMap<&'a str, &'a RouteAction>,
    /// For a rule and a service, a number by which the service is drawn; none if none was found.
    draws: BTreeMap<(&'a str, &'a str), Option<u64>>,
}

impl<'a> Chance<'a> {
    pub(super) fn new(configuration: &'a Configuration) -> Self {
        let Routing::UrlMap(map) = &configuration.routing else { return Self::default() };
        let of_matchers = map.path_matchers.iter().flat_map(|matcher| {
            let of_rules: Vec<&Action> = match &matcher.rules {
                Rules::Paths(rules) => rules.iter().map(|rule| &rule.action).collect(),
                Rules::Routes(rules) => rules.iter().map(|rule| &rule.action).collect(),
            };
            of_rules.into_iter().chain([&matcher.default])
        });
        let rules = of_matchers.chain([&map.default]).filter_map(|action| match &action.target {
            Target::Services(services) => Some((action.place.path.as_str(), &**services)),
            Target::Redirect(_) => None,
        });
        Self { rules: rules.collect(), draws: BTreeMap::new() }
    }

    /// The services among which chance chooses; none where there is no choice.
    pub(super) fn services(&self, rule: &RulePlaceInFile) -> Vec<&'a str> {
        let services = self.rules.get(rule.path.as_str()).into_iter().flat_map(|rule| &rule.services);
        let drawn = services.filter(|service| service.weight > 0);
        let mut names = drawn.map(|service| service.service.as_str()).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        if names.len() > 1 { names } else { Vec::new() }
    }

    /// The status that a share of the requests is answered with instead of being forwarded.
    pub(super) fn abort(&self, rule: &RulePlaceInFile) -> Option<(u16, Share)> {
        let abort = self.rules.get(rule.path.as_str())?.fault.abort;
        abort.filter(|(_, share)| *share != Share::NONE)
    }

    /// A number by which the rule of a request draws this service.
    pub(super) fn draw(
        &mut self,
        rule: &RulePlaceInFile,
        service: &'a str,
        routes: &Routes,
        facts: &RequestFacts<'_>,
    ) -> Option<u64> {
        let (rule, _) = self.rules.get_key_value(rule.path.as_str())?;
        if let Some(found) = self.draws.get(&(*rule, service)) {
            return *found;
        }
        let mut asked = facts.clone();
        for random in 0..DRAWS_MAX {
            asked.random = random;
            // What one of the services does not take says nothing of the others; another request is asked by.
            let Ok(Routed::To(entry)) = routes.select(&asked) else { return None };
            if entry.backend().name == service {
                self.draws.insert((*rule, service), Some(random));
                return Some(random);
            }
        }
        self.draws.insert((*rule, service), None);
        None
    }
}
