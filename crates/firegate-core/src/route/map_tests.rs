//! A URL map's own tests. Google refuses an update of a map of which one fails.

use firegate_files::url_map::{MapTest, RulePlace, UrlMap};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::{Found, Routes, Target};
use crate::facts::RequestFacts;
use crate::path::NormalPath;

/// A test of a URL map that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// Where the test stands.
    pub place: RulePlace,
    /// What it is about.
    pub description: String,
    /// What was expected, what came instead, and which rule decided.
    pub message: String,
}

impl Routes {
    /// Runs the tests of the map that these routes were compiled from.
    pub fn run_tests(&self, map: &UrlMap) -> Vec<TestFailure> {
        let failed = |test: &MapTest| {
            let message = self.run(test).err()?;
            Some(TestFailure { place: test.place.clone(), description: test.description.clone(), message })
        };
        map.tests.iter().filter_map(failed).collect()
    }

    fn run(&self, test: &MapTest) -> Result<(), String> {
        let (path, query) = match test.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (test.path.as_str(), None),
        };
        let path = NormalPath::parse(path).map_err(|why| format!("its path cannot be asked for: {why}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &test.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        let facts =
            RequestFacts { query, host: &test.host, ..RequestFacts::of(&Method::GET, path, &headers) };
        let found = self.find(&facts, facts.path.as_str()).ok_or("no rule takes it")?;
        let place = &found.rule.place;
        match &found.rule.target {
            Target::Redirect(_) => Self::compare_redirect(test, &facts, found),
            Target::Services(_) => Self::compare_service(test, &facts, found),
        }
        .map_err(|why| format!("{why}, by {place}"))
    }

    fn compare_redirect(test: &MapTest, facts: &RequestFacts<'_>, found: Found<'_>) -> Result<(), String> {
        let Target::Redirect(redirect) = &found.rule.target else { return Ok(()) };
        let answer = redirect.answer(facts, found.matched.map(|(_, bytes)| bytes));
        let answer = answer.map_err(|reason| format!("it ends with: {reason}"))?;
        let (status, location) = (answer.status.as_u16(), answer.location.to_str().unwrap_or_default());
        if let Some(service) = &test.service {
            return Err(format!("expected the service `{service}`, and it is redirected to {location}"));
        }
        if let Some(expected) = test.redirect_status.filter(|expected| *expected != status) {
            return Err(format!("expected a redirect with {expected}, and it is one with {status}"));
        }
        match &test.output_url {
            Some(expected) if !is_same_url(expected, location, true) => {
                Err(format!("expected a redirect to {expected}, and it goes to {location}"))
            }
            _ => Ok(()),
        }
    }

    fn compare_service(test: &MapTest, facts: &RequestFacts<'_>, found: Found<'_>) -> Result<(), String> {
        let Target::Services(services) = &found.rule.target else { return Ok(()) };
        let names = services.choices.iter().map(|choice| choice.destination.name()).collect::<Vec<_>>();
        if let Some(status) = test.redirect_status {
            return Err(format!("expected a redirect with {status}, and it goes to {}", names.join(", ")));
        }
        if let Some(expected) = &test.service
            && !names.contains(&expected.as_str())
        {
            return Err(format!("expected the service `{expected}`, and it goes to {}", names.join(", ")));
        }
        let Some(expected) = &test.output_url else { return Ok(()) };
        let backend = services.choices.first().and_then(|choice| choice.destination.representative());
        let Some(backend) = backend else { return Err("it goes to no service".to_owned()) };
        let encoded_slash = backend.settings.encoded_slash;
        let rewritten = services.rewrite.as_ref();
        let rewritten =
            rewritten.map(|rewrite| rewrite.apply(&facts.path, found.matched, encoded_slash)).transpose();
        let rewritten = rewritten.map_err(|reason| format!("it ends with: {reason}"))?;
        let path = rewritten.as_ref().unwrap_or(&facts.path).as_str();
        let query = facts.query.map_or_else(String::new, |query| format!("?{query}"));
        let host = services.host.as_deref().unwrap_or(facts.host);
        let sent = format!("http://{host}{path}{query}");
        if is_same_url(expected, &sent, test.service.is_none()) {
            return Ok(());
        }
        Err(format!("expected the service to get {expected}, and it gets {sent}"))
    }
}

/// Whether two URLs are the same; the scheme counts if `compares_scheme`. An expectation may leave the scheme out.
fn is_same_url(expected: &str, found: &str, compares_scheme: bool) -> bool {
    let parse = |text: &str| {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        Url::parse(&text).ok()
    };
    let (Some(wanted), Some(given)) = (parse(expected), parse(found)) else { return expected == found };
    let scheme = !compares_scheme || !expected.contains("://") || wanted.scheme() == given.scheme();
    scheme
        && wanted.host_str() == given.host_str()
        && wanted.port() == given.port()
        && wanted.path() == given.path()
        && wanted.query() == given.query()
}
