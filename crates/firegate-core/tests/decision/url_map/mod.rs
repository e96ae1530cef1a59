//! URL maps, from the files to where a request goes.

mod actions;
mod routes;

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
        Self::matcher_in("gcloud", lines)
    }

    fn matcher_in(dialect: &str, lines: &str) -> Self {
        Self::whole(&format!("name: m\ndefaultService: web\n{}", matcher(lines)), dialect)
    }

    /// What is decided of a request without a user.
    fn decide<T>(&self, request: &Asked, judge: impl FnOnce(Step<'_>) -> T) -> T {
        request.with_facts(|facts| {
            let keys = KeyRing::default();
            let world = World {
                snapshot: &self.0,
                keys: &keys,
                accounts: &NoKnownAccounts,
                counters: &NoCounters,
                now: UnixTime::from_seconds(0),
            };
            judge(Decision::start(facts, &world))
        })
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
