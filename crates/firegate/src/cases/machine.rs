//! A case's request before the machine of the decision: the head is read as the door reads it, and what the machine needs is
//! answered as by a Google that has nothing against anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use firegate_core::assertion::plain_headers;
use firegate_core::decision::{Answer as Fetched, Decision, Need, Outcome, Respond, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::headers::is_protected;
use firegate_core::identity::{AccountStatus, KeyRing, NoKnownAccounts};
use firegate_core::limiter::MemoryCounters;
use firegate_core::observed::Forwarding;
use firegate_core::reason::{Code, Reason};
use firegate_core::route::{HeaderFacts, RouteEntry};
use firegate_core::snapshot::Snapshot;
use firegate_core::time::{Clock, SharedClock, UnixTime};
use firegate_files::Configuration;
use firegate_files::decision_cases::{Arrival, DecisionCase};
use firegate_proxy::{OwnAnswer, OwnPath};
use http::Request;
use http::header::{AUTHORIZATION, HOST};

use super::{Answer, Issuer};

/// The decision of one configuration.
#[derive(Debug)]
pub struct Machine<'a> {
    snapshot: Snapshot,
    keys: KeyRing,
    issuer: &'a Issuer,
    /// What the counters go by: the time of the request that is decided.
    clock: Arc<CaseClock>,
    counters: MemoryCounters,
}

/// The time of the case.
#[derive(Debug, Default)]
struct CaseClock(AtomicI64);

impl Clock for CaseClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.0.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed).try_into().unwrap_or(0))
    }
}

/// The secret of counters that nobody but the cases' author fills.
const COUNTERS_SECRET: [u8; 16] = [0; 16];

impl<'a> Machine<'a> {
    /// The machine of a configuration, which believes `issuer`.
    ///
    /// # Errors
    /// If the issuer's key cannot be read.
    pub fn new(configuration: &Configuration, issuer: &'a Issuer) -> anyhow::Result<Self> {
        let clock = Arc::new(CaseClock::default());
        let counters = MemoryCounters::new(Arc::clone(&clock) as SharedClock, COUNTERS_SECRET);
        Ok(Self {
            snapshot: Snapshot::compile(configuration),
            keys: issuer.key_ring()?,
            issuer,
            clock,
            counters,
        })
    }

    /// What becomes of the request of a case. `now` is the time of those that name none.
    ///
    /// # Errors
    /// If a token cannot be signed.
    pub fn decide(&self, case: &DecisionCase, now: UnixTime) -> anyhow::Result<Answer> {
        for arrival in case.before.iter() {
            for _ in 0..arrival.repeat {
                self.answer(arrival, now)?;
            }
        }
        for _ in 1..case.arrival.repeat {
            self.answer(&case.arrival, now)?;
        }
        self.answer(&case.arrival, now)
    }

