use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use firegate_core::armor::{RuleOutcome, RuleRecord, Screened};
use firegate_core::limiter::{
    Algorithm, Event, LimiterFigures, Limits, MemoryCounters, OnStoreFailure, RateLimit,
    RateLimitDescription, RuleLabel, Threshold,
};
use firegate_core::reason::Code;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::SystemClock;
use firegate_files::configuration::{self, NamedFiles};
use prometheus_client::metrics::MetricType;

use super::super::descriptions::ALL;
use super::super::{Ending, Route};
use super::*;
use crate::control::figures::{
    GoogleIdTokenFigures, IdTokenMintFigures, KeySetFigures, UserStatusFigures, VerifiedTokenFigures,
};
use crate::limits_store::{LimitsStoreFigures, Question};
use crate::listen::{CertificateFigures, ConnectionFigures, TlsFigures};
use crate::reload::ConfigurationFigures;
use crate::stream::CutFigures;

#[derive(Debug)]
struct Given(Figures, Arc<Decisions>);

impl Source for Given {
    fn figures(&self) -> Figures {
        self.0.clone()
    }

    fn decisions(&self) -> Arc<Decisions> {
        Arc::clone(&self.1)
    }
}

fn figures() -> Figures {
    let held = KeySetFigures {
        issuer: "id_token",
        is_usable: true,
        keys: 4,
        age_seconds: Some(90),
        fetched_at: Some(UnixTime::from_seconds(1_790_000_000)),
        successes: 3,
        failures: 2,
    };
    let missing = KeySetFigures { issuer: "session_cookie", failures: 1, ..KeySetFigures::default() };
    let token = |backend: &str, expires_at: Option<i64>| GoogleIdTokenFigures {
        backend: backend.to_owned(),
        expires_at: expires_at.map(UnixTime::from_seconds),
    };
    Figures {
        process: ProcessFigures {
            requests_in_flight: 1,
            log_lines_dropped: 31,
            mirrors_dropped: 38,
            configuration: ConfigurationFigures {
                successes: 12,
                failures: 10,
                is_failed: true,
                in_force_since: UnixTime::from_seconds(1_789_000_000),
            },
            entrance: EntranceFigures {
                is_stopping: false,
                connections: ConnectionFigures {
                    open: vec![3, 2],
                    accepted: 21,
                    refused: 4,
                    refused_by_client: 6,
                },
                tls: Some(TlsFigures {
                    completed: 19,
                    failed: 2,
                    timed_out: 1,
                    certificates: CertificateFigures {
                        are_current: true,
                        expiries: vec![("door.pem".to_owned(), UnixTime::from_seconds(1_799_000_000))],
                    },
                }),
            },
            panics: 11,
            cut_connections: CutFigures { stream_overdue: 36, write_stalled: 37 },
        },
        control: ControlFigures {
            is_ready: true,
            key_sets: vec![held, missing],
            user_status: Some(UserStatusFigures {
                entries: 9,
                refusals_kept: 2,
                has_forgotten_refusals: false,
                staleness_max_seconds: 41,
                successes: 8,
                failures: 6,
            }),
            verified_tokens: VerifiedTokenFigures { hits: 7, misses: 5, entries: 4 },
            id_token_mints: IdTokenMintFigures([("own", 39, 40), ("federate_user", 41, 42)]),
            google_id_tokens: vec![token("api", Some(1_790_003_600)), token("video", None)],
            limiter: limiter(),
            limits_store: Some(LimitsStoreFigures {
                is_there: true,
                losses: 30,
                questions: [
                    (Question::Answered, 31),
                    (Question::Failed, 32),
                    (Question::Away, 33),
                    (Question::Overloaded, 34),
                ],
            }),
        },
        endpoints: vec![EndpointFigures {
            backend: "api".to_owned(),
            endpoint: "https://api.example".to_owned(),
            requests: 21,
            idle_connections: 22,
            is_healthy: true,
            is_ejected: false,
            ejections: 23,
            connects: 24,
            failed_connects: 25,
            failures: 26,
        }],
        backends: vec![BackendFigures {
            backend: "api".to_owned(),
            refused: 27,
            repeats: 28,
            unaffordable_repeats: 29,
        }],
    }
}

