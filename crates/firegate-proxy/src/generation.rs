//! One configuration in force, compiled, with everything that depends on it. A request takes the generation that is in force
//! when it comes and keeps it to its end, so that none is decided by one configuration and forwarded by another.
//!
//! What two generations have in common is one thing that both hold: the keys, tokens and verdicts that were fetched under the
//! former one are not fetched again, and what nobody holds any more stops by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use firegate_core::forwarded::ForwardedTrust;
use firegate_core::limiter::MemoryCounters;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::SharedClock;
use firegate_files::configuration::{Behind, Configuration, IdentityHeaders, LimitsStore, Routing};

use crate::assertions::{Assertions, KeySource, read_key, read_public_key};
use crate::control::{ControlHandle, ControlOptions, ControlRuntime, Tended};
use crate::geography::open_geography;
use crate::metrics::{Decisions, Figures, ProcessFigures};
use crate::request;
use crate::start::StartError;
use crate::telemetry::{AccessLogPolicy, LogQueue};
use crate::upstream::{BackendError, Upstream, Upstreams};

/// What the process was started with and every generation is made with.
#[derive(Debug)]
pub(crate) struct ProcessOptions {
    pub(crate) on_cloud_run: bool,
    pub(crate) application_credentials: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) lookup_bearer: Option<&'static str>,
    pub(crate) keeps_data: bool,
    pub(crate) is_local: bool,
    /// The hosts that are answered beside this machine's own, if that is so.
    pub(crate) local_hosts: BTreeSet<String>,
    pub(crate) clock: SharedClock,
    /// What is counted survives every configuration.
    pub(crate) counters: Arc<MemoryCounters>,
    /// Where the lines about requests go.
    pub(crate) log: LogQueue,
    /// Every endpoint that is known, with its connections.
    pub(crate) upstreams: Upstreams,
}

impl ProcessOptions {
    /// Whether requests for this host are answered at all.
    pub(crate) fn answers_to(&self, host: &str) -> bool {
        if !self.is_local {
            return true;
        }
        let name = request::host_name(host);
        request::is_local_name(&name) || self.local_hosts.contains(&name)
    }
}

/// One configuration in force.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) configuration: Configuration,
    pub(crate) snapshot: Snapshot,
    pub(crate) forwarded_trust: Option<ForwardedTrust>,
    pub(crate) control: ControlHandle,
    pub(crate) assertions: Arc<Tended<Assertions>>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) access_log: Arc<AccessLogPolicy>,
    /// The ways to the backends, by their names.
    upstreams: BTreeMap<String, Arc<Upstream>>,
}

/// On Cloud Run nothing tells the load balancer's requests from those that come to the service's own URL.
const INGRESS_ADVICE: &str = "`behind: google-lb` on Cloud Run believes what every request says of its client's address; hint: \
    let nothing but the load balancer reach the service: gcloud run services update SERVICE --ingress \
    internal-and-cloud-load-balancing";

/// Off Cloud Run nobody is its front.
const NO_CLOUD_RUN_ADVICE: &str = "`behind: cloud-run` counts on Cloud Run alone, which this is not (`K_SERVICE` is not set): \
    forwarded headers count for nothing; hint: say whose count, `behind: { hops: 1, peers: [CIDR] }`; for Cloud Run itself check \
    with: firegate check --on-cloud-run";

/// What `behind` does not say of itself on this machine, if it was written.
pub(crate) fn behind_advice(behind: Option<&Behind>, on_cloud_run: bool) -> Option<&'static str> {
    match behind {
        Some(Behind::GoogleLoadBalancer) if on_cloud_run => Some(INGRESS_ADVICE),
        Some(Behind::CloudRun) if !on_cloud_run => Some(NO_CLOUD_RUN_ADVICE),
        _ => None,
    }
}

/// On Cloud Run there are as many instances as it likes.
const PER_INSTANCE_ADVICE: &str = "rate limits are counted per instance, of which Cloud Run starts as many as it needs; hint: let \
    them count together: `limits_store: rediss://HOST:PORT`, or run one: gcloud run services update SERVICE --max-instances 1";

impl Generation {
    /// Compiles a configuration, reads the keys and credentials that it names, and begins to fetch what it needs. What it has
    /// in common with `former` is taken over from there.
    ///
    /// # Errors
    /// If a key or a credential cannot be used.
    pub(crate) fn new(
        configuration: Configuration,
        process: &ProcessOptions,
        control: &ControlRuntime,
        former: Option<&Self>,
    ) -> Result<Self, StartError> {
        let mut snapshot = Snapshot::compile(&configuration);
        test_url_map(&configuration, &snapshot)?;
        if process.is_local {
            snapshot = snapshot.with_local_network_origins();
        }
        snapshot = snapshot.with_geography(open_geography(&configuration)?);
        let limits = snapshot.security_policies.iter().flat_map(|policy| policy.rate_limits()).cloned();
        let limits = limits.collect::<Vec<_>>();
        process.counters.go_by(&limits);
        if process.on_cloud_run && !limits.is_empty() && configuration.limits_store == LimitsStore::Memory {
            tracing::warn!("{PER_INSTANCE_ADVICE}");
        }
        let assertions = assertions(&configuration, &snapshot, process, control, former)?;
        let handle = control.handle(&ControlOptions {
            configuration: &configuration,
            process,
            assertions: Arc::clone(&assertions),
            former: former.map(|former| &former.control),
        })?;
        let usual = if process.on_cloud_run { Behind::CloudRun } else { Behind::Direct };
        let behind = configuration.behind.as_ref().unwrap_or(&usual);
        if let Some(advice) = behind_advice(Some(behind), process.on_cloud_run) {
            tracing::warn!("{advice}");
        }
        let access_log = AccessLogPolicy::new(configuration.access_log, configuration.project.to_string());
        let decisions = Decisions::new(&snapshot, former.map(|former| &*former.decisions));
        Ok(Self {
            forwarded_trust: ForwardedTrust::of(behind, process.on_cloud_run),
            control: handle,
            assertions,
            decisions: Arc::new(decisions),
            access_log: Arc::new(access_log),
            upstreams: upstreams(&snapshot, process)?,
            snapshot,
            configuration,
        })
    }

