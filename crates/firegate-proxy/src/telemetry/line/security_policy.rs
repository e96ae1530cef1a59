//! What a security policy did, in the form of Google's load balancer's entries, so that dashboards and alerts that query
//! `jsonPayload.enforcedSecurityPolicy` and `previewSecurityPolicy` go on to work
//! (<https://cloud.google.com/armor/docs/request-logging>).

use firegate_core::armor::{NoteKind, Policy, RuleOutcome, RuleRecord, Screened};

use super::json::member;
use super::write_number;

/// Appends members of the line's object. Of a request that a policy simply lets pass nothing is said.
pub(super) fn write(screened: &Screened, to: &mut Vec<u8>) {
    let Some(policy) = screened.policy() else { return };
    if let Some(enforced) = screened.enforced.as_ref().filter(|enforced| is_worth_telling(enforced)) {
        let details = match enforced.outcome {
            RuleOutcome::Deny => Some("denied_by_security_policy"),
            RuleOutcome::Redirect => Some("redirected_by_security_policy"),
            RuleOutcome::Accept => None,
        };
        if let Some(details) = details {
            member(",\"statusDetails\":", details.as_bytes(), to);
        }
        rule(",\"enforcedSecurityPolicy\":{", policy, enforced, to);
    }
    if let Some(preview) = &screened.preview {
        rule(",\"previewSecurityPolicy\":{", policy, preview, to);
    }
    notes(screened, policy, to);
}

fn is_worth_telling(enforced: &RuleRecord) -> bool {
    enforced.outcome != RuleOutcome::Accept || enforced.rate_limit.is_some()
}

fn rule(name: &str, policy: &Policy, record: &RuleRecord, to: &mut Vec<u8>) {
    let Some(rule) = policy.rule(record.position) else { return };
    to.extend_from_slice(name.as_bytes());
    member("\"name\":", policy.name.as_bytes(), to);
    to.extend_from_slice(b",\"priority\":");
    write_number(rule.priority.into(), to);
    member(",\"configuredAction\":", rule.action.configured_action().as_bytes(), to);
    member(",\"outcome\":", record.outcome.as_str().as_bytes(), to);
    if let Some(limit) = &record.rate_limit {
        to.extend_from_slice(b",\"rateLimitAction\":{");
        member("\"key\":", limit.value.as_bytes(), to);
        member(",\"outcome\":", limit.outcome.as_str().as_bytes(), to);
        to.push(b'}');
    }
    to.push(b'}');
}

/// Firegate's own word on rules that did not match because their expression failed, or asks for something unknown.
fn notes(screened: &Screened, policy: &Policy, to: &mut Vec<u8>) {
    for (index, note) in screened.notes.iter().enumerate() {
        let Some(rule) = policy.rule(note.position) else { continue };
        to.extend_from_slice(if index == 0 {
            b",\"rulesNotEvaluated\":[{\"priority\":"
        } else {
            b",{\"priority\":"
        });
        write_number(rule.priority.into(), to);
        match &note.kind {
            NoteKind::Failed(error) => member(",\"error\":", error.as_bytes(), to),
            NoteKind::Unknown(name) => member(",\"unknown\":", name.as_bytes(), to),
        }
        to.push(b'}');
    }
    if !screened.notes.is_empty() {
        to.push(b']');
    }
}
