//! `enforce: observe`: what would be refused goes on, without a user, a credential or a token that the backend is not to see.

use firegate_core::decision::{Answer, Need, Outcome};
use firegate_core::observed::{Forwarding, Observed};
use firegate_core::reason::Code;
use firegate_core::token_source::TokenRemoval;
use http::Method;
use serde_json::{Value, json};

use crate::world::{NOW, Parts, Request, id_token};

const OBSERVE: &str = "credential: none, enforce: observe";

fn parts(backend: &str, users: &str) -> Parts {
    Parts::new(&format!("{OBSERVE}, allow: ['user:zoe@example.com'], {backend}"), users)
}

fn observed(outcome: Outcome) -> Box<Observed> {
    match outcome {
        Outcome::Observed(observed) => observed,
        outcome => panic!("{outcome:?}"),
    }
}

/// Everything that can be refused after a backend was chosen, and what is asked for on the way.
#[test]
fn whatever_would_be_refused_goes_on_and_says_why() {
    let looked_up = "revocation: { check: required }";
    let check = |parts: &mut Parts, request: &Request, answer: &dyn Fn(&Need) -> Answer, expected: Code| {
        let verdict = parts.decide(request, |need, _| answer(need));
        let observed = observed(verdict.outcome);
        assert_eq!(observed.refusal().code(), expected);
        let forwarding = Forwarding::Observed(observed);
        assert!(forwarding.permit().is_none(), "nothing is made for a user from it");
        assert_eq!((forwarding.lease().until, forwarding.lease().revocable), (None, None));
    };
    let nothing = |need: &Need| -> Answer { panic!("{need:?} is needed") };
    let parts = |backend: &str| parts(backend, looked_up);
    let bearing = |changes: Value| Request::bearing(&id_token(&changes));
    check(&mut parts(""), &Request::new(), &nothing, Code::TokenMissing);
    check(&mut parts(""), &Request::bearing("x"), &nothing, Code::TokenMalformed);
    check(&mut parts(""), &bearing(json!({"exp": NOW - 1})), &nothing, Code::TokenExpired);
    check(&mut parts(""), &bearing(json!({})), &nothing, Code::NoInvokerBinding);
    let zoe = bearing(json!({"email": "zoe@example.com"}));
    check(&mut parts("app_check: required"), &zoe, &nothing, Code::AppCheckTokenMissing);
    let twice = Request::bearing("x").header("authorization", "Bearer y");
    check(&mut parts(""), &twice, &nothing, Code::CredentialAmbiguous);
    check(&mut parts(""), &zoe, &|_| Answer::Account(None), Code::UserNotFound);
    check(&mut parts(""), &zoe, &|_| Answer::Unavailable, Code::UserStatusUnavailable);
    check(&mut parts(""), &zoe, &|_| Answer::Overloaded, Code::Overloaded);
    let mut keyless = parts("");
    keyless.keys.id_token = firegate_core::identity::KeyState::Missing;
    check(&mut keyless, &zoe, &|_| Answer::Unavailable, Code::KeysUnavailable);
}

#[test]
fn who_may_pass_passes_as_ever_but_for_the_end_of_their_streams() {
    let mut parts = parts("streams: { until: token_expiry }", "anonymous: deny");
    let verdict = parts.at_once(&Request::bearing(&id_token(&json!({"email": "zoe@example.com"}))));
    let permit = verdict.permit();
    assert_eq!(permit.user().map(|user| user.uid.as_str()), Some("ada"));
    assert_eq!(permit.lease().until, None, "to end a stream is to refuse its rest");
}

#[test]
fn a_token_of_one_who_would_be_refused_goes_where_the_backend_says() {
    let check = |backend: &str, request: &Request, expected: TokenRemoval| {
        let outcome = parts(backend, "anonymous: deny").at_once(request).outcome;
        let forwarding = Forwarding::Observed(observed(outcome));
        assert_eq!(forwarding.removal(), expected, "{backend} {request:?}");
    };
    let expired = id_token(&json!({"exp": NOW - 1}));
    let authorization = TokenRemoval { authorization: true, ..TokenRemoval::default() };
    check("user_token: drop", &Request::bearing(&expired), authorization);
    check("user_token: forward", &Request::bearing(&expired), TokenRemoval::default());
    // A webhook's own token is no user's.
    check("user_token: drop", &Request::bearing("webhook"), TokenRemoval::default());
    let twice = Request::bearing(&expired).header("authorization", &format!("Bearer {expired}"));
    check("user_token: drop", &twice, authorization);
    check("user_token: forward", &twice, TokenRemoval::default());
    let cookie = Request::new().header("cookie", &format!("__session={expired}"));
    let sources = "token_sources: [authorization, cookie]";
    check(sources, &cookie, TokenRemoval { cookie: true, ..TokenRemoval::default() });
    check(
        "app_check: required",
        &Request::new(),
        TokenRemoval { app_check: true, ..TokenRemoval::default() },
    );
}

#[test]
fn a_token_is_never_exchanged_for_one_who_may_not_have_it() {
    let mut parts = parts("", "anonymous: deny");
    let verdict = parts.exchange(&Request::new(), &id_token(&json!({})), |need, _| panic!("{need:?}"));
    assert!(
        matches!(&verdict.outcome, Outcome::Denial(denial) if denial.reason.code() == Code::NoInvokerBinding)
    );
}

#[test]
fn a_preflight_that_would_be_refused_is_the_services_to_answer() {
    let text = format!(
        "project: demo-project\nbackends: {{ api: {{ url: 'https://a.example', {OBSERVE}, user_token: forward }} }}\n\
         allow: [allAuthenticatedUsers]\ncors: {{ origins: ['https://app.example'] }}\n"
    );
    let preflight = |origin: &str| Request {
        method: Method::OPTIONS,
        ..Request::new().header("origin", origin).header("access-control-request-method", "GET")
    };
    let outcome = |origin| Parts::of(&text).at_once(&preflight(origin)).outcome;
    assert!(matches!(outcome("https://app.example"), Outcome::Respond(_)));
    assert_eq!(observed(outcome("https://evil.example")).refusal().code(), Code::CorsOriginNotAllowed);
}
