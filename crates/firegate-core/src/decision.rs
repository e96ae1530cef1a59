//! The decision, as a machine without I/O. A door gathers facts and calls [`Decision::start`]; the machine is done, or
//! it needs something that only the door can fetch, and goes on with the answer. What an answer of "unavailable" means
//! is decided here alone: never an allow, but where `revocation.on_failure` says so.
//!
//! ```text
//! facts → route → armor ⇄ identity → (preflight) → token source → identity → app check → iam → account status → consume →
//! Permit
//! ```
//!
//! A security policy that asks for the user has them identified on its way; what was found then is what the identity stage goes
//! by. Armor refuses, or leaves everything to the stages after it: nothing in it grants.
//!
//! What costs a call stands at the end: it is made only for those whom everything else lets pass.

use std::sync::Arc;

use firegate_files::configuration::{Revocation, TokenSource, Trust};

use crate::cors::CorsPolicy;
use crate::exchange::ExchangeRequest;
use crate::facts::RequestFacts;
use crate::iam::IamRequest;
use crate::identity::{
    AccountStatus, Identified, KeyRing, KnownAccounts, Obstacle, Principal, TokenKind, judge_account,
};
use crate::limiter::{Count, Counters, StoreAnswer, StoreQuestion};
use crate::permit::Permit;
use crate::reason::{Code, Denial, Fault, Reason, Stage};
use crate::route::{RouteEntry, Routed};
use crate::snapshot::{Backend, Snapshot};
use crate::time::UnixTime;
use crate::token_source::{PresentedToken, presented_token};

mod account;
mod admit;
mod caller;
mod need;
mod observing;
mod outcome;
mod screen;

pub use caller::Caller;
pub use need::{Answer, Need};
pub use outcome::{Outcome, Respond};

use account::AccountRule;
use admit::{admit, app, identity, is_foreign};
use observing::Observing;
use screen::ScreeningState;

/// What a decision is made by, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The compiled configuration.
    pub snapshot: &'a Snapshot,
    /// The issuers' keys.
    pub keys: &'a KeyRing,
    /// What is known of accounts.
    pub accounts: &'a dyn KnownAccounts,
    /// How often who has come.
    pub counters: &'a dyn Counters,
    /// The time.
    pub now: UnixTime,
}

/// The machine's next step.
#[derive(Debug)]
pub enum Step<'a> {
    /// The decision is made.
    Done(Outcome),
    /// Something has to be fetched first.
    Need(Need, Box<Decision<'a>>),
}

/// A decision under way.
#[derive(Debug)]
pub struct Decision<'a> {
    waiting: Waiting<'a>,
    /// The backend is only observed.
    observing: Option<Observing<'a>>,
}

#[derive(Debug)]
enum Waiting<'a> {
    Keys(Asked<'a>),
    /// For the count of a limit.
    Count(Asked<'a>, Box<StoreQuestion>),
    Account(Admitted<'a>),
    Consume(Admitted<'a>),
}

/// What the route stage hands on.
#[derive(Debug)]
struct Asked<'a> {
    facts: &'a RequestFacts<'a>,
    backend: Arc<Backend>,
    /// How the request goes there; none if it is not to be forwarded.
    route: Option<RouteEntry>,
    purpose: Purpose<'a>,
    /// The cookie was judged, and is nobody's.
    cookie_is_nobodys: bool,
    screening: ScreeningState,
    /// Who calls, if the security policy has asked for it.
    known_caller: Option<KnownCaller<'a>>,
    /// It has asked, and its rules went by the answer.
    policy_knew_caller: bool,
    /// Whose keys were fetched for this request. None are fetched twice, so that every decision ends.
    refreshed: Vec<TokenKind>,
}

/// Whom the request's token names, and where it stands.
#[derive(Debug)]
pub struct Identity<'a> {
    /// The user or account; none without a token of one that counts here.
    pub identified: Option<Identified>,
    /// The token in the request; none if there is none, or if it is the subject of an exchange.
    pub token: Option<PresentedToken<'a>>,
}

/// Who calls, as far as anybody is known.
#[derive(Debug)]
struct KnownCaller<'a> {
    identity: Result<Identity<'a>, Obstacle>,
    app_id: Option<String>,
}

