//! CVE-2022-24797: Pomerium served its metrics and its profiler on a listener that the public reached. Here metrics are on
//! a listener of their own, which is off unless it is configured; the public one forwards such paths like any other, to
//! whoever is allowed. On loopback the listener answers no page of the Internet that has pointed its name here.

use axum::Router;
use axum::routing::get;

use crate::stack::server::serve;
use crate::stack::{Call, at, clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_never_told_to_the_public() {
    let service = serve(Router::new().fallback(get(|| async { "the service's own" }))).await;
    let clock = clock();
    let door = door(
        &format!(
            "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nroutes: [{{ path: '/open/*', backend: open }}, \
             {{ path: '/*', backend: api }}]\n\
             backends: {{ api: {{ url: '{service}', allow: [allAuthenticatedUsers] }}, \
             open: {{ url: '{service}', allow: [allUsers] }} }}\n\
             google: {{ id_token_keys: 'http://127.0.0.1:9/keys' }}\n"
        ),
        &clock,
    );
    for (path, status) in [
        ("/metrics", 401),
        ("//metrics", 401),
        ("/%6detrics", 401),
        ("/open/../metrics", 401),
        ("/debug/pprof/", 401),
        ("/open/metrics", 200),
        ("/.well-known/firegate/metrics", 404),
    ] {
        let answer = Call::get(&at(&door, path)).send().await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status.as_u16(), status, "{path}: {body}");
        assert!(!body.contains("firegate_decisions_total"), "{path}: {body}");
    }
    let admin = door.admin_address().expect("an admin listener");
    let metrics = format!("http://{admin}/metrics").parse().expect("a URL");
    // The public host's name does not lead there either: only the socket does.
    let answer = Call::get(&at(&door, "/metrics")).header("host", &admin.to_string()).send().await;
    assert_eq!(answer.status.as_u16(), 401);
    for (host, status) in [
        ("evil.example:9901", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost:9901", 200),
        ("127.0.0.1:9901", 200),
        ("[::1]:9901", 200),
    ] {
        let answer = Call::get(&metrics).header("host", host).send().await;
        let is_told = String::from_utf8_lossy(&answer.body).contains("firegate_decisions_total");
        assert_eq!((answer.status.as_u16(), is_told), (status, status == 200), "{host}");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_configuration_there_is_no_such_listener() {
    let clock = clock();
    let text = "project: demo-project\nallow: [allUsers]\nbackends: { api: 'http://127.0.0.1:9' }\n";
    let door = door(text, &clock);
    assert_eq!(door.admin_address(), None);
    close(door).await;
}