    fn answer(&self, arrival: &Arrival, now: UnixTime) -> anyhow::Result<Answer> {
        let now = arrival.at_seconds.map_or(now, UnixTime::from_seconds);
        self.clock.0.store(now.as_seconds(), Ordering::Relaxed);
        let mut request = Request::builder()
            .method(arrival.method.as_str())
            .uri(arrival.target.path_and_query.as_str())
            .header(HOST, arrival.target.authority.as_str());
        for (name, value) in &arrival.headers {
            request = request.header(name, value);
        }
        if let Some(user) = &arrival.user {
            let token = self.issuer.id_token(user, &self.snapshot.identity.project, now)?;
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        // What the types of HTTP cannot hold, the door refuses before them.
        let Ok(request) = request.body(()) else { return Ok(refused(Code::RequestMalformed, None)) };
        let (parts, ()) = request.into_parts();
        let scheme = if arrival.target.is_https { "https" } else { "http" };
        let mut facts = match firegate_proxy::read_head(&parts, scheme) {
            Ok(facts) => facts,
            Err(reason) => return Ok(denied(&reason)),
        };
        // Somebody who may speak for the client says where it is.
        (facts.client, facts.is_vouched_for) = (arrival.client, true);
        match OwnAnswer::of(&facts, &self.snapshot) {
            Ok(None) => {}
            Ok(Some(own)) => return Ok(answered(&own)),
            Err(denial) => return Ok(denied(&denial.reason)),
        }
        let world = World {
            snapshot: &self.snapshot,
            keys: &self.keys,
            accounts: &NoKnownAccounts,
            counters: &self.counters,
            now,
        };
        let mut step = Decision::start(&facts, &world);
        let outcome = loop {
            step = match step {
                Step::Done(outcome) => break outcome,
                Step::Need(need, decision) => decision.resume(fetched(&need), &world),
            };
        };
        Ok(match outcome {
            Outcome::Permit(permit) => passed(&Forwarding::Permitted(permit), arrival, &facts),
            Outcome::Observed(observed) => passed(&Forwarding::Observed(observed), arrival, &facts),
            Outcome::Respond(Respond::Preflight(_)) => Answer::Answered { status: 204, why: None },
            Outcome::Respond(Respond::Redirect(answer)) => Answer::Redirected {
                to: answer.location.to_str().unwrap_or_default().to_owned(),
                status: answer.status.as_u16(),
            },
            Outcome::Denial(denial) => denied(&denial.reason),
            Outcome::Fault(fault) => refused(fault.code, Some(fault.detail)),
        })
    }
}

/// What Google says, as far as a case goes: everybody is in order.
fn fetched(need: &Need) -> Fetched {
    match need {
        // The keys are all there: what is not among them is not published.
        Need::KeyRefresh { .. } => Fetched::Keys,
        Need::AccountStatus { .. } => {
            let account = AccountStatus { disabled: false, valid_since: UnixTime::from_seconds(0) };
            Fetched::Account(Some(account))
        }
        // Every case counts for itself.
        Need::SharedCount(_) => Fetched::Unavailable,
        Need::AppCheckConsume { .. } => Fetched::AppCheckConsumed { already: false },
    }
}

/// What Firegate answers itself, once it is ready.
fn answered(own: &OwnAnswer) -> Answer {
    let (status, why) = match own {
        OwnAnswer::Preflight(_) => (204, None),
        OwnAnswer::OtherMethod => {
            (405, Some(format!("the methods there are {}", OwnPath::TokenEndpoint.methods())))
        }
        OwnAnswer::Served(OwnPath::TokenEndpoint) => {
            (400, Some("a case has no body, and so no form for the token endpoint to answer".to_owned()))
        }
        OwnAnswer::Served(OwnPath::JwkSet | OwnPath::Ready | OwnPath::Metadata) => (200, None),
    };
    Answer::Answered { status, why }
}

/// What the service sees. A permit that fault injection takes is none.
fn passed(forwarding: &Forwarding, arrival: &Arrival, facts: &RequestFacts<'_>) -> Answer {
    let route = forwarding.route();
    if let Some(status) = route.and_then(RouteEntry::abort) {
        return denied(&Reason::FaultInjected { status });
    }
    let path = route.map_or(&facts.path, |route| route.path(&facts.path)).as_str();
    let path_and_query = facts.query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut headers = facts.headers.clone();
    let names = headers.keys().filter(|name| is_protected(name)).cloned().collect::<Vec<_>>();
    for name in names {
        headers.remove(name);
    }
    if let Some(actions) = route.and_then(RouteEntry::headers) {
        let (client_address, is_encrypted) = (arrival.client, arrival.target.is_https);
        actions.change_request(
            &mut headers,
            &HeaderFacts {
                client_address,
                is_encrypted,
                protocol: "HTTP/1.1",
                geography: None,
                client_port: None,
                server: None,
                tls_version: None,
            },
        );
    }
    for (name, value) in facts.screened.get().map_or(&[][..], |screened| screened.request_headers()) {
        headers.insert(name, value.clone());
    }
    let about_user = forwarding.permit().map(plain_headers).unwrap_or_default();
    let about_user = about_user.iter().map(|(name, value)| (name, value));
    let fields = headers.iter().chain(about_user);
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Answer::Passed {
        to: forwarding.backend().name.clone(),
        path_and_query,
        headers: fields.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        would_be_refused: match forwarding {
            Forwarding::Permitted(_) => None,
            Forwarding::Observed(observed) => Some(observed.refusal().code().entry().name.to_owned()),
        },
    }
}

fn denied(reason: &Reason) -> Answer {
    let evidence = Some(reason.to_string());
    Answer::Refused { code: reason.code().entry().name.to_owned(), status: reason.status(), evidence }
}

fn refused(code: Code, evidence: Option<String>) -> Answer {
    let entry = code.entry();
    Answer::Refused { code: entry.name.to_owned(), status: entry.status, evidence }
}
