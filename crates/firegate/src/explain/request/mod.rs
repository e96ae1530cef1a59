//! The way of one request through a configuration: what each stage looked at, what matched and what was near, and which line
//! of which file decided.
//!
//! The answer is the decision's own, made once more with the machine of the front door. What is told beside it is asked of the
//! same types that decided, after they did.

mod answer;
mod armor;
mod caller;
mod command;
mod driven;
mod head;
mod iam;
mod parts;
mod places;
mod render;
mod route;

use std::net::IpAddr;
use std::sync::Arc;

use firegate_core::armor::{Geography, RuleOutcome};
use firegate_core::decision::{Caller, Outcome, Respond, World};
use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::{self, Client, ForwardedTrust};
use firegate_core::identity::{KeyRing, NoKnownAccounts};
use firegate_core::limiter::NoCounters;
use firegate_core::observed::Refusal;
use firegate_core::reason::{Denial, Reason, Stage};
use firegate_core::route::Routed;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::UnixTime;
use firegate_files::configuration::{Behind, Configuration};
use firegate_files::yaml::Document;
use firegate_proxy::{OwnAnswer, OwnPath};
use serde::Serialize;

pub use command::{RequestArguments, explain_decision_case};
pub use head::{GivenRequest, RequestFlags};
pub use parts::PartLine;
pub use places::FileLine;
pub use render::render_request_text;

pub(super) use command::{CaseError, document, explain_case};
pub(super) use places::Places;

use super::FiregateAnswer;
use driven::Driven;

/// What is explained, and what it is judged by.
#[derive(Debug)]
pub struct RequestInput<'a> {
    /// The request.
    pub given: &'a GivenRequest,
    /// Whom it comes from: the client itself, or what stands before the door.
    pub peer: IpAddr,
    /// It is the client, by the word of somebody who may speak for it, whatever `behind` says.
    pub peer_is_client: bool,
    /// The configuration of the front door.
    pub configuration: &'a Configuration,
    /// The file that it was read from, as a tree; absent if it came from flags.
    pub document: Option<&'a Document>,
    /// The database of regions and networks.
    pub geography: Option<Arc<dyn Geography>>,
    /// Whether the door runs on Cloud Run, behind whose front nobody else can reach it.
    pub on_cloud_run: bool,
    /// The issuers' keys, just fetched; a state is missing if they could not be had.
    pub keys: &'a KeyRing,
    /// Why keys could not be had.
    pub keys_problem: Option<String>,
    /// What was assumed because nobody said, each in a sentence.
    pub assumptions: Vec<String>,
    /// The time of judgement.
    pub now: UnixTime,
}

/// The way of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestExplanation {
    /// The method.
    pub method: String,
    /// Scheme, host and path, as they are matched; the query is not told, which may hold a token.
    pub url: String,
    /// The client's address.
    pub client: IpAddr,
    /// Why it is that one.
    pub client_is: String,
    /// Each stage in the order of the door.
    pub stages: Vec<StageLine>,
    /// What Firegate answers.
    pub answer: FiregateAnswer,
    /// The line that decided; absent if none did, as for a token that is expired.
    pub decided_at: Option<FileLine>,
    /// What was assumed or changed, and what the answer leaves out.
    pub notes: Vec<String>,
}

/// A stage of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageLine {
    /// Its name, as the log has it.
    pub stage: &'static str,
    /// What became of the request there.
    pub verdict: StageVerdict,
    /// The same in a sentence.
    pub summary: String,
    /// The line that decided it.
    pub place: Option<FileLine>,
    /// What was looked at.
    pub findings: Vec<Finding>,
}

/// What becomes of a request at a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageVerdict {
    /// It goes on.
    Passed,
    /// It goes on if a signature is valid that could not be checked.
    Depends,
    /// It is refused.
    Refused,
    /// It would be refused, and goes on because its backend is only observed.
    WouldBeRefused,
    /// It is answered here.
    Answered,
    /// It does not come so far.
    NotReached,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it went.
    pub verdict: FindingVerdict,
    /// What it is: a rule, a pattern, a member, a check.
    pub what: String,
    /// Where it stands.
    pub place: Option<FileLine>,
    /// Why.
    pub why: String,
    /// The parts of its expression that decided.
    pub parts: Vec<PartLine>,
}

