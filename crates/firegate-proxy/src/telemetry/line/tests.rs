use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use firegate_core::decision::{Decision, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KeyRing, NoKnownAccounts};
use firegate_core::limiter::NoCounters;
use firegate_core::path::NormalPath;
use firegate_core::reason::Reason;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_files::text::is_obeyed;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::LOG_FIELD_BYTES_MAX;
use crate::refused::{denial, fault};

const JSON: LogForm = LogForm::Json;
const TEXT: LogForm = LogForm::Text { coloured: false };

/// A request that went well.
fn well() -> AccessLine<'static> {
    AccessLine {
        at: Duration::new(1_795_896_000, 123_456_789),
        request_id: "6f0c",
        is_unread: false,
        method: "GET",
        scheme: "https",
        host: b"door.example",
        target: b"/items?page=2",
        protocol: Version::HTTP_2,
        user_agent: Some(b"curl/8"),
        referer: None,
        remote: Ipv4Addr::new(203, 0, 113, 9).into(),
        status: 200,
        request_bytes: 0,
        response_bytes: 512,
        latency: Duration::from_micros(1234),
        upstream_latency: Some(Duration::from_micros(1000)),
        attempts: 1,
        endpoint: Some("https://api.example"),
        trace: None,
        project: "my-project",
        backend: "api",
        route: Some("/items"),
        outcome: "permit",
        refusal: None,
        screened: None,
        user_id: None,
        is_unchecked: false,
        cut: None,
    }
}

fn written(form: LogForm, line: &AccessLine<'_>) -> String {
    let mut bytes = Vec::new();
    write(form, line, &mut bytes);
    let text = String::from_utf8(bytes).expect("UTF-8, whatever the client sent");
    let one = text.strip_suffix('\n').expect("a line feed at the end");
    assert!(!one.contains(is_obeyed), "one line, in which nothing is obeyed: {one:?}");
    one.to_owned()
}

#[test]
fn who_was_let_in_without_a_look_up_is_told() {
    let line = AccessLine { user_id: Some("eve"), is_unchecked: true, ..well() };
    let found: Value = serde_json::from_str(&written(JSON, &line)).expect("JSON");
    let expected = ["WARNING", "let in without a look-up", "eve", "unchecked"];
    assert_eq!(
        ["severity", "message", "user_id", "user_status"].map(|name| found[name].as_str()),
        expected.map(Some)
    );
    let text = written(TEXT, &line);
    assert!(text.contains(" WARN let in without a look-up 200 GET "), "{text}");
    assert!(text.contains(" user_id=\"eve\" user_status=unchecked "), "{text}");
}

#[test]
fn cloud_logging_gets_its_own_form() {
    let headers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("x-cloud-trace-context"),
        http::HeaderValue::from_static("0af7651916cd43dd8448eb211c80319c/1;o=1"),
    )]);
    let trace = TraceContext::of(&headers);
    let refusal = Refusal::of(&denial(Reason::RouteNotFound, Stage::Route));
    let line = AccessLine {
        trace: trace.as_ref(),
        referer: Some(b"https://app.example/"),
        refusal: Some(&refusal),
        user_id: Some("eve"),
        cut: Some("the client left before the end"),
        ..well()
    };
    let found: Value = serde_json::from_str(&written(JSON, &line)).expect("JSON");
    let expected = json!({
        "severity": "WARNING", "time": "2026-11-28T20:00:00.123456Z", "message": "refused",
        "httpRequest": {
            "requestMethod": "GET", "requestUrl": "https://door.example/items?page=2", "status": 200,
            "requestSize": "0", "responseSize": "512", "userAgent": "curl/8", "referer": "https://app.example/",
            "remoteIp": "203.0.113.9", "latency": "0.001234s", "protocol": "HTTP/2",
        },
        "logging.googleapis.com/trace": "projects/my-project/traces/0af7651916cd43dd8448eb211c80319c",
        "logging.googleapis.com/spanId": "0000000000000001", "logging.googleapis.com/trace_sampled": true,
        "request_id": "6f0c", "outcome": "permit", "backend": "api", "route": "/items", "code": "ROUTE_NOT_FOUND", "stage": "route",
        "evidence": Reason::RouteNotFound.to_string(), "hint": Code::RouteNotFound.entry().fix,
        "user_id": "eve", "attempts": 1, "endpoint": "https://api.example", "upstream_latency": "0.001000s", "cut": "the client left before the end",
    });
    assert_eq!(found, expected);
    assert_eq!(found.to_string(), expected.to_string(), "in this order");
}

