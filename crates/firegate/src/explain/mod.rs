//! `firegate explain`: why a token is refused, check by check, and what two doors answer to it: Firegate, and Cloud
//! Run's IAM check for a request that is sent straight to the service. Of a whole [`request`] it says which way it takes,
//! and of a log of them ([`simulate`]) what would become of each.
//!
//! [`explain`] is pure and goes by the very code that decides: the profile's checks, the decision's own machine, and
//! the local Cloud Run front's judgement. Of a token's signature nothing is ever shown.

mod advice;
mod believed;
mod calendar;
mod checks;
mod cloud_run;
mod command;
mod firegate_door;
mod keys;
pub mod limits;
mod members;
mod page;
mod pasted;
mod render;
mod request;
mod simulate;
mod summary;

use std::sync::Arc;

use firegate_core::conceal;
use firegate_core::facts::RequestFacts;
use firegate_core::iam::IamRequest;
use firegate_core::identity::{
    Audiences, Examined, Identified, KeyRing, KeyState, Obstacle, Principal, TokenKind, identify,
};
use firegate_core::jose::{CompactJws, KeySet};
use firegate_core::path::NormalPath;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::UnixTime;
use firegate_files::configuration::{AppCheck, Configuration, Revocation, TokenSource};
use http::{HeaderMap, Method};
use serde::Serialize;

pub use calendar::Instant;
pub use checks::{CheckLine, CheckVerdict};
pub use cloud_run::CloudRunAnswer;
pub use command::{ExplainArguments, ExplainOutcome, OutputFormat, run, run_blocking};
pub use firegate_door::{DoorVerdict, FiregateAnswer};
pub use members::MemberLine;
pub use render::render_text;
pub use request::{
    FileLine, Finding, FindingVerdict, GivenRequest, PartLine, RequestArguments, RequestExplanation,
    RequestFlags, RequestInput, StageLine, StageVerdict, explain_decision_case, explain_request,
    render_request_text,
};
pub use simulate::{BadLine, Change, Example, Group, PreviewGroup, Simulation, render_simulation_text};
pub use summary::{TokenForm, TokenSummary};

pub(crate) use believed::keys_that_believe;
pub(crate) use firegate_door::drive;

use advice::Situation;
use firegate_door::Question;

/// What is explained, and what it is judged by.
#[derive(Clone, Debug)]
pub struct ExplainInput<'a> {
    /// The token as it was given; quotes, `Bearer` and the like around it are taken off.
    pub token: &'a str,
    /// The configuration of the front door.
    pub configuration: &'a Configuration,
    /// The file that it was read from; absent if it came from flags.
    pub configuration_file: Option<&'a str>,
    /// The path of the request.
    pub path: &'a str,
    /// The issuers' keys, just fetched; a state is missing if they could not be had. Cloud Run goes by those of Google's
    /// own ID tokens too.
    pub keys: &'a KeyRing,
    /// Why keys could not be had.
    pub keys_problem: Option<String>,
    /// What was assumed because nobody said, each in a sentence.
    pub assumptions: Vec<String>,
    /// The time of judgement.
    pub now: UnixTime,
}

/// Why a token passes or not, at both doors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What the token is and says.
    pub token: TokenSummary,
    /// Every check in order; none if the token cannot be taken apart.
    pub checks: Vec<CheckLine>,
    /// The path, as it is matched and forwarded.
    pub path: String,
    /// The backend that the path belongs to.
    pub backend: Option<String>,
    /// Each member of its bindings.
    pub members: Vec<MemberLine>,
    /// What Firegate answers.
    pub firegate: FiregateAnswer,
    /// What Cloud Run's IAM check answers to the same token; absent if the path has no backend.
    pub cloud_run: Option<CloudRunAnswer>,
    /// The one thing to do next.
    pub advice: String,
    /// The command that does it, if one does.
    pub command: Option<String>,
    /// What was taken off or assumed, and what the answers leave out.
    pub notes: Vec<String>,
}

/// A path as it is told: whoever pastes a URL's end pastes what stands in its query.
fn told(path: &str) -> String {
    String::from_utf8_lossy(&conceal::url(path.as_bytes())).into_owned()
}