fn limiter() -> LimiterFigures {
    let label = RuleLabel { backend: "api".to_owned(), policy: "edge".to_owned(), priority: 1000 };
    let threshold = Threshold::new(NonZeroU32::MIN, Duration::from_secs(60));
    let rule = Arc::new(RateLimit::new(&RateLimitDescription {
        label: &label,
        limits: Limits { threshold, ban: None, algorithm: Algorithm::Fixed },
        rule: b"",
        preview: false,
        on_store_failure: OnStoreFailure::Local,
    }));
    let counters = MemoryCounters::new(Arc::new(SystemClock), [0; 16]);
    counters.go_by(&[Arc::clone(&rule)]);
    for (place, event) in Event::ALL.into_iter().enumerate() {
        (0..=place).for_each(|_| rule.figures().add(event));
    }
    LimiterFigures { keys: 35, ..counters.figures() }
}

struct ThePolicy;

impl NamedFiles for ThePolicy {
    fn read(&self, _: &Path) -> io::Result<String> {
        let everyone = "{ versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }";
        Ok(format!("name: edge\nrules: [{{ priority: 2147483647, action: deny(403), match: {everyone} }}]\n"))
    }
}

fn encode(format: Format) -> String {
    let text = "project: demo-project\nallow: [allUsers]\n\
                backends: { api: { url: 'https://api.example', security_policy: armor.yaml } }\n\
                routes: [{ path: '/\"quoted\"/*', backend: api }]\n";
    let configuration = configuration::parse_with_files("firegate.yaml", text, &ThePolicy);
    let snapshot = Snapshot::compile(&configuration.expect("a configuration"));
    let decisions = Decisions::new(&snapshot, None);
    let route = snapshot.routes.named().next().expect("a route");
    let api = decisions.route(route.number, &snapshot.backends[0]);
    let mut screened = Screened::default();
    screened.enforced = Some(RuleRecord { position: 0, outcome: RuleOutcome::Deny, rate_limit: None });
    decisions.screened(api, &screened);
    decisions.count(Ending::Respond, Route::NONE);
    decisions.count(Ending::Refused(Code::TokenMissing), api);
    for (route, milliseconds) in [(api, 2), (api, 40), (Route::NONE, 0)] {
        let latency = Duration::from_millis(milliseconds);
        decisions.answered(route, latency, (route == api).then_some(Duration::from_micros(70)));
        decisions.ended(route, 10, 1000, milliseconds == 40);
    }
    Exposition::new(Given(figures(), Arc::new(decisions))).encode(format).expect("a text")
}

