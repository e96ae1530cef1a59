//! The whole decision, from a configuration file and a request to its outcome.

use std::sync::{Arc, LazyLock};

use firegate_core::assertion::{AssertionForm, plain_headers};
use firegate_core::decision::{Answer, Decision, Need, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KeyRing, KeyState, NoKnownAccounts, TokenKind};
use firegate_core::jose::{KeySet, RsaSigner};
use firegate_core::limiter::NoCounters;
use firegate_core::limits::CLIENT_TEXT_SHOWN_BYTES_MAX;
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Denial};
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;

static SIGNER: LazyLock<RsaSigner> = LazyLock::new(|| RsaSigner::generate().expect("a key"));

pub(crate) fn snapshot(text: &str) -> Snapshot {
    Snapshot::compile(&firegate_files::configuration::parse("firegate.yaml", text).expect("a configuration"))
}

pub(crate) fn allowing(members: &str) -> Snapshot {
    snapshot(&format!(
        "project: demo-project\nproject_number: '42'\nbackends: {{ api: https://api.example.com }}\nallow: [{members}]\n\
         users: {{ tenants: any, anonymous: allow }}\n"
    ))
}

fn ring() -> KeyRing {
    let document = json!({"keys": [SIGNER.public_jwk()]}).to_string();
    let keys = Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set"));
    KeyRing { id_token: KeyState::Usable(keys), ..KeyRing::default() }
}

pub(crate) fn token(changes: Value) -> String {
    let mut payload = json!({
        "iss": "https://securetoken.google.com/demo-project", "aud": "demo-project", "sub": "ada", "auth_time": NOW - 60,
        "iat": NOW - 60, "exp": NOW + 3540, "email": "ada@example.com", "email_verified": true,
        "firebase": {"sign_in_provider": "password"},
    });
    for (name, value) in changes.as_object().expect("an object") {
        payload[name] = value.clone();
    }
    SIGNER.sign(&payload).expect("a token")
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.parse().expect("a value"))
    };
    pairs.iter().map(pair).collect()
}

fn world<'a>(snapshot: &'a Snapshot, keys: &'a KeyRing) -> World<'a> {
    World {
        snapshot,
        keys,
        accounts: &NoKnownAccounts,
        counters: &NoCounters,
        now: UnixTime::from_seconds(NOW),
    }
}

pub(crate) fn outcome(snapshot: &Snapshot, method: Method, path: &str, pairs: &[(&str, &str)]) -> Outcome {
    let headers = headers(pairs);
    let facts = RequestFacts::of(&method, NormalPath::parse(path).expect("a path"), &headers);
    let keys = ring();
    match Decision::start(&facts, &world(snapshot, &keys)) {
        Step::Done(outcome) => outcome,
        Step::Need(need, _) => panic!("{need:?} is needed"),
    }
}

fn code(outcome: &Outcome) -> Result<(), Code> {
    match outcome {
        Outcome::Permit(_) | Outcome::Respond(_) => Ok(()),
        Outcome::Observed(observed) => panic!("it is only observed: {:?}", observed.refusal()),
        Outcome::Denial(denial) => Err(denial.reason.code()),
        Outcome::Fault(fault) => Err(fault.code),
    }
}

fn check_member(members: &str, changes: Value, expected: Result<(), Code>) {
    let bearer = format!("Bearer {}", token(changes.clone()));
    let found = outcome(&allowing(members), Method::GET, "/", &[("authorization", &bearer)]);
    assert_eq!(code(&found), expected, "{members} {changes}");
}

const POOL: &str = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";

