//! Who calls, as the decision finds it: for those who explain a decision, beside the one that was made.

use super::{Asked, Identity, Obstacle, Principal, Purpose, World, app, identity};
use crate::armor::UserFacts;
use crate::facts::RequestFacts;
use crate::route::RouteEntry;

/// Who calls, whatever the stages before would have said.
#[derive(Debug)]
pub struct Caller<'a> {
    /// The user or account and where its token stands, or what is wrong with it.
    pub identity: Result<Identity<'a>, Obstacle>,
    /// The app's ID, if the backend asks for it, or what is wrong with its token.
    pub app: Result<Option<String>, Obstacle>,
}

impl<'a> Caller<'a> {
    /// Finds out who sends a request that goes to a backend by this route.
    pub fn find(facts: &'a RequestFacts<'a>, route: &RouteEntry, world: &World<'_>) -> Self {
        let asked =
            Asked { route: Some(route.clone()), ..Asked::new(facts, route.backend(), Purpose::Forward) };
        let app = app(&asked, world).map(|app| app.map(|app| app.app_id));
        Self { identity: identity(&asked, world), app }
    }

    /// The user or account.
    pub fn principal(&self) -> Option<&Principal> {
        self.identity.as_ref().ok()?.principal()
    }

    /// What a security policy is told.
    pub fn user_facts(&self) -> UserFacts<'_> {
        let app_id = self.app.as_ref().ok().and_then(Option::as_deref);
        UserFacts { user: self.principal().and_then(Principal::user), app_id }
    }
}
