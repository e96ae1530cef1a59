//! URL maps, from the files to where a request goes.

use std::io;
use std::path::Path;

use firegate_core::decision::{Decision, Outcome, Respond, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KeyRing, NoKnownAccounts};
use firegate_core::limiter::NoCounters;
use firegate_core::path::NormalPath;
use firegate_core::reason::Code;
use firegate_core::route::{HeaderFacts, Routed};
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_files::Configuration;
use firegate_files::configuration::{NamedFiles, Routing, parse_with_files};
use http::{HeaderMap, HeaderName, Method};

/// A file that every name leads to.
struct TheFile<'a>(&'a str);

impl NamedFiles for TheFile<'_> {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.to_owned())
    }
}

fn configuration(map: &str, dialect: &str) -> Configuration {
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: {{ file: map.yaml, dialect: {dialect} }}\nbackends:\n  \
         web: https://web.example.com\n  api: {{ url: https://api.example.com, encoded_slash: forward }}\n  \
         video: https://video.example.com\n  secret: {{ url: https://secret.example.com, allow: [allAuthenticatedUsers] }}\n"
    );
    parse_with_files("firegate.yaml", &text, &TheFile(map)).unwrap_or_else(|found| panic!("{found}"))
}

/// The routes of a map whose default service is `web`.
struct Map(Snapshot);

impl Map {
    fn of(lines: &str) -> Self {
        Self::whole(&format!("name: m\ndefaultService: global/backendServices/web\n{lines}"), "gcloud")
    }

    fn whole(text: &str, dialect: &str) -> Self {
        Self(Snapshot::compile(&configuration(text, dialect)))
    }

    /// With one path matcher for all hosts.
    fn matcher(lines: &str) -> Self {
        Self::of(&matcher(lines))
    }

    /// Where a request goes: `backend path`, or `status location`; or how it is refused.
    fn ask(&self, request: &Asked) -> String {
        request.with_facts(|facts| match self.0.routes.select(facts) {
            Ok(Routed::To(entry)) => format!("{} {}", entry.backend().name, entry.path(&facts.path).as_str()),
            Ok(Routed::Redirect(_, answer)) => {
                format!("{} {}", answer.status.as_u16(), answer.location.to_str().expect("text"))
            }
            Err(reason) => reason.code().to_string(),
        })
    }

    #[track_caller]
    fn check(&self, url: &str, expected: &str) {
        assert_eq!(self.ask(&Asked::get(url)), expected, "{url}");
    }

    #[track_caller]
    fn check_with(&self, url: &str, headers: &[(&str, &str)], expected: &str) {
        assert_eq!(self.ask(&Asked::get(url).headers(headers)), expected, "{url} {headers:?}");
    }
}

fn matcher(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "hostRules:\n- hosts: ['*']\n  pathMatcher: pm\npathMatchers:\n- name: pm\n  defaultService: web\n{lines}"
    )
}

struct Asked {
    method: Method,
    scheme: &'static str,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    random: u64,
}

impl Asked {
    fn get(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Self {
            method: Method::GET,
            scheme: if scheme == "http" { "http" } else { "https" },
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: HeaderMap::new(),
            random: 0,
        }
    }

    fn headers(mut self, pairs: &[(&str, &str)]) -> Self {
        for (name, value) in pairs {
            self.headers.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
        }
        self
    }

