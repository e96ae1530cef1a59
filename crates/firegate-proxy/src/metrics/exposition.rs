//! Counters and figures, written in the text formats of Prometheus.

mod rate_limits;

use std::fmt;
use std::sync::Arc;

use firegate_core::time::UnixTime;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::descriptions::{
    ALLOWED_ON_FAILURE, BUILD, CERTIFICATE_EXPIRY, CERTIFICATES_CURRENT, CONFIGURATION_SINCE,
    CONNECTIONS_ACCEPTED, CONNECTIONS_CUT, CONNECTIONS_OPEN, CONNECTIONS_REFUSED, CUT, DECISIONS,
    Description, GOOGLE_ID_TOKEN_EXPIRY, GOOGLE_ID_TOKEN_MINTS, IN_FLIGHT, KEY_SET_AGE, KEY_SET_FETCHES,
    KEY_SET_KEYS, KEY_SET_LAST_SUCCESS, KEY_SET_USABLE, LOG_LINES_DROPPED, MIRRORS_DROPPED, OVERHEAD_SECONDS,
    PANICS, READY, RELOAD_FAILED, RELOADS, REQUEST_BYTES, RESPONSE_BYTES, RESPONSE_HEAD_SECONDS,
    ROUTE_REQUESTS, TLS_HANDSHAKES, TOKEN_CACHE_ENTRIES, TOKEN_CACHE_HITS, TOKEN_CACHE_MISSES,
    UPSTREAM_CONNECTS, UPSTREAM_EJECTED, UPSTREAM_EJECTIONS, UPSTREAM_FAILURES, UPSTREAM_HEALTHY,
    UPSTREAM_IDLE, UPSTREAM_REFUSED, UPSTREAM_REPEATS, UPSTREAM_REQUESTS, USER_STATUS_ENTRIES,
    USER_STATUS_LOOKUPS, USER_STATUS_REFUSALS_FORGOTTEN, USER_STATUS_REFUSALS_KEPT, USER_STATUS_STALENESS,
};
use super::histogram::HistogramFigures;
use super::traffic::TrafficFigures;
use super::{Decisions, Figures, Format, ProcessFigures};
use crate::control::figures::ControlFigures;
use crate::listen::EntranceFigures;
use crate::upstream::{BackendFigures, EndpointFigures};

/// Whoever owns the figures.
pub(crate) trait Source: fmt::Debug + Send + Sync + 'static {
    /// The figures of this moment. Takes no lock that a request waits for.
    fn figures(&self) -> Figures;

    /// The counters of requests.
    fn decisions(&self) -> Arc<Decisions>;
}

/// Everything that is told at `/metrics`.
#[derive(Debug)]
pub(crate) struct Exposition(Registry);

impl Exposition {
    /// Tells what the source says whenever it is asked.
    pub(crate) fn new(source: impl Source) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(Box::new(source))));
        Self(registry)
    }

    /// The whole text.
    ///
    /// # Errors
    /// If it cannot be written, which writing to memory does not do.
    pub(crate) fn encode(&self, format: Format) -> Result<String, fmt::Error> {
        let mut written = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut written, &self.0)?,
            Format::PrometheusText => prometheus_text::encode(&mut written, &self.0)?,
        }
        Ok(written)
    }
}

#[derive(Debug)]
struct Scrape(Box<dyn Source>);

