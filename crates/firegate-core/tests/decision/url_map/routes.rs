//! Which route a request takes, and what it is called.

use super::*;

#[test]
fn hosts_lead_to_path_matchers_and_the_rest_to_the_default() {
    let map = Map::of(
        "hostRules:\n- hosts: [www.example.com, '*.example.org']\n  pathMatcher: a\n- hosts: ['*.video.example.org']\n  \
         pathMatcher: b\npathMatchers:\n- name: a\n  defaultService: api\n- name: b\n  defaultService: video\n",
    );
    map.check("www.example.com/x", "api /x");
    map.check("WWW.EXAMPLE.COM:443/x", "api /x");
    map.check("a.example.org/x", "api /x");
    map.check("a.video.example.org/x", "video /x");
    map.check("example.com/x", "web /x");
}

#[test]
fn path_rules_are_exact_or_the_longest_prefix() {
    let map = Map::matcher(
        "pathRules:\n- paths: [/video, /video/*]\n  service: video\n- paths: [/video/hd/*]\n  service: api\n- paths: [/only/*, '/grün/*']\n  service: api\n",
    );
    map.check("a/video", "video /video");
    map.check("a/video/x", "video /video/x");
    map.check("a/video/hd", "video /video/hd");
    map.check("a/video/hd/x", "api /video/hd/x");
    map.check("a/only/", "api /only/");
    map.check("a/only", "web /only");
    map.check("a/VIDEO/x", "web /VIDEO/x");
    map.check("a/x/../video/x", "video /video/x");
    map.check("a/gr%C3%BCn/x", "api /gr%C3%BCn/x");
    map.check("a/video/x?y=/only/", "video /video/x");
}

/// Google sends `/SECRET/x` to the default, where a server that ignores case answers as if it were let through as `/secret/x`.
#[test]
fn a_path_that_is_anothers_but_for_its_capital_letters_goes_nowhere() {
    const NOWHERE: &str = "REQUEST_MALFORMED";
    let map = Map::matcher(
        "pathRules:\n- paths: [/secret, /secret/*]\n  service: secret\n- paths: [/video/*]\n  service: video\n\
         - paths: [/Docs/*]\n  service: api\n- paths: [/docs/*]\n  service: secret\n- paths: [/Far/*]\n  \
         urlRedirect: {pathRedirect: /, stripQuery: false}\n",
    );
    for path in ["a/SECRET", "a/Secret/x", "a/x/../sECRET/", "a/DOCS/x", "a/far/x", "a/;x/Secret/"] {
        map.check(path, NOWHERE);
    }
    // Said letter by letter.
    map.check("a/Docs/x", "api /Docs/x");
    map.check("a/docs/x", "secret /docs/x");
    map.check("a/Secrets/X", "web /Secrets/X");
    // As in Google: whoever may call one service may call the other.
    map.check("a/VIDEO/x", "web /VIDEO/x");

    let map = Map::matcher(
        "routeRules:\n\
         - priority: 1\n  service: api\n  matchRules: [{pathTemplateMatch: '/Users/{id}'}]\n\
         - priority: 2\n  service: secret\n  matchRules: [{prefixMatch: /users/}, {fullPathMatch: /Who}, {prefixMatch: /t/, headerMatches: [{headerName: x-kind, exactMatch: a}]}]\n\
         - priority: 3\n  service: video\n  matchRules: [{prefixMatch: /Users/}, {prefixMatch: /t, ignoreCase: true}]\n\
         - priority: 4\n  service: secret\n  matchRules: [{fullPathMatch: /last}]\n",
    );
    map.check("a/Users/5", "api /Users/5");
    map.check("a/users/5", "secret /users/5");
    map.check("a/USERS/5", NOWHERE);
    map.check("a/Users/5/6", "video /Users/5/6");
    map.check("a/who", NOWHERE);
    map.check("a/Who", "secret /Who");
    map.check("a/T/x", "video /T/x");
    map.check_with("a/T/x", &[("x-kind", "a")], NOWHERE);
    map.check("a/LAST", NOWHERE);
}