#[test]
fn members_match_the_user_they_name() {
    let denied = Err(Code::NoInvokerBinding);
    check_member("allAuthenticatedUsers", json!({}), Ok(()));
    check_member("'user:ADA@example.com'", json!({}), Ok(()));
    check_member("'user:ada@example.com'", json!({"email_verified": false}), denied);
    check_member("'user:eve@example.com'", json!({}), denied);
    check_member("'domain:example.com'", json!({}), Ok(()));
    check_member("'domain:good.com'", json!({"email": "a@evil@good.com"}), denied);
    check_member("'domain:good.com'", json!({"email": "a@evil.good.com"}), denied);
    check_member("'serviceAccount:ada@example.com'", json!({}), denied);
    check_member(&format!("'principal://{POOL}/subject/ada'"), json!({}), Ok(()));
    check_member(&format!("'principal://{POOL}/subject/eve'"), json!({}), denied);
    check_member(&format!("'principal://{}/subject/ada'", POOL.replace("42", "43")), json!({}), denied);
    check_member(
        &format!("'principalSet://{POOL}/attribute.role/editor'"),
        json!({"role": "editor"}),
        Ok(()),
    );
    check_member(
        &format!("'principalSet://{POOL}/attribute.role/editor'"),
        json!({"role": ["viewer", "editor"]}),
        Ok(()),
    );
    check_member(
        &format!("'principalSet://{POOL}/attribute.role/editor'"),
        json!({"role": {"editor": true}}),
        denied,
    );
    check_member(&format!("'principalSet://{POOL}/attribute.admin/true'"), json!({"admin": true}), Ok(()));
    // Users write their name and picture themselves.
    check_member(&format!("'principalSet://{POOL}/attribute.name/root'"), json!({"name": "root"}), denied);
    check_member(&format!("'principalSet://{POOL}/attribute.picture/x'"), json!({"picture": "x"}), denied);
    check_member(&format!("'principalSet://{POOL}/attribute.provider/password'"), json!({}), Ok(()));
}

#[test]
fn a_tenants_users_match_only_members_that_name_the_tenant() {
    let of_tenant = json!({"role": "editor", "firebase": {"sign_in_provider": "password", "tenant": "blue"}});
    let denied = Err(Code::NoInvokerBinding);
    check_member("allAuthenticatedUsers", of_tenant.clone(), Ok(()));
    check_member(&format!("'principalSet://{POOL}/attribute.tenant/blue'"), of_tenant.clone(), Ok(()));
    check_member(&format!("'principalSet://{POOL}/attribute.tenant/red'"), of_tenant.clone(), denied);
    check_member(&format!("'principalSet://{POOL}/attribute.role/editor'"), of_tenant.clone(), denied);
    check_member(&format!("'principal://{POOL}/subject/ada'"), of_tenant.clone(), denied);
    check_member("'user:ada@example.com'", of_tenant.clone(), denied);
    check_member("'domain:example.com'", of_tenant, denied);
}

#[test]
fn without_a_token_only_all_users_pass() {
    let check = |members, pairs: &[(&str, &str)], expected| {
        assert_eq!(
            code(&outcome(&allowing(members), Method::GET, "/", pairs)),
            expected,
            "{members} {pairs:?}"
        );
    };
    check("allAuthenticatedUsers", &[], Err(Code::TokenMissing));
    check("allAuthenticatedUsers", &[("authorization", "Basic YTpi")], Err(Code::TokenMissing));
    check("allAuthenticatedUsers", &[("authorization", "Bearer webhook-secret")], Err(Code::TokenMalformed));
    check("allUsers", &[], Ok(()));
    check("allUsers", &[("authorization", "Basic YTpi")], Ok(()));
    check("allUsers", &[("authorization", "Bearer webhook-secret")], Ok(()));
    let expired =
        format!("Bearer {}", token(json!({"iat": NOW - 7200, "auth_time": NOW - 7200, "exp": NOW - 3600})));
    check("allUsers", &[("authorization", &expired)], Err(Code::TokenExpired));
}