/// How it went with something that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingVerdict {
    /// It is for this request.
    Matches,
    /// It is not.
    DoesNotMatch,
    /// It is not, and would be if one thing were different.
    Near,
    /// It would be, and is only tried out.
    Preview,
    /// Nobody can say.
    NotKnown,
}

impl Finding {
    fn new(
        verdict: FindingVerdict,
        what: impl Into<String>,
        place: Option<FileLine>,
        why: impl Into<String>,
    ) -> Self {
        Self { verdict, what: what.into(), place, why: why.into(), parts: Vec::new() }
    }
}

/// The way of a request whose head could be read.
struct Way<'a> {
    configuration: &'a Configuration,
    places: Places<'a>,
    world: World<'a>,
    facts: &'a RequestFacts<'a>,
    routed: Option<Routed>,
    backend: Option<Arc<Backend>>,
    caller: Option<Caller<'a>>,
    outcome: &'a Outcome,
    /// A signature was taken for valid.
    is_believed: bool,
    keys_problem: Option<&'a str>,
}

/// Explains a request. Nothing is sent anywhere.
pub fn explain_request(input: RequestInput<'_>) -> RequestExplanation {
    let snapshot = Snapshot::compile(input.configuration).with_geography(input.geography.clone());
    let places = Places { document: input.document };
    let (client, client_is) = client_of(&input);
    let mut notes = input.given.notes.clone();
    notes.extend(input.assumptions.iter().cloned());
    let facts = match input.given.facts(client) {
        Ok(facts) => facts,
        Err(reason) => return unread(&input, client, client_is, &reason, notes),
    };
    match OwnAnswer::of(&facts, &snapshot) {
        Ok(None) => {}
        Ok(Some(own)) => return of_own_path(Ok(own), &facts, client_is, notes),
        Err(denial) if denial.stage == Stage::Facts => {
            return unread(&input, client, client_is, &denial.reason, notes);
        }
        // That nothing is there is told beside the routes, among which it is not.
        Err(Denial { reason: Reason::OwnPathNotServed { .. }, .. }) => {}
        Err(denial) => return of_own_path(Err(denial), &facts, client_is, notes),
    }
    let world = |keys| World {
        snapshot: &snapshot,
        keys,
        accounts: &NoKnownAccounts,
        counters: &NoCounters,
        now: input.now,
    };
    let driven = Driven::new(&facts, world(input.keys));
    let decided = driven.decided;
    let mut way = Way {
        configuration: input.configuration,
        places,
        world: world(&driven.keys),
        facts: &driven.facts,
        routed: snapshot.routes.select(&driven.facts).ok(),
        backend: None,
        caller: None,
        outcome: decided.outcome(),
        is_believed: decided.is_believed(),
        keys_problem: input.keys_problem.as_deref(),
    };
    let entry = way.routed.as_ref().and_then(Routed::entry);
    way.backend = entry.map(|entry| Arc::clone(entry.backend()));
    way.caller = entry.map(|entry| Caller::find(way.facts, entry, &way.world));
    notes.extend(way.notes());
    RequestExplanation {
        method: way.facts.method.to_string(),
        url: format!("{}://{}{}", way.facts.scheme, way.facts.host, way.facts.path.as_str()),
        client: client.address,
        client_is,
        stages: way.stages(input.given),
        answer: way.answer(&decided).to(input.given.headers()),
        decided_at: way.decided_at(),
        notes,
    }
}

/// The token of the request's user and that of its app, whose keys are to be fetched.
pub(super) fn tokens_of(input: &RequestInput<'_>) -> (Option<String>, Option<String>) {
    let snapshot = Snapshot::compile(input.configuration);
    let Ok(facts) = input.given.facts(client_of(input).0) else { return (None, None) };
    let Ok(Routed::To(entry)) = snapshot.routes.select(&facts) else { return (None, None) };
    let presented =
        firegate_core::token_source::presented_token(&facts, entry.backend().token_sources()).ok().flatten();
    let app = facts.header(firegate_core::app_check::FIREBASE_APP_CHECK);
    (presented.map(|token| token.text.to_owned()), app.map(str::to_owned))
}

