//! Every case is explained, and the explanation says what the machine decides.

use firegate::explain::{
    DoorVerdict, RequestExplanation, StageVerdict, explain_decision_case, render_request_text,
};
use firegate_files::decision_cases::{DecisionCase, Expected};

use crate::{ISSUER, NOW, assert_none, corpus};

/// In what an explanation differs from what its case expects.
pub(crate) fn difference(case: &DecisionCase, found: &RequestExplanation) -> Option<String> {
    let (answer, route) = (&found.answer, found.stages.iter().find(|line| line.stage == "route"));
    let goes_to = |name: &str| route.is_some_and(|line| line.summary.starts_with(&format!("to {name:?}")));
    let is_as_expected = match &case.expected {
        Expected::Passes { to, would_be_refused, .. } => {
            answer.verdict == DoorVerdict::Passes && answer.code == would_be_refused.as_deref() && goes_to(to)
        }
        Expected::Refused { code, status } => {
            answer.verdict == DoorVerdict::Refused
                && answer.code == Some(code)
                && status.is_none_or(|status| answer.status == Some(status))
        }
        Expected::Redirected { to, .. } => {
            answer.verdict == DoorVerdict::Passes && answer.message.contains(to.as_str())
        }
        // What only a body would show is not told apart from what is answered otherwise.
        Expected::Answered { status: 405 } => answer.status == Some(405),
        Expected::Answered { .. } => answer.verdict == DoorVerdict::Passes,
    };
    if !is_as_expected {
        return Some(format!("{:?} is explained as {answer:?}", case.expected));
    }
    // What a policy, a binding or a route decides stands somewhere.
    let ended = found.stages.iter().find(|line| {
        matches!(line.verdict, StageVerdict::Refused | StageVerdict::WouldBeRefused | StageVerdict::Answered)
    });
    let is_own = match &case.expected {
        Expected::Answered { .. } => true,
        Expected::Refused { code, .. } => code == "METHOD_NOT_ALLOWED",
        _ => false,
    };
    let has_line = is_own || ended.is_none_or(|line| !matches!(line.stage, "armor" | "iam" | "route"));
    (!has_line && found.decided_at.is_none()).then(|| "no line is told that decided".to_owned())
}

#[test]
fn every_case_is_explained_as_it_is_decided() {
    let mut failures = Vec::new();
    let mut count = 0;
    for file in corpus() {
        // What was counted before is no part of an explanation.
        let alone = file.cases.iter().filter(|case| case.before.is_empty() && case.arrival.repeat == 1);
        for case in alone {
            count += 1;
            let found = explain_decision_case(&file, case, &ISSUER, NOW).expect("a token");
            let text = render_request_text(&found, false);
            let differs = difference(case, &found);
            failures.extend(
                differs
                    .map(|differs| format!("{}:{}: {}: {differs}\n{text}", file.name, case.line, case.name)),
            );
        }
    }
    assert_none(&failures);
    assert!(count > 250, "{count} cases");
}
