//! What a client puts into a request that a URL map rewrites, redirects or changes: it leads nowhere that the map's author did
//! not mean, and says nothing that Firegate alone says.

use http::Method;
use serde_json::Value;

use crate::project::Project;
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

/// Rules that send some requests to a backend whose bindings admit nobody, and the others to one that everybody may call. Both
/// are the same service, which reads headers and method in its own way.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_otherwise_past_a_route() {
    const RULES: &str = "\
- { priority: 1, service: strict, matchRules: [ { prefixMatch: /, headerMatches: [ { headerName: X-Admin, exactMatch: '1' } ] } ] }
- { priority: 2, service: strict, matchRules: [ { prefixMatch: /, headerMatches: [ { headerName: ':method', exactMatch: DELETE } ] } ] }
- { priority: 3, service: strict, matchRules: [ { prefixMatch: /needs, headerMatches: [ { headerName: X-Needed, presentMatch: true, invertMatch: true } ] } ] }
- { priority: 4, service: open, matchRules: [ { prefixMatch: /safe, headerMatches: [ { headerName: X-Safe, presentMatch: true } ] } ] }
- { priority: 5, service: strict, matchRules: [ { prefixMatch: /safe } ] }
- { priority: 7, service: strict, matchRules: [ { prefixMatch: /, headerMatches: [ { headerName: X-One, presentMatch: true }, { headerName: X-Two, presentMatch: true } ] } ] }
- { priority: 6, service: strict, matchRules: [ { prefixMatch: /, queryParameterMatches: [ { name: admin, exactMatch: '1' } ] } ] }
- { priority: 8, service: strict, matchRules: [ { prefixMatch: /both/, headerMatches: [ { headerName: X-Kind, exactMatch: 'a' } ] } ] }
- { priority: 9, service: strict, matchRules: [ { prefixMatch: /, queryParameterMatches: [ { name: as_admin, presentMatch: true } ] } ] }
";
    let project = Project::open().await;
    let gate = project.forked_gate("gcloud", RULES).await;
    let send = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let call = Call::new(method, &gate.url(path));
        let answer = headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await;
        answer.status.as_u16()
    };
    for (method, path, headers, expected) in [
        (Method::GET, "/a", &[][..], 200),
        (Method::GET, "/a", &[("X-Admin", "1")], 401),
        (Method::GET, "/a", &[("X-Admin", "0")], 200),
        (Method::GET, "/a", &[("X_Admin", "1")], 400),
        (Method::GET, "/a", &[("X-Admin", "0"), ("x.admin", "1")], 400),
        (Method::GET, "/a", &[("X_Other", "1")], 200),
        (Method::GET, "/a", &[("X-Admin", "0"), ("X-Admin", "1")], 400),
        (Method::GET, "/a", &[("X-Admin", "1"), ("X-Admin", "0")], 400),
        (Method::GET, "/a", &[("X-Admin", "0"), ("X-Admin", "2")], 200),
        (Method::DELETE, "/a", &[], 401),
        (Method::POST, "/a", &[], 200),
        (Method::POST, "/a", &[("X-HTTP-Method-Override", "DELETE")], 400),
        (Method::POST, "/a", &[("X_Method_Override", "delete")], 400),
        (Method::POST, "/a?_method=DELETE", &[], 400),
        (Method::POST, "/a", &[("X-HTTP-Method-Override", "PUT")], 200),
        (Method::GET, "/needs", &[], 401),
        (Method::GET, "/needs", &[("X-Needed", "1")], 200),
        (Method::GET, "/needs", &[("X-Needed", "1"), ("Connection", "X-Needed")], 400),
        (Method::GET, "/a", &[("X-Needed", "1"), ("Connection", "X-Needed")], 200),
        (Method::GET, "/safe", &[("X-Safe", "1")], 200),
        (Method::GET, "/safe", &[("X-Safe", "1"), ("Connection", "X-Safe")], 400),
        (Method::GET, "/safe", &[("X_Safe", "1")], 400),
        (Method::GET, "/safe", &[], 401),
        (Method::GET, "/a?admin=1", &[], 401),
        (Method::GET, "/a?admin=0&x=1", &[], 200),
        (Method::GET, "/a?%61dmin=1", &[], 400),
        (Method::GET, "/a?admin=%31", &[], 400),
        (Method::GET, "/a?admin=0&%61dmin=1", &[], 400),
        (Method::GET, "/a?x;admin=1", &[], 400),
        // PHP, Rails and others take the last, Express all of them.
        (Method::GET, "/a?admin=0&admin=1", &[], 400),
        (Method::GET, "/a?admin=1&admin=0", &[], 400),
        (Method::GET, "/a?admin=0&admin=2", &[], 200),
        // ASP.NET Core and PHP.
        (Method::GET, "/a?ADMIN=1", &[], 400),
        (Method::GET, "/a?as.admin=", &[], 400),
        (Method::GET, "/a?as[admin", &[], 400),
        (Method::GET, "/a?as-admin", &[], 200),
        (Method::POST, "/a?.method=DELETE", &[], 400),
        // By two readings at once, of which neither alone leads elsewhere.
        (Method::GET, "/both/", &[("X-Kind", "a")], 401),
        (Method::GET, "/BOTH/", &[("X-Kind", "a")], 400),
        (Method::GET, "/BOTH/", &[("X-Kind", "b")], 200),
        (Method::GET, "/BOTH/", &[("X_Kind", "a")], 400),
        (Method::GET, "/;x/both/", &[("X-Kind", "b"), ("x.kind", "a")], 400),
        (Method::GET, "/other/", &[("X_Kind", "a")], 200),
        (Method::GET, "/a", &[("X_One", "1"), ("X-Two", "1")], 400),
        (Method::GET, "/a", &[("X_One", "1")], 200),
    ] {
        assert_eq!(send(method.clone(), path, headers).await, expected, "{method} {path} {headers:?}");
    }
    gate.close().await;
}
