//! Security policies in the decision: one list, one order, and the user in it.

use std::net::IpAddr;
use std::sync::Arc;

use firegate_core::armor::{Geography, Location, NoteKind, RuleOutcome};
use firegate_core::decision::{Answer, Decision, Need, Outcome, Respond, Step};
use firegate_core::identity::{KeyState, TokenKind};
use firegate_core::limiter::{CountOutcome, MemoryCounters};
use firegate_core::reason::{Code, Stage};
use firegate_core::time::{ShiftedClock, SystemClock};
use http::Method;
use serde_json::{Value, json};

use crate::world::{
    NOW, Parts, Request, Verdict, app_check_token, disabled, id_token, rsa, session_cookie, valid_since,
};

const ALL: &str = "match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}";

/// A policy of these rules, of which each is the inside of a YAML mapping, by ascending priority; what none matches is allowed.
pub(crate) fn policy(rules: &[&str]) -> String {
    let rules = (1..).zip(rules).map(|(priority, rule)| format!("- {{priority: {priority}, {rule}}}\n"));
    format!("rules:\n{}- {{priority: 2147483647, action: allow, {ALL}}}\n", rules.collect::<String>())
}

pub(crate) fn world(backend: &str, dialect: &str, policy: &str) -> Parts {
    let text = format!(
        "project: demo-project\nproject_number: '42'\ngeo: {{ mmdb: places.mmdb }}\n\
         backends: {{ api: {{ url: 'https://api.example.com', {backend}, security_policy: {{ file: armor.yaml, dialect: {dialect} }} }} }}\n\
         users: {{ accept: [id_token] }}\n"
    );
    let mut parts = Parts::with_file(&text, policy);
    parts.counters = Box::new(counters().1);
    parts
}

pub(crate) fn counters() -> (ShiftedClock, MemoryCounters) {
    let clock = ShiftedClock::new(Arc::new(SystemClock));
    (clock.clone(), MemoryCounters::new(Arc::new(clock), [7; 16]))
}

/// A backend for signed-in users, with rules in dialect `firegate`.
pub(crate) fn signed_in(rules: &[&str]) -> Parts {
    world("allow: [allAuthenticatedUsers]", "firegate", &policy(rules))
}

/// A backend for everybody, with rules in dialect `gcloud`.
pub(crate) fn open(rules: &[&str]) -> Parts {
    world("allow: [allUsers]", "gcloud", &policy(rules))
}

pub(crate) fn user(uid: &str) -> Request {
    Request::bearing(&id_token(&json!({"sub": uid})))
}

pub(crate) fn expression(action: &str, expression: &str) -> String {
    format!("action: {action}, match: {{expr: {{expression: \"{expression}\"}}}}")
}

/// A limit of `count` a minute for everything.
pub(crate) fn throttle(count: u32, keys: &str) -> String {
    format!(
        "action: throttle, {ALL}, rateLimitOptions: {{rateLimitThreshold: {{count: {count}, intervalSec: 60}}, \
         exceedAction: deny(429), enforceOnKeyConfigs: [{keys}]}}"
    )
}

pub(crate) const BY_IP: &str = "{enforceOnKeyType: IP}";

#[track_caller]
pub(crate) fn check(parts: &mut Parts, request: &Request, expected: Result<(), Code>) {
    assert_eq!(parts.at_once(request).code(), expected, "{request:?}");
}

