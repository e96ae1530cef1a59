//! Who else calls: Google's accounts, holders of exchanged tokens; where tokens stand, what of a request goes on, and what
//! the service is told of the caller.

use aws_lc_rs::rand::SystemRandom;
use firegate_core::assertion::{AssertionForm, exchanged_token_claims, plain_headers};
use firegate_core::exchange::{ExchangeRequest, RequestedToken};
use firegate_core::reason::Code;
use firegate_core::time::UnixTime;
use firegate_core::token_source::TokenRemoval;
use http::Method;
use serde_json::{Value, json};

use crate::world::{
    API, CALLED, DOOR, NOW, OWN, Parts, Request, exchanged_token, google_id_token, id_token, session_cookie,
};

const ROBOT: &str = "serviceAccount:robot@demo-project.iam.gserviceaccount.com";
const EXCHANGED: &str = "firegate-exchanged+jwt";

fn door(members: &str) -> Parts {
    Parts::new(&format!("allow: [{members}]"), "anonymous: deny")
}

fn check(parts: &mut Parts, token: &str, expected: Result<(), Code>) {
    let verdict = parts.at_once(&Request::bearing(token));
    assert_eq!(verdict.code(), expected, "{:?}", verdict.outcome);
}

#[test]
fn a_google_account_matches_the_member_that_names_it_and_nothing_wider() {
    let check = |members: &str, expected: Result<(), Code>| {
        check(&mut door(members), &google_id_token(&json!({})), expected);
    };
    let denied = Err(Code::NoInvokerBinding);
    check(&format!("'{ROBOT}'"), Ok(()));
    check("'serviceAccount:ROBOT@demo-project.iam.gserviceaccount.com'", Ok(()));
    check("allUsers", Ok(()));
    check(&format!("allAuthenticatedUsers, '{ROBOT}'"), Ok(()));
    check("'serviceAccount:other@demo-project.iam.gserviceaccount.com'", denied);
    check("allAuthenticatedUsers", denied);
    check("'user:robot@demo-project.iam.gserviceaccount.com'", denied);
    check("'domain:demo-project.iam.gserviceaccount.com'", denied);
    let pool = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";
    check(&format!("'principal://{pool}/subject/1122334455'"), denied);
    check(
        &format!("'principalSet://{pool}/attribute.email/robot@demo-project.iam.gserviceaccount.com'"),
        denied,
    );
    check(&format!("'principalSet://{pool}/*'"), denied);
}

#[test]
fn a_user_with_a_service_accounts_address_is_no_service_account() {
    let token = id_token(&json!({"email": "robot@demo-project.iam.gserviceaccount.com"}));
    check(&mut door(&format!("'{ROBOT}'")), &token, Err(Code::NoInvokerBinding));
}

#[test]
fn a_google_account_proves_itself_for_this_audience_and_by_a_verified_address() {
    let mut parts = door(&format!("'{ROBOT}'"));
    let mut check = |changes: Value, expected: Result<(), Code>| {
        let verdict = parts.at_once(&Request::bearing(&google_id_token(&changes)));
        assert_eq!(verdict.code(), expected, "{changes}: {:?}", verdict.outcome);
    };
    check(json!({"iss": "accounts.google.com"}), Ok(()));
    for audience in ["https://elsewhere.example.com", "", "https://called.example.com/", "demo-project", API]
    {
        check(json!({"aud": audience}), Err(Code::TokenWrongAudience));
    }
    let invalid = Err(Code::TokenClaimInvalid);
    check(json!({"aud": [CALLED]}), invalid);
    check(json!({"aud": null}), invalid);
    check(json!({"email": null}), invalid);
    check(json!({"email_verified": null}), invalid);
    check(json!({"email_verified": false}), invalid);
    check(json!({"email_verified": "true"}), invalid);
    check(json!({"sub": null}), invalid);
    check(json!({"sub": 1_122_334_455}), invalid);
    check(json!({"exp": NOW + 3541}), invalid);
    check(json!({"exp": NOW}), Err(Code::TokenExpired));
    check(json!({"iat": NOW + 600}), Err(Code::TokenNotYetValid));
    check(json!({"iss": "https://accounts.google.com/"}), Err(Code::TokenIssuerUnknown));
    check(json!({"iss": "https://accounts.google.com.evil.example"}), Err(Code::TokenIssuerUnknown));
    // It never signs in, and a claim that says so changes nothing.
    check(json!({"auth_time": 7}), Ok(()));
}