/// Keys that have to be fetched before a token can be judged.
struct MissingKeys {
    kind: TokenKind,
    /// The one that is missing from a set that is there.
    unknown_key_id: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Purpose<'a> {
    /// To be forwarded.
    Forward,
    /// A token for the subject token's user.
    Exchange(&'a ExchangeRequest),
}

/// What every rule lets pass that needs no call.
#[derive(Debug)]
struct Admitted<'a> {
    facts: &'a RequestFacts<'a>,
    permit: Permit,
    account: Option<AccountRule>,
    /// Everyone may send this request, with or without a token.
    admits_everyone: bool,
    /// The security policy went by who calls.
    policy_knew_caller: bool,
    app_check_token: Option<&'a str>,
}

/// Why a stage does not hand on.
struct Stop {
    obstacle: Obstacle,
    stage: Stage,
}

impl<'a> Decision<'a> {
    /// Decides about a request, or says what is needed to.
    pub fn start(facts: &'a RequestFacts<'a>, world: &World<'_>) -> Step<'a> {
        let routed = match world.snapshot.routes.select(facts) {
            Ok(routed) => routed,
            Err(reason) => return deny(reason, Stage::Route),
        };
        let route = match routed {
            Routed::To(route) => route,
            // No service is asked, and so no policy of one; a preflight is answered all the same.
            Routed::Redirect(_, answer) => {
                let redirect = Step::Done(Outcome::Respond(Respond::Redirect(answer)));
                return preflight(facts, world.snapshot.cors.as_ref()).unwrap_or(redirect);
            }
        };
        let mut asked = Asked::new(facts, route.backend(), Purpose::Forward);
        asked.route = Some(route);
        let observing = Observing::of(&asked);
        let step = decide(asked, None, world);
        match observing {
            Some(observing) => observing.let_through(step),
            None => step,
        }
    }

    /// Decides whether a token may be exchanged for one for `backend`, the [target](ExchangeRequest::target): by the rules of a
    /// request to it, whose user is the subject token's and nobody else's.
    pub fn exchange(
        facts: &'a RequestFacts<'a>,
        backend: &Arc<Backend>,
        asked: &'a ExchangeRequest,
        world: &World<'_>,
    ) -> Step<'a> {
        decide(Asked::new(facts, backend, Purpose::Exchange(asked)), None, world)
    }

    /// Goes on with an answer, in a world that may have changed since.
    pub fn resume(self, answer: Answer, world: &World<'_>) -> Step<'a> {
        let step = self.waiting.resume(answer, world);
        match self.observing {
            Some(observing) => observing.let_through(step),
            None => step,
        }
    }
}

impl<'a> Waiting<'a> {
    fn until_answered(self, need: Need) -> Step<'a> {
        Step::Need(need, Box::new(Decision { waiting: self, observing: None }))
    }

