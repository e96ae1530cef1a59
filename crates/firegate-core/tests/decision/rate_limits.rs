//! Rules that limit rates, in the decision: who is counted together, and who apart.

use std::sync::Arc;

use firegate_core::decision::{Answer, Outcome};
use firegate_core::limiter::{CountOutcome, SharedCount, SharedCounters};
use firegate_core::reason::{Code, Reason};
use serde_json::json;

use crate::armor::{
    BY_IP, check, counters, expression, open, open_to_cookies, policy, signed_in, throttle, user, world,
};
use crate::world::{Request, app_check_token, disabled, id_token, session_cookie};

const BY_USER: &str = "{enforceOnKeyType: AUTH_UID}";

#[test]
fn who_is_nobody_is_counted_once_by_rules_that_ask_for_no_user() {
    let request = Request::new().header("cookie", &format!("__session={}", session_cookie(&json!({}))));
    let mut parts = open_to_cookies("", &[&throttle(2, BY_IP)]);
    parts.counters = Box::new(counters().1);
    for expected in [Ok(()), Ok(()), Err(Code::RateLimited)] {
        let verdict = parts.decide(&request, |_, _| Answer::Account(Some(disabled())));
        assert_eq!(verdict.code(), expected);
    }
}

#[test]
fn people_behind_one_address_have_their_own_limits_and_an_address_has_its_own() {
    let mut parts = signed_in(&[&throttle(2, BY_USER)]);
    for uid in ["ada", "bob", "eve"] {
        for expected in [Ok(()), Ok(()), Err(Code::RateLimited)] {
            check(&mut parts, &user(uid), expected);
        }
    }
    // One user with many addresses.
    check(&mut parts, &user("zoe").from("192.0.2.1"), Ok(()));
    check(&mut parts, &user("zoe").from("192.0.2.2"), Ok(()));
    check(&mut parts, &user("zoe").from("192.0.2.3"), Err(Code::RateLimited));
    let mut by_address = open(&[&throttle(2, BY_IP)]);
    check(&mut by_address, &Request::new().from("192.0.2.1"), Ok(()));
    check(&mut by_address, &Request::new().from("192.0.2.1"), Ok(()));
    check(&mut by_address, &Request::new().from("192.0.2.1"), Err(Code::RateLimited));
    check(&mut by_address, &Request::new().from("192.0.2.2"), Ok(()));
}

#[test]
fn a_flood_without_good_tokens_is_counted_by_address_and_never_together() {
    let mut parts = signed_in(&[&throttle(2, BY_USER)]);
    let flood = Request::bearing("forged.token.here").from("203.0.113.1");
    for expected in [Err(Code::TokenMalformed), Err(Code::TokenMalformed), Err(Code::RateLimited)] {
        check(&mut parts, &flood, expected);
    }
    // Neither others without a token nor signed-in users behind the same address lose anything by it.
    check(&mut parts, &Request::new().from("203.0.113.2"), Err(Code::TokenMissing));
    check(&mut parts, &user("ada").from("203.0.113.1"), Ok(()));
    // A tenant's user of the same id is another user.
    let tenant =
        |name: &str| json!({"sub": "ada", "firebase": {"sign_in_provider": "password", "tenant": name}});
    let of_tenant = Request::bearing(&id_token(&tenant("one"))).from("203.0.113.1");
    check(&mut parts, &user("ada"), Ok(()));
    check(&mut parts, &user("ada"), Err(Code::RateLimited));
    check(&mut parts, &of_tenant, Err(Code::RateLimited));
}

#[test]
fn a_limit_by_address_below_a_rule_of_the_user_counts_a_forged_flood() {
    let mut parts = signed_in(&[&expression("allow", "auth.uid == 'ada'"), &throttle(1, BY_IP)]);
    check(&mut parts, &Request::bearing("forged"), Err(Code::TokenMalformed));
    check(&mut parts, &Request::bearing("forged"), Err(Code::RateLimited));
    for _ in 0..3 {
        check(&mut parts, &user("ada"), Ok(()));
    }
}

