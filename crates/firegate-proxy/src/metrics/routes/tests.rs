use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use firegate_core::facts::RequestFacts;
use firegate_core::path::NormalPath;
use firegate_core::route::Routed;
use firegate_core::snapshot::Snapshot;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use http::{HeaderMap, Method};

use super::super::{Decisions, Route};
use super::*;

/// A URL map in which every kind of route is.
const MAP: &str = "name: m
defaultService: global/backendServices/web
hostRules:
- { hosts: [shop.example], pathMatcher: shop }
- { hosts: [api.example], pathMatcher: api }
pathMatchers:
- name: shop
  defaultService: web
  pathRules:
  - { paths: [/orders, /orders/*], service: api }
  - { paths: [/old/*], urlRedirect: { prefixRedirect: /new/ } }
- name: api
  defaultUrlRedirect: { hostRedirect: shop.example }
  routeRules:
  - priority: 10
    matchRules: [{ prefixMatch: /v1/ }, { prefixMatch: /v2/ }]
    service: api
  - priority: 7
    matchRules: [{ prefixMatch: /canary/ }]
    routeAction:
      weightedBackendServices:
      - { backendService: web, weight: 50 }
      - { backendService: api, weight: 50 }
";

/// A backend of which nobody is refused.
const OBSERVED: &str = "url: 'https://api.example', credential: none, enforce: observe";

struct TheMap<'a>(&'a str);

impl NamedFiles for TheMap<'_> {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.to_owned())
    }
}

fn compile(rest: &str, map: &str) -> Snapshot {
    let text = format!("project: demo-project\nallow: [allUsers]\n{rest}");
    let configuration = parse_with_files("firegate.yaml", &text, &TheMap(map));
    Snapshot::compile(&configuration.unwrap_or_else(|found| panic!("{found}")))
}

fn of_map(map: &str) -> Snapshot {
    compile("url_map: map.yaml\nbackends: { web: 'https://web.example', api: 'https://api.example' }\n", map)
}

fn of_paths<'a>(paths: impl IntoIterator<Item = (&'a str, &'a str)>) -> Snapshot {
    let routes =
        paths.into_iter().map(|(path, backend)| format!("- {{ path: '{path}', backend: {backend} }}\n"));
    let routes = routes.collect::<String>();
    let backends = format!("web: 'https://web.example', api: {{ {OBSERVED} }}");
    compile(&format!("backends: {{ {backends} }}\nroutes:\n{routes}"), "")
}

/// A configuration with so many routes, of which every other one leads to the one backend and the rest to the other.
fn of_many(count: usize) -> Snapshot {
    let paths = (0..count).map(|number| format!("/{number}/*")).collect::<Vec<_>>();
    of_paths(
        paths.iter().zip(["web", "api"].into_iter().cycle()).map(|(path, backend)| (path.as_str(), backend)),
    )
}

/// Where a request goes, found as the door finds it.
fn route(decisions: &Decisions, snapshot: &Snapshot, (host, path, random): (&str, &str, u64)) -> Route {
    let headers = HeaderMap::new();
    let path = NormalPath::parse(path).expect("a path");
    let facts = RequestFacts { host, random, ..RequestFacts::of(&Method::GET, path, &headers) };
    match snapshot.routes.select(&facts).expect("a route") {
        Routed::To(entry) => decisions.route(entry.route(), entry.backend()),
        Routed::Redirect(route, _) => decisions.redirect(route),
    }
}

fn count(decisions: &Decisions, snapshot: &Snapshot, path: &str, ending: Ending) {
    decisions.count(ending, route(decisions, snapshot, ("", path, 0)));
}

/// What is written, as `backend route outcome code count`.
fn written(decisions: &Decisions) -> BTreeSet<String> {
    let counts = decisions.route_counts().map(|of| format!("{} {}", of.labels().join("|"), of.count));
    counts.collect()
}

fn check<'a>(decisions: &Decisions, expected: impl IntoIterator<Item = &'a str>) {
    assert_eq!(written(decisions), expected.into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
}

#[test]
fn a_route_is_counted_by_the_words_of_its_author() {
    let snapshot = of_paths([("/video/*", "web"), ("/grüße", "web"), ("/*", "api")]);
    let decisions = Decisions::new(&snapshot, None);
    check(&decisions, []);
    for path in ["/video/a", "/video/a/b?c", "/video", "/gr%C3%BC%C3%9Fe", "/"] {
        count(&decisions, &snapshot, path.split('?').next().unwrap_or_default(), Ending::Permit);
    }
    check(&decisions, ["web|/video/*|permit| 2", "web|/grüße|permit| 1", "api|/*|permit| 2"]);
}

#[test]
fn every_kind_of_route_of_a_url_map_has_its_name() {
    let snapshot = of_map(MAP);
    let decisions = Decisions::new(&snapshot, None);
    for (host, path) in [
        ("shop.example", "/orders"),
        ("shop.example", "/orders/1"),
        ("shop.example", "/orders/2"),
        ("shop.example", "/old/x"),
        ("shop.example", "/x"),
        ("api.example", "/v1/x"),
        ("api.example", "/v2/x"),
        ("api.example", "/x"),
        ("elsewhere.example", "/orders/1"),
    ] {
        decisions.count(Ending::Respond, route(&decisions, &snapshot, (host, path, 0)));
    }
    for random in 0..100 {
        let chosen = route(&decisions, &snapshot, ("api.example", "/canary/x", random << 57));
        decisions.count(Ending::Permit, chosen);
    }
    let (canary, others): (BTreeSet<_>, _) =
        written(&decisions).into_iter().partition(|line| line.contains("|api priority 7|"));
    let expected = [
        "api|shop /orders|respond| 1",
        "api|shop /orders/*|respond| 2",
        "|shop /old/*|respond| 1",
        "web|shop default|respond| 1",
        "api|api priority 10|respond| 2",
        "|api default|respond| 1",
        "web|default|respond| 1",
    ];
    assert_eq!(others, expected.map(str::to_owned).into_iter().collect::<BTreeSet<_>>());
    let canary = canary.iter().map(|line| line.rsplit_once(' ').expect("a count"));
    let canary = canary.map(|(labels, count)| (labels, count.parse::<u64>().expect("a number")));
    let canary = canary.collect::<BTreeMap<_, _>>();
    let services = ["api|api priority 7|permit|", "web|api priority 7|permit|"];
    assert_eq!(canary.keys().copied().collect::<Vec<_>>(), services);
    assert_eq!(canary.values().sum::<u64>(), 100);
}

#[test]
fn every_ending_is_counted_apart_where_it_can_happen() {
    let snapshot = of_paths([("/a/*", "web"), ("/b/*", "api")]);
    let decisions = Decisions::new(&snapshot, None);
    let mut expected = BTreeSet::new();
    for (path, backend, is_observed) in [("/a/*", "web", false), ("/b/*", "api", true)] {
        for (place, ending) in Ending::all().enumerate() {
            (0..=place).for_each(|_| count(&decisions, &snapshot, path, ending));
            let (outcome, code) = ending.labels();
            if is_observed || !matches!(ending, Ending::WouldRefuse(_)) {
                expected.insert(format!("{backend}|{path}|{outcome}|{code} {}", place + 1));
            }
        }
    }
    assert_eq!(written(&decisions), expected);
}

/// A position would be another route's after the next change of the file.
#[test]
fn a_route_counts_on_wherever_it_stands_and_when_it_is_back() {
    let before = of_paths([("/a/*", "web"), ("/b/*", "web"), ("/unused/*", "web")]);
    let former = Decisions::new(&before, None);
    let under_way = route(&former, &before, ("", "/b/x", 0));
    count(&former, &before, "/a/x", Ending::Permit);
    let after = of_paths([("/new/*", "web"), ("/b/*", "web"), ("/b/c/*", "api")]);
    let next = Decisions::new(&after, Some(&former));
    // A request that began before is counted after.
    former.count(Ending::Permit, under_way);
    for path in ["/new/x", "/b/x", "/b/c/x"] {
        count(&next, &after, path, Ending::Permit);
    }
    let gone = "web|/a/*|permit| 1";
    check(&next, [gone, "web|/b/*|permit| 2", "web|/new/*|permit| 1", "api|/b/c/*|permit| 1"]);
    let last = Decisions::new(&before, Some(&next));
    count(&last, &before, "/a/x", Ending::Permit);
    let gone = "web|/a/*|permit| 2";
    check(&last, [gone, "web|/b/*|permit| 2", "web|/new/*|permit| 1", "api|/b/c/*|permit| 1"]);
}

#[test]
fn a_backend_that_is_observed_from_now_on_counts_what_would_be_refused() {
    let enforced = OBSERVED.replace(", enforce: observe", "");
    let [before, after] =
        [&enforced, OBSERVED].map(|backend| compile(&format!("backends: {{ api: {{ {backend} }} }}\n"), ""));
    let would = Ending::WouldRefuse(Code::TokenMissing);
    let former = Decisions::new(&before, None);
    count(&former, &before, "/", Ending::Permit);
    let observing = Decisions::new(&after, Some(&former));
    count(&observing, &after, "/", would);
    let expected = ["api|/*|permit| 1", "api|/*|would_refuse|TOKEN_MISSING 1"];
    check(&observing, expected);
    check(&Decisions::new(&before, Some(&observing)), expected);
}

#[test]
fn beyond_the_bound_the_routes_of_a_backend_share_one_row() {
    const MORE: usize = 200;
    let snapshot = of_many(ROUTE_COUNTERS_MAX + MORE);
    let decisions = Decisions::new(&snapshot, None);
    let count_each = |decisions: &Decisions, snapshot: &Snapshot| {
        for number in 0..snapshot.routes.named().count() {
            count(decisions, snapshot, &format!("/{number}/x"), Ending::Permit);
        }
    };
    count_each(&decisions, &snapshot);
    let lines = written(&decisions);
    assert_eq!(lines.len(), ROUTE_COUNTERS_MAX + 2);
    for line in
        ["web|/0/*|permit| 1", "api|/999/*|permit| 1", "web|other|permit| 100", "api|other|permit| 100"]
    {
        assert!(lines.contains(line), "{line}");
    }
    // What has a row keeps it, what shares one goes on to, and no other configuration makes more.
    let next = Decisions::new(&snapshot, Some(&decisions));
    count_each(&next, &snapshot);
    let expected = lines.iter().map(|line| match line.rsplit_once(' ') {
        Some((labels, count)) => format!("{labels} {}", 2 * count.parse::<u64>().expect("a number")),
        None => panic!("no count: {line}"),
    });
    assert_eq!(written(&next), expected.collect::<BTreeSet<_>>());
    let others = of_paths([("/elsewhere/*", "web"), ("/1/*", "api"), ("/1100/*", "web")]);
    let last = Decisions::new(&others, Some(&next));
    for path in ["/elsewhere/x", "/1/x", "/1100/x"] {
        count(&last, &others, path, Ending::Permit);
    }
    let lines = written(&last);
    assert_eq!(lines.len(), ROUTE_COUNTERS_MAX + 2);
    for line in ["api|/1/*|permit| 3", "web|other|permit| 202", "api|other|permit| 200"] {
        assert!(lines.contains(line), "{line}");
    }
}

/// Whoever reloads often has ever new routes, and would have no room for them some day.
#[test]
fn routes_that_are_gone_for_two_reloads_make_room() {
    const ROUTES: usize = ROUTE_COUNTERS_MAX / 2;
    let mut decisions = None;
    let reloaded = |former: Option<Decisions>, round: usize| {
        let paths = (0..ROUTES).map(|number| format!("/{round}-{number}/*")).collect::<Vec<_>>();
        let snapshot = of_paths(paths.iter().map(|path| (path.as_str(), "web")));
        let next = Decisions::new(&snapshot, former.as_ref());
        paths.iter().for_each(|path| count(&next, &snapshot, path, Ending::Permit));
        next
    };
    for round in 0..4 {
        decisions = Some(reloaded(decisions, round));
    }
    let lines = written(&decisions.expect("the last one"));
    let is_of_the_last_two = |line: &String| line.starts_with("web|/2-") || line.starts_with("web|/3-");
    assert!(lines.len() == 2 * ROUTES && lines.iter().all(is_of_the_last_two), "{}", lines.len());
}

#[test]
fn routes_that_never_had_a_request_make_room_when_they_are_gone() {
    let full = Decisions::new(&of_many(ROUTE_COUNTERS_MAX), None);
    let after = of_paths([("/elsewhere/*", "web")]);
    let next = Decisions::new(&after, Some(&full));
    count(&next, &after, "/elsewhere/x", Ending::Permit);
    check(&next, ["web|/elsewhere/*|permit| 1"]);
}

/// Two series with the same labels would make Prometheus refuse the whole answer.
#[test]
fn routes_of_one_name_share_one_row() {
    let map = "name: m\ndefaultService: web\nhostRules:\n- { hosts: [a.example], pathMatcher: a }\n\
               - { hosts: [b.example], pathMatcher: 'a /b' }\npathMatchers:\n\
               - { name: a, defaultService: web, pathRules: [{ paths: ['/b /c'], service: web }] }\n\
               - { name: 'a /b', defaultService: web, pathRules: [{ paths: [/c], service: web }] }\n";
    let snapshot = of_map(map);
    let decisions = Decisions::new(&snapshot, None);
    let of_one_name = snapshot.routes.named().filter(|route| route.name == "a /b /c");
    for route in of_one_name {
        let backend = route.backends().next().expect("a backend");
        decisions.count(Ending::Permit, decisions.route(route.number, backend));
    }
    let written = decisions.route_counts().map(|count| (count.route, count.count));
    assert_eq!(written.collect::<Vec<_>>(), [("a /b /c", 2)]);
}

/// What is there for every route there may be fits into a mebibyte.
#[test]
fn the_rows_are_small() {
    let row = size_of::<Row>() + size_of::<[AtomicU64; ENFORCED_ENDINGS]>();
    assert!(ROUTE_COUNTERS_MAX * row <= 1024 * 1024, "{row} bytes");
}