/// The same for templates, and for what is written down in regular expressions.
#[test]
fn a_path_that_is_a_patterns_but_for_its_capital_letters_goes_nowhere() {
    const NOWHERE: &str = "REQUEST_MALFORMED";
    let map = Map::matcher_in(
        "firegate",
        "routeRules:\n\
                 - priority: 1\n  service: secret\n  matchRules: [{pathTemplateMatch: '/users/{id}/Posts'}, {regexMatch: '/v[0-9]+/(Key|lock)s'}]\n\
                 - priority: 2\n  service: video\n  matchRules: [{pathTemplateMatch: '/clips/{id}'}, {regexMatch: '/films/.*'}]\n\
                 - priority: 3\n  service: api\n  matchRules: [{regexMatch: '/USERS/[0-9]+/posts'}, {pathTemplateMatch: '/V1/{rest=**}'}]\n\
                 - priority: 4\n  service: secret\n  matchRules: [{pathTemplateMatch: '/{any}/last'}]\n",
    );
    map.check("a/users/VQhSP/Posts", "secret /users/VQhSP/Posts");
    map.check("a/users/VQhSP/posts", NOWHERE);
    map.check("a/USERS/x/Posts", NOWHERE);
    map.check("a/users/x/POSTS/y", "web /users/x/POSTS/y");
    map.check("a/v1/locks", "secret /v1/locks");
    map.check("a/v1/keys", NOWHERE);
    map.check("a/V2/Keys", NOWHERE);
    // Who may call one service may call the other.
    map.check("a/CLIPS/1", "web /CLIPS/1");
    map.check("a/FILMS/1", "web /FILMS/1");
    // What was found says as much in these very letters, or less.
    map.check("a/USERS/5/posts", "api /USERS/5/posts");
    map.check("a/V1/locks", NOWHERE);
    map.check("a/V1/other", "api /V1/other");
    map.check("a/x/LAST", NOWHERE);
    map.check("a/X/last", "secret /X/last");
}

#[test]
fn route_rules_are_tried_by_priority() {
    let map = Map::matcher(
        "routeRules:\n\
         - priority: 30\n  service: video\n  matchRules:\n  - prefixMatch: /\n    headerMatches: [{headerName: x-kind, exactMatch: video}]\n  - prefixMatch: /\n    queryParameterMatches: [{name: kind, exactMatch: video}]\n\
         - priority: 10\n  service: api\n  matchRules: [{fullPathMatch: /API, ignoreCase: true}, {pathTemplateMatch: '/v1/{thing}/**'}]\n\
         - priority: 25\n  service: secret\n  matchRules: [{prefixMatch: /, queryParameterMatches: [{name: level, exactMatch: high}]}]\n\
         - priority: 20\n  service: secret\n  matchRules: [{prefixMatch: /v1/, headerMatches: [{headerName: x-kind, presentMatch: true, invertMatch: true}]}]\n",
    );
    map.check("a/api", "api /api");
    map.check("a/api/x", "web /api/x");
    map.check("a/v1/x/y", "api /v1/x/y");
    map.check("a/v1/x", "secret /v1/x");
    map.check_with("a/v1/x", &[("x-kind", "video")], "video /v1/x");
    map.check_with("a/v1/x", &[("x-kind", "other")], "web /v1/x");
    map.check("a/x?kind=video", "video /x");
    map.check("a/x?kind=other&kind=audio", "web /x");
    map.check("a/x?kind=video&kind=video", "video /x");
    // The first counts. Services may take the last, which matters where others may call.
    map.check("a/x?kind=other&kind=video", "web /x");
    map.check("a/x?level=high", "secret /x");
    map.check("a/x?level=low&level=high", "REQUEST_MALFORMED");
    map.check("a/x?level=high&level=low", "REQUEST_MALFORMED");
}

/// What is near, each as `pattern: why`, and by which patterns of host and path the request goes.
fn traced(map: &Map, asked: &Asked) -> (Option<String>, Option<String>, Vec<String>) {
    asked.with_facts(|facts| {
        let trace = map.0.routes.trace(facts);
        let near = trace.near.iter().map(|near| format!("{}: {}", near.pattern, near.why));
        (trace.host, trace.path, near.collect())
    })
}