#[test]
fn of_a_head_that_could_not_be_read_nothing_is_made_up() {
    let refusal =
        Refusal::of(&denial(Reason::RequestTargetTooLong { part: "path", bytes_max: 8192 }, Stage::Facts));
    let line = AccessLine {
        is_unread: true,
        method: "STANDS-FOR-IT",
        host: b"stands-for-it",
        status: 414,
        refusal: Some(&refusal),
        ..well()
    };
    let found: Value = serde_json::from_str(&written(JSON, &line)).expect("JSON");
    let expected = json!({
        "status": 414, "requestSize": "0", "responseSize": "512", "userAgent": "curl/8", "remoteIp": "203.0.113.9",
        "latency": "0.001234s",
    });
    assert_eq!(found["httpRequest"], expected);
    let text = written(TEXT, &line);
    assert!(
        text.contains(" refused 414 a head that could not be read 1.234ms 512B from 203.0.113.9 "),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("stands-for-it") && !text.contains("://door"), "{text}");
}

struct ThePolicy;

impl NamedFiles for ThePolicy {
    fn read(&self, _: &Path) -> io::Result<String> {
        let everyone = "{ versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }";
        let unknown = "{ expr: { expression: \"evaluateThreatIntelligence('iplist-tor-exit-nodes')\" } }";
        Ok(format!(
            "name: edge\nrules:\n- {{ priority: 1, preview: true, action: deny(403), match: {everyone} }}\n\
             - {{ priority: 2, action: deny(403), match: {unknown} }}\n\
             - {{ priority: 2147483647, action: deny(403), match: {everyone} }}\n"
        ))
    }
}

/// What a policy says of a request that it refuses, after a rule in preview, and one that asks for what is not known.
fn screened() -> Screened {
    let text = "project: demo-project\nallow: [allUsers]\n\
                backends: { api: { url: 'https://api.example', security_policy: armor.yaml } }\n";
    let configuration = parse_with_files("firegate.yaml", text, &ThePolicy);
    let snapshot = Snapshot::compile(&configuration.unwrap_or_else(|found| panic!("{found}")));
    let (headers, keys) = (http::HeaderMap::new(), KeyRing::default());
    let facts = RequestFacts::of(&http::Method::GET, NormalPath::parse("/").expect("a path"), &headers);
    let world = World {
        snapshot: &snapshot,
        keys: &keys,
        accounts: &NoKnownAccounts,
        counters: &NoCounters,
        now: UnixTime::from_seconds(0),
    };
    let Step::Done(Outcome::Denial(_)) = Decision::start(&facts, &world) else { panic!("it is not refused") };
    facts.screened.get().cloned().expect("a policy that looked at it")
}

/// Whoever searches a log asks the page what there is.
#[test]
fn the_page_tells_of_every_member() {
    const PAGE: &str = include_str!("../../../../../docs/logs.md");
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let told = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect::<Vec<_>>();
    let (refusal, screened) = (Refusal::of(&denial(Reason::RouteNotFound, Stage::Route)), screened());
    let line = AccessLine {
        refusal: Some(&refusal),
        screened: Some(&screened),
        user_id: Some("eve"),
        cut: Some("the client left before the end"),
        ..well()
    };
    let found: Value = serde_json::from_str(&written(JSON, &line)).expect("JSON");
    let members = found.as_object().expect("an object");
    assert!(members.contains_key("rulesNotEvaluated"), "{found}");
    for name in members.keys() {
        // The line of a process has a time too.
        assert!(told.contains(&name.as_str()) || name == "time", "`{name}` is not in docs/logs.md");
    }
}

