//! A URL map in force: redirects, rewrites, header actions, cross-origin rules, faults, and the map's own tests.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use futures_util::StreamExt;

use firegate_files::Configuration;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_proxy::limits::{ERROR_PAGE_BYTES_MAX, ERROR_PAGE_TIMEOUT};
use firegate_proxy::{FrontDoor, StartError};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::gate::{PATIENCE, endless, mirror};
use crate::reminting::over_http2;
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, clock, close, door_of, options};

/// A file that every name leads to.
pub(crate) struct TheFile(pub(crate) String);

impl NamedFiles for TheFile {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }
}

/// A configuration with two services that show what they got, both open to everyone.
pub(crate) fn configuration(map: &str, services: [&str; 2]) -> Configuration {
    let [web, api] = services;
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\ncors: {{ origins: ['https://usual.example'] }}\n\
         backends: {{ web: '{web}', api: '{api}' }}\n"
    );
    let map = format!("name: m\ndefaultService: global/backendServices/web\n{map}");
    parse_with_files("firegate.yaml", &text, &TheFile(map)).unwrap_or_else(|found| panic!("{found}"))
}

async fn door(map: &str) -> FrontDoor {
    let (web, api) = (mirror().await, mirror().await);
    door_of(configuration(map, [&web, &api]), Arc::new(clock()), None)
}

/// A map with one path matcher for all hosts.
fn matcher(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "hostRules:\n- hosts: ['*']\n  pathMatcher: pm\npathMatchers:\n- name: pm\n  defaultService: web\n{lines}"
    )
}

async fn get(door: &FrontDoor, path: &str) -> Answer {
    Call::get(&at(door, path)).send().await
}

/// What the service got, of a request that reached it.
fn seen(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()
}

#[tokio::test]
async fn a_redirect_is_answered_without_a_service() {
    let door = door(&matcher(
        "pathRules:\n- paths: [/old/*]\n  urlRedirect: {hostRedirect: www.example.com, prefixRedirect: /new/, redirectResponseCode: FOUND}\n\
         - paths: [/secure/*]\n  urlRedirect: {httpsRedirect: true}\n",
    ))
    .await;
    let answer = get(&door, "/old/a?b=c").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (302, Some("http://www.example.com/new/a?b=c"))
    );
    let answer = get(&door, "/secure/x").await;
    let expected = format!("https://{}/secure/x", door.address());
    assert_eq!((answer.status.as_u16(), answer.header("location")), (301, Some(expected.as_str())));
    close(door).await;
}

#[tokio::test]
async fn the_service_gets_the_path_that_the_map_makes() {
    let door = door(&matcher(
        "routeRules:\n- priority: 1\n  service: api\n  matchRules: [{pathTemplateMatch: '/v1/{user}/{rest=**}'}]\n  routeAction: {urlRewrite: {pathTemplateRewrite: '/users/{user}/{rest}'}}\n",
    ))
    .await;
    let got = seen(&get(&door, "/v1/ada/files/a%20b?q=1").await);
    assert_eq!(got["path"], "/users/ada/files/a%20b?q=1");
    assert_eq!(got["headers"]["x-envoy-original-path"], "/v1/ada/files/a%20b?q=1");
    let spoof = Call::get(&at(&door, "/x")).header("x-envoy-original-path", "/v1/eve/x").send().await;
    let got = seen(&spoof);
    assert_eq!(got["path"], "/x");
    assert_eq!(got["headers"]["x-envoy-original-path"], Value::Null);
    let answer = get(&door, "/v1/..%2fx/y").await;
    answer.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    close(door).await;
}

