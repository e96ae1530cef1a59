//! What an operator reads at the admin listener: that requests are counted by how they ended, that an outage of the keys
//! shows before it hurts, and that no client can write there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use firegate_core::time::Clock;
use firegate_files::configuration::parse_with_files;
use firegate_proxy::FrontDoor;
use http::Method;
use serde_json::json;
use url::Url;

use crate::stack::server::{nobody, serve};
use crate::stack::{Answer, Call, at, claims, clock, close, door, door_of, stranger};
use crate::url_map::TheFile;

async fn service() -> String {
    serve(Router::new().fallback(get(|| async { "hello" }))).await
}

async fn keys(document: String) -> String {
    serve(Router::new().fallback(get(move || async move { document.clone() }))).await
}

fn configuration(service: &str, keys: &str) -> String {
    format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nbackends: {{ api: '{service}' }}\n\
         allow: [allAuthenticatedUsers]\nroutes: [{{ path: '/api/*', backend: api }}]\n\
         google: {{ id_token_keys: '{keys}/keys' }}\n"
    )
}

fn admin(door: &FrontDoor, path: &str) -> Url {
    let address = door.admin_address().expect("an admin listener");
    format!("http://{address}{path}").parse().expect("a URL")
}

pub(crate) async fn scrape(door: &FrontDoor) -> (String, BTreeMap<String, i64>) {
    let answer = Call::get(&admin(door, "/metrics")).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    // A sum of seconds is no whole number.
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_seconds_sum{"));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        (name.to_owned(), value.parse().expect("a number"))
    });
    let samples = samples.collect();
    (text, samples)
}

