//! What became of a case's request, and whether that is what was expected.

use std::fmt;

use firegate_files::decision_cases::Expected;

/// What became of a request, whoever decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was forwarded.
    Passed {
        /// The backend's name.
        to: String,
        /// What it sees as path and query.
        path_and_query: String,
        /// The fields that it sees, as far as they are known: names in lower case.
        headers: Vec<(String, String)>,
        /// The code by which it would have been refused, were that enforced.
        would_be_refused: Option<String>,
    },
    /// It was refused.
    Refused {
        /// The reason's code.
        code: String,
        /// The status.
        status: u16,
        /// The evidence, if it is known.
        evidence: Option<String>,
    },
    /// It was redirected.
    Redirected {
        /// Where.
        to: String,
        /// The status.
        status: u16,
    },
    /// Firegate answered it.
    Answered {
        /// The status.
        status: u16,
        /// Why no other, if it is known and may be asked.
        why: Option<String>,
    },
}

/// In what an answer differs from what was expected; `None` if in nothing.
pub fn difference(expected: &Expected, found: &Answer) -> Option<String> {
    match (expected, found) {
        (
            Expected::Passes { to, path_and_query, headers, would_be_refused },
            Answer::Passed {
                to: found_to,
                path_and_query: found_path,
                headers: found_headers,
                would_be_refused: observed,
            },
        ) => {
            if to != found_to {
                return Some(format!("expected it to pass to {to}, and it passes to {found_to}"));
            }
            if let Some(path) = path_and_query.as_ref().filter(|path| *path != found_path) {
                return Some(format!("expected {to} to see {path}, and it sees {found_path}"));
            }
            if would_be_refused != observed {
                let word = |code: &Option<String>| code.clone().unwrap_or_else(|| "no refusal".to_owned());
                let (expected, found) = (word(would_be_refused), word(observed));
                return Some(format!("expected that {expected} is observed, and it is {found}"));
            }
            headers.iter().find(|field| !found_headers.contains(field)).map(|(name, value)| {
                let there =
                    found_headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
                let there = there.collect::<Vec<_>>().join(", ");
                let there = if there.is_empty() { "nothing".to_owned() } else { there };
                format!("expected {to} to see `{name}: {value}`, and it sees {there}")
            })
        }
        (
            Expected::Refused { code, status },
            Answer::Refused { code: found_code, status: found_status, .. },
        ) if code == found_code => match status {
            Some(status) if status != found_status => {
                Some(format!("expected {code} with status {status}, and the status is {found_status}"))
            }
            _ => None,
        },
        (Expected::Redirected { to, status }, Answer::Redirected { to: found_to, status: found_status })
            if to == found_to && status.is_none_or(|status| status == *found_status) =>
        {
            None
        }
        (Expected::Answered { status }, Answer::Answered { status: found, .. }) if status == found => None,
        (expected, found) => Some(format!("expected it to be {}, and it {found}", words(expected))),
    }
}

fn words(expected: &Expected) -> String {
    let with =
        |status: &Option<u16>| status.map(|status| format!(" with status {status}")).unwrap_or_default();
    match expected {
        Expected::Passes { to, .. } => format!("forwarded to {to}"),
        Expected::Refused { code, status } => format!("refused as {code}{}", with(status)),
        Expected::Redirected { to, status } => format!("redirected to {to}{}", with(status)),
        Expected::Answered { status } => format!("answered with status {status}"),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { to, .. } => write!(formatter, "passes to {to}"),
            Self::Refused { code, status, evidence: Some(evidence) } => {
                write!(formatter, "is refused as {code} with status {status}: {evidence}")
            }
            Self::Refused { code, status, evidence: None } => {
                write!(formatter, "is refused as {code} with status {status}")
            }
            Self::Redirected { to, status } => {
                write!(formatter, "is redirected to {to} with status {status}")
            }
            Self::Answered { status, why: Some(why) } => {
                write!(formatter, "is answered with status {status}: {why}")
            }
            Self::Answered { status, why: None } => write!(formatter, "is answered with status {status}"),
        }
    }
}