#[test]
fn clients_without_the_header_share_one_count_as_at_google_and_the_log_says_so() {
    let mut parts = open(&[&throttle(1, "{enforceOnKeyType: HTTP_HEADER, enforceOnKeyName: x-api-key}")]);
    check(&mut parts, &Request::new().from("192.0.2.1"), Ok(()));
    let verdict = parts.at_once(&Request::new().from("192.0.2.2"));
    let Outcome::Denial(denied) = &verdict.outcome else { panic!("{verdict:?}") };
    let Reason::RateLimited(exceeded) = &denied.reason else { panic!("{denied:?}") };
    assert_eq!(exceeded.key, "HTTP_HEADER(x-api-key)→ALL");
    check(&mut parts, &Request::new().header("x-api-key", "a"), Ok(()));
    check(&mut parts, &Request::new().header("x-api-key", "b"), Ok(()));
    check(&mut parts, &Request::new().header("x-api-key", "a"), Err(Code::RateLimited));
    let long = |end: &str| Request::new().header("x-api-key", &format!("{}{end}", "x".repeat(128)));
    check(&mut parts, &long("1"), Ok(()));
    check(&mut parts, &long("2"), Err(Code::RateLimited));
}

#[test]
fn a_ban_outlasts_its_interval() {
    let ban = throttle(1, BY_IP).replace("action: throttle", "action: rate_based_ban");
    let ban = ban.replace("exceedAction", "banDurationSec: 600, exceedAction");
    let mut parts = open(&[&ban]);
    let (clock, memory) = counters();
    parts.counters = Box::new(memory);
    check(&mut parts, &Request::new(), Ok(()));
    check(&mut parts, &Request::new(), Err(Code::RateLimitBanned));
    clock.advance(120);
    check(&mut parts, &Request::new(), Err(Code::RateLimitBanned));
    clock.advance(601);
    check(&mut parts, &Request::new(), Ok(()));
}

#[test]
fn an_app_has_a_limit_of_its_own() {
    let by_app = throttle(1, "{enforceOnKeyType: APP_ID}");
    let mut parts =
        world("allow: [allAuthenticatedUsers], app_check: required", "firegate", &policy(&[&by_app]));
    let of_app =
        |uid: &str| user(uid).header("x-firebase-appcheck", &app_check_token(&json!({}), &json!({})));
    check(&mut parts, &of_app("ada"), Ok(()));
    check(&mut parts, &of_app("bob").from("192.0.2.9"), Err(Code::RateLimited));
    // Without a good token of an app it is the address that counts, and then comes the 401.
    check(&mut parts, &user("ada"), Err(Code::AppCheckTokenMissing));
    check(&mut parts, &user("ada"), Err(Code::RateLimited));
}

#[test]
fn a_shared_count_is_asked_for_once_and_its_absence_is_judged_here() {
    let mut parts = signed_in(&[&expression("allow", "auth.uid == 'root'"), &throttle(5, BY_USER)]);
    let memory = Arc::new(counters().1);
    parts.counters = Box::new(SharedCounters::new(memory, [3; 32]));
    let exceeded = SharedCount {
        outcome: CountOutcome::Exceed,
        left_ms: 1_000,
        count: 5,
        previous: 0,
        total_left_ms: 0,
        total: 0,
    };
    let verdict = parts.decide(&user("ada"), |_, _| Answer::SharedCount(exceeded));
    assert_eq!((verdict.code(), verdict.needs.len()), (Err(Code::RateLimited), 1));
    for answer in [Answer::Unavailable, Answer::Overloaded] {
        let verdict = parts.decide(&user("bob"), |_, _| answer.clone());
        assert_eq!(
            (verdict.code(), verdict.needs.len()),
            (Ok(()), 1),
            "the windows of this process take over"
        );
    }
    let verdict = parts.decide(&user("bob"), |_, _| Answer::Keys);
    assert_eq!(verdict.code(), Err(Code::Internal));
}
