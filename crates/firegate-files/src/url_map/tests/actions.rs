//! What rules may do with a request: headers, rewrites, redirects, and what happens on the way.

use super::*;

#[test]
fn no_header_of_firegates_is_the_maps_to_change() {
    for name in [
        "X-Firegate-User-Id",
        "x_forwarded_for",
        "X-Goog-Test",
        "Authorization",
        "Host",
        "Connection",
        "Sec-WebSocket-Key",
    ] {
        let at = |field: &str| format!("FG310 headerAction.{field}");
        let add = map(&format!(
            "headerAction: {{requestHeadersToAdd: [{{headerName: {name}, headerValue: v}}]}}\n"
        ));
        check(&add, &[&at("requestHeadersToAdd[0].headerName")]);
        let remove = map(&format!(
            "headerAction: {{requestHeadersToRemove: [{name}], responseHeadersToRemove: [{name}]}}\n"
        ));
        check(&remove, &[&at("requestHeadersToRemove[0]"), &at("responseHeadersToRemove[0]")]);
    }
    check(
        &map("headerAction: {requestHeadersToAdd: [{headerName: x-a, headerValue: \"a\\nb\"}]}\n"),
        &["FG310 headerAction.requestHeadersToAdd[0].headerValue"],
    );
    check(
        &map("headerAction: {responseHeadersToAdd: [{headerValue: b}]}\n"),
        &["FG310 headerAction.responseHeadersToAdd[0].headerName"],
    );
}

#[test]
fn added_headers_replace_unless_they_hold_a_variable() {
    let text = map(
        "headerAction:\n  requestHeadersToAdd:\n  - {headerName: X-A, headerValue: v}\n  - {headerName: x-b, headerValue: 'ip={client_ip_address};{client_rtt_msec}'}\n  - {headerName: x-c, headerValue: '{not a variable}', replace: false}\n  responseHeadersToAdd: [{headerName: Strict-Transport-Security, headerValue: max-age=1}]\n",
    );
    check(&text, &["note FG310 headerAction.requestHeadersToAdd[1].headerValue"]);
    let added = accepted(&text).header_action.request_add;
    assert_eq!(
        added.iter().map(|header| (header.name.as_str(), header.replace)).collect::<Vec<_>>(),
        [("x-a", true), ("x-b", false), ("x-c", false)]
    );
    let text = |text: &str| ValuePart::Text(text.to_owned());
    let variable = ValuePart::Variable;
    assert_eq!(
        added[1].value.0,
        [
            text("ip="),
            variable(HeaderVariable::ClientIpAddress),
            text(";"),
            variable(HeaderVariable::Unknown)
        ]
    );
    assert_eq!(added[2].value.0, [text("{not a variable}")]);
}

#[test]
fn rewrites_and_redirects() {
    let rewrite = |matched: &str, rewrite: &str| {
        route(&format!("matchRules: [{matched}]\nservice: web\nrouteAction: {{urlRewrite: {rewrite}}}\n"))
    };
    let at = "pathMatchers[0].routeRules[0].routeAction.urlRewrite";
    check(&rewrite("{prefixMatch: /a}", "{pathPrefixRewrite: /b}"), &[]);
    check(&rewrite("{pathTemplateMatch: '/a/{b}'}", "{pathTemplateRewrite: '/{b}'}"), &[]);
    check(
        &rewrite("{pathTemplateMatch: '/a/{b}'}", "{pathTemplateRewrite: '/{c}'}"),
        &[&format!("FG311 {at}.pathTemplateRewrite")],
    );
    check(
        &rewrite("{prefixMatch: /a}", "{pathTemplateRewrite: '/{c}'}"),
        &[&format!("FG311 {at}.pathTemplateRewrite")],
    );
    check(
        &rewrite("{prefixMatch: /a}", "{pathPrefixRewrite: /b, regexRewrite: {pathPattern: a}}"),
        &[&format!("FG311 {at}")],
    );
    for bad in ["b", "/../b", "/a/..", "/a#b", "/.well-known/firegate/jwks.json"] {
        check(
            &rewrite("{prefixMatch: /a}", &format!("{{pathPrefixRewrite: '{bad}'}}")),
            &[&format!("FG311 {at}.pathPrefixRewrite")],
        );
    }
    for good in ["b.example", "b.example:8443", "b_c.example", "127.0.0.1:80"] {
        check(&rewrite("{prefixMatch: /a}", &format!("{{hostRewrite: '{good}'}}")), &[]);
    }
    for bad in [
        "",
        "b.example/x",
        "b.example:",
        "b.example:+80",
        "b.example:0",
        "b.example:65536",
        "b.example:80:80",
        ":80",
        "a@b.example",
        "b..example",
        ".b.example",
        "b.example.",
        ".",
        "b example",
        "*.example",
        "[::1]",
        "bä.example",
        "b.example?x",
    ] {
        check(
            &rewrite("{prefixMatch: /a}", &format!("{{hostRewrite: '{bad}'}}")),
            &[&format!("FG311 {at}.hostRewrite")],
        );
    }
    check(
        &matcher(
            "pathRules:\n- paths: [/a/*]\n  service: web\n  routeAction: {urlRewrite: {pathPrefixRewrite: /b}}\n",
        ),
        &[
            "warning FG311 pathMatchers[0].pathRules[0].routeAction.urlRewrite.pathPrefixRewrite",
            "warning FG317 pathMatchers[0].pathRules[0].paths[0]",
        ],
    );
    let redirect = |redirect: &str| format!("defaultUrlRedirect: {redirect}\n");
    for good in [
        "{httpsRedirect: true}",
        "{hostRedirect: 'a.example:8443', stripQuery: true}",
        "{pathRedirect: '/x?y=z', redirectResponseCode: FOUND}",
        "{prefixRedirect: /x/}",
    ] {
        check(&redirect(good), &[]);
    }
    check(&redirect("{}"), &["FG312 defaultUrlRedirect"]);
    check(&redirect("{pathRedirect: /a, prefixRedirect: /b}"), &["FG312 defaultUrlRedirect.prefixRedirect"]);
    check(&redirect("{pathRedirect: a}"), &["FG312 defaultUrlRedirect.pathRedirect"]);
    for bad in ["'a.example/x'", "'evil@a.example'", "''", "'a:b'"] {
        check(&redirect(&format!("{{hostRedirect: {bad}}}")), &["FG312 defaultUrlRedirect.hostRedirect"]);
    }
    check(
        &redirect("{httpsRedirect: true, redirectResponseCode: '301'}"),
        &["FG006 defaultUrlRedirect.redirectResponseCode"],
    );
}

