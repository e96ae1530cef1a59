//! What changes while a decision waits, and what its own limits mean.

use firegate_core::decision::{Answer, Need};
use firegate_core::reason::Code;
use serde_json::json;

use crate::world::{APP, NOW, Parts, Request, app_check_token, id_token, valid_since};

#[test]
fn firegates_own_limits_say_nothing_of_google_and_let_nobody_in() {
    let looked_up = "revocation: { check: required, on_failure: allow }";
    let mut parts = Parts::new("allow: [allAuthenticatedUsers]", looked_up);
    let request = Request::bearing(&id_token(&json!({})));
    let verdict = parts.decide(&request, |_, _| Answer::Unavailable);
    assert_eq!(verdict.code(), Ok(()), "an outage is what `on_failure` is for");
    let verdict = parts.decide(&request, |_, _| Answer::Overloaded);
    assert_eq!(verdict.code(), Err(Code::Overloaded));
    let verdict = parts.decide(&request, |_, _| Answer::Failed);
    assert_eq!(verdict.code(), Err(Code::Internal), "nor does a mistake of its own");
}

#[test]
fn a_token_that_expires_while_its_request_waits_is_expired() {
    let consuming = "allow: [allAuthenticatedUsers], app_check: { consume: true }";
    let mut parts = Parts::new(consuming, "revocation: { check: required }");
    let bearing = |token: &str| {
        Request::bearing(token).header("x-firebase-appcheck", &app_check_token(&json!({}), &json!({})))
    };
    let request = bearing(&id_token(&json!({"exp": NOW + 3})));
    let mut check = |seconds: i64, expected: Result<(), Code>| {
        parts.now = NOW;
        let verdict = parts.decide(&request, |need, parts| match need {
            Need::AccountStatus { .. } => Answer::Account(Some(valid_since(0))),
            Need::AppCheckConsume { .. } => {
                parts.now += seconds;
                Answer::AppCheckConsumed { already: false }
            }
            need => panic!("{need:?} of {APP} is needed"),
        });
        assert_eq!(verdict.code(), expected, "{seconds}");
    };
    check(2, Ok(()));
    check(3, Err(Code::TokenExpired));
}
