//! The decision, as a machine without I/O. A door gathers facts and calls [`Decision::start`]; the machine is done, or
//! it needs something that only the door can fetch, and goes on with the answer. What an answer of "unavailable" means
//! is decided here alone: never an allow.
//!
//! ```text
//! facts → route → (preflight) → identity → iam → Permit
//! ```

use std::sync::Arc;

use crate::cors::{CorsPolicy, PreflightAnswer};
use crate::facts::{Authorization, RequestFacts};
use crate::iam;
use crate::identity::{
    AccountStatus, Identified, KeyRing, Obstacle, TokenKind, User, identify, judge_account,
};
use crate::permit::Permit;
use crate::reason::{Code, Denial, Fault, Reason, Stage};
use crate::snapshot::{Backend, Snapshot};
use crate::time::UnixTime;

/// What a decision is made by, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The compiled configuration.
    pub snapshot: &'a Snapshot,
    /// The issuers' keys.
    pub keys: &'a KeyRing,
    /// The time.
    pub now: UnixTime,
}

/// How a request ends.
#[derive(Debug)]
pub enum Outcome {
    /// It is forwarded.
    Permit(Box<Permit>),
    /// It is a preflight and answered here.
    Respond(PreflightAnswer),
    /// The rules refuse it.
    Denial(Denial),
    /// It could not be decided.
    Fault(Fault),
}

/// The machine's next step.
#[derive(Debug)]
pub enum Step<'a> {
    /// The decision is made.
    Done(Outcome),
    /// Something has to be fetched first.
    Need(Need, Box<Decision<'a>>),
}

/// What only a door can fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// What Identity Platform says of an account. Answered by [`Answer::Account`].
    AccountStatus {
        /// The user's tenant.
        tenant: Option<String>,
        /// The user's id.
        uid: String,
    },
    /// The keys of an issuer, because there are none or because one is missing. Answered by [`Answer::Keys`].
    KeyRefresh {
        /// Whose keys.
        kind: TokenKind,
        /// The key that is missing from a set that is there.
        unknown_key_id: Option<String>,
    },
}

/// How fetching went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The account, or none if there is no such account.
    Account(Option<AccountStatus>),
    /// The keys are now as fresh as they can be: they were fetched, or fetched so lately that it is not done again.
    Keys,
    /// It could not be fetched.
    Unavailable,
}

/// A decision under way.
#[derive(Debug)]
pub struct Decision<'a> {
    facts: &'a RequestFacts<'a>,
    routed: Routed,
    waiting: Waiting,
}

/// What the route stage hands on.
#[derive(Clone, Debug)]
struct Routed {
    backend: Arc<Backend>,
}

#[derive(Debug)]
enum Waiting {
    Account(Box<User>),
    Keys,
}