#[test]
fn what_happens_on_the_way_has_its_ranges() {
    let check_action = |action: &str, expected: &[&str]| {
        let expected =
            expected.iter().map(|found| found.replace('@', "defaultRouteAction.")).collect::<Vec<_>>();
        check(
            &map(&format!("defaultRouteAction: {{{action}}}\n")),
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    check_action("timeout: {seconds: '30', nanos: 5}", &[]);
    check_action("timeout: {seconds: 0}", &["FG313 @timeout"]);
    check_action("maxStreamDuration: {seconds: 90}", &[]);
    check_action("maxStreamDuration: {seconds: 0}", &["FG313 @maxStreamDuration"]);
    check_action("timeout: {seconds: 3601}", &["FG313 @timeout"]);
    check_action("timeout: 30s", &["FG005 @timeout"]);
    check_action(
        "retryPolicy: {numRetries: 3, retryConditions: [5xx, gateway-error], perTryTimeout: {seconds: 1}}",
        &[],
    );
    check_action("retryPolicy: {numRetries: 0}", &["FG313 @retryPolicy.numRetries"]);
    check_action("retryPolicy: {retryConditions: [4xx]}", &["FG006 @retryPolicy.retryConditions[0]"]);
    check_action("requestMirrorPolicy: {backendService: shadow, mirrorPercent: 12.5}", &[]);
    check_action(
        "requestMirrorPolicy: {backendService: shadow, mirrorPercent: 101}",
        &["FG313 @requestMirrorPolicy.mirrorPercent"],
    );
    check_action("requestMirrorPolicy: {mirrorPercent: 1}", &["FG309 @requestMirrorPolicy.backendService"]);
    check_action(
        "corsPolicy: {allowOrigins: ['https://a.example'], allowCredentials: true, maxAge: 600}",
        &[],
    );
    check_action("corsPolicy: {allowOrigins: ['*'], allowCredentials: true}", &["FG313 @corsPolicy"]);
    check_action("corsPolicy: {allowOrigins: ['*'], allowCredentials: true, disabled: true}", &[]);
    check_action("corsPolicy: {allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*']}", &[]);
    check_action("corsPolicy: {maxAge: -1}", &["FG313 @corsPolicy.maxAge"]);
    check_action(
        "faultInjectionPolicy: {abort: {httpStatus: 503, percentage: 10.5}, delay: {fixedDelay: {nanos: 1000}, percentage: 1}}",
        &[],
    );
    check_action(
        "faultInjectionPolicy: {abort: {httpStatus: 99, percentage: 1}}",
        &["FG313 @faultInjectionPolicy.abort.httpStatus"],
    );
    check_action(
        "faultInjectionPolicy: {delay: {fixedDelay: {seconds: 1}, percentage: -1}}",
        &["FG313 @faultInjectionPolicy.delay.percentage"],
    );
    check_action("cachePolicy: {}", &[]);
    check_action("cachePolicy: {cacheMode: FORCE_CACHE_ALL}", &["note FG014 @cachePolicy"]);
    let weighted =
        |services: &str| format!("defaultRouteAction: {{weightedBackendServices: [{services}]}}\n");
    check(&weighted("{backendService: a, weight: 0}, {backendService: b, weight: 1000}"), &[]);
    check(
        &weighted("{backendService: a, weight: 1001}"),
        &["FG313 defaultRouteAction.weightedBackendServices[0].weight"],
    );
    check(&weighted("{backendService: a}"), &["FG313 defaultRouteAction.weightedBackendServices[0].weight"]);
    check(&weighted("{weight: 1}"), &["FG309 defaultRouteAction.weightedBackendServices[0].backendService"]);
}

#[test]
fn a_redirect_has_no_route_action() {
    let action = "routeAction: {timeout: {seconds: 3}}";
    check(
        &matcher(&format!("pathRules: [{{paths: [/old], urlRedirect: {{pathRedirect: /new}}, {action}}}]\n")),
        &["FG308 pathMatchers[0].pathRules[0].routeAction"],
    );
    check(
        &matcher("pathRules: [{paths: [/old], urlRedirect: {pathRedirect: /new}, routeAction: {}}]\n"),
        &[],
    );
    check(
        "defaultUrlRedirect: {httpsRedirect: true}\ndefaultRouteAction: {timeout: {seconds: 3}}\n",
        &["FG308 defaultRouteAction"],
    );
}
