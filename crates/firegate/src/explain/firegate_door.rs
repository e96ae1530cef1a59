//! What Firegate answers: the very decision of the front door, made once more with the same machine.

use std::sync::Arc;

use firegate_core::conceal;
use firegate_core::decision::{Answer, Decision, Need, Outcome, Respond, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{AccountStatus, KeyRing, NoKnownAccounts, Principal, TokenKind};
use firegate_core::limiter::NoCounters;
use firegate_core::observed::{Observed, Refusal};
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::{Action, Code, Denial, Fault, Reason, Stage};
use firegate_core::route::RedirectAnswer;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::UnixTime;
use firegate_files::configuration::{Credential, Endpoint};
use firegate_proxy::grpc_status;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;

/// A door's answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorVerdict {
    /// The request goes on to the service.
    Passes,
    /// It goes on if something holds that is not known here; the message says what.
    Depends,
    /// It ends at this door.
    Refused,
}

/// What Firegate answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FiregateAnswer {
    /// The answer in one word.
    pub verdict: DoorVerdict,
    /// The HTTP status of a refusal.
    pub status: Option<u16>,
    /// The `grpc-status` that the refusal of a gRPC request has instead, in an answer of 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u16>,
    /// The stable name of the refusal; of a request that passes, what it would be refused with if its backend were not only
    /// observed.
    pub code: Option<&'static str>,
    /// Where on the request's way it is refused.
    pub stage: Option<&'static str>,
    /// What the app should do about it: `metadata.action` of the answer.
    pub action: Option<&'static str>,
    /// What the client is told; of a request that passes, what happens to it.
    pub message: String,
    /// What exactly is wrong; for the operator alone.
    pub evidence: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

/// The request, to be judged with the keys at hand, or as though its signature were valid.
pub(super) struct Question<'a> {
    pub(super) token: &'a str,
    pub(super) path: &'a NormalPath,
    pub(super) snapshot: &'a Snapshot,
    pub(super) keys: &'a KeyRing,
    /// Keys by which its signature is valid.
    pub(super) believing: &'a KeyRing,
    pub(super) now: UnixTime,
}

/// What the machine said.
pub(super) enum Decided {
    /// With the keys at hand.
    Proven(Outcome),
    /// Without this kind's keys, as though the signature were valid.
    Believed(Outcome, TokenKind),
}

impl Question<'_> {
    /// Asks the machine.
    pub(super) fn ask(&self) -> Decided {
        match self.decide(self.keys) {
            Ok(outcome) => Decided::Proven(outcome),
            Err(kind) => {
                let outcome = self.decide(self.believing);
                Decided::Believed(outcome.unwrap_or_else(|_| no_keys()), kind)
            }
        }
    }

    /// Drives the machine to its end.
    ///
    /// # Errors
    /// The kind of token whose keys it needs and that are not there.
    fn decide(&self, keys: &KeyRing) -> Result<Outcome, TokenKind> {
        let mut headers = HeaderMap::new();
        let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", self.token)) else {
            let why = "the token holds characters that no HTTP header can carry";
            let reason = Reason::RequestMalformed { why };
            return Ok(Outcome::Denial(Denial { reason, stage: Stage::Facts }));
        };
        headers.insert(AUTHORIZATION, value);
        let facts = RequestFacts::of(&Method::GET, self.path.clone(), &headers);
        let world = World {
            snapshot: self.snapshot,
            keys,
            accounts: &NoKnownAccounts,
            counters: &NoCounters,
            now: self.now,
        };
        drive(&facts, &world)
    }
}

/// Drives the machine to its end. Every account is taken to be in order, and nothing is counted or consumed.
///
/// # Errors
/// The kind of token whose keys it needs and that are not there.
pub(crate) fn drive(facts: &RequestFacts<'_>, world: &World<'_>) -> Result<Outcome, TokenKind> {
    let mut step = Decision::start(facts, world);
    loop {
        step = match step {
            Step::Done(outcome) => return Ok(outcome),
            Step::Need(Need::KeyRefresh { unknown_key_id: None, kind }, _) => return Err(kind),
            // The keys were fetched for this very question: what is not among them is not published.
            Step::Need(Need::KeyRefresh { unknown_key_id: Some(_), .. }, decision) => {
                decision.resume(Answer::Keys, world)
            }
            // The account is taken to be in order; a note says that this is not looked up.
            Step::Need(Need::AccountStatus { .. }, decision) => {
                let account = AccountStatus { disabled: false, valid_since: UnixTime::from_seconds(0) };
                decision.resume(Answer::Account(Some(account)), world)
            }
            // Nothing is counted here, and so nobody is asked.
            Step::Need(Need::SharedCount(_), decision) => decision.resume(Answer::Unavailable, world),
            Step::Need(Need::AppCheckConsume { .. }, decision) => {
                decision.resume(Answer::AppCheckConsumed { already: false }, world)
            }
        };
    }
}

