//! Which backend a path belongs to, in the semantics of Google's path rules: an exact path first, then the longest
//! `/*` prefix. `/video/*` matches `/video/` and everything below, not `/video`.

use std::sync::Arc;

use firegate_files::configuration::PathPattern;
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::path::NormalPath;
use crate::snapshot::Backend;

/// The routes of a configuration.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    pattern: PathPattern,
    backend: Arc<Backend>,
}

impl Routes {
    /// Adds a route.
    pub fn add(&mut self, pattern: &PathPattern, backend: Arc<Backend>) {
        // Paths are matched in normal form, in which every character beyond ASCII is escaped.
        let escaped = |path: &str| utf8_percent_encode(path, CONTROLS).to_string();
        let pattern = match pattern {
            PathPattern::Exact(path) => PathPattern::Exact(escaped(path)),
            PathPattern::Prefix(prefix) => PathPattern::Prefix(escaped(prefix)),
        };
        self.0.push(Route { pattern, backend });
    }

    /// Selects the backend of a path.
    pub fn select(&self, path: &NormalPath) -> Option<&Arc<Backend>> {
        let path = path.as_str();
        let fit = |pattern: &PathPattern| match pattern {
            PathPattern::Exact(exact) if exact == path => Some(usize::MAX),
            PathPattern::Prefix(prefix) if path.starts_with(prefix.as_str()) => Some(prefix.len()),
            PathPattern::Exact(_) | PathPattern::Prefix(_) => None,
        };
        let fitting = self.0.iter().filter_map(|route| Some((fit(&route.pattern)?, route)));
        fitting.max_by_key(|(length, _)| *length).map(|(_, route)| &route.backend)
    }
}
