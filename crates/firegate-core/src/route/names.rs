//! What routes are called by whoever counts requests by them: the words of the file in which they stand, so that a name is
//! found there and stays the same when another rule is put before it.

use std::sync::Arc;

use super::rule::{Rule, Target};
use crate::snapshot::Backend;

/// Which of a configuration's routes, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteNumber(u32);

/// A route and what it is called.
#[derive(Debug)]
pub struct NamedRoute {
    /// Which one.
    pub number: RouteNumber,
    /// The path of the short form, `/video/*`. Of a URL map the path matcher and the path, `web /video/*`, or the priority of
    /// the route rule, `web priority 10`; `web default` is what no rule of a path matcher names, and `default` what no host
    /// rule does.
    pub name: String,
    rule: Arc<Rule>,
}

impl NamedRoute {
    /// The backends that it may lead to: none if it is a redirect.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        let services = match &self.rule.target {
            Target::Services(services) => services.choices.as_slice(),
            Target::Redirect(_) => &[],
        };
        services.iter().flat_map(|choice| choice.destination.backends())
    }

    /// Whether it is a redirect.
    pub fn is_redirect(&self) -> bool {
        matches!(self.rule.target, Target::Redirect(_))
    }
}

/// The names that were given so far.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<NamedRoute>);

impl Names {
    pub(super) fn give(&mut self, name: String, rule: &Arc<Rule>) -> RouteNumber {
        // Files hold fewer values than numbers of this size.
        let number = RouteNumber(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.push(NamedRoute { number, name, rule: Arc::clone(rule) });
        number
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &NamedRoute> {
        self.0.iter()
    }
}