#[test]
fn googles_callers_and_exchanged_tokens_are_accepted_by_name_alone() {
    let usual = |users: &str| {
        Parts::of(&format!(
            "project: demo-project\nassertion: {{ issuer: '{DOOR}' }}\nallow: [allAuthenticatedUsers, '{ROBOT}']\n\
             backends: {{ api: '{API}' }}\n{users}"
        ))
    };
    check(&mut usual(""), &google_id_token(&json!({})), Err(Code::TokenIsGoogleIdToken));
    check(&mut usual(""), &session_cookie(&json!({})), Err(Code::TokenIsSessionCookie));
    check(&mut usual(""), &exchanged_token(EXCHANGED, &json!({})), Err(Code::TokenIsFiregatesOwn));
    let mut only = usual("users: { accept: [exchanged_token] }\n");
    check(&mut only, &exchanged_token(EXCHANGED, &json!({})), Ok(()));
    check(&mut only, &id_token(&json!({})), Err(Code::TokenIssuerUnknown));
}

#[test]
fn an_exchanged_token_is_for_one_backend_short_and_of_its_own_type() {
    let mut parts = door("allAuthenticatedUsers");
    let mut check = |typ: &str, changes: Value, expected: Result<(), Code>| {
        let verdict = parts.at_once(&Request::bearing(&exchanged_token(typ, &changes)));
        assert_eq!(verdict.code(), expected, "{typ} {changes}: {:?}", verdict.outcome);
    };
    check(EXCHANGED, json!({}), Ok(()));
    for typ in
        ["firegate-assertion+jwt", "JWT", "", "Firegate-Exchanged+JWT", "application/firegate-exchanged+jwt"]
    {
        check(typ, json!({}), Err(Code::TokenIsFiregatesOwn));
    }
    for audience in ["https://other.example.com", "https://api.example.com/", "demo-project", CALLED] {
        check(EXCHANGED, json!({"aud": audience}), Err(Code::TokenWrongAudience));
    }
    for issuer in ["https://door.example.com/", "https://evil.example.com", "urn:firegate:demo-project"] {
        check(EXCHANGED, json!({"iss": issuer}), Err(Code::TokenIssuerUnknown));
    }
    let invalid = Err(Code::TokenClaimInvalid);
    check(EXCHANGED, json!({"aud": [API]}), invalid);
    check(EXCHANGED, json!({"exp": NOW - 60 + 301}), invalid);
    check(EXCHANGED, json!({"auth_time": null}), invalid);
    check(EXCHANGED, json!({"auth_time": NOW - 59}), invalid);
    check(EXCHANGED, json!({"firebase": null}), invalid);
    check(EXCHANGED, json!({"exp": NOW}), Err(Code::TokenExpired));
    // Who is not accepted with a token of Firebase's is not with this one.
    let anonymous = json!({"firebase": {"sign_in_provider": "anonymous"}});
    check(EXCHANGED, anonymous, Err(Code::AnonymousUserNotAccepted));
    let of_tenant = json!({"firebase": {"sign_in_provider": "password", "tenant": "blue"}});
    check(EXCHANGED, of_tenant, Err(Code::TenantNotAccepted));
}

#[test]
fn an_exchanged_token_tells_of_the_user_what_theirs_did() {
    let pool = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";
    let members = format!(
        "'principalSet://{pool}/attribute.role/editor', 'principalSet://{pool}/attribute.tenant/blue'"
    );
    let mut parts = Parts::new(&format!("allow: [{members}]"), "tenants: [blue]");
    for changes in [
        json!({"role": "editor", "name": "Ada"}),
        json!({"firebase": {"sign_in_provider": "password", "tenant": "blue", "identities": {"email": ["a"]}}}),
    ] {
        let own =
            parts.exchange(&Request::new(), &id_token(&changes), |need, _| panic!("{need:?} is needed"));
        let own = own.permit();
        let own = own.user().expect("a user");
        let claims = exchanged_token_claims(own, DOOR, API, UnixTime::from_seconds(NOW));
        assert_eq!(claims["exp"], json!(NOW + 300));
        let token = OWN.sign(EXCHANGED, &claims, &SystemRandom::new()).expect("a token");
        let again = parts.at_once(&Request::bearing(&token)).permit();
        let again = again.user().expect("a user");
        assert_eq!((&again.uid, &again.tenant, &again.email), (&own.uid, &own.tenant, &own.email));
        assert_eq!((again.email_verified, again.auth_time), (own.email_verified, own.auth_time));
        assert_eq!(again.claims, own.claims);
        assert_eq!(again.sign_in_provider, own.sign_in_provider);
    }
}

