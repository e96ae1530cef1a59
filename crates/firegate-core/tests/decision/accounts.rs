//! Whether the user may still be one: what is known of their account, what is asked, and what an outage means.

use firegate_core::decision::{Answer, Need, Outcome};
use firegate_core::identity::{AccountStatus, KnownAccount};
use firegate_core::reason::Code;
use firegate_core::time::UnixTime;
use serde_json::json;

use crate::world::{
    API, NOW, Parts, Request, disabled, exchanged_token, google_id_token, id_token, session_cookie,
    valid_since,
};

const REQUIRED: &str = "revocation: { check: required, max_staleness: 60s }";
const ALLOWING: &str = "revocation: { check: required, max_staleness: 60s, on_failure: allow }";
/// When the users' tokens say that they signed in.
const AUTH_TIME: i64 = NOW - 60;

fn door(users: &str) -> Parts {
    Parts::new("allow: [allAuthenticatedUsers]", &format!("tenants: any, {users}"))
}

fn ada(parts: &mut Parts, account: Option<AccountStatus>, as_of: i64) {
    let known = KnownAccount { account, as_of: UnixTime::from_seconds(as_of) };
    parts.accounts.known.insert((None, "ada".to_owned()), known);
}

fn asks_for_ada() -> Vec<Need> {
    vec![Need::AccountStatus { tenant: None, uid: "ada".to_owned() }]
}

/// Those whose refusal is to be remembered, and until when.
fn refused(parts: &Parts) -> Vec<(Option<String>, String, i64)> {
    parts.accounts.refused.lock().expect("a lock").clone()
}

/// What different accounts mean for a user who signed in at [`AUTH_TIME`].
fn verdicts() -> [(Option<AccountStatus>, Result<(), Code>); 6] {
    let both = AccountStatus { disabled: true, ..valid_since(NOW) };
    [
        (Some(valid_since(0)), Ok(())),
        // A session that began in the very second of the revocation is the one that began after it.
        (Some(valid_since(AUTH_TIME)), Ok(())),
        (Some(valid_since(AUTH_TIME + 1)), Err(Code::TokenRevoked)),
        (Some(disabled()), Err(Code::UserDisabled)),
        (Some(both), Err(Code::UserDisabled)),
        (None, Err(Code::UserNotFound)),
    ]
}

#[test]
fn what_is_known_and_young_is_judged_without_asking() {
    for (account, expected) in verdicts() {
        for as_of in [NOW, NOW - 60, NOW + 60] {
            let mut parts = door(REQUIRED);
            ada(&mut parts, account, as_of);
            let verdict = parts.at_once(&Request::bearing(&id_token(&json!({}))));
            assert_eq!(verdict.code(), expected, "{account:?} {as_of}");
            let remembered = [(None, "ada".to_owned(), NOW + 3540)];
            assert_eq!(refused(&parts), &remembered[..usize::from(expected.is_err())], "{account:?}");
        }
    }
}

#[test]
fn what_is_too_old_or_not_known_is_asked_for_and_the_answer_decides() {
    for (account, expected) in verdicts() {
        // Also what seems to come from the future: a clock that was set back makes nothing young.
        for as_of in [None, Some(NOW - 61), Some(NOW - 86_400), Some(NOW + 61)] {
            let mut parts = door(REQUIRED);
            // What was known before is the contrary, and does not count.
            let before = if expected.is_ok() { Some(disabled()) } else { Some(valid_since(0)) };
            if let Some(as_of) = as_of {
                ada(&mut parts, before, as_of);
            }
            let verdict =
                parts.decide(&Request::bearing(&id_token(&json!({}))), |_, _| Answer::Account(account));
            assert_eq!(verdict.code(), expected, "{account:?} {as_of:?}");
            assert_eq!(verdict.needs, asks_for_ada());
            let remembered = [(None, "ada".to_owned(), NOW + 3540)];
            assert_eq!(refused(&parts), &remembered[..usize::from(expected.is_err())], "{account:?}");
        }
    }
}

