//! The one door to where accounts are kept. Implementations block; callers are on the blocking pool.

use firegate_core::time::UnixTime;

use super::account::{Account, Directory};
use crate::error::ApiError;

/// How an account is looked for within a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AccountSelector<'a> {
    LocalId(&'a str),
    /// An address in lower case.
    Email(&'a str),
    PhoneNumber(&'a str),
}

/// A sign-in that can be refreshed. Of the token itself only the SHA-256 is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RefreshTokenRecord {
    pub(crate) token_sha256: [u8; 32],
    pub(crate) directory: Directory,
    pub(crate) local_id: String,
    /// The account's epoch when the token was made.
    pub(crate) refresh_epoch: i64,
    pub(crate) sign_in_provider: String,
    /// The claims of the custom token that the user came with, a serialised JSON object.
    pub(crate) session_claims: String,
    pub(crate) auth_time: UnixTime,
}

/// Why an account could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the directory already has an account with this id")]
    DuplicateLocalId,
    #[error("the directory already has an account with this address")]
    DuplicateEmail,
    #[error("the directory already has an account with this phone number")]
    DuplicatePhoneNumber,
    #[error("there are as many accounts as are kept")]
    Full,
    #[error("the directory has no such account")]
    NotFound,
    /// The change itself refused, and nothing was written.
    #[error("{0}")]
    Refused(Box<ApiError>),
    #[error("the account database failed: {0}")]
    Database(String),
}

/// A change of an account, applied to what is stored at that moment.
pub(crate) type Change<'a> = dyn FnMut(&mut Account) -> Result<(), ApiError> + 'a;

/// Where accounts and refresh tokens are kept. Every method is one transaction.
pub(crate) trait AccountStore: Send + Sync {
    /// Adds an account; its id, address and phone number must be free.
    fn insert(&self, directory: &Directory, account: &Account) -> Result<(), StoreError>;

    /// The account that `selector` names.
    fn find(
        &self,
        directory: &Directory,
        selector: AccountSelector<'_>,
    ) -> Result<Option<Account>, StoreError>;

    /// Applies `change` to an account and gives it as it is afterwards. A refused change writes nothing.
    fn modify(
        &self,
        directory: &Directory,
        local_id: &str,
        change: &mut Change<'_>,
    ) -> Result<Account, StoreError>;

    /// Removes an account. Its refresh tokens stay, so that they can be told apart from made-up ones.
    fn delete(&self, directory: &Directory, local_id: &str) -> Result<(), StoreError>;

    /// Removes all accounts and refresh tokens of a directory.
    fn delete_all(&self, directory: &Directory) -> Result<(), StoreError>;

    /// Up to `count` accounts in the order of their ids, after the id `after`.
    fn page(&self, directory: &Directory, after: &str, count: usize) -> Result<Vec<Account>, StoreError>;

    /// Adds a refresh token and drops the account's oldest ones beyond the limit.
    fn insert_refresh_token(&self, record: &RefreshTokenRecord) -> Result<(), StoreError>;

    /// The refresh token with this hash.
    fn find_refresh_token(&self, token_sha256: &[u8; 32]) -> Result<Option<RefreshTokenRecord>, StoreError>;
}
