//! What a route makes of a request: another path, another place, other headers, a copy.

use super::*;

#[test]
fn paths_are_rewritten_and_checked_again() {
    let map = Map::matcher(
        "pathRules:\n- paths: [/old/*, /old]\n  service: api\n  routeAction: {urlRewrite: {pathPrefixRewrite: /new/}}\n\
         - paths: [/own/*]\n  service: api\n  routeAction: {urlRewrite: {pathPrefixRewrite: /.well-known/}}\n",
    );
    map.check("a/old/x", "api /new/x");
    map.check("a/old", "api /new/");
    map.check("a/old/x%2Fy", "api /new/x%2Fy");
    map.check("a/own/firegate/jwks.json", "ROUTE_NOT_FOUND");
    map.check("a/own/firegate%2Fjwks.json", "ROUTE_NOT_FOUND");
    map.check("a/own/other", "api /.well-known/other");
    let map = Map::matcher(
        "routeRules:\n- priority: 1\n  service: api\n  matchRules: [{prefixMatch: /old}]\n  routeAction: {urlRewrite: {pathPrefixRewrite: /new/}}\n",
    );
    map.check("a/old../secret", "REQUEST_MALFORMED");
    map.check("a/older", "api /new/er");
}

#[test]
fn redirects_are_answered_by_their_own_rules() {
    let map = Map::whole("name: m\ndefaultUrlRedirect: {httpsRedirect: true}\nhostRules: []\n", "gcloud");
    map.check("http://a.example/x?y=1", "301 https://a.example/x?y=1");
    map.check("https://a.example/x", "REDIRECT_LOOP");
    let map = Map::matcher(
        "routeRules:\n\
         - priority: 1\n  matchRules: [{prefixMatch: /docs/}]\n  urlRedirect: {hostRedirect: docs.example.com, prefixRedirect: /, stripQuery: true, redirectResponseCode: FOUND}\n",
    );
    map.check("https://a.example/docs/x?y", "302 https://docs.example.com/x");
}

#[test]
fn header_actions_act_in_googles_order() {
    let add = |value: &str| {
        format!("{{requestHeadersToAdd: [{{headerName: x-way, headerValue: {value}, replace: false}}]}}")
    };
    let map = Map::whole(
        &format!(
            "name: m\ndefaultService: web\nheaderAction: {}\nhostRules: [{{hosts: ['*'], pathMatcher: pm}}]\npathMatchers:\n- name: pm\n  defaultService: web\n  headerAction: {}\n  routeRules:\n  - priority: 1\n    matchRules: [{{prefixMatch: /}}]\n    headerAction: {}\n    routeAction: {{weightedBackendServices: [{{backendService: api, weight: 1, headerAction: {}}}]}}\n",
            add("map"),
            add("matcher"),
            add("rule"),
            add("service"),
        ),
        "gcloud",
    );
    Asked::get("a/").with_facts(|facts| {
        let Ok(Routed::To(entry)) = map.0.routes.select(facts) else { panic!("a service") };
        let mut headers = HeaderMap::new();
        let facts = HeaderFacts {
            client_address: [127, 0, 0, 1].into(),
            is_encrypted: false,
            protocol: "HTTP/1.1",
            geography: None,
            client_port: None,
            server: None,
            tls_version: None,
        };
        entry.headers().expect("actions").change_request(&mut headers, &facts);
        let values = headers.get_all("x-way").iter().map(|value| value.to_str().expect("text"));
        assert_eq!(values.collect::<Vec<_>>(), ["service", "rule", "matcher", "map"]);
    });
}

#[test]
fn a_rules_own_cross_origin_policy_answers_preflights() {
    let map = Map::matcher(
        "pathRules:\n- paths: [/api/*]\n  service: api\n  routeAction: {corsPolicy: {allowOrigins: ['https://app.example'], allowMethods: [GET, PUT], allowHeaders: [X-Custom], exposeHeaders: [X-Total], maxAge: 60}}\n\
         - paths: [/off/*]\n  service: api\n  routeAction: {corsPolicy: {allowOrigins: ['*'], disabled: true}}\n",
    );
    let decide = |path: &str, origin: &str, method: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", "x-custom"),
        ];
        let preflight = Asked { method: Method::OPTIONS, ..Asked::get(path) }.headers(&headers);
        map.decide(&preflight, |step| match step {
            Step::Done(Outcome::Respond(Respond::Preflight(answer))) => {
                Ok(answer.headers["access-control-max-age"].to_str().expect("text").to_owned())
            }
            Step::Done(Outcome::Denial(denial)) => Err(denial.reason.code().to_string()),
            Step::Done(Outcome::Permit(_)) => Err("forwarded".to_owned()),
            step => panic!("{step:?}"),
        })
    };
    assert_eq!(decide("a/api/x", "https://app.example", "PUT"), Ok("60".to_owned()));
    assert_eq!(decide("a/api/x", "https://app.example", "DELETE"), Err("CORS_ORIGIN_NOT_ALLOWED".to_owned()));
    assert_eq!(decide("a/api/x", "https://evil.example", "PUT"), Err("CORS_ORIGIN_NOT_ALLOWED".to_owned()));
    assert_eq!(decide("a/off/x", "https://app.example", "PUT"), Err("forwarded".to_owned()));
    assert_eq!(decide("a/x", "https://app.example", "PUT"), Err("forwarded".to_owned()));
}

#[test]
fn a_copy_goes_where_the_mirrors_own_bindings_let_it_and_nowhere_else() {
    let mirrored = |service: &str, percent: u8| {
        let map = Map::of(&format!(
            "defaultRouteAction: {{requestMirrorPolicy: {{backendService: {service}, mirrorPercent: {percent}}}}}\n"
        ));
        map.decide(&Asked::get("a/x"), |step| match step {
            Step::Done(Outcome::Permit(permit)) => permit.mirror().map(|mirror| {
                assert!(mirror.route().is_none() && mirror.mirror().is_none());
                mirror.backend().endpoint().audience.clone()
            }),
            step => panic!("{step:?}"),
        })
    };
    assert_eq!(mirrored("api", 100).as_deref(), Some("https://api.example.com"));
    assert_eq!(mirrored("api", 0), None);
    assert_eq!(mirrored("secret", 100), None, "nobody in particular may call it");
}