impl Decided {
    /// What the machine said, with whatever keys.
    pub(super) fn outcome(&self) -> &Outcome {
        match self {
            Self::Proven(outcome) | Self::Believed(outcome, _) => outcome,
        }
    }

    /// Whether a signature was taken for valid.
    pub(super) fn is_believed(&self) -> bool {
        matches!(self, Self::Believed(..))
    }
}

/// The fault of a door that has no keys.
pub(super) fn no_keys() -> Outcome {
    fault("no usable keys are known")
}

fn fault(detail: &str) -> Outcome {
    Outcome::Fault(Fault { code: Code::KeysUnavailable, stage: Stage::Identity, detail: detail.to_owned() })
}

impl FiregateAnswer {
    pub(super) fn of(decided: &Decided, keys_problem: Option<&str>) -> Self {
        let (outcome, believed) = match decided {
            Decided::Proven(outcome) => (outcome, None),
            Decided::Believed(outcome, kind) => (outcome, Some(*kind)),
        };
        match (outcome, believed) {
            (Outcome::Permit(permit), Some(kind)) => {
                let problem = keys_problem.unwrap_or("no keys are known");
                let message = format!(
                    "if the signature is valid, which was not checked ({problem}): {}",
                    passed(permit)
                );
                Self {
                    hint: Some(where_the_keys_are(kind).to_owned()),
                    ..Self::unrefused(DoorVerdict::Depends, message)
                }
            }
            (Outcome::Permit(permit), None) => Self::unrefused(DoorVerdict::Passes, passed(permit)),
            // A question has no preflight.
            (Outcome::Respond(Respond::Preflight(_)), _) => {
                Self::unrefused(DoorVerdict::Passes, "answered by Firegate itself: a preflight".to_owned())
            }
            (Outcome::Respond(Respond::Redirect(answer)), _) => {
                let location = shown_location(answer);
                let message = format!("answered by Firegate itself: a redirect to {location}, whoever calls");
                Self::unrefused(DoorVerdict::Passes, message)
            }
            (Outcome::Observed(observed), _) => Self::observed(observed),
            (Outcome::Denial(denial), _) => Self::denied(denial),
            (Outcome::Fault(fault), _) => Self::failed(fault),
        }
    }

    /// The answer to a path that cannot be read in one way.
    pub(super) fn malformed_path(why: &'static str) -> Self {
        Self::refused(Code::RequestMalformed, Stage::Facts, why.to_owned())
    }

    /// The answer to a head that is refused before anything is matched.
    pub(super) fn of_unread(reason: &Reason) -> Self {
        Self::denied(&Denial { reason: reason.clone(), stage: Stage::Facts })
    }

    /// The answer at one of Firegate's own paths.
    pub(super) fn of_own_path() -> Self {
        let message = "answered by Firegate itself: it is one of its own paths, which are never routed";
        Self::unrefused(DoorVerdict::Passes, message.to_owned())
    }

    /// The answer there to another method than these.
    pub(super) fn of_own_path_without(methods: &str) -> Self {
        let message = "answered by Firegate itself: it is one of its own paths, with a method that is not answered there";
        Self {
            status: Some(StatusCode::METHOD_NOT_ALLOWED.as_u16()),
            stage: Some(Stage::Route.as_str()),
            hint: Some(format!("the methods there are {methods}")),
            ..Self::unrefused(DoorVerdict::Refused, message.to_owned())
        }
    }

    /// The same answer to a request with these headers: of a refusal a gRPC client gets no status of HTTP.
    pub(super) fn to(self, headers: Option<&HeaderMap>) -> Self {
        let status = self.status.filter(|_| self.verdict == DoorVerdict::Refused && self.code.is_some());
        let grpc_status = headers.zip(status).and_then(|(headers, status)| grpc_status(headers, status));
        Self { grpc_status, ..self }
    }

    /// The answer where a URL map spoils requests on purpose.
    pub(super) fn of_aborted(reason: &Reason) -> Self {
        Self::denied(&Denial { reason: reason.clone(), stage: Stage::Route })
    }

