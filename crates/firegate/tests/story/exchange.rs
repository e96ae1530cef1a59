//! The token exchange: a user's token in, a short-lived one for a single backend out, as a client with `curl` would see it.

use firegate::dev::PROJECT_NUMBER;
use firegate_core::jose::{CompactJws, KeySet};
use firegate_proxy::FrontDoor;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use crate::gate::{Site, key_file, mirror, stack_with_file};
use crate::stack::{Answer, Call, at, text};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ISSUER: &str = "https://door.example.com";
const ENDPOINT: &str = "/.well-known/firegate/token";
const KEYS: &str = "/.well-known/firegate/jwks.json";

/// Sends a form to the token endpoint at `url`.
async fn post(url: &Url, form: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = Call::new(Method::POST, url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await;
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{:?}", answer.body);
    answer
}

fn form<'a>(subject_token: &'a str, audience: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", GRANT),
        ("subject_token", subject_token),
        ("subject_token_type", ID_TOKEN),
        ("audience", audience),
    ]
}

async fn exchange(door: &FrontDoor, subject_token: &str, audience: &str) -> Answer {
    post(&at(door, ENDPOINT), &form(subject_token, audience)).await
}

/// That no token was given, why, and for which of the stable reasons.
fn expect_error(answer: &Answer, status: u16, error: &str, reason: Option<&str>) {
    let body = answer.json();
    let found = (answer.status.as_u16(), body["error"].as_str(), body["firegate_reason"].as_str());
    assert_eq!(found, (status, Some(error), reason), "{body}");
    assert_eq!(body["access_token"], Value::Null);
    assert_eq!(answer.header("retry-after").is_some(), status == 503, "{body}");
}

/// The claims of a token that the key set of a door verifies.
async fn verified(keys: &Url, token: &str) -> Map<String, Value> {
    let keys = KeySet::parse_es256(&Call::get(keys).send().await.body).expect("a key set");
    let token = CompactJws::parse(token).expect("a token");
    assert_eq!(token.header_text("typ"), Some("firegate-exchanged+jwt"));
    let key = token.header_text("kid").and_then(|key_id| keys.find(key_id)).expect("its key");
    assert!(key.verifies(&token));
    token.into_payload()
}

/// Two doors before the same services: one exchanges tokens, the other takes what it gave. Both look users up.
struct Pair {
    site: Site,
    outer: FrontDoor,
    inner: FrontDoor,
    orders: String,
    reports: String,
}

impl Pair {
    async fn open() -> Self {
        let site = Site::open().await;
        let folder = tempfile::tempdir().expect("a folder");
        let key = key_file(folder.path()).display().to_string();
        let (orders, reports) = (mirror().await, mirror().await);
        let configuration = |users: &str, exchange: &str| {
            format!(
                "backends:\n  orders: {{ url: '{orders}', credential: none, allow: [allAuthenticatedUsers] }}\n  \
                 reports: {{ url: '{reports}', credential: none, allow: ['user:root@example.com', 'user:eve@example.com'] }}\n\
                 routes: [{{ path: /orders, backend: orders }}, {{ path: /reports, backend: reports }}]\n\
                 assertion: {{ issuer: '{ISSUER}', key: '{key}' }}\ncors: {{ origins: ['https://app.example.com'] }}\n\
                 users: {{ {users}, revocation: {{ check: required, max_staleness: 60s }} }}\n{exchange}"
            )
        };
        let outer = site
            .door(&configuration("accept: [id_token, session_cookie]", "exchange: { enabled: true }"))
            .await;
        let inner = site.door(&configuration("accept: [exchanged_token]", "")).await;
        Self { site, outer, inner, orders, reports }
    }

    async fn close(self) {
        self.site.close([self.outer, self.inner]).await;
    }
}