#[test]
fn an_exchanged_token_never_outlives_the_subject_token() {
    let mut parts = door("allAuthenticatedUsers");
    let verdict = parts.exchange(&Request::new(), &id_token(&json!({"exp": NOW + 100})), |_, _| panic!());
    let permit = verdict.permit();
    let claims =
        exchanged_token_claims(permit.user().expect("a user"), DOOR, API, UnixTime::from_seconds(NOW));
    assert_eq!(claims["exp"], json!(NOW + 100));
}

#[test]
fn only_a_users_firebase_token_is_exchanged_and_only_for_who_may_call() {
    let check = |members: &str, token: &str, expected: Result<(), Code>| {
        let verdict = door(members).exchange(&Request::new(), token, |need, _| panic!("{need:?} is needed"));
        assert_eq!(verdict.code(), expected);
    };
    let everyone = "allAuthenticatedUsers";
    check(everyone, &id_token(&json!({})), Ok(()));
    check(everyone, &session_cookie(&json!({})), Ok(()));
    check(everyone, &exchanged_token(EXCHANGED, &json!({})), Err(Code::TokenIsFiregatesOwn));
    check(&format!("'{ROBOT}'"), &google_id_token(&json!({})), Err(Code::TokenIsGoogleIdToken));
    check("'user:eve@example.com'", &id_token(&json!({})), Err(Code::NoInvokerBinding));
    check(everyone, &id_token(&json!({"exp": NOW})), Err(Code::TokenExpired));
    // On an open backend too, what is exchanged has to be somebody's.
    check("allUsers", "webhook-secret", Err(Code::TokenMalformed));
    check("allUsers", &google_id_token(&json!({})), Err(Code::TokenIsGoogleIdToken));
    check("allUsers", &id_token(&json!({})), Ok(()));
}

/// A subject token stands in the form alone: what else the request carries names nobody, and hurts nobody.
#[test]
fn an_exchange_reads_no_token_from_the_request() {
    let everywhere =
        "allow: [allAuthenticatedUsers], token_sources: [authorization, cookie, query, websocket_protocol]";
    let mut parts = Parts::new(everywhere, "anonymous: deny");
    let eve = id_token(&json!({"sub": "eve"}));
    let request = Request::bearing(&eve).header("cookie", &format!("__session={eve}"));
    let permit = parts.exchange(&request, &id_token(&json!({})), |_, _| panic!()).permit();
    assert_eq!(permit.user().map(|user| user.uid.as_str()), Some("ada"));
    assert_eq!(permit.token_source(), None);
    let verdict = parts.exchange(&request, "", |_, _| panic!());
    assert_eq!(verdict.code(), Err(Code::TokenMalformed));
}

#[test]
fn a_federating_backend_takes_firebases_tokens_alone() {
    let provider =
        "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/providers/firebase";
    let mut parts = Parts::new(
        &format!(
            "allow: [allAuthenticatedUsers, '{ROBOT}'], credential: federate_user, workload_identity_provider: '{provider}', \
             service_account: caller@demo-project.iam.gserviceaccount.com"
        ),
        "anonymous: deny",
    );
    check(&mut parts, &id_token(&json!({})), Ok(()));
    check(&mut parts, &google_id_token(&json!({})), Err(Code::TokenIsGoogleIdToken));
    check(&mut parts, &exchanged_token(EXCHANGED, &json!({})), Err(Code::TokenIsFiregatesOwn));
    // Google, which would take the subject token, knows no session cookies; Firegate's own exchange does.
    for (requested, expected) in
        [(RequestedToken::Firegate, Ok(())), (RequestedToken::GoogleIdToken, Err(Code::TokenIsSessionCookie))]
    {
        let asked = ExchangeRequest {
            subject_token: session_cookie(&json!({})),
            subject_is_id_token: false,
            audience: API.to_owned(),
            requested,
        };
        let verdict = parts.exchange_of(&Request::new(), &asked, |need, _| panic!("{need:?}"));
        assert_eq!(verdict.code(), expected, "{requested:?}");
    }
}

