//! What a decision asks of its door, and what it may be told.

use crate::identity::{AccountStatus, TokenKind};
use crate::limiter::{SharedCount, StoreQuestion};

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
    /// That App Check marks a token as used. Answered by [`Answer::AppCheckConsumed`].
    AppCheckConsume {
        /// The token, verified.
        token: String,
    },
    /// The keys of an issuer, because there are none or because one is missing. Answered by [`Answer::Keys`].
    KeyRefresh {
        /// Whose keys.
        kind: TokenKind,
        /// The key that is missing from a set that is there.
        unknown_key_id: Option<String>,
    },
    /// That a request is counted where all processes count. Answered by [`Answer::SharedCount`].
    SharedCount(Box<StoreQuestion>),
}

/// How fetching went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The account, or none if there is no such account.
    Account(Option<AccountStatus>),
    /// The token was marked as used.
    AppCheckConsumed {
        /// It had been before.
        already: bool,
    },
    /// Too many others are waiting for it: that says nothing of Google, and nothing of the user.
    Overloaded,
    /// App Check refuses the token: it is no token for it.
    AppCheckRefused,
    /// What the shared store says.
    SharedCount(SharedCount),
    /// The keys are now as fresh as they can be: they were fetched, or fetched so lately that it is not done again.
    Keys,
    /// It could not be fetched.
    Unavailable,
    /// It could not be fetched by a mistake of Firegate's own, which says nothing of whoever was to be asked.
    Failed,
}