impl<'a> Decision<'a> {
    /// Decides, or says what is needed to.
    pub fn start(facts: &'a RequestFacts<'a>, world: &World<'_>) -> Step<'a> {
        let Some(backend) = world.snapshot.routes.select(&facts.path) else {
            return deny(Reason::RouteNotFound, Stage::Route);
        };
        if let Some(cors) = &world.snapshot.cors
            && CorsPolicy::is_preflight(facts)
        {
            return match cors.preflight(facts) {
                Ok(answer) => Step::Done(Outcome::Respond(answer)),
                Err(reason) => deny(reason, Stage::Cors),
            };
        }
        identity(facts, Routed { backend: Arc::clone(backend) }, world, Attempt::First)
    }

    /// Goes on with an answer, in a world that may have changed since.
    pub fn resume(self, answer: Answer, world: &World<'_>) -> Step<'a> {
        match (self.waiting, answer) {
            (Waiting::Keys, Answer::Keys) => identity(self.facts, self.routed, world, Attempt::AfterRefresh),
            (Waiting::Keys, Answer::Unavailable) => {
                fault(Code::KeysUnavailable, "the issuer's keys could not be fetched")
            }
            (Waiting::Account(user), Answer::Account(account)) => {
                match judge_account(&user, account.as_ref()) {
                    Ok(()) => authorize(&self.routed, Some(*user), world),
                    Err(reason) => deny(reason, Stage::Identity),
                }
            }
            (Waiting::Account(_), Answer::Unavailable) => {
                fault(Code::UserStatusUnavailable, "the account could not be looked up")
            }
            (Waiting::Account(_), Answer::Keys) | (Waiting::Keys, Answer::Account(_)) => {
                fault(Code::Internal, "the answer is to another question")
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    First,
    AfterRefresh,
}

fn identity<'a>(
    facts: &'a RequestFacts<'a>,
    routed: Routed,
    world: &World<'_>,
    attempt: Attempt,
) -> Step<'a> {
    let is_public = routed.backend.admits_everyone();
    let token = match facts.authorization() {
        Ok(Authorization::Bearer(token)) => token,
        Ok(Authorization::Absent | Authorization::Other) => return authorize(&routed, None, world),
        Err(reason) => return deny(reason, Stage::Identity),
    };
    match identify(token, &world.snapshot.identity, world.keys, world.now) {
        Ok(Identified { user, needs_account_status: false }) => authorize(&routed, Some(user), world),
        Ok(Identified { user, needs_account_status: true }) => {
            let need = Need::AccountStatus { tenant: user.tenant.clone(), uid: user.uid.clone() };
            Step::Need(need, Box::new(Decision { facts, routed, waiting: Waiting::Account(Box::new(user)) }))
        }
        // A webhook's own bearer token is none of Firegate's business where everyone may pass.
        Err(Obstacle::Denied(reason)) if is_public && is_foreign(&reason) => authorize(&routed, None, world),
        Err(Obstacle::Denied(reason)) => deny(reason, Stage::Identity),
        Err(Obstacle::KeysMissing { kind }) if attempt == Attempt::First => {
            let need = Need::KeyRefresh { kind, unknown_key_id: None };
            Step::Need(need, Box::new(Decision { facts, routed, waiting: Waiting::Keys }))
        }
        Err(Obstacle::KeysMissing { .. }) => fault(Code::KeysUnavailable, "no usable keys are known"),
        Err(Obstacle::KeyUnknown { kind, key_id }) if attempt == Attempt::First => {
            let need = Need::KeyRefresh { kind, unknown_key_id: Some(key_id) };
            Step::Need(need, Box::new(Decision { facts, routed, waiting: Waiting::Keys }))
        }
        Err(Obstacle::KeyUnknown { key_id, .. }) => deny(Reason::TokenKeyUnknown { key_id }, Stage::Identity),
    }
}

/// Whether a token was refused for being none of an accepted issuer's, rather than a bad one of theirs.
fn is_foreign(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::TokenIsAppCheckToken
            | Reason::TokenIsCustomToken
            | Reason::TokenIsGoogleIdToken
            | Reason::TokenIssuerUnknown { .. }
            | Reason::TokenMalformed(_)
    )
}

fn authorize<'a>(routed: &Routed, user: Option<User>, world: &World<'_>) -> Step<'a> {
    match iam::authorize(&routed.backend, &world.snapshot.identity_pool, user) {
        Ok(permit) => Step::Done(Outcome::Permit(Box::new(permit))),
        // Without a token nobody was judged yet: the refusal is the identity stage's.
        Err(reason @ Reason::TokenMissing) => deny(reason, Stage::Identity),
        Err(reason) => deny(reason, Stage::Iam),
    }
}

fn deny<'a>(reason: Reason, stage: Stage) -> Step<'a> {
    Step::Done(Outcome::Denial(Denial { reason, stage }))
}

fn fault<'a>(code: Code, detail: &str) -> Step<'a> {
    Step::Done(Outcome::Fault(Fault { code, stage: Stage::Identity, detail: detail.to_owned() }))
}