/// The look-up fails, after a record that is too old, or none.
fn check_outage(
    users: &str,
    known: Option<Option<AccountStatus>>,
    has_forgotten: bool,
    expected: Result<(), Code>,
) {
    let mut parts = door(users);
    if let Some(account) = known {
        ada(&mut parts, account, NOW - 3600);
    }
    parts.accounts.has_forgotten = has_forgotten;
    let verdict = parts.decide(&Request::bearing(&id_token(&json!({}))), |_, _| Answer::Unavailable);
    let case = format!("{users} {known:?} {has_forgotten}");
    assert_eq!(verdict.code(), expected, "{case}");
    assert_eq!(verdict.needs, asks_for_ada(), "{case}");
    match &verdict.outcome {
        Outcome::Permit(permit) => assert!(permit.is_unchecked(), "{case}"),
        Outcome::Denial(_) => assert_eq!(refused(&parts).len(), 1, "{case}: it is remembered again"),
        _ => assert!(refused(&parts).is_empty(), "{case}: an outage says nothing of the user"),
    }
}

#[test]
fn in_an_outage_what_is_known_against_a_user_stays_and_nothing_else_is_held_against_them() {
    for users in [REQUIRED, ALLOWING] {
        for has_forgotten in [false, true] {
            for (account, expected) in verdicts().into_iter().filter(|(_, expected)| expected.is_err()) {
                check_outage(users, Some(account), has_forgotten, expected);
            }
        }
    }
    let unavailable = Err(Code::UserStatusUnavailable);
    for known in [None, Some(Some(valid_since(0)))] {
        check_outage(REQUIRED, known, false, unavailable);
        check_outage(REQUIRED, known, true, unavailable);
        check_outage(ALLOWING, known, false, Ok(()));
        // One of those whose refusal there was no room for may be this very user.
        check_outage(ALLOWING, known, true, unavailable);
    }
}

#[test]
fn a_record_that_comes_while_the_look_up_fails_counts() {
    let mut parts = door(ALLOWING);
    let verdict = parts.decide(&Request::bearing(&id_token(&json!({}))), |_, parts| {
        ada(parts, Some(disabled()), NOW);
        Answer::Unavailable
    });
    assert_eq!(verdict.code(), Err(Code::UserDisabled));
}

#[test]
fn every_kind_of_a_users_token_is_looked_up_and_the_refusal_outlives_it() {
    let check = |token: &str, expires_at: i64| {
        let mut parts = door(REQUIRED);
        let verdict = parts.decide(&Request::bearing(token), |_, _| Answer::Account(Some(disabled())));
        assert_eq!((verdict.code(), verdict.needs), (Err(Code::UserDisabled), asks_for_ada()));
        assert_eq!(refused(&parts), [(None, "ada".to_owned(), expires_at)]);

        ada(&mut parts, Some(valid_since(AUTH_TIME + 1)), NOW);
        assert_eq!(parts.at_once(&Request::bearing(token)).code(), Err(Code::TokenRevoked));
    };
    check(&id_token(&json!({})), NOW + 3540);
    check(&session_cookie(&json!({})), NOW - 60 + 5 * 24 * 3600);
    check(&exchanged_token("firegate-exchanged+jwt", &json!({})), NOW + 240);
}

#[test]
fn a_subject_token_is_looked_up_before_it_is_exchanged() {
    let mut parts = door(REQUIRED);
    let (request, token) = (Request::new(), id_token(&json!({})));
    let verdict = parts.exchange(&request, &token, |_, _| Answer::Account(Some(disabled())));
    assert_eq!((verdict.code(), verdict.needs), (Err(Code::UserDisabled), asks_for_ada()));
    let verdict = parts.exchange(&request, &token, |_, _| Answer::Unavailable);
    assert_eq!(verdict.code(), Err(Code::UserStatusUnavailable));
    let verdict = parts.exchange(&request, &token, |_, _| Answer::Account(Some(valid_since(0))));
    assert_eq!(verdict.code(), Ok(()));
}

