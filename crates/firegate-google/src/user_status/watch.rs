//! The signal that ends a user's stream.

use std::fmt;
use std::sync::Arc;

use firegate_core::identity::AccountStatus;
use firegate_core::time::UnixTime;
use tokio_util::sync::CancellationToken;

use super::UserStatusCache;
use super::entry::Entry;

/// One stream that ends with its user's sessions.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) id: u64,
    pub(super) auth_time: UnixTime,
    pub(super) ended: CancellationToken,
}

impl Watcher {
    /// Fires if the account ends the stream. The rule is that of
    /// [`judge_account`](firegate_core::identity::judge_account).
    pub(super) fn judge(&self, account: Option<&AccountStatus>) {
        if account.is_none_or(|account| account.disabled || self.auth_time < account.valid_since) {
            self.ended.cancel();
        }
    }
}

/// A watch over one user for as long as a stream of theirs is open. While it lives, the user counts as seen, so that their
/// account is looked up again and again; dropping it ends that.
///
/// It fires when a look-up says that the account is gone or disabled, or that the sessions of `auth_time` were revoked.
/// An outage does not fire it: that Identity Platform cannot be asked is no news of the user, and the stream ends with
/// its token anyway.
pub struct RevocationWatch {
    pub(super) cache: Arc<UserStatusCache>,
    pub(super) entry: Arc<Entry>,
    pub(super) id: u64,
    pub(super) ended: CancellationToken,
}

impl RevocationWatch {
    /// Waits until the user's sessions are over; for ever, if they never are.
    pub async fn revoked(&self) {
        self.ended.cancelled().await;
    }

    /// Whether they are over.
    pub fn is_revoked(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// The signal itself, cancelled when they are over. It does not keep the watch alive.
    pub fn signal(&self) -> CancellationToken {
        self.ended.child_token()
    }
}

impl Drop for RevocationWatch {
    fn drop(&mut self) {
        self.cache.unwatch(self);
    }
}

impl fmt::Debug for RevocationWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RevocationWatch")
            .field("is_revoked", &self.is_revoked())
            .finish_non_exhaustive()
    }
}
