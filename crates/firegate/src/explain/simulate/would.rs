//! What would become of a recorded request, by the decision of the front door. What the log does not carry is unknown, and what
//! depends on it is not decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use firegate_core::armor::{NoteKind, PolicyRule, RuleOutcome, Screened};
use firegate_core::conceal::CONCEALED;
use firegate_core::decision::{Outcome, Respond, World};
use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::Client;
use firegate_core::iam::{ConditionOutcome, IamRequest};
use firegate_core::identity::{KeyRing, NoKnownAccounts};
use firegate_core::limiter::MemoryCounters;
use firegate_core::observed::Refusal;
use firegate_core::reason::{Code, Denial, Reason, Stage};
use firegate_core::route::Routed;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::{Clock, SharedClock, UnixTime};
use firegate_files::configuration::{Configuration, RESERVED_PREFIX};
use firegate_files::security_policy::Key;
use firegate_files::url_map::Share;
use firegate_proxy::{OwnAnswer, OwnPath};
use http::header::{HOST, REFERER, USER_AGENT};
use http::{HeaderName, Method};

use super::super::firegate_door::drive;
use super::super::request::{FileLine, GivenRequest, Places, RequestFlags};
use super::chance::Chance;
use super::recorded::{Recorded, Was, WasKind};
use super::report::{Change, change};

/// What Firegate's log has in the place of the rest of a long text.
const CUT: char = '…';