#[test]
fn the_same_user_id_in_another_tenant_is_somebody_else() {
    let mut parts = door(REQUIRED);
    ada(&mut parts, Some(disabled()), NOW);
    let of_tenant = json!({"firebase": {"sign_in_provider": "password", "tenant": "blue"}});
    let request = Request::bearing(&id_token(&of_tenant));
    let verdict = parts.decide(&request, |_, _| Answer::Account(Some(valid_since(0))));
    assert_eq!(verdict.code(), Ok(()));
    let tenant = Some("blue".to_owned());
    assert_eq!(verdict.needs, [Need::AccountStatus { tenant: tenant.clone(), uid: "ada".to_owned() }]);
    let verdict = parts.decide(&request, |_, _| Answer::Account(None));
    assert_eq!(verdict.code(), Err(Code::UserNotFound));
    assert_eq!(refused(&parts), [(tenant, "ada".to_owned(), NOW + 3540)]);
}

#[test]
fn googles_accounts_are_never_looked_up() {
    let robot = "allow: ['serviceAccount:robot@demo-project.iam.gserviceaccount.com']";
    let mut parts = Parts::new(robot, REQUIRED);
    let verdict = parts.at_once(&Request::bearing(&google_id_token(&json!({}))));
    assert_eq!(verdict.code(), Ok(()));
    assert!(!verdict.permit().is_unchecked());
}

#[test]
fn nobody_is_looked_up_whom_the_rules_refuse_or_who_is_nobody() {
    let check = |members: &str, users: &str, request: &Request, expected: Result<(), Code>| {
        let mut parts = Parts::new(&format!("allow: [{members}]"), users);
        let verdict = parts.at_once(request);
        assert_eq!(verdict.code(), expected, "{members} {users}");
    };
    let user = Request::bearing(&id_token(&json!({})));
    let expired = Request::bearing(&id_token(&json!({"exp": NOW})));
    let anonymous = Request::bearing(&id_token(&json!({"firebase": {"sign_in_provider": "anonymous"}})));
    check("'user:eve@example.com'", REQUIRED, &user, Err(Code::NoInvokerBinding));
    check("allAuthenticatedUsers", REQUIRED, &expired, Err(Code::TokenExpired));
    check("allAuthenticatedUsers", REQUIRED, &anonymous, Err(Code::AnonymousUserNotAccepted));
    check("allUsers", REQUIRED, &Request::new(), Ok(()));
    check("allAuthenticatedUsers", "revocation: { check: off }", &user, Ok(()));
}

#[test]
fn a_user_is_looked_up_on_an_open_backend_too() {
    let mut parts = Parts::new("allow: [allUsers]", REQUIRED);
    let request = Request::bearing(&id_token(&json!({})));
    let verdict = parts.decide(&request, |_, _| Answer::Account(Some(disabled())));
    assert_eq!((verdict.code(), verdict.needs), (Err(Code::UserDisabled), asks_for_ada()));
}

#[test]
fn a_cookie_of_a_refused_user_names_nobody_to_a_mirror_either() {
    let text = format!(
        "project: demo-project\nurl_map: map.yaml\nbackends:\n  web: {{ url: '{API}', allow: [allUsers], token_sources: \
         [cookie] }}\n  copy: {{ url: https://copy.example.com, allow: [allAuthenticatedUsers] }}\n\
         users: {{ accept: [session_cookie], {REQUIRED} }}\n"
    );
    let map = "defaultService: web\ndefaultRouteAction: {requestMirrorPolicy: {backendService: copy, mirrorPercent: 100}}\n";
    let request = Request::new().header("cookie", &format!("__session={}", session_cookie(&json!({}))));
    for (account, expected) in verdicts() {
        let mut parts = Parts::with_file(&text, map);
        let verdict = parts.decide(&request, |_, _| Answer::Account(account));
        assert_eq!(verdict.needs, asks_for_ada());
        let permit = verdict.permit();
        assert_eq!(permit.principal().is_some(), expected.is_ok(), "{account:?}");
        let mirrored = permit.mirror().map(|mirror| mirror.principal().is_some());
        assert_eq!(mirrored, expected.is_ok().then_some(true), "{account:?}");
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    for answer in [
        Answer::Keys,
        Answer::AppCheckConsumed { already: false },
        Answer::AppCheckConsumed { already: true },
        Answer::AppCheckRefused,
    ] {
        let mut parts = door(ALLOWING);
        let request = Request::bearing(&id_token(&json!({})));
        let verdict = parts.decide(&request, |_, _| answer.clone());
        assert_eq!(verdict.code(), Err(Code::Internal), "{answer:?}");
    }
}