/// The value of a sample, of its metric's type.
#[derive(Clone, Debug)]
enum Value {
    Counter(u64),
    Gauge(i64),
    Histogram(HistogramFigures),
    Info,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (figures, decisions) = (self.0.figures(), self.0.decisions());
        let mut families = Families(encoder);
        families.one(&BUILD, [env!("CARGO_PKG_VERSION")], Value::Info)?;
        families.one(&READY, [], Value::Gauge(figures.is_ready().into()))?;
        families.one(&PANICS, [], Value::Counter(figures.process.panics))?;
        let configuration = figures.process.configuration;
        families.one(&RELOAD_FAILED, [], Value::Gauge(configuration.is_failed.into()))?;
        let reloads = [(["success"], configuration.successes), (["failure"], configuration.failures)];
        families.all(&RELOADS, reloads, Value::Counter)?;
        let since = Value::Gauge(configuration.in_force_since.as_seconds());
        families.one(&CONFIGURATION_SINCE, [], since)?;
        families.connections(&figures.process)?;
        families.tls(&figures.process.entrance)?;
        let written = decisions.written().map(|decision| (decision.labels(), decision.count));
        families.all(&DECISIONS, written, Value::Counter)?;
        let written = decisions.route_counts().map(|route| (route.labels(), route.count));
        families.all(&ROUTE_REQUESTS, written, Value::Counter)?;
        families.traffic(&decisions)?;
        families.one(&IN_FLIGHT, [], Value::Gauge(gauge(figures.process.requests_in_flight)))?;
        families.one(&LOG_LINES_DROPPED, [], Value::Counter(figures.process.log_lines_dropped))?;
        families.one(&MIRRORS_DROPPED, [], Value::Counter(figures.process.mirrors_dropped))?;
        families.one(&ALLOWED_ON_FAILURE, [], Value::Counter(decisions.allowed_on_failure()))?;
        let verified = figures.control.verified_tokens;
        families.one(&TOKEN_CACHE_HITS, [], Value::Counter(verified.hits))?;
        families.one(&TOKEN_CACHE_MISSES, [], Value::Counter(verified.misses))?;
        families.one(&TOKEN_CACHE_ENTRIES, [], Value::Gauge(gauge(verified.entries)))?;
        families.key_sets(&figures.control)?;
        families.user_status(&figures.control)?;
        let mints = figures.control.id_token_mints.0.iter();
        let mints = mints.flat_map(|(credential, successes, failures)| {
            [([*credential, "success"], *successes), ([*credential, "failure"], *failures)]
        });
        families.all(&GOOGLE_ID_TOKEN_MINTS, mints, Value::Counter)?;
        let tokens = figures.control.google_id_tokens.iter();
        let tokens = tokens.map(|token| ([token.backend.as_str()], timestamp(token.expires_at)));
        families.all(&GOOGLE_ID_TOKEN_EXPIRY, tokens, Value::Gauge)?;
        families.endpoints(&figures.endpoints)?;
        families.backends(&figures.backends)?;
        families.rule_matches(&decisions)?;
        families.rate_limits(&figures.control.limiter, figures.control.limits_store.as_ref())
    }
}

struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn connections(&mut self, process: &ProcessFigures) -> fmt::Result {
        let connections = &process.entrance.connections;
        let open = connections.open.iter().enumerate();
        let open = open.map(|(worker, open)| (worker.to_string(), gauge(*open))).collect::<Vec<_>>();
        let open = open.iter().map(|(worker, open)| ([worker.as_str()], *open));
        self.all(&CONNECTIONS_OPEN, open, Value::Gauge)?;
        self.one(&CONNECTIONS_ACCEPTED, [], Value::Counter(connections.accepted))?;
        let refused = [
            (["connections_max"], connections.refused),
            (["connections_per_address_max"], connections.refused_by_client),
        ];
        self.all(&CONNECTIONS_REFUSED, refused, Value::Counter)?;
        let cut = process.cut_connections;
        let cut = [(["stream_overdue"], cut.stream_overdue), (["write_stalled"], cut.write_stalled)];
        self.all(&CONNECTIONS_CUT, cut, Value::Counter)
    }

    fn tls(&mut self, entrance: &EntranceFigures) -> fmt::Result {
        let Some(tls) = &entrance.tls else { return Ok(()) };
        let handshakes =
            [(["success"], tls.completed), (["failure"], tls.failed), (["timeout"], tls.timed_out)];
        self.all(&TLS_HANDSHAKES, handshakes, Value::Counter)?;
        self.one(&CERTIFICATES_CURRENT, [], Value::Gauge(tls.certificates.are_current.into()))?;
        let expiries = tls.certificates.expiries.iter();
        let expiries = expiries.map(|(file, at)| ([file.as_str()], at.as_seconds()));
        self.all(&CERTIFICATE_EXPIRY, expiries, Value::Gauge)
    }

    fn traffic(&mut self, decisions: &Decisions) -> fmt::Result {
        let traffic = decisions.traffic();
        let of = |figure: fn(&TrafficFigures) -> Value| {
            traffic.iter().map(move |(backend, figures)| ([*backend], figure(figures)))
        };
        self.all(&RESPONSE_HEAD_SECONDS, of(|figures| Value::Histogram(figures.head.clone())), |value| {
            value
        })?;
        // What has no backend has no service either.
        let overhead = of(|figures| Value::Histogram(figures.overhead.clone()));
        self.all(&OVERHEAD_SECONDS, overhead.filter(|([backend], _)| !backend.is_empty()), |value| value)?;
        self.all(&REQUEST_BYTES, of(|figures| Value::Counter(figures.request_bytes)), |value| value)?;
        self.all(&RESPONSE_BYTES, of(|figures| Value::Counter(figures.response_bytes)), |value| value)?;
        self.all(&CUT, of(|figures| Value::Counter(figures.cut)), |value| value)
    }

    fn key_sets(&mut self, control: &ControlFigures) -> fmt::Result {
        let sets = &control.key_sets;
        let usable = sets.iter().map(|set| ([set.issuer], set.is_usable.into()));
        self.all(&KEY_SET_USABLE, usable, Value::Gauge)?;
        self.all(&KEY_SET_KEYS, sets.iter().map(|set| ([set.issuer], gauge(set.keys))), Value::Gauge)?;
        let ages = sets.iter().filter_map(|set| Some(([set.issuer], gauge(set.age_seconds?))));
        self.all(&KEY_SET_AGE, ages, Value::Gauge)?;
        let successes = sets.iter().map(|set| ([set.issuer], timestamp(set.fetched_at)));
        self.all(&KEY_SET_LAST_SUCCESS, successes, Value::Gauge)?;
        let fetches = sets.iter().flat_map(|set| {
            [([set.issuer, "success"], set.successes), ([set.issuer, "failure"], set.failures)]
        });
        self.all(&KEY_SET_FETCHES, fetches, Value::Counter)
    }

    fn user_status(&mut self, control: &ControlFigures) -> fmt::Result {
        let Some(status) = &control.user_status else { return Ok(()) };
        self.one(&USER_STATUS_ENTRIES, [], Value::Gauge(gauge(status.entries)))?;
        self.one(&USER_STATUS_REFUSALS_KEPT, [], Value::Gauge(gauge(status.refusals_kept)))?;
        let is_forgotten = status.has_forgotten_refusals.into();
        self.one(&USER_STATUS_REFUSALS_FORGOTTEN, [], Value::Gauge(is_forgotten))?;
        self.one(&USER_STATUS_STALENESS, [], Value::Gauge(gauge(status.staleness_max_seconds)))?;
        let lookups = [(["success"], status.successes), (["failure"], status.failures)];
        self.all(&USER_STATUS_LOOKUPS, lookups, Value::Counter)
    }

    fn endpoints(&mut self, endpoints: &[EndpointFigures]) -> fmt::Result {
        fn labels(of: &EndpointFigures) -> [&str; 2] {
            [&of.backend, &of.endpoint]
        }
        let gauges =
            |value: fn(&EndpointFigures) -> i64| endpoints.iter().map(move |of| (labels(of), value(of)));
        let counts =
            |value: fn(&EndpointFigures) -> u64| endpoints.iter().map(move |of| (labels(of), value(of)));
        self.all(&UPSTREAM_REQUESTS, gauges(|of| gauge(of.requests)), Value::Gauge)?;
        self.all(&UPSTREAM_HEALTHY, gauges(|of| of.is_healthy.into()), Value::Gauge)?;
        self.all(&UPSTREAM_EJECTED, gauges(|of| of.is_ejected.into()), Value::Gauge)?;
        self.all(&UPSTREAM_EJECTIONS, counts(|of| of.ejections), Value::Counter)?;
        self.all(&UPSTREAM_FAILURES, counts(|of| of.failures), Value::Counter)?;
        let connects = endpoints.iter().flat_map(|of| {
            let [backend, endpoint] = labels(of);
            [
                ([backend, endpoint, "success"], of.connects),
                ([backend, endpoint, "failure"], of.failed_connects),
            ]
        });
        self.all(&UPSTREAM_CONNECTS, connects, Value::Counter)?;
        self.all(&UPSTREAM_IDLE, gauges(|of| gauge(of.idle_connections)), Value::Gauge)
    }

    fn backends(&mut self, backends: &[BackendFigures]) -> fmt::Result {
        let repeats = backends.iter().flat_map(|of| {
            let backend = of.backend.as_str();
            [([backend, "sent"], of.repeats), ([backend, "unaffordable"], of.unaffordable_repeats)]
        });
        self.all(&UPSTREAM_REPEATS, repeats, Value::Counter)?;
        let refused = backends.iter().map(|of| ([of.backend.as_str()], of.refused));
        self.all(&UPSTREAM_REFUSED, refused, Value::Counter)
    }

    fn one<const LABELS: usize>(
        &mut self,
        description: &Description,
        labels: [&str; LABELS],
        value: Value,
    ) -> fmt::Result {
        self.all(description, [(labels, value)], |value| value)
    }

    /// Writes a family and its samples; nothing of one that has none.
    fn all<'l, const LABELS: usize, N>(
        &mut self,
        description: &Description,
        samples: impl IntoIterator<Item = ([&'l str; LABELS], N)>,
        value: impl Fn(N) -> Value,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let Description { metric_type, help, labels: names, .. } = description;
        let mut family = self.0.encode_descriptor(description.family(), help, None, *metric_type)?;
        for (values, number) in samples {
            let labels = names.iter().copied().zip(values).collect::<Vec<_>>();
            match value(number) {
                Value::Counter(count) => {
                    family.encode_family(&labels)?.encode_counter(&count, NO_EXEMPLAR)?;
                }
                Value::Gauge(number) => family.encode_family(&labels)?.encode_gauge(&number)?,
                Value::Histogram(HistogramFigures { sum, count, buckets }) => {
                    let mut family = family.encode_family(&labels)?;
                    family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
                }
                Value::Info => family.encode_info(&labels)?,
            }
        }
        Ok(())
    }
}

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;

fn gauge(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn timestamp(at: Option<UnixTime>) -> i64 {
    at.map_or(0, UnixTime::as_seconds)
}

#[cfg(test)]
mod tests;