#[test]
fn a_person_gets_what_happened_first() {
    let line = well();
    assert_eq!(
        written(TEXT, &line),
        "2026-11-28T20:00:00.123456Z  INFO 200 GET https://door.example/items?page=2 1.234ms 512B from 203.0.113.9 \
         backend=api route=\"/items\" request_id=6f0c"
    );
    let refusal = Refusal::of(&denial(Reason::RouteNotFound, Stage::Route));
    let line = AccessLine { status: 404, backend: "", route: None, refusal: Some(&refusal), ..well() };
    let text = written(TEXT, &line);
    let start = "2026-11-28T20:00:00.123456Z  INFO refused 404 GET https://door.example/items?page=2 ";
    assert!(
        text.starts_with(start) && text.contains(" code=ROUTE_NOT_FOUND stage=route evidence=\""),
        "{text}"
    );
    let mut coloured = Vec::new();
    write(LogForm::Text { coloured: true }, &line, &mut coloured);
    assert!(String::from_utf8_lossy(&coloured).contains("\u{1b}[32m INFO\u{1b}[0m refused 404"));
}

#[test]
fn no_token_is_in_the_evidence_either() {
    let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJldmUifQ.c2lnbmF0dXJl-_";
    let answer = || format!("invalid_grant: {token} has expired");
    let federated = Reason::FederationRefused { answer: answer() };
    for refused in [
        denial(Reason::TokenKeyUnknown { key_id: token.to_owned(), is_local: false }, Stage::Identity),
        denial(federated, Stage::Credential),
        fault(Code::CredentialUnavailable, Stage::Credential, answer()),
    ] {
        let refusal = Refusal::of(&refused);
        let line = AccessLine { refusal: Some(&refusal), ..well() };
        for form in [JSON, TEXT] {
            let text = written(form, &line);
            assert!(text.contains("[concealed]") && !text.contains("eyJ"), "{text}");
        }
    }
    let plain = Reason::TokenKeyUnknown { key_id: "eyJ1".to_owned(), is_local: false };
    assert!(Refusal::of(&denial(plain, Stage::Identity)).evidence.contains("\"eyJ1\""));
}

#[test]
fn moments_are_written_as_rfc_3339_has_them() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, "2000-02-28T23:59:59.000000Z"),
        (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
    ] {
        let mut written = Vec::new();
        write_time(Duration::from_secs(seconds), &mut written);
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_and_says_so() {
    let long = vec![b'a'; LOG_FIELD_BYTES_MAX + 1];
    for form in [JSON, TEXT] {
        let text = written(form, &AccessLine { target: &long, ..well() });
        assert_eq!(
            text.matches('a').count()
                - written(form, &AccessLine { target: b"", ..well() }).matches('a').count(),
            LOG_FIELD_BYTES_MAX
        );
        assert!(text.contains("a…"), "{text}");
    }
}

#[test]
fn every_number_is_written_whole() {
    for (number, expected) in [(0, "0"), (7, "7"), (120, "120"), (u64::MAX, "18446744073709551615")] {
        let mut written = Vec::new();
        write_number(number, &mut written);
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
    for (microseconds, expected) in [(0, "0.000000s"), (7, "0.000007s"), (61_250_000, "61.250000s")] {
        let mut written = Vec::new();
        write_seconds(Duration::from_micros(microseconds), &mut written);
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
}

proptest! {
    /// Whatever stands in a request, the line is one line of JSON that says it, or of text in which nothing is obeyed.
    #[test]
    fn no_bytes_of_a_client_break_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..64), word in "\\PC{0,8}[\u{1b}\u{85}\u{202e}\u{200b}\u{2060}\u{e0041}\"\\\\\n]\\PC{0,8}") {
        let refusal = Refusal { code: Code::TokenExpired, stage: Stage::Identity, evidence: word.clone(), hint: word.clone().into(), is_fault: false, is_observed: false };
        let line = AccessLine {
            method: &word, host: &bytes, target: &bytes, user_agent: Some(&bytes), referer: Some(word.as_bytes()),
            refusal: Some(&refusal), user_id: Some(&word), cut: Some(&word), route: Some(&word), ..well()
        };
        let found: Value = serde_json::from_str(&written(JSON, &line)).expect("JSON");
        prop_assert_eq!(found["user_id"].as_str(), Some(word.as_str()));
        prop_assert_eq!(found["route"].as_str(), Some(word.as_str()));
        prop_assert_eq!(found["evidence"].as_str(), Some(word.as_str()));
        prop_assert_eq!(found["hint"].as_str(), Some(word.as_str()));
        prop_assert_eq!(found["httpRequest"]["userAgent"].as_str(), Some(&*String::from_utf8_lossy(&bytes)));
        let names = found.as_object().expect("an object").len();
        prop_assert_eq!(names, 17, "{}", found);
        written(TEXT, &line);
    }
}