impl Way<'_> {
    /// Where the request ends, if it does not go all the way.
    fn end(&self) -> Option<(Stage, StageVerdict)> {
        Some(match self.outcome {
            Outcome::Permit(_) => return None,
            Outcome::Observed(observed) => (observed.refusal().stage(), StageVerdict::WouldBeRefused),
            Outcome::Denial(denial) => (denial.stage, StageVerdict::Refused),
            Outcome::Fault(fault) => (fault.stage, StageVerdict::Refused),
            Outcome::Respond(Respond::Preflight(_)) => (Stage::Cors, StageVerdict::Answered),
            Outcome::Respond(Respond::Redirect(_)) if self.is_redirected_by_policy() => {
                (Stage::Armor, StageVerdict::Answered)
            }
            Outcome::Respond(Respond::Redirect(_)) => (Stage::Route, StageVerdict::Answered),
        })
    }

    /// The reason by which it is refused, or would be.
    fn reason(&self) -> Option<&Reason> {
        match self.outcome {
            Outcome::Denial(denial) => Some(&denial.reason),
            Outcome::Observed(observed) => match observed.refusal() {
                Refusal::Denial(denial) => Some(&denial.reason),
                Refusal::Fault(_) => None,
            },
            Outcome::Permit(_) | Outcome::Respond(_) | Outcome::Fault(_) => None,
        }
    }

    fn is_redirected_by_policy(&self) -> bool {
        let enforced = self.facts.screened.get().and_then(|screened| screened.enforced.as_ref());
        enforced.is_some_and(|enforced| enforced.outcome == RuleOutcome::Redirect)
    }

    /// What becomes of the request at a stage.
    fn verdict(&self, stage: Stage) -> StageVerdict {
        let position = |stage: Stage| ORDER.iter().position(|other| *other == stage).unwrap_or(ORDER.len());
        match self.end() {
            Some((end, verdict)) if end == stage => verdict,
            Some((_, StageVerdict::WouldBeRefused)) if stage == Stage::Upstream => StageVerdict::Passed,
            Some((end, _)) if position(end) < position(stage) => StageVerdict::NotReached,
            _ if stage == Stage::Identity && self.is_believed => StageVerdict::Depends,
            _ => StageVerdict::Passed,
        }
    }

    fn line(
        &self,
        stage: Stage,
        summary: String,
        place: Option<FileLine>,
        findings: Vec<Finding>,
    ) -> StageLine {
        let verdict = self.verdict(stage);
        if verdict == StageVerdict::NotReached {
            let summary = "the request does not come so far".to_owned();
            return StageLine { stage: stage.as_str(), verdict, summary, place: None, findings: Vec::new() };
        }
        StageLine { stage: stage.as_str(), verdict, summary, place, findings }
    }

    fn stages(&self, given: &GivenRequest) -> Vec<StageLine> {
        let asked = given.first_line.split(' ').nth(1).unwrap_or_default();
        let path = self.facts.path.as_str();
        let summary = if asked.split('?').next() == Some(path) || asked.contains("://") {
            format!("the head has one reading, and the path is {path:?}")
        } else {
            let asked = asked.split('?').next().unwrap_or_default();
            format!("the head has one reading; the path {asked:?} is in normal form {path:?}")
        };
        let facts = self.line(Stage::Facts, summary, None, Vec::new());
        let mut stages = vec![facts, self.route(), self.armor()];
        stages.extend(self.cors());
        stages.push(self.identity());
        stages.extend(self.app_check());
        stages.push(self.iam());
        stages.push(self.forward());
        stages
    }

    fn cors(&self) -> Option<StageLine> {
        let is_told = self.end().is_some_and(|(stage, _)| stage == Stage::Cors);
        let summary = match self.reason() {
            Some(reason) => reason.to_string(),
            None => "a preflight that `cors` allows: nobody is asked for a token".to_owned(),
        };
        is_told.then(|| self.line(Stage::Cors, summary, self.places.of("cors"), Vec::new()))
    }
}

/// The stages in the order in which they are told.
const ORDER: [Stage; 8] = [
    Stage::Facts,
    Stage::Route,
    Stage::Armor,
    Stage::Cors,
    Stage::Identity,
    Stage::AppCheck,
    Stage::Iam,
    Stage::Upstream,
];