/// What a denial says: its stage and status.
fn denial(verdict: &Verdict) -> (Stage, u16) {
    match &verdict.outcome {
        Outcome::Denial(denial) => (denial.stage, denial.reason.status()),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let net = |action: &str, net: &str| {
        format!("action: {action}, match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: [{net}]}}}}")
    };
    let mut parts = open(&[
        &net("allow", "192.0.2.7"),
        &net("deny(404)", "192.0.2.0/24"),
        &expression("deny(502)", "request.path.startsWith('/old')"),
        &net("deny(403)", "10.0.0.0/8"),
    ]);
    check(&mut parts, &Request::new(), Ok(()));
    check(&mut parts, &Request::new().from("192.0.2.7"), Ok(()));
    for (request, status) in [
        (Request::new().from("192.0.2.8"), 404),
        (Request::new().path("/old/a"), 502),
        (Request::new().from("10.1.1.1").path("/old"), 502),
        (Request::new().from("10.1.1.1"), 403),
    ] {
        let verdict = parts.at_once(&request);
        assert_eq!((verdict.code(), denial(&verdict)), (Err(Code::ArmorDenied), (Stage::Armor, status)));
    }
}

#[test]
fn an_allow_ends_the_list_and_grants_nothing() {
    let mut parts =
        signed_in(&[&format!("action: allow, {ALL}"), &expression("deny(403)", "request.path == '/'")]);
    check(&mut parts, &Request::new(), Err(Code::TokenMissing));
    check(&mut parts, &user("ada"), Ok(()));
}

#[test]
fn a_refusal_comes_before_the_call_for_a_token_and_before_any_key_is_fetched() {
    let mut parts = signed_in(&[&expression("deny(403)", "request.path == '/'")]);
    parts.keys.id_token = KeyState::Missing;
    check(&mut parts, &user("ada"), Err(Code::ArmorDenied));
    check(&mut parts, &Request::new(), Err(Code::ArmorDenied));
}

#[test]
fn a_rule_of_the_verified_user_is_one_of_the_list() {
    let mut parts = signed_in(&[
        &expression("allow", "auth.uid == 'ada'"),
        &expression("deny(404)", "request.path == '/secret'"),
        &expression("deny(403)", "has(auth.token.plan) && auth.token.plan == 'free'"),
    ]);
    check(&mut parts, &user("ada").path("/secret"), Ok(()));
    check(&mut parts, &user("bob").path("/secret"), Err(Code::ArmorDenied));
    check(&mut parts, &user("bob"), Ok(()));
    let free = Request::bearing(&id_token(&json!({"sub": "eve", "plan": "free"})));
    check(&mut parts, &free, Err(Code::ArmorDenied));
    // Without a good token nobody is known; the rest of the list runs, and then comes the 401.
    let forged = Request::bearing(&rsa().sign(&claims("ada")).unwrap());
    check(&mut parts, &Request::new().path("/secret"), Err(Code::ArmorDenied));
    check(&mut parts, &Request::new(), Err(Code::TokenMissing));
    let mut keys = |need: &Need, _: &mut Parts| match need {
        Need::KeyRefresh { kind: TokenKind::IdToken, .. } => Answer::Keys,
        need => panic!("{need:?}"),
    };
    assert_eq!(parts.decide(&forged.clone().path("/secret"), &mut keys).code(), Err(Code::ArmorDenied));
    let verdict = parts.decide(&forged, &mut keys);
    assert_eq!(verdict.code(), Err(Code::TokenKeyUnknown));
    assert_eq!(
        verdict.needs.len(),
        1,
        "keys are fetched once, for the policy and the identity stage together"
    );
}

/// A backend for everybody that reads cookies and looks users up, with rules in dialect `firegate`.
pub(crate) fn open_to_cookies(backend: &str, rules: &[&str]) -> Parts {
    let text = format!(
        "project: demo-project\nproject_number: '42'\nbackends: {{ api: {{ url: 'https://api.example.com', allow: [allUsers], \
         token_sources: [cookie], {backend} security_policy: {{ file: armor.yaml, dialect: firegate }} }} }}\n\
         users: {{ accept: [session_cookie], revocation: {{ check: required }} }}\n"
    );
    Parts::with_file(&text, &policy(rules))
}

#[test]
fn the_cookie_of_a_refused_user_is_nobodys_to_the_policy_too() {
    let member = expression("allow", "auth.uid == 'ada'")
        + ", headerAction: {requestHeadersToAdds: [{headerName: X-Member, headerValue: 'yes'}]}";
    let rules = [&*member, &expression("deny(403)", "request.path == '/members'")];
    let cookie = Request::new().header("cookie", &format!("__session={}", session_cookie(&json!({}))));
    let cookie = cookie.header("x-firebase-appcheck", &app_check_token(&json!({}), &json!({})));
    for (backend, account, is_member) in [
        ("", Some(valid_since(0)), true),
        ("", Some(disabled()), false),
        ("", Some(valid_since(NOW)), false),
        ("", None, false),
        // What is fetched on the way makes nobody forget by whom the rules went.
        ("app_check: required,", Some(valid_since(0)), true),
        ("app_check: required,", Some(disabled()), false),
    ] {
        for path in ["/members", "/"] {
            let mut parts = open_to_cookies(backend, &rules);
            let app_check = std::mem::replace(&mut parts.keys.app_check, KeyState::Missing);
            let request = cookie.clone().path(path);
            let facts = request.facts();
            let step = Decision::start(&facts, &parts.world());
            let verdict = parts.finish(step, |need, parts| match need {
                Need::AccountStatus { .. } => Answer::Account(account),
                Need::KeyRefresh { kind: TokenKind::AppCheck, .. } => {
                    parts.keys.app_check = app_check.clone();
                    Answer::Keys
                }
                need => panic!("{need:?}"),
            });
            let case = format!("{backend} {account:?} {path}");
            if !is_member && path == "/members" {
                assert_eq!(verdict.code(), Err(Code::ArmorDenied), "{case}");
                continue;
            }
            let permit = verdict.permit();
            assert_eq!(permit.user().is_some(), is_member, "{case}");
            assert!(permit.removal().cookie, "{case}");
            let headers = facts.screened.get().expect("it was screened").request_headers();
            assert_eq!(headers.len(), usize::from(is_member), "{case}");
        }
    }
}

fn claims(uid: &str) -> Value {
    json!({
        "iss": "https://securetoken.google.com/demo-project", "aud": "demo-project", "sub": uid, "auth_time": NOW - 60,
        "iat": NOW - 60, "exp": NOW + 3540, "firebase": {"sign_in_provider": "password"},
    })
}

#[test]
fn keys_that_are_missing_are_fetched_where_the_user_is_needed() {
    let mut parts = signed_in(&[&expression("deny(403)", "auth.uid == 'mallory'")]);
    let known = std::mem::replace(&mut parts.keys.id_token, KeyState::Missing);
    let mut known = Some(known);
    let verdict = parts.decide(&user("mallory"), |_, parts| {
        parts.keys.id_token = known.take().unwrap();
        Answer::Keys
    });
    assert_eq!(verdict.code(), Err(Code::ArmorDenied));
    parts.keys.id_token = KeyState::Missing;
    let verdict = parts.decide(&user("mallory"), |_, _| Answer::Unavailable);
    assert_eq!(verdict.code(), Err(Code::KeysUnavailable), "an outage is no lost login, and opens nothing");
}

#[test]
fn nobody_changes_their_address_by_a_header() {
    let policy = format!(
        "advancedOptionsConfig: {{userIpRequestHeaders: [True-Client-IP, X-Forwarded-For]}}\n{}",
        policy(&[
            &expression("deny(403)", "inIpRange(origin.user_ip, '203.0.113.0/24')"),
            &throttle(1, "{enforceOnKeyType: XFF_IP}"),
        ])
    );
    let mut parts = world("allow: [allUsers]", "gcloud", &policy);
    let spoofed = |address: &str| {
        Request::new().header("x-forwarded-for", address).header("true-client-ip", address).from("192.0.2.1")
    };
    check(&mut parts, &spoofed("203.0.113.1"), Ok(()));
    check(&mut parts, &spoofed("203.0.113.2"), Err(Code::RateLimited));
    // Through somebody who may speak for others, the header counts.
    let mut vouched = spoofed("203.0.113.1");
    vouched.is_vouched_for = true;
    check(&mut parts, &vouched, Err(Code::ArmorDenied));
    let mut two = vouched.clone().header("true-client-ip", "198.51.100.9");
    two.client = "192.0.2.77".parse().unwrap();
    check(&mut parts, &two, Ok(()));
}

#[test]
fn a_policy_sees_the_path_that_is_matched_and_forwarded() {
    let mut parts = open(&[&expression("deny(403)", "request.path.startsWith('/admin')")]);
    for path in ["/admin", "/%61dmin/x", "/public/../admin", "//admin", "/./admin", "/public/%2e%2e/admin"] {
        check(&mut parts, &Request::new().path(path), Err(Code::ArmorDenied));
    }
    check(&mut parts, &Request::new().path("/public"), Ok(()));
}

#[test]
fn a_rule_that_is_tried_out_changes_nothing_and_is_told() {
    let tried = throttle(1, BY_IP) + ", preview: true";
    let mut parts = open(&[&tried, &(expression("deny(403)", "request.path == '/x'") + ", preview: true")]);
    for expected in [CountOutcome::Conform, CountOutcome::Exceed] {
        let request = Request::new().path("/x");
        let facts = request.facts();
        let step = Decision::start(&facts, &parts.world());
        assert!(matches!(step, Step::Done(Outcome::Permit(_))), "{step:?}");
        let screened = facts.screened.get().unwrap();
        let preview = screened.preview.as_ref().unwrap();
        assert_eq!(
            (preview.position, preview.rate_limit.as_ref().map(|limit| limit.outcome)),
            (0, Some(expected))
        );
        assert_eq!(
            screened.enforced.as_ref().map(|record| (record.position, record.outcome)),
            Some((2, RuleOutcome::Accept))
        );
    }
    check(&mut parts, &Request::new(), Ok(()));
}

#[test]
fn what_fails_or_is_unknown_does_not_match_and_is_noted() {
    let mut parts = open(&[
        &expression("deny(403)", "int(request.headers['x-age']) > 5"),
        &expression("deny(403)", "evaluateThreatIntelligence('iplist-tor-exit-nodes')"),
    ]);
    let request = Request::new();
    let facts = request.facts();
    assert!(matches!(Decision::start(&facts, &parts.world()), Step::Done(Outcome::Permit(_))));
    let notes = &facts.screened.get().unwrap().notes;
    assert!(matches!(notes[0].kind, NoteKind::Failed(_)), "{notes:?}");
    assert_eq!(notes[1].kind, NoteKind::Unknown("evaluateThreatIntelligence"));
    check(&mut parts, &Request::new().header("x-age", "6"), Err(Code::ArmorDenied));
}

#[test]
fn in_dialect_firegate_a_refusing_rule_that_fails_refuses() {
    let fails = "int(request.headers['x-age']) > 5";
    let mut parts = signed_in(&[&expression("deny(404)", fails)]);
    let verdict = parts.at_once(&user("ada"));
    assert_eq!((verdict.code(), denial(&verdict).1), (Err(Code::ArmorDenied), 404));
    check(&mut parts, &user("ada").header("x-age", "4"), Ok(()));
    let limit = throttle(1, BY_IP).replace(ALL, &format!("match: {{expr: {{expression: \"{fails}\"}}}}"));
    check(&mut signed_in(&[&limit]), &user("ada"), Err(Code::ArmorDenied));
    // An allow that fails does not match; the rest of the list decides.
    let mut parts =
        signed_in(&[&expression("allow", fails), &expression("deny(403)", "request.path == '/'")]);
    check(&mut parts, &user("ada"), Err(Code::ArmorDenied));
    // That there is no user is no failure.
    check(
        &mut signed_in(&[&expression("deny(403)", "auth.uid == 'ada'")]),
        &Request::new(),
        Err(Code::TokenMissing),
    );
}

#[test]
fn redirects_and_headers_go_where_the_rule_says() {
    let redirect = expression("redirect", "request.path == '/far'")
        + ", redirectOptions: {type: EXTERNAL_302, target: 'https://example.com/away'}";
    let recaptcha =
        expression("redirect", "request.path == '/robot'") + ", redirectOptions: {type: GOOGLE_RECAPTCHA}";
    let header = expression("allow", "request.path == '/seen'")
        + ", headerAction: {requestHeadersToAdds: [{headerName: X-Seen, headerValue: by-armor}]}";
    let mut parts = open(&[&redirect, &recaptcha, &header]);
    let verdict = parts.at_once(&Request::new().path("/far"));
    let Outcome::Respond(Respond::Redirect(answer)) = &verdict.outcome else { panic!("{verdict:?}") };
    assert_eq!(answer.location, "https://example.com/away");
    check(&mut parts, &Request::new().path("/robot"), Err(Code::ArmorDenied));
    let request = Request::new().path("/seen");
    let facts = request.facts();
    assert!(matches!(Decision::start(&facts, &parts.world()), Step::Done(Outcome::Permit(_))));
    let headers = facts.screened.get().unwrap().request_headers();
    assert_eq!(headers, [("x-seen".parse().unwrap(), "by-armor".parse().unwrap())]);
}

#[test]
fn a_preflight_is_screened_and_asks_for_no_token() {
    let text = "project: demo-project\ncors: { origins: ['https://app.example.com'] }\n\
        backends: { api: { url: 'https://api.example.com', allow: [allAuthenticatedUsers], security_policy: armor.yaml } }\n";
    let mut parts = Parts::with_file(text, &policy(&[&expression("deny(403)", "request.path == '/closed'")]));
    let mut request = Request::new()
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST");
    request.method = Method::OPTIONS;
    check(&mut parts, &request, Ok(()));
    check(&mut parts, &request.path("/closed"), Err(Code::ArmorDenied));
}

#[derive(Debug)]
struct Atlas;

impl Geography for Atlas {
    fn locate(&self, address: IpAddr) -> Location {
        match address {
            IpAddr::V4(address) if address.octets()[0] == 203 => {
                Location { region: Some(*b"AQ"), asn: Some(64_500) }
            }
            _ => Location::default(),
        }
    }
}

#[test]
fn where_a_client_is_comes_from_a_database() {
    let rules = [
        expression("deny(403)", "origin.region_code == 'AQ'"),
        expression("deny(404)", "origin.asn == 64501"),
        throttle(1, "{enforceOnKeyType: REGION_CODE}"),
    ];
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let mut parts = open(&rules);
    parts.snapshot.geography = Some(Arc::new(Atlas));
    check(&mut parts, &Request::new().from("203.0.113.1"), Err(Code::ArmorDenied));
    check(&mut parts, &Request::new().from("192.0.2.1"), Ok(()));
    check(&mut parts, &Request::new().from("192.0.2.2"), Err(Code::RateLimited));
}
