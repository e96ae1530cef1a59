//! The answer of one user in the hands of another is the worst that a door can do (CWE-488; "HTTP desync"). Whatever leaves a
//! connection in a state that only one side knows of can lead to it: uploads that are given up, answers that come early, break
//! off or have something behind them, retries, clients that leave. Here many users do all of that at once, over connections
//! that are used again, to services that are as bad: everything that is sent bears the number of its request, and each side
//! says what it got of another's.

mod asked;
mod clients;
mod frames;
mod messages;
mod scene;
mod services;
mod wire;

use asked::Plan;
use clients::{Asks, Terms};
use scene::Scene;
use services::{Configured, Serving, Speaks};

const EVERYBODY: &str = "allow: [allAuthenticatedUsers]\n";

/// Requests that fail are tried again, and each has a copy.
const COPIED: &str = "name: m\ndefaultService: api\ndefaultRouteAction: {requestMirrorPolicy: {backendService: copies}, \
                      retryPolicy: {numRetries: 2, retryConditions: [5xx]}}\n";

/// No try lasts long.
const SHORT: &str = "name: m\ndefaultService: api\ndefaultRouteAction: {retryPolicy: {numRetries: 2, \
                     perTryTimeout: {nanos: 400000000}, retryConditions: [gateway-error]}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_of_a_service_by_http1() {
    let scene = Scene::new();
    let service = Serving::new(&scene.found).start(Speaks::Http1).await;
    scene.with(format!("{EVERYBODY}backends: {{ api: '{service}' }}"), "").play(200, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_of_a_service_by_http2() {
    let mut scene = Scene::new();
    scene.terms.asks = Asks::Never;
    let service = Serving::new(&scene.found).start(Speaks::Http2).await;
    let backends = format!("{EVERYBODY}backends: {{ api: {{ url: '{service}', protocol: h2c }} }}");
    scene.with(backends, "").play(200, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_of_a_service_by_http1_in_tls() {
    let scene = Scene::new().in_tls();
    let speaks = Speaks::Tls(scene.acceptor(&["http/1.1"]));
    let service = Serving::new(&scene.found).start(speaks).await;
    let backends = format!("{EVERYBODY}backends: {{ api: {{ url: '{service}', {} }} }}", scene.trust());
    scene.with(backends, "").play(200, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_of_a_service_by_http2_in_tls() {
    let mut scene = Scene::new().in_tls();
    scene.terms.asks = Asks::Never;
    let speaks = Speaks::Tls(scene.acceptor(&["h2", "http/1.1"]));
    let service = Serving::new(&scene.found).start(speaks).await;
    let backends = format!("{EVERYBODY}backends: {{ api: {{ url: '{service}', {} }} }}", scene.trust());
    scene.with(backends, "").play(200, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_when_requests_are_tried_again_and_copied() {
    let scene = Scene::new();
    let service = Serving::new(&scene.found).tried_again().start(Speaks::Http1).await;
    let copies = Serving::new(&scene.found).tried_again().start(Speaks::Http2).await;
    let backends = format!("api: '{service}', copies: {{ url: '{copies}', protocol: h2c }}");
    scene
        .with(format!("{EVERYBODY}url_map: map.yaml\nbackends: {{ {backends} }}"), COPIED)
        .play(200, 15)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_when_times_are_over() {
    when_times_are_over(Speaks::Http1, "http1", Asks::Sometimes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_when_times_are_over_over_http2() {
    when_times_are_over(Speaks::Http2, "h2c", Asks::Never).await;
}

async fn when_times_are_over(speaks: Speaks, protocol: &str, asks: Asks) {
    let mut scene = Scene::new();
    scene.terms = Terms { plans: Plan::SLOW, asks, may_fail: true, ..scene.terms };
    scene.terms.requests /= 4;
    let service = Serving::new(&scene.found).tried_again().start(speaks).await;
    let backend = format!("url: '{service}', protocol: {protocol}, timeouts: {{ total: 2s, idle: 1s }}");
    let text = format!("{EVERYBODY}url_map: map.yaml\nbackends: {{ api: {{ {backend} }} }}");
    scene.with(text, SHORT).play(30, 2).await;
}

/// Of gRPC, too, which has words of its own for an end before the end.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_when_tokens_expire() {
    let mut scene = Scene::new();
    scene.terms =
        Terms { plans: Plan::STREAMS, asks: Asks::Never, expires: |user| user % 4 < 2, ..scene.terms };
    scene.terms.requests /= 4;
    let service = Serving::new(&scene.found).start(Speaks::Http2).await;
    let backends = format!("{EVERYBODY}backends: {{ api: {{ url: '{service}', protocol: h2c }} }}");
    scene.with(backends, "").play(30, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_when_an_endpoint_dies_and_comes_back() {
    let mut scene = Scene::new();
    scene.terms = Terms { asks: Asks::Never, may_fail: true, ..scene.terms };
    let serving = Serving::new(&scene.found);
    let (mortal, life) = serving.start_mortal(Speaks::Http1).await;
    let speaks = [Speaks::Http1, Speaks::Tls(scene.acceptor(&["h2", "http/1.1"]))];
    let [plain, in_tls] = speaks.map(|speaks| serving.start(speaks));
    let (plain, in_tls) = (plain.await, in_tls.await);
    let backends = format!(
        "{EVERYBODY}backends: {{ api: {{ endpoints: [{{ url: '{mortal}' }}, {{ url: '{plain}' }}, {{ url: '{in_tls}' }}], {} }} }}",
        scene.trust()
    );
    scene.with(backends, "").with_mortal(life).play(150, 15).await;
}

/// Of four users one is let through by both configurations, one by each alone, and one by neither.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_or_a_mix_of_two_configurations() {
    const A: Configured = Configured { name: "a", admits: |user| user % 4 < 2 };
    const B: Configured = Configured { name: "b", admits: |user| user % 4 % 2 == 0 };
    const MAPS: [&str; 2] = [
        "name: a\ndefaultService: api\nheaderAction: {requestHeadersToAdd: [{headerName: x-configuration, headerValue: a, \
         replace: true}], responseHeadersToAdd: [{headerName: x-configuration, headerValue: a, replace: true}]}\n",
        "name: b\ndefaultService: api\nheaderAction: {requestHeadersToAdd: [{headerName: x-configuration, headerValue: b, \
         replace: true}], responseHeadersToAdd: [{headerName: x-configuration, headerValue: b, replace: true}]}\n",
    ];
    let mut scene = Scene::new();
    scene.terms.asks = Asks::Never;
    scene.terms.let_through_by = |user| match user % 4 {
        0 => &["a", "b"],
        1 => &["a"],
        2 => &["b"],
        _ => &[],
    };
    let serving = Serving::new(&scene.found);
    let a = serving.by(A).start(Speaks::Http1).await;
    let b = serving.by(B).start(Speaks::Tls(scene.acceptor(&["h2", "http/1.1"]))).await;
    let allowed = |by: Configured| {
        let users = (0..scene.terms.nobody)
            .filter(|user| (by.admits)(*user))
            .map(|user| format!("'user:user-{user}@example.com'"));
        users.collect::<Vec<_>>().join(", ")
    };
    let text = |by, backend| {
        format!("allow: [{}]\nurl_map: map.yaml\nbackends: {{ api: {{ {backend} }} }}", allowed(by))
    };
    let with_a = text(A, format!("url: '{a}'"));
    let with_b = text(B, format!("url: '{b}', {}", scene.trust()));
    scene.with(with_a, MAPS[0]).with(with_b, MAPS[1]).play(80, 5).await;
}