#[tokio::test]
async fn headers_are_changed_as_the_map_says() {
    let door = door(&format!(
        "headerAction:\n  requestHeadersToAdd: [{{headerName: X-Client, headerValue: '{{client_ip_address}};{{client_protocol}}', replace: true}}, {{headerName: X-Server, headerValue: '{{server_ip_address}}:{{server_port}};{{tls_version}}'}}]\n  \
         requestHeadersToRemove: [X-Secret]\n  responseHeadersToAdd: [{{headerName: Strict-Transport-Security, headerValue: max-age=1}}]\n  responseHeadersToRemove: [Content-Type]\n{}",
        matcher("")
    ))
    .await;
    let call = Call::get(&at(&door, "/")).header("x-secret", "1").header("x-client", "eve");
    let answer = call.send().await;
    let got = seen(&answer);
    assert_eq!(got["headers"]["x-client"], "127.0.0.1;HTTP/1.1");
    assert_eq!(got["headers"]["x-server"], format!("{};", door.address()));
    assert_eq!(got["headers"]["x-secret"], Value::Null);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=1"));
    assert_eq!(answer.header("content-type"), None);
    close(door).await;
}

#[tokio::test]
async fn a_rules_cross_origin_policy_takes_the_place_of_the_configurations() {
    let door = door(&matcher(
        "pathRules:\n- paths: [/api/*]\n  service: api\n  routeAction: {corsPolicy: {allowOrigins: ['https://app.example'], allowMethods: [PUT], exposeHeaders: [X-Total]}}\n",
    ))
    .await;
    let origin_of = |path: &'static str, origin: &'static str| {
        let call = Call::get(&at(&door, path)).header("origin", origin);
        async move { call.send().await.header("access-control-allow-origin").map(str::to_owned) }
    };
    assert_eq!(origin_of("/api/x", "https://app.example").await.as_deref(), Some("https://app.example"));
    assert_eq!(origin_of("/api/x", "https://usual.example").await, None);
    assert_eq!(origin_of("/x", "https://usual.example").await.as_deref(), Some("https://usual.example"));
    assert_eq!(origin_of("/x", "https://app.example").await, None);
    let preflight = Call::new(Method::OPTIONS, &at(&door, "/api/x")).header("origin", "https://app.example");
    let answer = preflight.header("access-control-request-method", "PUT").send().await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-methods")), (204, Some("PUT")));
    close(door).await;
}

#[tokio::test]
async fn faults_are_injected_into_the_share_that_the_map_says() {
    let door = door(&matcher(
        "pathRules:\n- paths: [/abort]\n  service: api\n  routeAction: {faultInjectionPolicy: {abort: {httpStatus: 555, percentage: 100}}}\n\
         - paths: [/none]\n  service: api\n  routeAction: {faultInjectionPolicy: {abort: {httpStatus: 555, percentage: 0}, delay: {fixedDelay: {nanos: 1000000}, percentage: 100}}}\n",
    ))
    .await;
    let answer = get(&door, "/abort").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-firegate-reason")), (555, Some("FAULT_INJECTED")));
    assert_eq!(get(&door, "/none").await.status, 200);
    close(door).await;
}

#[tokio::test]
async fn a_fault_without_content_has_none_in_either_version() {
    for status in [204, 304] {
        let fault = format!("{{abort: {{httpStatus: {status}, percentage: 100}}}}");
        let door = door(&format!("defaultRouteAction: {{faultInjectionPolicy: {fault}}}\n")).await;
        for answer in [get(&door, "/").await, over_http2(&door, "nobody", None).await] {
            let reason = answer.header("x-firegate-reason");
            assert_eq!((answer.status.as_u16(), reason), (status, Some("FAULT_INJECTED")));
            assert_eq!((answer.body.len(), answer.header("content-length")), (0, None), "{status}");
        }
        close(door).await;
    }
}

#[tokio::test]
async fn a_map_of_which_a_test_fails_is_not_put_in_force() {
    let (web, api) = (mirror().await, mirror().await);
    let map = "tests:\n- {host: a.example, path: /x, service: api}\n";
    let configuration = configuration(map, [&web, &api]);
    let started = FrontDoor::start(options(configuration, Arc::new(clock()), None));
    let Err(StartError::UrlMapTests(text)) = started else { panic!("it starts") };
    assert!(text.contains("map.yaml:4: expected the service `api`, and it goes to web"), "{text}");
}

