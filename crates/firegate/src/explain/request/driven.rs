//! The decision, made once more: with the keys at hand, and where some are missing as though the signature were valid.

use firegate_core::app_check::FIREBASE_APP_CHECK;
use firegate_core::armor::ScreeningNote;
use firegate_core::decision::{Outcome, World};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{KeyRing, TokenKind};
use firegate_core::route::Routed;
use firegate_core::token_source::presented_token;

use super::super::believed::believe;
use super::super::firegate_door::{Decided, drive, no_keys};

/// A request that was decided, and what it was decided by in the end.
pub(super) struct Driven<'a> {
    pub(super) decided: Decided,
    pub(super) facts: RequestFacts<'a>,
    pub(super) keys: KeyRing,
}

impl<'a> Driven<'a> {
    pub(super) fn new(facts: &RequestFacts<'a>, world: World<'_>) -> Self {
        let (mut keys, mut believed) = (world.keys.clone(), Vec::new());
        loop {
            // What a policy did is noted once in the facts of a request.
            let facts = RequestFacts { screened: ScreeningNote::default(), ..facts.clone() };
            let decided = drive(&facts, &World { keys: &keys, ..world });
            match decided {
                Ok(outcome) => {
                    let decided = decided_by(outcome, believed.first().copied());
                    return Self { decided, facts, keys };
                }
                Err(kind) if believed.contains(&kind) => {
                    return Self { decided: decided_by(no_keys(), Some(kind)), facts, keys };
                }
                Err(kind) => {
                    if let Some(token) = token_of(&facts, kind, &world) {
                        believe(&mut keys, kind, token);
                    }
                    believed.push(kind);
                }
            }
        }
    }
}

fn decided_by(outcome: Outcome, believed: Option<TokenKind>) -> Decided {
    match believed {
        None => Decided::Proven(outcome),
        Some(kind) => Decided::Believed(outcome, kind),
    }
}

/// The token whose signature cannot be checked.
fn token_of<'a>(facts: &RequestFacts<'a>, kind: TokenKind, world: &World<'_>) -> Option<&'a str> {
    if kind == TokenKind::AppCheck {
        return facts.header(FIREBASE_APP_CHECK);
    }
    let Ok(Routed::To(entry)) = world.snapshot.routes.select(facts) else { return None };
    presented_token(facts, entry.backend().token_sources()).ok().flatten().map(|token| token.text)
}
