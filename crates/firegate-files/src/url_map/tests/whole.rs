//! What holds for a map as a whole: its tests, the services that it names, and what nobody means.

use super::*;
use crate::limits::URL_MAP_TESTS_MAX;

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
    let dialect = firegate_expr::Dialect::Gcloud;
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