    /// The way to a backend.
    pub(crate) fn upstream(&self, backend: &Backend) -> Option<&Arc<Upstream>> {
        self.upstreams.get(&backend.name)
    }

    /// The figures of this moment.
    pub(crate) fn figures(&self, process: ProcessFigures, upstreams: &Upstreams) -> Figures {
        let in_force = self.upstreams.values().map(|upstream| &**upstream).collect::<Vec<_>>();
        Figures {
            process,
            control: self.control.figures(&self.snapshot.backends),
            endpoints: upstreams.endpoint_figures(&in_force),
            backends: upstreams.backend_figures(),
        }
    }
}

/// Runs the URL map's own tests. Google refuses an update of a map of which one fails, and so does Firegate.
pub(crate) fn test_url_map(configuration: &Configuration, snapshot: &Snapshot) -> Result<(), StartError> {
    let Routing::UrlMap(map) = &configuration.routing else { return Ok(()) };
    let failures = snapshot.routes.run_tests(map);
    if failures.is_empty() {
        return Ok(());
    }
    let mut text = format!("{} of the URL map's {} tests fail", failures.len(), map.tests.len());
    for failure in failures {
        let (file, line) = (&map.file, failure.place.line);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {file}:{line}: {}", failure.message);
    }
    text.push_str("\nhint: change the rule or what its test expects");
    Err(StartError::UrlMapTests(text))
}

/// The ways to the backends. The connections that are open to endpoints that stay the same go on.
fn upstreams(
    snapshot: &Snapshot,
    process: &ProcessOptions,
) -> Result<BTreeMap<String, Arc<Upstream>>, BackendError> {
    let open = |backend: &Arc<Backend>| Ok((backend.name.clone(), process.upstreams.open(backend)?));
    snapshot.backends.iter().map(open).collect()
}

/// What signs the assertions.
fn assertions(
    configuration: &Configuration,
    snapshot: &Snapshot,
    process: &ProcessOptions,
    control: &ControlRuntime,
    former: Option<&Generation>,
) -> Result<Arc<Tended<Assertions>>, StartError> {
    let settings = &configuration.assertion;
    let data_dir = process.keeps_data.then_some(configuration.data_dir.as_path());
    let source = match &settings.key {
        Some(path) => KeySource::Mounted(read_key(path)?),
        None if process.on_cloud_run => KeySource::None,
        None => KeySource::Generated(data_dir),
    };
    if matches!(source, KeySource::None)
        && let Some(advice) = check_without_key(snapshot)?
    {
        tracing::warn!("{advice}");
    }
    let previous = settings.previous_keys.iter().map(|path| read_public_key(path));
    let previous = previous.collect::<Result<Vec<_>, _>>()?;
    let issuer = &snapshot.identity.issuer;
    let kept = former.map(|former| &former.assertions);
    if let Some(kept) = kept.filter(|kept| kept.is_made_of(&source, &previous, issuer)) {
        return Ok(Arc::clone(kept));
    }
    let clock = Arc::clone(&process.clock);
    let assertions = Assertions::new(source, previous, issuer.clone(), clock.now())?;
    Ok(control.tend(Arc::new(assertions), move |assertions, stop| assertions.run(Arc::clone(&clock), stop)))
}

/// What no assertion is sent for, and how to change that.
const KEY_ADVICE: &str = "no assertion about the user is sent: every instance would sign with a key of its own; hint: openssl \
    genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem; gcloud secrets create firegate-assertion \
    --data-file=assertion.pem; mount it, and set `assertion: { key: /secrets/assertion.pem }`";

/// Whether it can do without a key of its own, and what is missing then.
///
/// # Errors
/// If it cannot.
pub(crate) fn check_without_key(snapshot: &Snapshot) -> Result<Option<&'static str>, StartError> {
    if snapshot.exchanges_tokens {
        return Err(StartError::ExchangeWithoutKey);
    }
    let sends = |backend: &Arc<Backend>| {
        matches!(backend.identity_headers(), IdentityHeaders::Firegate | IdentityHeaders::Iap)
    };
    Ok(snapshot.backends.iter().any(sends).then_some(KEY_ADVICE))
}