#[test]
fn it_says_what_the_owners_say() {
    let written = encode(Format::PrometheusText);
    for line in [
        concat!("firegate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# TYPE firegate_ready gauge",
        "firegate_ready 1",
        "firegate_panics_total 11",
        "firegate_security_policy_matches_total{backend=\"api\",policy=\"edge\",priority=\"2147483647\",outcome=\"deny\"} 1",
        "firegate_rate_limit_requests_total{backend=\"api\",policy=\"edge\",priority=\"1000\",outcome=\"conform\"} 1",
        "firegate_rate_limit_requests_total{backend=\"api\",policy=\"edge\",priority=\"1000\",outcome=\"banned\"} 3",
        "firegate_rate_limit_overflow_total{backend=\"api\",policy=\"edge\",priority=\"1000\"} 4",
        "firegate_rate_limit_without_store_total{backend=\"api\",policy=\"edge\",priority=\"1000\",on_failure=\"closed\"} 7",
        "firegate_rate_limit_keys 35",
        "firegate_rate_limit_keys_max 1146880",
        "firegate_limits_store_up 1",
        "firegate_limits_store_losses_total 30",
        "firegate_limits_store_questions_total{result=\"overloaded\"} 34",
        "firegate_configuration_reload_failed 1",
        "firegate_configuration_reloads_total{result=\"success\"} 12",
        "firegate_configuration_reloads_total{result=\"failure\"} 10",
        "firegate_configuration_in_force_timestamp_seconds 1789000000",
        "firegate_connections_open{worker=\"0\"} 3",
        "firegate_connections_open{worker=\"1\"} 2",
        "firegate_connections_accepted_total 21",
        "firegate_connections_refused_total{limit=\"connections_max\"} 4",
        "firegate_connections_refused_total{limit=\"connections_per_address_max\"} 6",
        "firegate_connections_cut_total{reason=\"stream_overdue\"} 36",
        "firegate_connections_cut_total{reason=\"write_stalled\"} 37",
        "firegate_tls_handshakes_total{result=\"success\"} 19",
        "firegate_tls_handshakes_total{result=\"failure\"} 2",
        "firegate_tls_handshakes_total{result=\"timeout\"} 1",
        "firegate_tls_certificates_current 1",
        "firegate_tls_certificate_expiry_timestamp_seconds{file=\"door.pem\"} 1799000000",
        "# TYPE firegate_decisions_total counter",
        "firegate_decisions_total{outcome=\"respond\",code=\"\",backend=\"\"} 1",
        "firegate_decisions_total{outcome=\"fault\",code=\"KEYS_UNAVAILABLE\",backend=\"\"} 0",
        concat!(
            "firegate_route_requests_total{backend=\"api\",route=\"/\\\"quoted\\\"/*\",",
            "outcome=\"denial\",code=\"TOKEN_MISSING\"} 1"
        ),
        "firegate_response_head_seconds_bucket{backend=\"\",le=\"0.001\"} 1",
        "firegate_response_head_seconds_bucket{backend=\"api\",le=\"0.001\"} 0",
        "firegate_response_head_seconds_bucket{backend=\"api\",le=\"0.05\"} 2",
        "firegate_response_head_seconds_bucket{backend=\"api\",le=\"+Inf\"} 2",
        "firegate_response_head_seconds_sum{backend=\"api\"} 0.042",
        "firegate_response_head_seconds_count{backend=\"api\"} 2",
        "firegate_overhead_seconds_bucket{backend=\"api\",le=\"0.0001\"} 2",
        "firegate_requests_in_flight 1",
        "firegate_request_body_bytes_total{backend=\"api\"} 20",
        "firegate_response_body_bytes_total{backend=\"api\"} 2000",
        "firegate_responses_cut_total{backend=\"\"} 0",
        "firegate_responses_cut_total{backend=\"api\"} 1",
        "firegate_log_lines_dropped_total 31",
        "firegate_mirrored_requests_dropped_total 38",
        "firegate_token_cache_hits_total 7",
        "firegate_token_cache_misses_total 5",
        "firegate_token_cache_entries 4",
        "firegate_key_set_usable{issuer=\"id_token\"} 1",
        "firegate_key_set_usable{issuer=\"session_cookie\"} 0",
        "firegate_key_set_keys{issuer=\"id_token\"} 4",
        "firegate_key_set_age_seconds{issuer=\"id_token\"} 90",
        "firegate_key_set_last_success_timestamp_seconds{issuer=\"id_token\"} 1790000000",
        "firegate_key_set_last_success_timestamp_seconds{issuer=\"session_cookie\"} 0",
        "firegate_key_set_fetches_total{issuer=\"id_token\",result=\"success\"} 3",
        "firegate_key_set_fetches_total{issuer=\"id_token\",result=\"failure\"} 2",
        "firegate_user_status_entries 9",
        "firegate_user_status_refusals_kept 2",
        "firegate_user_status_refusals_forgotten 0",
        "firegate_user_status_staleness_max_seconds 41",
        "firegate_user_status_lookups_total{result=\"success\"} 8",
        "firegate_user_status_lookups_total{result=\"failure\"} 6",
        "firegate_google_id_token_mints_total{credential=\"own\",result=\"success\"} 39",
        "firegate_google_id_token_mints_total{credential=\"own\",result=\"failure\"} 40",
        "firegate_google_id_token_mints_total{credential=\"federate_user\",result=\"success\"} 41",
        "firegate_google_id_token_mints_total{credential=\"federate_user\",result=\"failure\"} 42",
        "firegate_google_id_token_expiry_timestamp_seconds{backend=\"api\"} 1790003600",
        "firegate_google_id_token_expiry_timestamp_seconds{backend=\"video\"} 0",
        "firegate_upstream_requests_in_flight{backend=\"api\",endpoint=\"https://api.example\"} 21",
        "firegate_upstream_idle_connections{backend=\"api\",endpoint=\"https://api.example\"} 22",
        "firegate_upstream_healthy{backend=\"api\",endpoint=\"https://api.example\"} 1",
        "firegate_upstream_ejected{backend=\"api\",endpoint=\"https://api.example\"} 0",
        "firegate_upstream_ejections_total{backend=\"api\",endpoint=\"https://api.example\"} 23",
        "firegate_upstream_connects_total{backend=\"api\",endpoint=\"https://api.example\",result=\"success\"} 24",
        "firegate_upstream_connects_total{backend=\"api\",endpoint=\"https://api.example\",result=\"failure\"} 25",
        "firegate_upstream_failures_total{backend=\"api\",endpoint=\"https://api.example\"} 26",
        "firegate_upstream_refused_total{backend=\"api\"} 27",
        "firegate_upstream_repeats_total{backend=\"api\",result=\"sent\"} 28",
        "firegate_upstream_repeats_total{backend=\"api\",result=\"unaffordable\"} 29",
    ] {
        assert!(written.lines().any(|found| found == line), "{line} is not in\n{written}");
    }
    assert!(!written.contains("firegate_key_set_age_seconds{issuer=\"session_cookie\"}"), "{written}");
}

/// The formats differ in the names of counters' families, in how they write the bounds of buckets, and in the mark of the end.
#[test]
fn both_formats_have_the_same_samples() {
    let (open, plain) = (encode(Format::OpenMetrics), encode(Format::PrometheusText));
    let samples = |text: &str| {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let (mut buckets, mut others) = (Vec::new(), Vec::new());
        for sample in samples {
            match sample.split_once("_bucket{") {
                Some((name, rest)) => {
                    buckets.push((name.to_owned(), rest.rsplit(' ').next().map(str::to_owned)))
                }
                None => others.push(sample.to_owned()),
            }
        }
        others.sort_unstable();
        (buckets, others)
    };
    assert_eq!(samples(&open), samples(&plain));
    assert!(open.contains("# TYPE firegate_decisions counter\n"), "{open}");
    assert!(open.ends_with("# EOF\n"), "{open}");
    assert!(!plain.contains("# EOF"), "{plain}");
}

/// A metric that is described and never written would be in the page for nothing.
#[test]
fn every_metric_is_written() {
    let written = encode(Format::PrometheusText);
    let types = written.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let found = types.map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(found, ALL.iter().map(|description| description.name).collect::<Vec<_>>());
}

#[test]
fn names_are_as_prometheus_wants_them() {
    for Description { name, metric_type, help, labels } in ALL {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(
            name.starts_with("firegate_") && plain(name) && labels.iter().all(|label| plain(label)),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), *metric_type == MetricType::Counter, "{name}");
        assert_eq!(name.ends_with("_info"), *metric_type == MetricType::Info, "{name}");
        assert!(!help.contains(['\n', '\\']) && help.ends_with('.'), "{name}: {help}");
    }
}

