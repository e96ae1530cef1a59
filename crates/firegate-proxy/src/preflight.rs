//! What can be told of a configuration before a front door is opened with it: the files of keys and certificates that it names,
//! the tests of its URL map, and what opening it would say. No call is made and nothing is kept.

use firegate_core::snapshot::Snapshot;
use firegate_core::time::SharedClock;
use firegate_files::configuration::{Behind, Configuration};

use crate::assertions::{read_key, read_public_key};
use crate::generation::{INGRESS_ADVICE, check_without_key, test_url_map};
use crate::listen::Certificates;
use crate::start::StartError;

/// What a front door would say of a configuration.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Why it would not open, each with the path of the key that is at fault.
    pub errors: Vec<(&'static str, StartError)>,
    /// What it would advise, each with the path of the key that is meant. A line that begins with `hint: ` says what to do.
    pub advice: Vec<(&'static str, &'static str)>,
}

/// Asks what a front door would say of this configuration, on Cloud Run or elsewhere.
pub fn preflight(configuration: &Configuration, on_cloud_run: bool, clock: &SharedClock) -> Preflight {
    let mut found = Preflight::default();
    let settings = &configuration.assertion;
    if let Some(path) = &settings.key
        && let Err(error) = read_key(path)
    {
        found.errors.push(("assertion.key", error.into()));
    }
    for path in &settings.previous_keys {
        if let Err(error) = read_public_key(path) {
            found.errors.push(("assertion.previous_keys", error.into()));
        }
    }
    if let Some(tls) = &configuration.tls
        && let Err(error) = Certificates::read(&tls.certificates, clock.clone())
    {
        found.errors.push(("tls.certificates", error.into()));
    }
    let snapshot = Snapshot::compile(configuration);
    if let Err(error) = test_url_map(configuration, &snapshot) {
        found.errors.push(("url_map", error));
    }
    if on_cloud_run && settings.key.is_none() {
        match check_without_key(&snapshot) {
            Ok(Some(advice)) => found.advice.push(("assertion", advice)),
            Ok(None) => {}
            Err(error) => found.errors.push(("exchange.enabled", error)),
        }
    }
    if on_cloud_run && configuration.behind == Some(Behind::GoogleLoadBalancer) {
        found.advice.push(("behind", INGRESS_ADVICE));
    }
    found
}