    pub(super) fn denied(denial: &Denial) -> Self {
        // The members stand in lines of their own.
        let evidence = match &denial.reason {
            Reason::NoInvokerBinding { principal, .. } => {
                let is_account = principal.starts_with("serviceAccount:");
                let caller = if is_account { "the caller" } else { "the user" };
                format!("none of the members names {caller}, who is {principal}")
            }
            reason => reason.to_string(),
        };
        let status = Some(denial.reason.status());
        let hint = Some(denial.reason.hint().into_owned());
        Self { status, hint, ..Self::refused(denial.reason.code(), denial.stage, evidence) }
    }

    fn failed(fault: &Fault) -> Self {
        Self::refused(fault.code, fault.stage, fault.detail.clone())
    }

    /// What would be refused goes on, without a word about the user.
    fn observed(observed: &Observed) -> Self {
        let refused = match observed.refusal() {
            Refusal::Denial(denial) => Self::denied(denial),
            Refusal::Fault(fault) => Self::failed(fault),
        };
        let url = origin(observed.backend().endpoint());
        let entry = observed.refusal().code().entry();
        let message = format!(
            "goes on to {url} without a user, because `enforce` is `observe`; enforced it would be refused with {} {}: {}",
            observed.refusal().status(),
            entry.name,
            entry.message
        );
        Self { verdict: DoorVerdict::Passes, status: None, message, ..refused }
    }

    fn unrefused(verdict: DoorVerdict, message: String) -> Self {
        Self {
            verdict,
            status: None,
            grpc_status: None,
            code: None,
            stage: None,
            action: None,
            message,
            evidence: None,
            hint: None,
        }
    }

    fn refused(code: Code, stage: Stage, evidence: String) -> Self {
        let entry = code.entry();
        Self {
            verdict: DoorVerdict::Refused,
            status: Some(entry.status),
            grpc_status: None,
            code: Some(entry.name),
            stage: Some(stage.as_str()),
            action: (entry.action != Action::None).then(|| entry.action.as_str()),
            message: entry.message.to_owned(),
            evidence: (evidence != entry.message).then_some(evidence),
            hint: Some(entry.fix.to_owned()),
        }
    }
}

/// Where a redirect leads, as the log would have it: without the token that the client's query may hold. Where the host stays
/// the same, it goes along.
pub(super) fn shown_location(answer: &RedirectAnswer) -> String {
    String::from_utf8_lossy(&conceal::url(answer.location.as_bytes())).into_owned()
}

/// What to do about keys that are missing.
const fn where_the_keys_are(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::IdToken => {
            "run this again where the keys can be fetched, or name them: --id-token-keys with a file or URL"
        }
        TokenKind::ExchangedToken => {
            "run this again where the front door answers at `assertion.issuer`: it publishes its keys there"
        }
        TokenKind::SessionCookie | TokenKind::GoogleIdToken | TokenKind::AppCheck => {
            "run this again where the keys can be fetched"
        }
    }
}

pub(super) fn passed(permit: &Permit) -> String {
    let who = match permit.principal() {
        Some(Principal::User(user)) => format!("as user {:?}", user.uid),
        Some(Principal::GoogleAccount(account)) => format!("as the Google account {:?}", account.email),
        None => "without a user, because the backend is open to everyone".to_owned(),
    };
    let origins: Vec<String> = permit.backend().settings.endpoints().map(origin).collect();
    let origins = one_of(origins.iter().map(String::as_str));
    format!("goes on to {origins} {who}{}", credential(permit.backend()))
}

/// Where an endpoint is. A request keeps its own path, so that none is told here.
pub(super) fn origin(endpoint: &Endpoint) -> String {
    endpoint.url.origin().ascii_serialization()
}

/// Some texts, each once: a request goes to one endpoint of those that a backend has.
fn one_of<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut each = Vec::new();
    texts.for_each(|text| {
        if !each.contains(&text) {
            each.push(text);
        }
    });
    match each.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("one of {}", several.join(", ")),
    }
}

/// How the service knows that the request comes from Firegate.
fn credential(backend: &Arc<Backend>) -> String {
    let audience = one_of(backend.audiences());
    match backend.credential() {
        Credential::None => ", with no Google credential (`credential: none`)".to_owned(),
        Credential::FederateUser { service_account, .. } => format!(
            ", with a Google ID token of {service_account} for {audience} in X-Serverless-Authorization, which the user's own \
             token is exchanged for: whether Google lets this user act as that account is not known here"
        ),
        Credential::Default | Credential::Metadata | Credential::Impersonate { .. } => {
            format!(", with Firegate's own Google ID token for {audience} in X-Serverless-Authorization")
        }
    }
}