    fn with_facts<T>(&self, ask: impl FnOnce(&RequestFacts<'_>) -> T) -> T {
        ask(&RequestFacts {
            scheme: self.scheme,
            host: &self.host,
            query: self.query.as_deref(),
            random: self.random,
            ..RequestFacts::of(&self.method, NormalPath::parse(&self.path).expect("a path"), &self.headers)
        })
    }
}

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

#[test]
fn route_rules_are_tried_by_priority() {
    let map = Map::matcher(
        "routeRules:\n\
         - priority: 30\n  service: video\n  matchRules:\n  - prefixMatch: /\n    headerMatches: [{headerName: x-kind, exactMatch: video}]\n  - prefixMatch: /\n    queryParameterMatches: [{name: kind, exactMatch: video}]\n\
         - priority: 10\n  service: api\n  matchRules: [{fullPathMatch: /API, ignoreCase: true}, {pathTemplateMatch: '/v1/{thing}/**'}]\n\
         - priority: 20\n  service: secret\n  matchRules: [{prefixMatch: /v1/, headerMatches: [{headerName: x-kind, presentMatch: true, invertMatch: true}]}]\n",
    );
    map.check("a/api", "api /api");
    map.check("a/api/x", "web /api/x");
    map.check("a/v1/x/y", "api /v1/x/y");
    map.check("a/v1/x", "secret /v1/x");
    map.check_with("a/v1/x", &[("x-kind", "video")], "video /v1/x");
    map.check_with("a/v1/x", &[("x-kind", "other")], "web /v1/x");
    map.check("a/x?kind=video", "video /x");
    map.check("a/x?kind=other&kind=video", "web /x");
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
    let map = Map::whole(
        &format!(
            "name: m\ndefaultService: web\n{}",
            matcher(
                "routeRules:\n- priority: 1\n  service: api\n  matchRules: [{regexMatch: '/v[0-9]+/(a|b)'}]\n  routeAction: {urlRewrite: {regexRewrite: {pathPattern: '^/v([0-9]+)/', pathSubstitution: '/version/\\1/'}}}\n",
            )
        ),
        "firegate",
    );
    map.check("x/v12/a", "api /version/12/a");
    map.check("x/v12/ab", "web /v12/ab");
    map.check("x/y/v12/a", "web /y/v12/a");
}

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

#[test]
fn redirects_are_answered_by_their_own_rules() {
    let map = Map::whole(
        &format!("name: m\ndefaultUrlRedirect: {{httpsRedirect: true}}\nhostRules: []\n{}", ""),
        "gcloud",
    );
    map.check("http://a.example/x?y=1", "301 https://a.example/x?y=1");
    map.check("https://a.example/x", "REDIRECT_LOOP");
    let map = Map::matcher(
        "routeRules:\n\
         - priority: 1\n  matchRules: [{prefixMatch: /docs/}]\n  urlRedirect: {hostRedirect: docs.example.com, prefixRedirect: /, stripQuery: true, redirectResponseCode: FOUND}\n",
    );
    map.check("https://a.example/docs/x?y", "302 https://docs.example.com/x");
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
        Asked::get(url).with_facts(|facts| {
            let keys = KeyRing::default();
            let world = World {
                snapshot: &map.0,
                keys: &keys,
                accounts: &NoKnownAccounts,
                counters: &NoCounters,
                now: UnixTime::from_seconds(0),
            };
            match Decision::start(facts, &world) {
                Step::Done(Outcome::Permit(permit)) => {
                    let place = permit.route().expect("a route").place().to_string();
                    Ok((permit.backend().name.clone(), permit.backend().endpoint().audience.clone(), place))
                }
                Step::Done(Outcome::Denial(denial)) => Err(denial.reason.code()),
                step => panic!("{step:?}"),
            }
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
        Asked { method: Method::OPTIONS, ..Asked::get(path) }.headers(&headers).with_facts(|facts| {
            let keys = KeyRing::default();
            let world = World {
                snapshot: &map.0,
                keys: &keys,
                accounts: &NoKnownAccounts,
                counters: &NoCounters,
                now: UnixTime::from_seconds(0),
            };
            match Decision::start(facts, &world) {
                Step::Done(Outcome::Respond(Respond::Preflight(answer))) => {
                    Ok(answer.headers["access-control-max-age"].to_str().expect("text").to_owned())
                }
                Step::Done(Outcome::Denial(denial)) => Err(denial.reason.code().to_string()),
                Step::Done(Outcome::Permit(_)) => Err("forwarded".to_owned()),
                step => panic!("{step:?}"),
            }
        })
    };
    assert_eq!(decide("a/api/x", "https://app.example", "PUT"), Ok("60".to_owned()));
    assert_eq!(decide("a/api/x", "https://app.example", "DELETE"), Err("CORS_ORIGIN_NOT_ALLOWED".to_owned()));
    assert_eq!(decide("a/api/x", "https://evil.example", "PUT"), Err("CORS_ORIGIN_NOT_ALLOWED".to_owned()));
    assert_eq!(decide("a/off/x", "https://app.example", "PUT"), Err("forwarded".to_owned()));
    assert_eq!(decide("a/x", "https://app.example", "PUT"), Err("forwarded".to_owned()));
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

#[test]
fn a_copy_goes_where_the_mirrors_own_bindings_let_it_and_nowhere_else() {
    let mirrored = |service: &str, percent: u8| {
        let map = Map::of(&format!(
            "defaultRouteAction: {{requestMirrorPolicy: {{backendService: {service}, mirrorPercent: {percent}}}}}\n"
        ));
        Asked::get("a/x").with_facts(|facts| {
            let keys = KeyRing::default();
            let now = UnixTime::from_seconds(0);
            let world = World {
                snapshot: &map.0,
                keys: &keys,
                accounts: &NoKnownAccounts,
                counters: &NoCounters,
                now,
            };
            match Decision::start(facts, &world) {
                Step::Done(Outcome::Permit(permit)) => permit.mirror().map(|mirror| {
                    assert!(mirror.route().is_none() && mirror.mirror().is_none());
                    mirror.backend().endpoint().audience.clone()
                }),
                step => panic!("{step:?}"),
            }
        })
    };
    assert_eq!(mirrored("api", 100).as_deref(), Some("https://api.example.com"));
    assert_eq!(mirrored("api", 0), None);
    assert_eq!(mirrored("secret", 100), None, "nobody in particular may call it");
}