fn decisions(outcome: &str, code: &str, backend: &str) -> String {
    format!("firegate_decisions_total{{outcome=\"{outcome}\",code=\"{code}\",backend=\"{backend}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_how_they_ended() {
    let (clock, signer) = (clock(), stranger());
    let keys = keys(json!({"keys": [signer.public_jwk()]}).to_string()).await;
    let door = door(&configuration(&service().await, &keys), &clock);
    door.ready().await;
    let now = clock.now().as_seconds();
    let good = signer.sign(&claims("demo-project", now)).expect("a token");
    let expired = signer.sign(&claims("demo-project", now - 7200)).expect("a token");
    let send = async |path: &str, token: Option<&str>| {
        let call = Call::get(&at(&door, path));
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        call.send().await.status.as_u16()
    };
    for (path, token, status) in [
        ("/api/a", Some(good.as_str()), 200),
        ("/api/b", Some(good.as_str()), 200),
        ("/api/c", None, 401),
        ("/api/d", Some(expired.as_str()), 401),
        ("/elsewhere", Some(good.as_str()), 404),
        ("/api/%2f", Some(good.as_str()), 400),
        ("/.well-known/firegate/jwks.json", None, 200),
    ] {
        assert_eq!(send(path, token).await, status, "{path}");
    }
    let (text, samples) = scrape(&door).await;
    for (sample, expected) in [
        (decisions("permit", "", "api"), 2),
        (decisions("denial", "TOKEN_MISSING", "api"), 1),
        (decisions("denial", "TOKEN_EXPIRED", "api"), 1),
        (decisions("denial", "ROUTE_NOT_FOUND", ""), 1),
        (decisions("denial", "REQUEST_MALFORMED", ""), 1),
        (decisions("respond", "", ""), 1),
        (decisions("fault", "UPSTREAM_UNREACHABLE", "api"), 0),
        ("firegate_token_cache_hits_total".to_owned(), 1),
        ("firegate_token_cache_entries".to_owned(), 1),
        ("firegate_ready".to_owned(), 1),
        ("firegate_key_set_keys{issuer=\"id_token\"}".to_owned(), 1),
        ("firegate_key_set_fetches_total{issuer=\"id_token\",result=\"success\"}".to_owned(), 1),
    ] {
        assert_eq!(samples.get(&sample), Some(&expected), "{sample}\n{text}");
    }
    let answered = samples.iter().filter(|(name, _)| name.starts_with("firegate_decisions_total"));
    assert_eq!(answered.map(|(_, count)| count).sum::<i64>(), 7, "each request is counted once:\n{text}");
    close(door).await;
}

/// What was counted by route, as `backend|route|outcome|code`.
fn routes(samples: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let ours = samples.iter().filter_map(|(name, count)| {
        Some((name.strip_prefix("firegate_route_requests_total{backend=\"")?.strip_suffix("\"}")?, *count))
    });
    let labels = ["route", "outcome", "code"].map(|label| format!("\",{label}=\""));
    ours.map(|(name, count)| {
        (labels.iter().fold(name.to_owned(), |name, label| name.replace(label, "|")), count)
    })
    .collect()
}

fn check_routes<const COUNT: usize>(
    (text, samples): &(String, BTreeMap<String, i64>),
    expected: [(&str, i64); COUNT],
) {
    let expected = expected.into_iter().map(|(labels, count)| (labels.to_owned(), count));
    assert_eq!(routes(samples), expected.collect::<BTreeMap<_, _>>(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_the_route_that_they_took() {
    let (clock, signer) = (clock(), stranger());
    let keys = keys(json!({"keys": [signer.public_jwk()]}).to_string()).await;
    let service = service().await;
    let configuration = |routes: &str| {
        let usual = configuration(&service, &keys);
        let routes =
            format!("routes: [{routes}{{ path: '/api/*', backend: api }}, {{ path: /grüße, backend: api }}]");
        usual.replace("routes: [{ path: '/api/*', backend: api }]", &routes)
    };
    let mut door = door(&configuration(""), &clock);
    door.ready().await;
    let token = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    let send = async |door: &FrontDoor, path: &str, token: Option<&str>| {
        let call = Call::get(&at(door, path));
        let call = if let Some(token) = token { call.bearer(token) } else { call };
        call.send().await.status.as_u16()
    };
    check_routes(&scrape(&door).await, []);
    for (path, token, status) in [
        ("/api/a", Some(token.as_str()), 200),
        ("/api/b", Some(token.as_str()), 200),
        ("/api/c", None, 401),
        ("/gr%C3%BC%C3%9Fe", Some(token.as_str()), 200),
        ("/elsewhere", Some(token.as_str()), 404),
        ("/api/%2f", Some(token.as_str()), 400),
        ("/.well-known/firegate/jwks.json", None, 200),
    ] {
        assert_eq!(send(&door, path, token).await, status, "{path}");
    }
    let refused = ("api|/api/*|denial|TOKEN_MISSING", 1);
    let greeted = ("api|/grüße|permit|", 1);
    check_routes(&scrape(&door).await, [("api|/api/*|permit|", 2), refused, greeted]);

    // Another route before them, one to which some of their requests go from now on.
    let next = configuration("{ path: '/api/new/*', backend: api }, ");
    crate::reloading::reload(&mut door, &next).await.expect("it is put in force");
    for path in ["/api/a", "/api/new/a"] {
        assert_eq!(send(&door, path, Some(&token)).await, 200, "{path}");
    }
    let expected = [("api|/api/*|permit|", 3), ("api|/api/new/*|permit|", 1), refused, greeted];
    let (text, samples) = scrape(&door).await;
    assert_eq!(
        samples.get(&decisions("permit", "", "api")),
        Some(&5),
        "each is counted by its backend too:\n{text}"
    );
    check_routes(&(text, samples), expected);
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_of_a_url_map_are_counted_by_the_words_of_the_map() {
    let map = "name: m\ndefaultService: web\nhostRules: [{ hosts: ['*'], pathMatcher: shop }]\npathMatchers:\n\
               - name: shop\n  defaultService: web\n  pathRules:\n  - { paths: ['/orders/*'], service: api }\n\
               \x20 - { paths: ['/old/*'], urlRedirect: { prefixRedirect: /new/ } }\n\
               \x20 - paths: ['/broken/*']\n    service: web\n    routeAction: { faultInjectionPolicy: { abort: { httpStatus: 503, percentage: 100 } } }\n";
    let service = service().await;
    let text = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allUsers]\nurl_map: map.yaml\n\
         backends: {{ web: '{service}', api: {{ url: '{service}', allow: [allAuthenticatedUsers] }} }}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &TheFile(map.to_owned()));
    let configuration = configuration.unwrap_or_else(|found| panic!("{found}"));
    let door = door_of(configuration, Arc::new(clock()), None);
    for (path, status) in [("/orders/1", 401), ("/old/x", 301), ("/broken/x", 503), ("/x", 200), ("/y", 200)]
    {
        assert_eq!(Call::get(&at(&door, path)).send().await.status.as_u16(), status, "{path}");
    }
    let (text, samples) = scrape(&door).await;
    assert_eq!(samples.get(&decisions("respond", "", "")), Some(&1), "a redirect is an answer:\n{text}");
    check_routes(
        &(text, samples),
        [
            ("api|shop /orders/*|denial|TOKEN_MISSING", 1),
            ("|shop /old/*|respond|", 1),
            ("web|shop /broken/*|denial|FAULT_INJECTED", 1),
            ("web|shop default|permit|", 2),
        ],
    );
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_counts_as_a_fault_of_its_backend() {
    let (clock, signer) = (clock(), stranger());
    let keys = keys(json!({"keys": [signer.public_jwk()]}).to_string()).await;
    let door = door(&configuration(&nobody(), &keys), &clock);
    door.ready().await;
    let token = signer.sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    assert_eq!(Call::get(&at(&door, "/api/")).bearer(&token).send().await.status.as_u16(), 502);
    let (text, samples) = scrape(&door).await;
    assert_eq!(samples.get(&decisions("fault", "UPSTREAM_UNREACHABLE", "api")), Some(&1), "{text}");
    assert_eq!(samples.get(&decisions("permit", "", "api")), Some(&0), "{text}");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_keys_shows_before_it_hurts() {
    let (clock, signer) = (clock(), stranger());
    let (document, is_gone) =
        (json!({"keys": [signer.public_jwk()]}).to_string(), Arc::new(AtomicBool::new(false)));
    let answer = {
        let is_gone = Arc::clone(&is_gone);
        move || async move {
            if is_gone.load(Ordering::SeqCst) { Err(StatusCode::BAD_GATEWAY) } else { Ok(document.clone()) }
        }
    };
    let keys = serve(Router::new().fallback(get(answer))).await;
    let door = door(&configuration(&service().await, &keys), &clock);
    door.ready().await;
    let fetched_at = clock.now().as_seconds();
    let of = |metric: &str| format!("firegate_key_set_{metric}{{issuer=\"id_token\"}}");
    let failures = "firegate_key_set_fetches_total{issuer=\"id_token\",result=\"failure\"}";
    let (text, samples) = scrape(&door).await;
    assert!(samples[&of("age_seconds")] < 60 && samples[failures] == 0, "{text}");
    let last_success = samples[&of("last_success_timestamp_seconds")];
    assert!((last_success - fetched_at).abs() < 60, "{text}");

    is_gone.store(true, Ordering::SeqCst);
    clock.advance(13 * 3600);
    // A token of a key that is not there asks for newer ones, and learns that there are none.
    let token = stranger().sign(&claims("demo-project", clock.now().as_seconds())).expect("a token");
    let answer = Call::get(&at(&door, "/api/")).bearer(&token).send().await;
    answer.expect_refusal(503, "KEYS_UNAVAILABLE", "RETRY_LATER");
    let (text, samples) = scrape(&door).await;
    assert!(samples[&of("age_seconds")] >= 13 * 3600, "{text}");
    assert!(samples[failures] >= 1, "{text}");
    assert_eq!(samples[&of("last_success_timestamp_seconds")], last_success, "{text}");
    assert_eq!((samples[&of("usable")], samples["firegate_ready"]), (1, 1), "the kept set serves:\n{text}");
    assert_eq!(samples[&decisions("fault", "KEYS_UNAVAILABLE", "api")], 1, "{text}");

    clock.advance(12 * 3600);
    let (text, samples) = scrape(&door).await;
    assert_eq!((samples[&of("usable")], samples["firegate_ready"]), (0, 0), "but not for ever:\n{text}");
    close(door).await;
}

/// Whatever a client chooses may be as long and as various as it likes: in a label it would be a series for ever.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_client_sends_is_in_the_metrics() {
    const MARK: &str = "hostile-7c1f";
    let (clock, signer) = (clock(), stranger());
    let keys = keys(json!({"keys": [signer.public_jwk()]}).to_string()).await;
    let door = door(&configuration(&service().await, &keys), &clock);
    door.ready().await;
    let before = scrape(&door).await.1;
    let now = clock.now().as_seconds();
    let mut user = claims("demo-project", now);
    user["sub"] = json!(MARK);
    user["user_id"] = json!(MARK);
    user["email"] = json!(format!("{MARK}@example.com"));
    let good = signer.sign(&user).expect("a token");
    let mut foreign = claims(MARK, now);
    foreign["sub"] = json!(MARK);
    let foreign = signer.sign(&foreign).expect("a token");
    let unknown_key = crate::stack::unsigned(
        json!({"alg": "RS256", "typ": "JWT", "kid": MARK}),
        claims("demo-project", now),
        b"x",
    );
    let method = Method::from_bytes(b"HOSTILE-7C1F").expect("a method");
    for token in [good.as_str(), foreign.as_str(), unknown_key.as_str(), MARK] {
        for path in [format!("/api/{MARK}?{MARK}={MARK}"), format!("/{MARK}")] {
            for method in [&Method::GET, &method] {
                let call = Call::new(method.clone(), &at(&door, &path)).bearer(token).header("host", MARK);
                let call =
                    call.header("x-request-id", MARK).header("origin", &format!("http://{MARK}.example"));
                call.header("user-agent", MARK).header("accept", MARK).send().await;
            }
        }
    }
    let (text, after) = scrape(&door).await;
    assert!(!text.to_ascii_lowercase().contains(MARK), "{text}");
    let grown = after.keys().filter(|name| !before.contains_key(*name)).collect::<Vec<_>>();
    assert!(!grown.is_empty(), "the requests were counted:\n{text}");
    let of_routes = "firegate_route_requests_total{backend=\"api\",route=\"/api/*\",outcome=\"";
    let is_known = |name: &str| {
        [of_routes, "firegate_decisions_total{outcome=\"denial\""].iter().any(|known| name.starts_with(known))
    };
    assert!(grown.iter().all(|name| is_known(name)), "{grown:?}");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_has_the_metrics_and_nothing_else() {
    let (clock, signer) = (clock(), stranger());
    let keys = keys(json!({"keys": [signer.public_jwk()]}).to_string()).await;
    let door = door(&configuration(&service().await, &keys), &clock);
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let ask = async |method: Method, path: &str, accept: &str| -> Answer {
        Call::new(method, &admin(&door, path)).header("accept", accept).send().await
    };
    for (method, path, accept, status, content_type) in [
        (Method::GET, "/metrics", "*/*", 200, plain),
        (Method::GET, "/metrics", "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", 200, open),
        (Method::HEAD, "/metrics", "*/*", 200, plain),
        (Method::POST, "/metrics", "*/*", 405, "text/plain; charset=utf-8"),
        (Method::DELETE, "/metrics", "*/*", 405, "text/plain; charset=utf-8"),
        (Method::GET, "/metrics/", "*/*", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/", "*/*", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/api/a", "*/*", 404, "text/plain; charset=utf-8"),
        (Method::GET, "/.well-known/firegate/jwks.json", "*/*", 404, "text/plain; charset=utf-8"),
    ] {
        let answer = ask(method.clone(), path, accept).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{method} {path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD, "{method} {path}");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_refuses_long_heads() {
    let (clock, signer) = (clock(), stranger());
    let keys = keys(json!({"keys": [signer.public_jwk()]}).to_string()).await;
    let door = door(&configuration(&service().await, &keys), &clock);
    let refused = Call::get(&admin(&door, "/metrics")).header("x-long", &"a".repeat(32 * 1024)).send();
    let refused = tokio::time::timeout(Duration::from_secs(5), refused).await.expect("an answer");
    assert_eq!(refused.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    close(door).await;
}
