//! The proof that a request may pass. Only the IAM stage makes one, and nothing is forwarded without.

use std::sync::Arc;

use firegate_files::configuration::IdentityHeaders;

use crate::identity::User;
use crate::snapshot::Backend;
use crate::time::UnixTime;

/// Leave to forward one request to one backend.
#[derive(Debug)]
pub struct Permit {
    backend: Arc<Backend>,
    user: Option<User>,
    authorization_is_user_token: bool,
}

/// How long a forwarded stream may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The stream ends at this time, if at any.
    pub until: Option<UnixTime>,
}

impl Permit {
    /// Made by [`crate::iam::authorize`] alone, whose answer it is.
    pub(crate) fn new(backend: Arc<Backend>, user: Option<User>) -> Self {
        Self { authorization_is_user_token: user.is_some(), backend, user }
    }

    /// The backend that the request goes to. Its audience and credential are the permit's.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// The verified user; none on a backend that is open to everyone.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Whether the Authorization header goes no further: it holds the user's token, and the backend does not get it.
    pub fn drops_authorization(&self) -> bool {
        self.authorization_is_user_token && !self.backend.forwards_user_token()
    }

    /// Whether the service also finds the user's token in `X-Forwarded-Authorization`, where API Gateway leaves it.
    pub fn copies_authorization(&self) -> bool {
        self.authorization_is_user_token
            && self.backend.forwards_user_token()
            && self.backend.identity_headers() == IdentityHeaders::ApiGateway
    }

    /// How long the stream may last.
    pub fn lease(&self) -> Lease {
        let user = self.user.as_ref().filter(|_| self.backend.ends_streams_at_token_expiry());
        Lease { until: user.map(|user| user.expires_at) }
    }
}