/// That an answer which never ends is cut off because of this, whether its request has a body or not.
async fn expect_cut_off(route_action: &str) {
    let web = endless().await;
    let map = format!("defaultRouteAction: {{{route_action}}}\n");
    let door = door_of(configuration(&map, [&web, &web]), Arc::new(clock()), None);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    for body in ["", "a body"] {
        let begun = async || loop {
            let request = http::Request::post(at(&door, "/").as_str()).body(Full::from(body));
            // On a busy machine the time may be over before the head is there, or is sent.
            match client.request(request.expect("a request")).await {
                Ok(answer) if answer.status() == StatusCode::OK => return answer,
                Ok(answer) => assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT),
                Err(_) => {}
            }
        };
        let answer = tokio::time::timeout(PATIENCE, begun()).await.expect("it begins in time");
        let ended = tokio::time::timeout(PATIENCE, answer.into_body().collect()).await;
        assert!(ended.expect("it ends").is_err(), "{route_action} {body:?}");
    }
    close(door).await;
}

#[tokio::test]
async fn a_rules_timeout_holds_for_the_whole_answer() {
    expect_cut_off("timeout: {nanos: 200000000}").await;
}

#[tokio::test]
async fn a_stream_lasts_as_long_as_its_rule_allows() {
    expect_cut_off("maxStreamDuration: {nanos: 200000000}").await;
}

#[tokio::test]
async fn the_service_is_told_the_host_that_the_map_says_and_the_clients_beside_it() {
    let door = door("defaultRouteAction: {urlRewrite: {hostRewrite: inner.example}}\n").await;
    let got = seen(&Call::get(&at(&door, "/")).header("host", "www.example.com").send().await);
    assert_eq!(got["headers"]["host"], "inner.example");
    assert_eq!(got["headers"]["x-forwarded-host"], "www.example.com");
    close(door).await;
}

/// A service that finds nothing, and has a fault at `/broken`.
async fn finding_nothing() -> String {
    let answer = |uri: axum::http::Uri| async move {
        let status = if uri.path() == "/broken" { 500 } else { 404 };
        (
            StatusCode::from_u16(status).expect("a status"),
            [("x-detail", "kept"), ("etag", "\"1\"")],
            "its own word",
        )
    };
    serve(Router::new().fallback(any(answer))).await
}

#[tokio::test]
async fn pages_take_the_place_of_errors_and_tell_their_service_nothing_of_the_user() {
    let (web, api) = (finding_nothing().await, mirror().await);
    let map = "defaultCustomErrorResponsePolicy: {errorService: backendBuckets/api, errorResponseRules: [\
               {matchResponseCodes: ['404'], path: '/pages/404.html?v=1', overrideResponseCode: 410}, {matchResponseCodes: [5xx], overrideResponseCode: 503}]}\n";
    let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
    let call = Call::new(Method::POST, &at(&door, "/missing")).header("authorization", "Basic YTpi");
    let answer = call.header("cookie", "a=b").header("accept", "text/html").body("a secret").send().await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-detail"), answer.header("etag")),
        (410, Some("kept"), None)
    );
    let page = answer.json();
    assert_eq!(
        (&page["path"], &page["headers"]["accept"]),
        (&"/pages/404.html?v=1".into(), &"text/html".into())
    );
    for name in ["authorization", "cookie", "content-length", "content-type"] {
        assert_eq!(page["headers"][name], Value::Null, "{name}");
    }
    let broken = get(&door, "/broken").await;
    assert_eq!((broken.status.as_u16(), broken.body.as_ref()), (503, b"its own word".as_slice()));
    let head = Call::new(Method::HEAD, &at(&door, "/missing")).send().await;
    let of_page = (head.status.as_u16(), head.header("etag"), head.header("content-length"));
    assert_eq!(of_page, (404, Some("\"1\""), Some("12")), "a HEAD has no page, and no page's headers");
    let head = Call::new(Method::HEAD, &at(&door, "/broken")).send().await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (503, Some("12")));
    close(door).await;
}