#[test]
fn what_is_near_is_told_and_what_stands_behind_is_not() {
    let by_path = Map::of(
        "hostRules:\n- hosts: [www.example.com, '*.example.org']\n  pathMatcher: a\npathMatchers:\n- name: a\n  defaultService: api\n  \
         pathRules:\n  - paths: [/video/*, /Audio]\n    service: video\n",
    );
    let check = |map: &Map, url: &str, host: Option<&str>, path: Option<&str>, near: &[&str]| {
        let found = traced(map, &Asked::get(url));
        assert_eq!((found.0.as_deref(), found.1.as_deref()), (host, path), "{url}");
        assert_eq!(found.2, near, "{url}");
    };
    let www = Some("www.example.com");
    check(&by_path, "www.example.com/video/x", www, Some("/video/*"), &[]);
    check(&by_path, "a.example.org/Audio", Some("*.example.org"), Some("/Audio"), &[]);
    let video = "/video/*: it is for \"/video/\", and the path is \"/video\"";
    check(&by_path, "www.example.com/video", www, None, &[video]);
    let audio = "/Audio: it is for \"/Audio\", and the path is \"/Audio/\"";
    check(&by_path, "www.example.com/Audio/", www, None, &[audio]);
    check(&by_path, "www.example.com/vidoe/", www, None, &["/video/*: the path is \"/vidoe/\""]);
    let host = "www.example.com: the request is for the host \"ww.example.com\"";
    check(&by_path, "ww.example.com/", None, None, &[host]);

    let by_rules = Map::matcher(
        "routeRules:\n\
         - priority: 10\n  service: api\n  matchRules: [{prefixMatch: /v1/, headerMatches: [{headerName: x-kind, exactMatch: video}]}]\n\
         - priority: 20\n  service: video\n  matchRules: [{prefixMatch: /v1/}]\n\
         - priority: 30\n  service: secret\n  matchRules: [{fullPathMatch: /v1/x, queryParameterMatches: [{name: a, presentMatch: true}]}]\n",
    );
    let kind = "/v1/*: its condition on headers is not fulfilled: x-kind = \"video\"";
    check(&by_rules, "a.example/v1/x", Some("*"), Some("/v1/*"), &[kind]);
    Asked::get("a.example/v1/x").with_facts(|facts| {
        assert_eq!(by_rules.0.routes.headers_asked(facts), ["x-kind"]);
        let place = by_rules.0.routes.place(facts).expect("a rule");
        assert_eq!(place.path, "pathMatchers[0].routeRules[1]");
    });
}

#[test]
fn regular_expressions_match_whole_paths() {
    let map = Map::matcher_in(
        "firegate",
        "routeRules:\n- priority: 1\n  service: api\n  matchRules: [{regexMatch: '/v[0-9]+/(a|b)'}]\n  routeAction: {urlRewrite: {regexRewrite: {pathPattern: '^/v([0-9]+)/', pathSubstitution: '/version/\\1/'}}}\n",
    );
    map.check("x/v12/a", "api /version/12/a");
    map.check("x/v12/ab", "web /v12/ab");
    map.check("x/y/v12/a", "web /y/v12/a");
}

#[test]
fn an_encoded_slash_leads_to_the_same_route_however_it_is_read() {
    let map = Map::matcher(
        "pathRules:\n- paths: [/files/*]\n  service: api\n- paths: [/files/secret/*]\n  service: secret\n- paths: [/plain/*]\n  service: web\n",
    );
    map.check("a/files/x%2Fy", "api /files/x%2Fy");
    map.check("a/files/secret%2Fx", "REQUEST_MALFORMED");
    map.check("a/files%2Fx/y", "REQUEST_MALFORMED");
    map.check("a/plain/x%2Fy", "REQUEST_MALFORMED");
    let map = Map::matcher(
        "routeRules:\n- priority: 1\n  service: secret\n  matchRules: [{pathTemplateMatch: '/{a}/{b}/secret'}]\n- priority: 2\n  service: api\n  matchRules: [{prefixMatch: /}]\n",
    );
    map.check("a/x%2Fy/secret", "REQUEST_MALFORMED");
    map.check("a/x%2Fy/open", "api /x%2Fy/open");
}

/// The metrics call routes by these names: the words of the file, which stay when a rule is put before another.
#[test]
fn routes_are_named_by_the_words_of_the_file() {
    let map = Map::of(
        "hostRules:\n- {hosts: [a.example], pathMatcher: a}\n- {hosts: [b.example], pathMatcher: b}\npathMatchers:\n\
         - name: a\n  defaultUrlRedirect: {hostRedirect: b.example}\n  pathRules:\n  - {paths: [/x, /x/*], service: api}\n\
         - name: b\n  defaultService: web\n  routeRules:\n\
         \x20 - {priority: 20, matchRules: [{prefixMatch: /x}, {fullPathMatch: /y}], service: api}\n\
         \x20 - priority: 3\n    matchRules: [{prefixMatch: /z}]\n    routeAction: {weightedBackendServices: [{backendService: api, weight: 1}, {backendService: video, weight: 1}]}\n",
    );
    let named = map.0.routes.named().map(|route| {
        let leads_to = route.backends().map(|backend| backend.name.as_str()).collect::<Vec<_>>().join("+");
        format!("{} -> {}", route.name, if route.is_redirect() { "a redirect" } else { &leads_to })
    });
    let expected = [
        "a /x -> api",
        "a /x/* -> api",
        "a default -> a redirect",
        "b priority 3 -> api+video",
        "b priority 20 -> api",
        "b default -> web",
        "default -> web",
    ];
    assert_eq!(named.collect::<Vec<_>>(), expected);
    for (url, expected) in [
        ("a.example/x", "a /x"),
        ("a.example/x/y", "a /x/*"),
        ("b.example/y", "b priority 20"),
        ("b.example/other", "b default"),
        ("c.example/x", "default"),
    ] {
        let found = Asked::get(url).with_facts(|facts| map.0.routes.select(facts).expect("a route"));
        let number = found.entry().expect("a service").route();
        let name = map.0.routes.named().find(|route| route.number == number).map(|route| &*route.name);
        assert_eq!(name, Some(expected), "{url}");
    }
}

