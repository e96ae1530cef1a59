//! Every metric's name, type, meaning and labels: the one list. The page docs/metrics.md is compared with it.

use prometheus_client::metrics::MetricType;

/// A metric as it is described to whoever reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Description {
    /// The name of its samples, with the suffix of its type: `…_total` for counters, `…_info` for infos.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) metric_type: MetricType,
    /// What it says, in one line.
    pub(super) help: &'static str,
    /// The names of its labels, in the order in which their values are written.
    pub(super) labels: &'static [&'static str],
}

impl Description {
    /// The name of the family, to which the encoder adds the suffix of its type.
    pub(super) fn family(&self) -> &'static str {
        let suffix = match self.metric_type {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => "",
        };
        self.name.strip_suffix(suffix).unwrap_or(self.name)
    }
}

macro_rules! descriptions {
    ($($constant:ident $metric_type:ident $name:literal [$($label:literal),*] $help:literal)+) => {
        $(pub(super) const $constant: Description = Description {
            name: $name,
            metric_type: MetricType::$metric_type,
            help: $help,
            labels: &[$($label),*],
        };)+

        /// Every metric there is, in the order of the answer.
        #[cfg(test)]
        pub(super) const ALL: &[Description] = &[$($constant),+];
    };
}

descriptions! {
    BUILD Info "firegate_build_info" ["version"]
        "The version that runs; always 1."
    READY Gauge "firegate_ready" []
        "1 while requests may come: there are usable keys for every kind of token that is accepted, and no stop was asked for."
    PANICS Counter "firegate_panics_total" []
        "Panics: faults of Firegate's own. Each ended one request, one connection, or one task, which is run again where others need it."
    RELOAD_FAILED Gauge "firegate_configuration_reload_failed" []
        "1 while the configuration that was read last is not in force because it cannot be used, or its files do not answer."
    RELOADS Counter "firegate_configuration_reloads_total" ["result"]
        "Times the configuration was read again."
    CONFIGURATION_SINCE Gauge "firegate_configuration_in_force_timestamp_seconds" []
        "Since when the configuration is in force."
    CONNECTIONS_OPEN Gauge "firegate_connections_open" ["worker"]
        "Connections that clients have open, for each of the threads that serve them."
    CONNECTIONS_ACCEPTED Counter "firegate_connections_accepted_total" []
        "Connections that were let in."
    CONNECTIONS_REFUSED Counter "firegate_connections_refused_total" ["limit"]
        "Connections that were closed at once, by the limit that was reached."
    CONNECTIONS_CUT Counter "firegate_connections_cut_total" ["reason"]
        "Connections that were cut: they held a stream whose time was over, or took nothing of what was to be written."
    TLS_HANDSHAKES Counter "firegate_tls_handshakes_total" ["result"]
        "Handshakes of clients, where Firegate speaks TLS."
    CERTIFICATES_CURRENT Gauge "firegate_tls_certificates_current" []
        "1 while the certificates in use are those in the files; 0 after the files changed to what cannot be used, and while they do not answer."
    CERTIFICATE_EXPIRY Gauge "firegate_tls_certificate_expiry_timestamp_seconds" ["file"]
        "When the certificate that is in use expires."
    DECISIONS Counter "firegate_decisions_total" ["outcome", "code", "backend"]
        "Requests, by how they ended, the reason of a refusal, and the backend that the path is routed to."
    ROUTE_REQUESTS Counter "firegate_route_requests_total" ["backend", "route", "outcome", "code"]
        "Requests that a route was found for, by that route, how they ended and the reason of a refusal."
    RESPONSE_HEAD_SECONDS Histogram "firegate_response_head_seconds" ["backend"]
        "From a request's head to the head of its answer."
    OVERHEAD_SECONDS Histogram "firegate_overhead_seconds" ["backend"]
        "Firegate's own share of it: from a request's head to the moment at which the service is asked."
    REQUEST_BYTES Counter "firegate_request_body_bytes_total" ["backend"]
        "Bytes of the bodies of requests."
    RESPONSE_BYTES Counter "firegate_response_body_bytes_total" ["backend"]
        "Bytes of the bodies of answers."
    CUT Counter "firegate_responses_cut_total" ["backend"]
        "Answers that did not reach their end: the client left, the service broke off, or a bound was over."
    IN_FLIGHT Gauge "firegate_requests_in_flight" []
        "Requests whose answer has not ended, WebSockets left out."
    LOG_LINES_DROPPED Counter "firegate_log_lines_dropped_total" []
        "Lines of the log that were dropped, because whoever reads it took them too slowly, or that could not be written."
    MIRRORS_DROPPED Counter "firegate_mirrored_requests_dropped_total" []
        "Requests that were not copied to the service that a URL map mirrors them to, because too many copies were under way."
    ALLOWED_ON_FAILURE Counter "firegate_user_status_allowed_on_failure_total" []
        "Requests forwarded without a look at the user's status because it could not be had, by `revocation.on_failure: allow`."
    TOKEN_CACHE_HITS Counter "firegate_token_cache_hits_total" []
        "Signatures that were known to be good."
    TOKEN_CACHE_MISSES Counter "firegate_token_cache_misses_total" []
        "Signatures that had to be verified."
    TOKEN_CACHE_ENTRIES Gauge "firegate_token_cache_entries" []
        "Good signatures that are remembered."
    KEY_SET_USABLE Gauge "firegate_key_set_usable" ["issuer"]
        "1 while the issuer's keys may be used: they were fetched, no longer ago than the stale bound of 24 hours."
    KEY_SET_KEYS Gauge "firegate_key_set_keys" ["issuer"]
        "Keys in the set that is held."
    KEY_SET_AGE Gauge "firegate_key_set_age_seconds" ["issuer"]
        "How long ago the set that is held was fetched; absent if none is held."
    KEY_SET_LAST_SUCCESS Gauge "firegate_key_set_last_success_timestamp_seconds" ["issuer"]
        "When the keys were last fetched, by this process or the one before it; 0 if never."
    KEY_SET_FETCHES Counter "firegate_key_set_fetches_total" ["issuer", "result"]
        "Attempts to fetch the issuer's keys."
    USER_STATUS_ENTRIES Gauge "firegate_user_status_entries" []
        "Users of whom it is known whether they are disabled or revoked."
    USER_STATUS_REFUSALS_KEPT Gauge "firegate_user_status_refusals_kept" []
        "Users who were refused by their status, and are not forgotten before their tokens expire."
    USER_STATUS_REFUSALS_FORGOTTEN Gauge "firegate_user_status_refusals_forgotten" []
        "1 while more users were refused than could be remembered."
    USER_STATUS_STALENESS Gauge "firegate_user_status_staleness_max_seconds" []
        "The age of the oldest status among users who were here within `revocation.max_staleness`."
    USER_STATUS_LOOKUPS Counter "firegate_user_status_lookups_total" ["result"]
        "Calls that look users up; one asks for many."
    GOOGLE_ID_TOKEN_MINTS Counter "firegate_google_id_token_mints_total" ["credential", "result"]
        "Attempts to get a Google ID token: ahead of need, on a request's behalf, or again after a failure."
    GOOGLE_ID_TOKEN_EXPIRY Gauge "firegate_google_id_token_expiry_timestamp_seconds" ["backend"]
        "When the Google ID token that is kept for the backend expires; 0 if none is kept that may be sent."
    UPSTREAM_REQUESTS Gauge "firegate_upstream_requests_in_flight" ["backend", "endpoint"]
        "Requests to the endpoint that are under way, streams included."
    UPSTREAM_HEALTHY Gauge "firegate_upstream_healthy" ["backend", "endpoint"]
        "1 while the endpoint's `health_check` succeeds, or it has none."
    UPSTREAM_EJECTED Gauge "firegate_upstream_ejected" ["backend", "endpoint"]
        "1 while the endpoint is left alone because it failed several times in a row."
    UPSTREAM_EJECTIONS Counter "firegate_upstream_ejections_total" ["backend", "endpoint"]
        "How often the endpoint was ejected."
    UPSTREAM_FAILURES Counter "firegate_upstream_failures_total" ["backend", "endpoint"]
        "Requests to the endpoint that got no answer, or 502, 503 or 504."
    UPSTREAM_CONNECTS Counter "firegate_upstream_connects_total" ["backend", "endpoint", "result"]
        "Attempts to connect to the endpoint."
    UPSTREAM_IDLE Gauge "firegate_upstream_idle_connections" ["backend", "endpoint"]
        "Connections to the endpoint that are open and carry no request."
    UPSTREAM_REPEATS Counter "firegate_upstream_repeats_total" ["backend", "result"]
        "Requests that could be sent once more: `sent`, or `unaffordable` when too many already were."
    UPSTREAM_REFUSED Counter "firegate_upstream_refused_total" ["backend"]
        "Requests refused because too many were under way: to the backend, or to all."
    RULE_MATCHES Counter "firegate_security_policy_matches_total" ["backend", "policy", "priority", "outcome"]
        "Requests that a rule of a security policy decided about, or would have decided about if it were not in preview."
    RATE_LIMIT_REQUESTS Counter "firegate_rate_limit_requests_total" ["backend", "policy", "priority", "outcome"]
        "Requests that a rule of a security policy counted, those of rules in preview included."
    RATE_LIMIT_OVERFLOW Counter "firegate_rate_limit_overflow_total" ["backend", "policy", "priority"]
        "Requests that were counted together with those of other keys, because there was no place for one more key."
    RATE_LIMIT_KEYS Gauge "firegate_rate_limit_keys" []
        "Keys that are counted in this process, some of whose intervals may be over."
    RATE_LIMIT_KEYS_MAX Gauge "firegate_rate_limit_keys_max" []
        "For how many keys there is a place."
    RATE_LIMIT_WITHOUT_STORE Counter "firegate_rate_limit_without_store_total" ["backend", "policy", "priority", "on_failure"]
        "Requests that were to be counted in `limits_store` while it could not be asked, by what held for them."
    LIMITS_STORE_UP Gauge "firegate_limits_store_up" []
        "1 while the server of `limits_store` answers in time."
    LIMITS_STORE_LOSSES Counter "firegate_limits_store_losses_total" []
        "How often the server of `limits_store` went away: it was slow, gone, or answered with an error."
    LIMITS_STORE_QUESTIONS Counter "firegate_limits_store_questions_total" ["result"]
        "Requests that were to be counted in `limits_store`, by what became of asking it."
}
