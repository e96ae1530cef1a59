//! What a request must be like for a route rule.

use regex::bytes::Regex;

use super::super::path_template::PathTemplate;

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
    Regex(PathRegex),
}

/// A regular expression for whole paths.
#[derive(Clone, Debug)]
pub struct PathRegex {
    /// As it is written.
    pub regex: Regex,
    /// As a server reads it that takes capital letters for small ones; `None` if no letter is written down in it.
    pub in_any_case: Option<Regex>,
    /// How many characters at least a path that matches has as they are written.
    pub characters_min: usize,
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
