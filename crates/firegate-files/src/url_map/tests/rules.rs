//! What Google refuses is refused, and what nobody means is said.

use super::*;
use crate::limits::URL_MAP_TESTS_MAX;

#[test]
fn hosts() {
    let check_host = |host: &str, expected: &[&str]| {
        let text = map(&format!(
            "hostRules:\n- hosts: ['{host}']\n  pathMatcher: pm\npathMatchers:\n- name: pm\n  defaultService: web\n"
        ));
        check(&text, expected);
    };
    let wrong: &[&str] = &["FG301 hostRules[0].hosts[0]"];
    for host in ["*", "example.net", "*.example.net", "*-dev.example.net", "example.net:8080", "Example.NET"]
    {
        check_host(host, &[]);
    }
    for host in
        ["", "*example.net", "a.*.net", "*.*", "example.net/a", "a b", "example.net:x", "*:80", "ü.example"]
    {
        check_host(host, wrong);
    }
    check_host(&"a".repeat(256), wrong);
    let pattern = |text: &str| {
        accepted(&map(&format!(
        "hostRules:\n- hosts: ['{text}']\n  pathMatcher: pm\npathMatchers:\n- name: pm\n  defaultService: web\n"
    ))).host_rules[0].hosts[0].clone()
    };
    assert_eq!(pattern("*"), HostPattern::Any);
    assert_eq!(pattern("*-DEV.example.net"), HostPattern::Suffix("-dev.example.net".to_owned()));
    assert_eq!(pattern("A.example:80"), HostPattern::Exact("a.example:80".to_owned()));
}

#[test]
fn a_host_stands_in_one_rule_and_leads_to_a_path_matcher() {
    let matchers = "pathMatchers:\n- name: pm\n  defaultService: web\n- name: pn\n  defaultService: web\n";
    check(
        &map(&format!(
            "hostRules:\n- hosts: [a, b]\n  pathMatcher: pm\n- hosts: [A]\n  pathMatcher: pn\n{matchers}"
        )),
        &["FG301 hostRules[1].hosts[0]"],
    );
    check(
        &map(&format!("hostRules:\n- hosts: [a]\n  pathMatcher: po\n{matchers}")),
        &[
            "FG302 hostRules[0].pathMatcher",
            "warning FG302 pathMatchers[0].name",
            "warning FG302 pathMatchers[1].name",
        ],
    );
    check(
        &map(
            "hostRules:\n- hosts: []\n  pathMatcher: pm\n- hosts: [x]\npathMatchers:\n- name: pm\n  defaultService: web\n",
        ),
        &["FG301 hostRules[0].hosts", "FG302 hostRules[1].pathMatcher"],
    );
    let twice = "pathMatchers:\n- name: pm\n  defaultService: web\n- name: pm\n  defaultService: web\n- defaultService: web\n";
    let found = findings(&map(twice), crate::configuration::Dialect::Gcloud);
    assert!(found.contains(&"FG302 pathMatchers[1].name".to_owned()), "{found:?}");
    assert!(found.contains(&"FG302 pathMatchers[2].name".to_owned()), "{found:?}");
}

#[test]
fn it_is_said_once_where_requests_go() {
    check("name: m\n", &["FG308 defaultService"]);
    check(&map("defaultUrlRedirect: {httpsRedirect: true}\n"), &["FG308 defaultService"]);
    check("defaultUrlRedirect: {httpsRedirect: true}\n", &[]);
    check("defaultRouteAction: {weightedBackendServices: [{backendService: web, weight: 1}]}\n", &[]);
    check("defaultRouteAction: {urlRewrite: {pathPrefixRewrite: /x}}\n", &["FG308 defaultService"]);
    check(
        &map("defaultRouteAction: {weightedBackendServices: [{backendService: web, weight: 1}]}\n"),
        &["FG308 defaultService"],
    );
    check(&matcher("pathRules:\n- paths: [/a]\n"), &["FG308 pathMatchers[0].pathRules[0].service"]);
    check("defaultService: projects/p/global/backendServices/\n", &["FG309 defaultService"]);
}

