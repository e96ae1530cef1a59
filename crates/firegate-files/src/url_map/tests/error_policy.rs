//! What takes the place of errors: what is whole, and which service has the pages.

use super::*;

#[test]
fn what_takes_the_place_of_errors_is_whole() {
    let at = "defaultCustomErrorResponsePolicy.errorResponseRules[0]";
    let check_rule = |service: &str, rule: &str, expected: &[&str]| {
        let text =
            format!("defaultCustomErrorResponsePolicy: {{{service} errorResponseRules: [{{{rule}}}]}}\n");
        check(&map(&text), expected);
    };
    let service = "errorService: web,";
    check_rule(service, "matchResponseCodes: ['404', 5xx], path: /e.html", &[]);
    check_rule("", "matchResponseCodes: ['404'], overrideResponseCode: 410", &[]);
    for (service, rule, expected) in [
        (service, "path: /e.html", ""),
        (service, "matchResponseCodes: ['404']", ""),
        ("", "matchResponseCodes: ['404'], path: /e.html", ""),
        (service, "matchResponseCodes: ['404'], overrideResponseCode: 600", ""),
        (service, "matchResponseCodes: ['404'], overrideResponseCode: 103", ""),
        (service, "matchResponseCodes: ['404'], overrideResponseCode: 204", ""),
        ("", "matchResponseCodes: ['404'], overrideResponseCode: 205", ""),
        (service, "matchResponseCodes: ['404'], path: /e.html, overrideResponseCode: 304", ""),
        (service, "matchResponseCodes: ['404'], path: e.html", ".path"),
        (service, "matchResponseCodes: ['301'], path: /e.html", ".matchResponseCodes[0]"),
        (service, "matchResponseCodes: [4xx, 4xx], path: /e.html", ".matchResponseCodes[1]"),
    ] {
        check_rule(service, rule, &[&format!("FG321 {at}{expected}")]);
    }
}

#[test]
fn the_path_of_a_page_has_one_reading() {
    let check_path = |path: &str, is_taken: bool| {
        let text = format!(
            "defaultCustomErrorResponsePolicy: {{errorService: web, errorResponseRules: [{{matchResponseCodes: ['404'], path: '{path}'}}]}}\n"
        );
        let at = "FG321 defaultCustomErrorResponsePolicy.errorResponseRules[0].path";
        let expected: &[&str] = if is_taken { &[] } else { &[at] };
        check(&map(&text), expected);
    };
    for path in
        ["/", "/errors/404.html", "/a/", "/not%20found.html", "/%C3%BC?x=/../%61;", "/a.b/.c", "/x=1,2@:"]
    {
        check_path(path, true);
    }
    for path in [
        "/a//b",
        "//a",
        "/a/../b",
        "/a/.",
        "/%61",
        "/%2e%2e/b",
        "/a%2Fb",
        "/a%5Cb",
        "/a%25b",
        "/%c3%bc",
        "/%C3",
        "/%C0%AE",
        "/a%",
        "/a%2",
        "/a%+1",
        "/a;x",
        "/..;/a",
        "/a%3Bx",
        "/ü",
        "/a%00",
        "/a%7F",
        "/a|b",
        "/.well-known/firegate/x",
    ] {
        check_path(path, false);
    }
}

#[test]
fn the_service_of_pages_is_that_of_the_nearest_level() {
    let own =
        "customErrorResponsePolicy: {errorResponseRules: [{matchResponseCodes: ['404'], path: /e.html}]}";
    let of_matcher = "defaultCustomErrorResponsePolicy: {errorService: of-matcher, errorResponseRules: []}\n";
    let of_map =
        "defaultCustomErrorResponsePolicy: {errorService: backendBuckets/of-map, errorResponseRules: []}\n";
    let paths = format!("pathRules: [{{paths: [/a], service: web, {own}}}]\n");
    let routes =
        format!("routeRules: [{{priority: 1, matchRules: [{{prefixMatch: /a}}], service: web, {own}}}]\n");
    for rules in [&paths, &routes] {
        let service = |text: &str| {
            let map = accepted(text);
            let found = map.error_policies().find(|(_, policy)| !policy.rules.is_empty());
            found
                .and_then(|(_, policy)| Some(policy.service.as_ref()?.as_str().to_owned()))
                .expect("a service")
        };
        assert_eq!(service(&format!("{}{of_map}", matcher(rules))), "of-map");
        assert_eq!(service(&format!("{}{of_map}", matcher(&format!("{rules}{of_matcher}")))), "of-matcher");
        let named = rules.replace("errorResponseRules", "errorService: of-rule, errorResponseRules");
        assert_eq!(service(&format!("{}{of_map}", matcher(&format!("{named}{of_matcher}")))), "of-rule");
    }
    let at = |list: &str| {
        format!("FG321 pathMatchers[0].{list}[0].customErrorResponsePolicy.errorResponseRules[0]")
    };
    check(&matcher(&paths), &[&at("pathRules")]);
    check(&matcher(&routes), &[&at("routeRules")]);
    let beside = format!("{}- name: pn\n  defaultService: web\n  {of_matcher}", matcher(&paths));
    check(&beside, &[&at("pathRules"), "warning FG302 pathMatchers[1].name"]);
}