#[tokio::test]
async fn clients_of_grpc_and_web_sockets_get_the_errors_that_their_service_answered() {
    let (web, api) = (finding_nothing().await, mirror().await);
    let map = "defaultCustomErrorResponsePolicy: {errorService: api, errorResponseRules: [\
               {matchResponseCodes: [4xx], path: /pages/404.html, overrideResponseCode: 200}, {matchResponseCodes: [5xx], overrideResponseCode: 200}]}\n";
    let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
    for (path, status) in [("/missing", 404), ("/broken", 500)] {
        let grpc = Call::new(Method::POST, &at(&door, path)).header("content-type", "application/grpc");
        let web_socket = Call::get(&at(&door, path))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        for call in [grpc, web_socket] {
            let answer = call.send().await;
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_ref()),
                (status, b"its own word".as_slice()),
                "{path}"
            );
        }
        assert_eq!(get(&door, path).await.status, 200, "{path}");
    }
    close(door).await;
}

#[tokio::test]
async fn a_page_that_would_be_cut_off_is_not_begun_and_one_that_comes_late_is() {
    let large = || async { vec![b'a'; 1024 * 1024 + 1] };
    let stuck = || async {
        let first =
            futures_util::stream::once(async { Ok::<_, std::convert::Infallible>(Bytes::from_static(b"a")) });
        axum::body::Body::from_stream(first.chain(futures_util::stream::pending()))
    };
    let router = Router::new().route("/large", any(large)).route("/stuck", any(stuck));
    let (web, api) = (finding_nothing().await, serve(router).await);
    let map = "defaultCustomErrorResponsePolicy: {errorService: api, errorResponseRules: [\
               {matchResponseCodes: ['404'], path: /large, overrideResponseCode: 200}, {matchResponseCodes: ['500'], path: /stuck}]}\n\
               defaultRouteAction: {maxStreamDuration: {seconds: 2}}\n";
    let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
    let answer = get(&door, "/missing").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (404, b"its own word".as_slice()));
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let begun = tokio::time::Instant::now();
    let answer = client.get(at(&door, "/broken").as_str().parse().expect("a URL")).await.expect("a head");
    assert!(answer.into_body().collect().await.is_err(), "the page ends with the time of the answer");
    assert!(begun.elapsed() < ERROR_PAGE_TIMEOUT, "{:?}", begun.elapsed());
    close(door).await;
}

/// The page is waited for as long as that may take, and no longer than the answer has time, which then is over for it too: the
/// client gets a whole answer that says so, and no part of one.
#[tokio::test]
async fn a_page_that_does_not_come_is_not_waited_for_longer_than_it_may_take() {
    let never = || async { std::future::pending::<StatusCode>().await };
    let missing = |uri: axum::http::Uri| async move {
        (StatusCode::NOT_FOUND, if uri.path() == "/empty" { "" } else { "its own word" })
    };
    let web = serve(Router::new().fallback(any(missing))).await;
    let api = serve(Router::new().fallback(any(never))).await;
    let page = "defaultCustomErrorResponsePolicy: {errorService: api, errorResponseRules: [\
               {matchResponseCodes: ['404'], path: /page}]}\n";
    let timed = format!("{page}defaultRouteAction: {{maxStreamDuration: {{seconds: 1}}}}\n");
    for (map, path, is_timed, expected) in [
        (page, "/missing", false, (404, None, "its own word")),
        (&*timed, "/missing", true, (504, Some("UPSTREAM_TIMED_OUT"), "")),
        // Nothing is missing of one that has no body.
        (&*timed, "/empty", true, (404, None, "")),
    ] {
        let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(PATIENCE, get(&door, path)).await.expect("in time");
        let waited = begun.elapsed();
        let reason = answer.header("x-firegate-reason");
        let body = if reason.is_some() { "" } else { std::str::from_utf8(&answer.body).expect("text") };
        assert_eq!((answer.status.as_u16(), reason, body), expected, "{path}: {map}");
        assert_eq!(waited < ERROR_PAGE_TIMEOUT, is_timed, "{waited:?}: {map}");
        close(door).await;
    }
}