/// What the operator is told of a refused request: code, evidence and hint.
pub(crate) fn told(snapshot: &Snapshot, method: Method, pairs: &[(&str, &str)]) -> (Code, String, String) {
    match outcome(snapshot, method, "/", pairs) {
        Outcome::Denial(Denial { reason, .. }) => {
            (reason.code(), reason.to_string(), reason.hint().into_owned())
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_preflight_that_nothing_answers_is_told_as_one() {
    let check = |origin: &str, evidence: &str, hint: &str| {
        let pairs = [("origin", origin), ("access-control-request-method", "GET")];
        let (code, told, advice) = told(&allowing("allAuthenticatedUsers"), Method::OPTIONS, &pairs);
        assert_eq!(code, Code::TokenMissing, "{origin}");
        assert!(told.starts_with(&format!("this is a preflight for a page of {evidence}: ")), "{told}");
        assert!(advice.contains(hint), "{advice}");
    };
    let local = "http://localhost:5173";
    check(local, &format!("{local:?}"), "add `cors: { origins: ['http://localhost:5173'] }`");
    check("null", "\"null\"", "`null` is the origin of local files");
    check("https://a'b", "\"https://a'b\"", "`cors: { origins: [ORIGIN] }`");
    let bound = "a".repeat(CLIENT_TEXT_SHOWN_BYTES_MAX);
    check(&format!("{bound}b"), &format!("\"{bound}…\""), "`cors: { origins: [ORIGIN] }`");
    // Without what makes it one it is a request like every other.
    let (_, evidence, _) = told(&allowing("allAuthenticatedUsers"), Method::OPTIONS, &[("origin", local)]);
    assert_eq!(evidence, "the request carries no ID token");
}

const ROUTED: &str = "
project: demo-project
backends:
  open: { url: 'http://127.0.0.1:9000', credential: none, allow: [allUsers] }
  api: https://api.example.com
  admin: { url: 'https://admin.example.com', allow: ['user:root@example.com'] }
allow: [allAuthenticatedUsers]
routes:
  - { path: /public/*, backend: open }
  - { path: /admin/*, backend: admin }
  - { path: /admin/help, backend: open }
  - { path: /api/*, backend: api }
";

fn check_route(path: &str, expected: Result<&str, Code>) {
    let bearer = format!("Bearer {}", token(json!({"email": "root@example.com"})));
    let found = outcome(&snapshot(ROUTED), Method::GET, path, &[("authorization", &bearer)]);
    let backend = match &found {
        Outcome::Permit(permit) => Ok(permit.backend().name.as_str()),
        _ => Err(code(&found).expect_err("no permit")),
    };
    assert_eq!(backend, expected, "{path}");
}

#[test]
fn routes_are_matched_on_the_normal_path() {
    check_route("/public/a", Ok("open"));
    check_route("/public/", Ok("open"));
    check_route("/public", Err(Code::RouteNotFound));
    check_route("/admin/help", Ok("open"));
    check_route("/admin/help/", Ok("admin"));
    check_route("/public/../admin/users", Ok("admin"));
    check_route("/public/%2e%2e/admin/users", Ok("admin"));
    check_route("/%61dmin/users", Ok("admin"));
    check_route("//admin//users", Ok("admin"));
    check_route("/elsewhere", Err(Code::RouteNotFound));
}

#[test]
fn keys_are_asked_for_once_and_their_absence_never_allows() {
    let snapshot = allowing("allAuthenticatedUsers");
    let headers = headers(&[("authorization", &format!("Bearer {}", token(json!({}))))]);
    let facts = RequestFacts::of(&Method::GET, NormalPath::parse("/").expect("a path"), &headers);
    let (none, some) = (KeyRing::default(), ring());
    let world = |keys| world(&snapshot, keys);
    let ask = |keys| match Decision::start(&facts, &world(keys)) {
        Step::Need(need, decision) => (need, decision),
        Step::Done(outcome) => panic!("{outcome:?}"),
    };
    let finish = |step| match step {
        Step::Done(outcome) => code(&outcome),
        Step::Need(need, _) => panic!("{need:?} is needed again"),
    };
    let (need, decision) = ask(&none);
    assert_eq!(need, Need::KeyRefresh { kind: TokenKind::IdToken, unknown_key_id: None });
    assert_eq!(finish(decision.resume(Answer::Keys, &world(&some))), Ok(()));
    assert_eq!(finish(ask(&none).1.resume(Answer::Unavailable, &world(&none))), Err(Code::KeysUnavailable));
    assert_eq!(finish(ask(&none).1.resume(Answer::Keys, &world(&none))), Err(Code::KeysUnavailable));
    assert_eq!(finish(ask(&none).1.resume(Answer::Account(None), &world(&some))), Err(Code::Internal));

    let stranger = RsaSigner::generate().expect("a key");
    let other = json!({"keys": [stranger.public_jwk()]}).to_string();
    let other = KeyState::Usable(Arc::new(KeySet::parse_rs256(other.as_bytes()).expect("keys")));
    let other = KeyRing { id_token: other, ..KeyRing::default() };
    let (need, decision) = ask(&other);
    assert!(matches!(need, Need::KeyRefresh { unknown_key_id: Some(_), .. }));
    assert_eq!(finish(decision.resume(Answer::Keys, &world(&other))), Err(Code::TokenKeyUnknown));
    assert_eq!(finish(ask(&other).1.resume(Answer::Unavailable, &world(&other))), Err(Code::KeysUnavailable));
}

#[test]
fn a_token_of_an_identity_server_that_has_lost_its_keys_is_told_as_one() {
    let check = |google: &str, expected: &str| {
        let file = format!(
            "project: demo-project\nallow: [allUsers]\nbackends: {{ api: https://api.example.com }}\n{google}"
        );
        let stranger = RsaSigner::generate().expect("a key");
        let keys = json!({"keys": [stranger.public_jwk()]}).to_string();
        let keys = KeyState::Usable(Arc::new(KeySet::parse_rs256(keys.as_bytes()).expect("keys")));
        let (snapshot, ring) = (snapshot(&file), KeyRing { id_token: keys, ..KeyRing::default() });
        let bearer = format!("Bearer {}", token(json!({})));
        let headers = headers(&[("authorization", &bearer)]);
        let facts = RequestFacts::of(&Method::GET, NormalPath::parse("/").expect("a path"), &headers);
        let Step::Need(_, decision) = Decision::start(&facts, &world(&snapshot, &ring)) else {
            panic!("the key is not asked for");
        };
        let Step::Done(Outcome::Denial(Denial { reason, .. })) =
            decision.resume(Answer::Keys, &world(&snapshot, &ring))
        else {
            panic!("the token is not refused");
        };
        assert_eq!(reason.code(), Code::TokenKeyUnknown);
        assert!(reason.hint().contains(expected), "{}", reason.hint());
    };
    check("", "the token is not from Firebase");
    check("google: { id_token_keys: 'http://127.0.0.1:9099/keys' }\n", "`firegate dev` has after each start");
}

#[test]
fn a_preflight_is_answered_after_the_route_and_before_the_token() {
    let snapshot = snapshot(&format!("{ROUTED}\ncors: {{ origins: ['https://app.example.com'] }}\n"));
    let preflight = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    let check = |path, pairs: &[(&str, &str)], expected| {
        assert_eq!(code(&outcome(&snapshot, Method::OPTIONS, path, pairs)), expected, "{path} {pairs:?}");
    };
    check("/api/x", &preflight, Ok(()));
    check("/elsewhere", &preflight, Err(Code::RouteNotFound));
    check("/api/x", &preflight[..1], Err(Code::TokenMissing));
    check("/api/x", &[("origin", "https://evil.example"), preflight[1]], Err(Code::CorsOriginNotAllowed));
}

fn permit(settings: &str, changes: Value) -> Box<Permit> {
    let snapshot = snapshot(&format!(
        "project: demo-project\nallow: [allAuthenticatedUsers]\nusers: {{ tenants: any }}\n\
         backends: {{ api: {{ url: 'https://api.example.com', {settings} }} }}\n"
    ));
    let bearer = format!("Bearer {}", token(changes));
    match outcome(&snapshot, Method::GET, "/", &[("authorization", &bearer)]) {
        Outcome::Permit(permit) => permit,
        outcome => panic!("{outcome:?}"),
    }
}

fn check_headers(settings: &str, changes: Value, expected: &[(&str, &str)]) {
    let permit = permit(settings, changes);
    let found = plain_headers(&permit);
    let found =
        found.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect::<Vec<_>>();
    assert_eq!(found, expected, "{settings}");
}

#[test]
fn presets_speak_as_the_gateways_do() {
    check_headers(
        "identity_headers: firegate",
        json!({}),
        &[("x-firegate-user-id", "ada"), ("x-firegate-user-email", "ada@example.com")],
    );
    check_headers(
        "identity_headers: firegate",
        json!({"email_verified": false}),
        &[("x-firegate-user-id", "ada")],
    );
    check_headers(
        "identity_headers: firegate",
        json!({"sub": "é %41"}),
        &[("x-firegate-user-id", "%C3%A9%20%2541"), ("x-firegate-user-email", "ada@example.com")],
    );
    // Without their tenant a tenant's user would read as the project's user with that id and address.
    check_headers(
        "identity_headers: firegate",
        json!({"firebase": {"sign_in_provider": "password", "tenant": "blue"}}),
        &[
            ("x-firegate-user-id", "ada"),
            ("x-firegate-user-email", "ada@example.com"),
            ("x-firegate-user-tenant", "blue"),
        ],
    );
    check_headers("identity_headers: none", json!({}), &[]);
    check_headers(
        "identity_headers: iap",
        json!({}),
        &[
            ("x-goog-authenticated-user-id", "securetoken.google.com/demo-project:ada"),
            ("x-goog-authenticated-user-email", "securetoken.google.com/demo-project:ada@example.com"),
        ],
    );
    let token = token(json!({}));
    let payload = token.split('.').nth(1).expect("a payload");
    check_headers(
        "identity_headers: apigateway",
        json!({}),
        &[("x-apigateway-api-userinfo", payload), ("x-endpoint-api-userinfo", payload)],
    );
}

#[test]
fn the_assertion_is_short_nests_custom_claims_and_never_outlives_the_token() {
    let claims = |changes: Value, now: i64| {
        let permit = permit("identity_headers: firegate", changes);
        let user = permit.principal().expect("a user");
        AssertionForm::Firegate.claims(
            user,
            "https://door.example",
            "https://api.example.com",
            UnixTime::from_seconds(now),
        )
    };
    let changes = json!({"role": "editor", "firebase": {"sign_in_provider": "password", "tenant": "blue"}});
    assert_eq!(
        claims(changes, NOW),
        json!({
            "iss": "https://door.example", "aud": "https://api.example.com", "sub": "ada", "tenant": "blue",
            "email": "ada@example.com", "email_verified": true, "sign_in_provider": "password",
            "claims": {"role": "editor"}, "iat": NOW, "exp": NOW + 300,
        })
    );
    assert_eq!(claims(json!({}), NOW + 3500)["exp"], json!(NOW + 3540));
}

#[test]
fn the_users_token_goes_on_only_where_it_is_forwarded() {
    assert!(permit("user_token: drop", json!({})).removal().authorization);
    assert!(!permit("user_token: forward", json!({})).removal().authorization);
    assert_eq!(
        permit("streams: { until: token_expiry }", json!({})).lease().until,
        Some(UnixTime::from_seconds(NOW + 3540))
    );
    assert_eq!(permit("streams: { until: never }", json!({})).lease().until, None);
}
