//! What takes the place of errors.

use super::super::service::ServiceName;

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