/// What of a request with a token at `place` goes no further.
fn check_removal(user_token: &str, place: &str, with_cookie: bool, expected: TokenRemoval) {
    let mut parts = Parts::new(
        &format!(
            "allow: [allAuthenticatedUsers], user_token: {user_token}, \
             token_sources: [authorization, cookie, query, websocket_protocol]"
        ),
        "anonymous: deny",
    );
    let token = id_token(&json!({}));
    let mut request = match place {
        "authorization" => Request::bearing(&token),
        "cookie" => Request::new().header("cookie", &format!("__session={token}; theme=dark")),
        "query" => {
            Request::new().header("accept", "text/event-stream").query(&format!("access_token={token}"))
        }
        _ => Request::new().web_socket().header("sec-websocket-protocol", &format!("access_token, {token}")),
    };
    if with_cookie {
        // It may be anybody's: it is not even looked into.
        request = request.header("cookie", "__session=stale; theme=dark");
    }
    let permit = parts.at_once(&request).permit();
    assert_eq!(permit.removal(), expected, "{user_token} {place} {with_cookie}");
    assert_eq!(permit.user().map(|user| user.uid.as_str()), Some("ada"));
    assert_eq!(permit.drops_token(), user_token == "drop");
}

#[test]
fn a_token_that_is_dropped_goes_from_where_it_was_read_and_the_cookie_that_lost_in_any_case() {
    let none = TokenRemoval::default();
    let dropped = [
        ("authorization", TokenRemoval { authorization: true, ..none }),
        ("query", TokenRemoval { query: true, ..none }),
        ("websocket_protocol", TokenRemoval { websocket_protocol: true, ..none }),
    ];
    for (place, removal) in dropped {
        check_removal("drop", place, false, removal);
        check_removal("drop", place, true, TokenRemoval { cookie: true, ..removal });
        check_removal("forward", place, false, none);
        check_removal("forward", place, true, TokenRemoval { cookie: true, ..none });
    }
    check_removal("drop", "cookie", false, TokenRemoval { cookie: true, ..none });
    check_removal("forward", "cookie", false, none);
}

#[test]
fn two_tokens_on_purpose_are_none_whatever_they_say() {
    let sources = "token_sources: [authorization, query]";
    let mut parts = Parts::new(&format!("allow: [allUsers], {sources}"), "anonymous: deny");
    let token = id_token(&json!({}));
    let both = Request::bearing(&token)
        .header("accept", "text/event-stream")
        .query(&format!("access_token={token}"));
    assert_eq!(parts.at_once(&both).code(), Err(Code::CredentialAmbiguous));
}

#[test]
fn on_an_open_backend_a_foreign_credential_passes_untouched_and_a_bad_firebase_token_does_not() {
    let mut parts = door("allUsers");
    for foreign in ["webhook-secret", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let permit = parts.at_once(&Request::bearing(foreign)).permit();
        assert!(permit.principal().is_none(), "{foreign}");
        assert_eq!((permit.removal(), permit.drops_token()), (TokenRemoval::default(), false), "{foreign}");
    }
    check(&mut parts, &id_token(&json!({"exp": NOW})), Err(Code::TokenExpired));
    check(&mut parts, &id_token(&json!({"aud": "other"})), Err(Code::TokenWrongProject));
    check(&mut parts, &google_id_token(&json!({"aud": "other"})), Err(Code::TokenWrongAudience));
    check(&mut parts, &exchanged_token("firegate-assertion+jwt", &json!({})), Err(Code::TokenIsFiregatesOwn));
}