/// The page alone: its connection serves others.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stops_coming_ends_for_itself() {
    let stuck = || async {
        let first = futures_util::stream::once(async { Ok::<_, std::convert::Infallible>("a") });
        axum::body::Body::from_stream(first.chain(futures_util::stream::pending()))
    };
    let (web, api) = (finding_nothing().await, serve(Router::new().fallback(any(stuck))).await);
    let map = "defaultCustomErrorResponsePolicy: {errorService: api, errorResponseRules: [\
               {matchResponseCodes: ['404'], path: /stuck}]}\n";
    let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
    let stream = tokio::net::TcpStream::connect(door.address()).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut get = async |path: &str| {
        let request = http::Request::get(at(&door, path).as_str()).body(Empty::<Bytes>::new());
        let answer = sender.send_request(request.expect("a request"));
        tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("an answer")
    };
    let page = get("/missing").await;
    let ended = tokio::time::timeout(PATIENCE, page.into_body().collect()).await;
    assert!(ended.expect("it ends").is_err(), "it is not told as whole");
    assert_eq!(get("/broken").await.status(), 500);
    close(door).await;
}

#[tokio::test]
async fn a_page_is_described_by_its_own_headers_and_may_have_as_many_bytes_as_its_bound() {
    let missing = || async {
        let told = [
            ("content-type", "text/x-error"),
            ("content-language", "en"),
            ("content-encoding", "x-error"),
            ("content-range", "bytes 0-1/2"),
            ("accept-ranges", "bytes"),
            ("etag", "\"1\""),
            ("last-modified", "Sat, 01 Nov 2025 00:00:00 GMT"),
            ("x-detail", "kept"),
        ];
        (StatusCode::NOT_FOUND, told, "its own word")
    };
    let page = |headers: http::HeaderMap| async move {
        let language = headers.get("accept-language").and_then(|value| value.to_str().ok()).unwrap_or("none");
        let told = [
            ("content-type", "text/x-page".to_owned()),
            ("content-language", language.to_owned()),
            ("content-encoding", "x-page".to_owned()),
            ("accept-ranges", "none".to_owned()),
            ("etag", "\"2\"".to_owned()),
        ];
        (told, vec![b'a'; ERROR_PAGE_BYTES_MAX as usize])
    };
    let bare = || async { http::Response::new(axum::body::Body::from("bare")) };
    let web = serve(Router::new().fallback(any(missing))).await;
    let api = serve(Router::new().route("/page", any(page)).route("/bare", any(bare))).await;
    let map = |path: &str| {
        format!(
            "defaultCustomErrorResponsePolicy: {{errorService: api, errorResponseRules: [\
             {{matchResponseCodes: ['404'], path: {path}}}]}}\n"
        )
    };
    let names = ["content-type", "content-language", "content-encoding", "content-range", "accept-ranges"];
    let names = names.into_iter().chain(["etag", "last-modified", "x-detail"]).collect::<Vec<_>>();
    for (path, bytes, expected) in [
        ("/page", ERROR_PAGE_BYTES_MAX as usize, [Some("text/x-page"), Some("de"), Some("x-page")]),
        ("/bare", 4, [None, None, None]),
    ] {
        let door = door_of(configuration(&map(path), [&web, &api]), Arc::new(clock()), None);
        let answer = Call::get(&at(&door, "/missing")).header("accept-language", "de").send().await;
        let length = bytes.to_string();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (404, bytes), "{path}");
        assert_eq!(answer.header("content-length"), Some(length.as_str()), "{path}");
        let found = names.iter().map(|name| answer.header(name)).collect::<Vec<_>>();
        assert_eq!(found, [&expected[..], &[None, None, None, None, Some("kept")]].concat(), "{path}");
        close(door).await;
    }
}