#[test]
fn the_host_chooses_a_route_and_never_what_is_allowed() {
    let map = Map::of(
        "hostRules:\n- hosts: [open.example.com]\n  pathMatcher: open\npathMatchers:\n- name: open\n  defaultService: api\n  pathRules:\n  - {paths: [/secret/*], service: secret}\n",
    );
    let decide = |url: &str| {
        map.decide(&Asked::get(url), |step| match step {
            Step::Done(Outcome::Permit(permit)) => {
                let place = permit.route().expect("a route").place().to_string();
                Ok((permit.backend().name.clone(), permit.backend().endpoint().audience.clone(), place))
            }
            Step::Done(Outcome::Denial(denial)) => Err(denial.reason.code()),
            step => panic!("{step:?}"),
        })
    };
    for host in ["open.example.com", "web.example.com", "secret.example.com", "anything"] {
        let found = decide(&format!("{host}/secret/x"));
        let expected = match host {
            "open.example.com" => Err(Code::TokenMissing),
            _ => Ok((
                "web".to_owned(),
                "https://web.example.com".to_owned(),
                "map.yaml:2 (defaultService)".to_owned(),
            )),
        };
        assert_eq!(found, expected, "{host}");
    }
    let place = "map.yaml:8 (pathMatchers[0].defaultService)";
    let expected = ("api".to_owned(), "https://api.example.com".to_owned(), place.to_owned());
    assert_eq!(decide("open.example.com/x"), Ok(expected));
}

#[test]
fn weights_share_requests_and_one_request_keeps_its_service() {
    let map = Map::whole(
        "name: m\ndefaultRouteAction: {weightedBackendServices: [{backendService: api, weight: 90}, {backendService: video, weight: 10}, {backendService: secret, weight: 0}]}\n",
        "gcloud",
    );
    let name = |random: u64| map.ask(&Asked { random, ..Asked::get("a/") });
    let count = |expected: &str| (0..10_000).filter(|random| name(*random) == expected).count();
    let (api, video, secret) = (count("api /"), count("video /"), count("secret /"));
    assert!((8_800..9_200).contains(&api), "{api}");
    assert_eq!((api + video, secret), (10_000, 0));
    assert!((0..100).all(|random| name(random) == name(random)));
}

#[test]
fn the_maps_own_tests_are_run() {
    let failures = |tests: &str| {
        let text = format!(
            "name: m\ndefaultService: web\n{}tests:\n{tests}",
            matcher(
                "pathRules:\n- paths: [/video/*]\n  service: video\n  routeAction: {urlRewrite: {pathPrefixRewrite: /v/}}\n- paths: [/old/*]\n  urlRedirect: {hostRedirect: b.example, prefixRedirect: /new/, redirectResponseCode: FOUND}\n"
            )
        );
        let configuration = configuration(&text, "gcloud");
        let Routing::UrlMap(map) = &configuration.routing else { panic!("no map") };
        let found = Snapshot::compile(&configuration).routes.run_tests(map);
        found
            .into_iter()
            .map(|failure| format!("{}: {}", failure.place.path, failure.message))
            .collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(failures("- {host: a, path: /video/x, service: global/backendServices/video}\n"), none);
    assert_eq!(
        failures("- {host: a, path: '/video/x?q', service: video, expectedOutputUrl: 'https://a/v/x?q'}\n"),
        none
    );
    assert_eq!(
        failures(
            "- {host: a, path: '/old/x?q', expectedOutputUrl: 'http://b.example/new/x?q', expectedRedirectResponseCode: 302}\n"
        ),
        none
    );
    assert_eq!(
        failures(
            "- {host: a, path: /x, service: video}\n- {host: a, path: /video/x, service: video, expectedOutputUrl: a/x}\n- {host: a, path: /old/x, expectedRedirectResponseCode: 301}\n- {host: a, path: /old/x, service: web}\n"
        ),
        [
            "tests[0]: expected the service `video`, and it goes to web, by map.yaml:8 (pathMatchers[0].defaultService)",
            "tests[1]: expected the service to get a/x, and it gets http://a/v/x, by map.yaml:10 (pathMatchers[0].pathRules[0])",
            "tests[2]: expected a redirect with 301, and it is one with 302, by map.yaml:13 (pathMatchers[0].pathRules[1])",
            "tests[3]: expected the service `web`, and it is redirected to http://b.example/new/x, by map.yaml:13 (pathMatchers[0].pathRules[1])",
        ]
    );
}
