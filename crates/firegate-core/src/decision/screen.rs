//! What the backend's security policy says, and whom it has to know for that. One list, one order: the user is identified at
//! the first rule that asks for them, and the list goes on with that rule. Without a good token nobody is known, the rest of
//! the list runs all the same, and only then comes the refusal for the token's sake.

use super::{
    Asked, Code, KnownCaller, MissingKeys, Need, Outcome, Principal, Purpose, Respond, Stage, Step,
    StoreQuestion, Waiting, World, app, deny, fault, identity,
};
use crate::armor::{Progress, Screened, Screening, Subject, UserFacts, Verdict};
use crate::limiter::{Count, Settled, StoreAnswer};

/// How far a request's screening came.
#[derive(Debug)]
pub(super) enum ScreeningState {
    /// It has yet to go on.
    Under(Box<Screening>),
    /// It is over, and refused nothing.
    Over,
}

impl ScreeningState {
    /// The state at the beginning.
    pub(super) fn of(asked: &super::Backend) -> Self {
        match &asked.security_policy {
            Some(policy) => Self::Under(Box::new(Screening::new(policy.clone()))),
            None => Self::Over,
        }
    }
}

/// Evaluates the policy up to its end, or up to what has to be fetched first.
///
/// # Errors
/// The step to take instead of going on: the end, or what is needed.
pub(super) fn screen<'a>(
    mut asked: Asked<'a>,
    mut counted: Option<Count>,
    world: &World<'_>,
) -> Result<Asked<'a>, Step<'a>> {
    while let ScreeningState::Under(screening) = std::mem::replace(&mut asked.screening, ScreeningState::Over)
    {
        let progress = {
            let geography = world.snapshot.geography.as_deref();
            let known = asked.known_caller.as_ref().map(KnownCaller::user_facts);
            let subject = Subject::new(asked.facts, screening.policy(), geography, known);
            match counted.take() {
                Some(count) => screening.counted(count, &subject, world.counters),
                None => screening.run(&subject, world.counters),
            }
        };
        match progress {
            Progress::NeedsUser(screening) => {
                let asks_for_app = screening.policy().asks_for_app();
                asked.screening = ScreeningState::Under(screening);
                match KnownCaller::find(&asked, asks_for_app, world) {
                    Ok(caller) => {
                        asked.known_caller = Some(caller);
                        asked.policy_knew_caller = true;
                    }
                    Err(missing) => return Err(asked.until_fetched(missing)),
                }
            }
            Progress::NeedsCount(question, screening) => {
                asked.screening = ScreeningState::Under(screening);
                let need = Need::SharedCount(question.clone());
                return Err(Waiting::Count(asked, question).until_answered(need));
            }
            Progress::Done(verdict) => return finish(asked, verdict),
        }
    }
    Ok(asked)
}

/// Notes what the policy said, and goes on if it refuses nothing.
fn finish(asked: Asked<'_>, verdict: Verdict) -> Result<Asked<'_>, Step<'_>> {
    let note = |screened: Screened| asked.facts.screened.note(screened);
    match verdict {
        Verdict::Passed(screened) => {
            note(screened);
            Ok(asked)
        }
        Verdict::Denied(reason, screened) => {
            note(screened);
            Err(deny(reason, Stage::Armor))
        }
        // Whoever exchanges a token follows no redirect, and whoever is only observed is not sent away: it is a refusal.
        Verdict::Redirected(_, screened)
            if matches!(asked.purpose, Purpose::Exchange(_)) || asked.backend.observes() =>
        {
            let reason = screened.refusal_instead_of_redirect();
            note(screened);
            Err(reason.map_or_else(
                || fault(Code::Internal, Stage::Armor, "a redirect has no rule"),
                |reason| deny(reason, Stage::Armor),
            ))
        }
        Verdict::Redirected(redirect, screened) => {
            note(screened);
            Err(Step::Done(Outcome::Respond(Respond::Redirect(redirect))))
        }
    }
}

/// Goes on with what the store has counted, or with what holds while it cannot be asked.
pub(super) fn counted<'a>(
    asked: Asked<'a>,
    question: &StoreQuestion,
    answer: StoreAnswer<'_>,
    world: &World<'_>,
) -> Step<'a> {
    match world.counters.settle(question, answer) {
        Settled::Counted(count) => super::decide(asked, Some(count), world),
        Settled::Unavailable => {
            fault(Code::LimitsStoreUnavailable, Stage::Armor, "the limit's store could not be asked")
        }
    }
}

impl<'a> KnownCaller<'a> {
    /// Identifies the caller, as the identity stage does; what it finds is what that stage goes by later.
    ///
    /// # Errors
    /// The keys that have to be fetched first.
    fn find(asked: &Asked<'a>, asks_for_app: bool, world: &World<'_>) -> Result<Self, MissingKeys> {
        let stands = |obstacle| asked.missing_keys(obstacle).map_or(Ok(()), Err);
        let identity = identity(asked, world);
        if let Err(obstacle) = &identity {
            stands(obstacle)?;
        }
        let mut app_id = None;
        if asks_for_app {
            match app(asked, world) {
                Ok(app) => app_id = app.map(|app| app.app_id),
                Err(obstacle) => stands(&obstacle)?,
            }
        }
        Ok(Self { identity, app_id })
    }

    fn user_facts(&self) -> UserFacts<'_> {
        let principal = self.identity.as_ref().ok().and_then(|identity| identity.principal());
        UserFacts { user: principal.and_then(Principal::user), app_id: self.app_id.as_deref() }
    }
}
