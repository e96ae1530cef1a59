//! Which backend a path belongs to, in the semantics of Google's path rules: an exact path first, then the longest
//! `/*` prefix. `/video/*` matches `/video/` and everything below, not `/video`.

use std::sync::Arc;

use firegate_files::configuration::{EncodedSlash, PathPattern};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::path::NormalPath;
use crate::reason::Reason;
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
    ///
    /// # Errors
    /// If no route names it; or if it holds an encoded slash, and the backend does not take such paths or a server that
    /// decodes it would choose another route.
    pub fn select(&self, path: &NormalPath) -> Result<&Arc<Backend>, Reason> {
        let route = self.find(path).ok_or(Reason::RouteNotFound)?;
        if path.has_encoded_separator() {
            if route.backend.settings.encoded_slash == EncodedSlash::Refuse {
                return Err(Reason::RequestMalformed { why: "the path holds an encoded slash or backslash" });
            }
            let is_this = |found: Option<&Route>| found.is_some_and(|found| std::ptr::eq(found, route));
            if !path.decoded_readings().all(|reading| is_this(self.find(&reading))) {
                let why = "the path's encoded slash would lead to another route if it were decoded";
                return Err(Reason::RequestMalformed { why });
            }
        }
        Ok(&route.backend)
    }

    fn find(&self, path: &NormalPath) -> Option<&Route> {
        let path = path.as_str();
        let fit = |pattern: &PathPattern| match pattern {
            PathPattern::Exact(exact) if exact == path => Some(usize::MAX),
            PathPattern::Prefix(prefix) if path.starts_with(prefix.as_str()) => Some(prefix.len()),
            PathPattern::Exact(_) | PathPattern::Prefix(_) => None,
        };
        let fitting = self.0.iter().filter_map(|route| Some((fit(&route.pattern)?, route)));
        fitting.max_by_key(|(length, _)| *length).map(|(_, route)| route)
    }
}