async fn send(door: &FrontDoor, path: &str, token: &str) -> Answer {
    Call::get(&at(door, path)).bearer(token).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_is_exchanged_for_one_that_opens_one_backend() {
    let pair = Pair::open().await;
    let session = pair.site.stack.sign_in().await;
    let (token, uid) = (text(&session["idToken"]), &session["localId"]);
    let answer = exchange(&pair.outer, &token, &pair.orders).await;
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = answer.ok();
    assert_eq!((&answer["token_type"], &answer["issued_token_type"]), (&json!("Bearer"), &json!(JWT)));
    assert_eq!((&answer["expires_in"], &answer["refresh_token"]), (&json!(300), &Value::Null));
    let exchanged = text(&answer["access_token"]);
    let claims = verified(&at(&pair.outer, KEYS), &exchanged).await;
    assert_eq!((&claims["iss"], &claims["aud"], &claims["sub"]), (&json!(ISSUER), &json!(pair.orders), uid));
    let lifetime = claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert_eq!(lifetime, Some(300));

    // Where it is accepted, for the backend that it is for, it is the user.
    let headers = send(&pair.inner, "/orders", &exchanged).await.ok()["headers"].clone();
    assert_eq!((&headers["x-firegate-user-id"], &headers["authorization"]), (uid, &Value::Null));
    assert_eq!(headers["x-firegate-user-email"], json!("ada@example.com"));
    send(&pair.inner, "/reports", &exchanged).await.expect_refusal(401, "TOKEN_WRONG_AUDIENCE", "NONE");
    send(&pair.outer, "/orders", &exchanged).await.expect_refusal(401, "TOKEN_IS_FIREGATES_OWN", "SIGN_IN");
    // The assertion has the same issuer and key, and opens nothing; nor does what Firebase gave the user.
    let assertion = text(&headers["x-firegate-assertion"]);
    send(&pair.inner, "/orders", &assertion).await.expect_refusal(401, "TOKEN_IS_FIREGATES_OWN", "SIGN_IN");
    send(&pair.inner, "/orders", &token).await.expect_refusal(401, "TOKEN_ISSUER_UNKNOWN", "SIGN_IN");
    // What was exchanged is not exchanged again.
    let again = exchange(&pair.outer, &exchanged, &pair.orders).await;
    expect_error(&again, 400, "invalid_request", Some("TOKEN_IS_FIREGATES_OWN"));

    pair.site.stack.clock.advance(301);
    send(&pair.inner, "/orders", &exchanged).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    // It never outlives the token that it was given for.
    pair.site.stack.clock.advance(3600 - 301 - 100);
    let short = exchange(&pair.outer, &token, &pair.orders).await.ok();
    assert!(short["expires_in"].as_i64().is_some_and(|seconds| (1..=100).contains(&seconds)), "{short}");
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cookie_is_exchanged_if_the_client_does_not_call_it_an_id_token() {
    let pair = Pair::open().await;
    let id_token = pair.site.stack.id_token().await;
    let cookie = pair.site.session_cookie(&id_token, 3600).await;
    let endpoint = at(&pair.outer, ENDPOINT);
    let mut form = form(&cookie, &pair.orders);
    expect_error(&post(&endpoint, &form).await, 400, "invalid_request", Some("TOKEN_IS_SESSION_COOKIE"));
    form[2].1 = JWT;
    let exchanged = text(&post(&endpoint, &form).await.ok()["access_token"]);
    assert_eq!(send(&pair.inner, "/orders", &exchanged).await.status, StatusCode::OK);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_a_request_are_the_rules_of_an_exchange() {
    let pair = Pair::open().await;
    let (outer, orders) = (&pair.outer, &pair.orders);
    let token = pair.site.stack.id_token().await;
    let answer = exchange(outer, &token, &pair.reports).await;
    expect_error(&answer, 400, "unauthorized_client", Some("NO_INVOKER_BINDING"));
    expect_error(&exchange(outer, "a.b.c", orders).await, 400, "invalid_request", Some("TOKEN_MALFORMED"));
    for audience in ["https://elsewhere.example.com", "", "orders", &format!("{orders}/")] {
        expect_error(&exchange(outer, &token, audience).await, 400, "invalid_target", None);
    }
    let endpoint = at(outer, ENDPOINT);
    for (extra, error) in [
        (("actor_token", token.as_str()), "invalid_request"),
        (("scope", "openid"), "invalid_scope"),
        (("audience", orders), "invalid_target"),
        (("subject_token", &token), "invalid_request"),
        (("resource", orders), "invalid_target"),
        // Only who federates their users has a Google token to give: never that of the door's own account.
        (("requested_token_type", ID_TOKEN), "invalid_target"),
        (("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"), "invalid_request"),
    ] {
        let mut form = form(&token, orders).to_vec();
        form.push(extra);
        expect_error(&post(&endpoint, &form).await, 400, error, None);
    }
    let mut other = form(&token, orders);
    other[0].1 = "client_credentials";
    expect_error(&post(&endpoint, &other).await, 400, "unsupported_grant_type", None);
    pair.site.stack.clock.advance(3700);
    expect_error(&exchange(outer, &token, orders).await, 400, "invalid_request", Some("TOKEN_EXPIRED"));
    pair.close().await;
}

/// A page of another site makes browsers send cookies, and whoever sees a log sees URLs: neither holds a subject token.
#[tokio::test(flavor = "multi_thread")]
async fn the_subject_token_is_read_from_the_form_alone() {
    let pair = Pair::open().await;
    let token = pair.site.stack.id_token().await;
    let pairs = form(&token, &pair.orders);
    let whole = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let [grant, _, kind, audience] = pairs;
    let without =
        form_urlencoded::Serializer::new(String::new()).extend_pairs([grant, kind, audience]).finish();
    let url = |query: &str| at(&pair.outer, &format!("{ENDPOINT}{query}"));
    let urlencoded = "application/x-www-form-urlencoded";
    let call = |query: &str| Call::new(Method::POST, &url(query)).header("content-type", urlencoded);
    for call in [
        call("").body(without.clone()).bearer(&token),
        call("").body(without.clone()).header("cookie", &format!("__session={token}")),
        call(&format!("?{whole}")).body(without),
        call(&format!("?{whole}")),
        Call::new(Method::POST, &url("")).header("content-type", "application/json").body(whole.clone()),
        Call::new(Method::POST, &url("")).body(whole.clone()),
        call("").body(format!("{whole}&x={}", "x".repeat(64 * 1024))),
    ] {
        let answer = call.send().await;
        expect_error(&answer, 400, "invalid_request", None);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let get = Call::get(&url(&format!("?{whole}"))).send().await;
    assert_eq!((get.status, get.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("POST")));
    assert_eq!(call("").body(whole).send().await.status, StatusCode::OK);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_user_gets_no_token_and_one_that_was_given_ends_within_the_staleness() {
    let pair = Pair::open().await;
    let session = pair.site.new_user("revoked@example.com").await;
    let token = text(&session["idToken"]);
    let exchanged = text(&exchange(&pair.outer, &token, &pair.orders).await.ok()["access_token"]);
    assert_eq!(send(&pair.inner, "/orders", &exchanged).await.status, StatusCode::OK);
    pair.site.stack.clock.advance(10);
    let change = json!({"localId": session["localId"], "validSince": pair.site.stack.now().to_string()});
    pair.site.stack.admin("/accounts:update", change).await;
    pair.site.stack.clock.advance(61);
    let answer = exchange(&pair.outer, &token, &pair.orders).await;
    expect_error(&answer, 400, "invalid_request", Some("TOKEN_REVOKED"));
    assert_eq!(answer.json()["firegate_action"], json!("SIGN_IN"));
    send(&pair.inner, "/orders", &exchanged).await.expect_refusal(401, "TOKEN_REVOKED", "SIGN_IN");
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_as_one() {
    let pair = Pair::open().await;
    let token = pair.site.stack.id_token().await;
    pair.site.lookups.cut();
    let answer = exchange(&pair.outer, &token, &pair.orders).await;
    expect_error(&answer, 503, "temporarily_unavailable", Some("USER_STATUS_UNAVAILABLE"));
    assert_eq!(answer.json()["firegate_action"], json!("RETRY_LATER"));
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_the_endpoint_and_pages_may_use_it_as_configured() {
    let pair = Pair::open().await;
    let metadata = Call::get(&at(&pair.outer, "/.well-known/oauth-authorization-server")).send().await;
    assert_eq!(metadata.header("content-type"), Some("application/json"));
    let metadata = metadata.ok();
    assert_eq!(metadata["issuer"], json!(ISSUER));
    assert_eq!(metadata["token_endpoint"], json!(format!("{ISSUER}{ENDPOINT}")));
    assert_eq!(metadata["jwks_uri"], json!(format!("{ISSUER}{KEYS}")));
    assert_eq!(metadata["grant_types_supported"], json!([GRANT]));

    let endpoint = at(&pair.outer, ENDPOINT);
    let preflight = async |origin: &str| {
        let call = Call::new(Method::OPTIONS, &endpoint).header("origin", origin);
        call.header("access-control-request-method", "POST").send().await
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!(allowed.status, StatusCode::NO_CONTENT);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    preflight("https://evil.example.com").await.expect_refusal(403, "CORS_ORIGIN_NOT_ALLOWED", "NONE");
    let token = pair.site.stack.id_token().await;
    let body =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(form(&token, &pair.orders)).finish();
    let answer = async |origin: &str, body: &str| {
        let call = Call::new(Method::POST, &endpoint).header("origin", origin);
        call.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned()).send().await
    };
    for body in [body.as_str(), "grant_type=x"] {
        let own = answer("https://app.example.com", body).await;
        assert_eq!(own.header("access-control-allow-origin"), Some("https://app.example.com"));
        assert_eq!(
            answer("https://evil.example.com", body).await.header("access-control-allow-origin"),
            None
        );
    }

    // Where nothing is exchanged there is neither.
    Call::new(Method::POST, &at(&pair.inner, ENDPOINT)).send().await.expect_refusal(
        404,
        "ROUTE_NOT_FOUND",
        "NONE",
    );
    let none = Call::get(&at(&pair.inner, "/.well-known/oauth-authorization-server")).send().await;
    none.expect_refusal(404, "ROUTE_NOT_FOUND", "NONE");
    pair.close().await;
}

/// `firegate dev` with a configuration for production: the user's own token is exchanged for a Google ID token of the
/// account that this user, by IAM's word, may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_federated_user_gets_a_google_id_token_of_their_own_and_nobody_the_doors() {
    let service = "https://api-abc123-uc.a.run.app";
    let account = "caller@demo-firegate.iam.gserviceaccount.com";
    let provider = format!(
        "//iam.googleapis.com/projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/firebase/providers/firebase"
    );
    let stack = stack_with_file(&format!(
        "assertion: {{ issuer: '{ISSUER}' }}\nexchange: {{ enabled: true }}\nallow: [allAuthenticatedUsers]\n\
         backends: {{ api: {{ url: '{service}', credential: federate_user, service_account: '{account}', \
         workload_identity_provider: '{provider}' }} }}\nusers: {{ anonymous: allow, accept: [id_token, session_cookie] }}"
    ))
    .await;
    let endpoint = stack.door(ENDPOINT);
    let token = stack.id_token().await;
    let mut asked = form(&token, service).to_vec();
    let own = post(&endpoint, &asked).await.ok();
    assert_eq!(own["issued_token_type"], json!(JWT));
    let claims = verified(&stack.door(KEYS), &text(&own["access_token"])).await;
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(service)));

    asked.push(("requested_token_type", ID_TOKEN));
    let google = post(&endpoint, &asked).await.ok();
    assert_eq!((&google["issued_token_type"], &google["token_type"]), (&json!(ID_TOKEN), &json!("Bearer")));
    let google_token = text(&google["access_token"]);
    let keys = stack.dev.places.google.join("oauth2/v3/certs").expect("a path");
    let keys = KeySet::parse_rs256(&Call::get(&keys).send().await.body).expect("a key set");
    let parsed = CompactJws::parse(&google_token).expect("a token");
    assert!(keys.find(parsed.header_text("kid").expect("a key id")).expect("its key").verifies(&parsed));
    let claims = parsed.into_payload();
    assert_eq!((&claims["aud"], &claims["email"]), (&json!(service), &json!(account)));
    // It opens the private service directly.
    let call =
        Call::get(&stack.service("/hello")).header("host", "api-abc123-uc.a.run.app").bearer(&google_token);
    assert_eq!(call.send().await.status, StatusCode::OK);

    // The provider's condition lets no anonymous user be that account.
    let anonymous = stack.identity("v1/accounts:signUp", json!({"returnSecureToken": true})).await.ok();
    let anonymous = text(&anonymous["idToken"]);
    asked[1].1 = &anonymous;
    expect_error(&post(&endpoint, &asked).await, 400, "unauthorized_client", Some("FEDERATION_REFUSED"));
    stack.stop().await;
}
