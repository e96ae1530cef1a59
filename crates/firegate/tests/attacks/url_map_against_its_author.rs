//! What a client puts into a request that a URL map rewrites, redirects or changes: it leads nowhere that the map's author did
//! not mean, and says nothing that Firegate alone says.

use serde_json::Value;

use crate::site::door_with_map;
use crate::stack::{Call, at, close};

const MAP: &str = "\
name: m
defaultService: api
headerAction:
  requestHeadersToAdd: [{ headerName: X-Team, headerValue: '{client_ip_address}' }]
hostRules: [{ hosts: ['*'], pathMatcher: pm }]
pathMatchers:
- name: pm
  defaultService: api
  routeRules:
  - { priority: 1, service: api, matchRules: [{ prefixMatch: /old }], routeAction: { urlRewrite: { pathPrefixRewrite: /public/ } } }
  - { priority: 2, service: api, matchRules: [{ prefixMatch: /well/ }], routeAction: { urlRewrite: { pathPrefixRewrite: /.well-known/ } } }
  - { priority: 3, matchRules: [{ prefixMatch: /go }], urlRedirect: { hostRedirect: www.example.com, prefixRedirect: / } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_path_leads_out_of_no_folder() {
    let door = door_with_map(MAP).await;
    for path in [
        "/old../secret",
        "/old..",
        "/old%2e%2e/secret",
        "/old.%2e/x",
        "/old..%2fsecret",
        "/old%2f..%2fsecret",
    ] {
        Call::get(&at(&door, path)).send().await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    for path in ["/well/firegate/jwks.json", "/well/%66iregate/token", "/well//firegate/ready"] {
        Call::get(&at(&door, path)).send().await.expect_refusal(404, "ROUTE_NOT_FOUND", "NONE");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_to_the_maps_host_alone() {
    let door = door_with_map(MAP).await;
    for (path, location) in [
        ("/go/evil.example", "http://www.example.com/evil.example"),
        ("/go//evil.example/x", "http://www.example.com/evil.example/x"),
        ("/go@evil.example", "http://www.example.com/@evil.example"),
        ("/go:80@evil.example", "http://www.example.com/:80@evil.example"),
        ("/go/x?access_token=a.b.c&y=1", "http://www.example.com/x?y=1"),
    ] {
        let answer = Call::get(&at(&door, path)).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (301, Some(location)), "{path}");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_actions_bring_back_nothing_that_was_deleted() {
    let door = door_with_map(MAP).await;
    let call = Call::get(&at(&door, "/x"))
        .header("x-firegate-user-id", "root")
        .header("x_firegate_user_id", "root")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-envoy-original-path", "/admin")
        .header("x-team", "root");
    let seen = call.send().await.ok();
    for name in ["x-firegate-user-id", "x_firegate_user_id", "x-envoy-original-path"] {
        assert_eq!(seen["headers"][name], Value::Null, "{name}");
    }
    assert!(!seen["headers"]["x-forwarded-for"].to_string().contains("10.0.0.1"), "{seen}");
    assert!(seen["headers"]["x-team"].to_string().contains("127.0.0.1"), "{seen}");
    close(door).await;
}