    fn resume(self, answer: Answer, world: &World<'_>) -> Step<'a> {
        match (self, answer) {
            (Self::Keys(asked), Answer::Keys) => decide(asked, None, world),
            (Self::Count(asked, question), Answer::SharedCount(count)) => {
                screen::counted(asked, &question, StoreAnswer::Counted(&count), world)
            }
            (Self::Count(asked, question), Answer::Unavailable) => {
                screen::counted(asked, &question, StoreAnswer::Away, world)
            }
            (Self::Count(asked, question), Answer::Overloaded | Answer::Failed) => {
                screen::counted(asked, &question, StoreAnswer::NotAsked, world)
            }
            (_, Answer::Overloaded) => {
                fault(Code::Overloaded, Stage::Identity, "too many requests wait for the same answer")
            }
            (_, Answer::Failed) => {
                fault(Code::Internal, Stage::Identity, "a mistake in Firegate, of which the log says more")
            }
            (Self::Keys(asked), Answer::Unavailable) => keys_unavailable(asked.refreshed.last().copied()),
            (Self::Account(admitted), Answer::Account(account)) => {
                account::judge(admitted, account.as_ref(), world)
            }
            (Self::Account(admitted), Answer::Unavailable) => account::unavailable(admitted, world),
            (Self::Consume(admitted), Answer::AppCheckConsumed { already: false }) => {
                permit(admitted, world.now)
            }
            (Self::Consume(_), Answer::AppCheckConsumed { already: true }) => {
                deny(Reason::AppCheckTokenConsumed, Stage::AppCheck)
            }
            (Self::Consume(_), Answer::AppCheckRefused) => {
                let why = "was refused when it was to be consumed".to_owned();
                deny(Reason::AppCheckTokenInvalid { part: "text", why }, Stage::AppCheck)
            }
            (Self::Consume(_), Answer::Unavailable) => {
                fault(Code::AppCheckUnavailable, Stage::AppCheck, "the token could not be consumed")
            }
            _ => fault(Code::Internal, Stage::Identity, "the answer is to another question"),
        }
    }
}

/// Everything up to the first call that is needed. `counted` is what the limit came to that was waited for.
fn decide<'a>(asked: Asked<'a>, counted: Option<Count>, world: &World<'_>) -> Step<'a> {
    let mut asked = match screen::screen(asked, counted, world) {
        Ok(asked) => asked,
        Err(step) => return step,
    };
    if matches!(asked.purpose, Purpose::Forward)
        && let Some(answered) = preflight(asked.facts, asked.cors(world))
    {
        return answered;
    }
    let Stop { obstacle, stage } = match admit(&mut asked, world) {
        Ok(admitted) => return account::check(admitted, world),
        Err(stop) => stop,
    };
    if let Some(missing) = asked.missing_keys(&obstacle) {
        return asked.until_fetched(missing);
    }
    match obstacle {
        Obstacle::Denied(reason) => deny(reason, stage),
        Obstacle::KeysMissing { kind } => keys_unavailable(Some(kind)),
        Obstacle::KeyUnknown { kind: TokenKind::AppCheck, key_id } => {
            let why = format!("names {key_id:?}, which is no published key");
            deny(Reason::AppCheckTokenInvalid { part: "`kid`", why }, stage)
        }
        Obstacle::KeyUnknown { .. } if asked.may_ignore_cookie(world.now) => {
            decide(Asked { cookie_is_nobodys: true, known_caller: None, ..asked }, None, world)
        }
        Obstacle::KeyUnknown { kind, key_id } => {
            let is_local = TokenKind::FIREBASE.contains(&kind) && world.snapshot.identity.has_local_keys;
            deny(Reason::TokenKeyUnknown { key_id, is_local }, stage)
        }
    }
}

impl<'a> Asked<'a> {
    fn new(facts: &'a RequestFacts<'a>, backend: &Arc<Backend>, purpose: Purpose<'a>) -> Self {
        Self {
            facts,
            screening: ScreeningState::of(backend),
            backend: Arc::clone(backend),
            route: None,
            purpose,
            cookie_is_nobodys: false,
            known_caller: None,
            policy_knew_caller: false,
            refreshed: Vec::new(),
        }
    }

    /// The same request as that of nobody, whose cookie was refused after everything else had let it pass. Its security policy
    /// is asked once more if it went by the user.
    fn as_nobodys(admitted: &Admitted<'a>) -> Self {
        let Admitted { facts, permit, policy_knew_caller, .. } = admitted;
        let asked = Self::new(facts, permit.backend(), Purpose::Forward);
        let screening = if *policy_knew_caller { asked.screening } else { ScreeningState::Over };
        Self { route: permit.route().cloned(), cookie_is_nobodys: true, screening, ..asked }
    }

    /// The keys without which nobody can tell whether the obstacle stands; none if it stands however often keys are fetched.
    fn missing_keys(&self, obstacle: &Obstacle) -> Option<MissingKeys> {
        let missing = match obstacle {
            Obstacle::Denied(_) => return None,
            Obstacle::KeysMissing { kind } => MissingKeys { kind: *kind, unknown_key_id: None },
            Obstacle::KeyUnknown { kind, key_id } => {
                MissingKeys { kind: *kind, unknown_key_id: Some(key_id.clone()) }
            }
        };
        (!self.refreshed.contains(&missing.kind)).then_some(missing)
    }

