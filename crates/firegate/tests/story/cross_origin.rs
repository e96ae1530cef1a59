//! Pages of other origins: in `dev` those of this machine and its network, in `serve` those that are named.

use axum::Router;
use firegate_proxy::FrontDoor;
use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::gate::read_head;
use crate::stack::server::serve;
use crate::stack::{Answer, Call, Stack, at, clock, close, door};

const APP: &str = "https://app.example";

#[tokio::test(flavor = "multi_thread")]
async fn dev_lets_local_pages_call_and_tells_them_the_reason_of_a_refusal() {
    let stack = Stack::start().await;
    let preflight = |origin: &str| {
        Call::new(Method::OPTIONS, &stack.door("/api"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type")
    };
    for origin in ["http://localhost:8081", "http://192.168.1.20:19006"] {
        let answer = preflight(origin).send().await;
        assert_eq!(answer.status.as_u16(), 204, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let foreign = preflight("https://evil.example").send().await;
    foreign.expect_refusal(403, "CORS_ORIGIN_NOT_ALLOWED", "NONE");
    assert_eq!(foreign.header("access-control-allow-origin"), None);

    let refused = Call::get(&stack.door("/api")).header("origin", "http://localhost:8081").send().await;
    refused.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    assert_eq!(refused.header("access-control-allow-origin"), Some("http://localhost:8081"));
    assert_eq!(refused.header("vary"), Some("origin"));

    let other_options =
        Call::new(Method::OPTIONS, &stack.door("/api")).header("origin", "http://localhost:8081");
    other_options.send().await.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_lets_nobody_call_across_origins_by_itself() {
    let door = door(
        "project: demo-project\nbackends: { api: 'http://127.0.0.1:9' }\nallow: [allAuthenticatedUsers]\n",
        &clock(),
    );
    let answer = Call::new(Method::OPTIONS, &at(&door, "/api"))
        .header("origin", "http://localhost:8081")
        .header("access-control-request-method", "GET")
        .send()
        .await;
    answer.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    close(door).await;
}

/// A door that a page of the app's may call, before a service that exposes a header of its own.
async fn door_for_the_app() -> FrontDoor {
    let fields = [
        ("access-control-expose-headers", "x-total"),
        ("x-total", "7"),
        ("x-firegate-reason", "TOKEN_EXPIRED"),
    ];
    let answer = move || async move { (fields, "") };
    let service = serve(Router::new().fallback(answer)).await;
    let text = format!(
        "project: demo-project\ncors: {{ origins: ['{APP}'] }}\ngoogle: {{ id_token_keys: 'http://127.0.0.1:9/keys' }}\n\
         backends: {{ open: {{ url: '{service}', allow: [allUsers] }}, closed: {{ url: 'http://127.0.0.1:9', allow: \
         [allAuthenticatedUsers] }} }}\nroutes: [{{ path: /open/*, backend: open }}, {{ path: /closed/*, backend: closed }}]\n"
    );
    door(&text, &clock())
}

/// What a page cannot read, its client of gRPC-Web takes for a broken connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_the_status_of_grpc_web_whoever_refuses() {
    let door = door_for_the_app().await;
    let exposes = |answer: &Answer, name: &str| {
        let values = answer.headers.get_all("access-control-expose-headers").iter();
        values.flat_map(|value| value.to_str().expect("text").split(", ")).any(|exposed| exposed == name)
    };
    for (asked, answered) in [
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc-web-text+proto", "application/grpc-web-text"),
        ("application/grpc", "application/grpc"),
    ] {
        let call = Call::new(Method::POST, &at(&door, "/closed/a")).header("content-type", asked);
        let refused = call.header("origin", APP).send().await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("content-type")),
            (200, Some(answered)),
            "{asked}"
        );
        assert_eq!(refused.header("grpc-status"), Some("16"), "{asked}");
        assert!(refused.header("grpc-message").is_some(), "{asked}");
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert!(exposes(&refused, name), "{asked}: {name}");
        }
    }
    let call = |origin: &str| Call::get(&at(&door, "/open/a")).header("origin", origin);
    let answer = call(APP).send().await;
    for name in ["x-total", "grpc-status", "x-firegate-request-id"] {
        assert!(exposes(&answer, name), "{name}: {:?}", answer.headers);
    }
    let foreign = call("https://evil.example").send().await;
    assert_eq!(foreign.header("access-control-expose-headers"), None);
    close(door).await;
}

/// The header says why the door refused, and nobody else says it in the door's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_gives_no_reason_in_the_doors_name() {
    let door = door_for_the_app().await;
    let answer = Call::get(&at(&door, "/open/a")).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-total")), (200, Some("7")));
    assert_eq!(answer.header("x-firegate-reason"), None);
    close(door).await;
}

/// A page is told the reason of what the framing refuses too, as far as its origin was read before that.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_why_its_head_was_refused() {
    let door = door_for_the_app().await;
    let check = async |line: &str, fields: &str, status: &str, allowed: Option<&str>| {
        let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
        let head = format!("{line}\r\nHost: door\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        let head = read_head(&mut stream).await;
        let lines = head.lines().collect::<Vec<_>>();
        assert!(lines[0].contains(status), "{head}");
        let found = lines.iter().find_map(|line| line.strip_prefix("access-control-allow-origin: "));
        assert_eq!(found, allowed, "{fields:.60}: {head}");
        assert_eq!(head.contains("access-control-expose-headers"), allowed.is_some(), "{head}");
        assert!(lines.contains(&"vary: origin"), "{head}");
    };
    let (get, app) = ("GET /open/a HTTP/1.1", "Origin: https://app.example\r\n");
    let (both, many) = ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "X: y\r\n".repeat(110));
    check(get, &format!("{app}{both}"), "400", Some(APP)).await;
    check(get, &format!("origin:\t{APP} \r\n{many}"), "431", Some(APP)).await;
    check(get, &format!("{app}X: {}\r\n", "a".repeat(70_000)), "431", Some(APP)).await;
    check(get, &format!("Origin: https://evil.example\r\n{many}"), "431", None).await;
    // Of two, nobody knows which the page is, and what stands behind the fault is not read.
    check(get, &format!("{app}{app}{many}"), "431", None).await;
    check(get, &format!("{both}{app}"), "400", None).await;
    check(&format!("GET /{} HTTP/1.1", "a".repeat(40_000)), app, "414", None).await;
    check(get, &format!("X-Origin: {APP}\r\n{many}"), "431", None).await;
    close(door).await;
}

/// What is Firegate's own is refused as everything else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_an_own_path_does_not_have_is_refused_with_a_reason() {
    let door = door_for_the_app().await;
    for path in ["jwks.json", "ready"] {
        let url = at(&door, &format!("/.well-known/firegate/{path}"));
        let answer = Call::new(Method::POST, &url).header("origin", APP).send().await;
        answer.expect_refusal(405, "METHOD_NOT_ALLOWED", "NONE");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{path}");
    }
    close(door).await;
}