/// Explains a token.
pub fn explain(input: ExplainInput<'_>) -> Explanation {
    let pasted = pasted::unwrap(input.token);
    let (token, problem) = (pasted.token.as_str(), input.keys_problem.as_deref());
    let alone = of_a_token_alone(input.configuration);
    let snapshot = Snapshot::compile(&alone);
    let believing = believed::keys_that_believe(token);
    let asked_path = NormalPath::parse(input.path);
    let backend = asked_path.as_ref().ok().and_then(|path| backend_at(&snapshot, path));
    let backend = backend.as_deref();
    let audiences = backend.map_or(Audiences::One(""), Audiences::Of);

    let parsed = CompactJws::parse(token);
    let summary = TokenSummary::of(token, &parsed, input.now);
    let examined =
        parsed.as_ref().map(|jws| Examined::new(jws, &snapshot.identity, audiences, input.keys, input.now));
    let checks = examined.map_or_else(|_| Vec::new(), |examined| checks::run(&examined, problem));
    let principal = principal(token, audiences, &snapshot, &believing, &input);
    let (path, firegate) = match &asked_path {
        Err(why) => (told(input.path), FiregateAnswer::malformed_path(why)),
        Ok(path) => {
            let (snapshot, believing, keys) = (&snapshot, &believing, input.keys);
            let question = Question { token, path, snapshot, keys, believing, now: input.now };
            (told(path.as_str()), FiregateAnswer::of(&question.ask(), problem))
        }
    };
    let google_keys = usable(&input.keys.google_id_token);
    let cloud_run = backend.map(|backend| cloud_run::judge_token(backend, token, google_keys, input.now));
    let situation = Situation {
        form: summary.form,
        configuration: input.configuration,
        configuration_file: input.configuration_file,
        snapshot: &snapshot,
        backend,
        principal: principal.as_deref(),
        firegate: &firegate,
        cloud_run: cloud_run.as_ref(),
    };
    let (advice, command) = (situation.advice(), situation.command());
    // The question names no host.
    let request = asked_path.as_ref().ok().map(|path| IamRequest::of_path(path, input.now));
    let members = match (backend, request) {
        (Some(backend), Some(request)) => {
            members::compare(backend, &snapshot.directory, &request, principal.as_deref())
        }
        _ => Vec::new(),
    };
    let mut notes = pasted.notes;
    notes.extend(input.assumptions.iter().cloned());
    notes.extend(keys_note(&input, summary.form, &firegate));
    notes.extend(account_note(&input, principal.as_deref(), &firegate));
    notes.extend(app_check_note(input.configuration, backend));
    Explanation {
        token: summary,
        checks,
        path,
        backend: backend.map(|backend| backend.name.clone()),
        members,
        firegate,
        cloud_run,
        advice,
        command,
        notes,
    }
}

impl Explanation {
    /// Whether Firegate lets the request pass, and nothing is left open about it.
    pub fn passes(&self) -> bool {
        self.firegate.verdict == DoorVerdict::Passes
    }
}

/// The backend that a GET of this path would go to, without any header.
fn backend_at(snapshot: &Snapshot, path: &NormalPath) -> Option<Arc<Backend>> {
    let headers = HeaderMap::new();
    let routed = snapshot.routes.select(&RequestFacts::of(&Method::GET, path.clone(), &headers)).ok()?;
    routed.entry().map(|entry| Arc::clone(entry.backend()))
}

/// The configuration as far as it concerns the user's token: a token says neither where it stood in a request nor which app
/// sent it.
fn of_a_token_alone(configuration: &Configuration) -> Configuration {
    let mut alone = configuration.clone();
    for backend in alone.backends.values_mut() {
        backend.app_check = AppCheck::Off;
        backend.token_sources = vec![TokenSource::Authorization];
    }
    alone
}

/// Why Google's keys could not be had: Cloud Run's answer goes by them too, and says no more than that they are missing.
fn keys_note(input: &ExplainInput<'_>, form: TokenForm, firegate: &FiregateAnswer) -> Option<String> {
    let is_said_by_firegate = firegate.verdict == DoorVerdict::Depends;
    let is_untold = form == TokenForm::GoogleIdToken && !is_said_by_firegate;
    input.keys_problem.clone().filter(|_| is_untold)
}

/// That the backend asks for more than a user's token.
fn app_check_note(configuration: &Configuration, backend: Option<&Backend>) -> Option<String> {
    let settings =
        configuration.backends.iter().find(|(name, _)| backend.is_some_and(|b| b.name == name.as_str()));
    settings.filter(|(_, settings)| settings.app_check != AppCheck::Off).map(|(name, _)| {
        format!("{name} also requires an App Check token in `X-Firebase-AppCheck`, which is not judged here")
    })
}

fn usable(state: &KeyState) -> Option<&KeySet> {
    match state {
        KeyState::Usable(keys) => Some(keys),
        KeyState::Missing => None,
    }
}

/// Who calls, as far as the token proves it; without keys, who it claims to be from.
fn principal(
    token: &str,
    audiences: Audiences<'_>,
    snapshot: &Snapshot,
    believing: &KeyRing,
    input: &ExplainInput<'_>,
) -> Option<Arc<Principal>> {
    let judge = |keys: &KeyRing| identify(token, &snapshot.identity, audiences, keys, input.now);
    match judge(input.keys) {
        Ok(Identified { principal, .. }) => Some(principal),
        Err(Obstacle::KeysMissing { .. }) => judge(believing).ok().map(|found| found.principal),
        Err(Obstacle::KeyUnknown { .. } | Obstacle::Denied(_)) => None,
    }
}

/// That a valid token says nothing about whether its user is still there.
fn account_note(
    input: &ExplainInput<'_>,
    principal: Option<&Principal>,
    firegate: &FiregateAnswer,
) -> Option<String> {
    let user = principal.and_then(Principal::user).filter(|_| firegate.verdict != DoorVerdict::Refused)?;
    if input.configuration.users.revocation != Revocation::Off {
        return Some("whether the user is disabled or revoked is looked up by `serve`, not here".to_owned());
    }
    let expires = Instant::new(user.expires_at.as_seconds(), input.now).relative;
    Some(match user.kind {
        TokenKind::ExchangedToken => format!(
            "the exchanged token of a user who is deleted or disabled keeps working until it expires ({expires}), because \
             `users.revocation.check` is off"
        ),
        _ => format!(
            "the token of a user who is deleted or disabled keeps working until it expires ({expires}), because \
             `users.revocation.check` is off; only refreshing it fails at once"
        ),
    })
}
