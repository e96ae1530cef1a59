//! Maps as Google's tools write them: read, and written back so that Google's import takes them.

use proptest::prelude::*;

use super::*;
use crate::google_file::{Form, GoogleFile};

/// As `gcloud compute url-maps export` writes a map that was made by other tools.
const EXPORTED: &str = "\
creationTimestamp: '2026-07-21T07:16:39.177-07:00'
defaultService: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/web
description: The front of it all
fingerprint: dT_5QmeI6h8=
hostRules:
- hosts:
  - www.example.com
  - '*.example.org'
  pathMatcher: matcher-1
- description: ''
  hosts:
  - api.example.com
  pathMatcher: matcher-2
id: '200433714284642728'
kind: compute#urlMap
name: front
pathMatchers:
- defaultService: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/web
  name: matcher-1
  pathRules:
  - paths:
    - /video
    - /video/*
    service: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/video
- defaultRouteAction:
    faultInjectionPolicy: {}
    weightedBackendServices:
    - backendService: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/api-v1
      weight: 95
    - backendService: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/api-v2
      headerAction:
        requestHeadersToAdd:
        - headerName: X-Canary
          headerValue: '1'
          replace: true
      weight: 5
  name: matcher-2
  routeRules:
  - matchRules:
    - pathTemplateMatch: /v1/users/{user}/**
    priority: 10
    routeAction:
      retryPolicy:
        numRetries: 2
        perTryTimeout:
          nanos: 500000000
          seconds: '1'
        retryConditions:
        - gateway-error
      timeout:
        seconds: '30'
      urlRewrite:
        pathTemplateRewrite: /users/{user}
    service: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/api-v1
  - matchRules:
    - prefixMatch: /
    priority: 20
    urlRedirect:
      hostRedirect: www.example.com
      redirectResponseCode: FOUND
      stripQuery: false
selfLink: https://www.googleapis.com/compute/v1/projects/my-project/global/urlMaps/front
tests:
- host: www.example.com
  path: /video/1
  service: https://www.googleapis.com/compute/v1/projects/my-project/global/backendServices/video
";

fn exported(text: &str, form: Form) -> String {
    let mut diagnostics = Diagnostics::new();
    let file = GoogleFile::parse("map.yaml", text, &URL_MAP, &mut diagnostics).expect("a map");
    assert!(!diagnostics.has_errors(), "{diagnostics}");
    file.export(form)
}

/// What a map means, but for the places where things stand.
fn meaning(text: &str) -> String {
    let map = accepted(text);
    let text = format!("{map:?}");
    let mut meaning = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("line: ") {
        meaning.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    meaning + rest
}

#[test]
fn an_export_is_read_as_it_is() {
    let map = accepted(EXPORTED);
    check(EXPORTED, &[]);
    assert_eq!((map.name.as_str(), map.host_rules.len(), map.tests.len()), ("front", 2, 1));
    let services = map.services().map(ServiceName::as_str).collect::<Vec<_>>();
    assert_eq!(services, ["video", "web", "api-v1", "api-v1", "api-v2", "web"]);
    let Rules::Routes(rules) = &map.path_matchers[1].rules else { panic!("no route rules") };
    let Target::Services(action) = &rules[0].action.target else { panic!("no service") };
    assert_eq!(action.timeout, Some(std::time::Duration::from_secs(30)));
    let retry = action.retry.as_ref().expect("a policy");
    assert_eq!((retry.retries, retry.per_try_timeout), (2, Some(std::time::Duration::from_millis(1500))));
    assert_eq!(
        rules[0].action.place,
        RulePlace { path: "pathMatchers[1].routeRules[0]".to_owned(), line: 40 }
    );
}

#[test]
fn what_is_written_back_means_the_same_and_has_nothing_of_googles() {
    for form in [Form::Yaml, Form::Json] {
        let written = exported(EXPORTED, form);
        for field in ["creationTimestamp", "selfLink", "compute#urlMap", "200433714284642728"] {
            assert!(!written.contains(field), "{field}: {written}");
        }
        assert!(written.contains("dT_5QmeI6h8="), "{written}");
        assert_eq!(meaning(&written), meaning(EXPORTED));
    }
}

#[test]
fn an_unknown_field_is_kept() {
    let text = format!("{EXPORTED}novelty: {{a: 1}}\n");
    check(&text, &["note FG013 novelty"]);
    assert!(exported(&text, Form::Yaml).contains("novelty"), "{}", exported(&text, Form::Yaml));
}

/// A rule's action, as YAML in flow style.
fn action() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}".prop_map(|name| format!("service: global/backendServices/{name}")),
        ("[a-z]{1,5}", 1..1000_u32, 0..1000_u32).prop_map(|(name, one, other)| format!(
            "routeAction: {{weightedBackendServices: [{{backendService: {name}, weight: {one}}}, {{backendService: other, weight: '{other}'}}]}}"
        )),
        ("[a-z]{1,5}", 1..3600_u32, 0..1_000_000_000_u32).prop_map(|(name, seconds, nanos)| format!(
            "service: {name}, routeAction: {{timeout: {{seconds: '{seconds}', nanos: {nanos}}}, urlRewrite: {{pathPrefixRewrite: /{name}/}}}}"
        )),
        ("[a-z]{1,5}\\.example", any::<bool>()).prop_map(|(host, strip)| format!(
            "urlRedirect: {{hostRedirect: {host}, stripQuery: {strip}, redirectResponseCode: SEE_OTHER}}"
        )),
        ("[a-z]{1,5}", 0.0..100.0_f64).prop_map(|(name, percent)| format!(
            "service: {name}, routeAction: {{faultInjectionPolicy: {{abort: {{httpStatus: 503, percentage: {percent}}}}}, requestMirrorPolicy: {{backendService: {name}}}}}"
        )),
    ]
}

fn matched() -> impl Strategy<Value = String> {
    prop_oneof![
        "/[a-z*]{0,4}".prop_map(|prefix| format!("prefixMatch: '{prefix}'")),
        "/[a-zü]{0,4}".prop_map(|path| format!("fullPathMatch: '{path}', ignoreCase: true")),
        "/[a-z]{0,4}/\\{v\\}/\\*\\*".prop_map(|template| format!("pathTemplateMatch: '{template}'")),
        ("[a-z]{1,4}", "[ -&(-~]{0,6}").prop_map(|(name, value)| format!(
            "prefixMatch: /, headerMatches: [{{headerName: {name}, exactMatch: '{value}', invertMatch: true}}]"
        )),
        ("[a-z]{1,4}", "[a-z0-9 ]{0,6}").prop_map(|(name, value)| format!(
            "prefixMatch: '', queryParameterMatches: [{{name: {name}, exactMatch: '{value}'}}]"
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn every_map_that_is_accepted_survives_being_written_and_read_again(
        rules in proptest::collection::vec((matched(), action()), 0..5),
        paths in proptest::collection::btree_set("/[a-z]{1,3}(/\\*)?", 1..4),
        action in action(),
        header in "[ -&(-~]{0,12}",
    ) {
        let rules = rules.iter().enumerate().map(|(priority, (matched, action))| {
            format!("  - {{priority: {priority}, matchRules: [{{{matched}}}], {action}}}\n")
        });
        let paths = paths.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "name: m\nkind: compute#urlMap\ndefaultService: web\nheaderAction: {{requestHeadersToAdd: [{{headerName: x-a, headerValue: '{header}'}}]}}\n\
             hostRules:\n- {{hosts: ['*'], pathMatcher: a}}\n- {{hosts: ['*.example'], pathMatcher: b}}\n\
             pathMatchers:\n- name: a\n  defaultService: web\n  routeRules:\n{}\n- name: b\n  defaultService: web\n  pathRules:\n  - {{paths: [{paths}], {action}}}\n",
            rules.collect::<String>(),
        );
        for form in [Form::Yaml, Form::Json] {
            prop_assert_eq!(meaning(&exported(&text, form)), meaning(&text));
        }
    }
}