/// Who the client is, by the one reading of forwarded headers, and why.
fn client_of(input: &RequestInput<'_>) -> (Client, String) {
    let usual = if input.on_cloud_run { Behind::CloudRun } else { Behind::Direct };
    let behind = input.configuration.behind.as_ref().unwrap_or(&usual);
    let trust = ForwardedTrust::of(behind, input.on_cloud_run);
    let by_tls = if input.configuration.tls.is_some() { "https" } else { "http" };
    let scheme = input.given.scheme.unwrap_or(by_tls);
    if input.peer_is_client {
        let client = Client { address: input.peer.to_canonical(), scheme, is_vouched_for: true };
        return (client, "as the case says".to_owned());
    }
    let Some(headers) = input.given.headers() else {
        let client = Client { address: input.peer, scheme, is_vouched_for: false };
        return (client, "the peer".to_owned());
    };
    let client = forwarded::client(trust.as_ref(), input.peer, scheme, headers);
    let words = match behind {
        Behind::Direct => "direct",
        Behind::GoogleLoadBalancer => "google-lb",
        Behind::CloudRun => "cloud-run",
        Behind::Hops { .. } => "hops",
    };
    let why = match (client.is_vouched_for, client.address == input.peer.to_canonical()) {
        (false, _) => format!("the peer itself; by `behind: {words}` it may not speak for others"),
        (true, true) => format!("the peer itself, which names no other client (`behind: {words}`)"),
        (true, false) => format!("named in X-Forwarded-For by {}, which may (`behind: {words}`)", input.peer),
    };
    (client, why)
}

/// A request for one of Firegate's own paths.
fn of_own_path(
    own: Result<OwnAnswer, Denial>,
    facts: &RequestFacts<'_>,
    client_is: String,
    notes: Vec<String>,
) -> RequestExplanation {
    let line = |stage: Stage, verdict, summary: String| StageLine {
        stage: stage.as_str(),
        verdict,
        summary,
        place: None,
        findings: Vec::new(),
    };
    let never_routed =
        |verdict| vec![line(Stage::Route, verdict, "one of Firegate's own paths is never routed".to_owned())];
    let of_preflight = |verdict, summary| {
        let mut ends = never_routed(StageVerdict::Passed);
        ends.push(line(Stage::Cors, verdict, summary));
        ends
    };
    let (ends, answer) = match own {
        Ok(OwnAnswer::Served(_)) => (never_routed(StageVerdict::Answered), FiregateAnswer::of_own_path()),
        Ok(OwnAnswer::OtherMethod) => {
            let methods = OwnPath::TokenEndpoint.methods();
            (never_routed(StageVerdict::Refused), FiregateAnswer::of_own_path_without(methods))
        }
        Ok(OwnAnswer::Preflight(_)) => (
            of_preflight(StageVerdict::Answered, "a preflight that `cors` allows".to_owned()),
            FiregateAnswer::of_own_path(),
        ),
        Err(denial) if denial.stage == Stage::Route => {
            let refused = line(Stage::Route, StageVerdict::Refused, denial.reason.to_string());
            (vec![refused], FiregateAnswer::denied(&denial))
        }
        Err(denial) => {
            let answer = FiregateAnswer::denied(&denial);
            (of_preflight(StageVerdict::Refused, denial.reason.to_string()), answer)
        }
    };
    let path = facts.path.as_str();
    let read = format!("the head has one reading, and the path is {path:?}");
    let mut stages = vec![line(Stage::Facts, StageVerdict::Passed, read)];
    stages.extend(ends);
    RequestExplanation {
        method: facts.method.to_string(),
        url: format!("{}://{}{path}", facts.scheme, facts.host),
        client: facts.client,
        client_is,
        stages,
        answer,
        decided_at: None,
        notes,
    }
}

/// A head that the door refuses.
fn unread(
    input: &RequestInput<'_>,
    client: Client,
    client_is: String,
    reason: &Reason,
    notes: Vec<String>,
) -> RequestExplanation {
    let mut words = input.given.first_line.split(' ');
    let refused = StageLine {
        stage: Stage::Facts.as_str(),
        verdict: StageVerdict::Refused,
        summary: reason.to_string(),
        place: None,
        findings: Vec::new(),
    };
    RequestExplanation {
        method: words.next().unwrap_or_default().to_owned(),
        url: words.next().unwrap_or_default().split('?').next().unwrap_or_default().to_owned(),
        client: client.address,
        client_is,
        stages: vec![refused],
        answer: FiregateAnswer::of_unread(reason).to(input.given.headers()),
        decided_at: None,
        notes,
    }
}
