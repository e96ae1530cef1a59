//! What administrators do with many accounts, and the session cookies that they make for their users.

use std::time::Duration;

use serde_json::{Value, json};

use crate::accounts::{Account, AccountSelector, Directory};
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::limits::{
    BATCH_DELETE_MAX, PAGE_ACCOUNTS_DEFAULT, PAGE_ACCOUNTS_MAX, SESSION_COOKIE_LIFETIME_MAX,
    SESSION_COOKIE_LIFETIME_MIN,
};
use crate::service::Service;
use crate::tokens::{TokenSigner, session_cookie};

impl Service {
    /// `projects.accounts.batchGet`: a page of accounts in the order of their ids.
    pub(crate) fn batch_get(&self, directory: &Directory, query: &RequestBody) -> Result<Value, ApiError> {
        let asked = query.integer("maxResults")?.unwrap_or(0);
        let count = match usize::try_from(asked) {
            Ok(0) => PAGE_ACCOUNTS_DEFAULT,
            Ok(count) => count.min(PAGE_ACCOUNTS_MAX),
            Err(_) => return Err(ApiError::InvalidPageSelection),
        };
        let after = query.text("nextPageToken")?.unwrap_or_default();
        // One more than asked for tells whether there is another page.
        let mut accounts = self.store.page(directory, &after, count + 1)?;
        let has_more = accounts.len() > count;
        accounts.truncate(count);
        let mut response = json!({ "kind": "identitytoolkit#DownloadAccountResponse" });
        if let Some(last) = accounts.last().filter(|_| has_more) {
            response["nextPageToken"] = last.local_id.as_str().into();
        }
        if !accounts.is_empty() {
            response["users"] = accounts.iter().map(|account| account.user_info(directory)).collect();
        }
        Ok(response)
    }

    /// `projects.accounts.batchDelete`: disabled accounts, or all that are named with `force`.
    pub(crate) fn batch_delete(&self, directory: &Directory, body: &RequestBody) -> Result<Value, ApiError> {
        let local_ids = body.texts("localIds")?;
        if !(1..=BATCH_DELETE_MAX).contains(&local_ids.len()) {
            return Err(ApiError::LocalIdListExceedsLimit);
        }
        let force = body.flag("force")?.unwrap_or(false);
        let mut errors = Vec::new();
        for (index, local_id) in local_ids.iter().enumerate() {
            match self.find(directory, AccountSelector::LocalId(local_id))? {
                None => {}
                Some(Account { disabled: false, .. }) if !force => errors.push(json!({
                    "index": index,
                    "localId": local_id,
                    "message": "NOT_DISABLED : Disable the account before batch deletion.",
                })),
                Some(_) => self.store.delete(directory, local_id)?,
            }
        }
        Ok(if errors.is_empty() { json!({}) } else { json!({ "errors": errors }) })
    }

    /// `projects.createSessionCookie`: a long-lived token with the claims of a user's ID token.
    pub(crate) fn create_session_cookie(
        &self,
        directory: &Directory,
        body: &RequestBody,
        id_token_signer: &TokenSigner,
        cookie_signer: &TokenSigner,
    ) -> Result<Value, ApiError> {
        let lifetime = match body.integer("validDuration")? {
            None | Some(0) => SESSION_COOKIE_LIFETIME_MAX,
            Some(seconds) => {
                Duration::from_secs(u64::try_from(seconds).map_err(|_| ApiError::InvalidDuration)?)
            }
        };
        if !(SESSION_COOKIE_LIFETIME_MIN..=SESSION_COOKIE_LIFETIME_MAX).contains(&lifetime) {
            return Err(ApiError::InvalidDuration);
        }
        let (token, _) = self.user_of_project(&directory.project, body, id_token_signer)?;
        if token.directory != *directory {
            return Err(ApiError::TenantIdMismatch);
        }
        Ok(json!({ "sessionCookie": session_cookie(cookie_signer, &token, self.now(), lifetime)? }))
    }
}
