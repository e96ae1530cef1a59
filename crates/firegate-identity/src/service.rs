//! What all operations share: the project, the clock, the accounts, and the proof of who calls.
//!
//! Operations block: they read and write the database, hash passwords and sign. The server runs each on the blocking
//! pool.

use firegate_core::jose::KeySet;
use firegate_core::time::{SharedClock, UnixTime};

use crate::accounts::{Account, AccountSelector, AccountStore, Directory};
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::passwords::PasswordHashing;
use crate::tokens::{TokenSigner, VerifiedIdToken, verify_id_token};

/// The state behind all operations.
pub(crate) struct Service {
    pub(crate) project: String,
    pub(crate) project_number: String,
    pub(crate) custom_token_keys: Option<KeySet>,
    pub(crate) clock: SharedClock,
    pub(crate) store: AccountStore,
    pub(crate) passwords: PasswordHashing,
}

impl Service {
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The directory that an end user's body names.
    pub(crate) fn directory_of(&self, body: &RequestBody) -> Result<Directory, ApiError> {
        Directory::of_tenant(&self.project, body.nonempty_text("tenantId")?)
    }

    pub(crate) fn find(
        &self,
        directory: &Directory,
        selector: AccountSelector<'_>,
    ) -> Result<Option<Account>, ApiError> {
        Ok(self.store.find(directory, selector)?)
    }

    /// The user whose ID token is in the body, proven to be genuine, current and not revoked.
    pub(crate) fn user_of(
        &self,
        body: &RequestBody,
        signer: &TokenSigner,
    ) -> Result<(VerifiedIdToken, Account), ApiError> {
        let (token, account) = self.user_of_project(&self.project, body, signer)?;
        // The SDKs name the tenant in some calls only; the token always does.
        match body.nonempty_text("tenantId")? {
            Some(tenant) if token.directory.tenant.as_deref() != Some(tenant.as_str()) => {
                Err(ApiError::TenantIdMismatch)
            }
            _ => Ok((token, account)),
        }
    }

    /// [`Self::user_of`] for any project, leaving the tenant to the caller.
    pub(crate) fn user_of_project(
        &self,
        project: &str,
        body: &RequestBody,
        signer: &TokenSigner,
    ) -> Result<(VerifiedIdToken, Account), ApiError> {
        let text = body.nonempty_text("idToken")?.ok_or(ApiError::MissingIdToken)?;
        let token = verify_id_token(signer, project, &text, self.now())?;
        let found = self.find(&token.directory, AccountSelector::LocalId(&token.local_id))?;
        let account = found.ok_or(ApiError::UserNotFound)?;
        if account.disabled {
            return Err(ApiError::UserDisabled);
        }
        if account.revoked_since(token.auth_time) {
            return Err(ApiError::TokenExpired);
        }
        Ok((token, account))
    }
}
