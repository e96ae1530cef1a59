//! Pages of other origins: in `dev` those of this machine and its network, in `serve` those that are named.

use http::Method;

use crate::stack::{Call, Stack, at, clock, close, door};

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
