//! The story of the project, over real sockets: who reaches the private service, who does not, and what each of them is
//! told.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../stack/mod.rs"]
mod stack;

#[cfg(unix)]
mod access_log;
mod app_check;
mod clients_connection;
mod command_line;
mod credentials;
mod cross_origin;
#[cfg(target_os = "linux")]
mod descriptors;
mod dev_session;
mod emulator_trust;
mod exchange;
mod files_checked;
mod forwarded_headers;
mod forwarding;
mod gate;
mod google_callers;
#[cfg(unix)]
mod handed_over;
mod iam_policy;
mod kept_data;
#[cfg(unix)]
mod killed;
#[cfg(unix)]
mod limits;
mod listening;
mod load_balancer;
mod local_google;
mod metrics;
mod mirrors;
mod observing;
#[cfg(unix)]
mod outage_lines;
mod outages;
mod panics;
#[cfg(unix)]
#[cfg(unix)]
#[allow(dead_code, reason = "the tests of the store itself use all of it")]
#[path = "../../../firegate-proxy/src/limits_store/tests/server.rs"]
mod redis_server;
mod refused_by_whom;
mod reloading;
mod reminting;
mod requests;
mod retrying;
mod revocation;
#[cfg(unix)]
mod security_policy;
mod service_view;
mod simulated;
#[cfg(target_os = "linux")]
mod standard_streams;
mod stopping;
#[cfg(unix)]
mod take_over;
#[cfg(target_os = "linux")]
mod threads;
mod tls;
mod token_sources;
mod tokens;
mod upstreams;
mod url_map;
mod welcome;
