//! What Identity Platform says of accounts, and what it means for a user's token.

use std::fmt;

use super::User;
use crate::reason::Reason;
use crate::time::UnixTime;

/// What Identity Platform says of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// Whether an administrator has disabled it.
    pub disabled: bool,
    /// Sessions that began before this are revoked.
    pub valid_since: UnixTime,
}

/// What is known of an account, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownAccount {
    /// The account, or none if there is no such account.
    pub account: Option<AccountStatus>,
    /// When the look-up began that said so.
    pub as_of: UnixTime,
}

/// What was learnt of accounts by look-ups, to be read without waiting.
pub trait KnownAccounts: fmt::Debug + Send + Sync {
    /// What the last successful look-up said of a user, however long ago. Takes note that the user was here.
    fn known(&self, tenant: Option<&str>, uid: &str) -> Option<KnownAccount>;

    /// A user was refused by what is known of them: it must not be forgotten while they may have a token that is alive, and not
    /// before `until`, when the one that they showed expires.
    fn refused(&self, tenant: Option<&str>, uid: &str, until: UnixTime);

    /// Whether more users were refused than could be remembered. Then nobody of whom nothing is known may be let in while
    /// Identity Platform is out of reach: they may be one of those.
    fn has_forgotten_refusals(&self) -> bool;
}

/// No account is known: for doors that look nobody up.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKnownAccounts;

impl KnownAccounts for NoKnownAccounts {
    fn known(&self, _tenant: Option<&str>, _uid: &str) -> Option<KnownAccount> {
        None
    }

    fn refused(&self, _tenant: Option<&str>, _uid: &str, _until: UnixTime) {}

    fn has_forgotten_refusals(&self) -> bool {
        false
    }
}

/// Judges a user by the state of their account.
///
/// # Errors
/// If the account is gone, disabled, or its sessions were revoked after the user signed in.
pub fn judge_account(user: &User, account: Option<&AccountStatus>) -> Result<(), Reason> {
    // The order of the Admin SDKs: disabled before revoked.
    match account {
        None => Err(Reason::UserNotFound),
        Some(account) if account.disabled => Err(Reason::UserDisabled),
        // Strictly less, and by `auth_time`: a session that began in the very second of the revocation is the one
        // that the user began after it.
        Some(account) if user.auth_time < account.valid_since => {
            Err(Reason::TokenRevoked { auth_time: user.auth_time, valid_since: account.valid_since })
        }
        Some(_) => Ok(()),
    }
}
