//! The proof that a request may pass. Only the IAM stage makes one, and nothing is forwarded without.

use std::sync::Arc;

use firegate_files::configuration::{AppCheck, IdentityHeaders, TokenSource};

use crate::identity::{Principal, User};
use crate::route::RouteEntry;
use crate::snapshot::Backend;
use crate::time::UnixTime;
use crate::token_source::{PresentedToken, TokenRemoval};

/// Leave to forward one request to one backend.
#[derive(Debug)]
pub struct Permit {
    backend: Arc<Backend>,
    principal: Option<Arc<Principal>>,
    token_source: Option<TokenSource>,
    removal: TokenRemoval,
    is_unchecked: bool,
    route: Option<RouteEntry>,
    mirror: Option<Arc<Permit>>,
}

/// How long a forwarded stream may last.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// The stream ends at this time, if at any.
    pub until: Option<UnixTime>,
    /// The stream ends as soon as it is known that this user was disabled, deleted or revoked.
    pub revocable: Option<&'a User>,
}

impl Permit {
    /// Made by [`crate::iam::authorize`] alone, whose answer it is.
    pub(crate) fn new(
        backend: Arc<Backend>,
        principal: Option<Arc<Principal>>,
        token: Option<&PresentedToken<'_>>,
    ) -> Self {
        // A token that names nobody, here or elsewhere, is the client's own affair, on a backend that everyone may call.
        let read = token.filter(|token| principal.is_some() || token.is_good_elsewhere);
        let forwards = backend.forwards_user_token();
        let supersedes_cookie = token.is_some_and(|token| token.supersedes_cookie);
        let removal = TokenRemoval::of(read, forwards);
        Self {
            token_source: token.filter(|_| principal.is_some()).map(|token| token.source),
            removal: TokenRemoval {
                cookie: removal.cookie || supersedes_cookie,
                app_check: *backend.app_check() != AppCheck::Off && !forwards,
                ..removal
            },
            backend,
            principal,
            is_unchecked: false,
            route: None,
            mirror: None,
        }
    }

    /// The same, on the way that the routes say. It leads to the permit's backend.
    pub(crate) fn along(self, route: Option<RouteEntry>) -> Self {
        let route = route.filter(|route| Arc::ptr_eq(route.backend(), &self.backend));
        Self { route, ..self }
    }

    /// The same, with leave to send a copy to another backend.
    pub(crate) fn mirrored(self, mirror: Option<Self>) -> Self {
        Self { mirror: mirror.map(Arc::new), ..self }
    }

    /// The same for a backend that asks for no App Check token, of a request of which another one has asked for it: it is not
    /// this one's to see, unless it sees what the user sent.
    pub(crate) fn without_app_check_token(self) -> Self {
        let app_check = self.removal.app_check || !self.backend.forwards_user_token();
        Self { removal: TokenRemoval { app_check, ..self.removal }, ..self }
    }

    /// The same, noting that the user could not be looked up and is let in all the same.
    pub(crate) fn unchecked(self) -> Self {
        Self { is_unchecked: true, ..self }
    }

    /// The backend that the request goes to. Its audience and credential are the permit's.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// How the request goes to its backend; none if it is not to be forwarded.
    pub fn route(&self) -> Option<&RouteEntry> {
        self.route.as_ref()
    }

    /// Leave to send a copy of the request to the service that its route mirrors it to.
    pub fn mirror(&self) -> Option<&Arc<Self>> {
        self.mirror.as_ref()
    }

    /// Who calls; nobody on a backend that is open to everyone.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// The verified user; none if nobody calls, or a Google account.
    pub fn user(&self) -> Option<&User> {
        self.principal().and_then(Principal::user)
    }

    /// Where the principal's token was read.
    pub fn token_source(&self) -> Option<TokenSource> {
        self.token_source
    }

    /// What of the request goes no further, because it holds the principal's token.
    pub fn removal(&self) -> TokenRemoval {
        self.removal
    }

    /// Whether the backend sees nothing of the principal's token.
    pub fn drops_token(&self) -> bool {
        self.principal.is_some() && !self.backend.forwards_user_token()
    }

    /// Whether the user was let in although their account could not be looked up: `revocation.on_failure: allow`.
    pub fn is_unchecked(&self) -> bool {
        self.is_unchecked
    }

    /// Whether the service also finds the user's token in `X-Forwarded-Authorization`, where API Gateway leaves it.
    pub fn copies_authorization(&self) -> bool {
        self.token_source == Some(TokenSource::Authorization)
            && self.backend.forwards_user_token()
            && self.backend.identity_headers() == IdentityHeaders::ApiGateway
    }

    /// How long the stream may last.
    pub fn lease(&self) -> Lease<'_> {
        let principal = self.principal().filter(|_| self.backend.ends_streams_at_token_expiry());
        Lease {
            until: principal.map(Principal::expires_at),
            revocable: self.user().filter(|_| self.backend.ends_streams_at_revocation()),
        }
    }
}