/// The secret of counters that nobody but the log fills.
const COUNTERS_SECRET: [u8; 16] = [0; 16];

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Would {
    pub(super) kind: WouldKind,
    /// The line that decides, or that would have to know more.
    pub(super) place: Option<FileLine>,
    /// The rule that is only tried out and would have ended it, in words, and its line.
    pub(super) preview: Option<(String, FileLine)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WouldKind {
    /// It comes to this backend, whoever sends it.
    Passes(String),
    /// It comes to this backend, which is only observed; enforced it would be refused with this status and code.
    Observed(String, u16, &'static str),
    /// It is refused only if its token or its user is: for this backend.
    LeftToToken(String),
    /// It comes to one of these backends, which chance chooses, if it is not refused there.
    ToOneOf(Vec<String>),
    Refused(u16, &'static str),
    Redirected(u16),
    /// Firegate answers it itself, at one of its own paths.
    Answered,
    /// It depends on what the log does not carry.
    Undecided(String),
}

/// What would have to be known to decide, and is not in the log.
struct Unknown {
    why: String,
    /// The line that asks for it.
    place: Option<FileLine>,
}

/// The front door of a configuration, to which a log is played.
#[derive(Debug)]
pub(super) struct Player<'a> {
    snapshot: Snapshot,
    configuration: &'a Configuration,
    chance: Chance<'a>,
    places: Places<'a>,
    clock: Arc<LogClock>,
    counters: MemoryCounters,
    keys: KeyRing,
    /// How many entries came before one that is older.
    pub(super) out_of_order: u64,
}

/// The time of the log, in nanoseconds since 1970.
#[derive(Debug, Default)]
struct LogClock(AtomicU64);

impl LogClock {
    fn time(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Clock for LogClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.time().as_secs().try_into().unwrap_or(i64::MAX))
    }

    fn steady(&self) -> Duration {
        self.time()
    }
}

impl<'a> Player<'a> {
    /// The door of a configuration, which is compiled already.
    pub(super) fn new(snapshot: Snapshot, configuration: &'a Configuration, places: Places<'a>) -> Self {
        let clock = Arc::new(LogClock::default());
        let counters = MemoryCounters::new(Arc::clone(&clock) as SharedClock, COUNTERS_SECRET);
        let limits = snapshot.security_policies.iter().flat_map(|policy| policy.rate_limits()).cloned();
        counters.go_by(&limits.collect::<Vec<_>>());
        let (chance, keys) = (Chance::new(configuration), KeyRing::default());
        Self { snapshot, configuration, chance, places, clock, counters, keys, out_of_order: 0 }
    }

    /// Whether the configuration has a backend of the name that the log has for where a request went.
    pub(super) fn knows_backend_of(&self, recorded: &Recorded) -> bool {
        recorded.backend.as_deref().is_some_and(|name| self.has_backend(name))
    }

    fn has_backend(&self, name: &str) -> bool {
        self.configuration.backends.keys().any(|known| known.as_str() == name)
    }

    /// What would become of a request.
    pub(super) fn play(&mut self, recorded: &Recorded) -> Would {
        let is_in_order = self.advance(recorded);
        let would = self.decide(recorded, is_in_order);
        if !self.may_be_refused_again(&recorded.was, &would.kind) {
            return would;
        }
        let why = format!("for what it was refused as {}, the log does not carry", recorded.was.code);
        Would { kind: WouldKind::Undecided(why), ..would }
    }

    /// Whether a request was refused for something that the log does not carry and that may have it refused here, too.
    fn may_be_refused_again(&self, was: &Was, would: &WouldKind) -> bool {
        match (was.kind, would) {
            (_, WouldKind::Undecided(_)) => false,
            (WasKind::RefusedHead, WouldKind::Refused(status, code)) => !was.is_refusal(*status, code),
            (WasKind::RefusedHead, _) => true,
            (WasKind::RefusedOnTheWay, WouldKind::Refused(..) | WouldKind::Redirected(_)) => false,
            (WasKind::RefusedOnTheWay, _) => true,
            // Where everyone may call, a bad token is refused all the same.
            (WasKind::RefusedToken, WouldKind::Passes(name)) => !self.observes(name),
            _ => false,
        }
    }

    /// Whether a backend refuses nobody.
    fn observes(&self, name: &str) -> bool {
        self.snapshot.backends.iter().any(|backend| backend.name == name && backend.observes())
    }

    fn decide(&mut self, recorded: &Recorded, is_in_order: bool) -> Would {
        let undecided =
            |why: &str| Would { kind: WouldKind::Undecided(why.to_owned()), place: None, preview: None };
        if recorded.url.contains(CONCEALED) || recorded.url.contains(CUT) {
            return undecided("the log conceals a part of the URL, or cut it");
        }
        let behind_scheme = recorded.url.split_once("://").map(|(_, rest)| rest);
        if behind_scheme.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
            // HTTP/1.0 needs no `Host`, and every other version does: the log does not always tell the version.
            return undecided("its `requestUrl` names no host");
        }
        let (names, headers) = headers(recorded);
        let flags = RequestFlags { method: &recorded.method, url: &recorded.url, headers: &headers };
        // What is wrong with it is told in words that hold nothing of it: they are shown, and it may hold a token.
        let Ok(given) = GivenRequest::from_flags(&flags) else {
            return undecided("its `requestUrl` is no URL of http or https");
        };
        let scheme = if recorded.url.starts_with("http://") { "http" } else { "https" };
        let client = Client { address: recorded.client, scheme, is_vouched_for: true };
        let mut facts = match given.facts(client) {
            Ok(facts) => facts,
            Err(reason) => return self.refused(&Denial { reason, stage: Stage::Facts }, None),
        };
        facts.recorded_headers = Some(&names);
        match OwnAnswer::of(&facts, &self.snapshot) {
            Ok(Some(OwnAnswer::Served(OwnPath::TokenEndpoint))) if !is_unknown_path(&recorded.was) => {
                return undecided("what the token endpoint answers, the body of the request says");
            }
            Ok(Some(_)) => return Would { kind: WouldKind::Answered, place: None, preview: None },
            Ok(None) => {}
            // That nothing is there is told beside the routes, among which it is not.
            Err(Denial { reason: Reason::OwnPathNotServed { .. }, .. }) => {}
            Err(denial) => return self.refused(&denial, None),
        }
        facts.random = match self.drawn(&facts, recorded) {
            Ok(random) => random,
            Err(would) => return *would,
        };
        let world = World {
            snapshot: &self.snapshot,
            keys: &self.keys,
            accounts: &NoKnownAccounts,
            counters: &self.counters,
            now: self.clock.now(),
        };
        let outcome = drive(&facts, &world);
        let routed = self.snapshot.routes.select(&facts);
        let screened = facts.screened.get();
        let preview = screened.and_then(preview);
        let routed = routed.ok();
        let open = self.open_question(&facts, routed.as_ref(), screened, is_in_order);
        if let Some(Unknown { why, place }) = open {
            return Would { kind: WouldKind::Undecided(why), place, preview };
        }
        let Ok(outcome) = outcome else { return undecided("it carries no token, and keys are asked for") };
        let would = Would { preview, ..self.would(&outcome, &facts, routed.as_ref(), screened) };
        let entry = routed.as_ref().and_then(Routed::entry);
        match entry.and_then(|entry| self.chance.abort(entry.place())) {
            Some(abort) => self.spoilt(would, abort, recorded, &facts),
            None => would,
        }
    }

    /// What chance draws for a request: the service that it went to, where that is one of those that it chooses from.
    ///
    /// # Errors
    /// What would become of the request, if nobody can say what is drawn.
    fn drawn(&mut self, facts: &RequestFacts<'_>, recorded: &Recorded) -> Result<u64, Box<Would>> {
        let Some(rule) = self.snapshot.routes.place(facts) else { return Ok(facts.random) };
        let services = self.chance.services(rule);
        if services.is_empty() || facts.path.as_str().starts_with(RESERVED_PREFIX) {
            return Ok(facts.random);
        }
        if let Some(Unknown { why, place }) = self.open_route(facts) {
            return Err(Box::new(Would { kind: WouldKind::Undecided(why), place, preview: None }));
        }
        let was = services.iter().find(|service| recorded.backend.as_deref() == Some(**service));
        let random = was.and_then(|was| self.chance.draw(rule, was, &self.snapshot.routes, facts));
        random.ok_or_else(|| {
            let kind = if services.iter().all(|service| self.has_backend(service)) {
                WouldKind::ToOneOf(services.iter().map(|service| (*service).to_owned()).collect())
            } else {
                WouldKind::Undecided(format!("chance chooses among {}", services.join(", ")))
            };
            Box::new(Would { kind, place: self.place_of_route(facts), preview: None })
        })
    }

    /// What fault injection makes of what would come to a service. It is not known for which requests of the share.
    fn spoilt(
        &self,
        would: Would,
        (status, share): (u16, Share),
        recorded: &Recorded,
        facts: &RequestFacts<'_>,
    ) -> Would {
        let needs_token = matches!(would.kind, WouldKind::LeftToToken(_));
        let is_forwarded =
            needs_token || matches!(would.kind, WouldKind::Passes(_) | WouldKind::Observed(..));
        // A caller who is refused does not come so far.
        let is_refused = match recorded.was.kind {
            WasKind::RefusedToken => true,
            WasKind::RefusedCaller => needs_token,
            _ => false,
        };
        if !is_forwarded || is_refused {
            return would;
        }
        let aborted = WouldKind::Refused(status, Code::FaultInjected.entry().name);
        let knows_backend = self.knows_backend_of(recorded);
        let is_changed = |kind: &WouldKind| change(recorded, kind, knows_backend) == Change::Changed;
        let place = self.place_of_route(facts);
        if share == Share::ALL && (!needs_token || is_changed(&aborted)) {
            return Would { kind: aborted, place, ..would };
        }
        if is_changed(&would.kind) && is_changed(&aborted) {
            return would;
        }
        let why = format!("fault injection may answer it with {status}");
        Would { kind: WouldKind::Undecided(why), place, ..would }
    }

    /// Sets the clock to the time of a request; false if it is behind the one before, or has no time.
    fn advance(&mut self, recorded: &Recorded) -> bool {
        let at = recorded.at.map(|at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
        let is_in_order = at.is_some_and(|at| at >= self.clock.0.load(Ordering::Relaxed));
        match at {
            Some(at) if is_in_order => self.clock.0.store(at, Ordering::Relaxed),
            _ => self.out_of_order += 1,
        }
        is_in_order
    }

    /// What leaves open what would become of the request.
    fn open_question(
        &self,
        facts: &RequestFacts<'_>,
        routed: Option<&Routed>,
        screened: Option<&Screened>,
        is_in_order: bool,
    ) -> Option<Unknown> {
        let open_rule = || screened.and_then(|screened| open_rule(screened, facts, is_in_order));
        if let Some(open) = self.open_route(facts).or_else(open_rule) {
            return Some(open);
        }
        let ended_by_policy = screened
            .and_then(|screened| screened.enforced.as_ref())
            .is_some_and(|enforced| enforced.outcome != RuleOutcome::Accept);
        let may_be_preflight =
            facts.method == Method::OPTIONS && !ended_by_policy && self.snapshot.cors_of(routed).is_some();
        may_be_preflight.then(|| Unknown {
            why: "whether it is a preflight, its header Origin says".to_owned(),
            place: self.places.of("cors"),
        })
    }

    /// What leaves open which route it takes.
    fn open_route(&self, facts: &RequestFacts<'_>) -> Option<Unknown> {
        let unknown = |name: &HeaderName| !facts.knows_header(name.as_str());
        let name = self.snapshot.routes.headers_asked(facts).into_iter().find(unknown)?;
        let why = format!("a route rule asks for the header {name}");
        Some(Unknown { why, place: self.place_of_route(facts) })
    }

    fn place_of_route(&self, facts: &RequestFacts<'_>) -> Option<FileLine> {
        self.snapshot.routes.place(facts).and_then(|place| self.places.of_route(place))
    }

    fn would(
        &self,
        outcome: &Outcome,
        facts: &RequestFacts<'_>,
        routed: Option<&Routed>,
        screened: Option<&Screened>,
    ) -> Would {
        let place = self.place_of_route(facts);
        let would = |kind| Would { kind, place: place.clone(), preview: None };
        match outcome {
            Outcome::Permit(permit) => {
                let name = permit.backend().name.clone();
                would(match self.may_deny_a_user(permit.backend(), facts) {
                    true => WouldKind::LeftToToken(name),
                    false => WouldKind::Passes(name),
                })
            }
            Outcome::Observed(observed) => {
                let name = observed.backend().name.clone();
                let refusal = observed.refusal();
                match refusal {
                    Refusal::Denial(denial) if !is_of_caller(denial.stage) => Would {
                        kind: WouldKind::Observed(name, refusal.status(), refusal.code().entry().name),
                        place: self.place_of(&denial.reason).or(place),
                        preview: None,
                    },
                    // It goes on whatever its token says.
                    Refusal::Denial(_) | Refusal::Fault(_) => would(WouldKind::Passes(name)),
                }
            }
            Outcome::Respond(Respond::Redirect(answer)) => {
                let place = screened.and_then(enforced_place).or(place);
                Would { kind: WouldKind::Redirected(answer.status.as_u16()), place, preview: None }
            }
            Outcome::Respond(Respond::Preflight(_)) => {
                would(WouldKind::Undecided("it is a preflight".to_owned()))
            }
            Outcome::Denial(denial) if is_of_caller(denial.stage) => {
                let name = routed.and_then(Routed::entry).map(|entry| entry.backend().name.clone());
                would(WouldKind::LeftToToken(name.unwrap_or_default()))
            }
            Outcome::Denial(denial) => self.refused(denial, place),
            Outcome::Fault(fault) => would(WouldKind::Undecided(fault.detail.clone())),
        }
    }

    /// Whether a deny rule may name the user of a request that everyone may send.
    fn may_deny_a_user(&self, backend: &Backend, facts: &RequestFacts<'_>) -> bool {
        let request = IamRequest::of(facts, self.clock.now());
        let mut rules = backend.bindings.denials().trace(&request, None).into_iter();
        !backend.observes() && rules.any(|rule| rule.condition != Some(ConditionOutcome::False))
    }

    fn refused(&self, denial: &Denial, place: Option<FileLine>) -> Would {
        let kind = WouldKind::Refused(denial.reason.status(), denial.reason.code().entry().name);
        Would { kind, place: self.place_of(&denial.reason).or(place), preview: None }
    }

    fn place_of(&self, reason: &Reason) -> Option<FileLine> {
        match reason {
            Reason::ArmorDenied(denied) => Some(FileLine::parse(&denied.place)),
            Reason::RateLimited(exceeded) => Some(FileLine::parse(&exceeded.place)),
            Reason::RouteNotFound => self.places.of("routes").or_else(|| self.places.of("url_map")),
            _ => None,
        }
    }
}

/// The headers that the log tells of, and those of them that were there. What it does not repeat as it came, it does not tell
/// of.
fn headers(recorded: &Recorded) -> (Vec<HeaderName>, Vec<String>) {
    let (mut names, mut fields) = (vec![HOST], Vec::new());
    for (name, value) in [(USER_AGENT, &recorded.user_agent), (REFERER, &recorded.referer)] {
        let is_changed = |value: &String| {
            value.chars().any(char::is_control) || value.contains(CONCEALED) || value.contains(CUT)
        };
        if value.as_ref().is_some_and(is_changed) {
            continue;
        }
        fields.extend(value.as_ref().map(|value| format!("{name}: {value}")));
        names.push(name);
    }
    (names, fields)
}

/// Whether nothing was there when a request came.
fn is_unknown_path(was: &Was) -> bool {
    was.code == Code::RouteNotFound.entry().name
}

const fn is_of_caller(stage: Stage) -> bool {
    matches!(stage, Stage::Identity | Stage::AppCheck | Stage::Iam)
}

/// What leaves open what the policy says: of its first rule that would have to know more.
fn open_rule(screened: &Screened, facts: &RequestFacts<'_>, is_in_order: bool) -> Option<Unknown> {
    let policy = screened.policy()?;
    let asks = |rule: &PolicyRule, why: &str| {
        let why = format!("rule {} of policy {:?} {why}", rule.priority, policy.name);
        Some(Unknown { why, place: Some(FileLine::parse(&policy.place_of(rule))) })
    };
    for note in &screened.notes {
        let Some(rule) = policy.rule(note.position).filter(|rule| !rule.preview) else { continue };
        let NoteKind::Unknown(name) = note.kind else { continue };
        let headers = rule.expression().into_iter().flat_map(|expression| expression.headers());
        let headers = headers.filter(|name| !facts.knows_header(name)).collect::<Vec<_>>();
        if !headers.is_empty() || name == "request.headers" {
            return asks(rule, format!("asks for the header {}", headers.join(", ")).trim_end());
        }
        if rule.expression().is_some_and(|expression| expression.uses_user()) {
            return asks(rule, "asks for the user");
        }
        if name == "origin.user_ip" {
            return asks(rule, "asks for origin.user_ip, which a header may name");
        }
    }
    let enforced = policy.rule(screened.enforced.as_ref()?.position)?;
    let limit = enforced.action.rate_limit()?;
    let unknown = limit.keys.iter().find_map(|key| match key {
        Key::HttpHeader(name) if !facts.knows_header(name) => Some(format!("counts by the header {name}")),
        Key::HttpCookie(name) => Some(format!("counts by the cookie {name}")),
        Key::UserIp if policy.reads_user_ip_from_headers() => {
            Some("counts by USER_IP, which a header may name".to_owned())
        }
        key if key.is_of_user() => Some("counts by the user".to_owned()),
        _ => None,
    });
    match unknown {
        Some(why) => asks(enforced, &why),
        None if !is_in_order => asks(enforced, "counts, and the log is not in the order of time"),
        None => None,
    }
}

fn enforced_place(screened: &Screened) -> Option<FileLine> {
    let record = screened.enforced.as_ref().filter(|record| record.outcome != RuleOutcome::Accept)?;
    let policy = screened.policy()?;
    Some(FileLine::parse(&policy.place_of(policy.rule(record.position)?)))
}

/// The rule that is only tried out and would have ended the request.
fn preview(screened: &Screened) -> Option<(String, FileLine)> {
    let record = screened.preview.as_ref().filter(|record| record.outcome != RuleOutcome::Accept)?;
    let policy = screened.policy()?;
    let rule = policy.rule(record.position)?;
    let words = format!(
        "rule {} of policy {:?} would have ended it: {}",
        rule.priority,
        policy.name,
        record.outcome.as_str()
    );
    Some((words, FileLine::parse(&policy.place_of(rule))))
}