#[tokio::test]
async fn a_page_that_does_not_end_is_cut_off_at_its_bound() {
    let (web, api) = (finding_nothing().await, endless().await);
    let map = "defaultCustomErrorResponsePolicy: {errorService: api, errorResponseRules: [\
               {matchResponseCodes: ['404'], path: /page}]}\n";
    let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(at(&door, "/missing").as_str().parse().expect("a URL")).await.expect("a head");
    let (mut page, mut bytes) = (answer.into_body(), 0);
    while let Ok(frame) = page.frame().await.expect("it is not told as whole") {
        bytes += frame.into_data().map_or(0, |data| data.len() as u64);
        assert!(bytes <= ERROR_PAGE_BYTES_MAX, "{bytes}");
    }
    close(door).await;
}

#[tokio::test]
async fn an_error_without_its_page_stays_as_the_service_answered_it() {
    let web = finding_nothing().await;
    let map = "defaultCustomErrorResponsePolicy: {errorService: api, errorResponseRules: [\
               {matchResponseCodes: [4xx], path: /pages/404.html, overrideResponseCode: 200}]}\n";
    let door = door_of(configuration(map, [&web, &web]), Arc::new(clock()), None);
    let answer = get(&door, "/missing").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (404, b"its own word".as_slice()));
    close(door).await;
    let text = "project: demo-project\nallow: [allAuthenticatedUsers]\nurl_map: map.yaml\nbackends: { web: 'http://127.0.0.1:9', api: 'http://127.0.0.1:9' }\n";
    let map = format!("name: m\ndefaultService: web\n{map}");
    let refused =
        parse_with_files("firegate.yaml", text, &TheFile(map)).expect_err("it is refused").to_string();
    assert!(refused.contains("FG321") && refused.contains("nobody in particular"), "{refused}");
}

#[tokio::test]
async fn a_copy_goes_to_the_mirror_and_its_answer_to_nobody() {
    let (seen, mut copies) = mpsc::unbounded_channel();
    let listening = |status: StatusCode, seen: mpsc::UnboundedSender<(String, Bytes)>| {
        Router::new().fallback(any(move |request: axum::extract::Request| {
            let seen = seen.clone();
            async move {
                let asked = format!("{} {}", request.method(), request.uri());
                let body = request.into_body().collect().await.expect("a whole body").to_bytes();
                seen.send((asked.clone(), body)).expect("the test listens");
                (status, asked)
            }
        }))
    };
    let (originals, mut asked) = mpsc::unbounded_channel();
    let web = serve(listening(StatusCode::OK, originals)).await;
    let api = serve(listening(StatusCode::IM_A_TEAPOT, seen)).await;
    let map = "defaultRouteAction: {requestMirrorPolicy: {backendService: api}, urlRewrite: {pathPrefixRewrite: /v2}}\n";
    let door = door_of(configuration(map, [&web, &api]), Arc::new(clock()), None);
    // A body of many pieces, of which the copy has every one; the second client waits to be told to go on.
    let body = Bytes::from(vec![b'x'; 100_000]);
    let upload = || Call::new(Method::POST, &at(&door, "/upload")).body(body.clone());
    for (call, expected, sent) in [
        (Call::get(&at(&door, "/x?y=1")), "GET /v2/x?y=1", Bytes::new()),
        (upload(), "POST /v2/upload", body.clone()),
        (upload().header("expect", "100-continue"), "POST /v2/upload", body.clone()),
    ] {
        let answer = call.send().await;
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, expected.as_bytes()));
        for requests in [&mut asked, &mut copies] {
            let (found, received) = requests.recv().await.expect("a request");
            assert_eq!((found.as_str(), received.len()), (expected, sent.len()));
            assert!(received == sent, "the body is another one");
        }
    }
    close(door).await;
}
