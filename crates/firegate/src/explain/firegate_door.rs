//! What Firegate answers: the very decision of the front door, made once more with the same machine.

use std::sync::Arc;

use firegate_core::decision::{Answer, Decision, Need, Outcome, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{AccountStatus, KeyRing, NoKnownAccounts, Principal};
use firegate_core::jose::{CompactJws, encode_base64url};
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::{Action, Code, Denial, Fault, Reason, Stage};
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_core::time::UnixTime;
use firegate_files::configuration::Credential;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
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
    /// The stable name of the refusal.
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

/// The same request with the keys at hand, and as though its signature were valid.
pub(super) struct Question<'a> {
    pub(super) token: &'a str,
    pub(super) path: &'a NormalPath,
    pub(super) snapshot: &'a Snapshot,
    /// The same rules, under which an unsigned token counts.
    pub(super) believing: &'a Snapshot,
    pub(super) keys: &'a KeyRing,
    pub(super) now: UnixTime,
}

/// What the machine said.
pub(super) enum Decided {
    /// With the keys at hand.
    Proven(Outcome),
    /// Without keys, as though the signature were valid.
    Believed(Outcome),
}

impl Question<'_> {
    /// Asks the machine.
    pub(super) fn ask(&self) -> Decided {
        match self.decide(self.token, self.snapshot) {
            Some(outcome) => Decided::Proven(outcome),
            None => {
                let unsigned = unsigned(self.token).unwrap_or_default();
                let outcome = self.decide(&unsigned, self.believing);
                Decided::Believed(outcome.unwrap_or_else(|| fault("no usable keys are known")))
            }
        }
    }

    /// Drives the machine to its end; nothing if it needs keys that are not there.
    fn decide(&self, token: &str, snapshot: &Snapshot) -> Option<Outcome> {
        let mut headers = HeaderMap::new();
        let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
            let why = "the token holds characters that no HTTP header can carry";
            let reason = Reason::RequestMalformed { why };
            return Some(Outcome::Denial(Denial { reason, stage: Stage::Facts }));
        };
        headers.insert(AUTHORIZATION, value);
        let facts = RequestFacts::of(&Method::GET, self.path.clone(), &headers);
        let world = World { snapshot, keys: self.keys, accounts: &NoKnownAccounts, now: self.now };
        let mut step = Decision::start(&facts, &world);
        loop {
            step = match step {
                Step::Done(outcome) => return Some(outcome),
                Step::Need(Need::KeyRefresh { unknown_key_id: None, .. }, _) => return None,
                // The keys were fetched for this very question: what is not among them is not published.
                Step::Need(Need::KeyRefresh { unknown_key_id: Some(_), .. }, decision) => {
                    decision.resume(Answer::Keys, &world)
                }
                // The account is taken to be in order; a note says that this is not looked up.
                Step::Need(Need::AccountStatus { .. }, decision) => {
                    let account = AccountStatus { disabled: false, valid_since: UnixTime::from_seconds(0) };
                    decision.resume(Answer::Account(Some(account)), &world)
                }
                Step::Need(Need::AppCheckConsume { .. }, decision) => {
                    decision.resume(Answer::AppCheckConsumed { already: false }, &world)
                }
            };
        }
    }
}

/// The same claims as the emulator would write them: without a signature, to be believed and not to be sent.
pub(super) fn unsigned(token: &str) -> Option<String> {
    let jws = CompactJws::parse(token).ok()?;
    let header = encode_base64url(br#"{"alg":"none","typ":"JWT"}"#);
    Some(format!("{header}.{}.", jws.payload_segment()))
}

fn fault(detail: &str) -> Outcome {
    Outcome::Fault(Fault { code: Code::KeysUnavailable, stage: Stage::Identity, detail: detail.to_owned() })
}

impl FiregateAnswer {
    pub(super) fn of(decided: &Decided, keys_problem: Option<&str>) -> Self {
        let (outcome, is_believed) = match decided {
            Decided::Proven(outcome) => (outcome, false),
            Decided::Believed(outcome) => (outcome, true),
        };
        match outcome {
            Outcome::Permit(permit) if is_believed => {
                let problem = keys_problem.unwrap_or("no keys are known");
                let message = format!(
                    "if the signature is valid, which was not checked ({problem}): {}",
                    passed(permit)
                );
                let hint = "run this again where the keys can be fetched, or name them: --id-token-keys FILE";
                Self { hint: Some(hint.to_owned()), ..Self::unrefused(DoorVerdict::Depends, message) }
            }
            Outcome::Permit(permit) => Self::unrefused(DoorVerdict::Passes, passed(permit)),
            // A question has no preflight.
            Outcome::Respond(_) => {
                Self::unrefused(DoorVerdict::Passes, "answered by Firegate itself: a preflight".to_owned())
            }
            Outcome::Denial(denial) => {
                // The members stand in lines of their own.
                let evidence = match &denial.reason {
                    Reason::NoInvokerBinding { principal, .. } => {
                        format!("none of the members names the user, who is {principal}")
                    }
                    reason => reason.to_string(),
                };
                Self::refused(denial.reason.code(), denial.stage, evidence)
            }
            Outcome::Fault(fault) => Self::refused(fault.code, fault.stage, fault.detail.clone()),
        }
    }

    /// The answer to a path that cannot be read in one way.
    pub(super) fn malformed_path(why: &'static str) -> Self {
        Self::refused(Code::RequestMalformed, Stage::Facts, why.to_owned())
    }

    fn unrefused(verdict: DoorVerdict, message: String) -> Self {
        Self {
            verdict,
            status: None,
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
            code: Some(entry.name),
            stage: Some(stage.as_str()),
            action: (entry.action != Action::None).then(|| entry.action.as_str()),
            message: entry.message.to_owned(),
            evidence: (evidence != entry.message).then_some(evidence),
            hint: Some(entry.fix.to_owned()),
        }
    }
}

fn passed(permit: &Permit) -> String {
    let who = match permit.principal() {
        Some(Principal::User(user)) => format!("as user {:?}", user.uid),
        Some(Principal::GoogleAccount(account)) => format!("as the Google account {:?}", account.email),
        None => "without a user, because the backend is open to everyone".to_owned(),
    };
    format!("goes on to {} {who}{}", permit.backend().endpoint().url, credential(permit.backend()))
}

/// How the service knows that the request comes from Firegate.
fn credential(backend: &Arc<Backend>) -> String {
    let audience = &backend.endpoint().audience;
    match backend.credential() {
        Credential::None => ", with no Google credential (`credential: none`)".to_owned(),
        Credential::Default
        | Credential::Metadata
        | Credential::Impersonate { .. }
        | Credential::FederateUser { .. } => {
            format!(", with Firegate's own Google ID token for {audience} in X-Serverless-Authorization")
        }
    }
}