const PAGE: &str = include_str!("../../../../../docs/metrics.md");

/// The rows of the table in docs/metrics.md: `name`, type, labels.
fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `firegate_"));
    let rows = rows.map(|row| {
        let cells = row.split('|').map(str::trim).collect::<Vec<_>>();
        let [name, metric_type, labels, ..] = cells[..] else { panic!("a row with too few cells: {row}") };
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
        (format!("firegate_{}", name.trim_end_matches('`')), (metric_type.to_owned(), labels))
    });
    rows.collect()
}

#[test]
fn the_page_and_the_list_name_the_same_metrics() {
    let described = ALL.iter().map(|description| {
        let Description { name, metric_type, labels, .. } = description;
        let labels = labels.iter().map(ToString::to_string).collect();
        ((*name).to_owned(), (metric_type.as_str().to_owned(), labels))
    });
    assert_eq!(documented(), described.collect::<BTreeMap<_, (String, Vec<String>)>>());
}

#[test]
fn the_alert_for_unavailability_names_every_code_of_it() {
    let alert = PAGE.lines().find(|line| line.contains("code=~")).expect("the alert");
    let named = alert.split('"').nth(1).expect("its codes").split('|').collect::<Vec<_>>();
    // An injected fault is what the operator's URL map asks for.
    let codes = Code::ALL.iter().filter(|code| **code != Code::FaultInjected);
    for entry in codes.map(|code| code.entry()).filter(|entry| entry.status == 503) {
        assert!(named.contains(&entry.name), "{} is not in the alert of docs/metrics.md", entry.name);
    }
}

#[test]
fn the_alerts_ask_for_metrics_that_there_are() {
    let alerts = PAGE.split("```promql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let words =
        alerts.flat_map(|alert| alert.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
    let metrics = words.filter(|word| word.starts_with("firegate_")).collect::<Vec<_>>();
    assert!(metrics.len() >= 4, "{metrics:?}");
    for metric in metrics {
        assert!(ALL.iter().any(|description| description.name == metric), "{metric}");
    }
}
