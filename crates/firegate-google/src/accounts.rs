//! The state of users' accounts, from `accounts:lookup` of the Identity Toolkit API.

use bytes::Bytes;
use firegate_core::time::UnixTime;
use http::Response;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::credentials::IDENTITY_TOOLKIT_URL;
use crate::credentials::exchange::{post_json, succeeded};
use crate::fault::{FaultKind, FaultSource};
use crate::http::{ExchangeBounds, FetchError, HttpClient, extend};
use crate::limits::{ACCOUNTS_BODY_BYTES_MAX, ACCOUNTS_LOOKUP_TIMEOUT, ACCOUNTS_PER_LOOKUP_MAX};
use crate::tokens::bearer;

/// The bearer token by which a Firebase Auth emulator knows an administrator.
pub const EMULATOR_BEARER: &str = "owner";

/// A client of `accounts:lookup`.
#[derive(Clone, Debug)]
pub struct AccountsClient {
    http: HttpClient,
    base: Option<Url>,
}

/// What Identity Platform says of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// The user's id, unique in its tenant.
    pub local_id: String,
    /// Whether an administrator has disabled the account.
    pub disabled: bool,
    /// Sessions that began before this are revoked; the epoch if none ever were.
    pub valid_since: UnixTime,
    /// The tenant, none for a user of the project itself.
    pub tenant: Option<String>,
}

/// Why the state of accounts is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsFault {
    /// Nobody or too many were asked for, or a name is empty.
    #[error("a look-up asks for 1 to {ACCOUNTS_PER_LOOKUP_MAX} users of a project")]
    Question,
    /// The call failed.
    #[error("accounts:lookup: {0}")]
    Call(#[from] FaultSource),
}

#[derive(Deserialize)]
struct LookupAnswer {
    #[serde(default)]
    users: Vec<AccountRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountRecord {
    local_id: String,
    #[serde(default)]
    disabled: bool,
    /// Seconds since the epoch, as text.
    valid_since: Option<String>,
    tenant_id: Option<String>,
}

impl AccountsClient {
    /// A client of the API at `base`, Google's own by default. An emulator's base is
    /// `http://HOST:9099/identitytoolkit.googleapis.com`.
    pub fn new(http: HttpClient, base: Option<Url>) -> Self {
        Self { http, base }
    }

    /// The state of up to [`ACCOUNTS_PER_LOOKUP_MAX`] users of a project, or of one of its tenants. A user who is missing in
    /// the answer does not exist.
    ///
    /// # Errors
    /// If the call is refused or fails, or the answer is not about the users who were asked for.
    pub async fn lookup(
        &self,
        project: &str,
        tenant: Option<&str>,
        uids: &[&str],
        bearer_token: &str,
    ) -> Result<Vec<AccountStatus>, AccountsFault> {
        const BOUNDS: ExchangeBounds =
            ExchangeBounds { timeout: ACCOUNTS_LOOKUP_TIMEOUT, body_bytes_max: ACCOUNTS_BODY_BYTES_MAX };
        let names = [Some(project), tenant].into_iter().flatten().chain(uids.iter().copied());
        if uids.is_empty() || uids.len() > ACCOUNTS_PER_LOOKUP_MAX || names.into_iter().any(str::is_empty) {
            return Err(AccountsFault::Question);
        }
        let base = self.base.as_ref().map_or(IDENTITY_TOOLKIT_URL, Url::as_str);
        let url = match tenant {
            None => extend(base, ["v1", "projects", project, "accounts:lookup"]),
            Some(tenant) => extend(base, ["v1", "projects", project, "tenants", tenant, "accounts:lookup"]),
        };
        let url = url.map_err(FaultSource::from)?;
        let body = json!({ "localId": uids });
        let answer = post_json(&self.http, &url, &bearer(bearer_token)?, &body, BOUNDS).await;
        read(succeeded(answer.map_err(FaultSource::from)?)?, tenant, uids)
    }
}

fn read(
    answer: Response<Bytes>,
    tenant: Option<&str>,
    uids: &[&str],
) -> Result<Vec<AccountStatus>, AccountsFault> {
    const UNUSABLE: FaultSource = FaultSource::Unusable("not the documented JSON");
    let answer: LookupAnswer = serde_json::from_slice(answer.body()).map_err(|_| UNUSABLE)?;
    answer.users.into_iter().map(|record| status(record, tenant, uids)).collect()
}

fn status(
    record: AccountRecord,
    tenant: Option<&str>,
    uids: &[&str],
) -> Result<AccountStatus, AccountsFault> {
    // The same uid may exist in another tenant and be somebody else.
    if !uids.contains(&record.local_id.as_str()) || record.tenant_id.as_deref() != tenant {
        return Err(FaultSource::Unusable("it is about a user who was not asked for").into());
    }
    let valid_since = match record.valid_since.as_deref() {
        None => 0,
        Some(seconds) => seconds.parse().map_err(|_| FaultSource::Unusable("`validSince` is no number"))?,
    };
    Ok(AccountStatus {
        local_id: record.local_id,
        disabled: record.disabled,
        valid_since: UnixTime::from_seconds(valid_since),
        tenant: record.tenant_id,
    })
}

impl AccountsFault {
    /// Whether trying again helps.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Question => FaultKind::Refused,
            Self::Call(source) => source.kind(),
        }
    }
}

impl From<FetchError> for AccountsFault {
    fn from(error: FetchError) -> Self {
        Self::Call(error.into())
    }
}
