//! The profile of a token, run to its end: each check with what it expected and what it found.

use firegate_core::identity::{CHECKS, Check, Examined, Obstacle};
use firegate_core::reason::Code;
use serde::Serialize;

/// The checks that ask for the token's kind once more. Where the kind is refused, they have nothing to go by.
pub(super) const CHECKS_OF_A_KIND: [&str; 2] = ["times", "signature"];

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// The token passes.
    Passed,
    /// It does not.
    Failed,
    /// What the check needs is missing, so that nobody can say.
    NotChecked,
}

/// One check of the profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckLine {
    /// What is checked.
    pub name: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// What the rule expects.
    pub expected: String,
    /// What it found. Never anything of the signature.
    pub found: String,
    /// How it went.
    pub verdict: CheckVerdict,
    /// The stable name of the refusal, if the check refuses.
    pub code: Option<&'static str>,
    /// What exactly is wrong, if the check refuses.
    pub evidence: Option<String>,
}

/// Runs all checks, whatever the first of them say.
pub(super) fn run(examined: &Examined<'_>, keys_problem: Option<&str>) -> Vec<CheckLine> {
    let kind = CHECKS.first().and_then(|check| (check.run)(examined).err());
    CHECKS.iter().map(|check| line(check, examined, kind.as_ref(), keys_problem)).collect()
}

fn line(
    check: &Check,
    examined: &Examined<'_>,
    kind: Option<&Obstacle>,
    keys_problem: Option<&str>,
) -> CheckLine {
    let mut line = CheckLine {
        name: check.name,
        source: check.source,
        expected: (check.expected)(examined),
        found: (check.found)(examined),
        verdict: CheckVerdict::Passed,
        code: None,
        evidence: None,
    };
    match (check.run)(examined) {
        Ok(()) => {}
        Err(obstacle) if CHECKS_OF_A_KIND.contains(&check.name) && kind == Some(&obstacle) => {
            line.verdict = CheckVerdict::NotChecked;
            line.evidence =
                Some("which rule holds depends on the kind of token, and that is not accepted".to_owned());
            if check.name == "signature" {
                line.found = "not checked: no accepted issuer's keys belong to it".to_owned();
            }
        }
        Err(Obstacle::KeysMissing { .. }) => {
            line.verdict = CheckVerdict::NotChecked;
            line.found = format!("not checked: {}", keys_problem.unwrap_or("no keys are known"));
        }
        Err(Obstacle::KeyUnknown { .. }) => {
            if examined.jws.signature().is_empty() {
                line.found = "no signature".to_owned();
            }
            line.verdict = CheckVerdict::Failed;
            line.code = Some(Code::TokenKeyUnknown.entry().name);
        }
        Err(Obstacle::Denied(reason)) => {
            line.verdict = CheckVerdict::Failed;
            line.code = Some(reason.code().entry().name);
            line.evidence = Some(reason.to_string());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_of_a_kind_are_checks_of_the_profile() {
        for name in CHECKS_OF_A_KIND {
            assert!(CHECKS.iter().any(|check| check.name == name), "{name}");
        }
        assert_eq!(CHECKS.first().map(|check| check.name), Some("kind of token"));
    }
}