#[test]
fn a_cookie_opens_nothing_for_another_site() {
    let accept = "allow: [allAuthenticatedUsers], token_sources: [authorization, cookie]";
    let mut parts = Parts::new(accept, "anonymous: deny");
    let request = |method: Method, token: &str| Request {
        method,
        ..Request::new().header("cookie", &format!("__session={token}"))
    };
    let cookie = session_cookie(&json!({}));
    let evil = |request: Request| request.header("origin", "https://evil.example.com");
    let own = |request: Request| request.header("origin", DOOR);
    let mut check = |request: Request, expected: Result<(), Code>| {
        assert_eq!(parts.at_once(&request).code(), expected, "{request:?}");
    };
    let foreign = Err(Code::CookieOriginNotAllowed);
    check(evil(request(Method::GET, &cookie)), Ok(()));
    check(evil(request(Method::GET, &cookie)).web_socket(), foreign);
    check(evil(request(Method::POST, &cookie)), foreign);
    check(request(Method::POST, &cookie), foreign);
    check(own(request(Method::POST, &cookie)), Ok(()));
    check(own(request(Method::GET, &cookie)).web_socket(), Ok(()));
    // A token that a page put there itself is no cookie.
    let bearer = Request { method: Method::POST, ..Request::bearing(&id_token(&json!({}))) };
    check(evil(bearer), Ok(()));
    // Only what Firebase issues to users: a cookie is sent by itself.
    check(request(Method::GET, &google_id_token(&json!({}))), Err(Code::TokenIsGoogleIdToken));
    check(request(Method::GET, &exchanged_token(EXCHANGED, &json!({}))), Err(Code::TokenIsFiregatesOwn));
}

#[test]
fn a_google_account_is_told_of_in_each_preset_and_never_as_a_user() {
    let token = google_id_token(&json!({}));
    let payload = token.split('.').nth(1).expect("a payload");
    let check = |preset: &str, expected: &[(&str, &str)]| {
        let settings = format!("allow: ['{ROBOT}'], identity_headers: {preset}");
        let permit = Parts::new(&settings, "anonymous: deny").at_once(&Request::bearing(&token)).permit();
        assert!(permit.user().is_none());
        let headers = plain_headers(&permit);
        let found = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{preset}");
        permit
    };
    check("none", &[]);
    check("apigateway", &[("x-apigateway-api-userinfo", payload), ("x-endpoint-api-userinfo", payload)]);
    let now = UnixTime::from_seconds(NOW);
    let permit = check("firegate", &[("x-firegate-caller", ROBOT)]);
    let principal = permit.principal().expect("a caller");
    assert_eq!(
        AssertionForm::Firegate.claims(principal, DOOR, API, now),
        json!({"iss": DOOR, "aud": API, "caller": ROBOT, "iat": NOW, "exp": NOW + 300})
    );
    let permit = check(
        "iap",
        &[
            ("x-goog-authenticated-user-id", "accounts.google.com:1122334455"),
            (
                "x-goog-authenticated-user-email",
                "accounts.google.com:robot@demo-project.iam.gserviceaccount.com",
            ),
        ],
    );
    assert_eq!(
        AssertionForm::IdentityAwareProxy.claims(permit.principal().expect("a caller"), DOOR, API, now),
        json!({
            "iss": "https://cloud.google.com/iap", "aud": API, "sub": "accounts.google.com:1122334455",
            "email": "robot@demo-project.iam.gserviceaccount.com", "identity_source": "GOOGLE", "iat": NOW, "exp": NOW + 300,
        })
    );
}

#[test]
fn a_stream_lasts_as_long_as_its_caller_may() {
    let check = |until: &str, token: &str, expected: (Option<i64>, bool)| {
        let settings = format!("allow: [allAuthenticatedUsers, '{ROBOT}'], streams: {{ until: {until} }}");
        let mut parts = Parts::new(&settings, "revocation: { check: required, on_failure: allow }");
        let verdict =
            parts.decide(&Request::bearing(token), |_, _| firegate_core::decision::Answer::Unavailable);
        let permit = verdict.permit();
        let lease = permit.lease();
        assert_eq!((lease.until.map(UnixTime::as_seconds), lease.revocable.is_some()), expected, "{until}");
    };
    let (user, robot) = (id_token(&json!({})), google_id_token(&json!({})));
    check("never", &user, (None, false));
    check("token_expiry", &user, (Some(NOW + 3540), false));
    check("revocation", &user, (Some(NOW + 3540), true));
    check("revocation", &robot, (Some(NOW + 3540), false));
}
