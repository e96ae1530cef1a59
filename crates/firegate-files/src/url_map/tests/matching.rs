//! What hosts, path matchers and rules may ask of a request.

use super::*;

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
    let found = findings(&map(twice), firegate_expr::Dialect::Gcloud);
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
        let found =
            findings(&matcher(&format!("routeRules:\n{}", rule(priority))), firegate_expr::Dialect::Gcloud);
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