#[test]
fn a_path_matcher_has_path_rules_or_route_rules() {
    let path_rules = "pathRules:\n- paths: [/a]\n  service: web\n";
    let route_rules = "routeRules:\n- priority: 1\n  matchRules: [{prefixMatch: /b}]\n  service: web\n";
    check(&matcher(&format!("{path_rules}{route_rules}")), &["FG303 pathMatchers[0].routeRules"]);
    check(&matcher(&format!("pathRules: []\n{route_rules}")), &[]);
    let rule = |priority: &str| {
        format!("- priority: {priority}\n  matchRules: [{{prefixMatch: /p{priority}}}]\n  service: api\n")
    };
    check(
        &matcher(&format!("routeRules:\n{}{}", rule("1"), rule("1"))),
        &["FG303 pathMatchers[0].routeRules[1].priority"],
    );
    for priority in ["-1", "2147483648", "x"] {
        let found = findings(
            &matcher(&format!("routeRules:\n{}", rule(priority))),
            crate::configuration::Dialect::Gcloud,
        );
        assert!(found.iter().any(|found| found.contains("routeRules[0].priority")), "{priority}: {found:?}");
    }
    check(
        &matcher("routeRules:\n- matchRules: [{prefixMatch: /a}]\n  service: web\n"),
        &["FG303 pathMatchers[0].routeRules[0].priority"],
    );
    check(&route("service: web\n"), &["FG305 pathMatchers[0].routeRules[0].matchRules"]);
    let map = accepted(&matcher(&format!("routeRules:\n{}{}", rule("20"), rule("3"))));
    let Rules::Routes(rules) = &map.path_matchers[0].rules else { panic!("no route rules") };
    assert_eq!(rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(), [3, 20]);
    assert_eq!(rules[0].action.place.path, "pathMatchers[0].routeRules[1]");
}

#[test]
fn paths_of_path_rules() {
    let check_path = |path: &str, expected: &[&str]| {
        check(&matcher(&format!("pathRules:\n- paths: ['{path}']\n  service: web\n")), expected);
    };
    let wrong: &[&str] = &["FG304 pathMatchers[0].pathRules[0].paths[0]"];
    for path in ["/", "/*", "/a", "/a/*", "/a%20b", "/grüße/*"] {
        check_path(path, &[]);
    }
    for path in ["", "a", "*", "/a*", "/*/b", "/**", "/a?b", "/a#b", "/a?b/*"] {
        check_path(path, wrong);
    }
    check_path(&format!("/{}", "a".repeat(1024)), wrong);
    for path in ["/a//b", "/a/../b", "/a/./*", "/a\\b"] {
        check_path(path, &["warning FG316 pathMatchers[0].pathRules[0].paths[0]"]);
    }
    check(
        &matcher("pathRules:\n- paths: [/a, /b/*]\n  service: web\n- paths: [/b/*]\n  service: web\n"),
        &["FG304 pathMatchers[0].pathRules[1].paths[0]"],
    );
}