    /// Waits for keys, and decides anew with them.
    fn until_fetched(mut self, missing: MissingKeys) -> Step<'a> {
        let MissingKeys { kind, unknown_key_id } = missing;
        self.refreshed.push(kind);
        Waiting::Keys(self).until_answered(Need::KeyRefresh { kind, unknown_key_id })
    }

    /// Which pages of other origins may make the request: as its route says, else as the configuration does.
    fn cors<'b>(&'b self, world: &World<'b>) -> Option<&'b CorsPolicy> {
        let of_configuration = world.snapshot.cors.as_ref();
        self.route.as_ref().map_or(of_configuration, |entry| entry.cors(of_configuration))
    }

    /// The request as IAM's conditions see it.
    fn iam_request(&self, now: UnixTime) -> IamRequest<'_> {
        match self.purpose {
            Purpose::Forward => IamRequest::of(self.facts, now),
            Purpose::Exchange(_) => IamRequest::of_exchange(now),
        }
    }

    /// Whether everyone may send this request, with or without a token.
    fn admits_everyone(&self, now: UnixTime) -> bool {
        self.backend.bindings.admit_everyone(&self.iam_request(now))
    }

    /// Whether it is a cookie that fails, on a backend that everyone may call: a browser sends the cookie of a session that is
    /// over by itself, and the page that would renew it has to load.
    fn may_ignore_cookie(&self, now: UnixTime) -> bool {
        let has_cookie = || {
            let token = presented_token(self.facts, self.backend.token_sources()).ok().flatten();
            token.is_some_and(|token| token.source == TokenSource::Cookie)
        };
        matches!(self.purpose, Purpose::Forward)
            && !self.cookie_is_nobodys
            && self.admits_everyone(now)
            && has_cookie()
    }
}

impl<'a> Identity<'a> {
    /// Nobody in particular, whatever stands where a token may.
    fn nobody(token: Option<PresentedToken<'a>>) -> Self {
        Self { identified: None, token }
    }

    /// The user or account.
    pub fn principal(&self) -> Option<&Principal> {
        self.identified.as_ref().map(|identified| &*identified.principal)
    }
}

/// The answer to a preflight. It comes after the security policy, as at Google, and before anybody is asked for a token.
fn preflight<'a>(facts: &RequestFacts<'_>, cors: Option<&CorsPolicy>) -> Option<Step<'a>> {
    let cors = cors.filter(|_| CorsPolicy::is_preflight(facts))?;
    Some(match cors.preflight(facts) {
        Ok(answer) => Step::Done(Outcome::Respond(Respond::Preflight(answer))),
        Err(reason) => deny(reason, Stage::Cors),
    })
}

/// The last stage but one: what is used once, is used for a request that nothing else refuses.
fn consume<'a>(admitted: Admitted<'a>, now: UnixTime) -> Step<'a> {
    match admitted.app_check_token {
        None => permit(admitted, now),
        Some(token) => {
            let need = Need::AppCheckConsume { token: token.to_owned() };
            Waiting::Consume(admitted).until_answered(need)
        }
    }
}

/// The last stage. The time that was waited may have been the token's last.
fn permit<'a>(admitted: Admitted<'_>, now: UnixTime) -> Step<'a> {
    if let Some(expired_at) = admitted.permit.principal().map(Principal::expires_at).filter(|at| *at <= now) {
        return deny(Reason::TokenExpired { expired_at, now }, Stage::Identity);
    }
    Step::Done(Outcome::Permit(Box::new(admitted.permit)))
}

fn deny<'a>(reason: Reason, stage: Stage) -> Step<'a> {
    Step::Done(Outcome::Denial(Denial { reason, stage }))
}

fn fault<'a>(code: Code, stage: Stage, detail: &str) -> Step<'a> {
    Step::Done(Outcome::Fault(Fault { code, stage, detail: detail.to_owned() }))
}

fn keys_unavailable<'a>(kind: Option<TokenKind>) -> Step<'a> {
    match kind {
        Some(TokenKind::AppCheck) => {
            fault(Code::AppCheckUnavailable, Stage::AppCheck, "App Check's keys could not be fetched")
        }
        _ => fault(Code::KeysUnavailable, Stage::Identity, "the issuer's keys could not be fetched"),
    }
}