#[test]
fn conditions_of_route_rules() {
    let check_match = |found: &str, expected: &[&str]| {
        check(&route(&format!("matchRules: [{found}]\nservice: web\n")), expected);
    };
    let at = "pathMatchers[0].routeRules[0].matchRules[0]";
    let code = |code: &str, field: &str| vec![format!("{code} {at}{field}")];
    let check_one = |found: &str, finding: &str, field: &str| {
        let expected = code(finding, field);
        check_match(found, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    };
    for good in [
        "{prefixMatch: /a}",
        "{prefixMatch: ''}",
        "{fullPathMatch: /a, ignoreCase: true}",
        "{pathTemplateMatch: '/a/{b}/{c=**}'}",
        "{prefixMatch: /, headerMatches: [{headerName: X-A, exactMatch: '1', invertMatch: true}]}",
        "{prefixMatch: /, headerMatches: [{headerName: ':method', exactMatch: POST}, {headerName: x-a, rangeMatch: {rangeStart: '1', rangeEnd: '5'}}]}",
        "{prefixMatch: /, headerMatches: [{headerName: x-a, presentMatch: true}, {headerName: x-b, suffixMatch: z}]}",
        "{prefixMatch: /, queryParameterMatches: [{name: a, exactMatch: b}, {name: c, presentMatch: true}]}",
    ] {
        check_match(good, &[]);
    }
    check_one("{}", "FG305", ".prefixMatch");
    check_one("{prefixMatch: /a, fullPathMatch: /a}", "FG305", ".prefixMatch");
    check_one("{prefixMatch: a}", "FG305", ".prefixMatch");
    check_one("{fullPathMatch: ''}", "FG305", ".fullPathMatch");
    check_one("{pathTemplateMatch: '/a/{b', ignoreCase: false}", "FG306", ".pathTemplateMatch");
    check_one("{pathTemplateMatch: '/*/*/*/*/*/*'}", "FG306", ".pathTemplateMatch");
    check_one("{pathTemplateMatch: '/a/*', ignoreCase: true}", "FG305", ".ignoreCase");
    check_one("{prefixMatch: /, headerMatches: [{headerName: x-a}]}", "FG305", ".headerMatches[0]");
    check_one(
        "{prefixMatch: /, headerMatches: [{headerName: x-a, presentMatch: false}]}",
        "FG305",
        ".headerMatches[0]",
    );
    check_one(
        "{prefixMatch: /, headerMatches: [{headerName: x-a, exactMatch: a, prefixMatch: a}]}",
        "FG305",
        ".headerMatches[0]",
    );
    check_one(
        "{prefixMatch: /, headerMatches: [{headerName: x-a, rangeMatch: {rangeStart: 5, rangeEnd: 5}}]}",
        "FG305",
        ".headerMatches[0].rangeMatch",
    );
    check_one(
        "{prefixMatch: /, headerMatches: [{headerName: 'a b', presentMatch: true}]}",
        "FG310",
        ".headerMatches[0].headerName",
    );
    check_one(
        "{prefixMatch: /, headerMatches: [{headerName: ':path', exactMatch: /}]}",
        "FG310",
        ".headerMatches[0].headerName",
    );
    check_one(
        "{prefixMatch: /, queryParameterMatches: [{exactMatch: b}]}",
        "FG305",
        ".queryParameterMatches[0].name",
    );
    check_one(
        "{prefixMatch: /, metadataFilters: [{filterMatchCriteria: MATCH_ALL}]}",
        "FG015",
        ".metadataFilters",
    );
    check_one("{prefixMatch: '/a/*'}", "warning FG316", ".prefixMatch");
    let never = "{prefixMatch: /, headerMatches: [{headerName: X-Forwarded-For, prefixMatch: '10.'}]}";
    check_one(never, "warning FG319", ".headerMatches[0].headerName");
    check_match("{prefixMatch: /, headerMatches: [{headerName: X-Forwarded-Proto, exactMatch: http}]}", &[]);
}

#[test]
fn regular_expressions_are_for_regional_maps() {
    let text = route("matchRules: [{regexMatch: '/a/[0-9]+'}]\nservice: web\n");
    let at = "pathMatchers[0].routeRules[0].matchRules[0].regexMatch";
    check_dialects(&text, &[&format!("FG307 {at}")], &[]);
    check(
        &format!("{text}region: https://www.googleapis.com/compute/v1/projects/p/regions/europe-west1\n"),
        &[],
    );
    check(
        &format!("{text}selfLink: https://www.googleapis.com/compute/v1/projects/p/regions/r/urlMaps/m\n"),
        &[],
    );
    let wrong = route("matchRules: [{regexMatch: '/a('}]\nservice: web\n");
    check_dialects(&wrong, &[&format!("FG307 {at}")], &[&format!("FG307 {at}")]);
    let huge = route("matchRules: [{regexMatch: '(a{1000}){1000}'}]\nservice: web\n");
    check_dialects(&huge, &[&format!("FG307 {at}")], &[&format!("FG307 {at}")]);
}

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
fn tests_of_a_map_are_checked_and_bounded() {
    let check_test = |test: &str, expected: &[&str]| check(&map(&format!("tests: [{test}]\n")), expected);
    check_test("{host: a, path: /, service: web}", &[]);
    check_test("{host: a, path: /, expectedOutputUrl: 'https://b/', expectedRedirectResponseCode: 301}", &[]);
    check_test("{path: /, service: web}", &["FG314 tests[0].host"]);
    check_test("{host: a, path: x, service: web}", &["FG314 tests[0].path"]);
    check_test("{host: a, path: /}", &["FG314 tests[0].service"]);
    check_test(
        "{host: a, path: /, service: web, expectedRedirectResponseCode: 301}",
        &["FG314 tests[0].expectedRedirectResponseCode"],
    );
    let many = vec!["{host: a, path: /, service: web}"; URL_MAP_TESTS_MAX + 1].join(", ");
    check_dialects(&map(&format!("tests: [{many}]\n")), &["FG315 tests"], &[]);
}

#[test]
fn traps_are_told() {
    let path_rules = |rules: &str| matcher(&format!("pathRules:\n{rules}"));
    check(
        &path_rules("- {paths: [/video/*], service: video}\n"),
        &["warning FG317 pathMatchers[0].pathRules[0].paths[0]"],
    );
    check(&path_rules("- {paths: [/video/*, /video], service: video}\n"), &[]);
    check(&path_rules("- {paths: [/video/*], service: video}\n- {paths: [/video], service: other}\n"), &[]);
    check(&path_rules("- {paths: [/video/*], service: web}\n"), &[]);
    check(&path_rules("- {paths: [/*], service: video}\n"), &[]);
    let rule = |priority: u32, matches: &str| {
        format!("- {{priority: {priority}, service: api, matchRules: [{matches}]}}\n")
    };
    let check_routes = |rules: &[String], expected: &[&str]| {
        check(&matcher(&format!("routeRules:\n{}", rules.concat())), expected);
    };
    check_routes(
        &[rule(1, "{prefixMatch: /}"), rule(2, "{prefixMatch: /a}")],
        &["warning FG316 pathMatchers[0].routeRules[1]"],
    );
    check_routes(&[rule(2, "{prefixMatch: /}"), rule(1, "{prefixMatch: /a}")], &[]);
    check_routes(
        &[rule(1, "{prefixMatch: /a}"), rule(2, "{pathTemplateMatch: '/a/{b}'}")],
        &["warning FG316 pathMatchers[0].routeRules[1]"],
    );
    check_routes(
        &[rule(1, "{prefixMatch: /A, ignoreCase: true}"), rule(2, "{fullPathMatch: /a}")],
        &["warning FG316 pathMatchers[0].routeRules[1]"],
    );
    check_routes(&[rule(1, "{prefixMatch: /a}"), rule(2, "{prefixMatch: /A, ignoreCase: true}")], &[]);
    check_routes(
        &[
            rule(1, "{prefixMatch: /, headerMatches: [{headerName: x-a, presentMatch: true}]}"),
            rule(2, "{prefixMatch: /a}"),
        ],
        &[],
    );
    check_routes(
        &[rule(1, "{prefixMatch: /}, {prefixMatch: /, headerMatches: [{headerName: x-a, exactMatch: b}]}")],
        &["warning FG318 pathMatchers[0].routeRules[0].matchRules[1]"],
    );
    check(
        &path_rules("- {paths: [/old/*, /old], urlRedirect: {pathRedirect: /old/new}}\n"),
        &["warning FG312 pathMatchers[0].pathRules[0].paths[0]"],
    );
    check(
        &path_rules(
            "- {paths: [/old/*, /old], urlRedirect: {pathRedirect: /old/new, hostRedirect: b.example}}\n",
        ),
        &[],
    );
    check(
        &route("matchRules: [{prefixMatch: /}]\nurlRedirect: {pathRedirect: /maintenance}\n"),
        &["warning FG312 pathMatchers[0].routeRules[0]"],
    );
}

#[test]
fn services_are_backends() {
    let mut diagnostics = Diagnostics::new();
    let backends = ["web".to_owned(), "api".to_owned()];
    let text = map("tests: [{host: a, path: /, service: apl}]\nhostRules: []\n");
    let dialect = crate::configuration::Dialect::Gcloud;
    assert!(parse("map.yaml", &text, dialect, Some(&backends), &mut diagnostics).is_none());
    let text = diagnostics.to_string();
    assert!(text.contains("there is no backend `apl`") && text.contains("did you mean `api`?"), "{text}");
    let mut diagnostics = Diagnostics::new();
    let bucket =
        "defaultService: https://compute.googleapis.com/compute/v1/projects/p/global/backendBuckets/files\n";
    assert!(parse("map.yaml", bucket, dialect, Some(&backends), &mut diagnostics).is_none());
    assert!(diagnostics.to_string().contains("Cloud Storage"), "{diagnostics}");
}

#[test]
fn a_bucket_is_not_the_backend_service_of_its_name() {
    let bucket = "https://compute.googleapis.com/compute/v1/projects/p/global/backendBuckets/web";
    check(&format!("defaultService: {bucket}\n"), &["FG309 defaultService"]);
    check(
        &format!(
            "defaultRouteAction: {{weightedBackendServices: [{{backendService: {bucket}, weight: 1}}]}}\n"
        ),
        &["FG309 defaultRouteAction.weightedBackendServices[0].backendService"],
    );
    check(
        &map(&format!("defaultRouteAction: {{requestMirrorPolicy: {{backendService: {bucket}}}}}\n")),
        &["FG309 defaultRouteAction.requestMirrorPolicy.backendService"],
    );
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
