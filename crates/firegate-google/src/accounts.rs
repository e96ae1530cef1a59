//! The state of users' accounts, from `accounts:lookup` of the Identity Toolkit API.

use bytes::Bytes;
use firegate_core::time::UnixTime;
use http::{HeaderValue, Response};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::json;
use tokio::runtime::Handle;
use url::Url;

use crate::credentials::IDENTITY_TOOLKIT_URL;
use crate::credentials::exchange::{post_json, succeeded};
use crate::fault::{FaultKind, FaultSource};
use crate::http::{ExchangeBounds, FetchError, HttpClient, extend};
use crate::limits::{ACCOUNTS_BODY_BYTES_MAX, ACCOUNTS_LOOKUP_TIMEOUT, ACCOUNTS_PER_LOOKUP_MAX};

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
    kind: Option<String>,
    #[serde(default, deserialize_with = "present")]
    users: Option<Vec<AccountRecord>>,
    error: Option<IgnoredAny>,
}

/// A list where there is one; `null` is an error.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<AccountRecord>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

/// The API's name of its answer, which it gives also when it found nobody.
const ANSWER_KIND: &str = "identitytoolkit#GetAccountInfoResponse";

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
    /// the answer does not exist. `bearer` is the value of `Authorization`.
    ///
    /// # Errors
    /// If the call is refused or fails, or the answer is not about the users who were asked for.
    pub async fn lookup(
        &self,
        project: &str,
        tenant: Option<&str>,
        uids: &[&str],
        bearer: &HeaderValue,
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
        let answer = post_json(&self.http, &url, bearer, &body, BOUNDS).await;
        read(&succeeded(answer.map_err(FaultSource::from)?)?, tenant, uids)
    }

    /// The runtime that does the work.
    pub(crate) fn runtime(&self) -> &Handle {
        self.http.runtime()
    }
}

/// Reads an answer. Whoever is missing in it does not exist, so nothing but the documented answer may pass for one: some
/// other JSON, of a proxy or of an API that has changed, names nobody either.
fn read(
    answer: &Response<Bytes>,
    tenant: Option<&str>,
    uids: &[&str],
) -> Result<Vec<AccountStatus>, AccountsFault> {
    const UNUSABLE: FaultSource = FaultSource::Unusable("not the documented JSON");
    // A sequence would do for serde, each member missing in it.
    if answer.body().trim_ascii_start().first() != Some(&b'{') {
        return Err(UNUSABLE.into());
    }
    let answer: LookupAnswer = serde_json::from_slice(answer.body()).map_err(|_| UNUSABLE)?;
    if answer.error.is_some() {
        return Err(UNUSABLE.into());
    }
    let mut accounts = Vec::<AccountStatus>::new();
    for record in answer.users.unwrap_or_default() {
        let account = status(record, tenant, uids)?;
        if accounts.iter().any(|other| other.local_id == account.local_id) {
            return Err(FaultSource::Unusable("it is about one user twice").into());
        }
        accounts.push(account);
    }
    if accounts.len() < uids.len() && answer.kind.as_deref() != Some(ANSWER_KIND) {
        return Err(UNUSABLE.into());
    }
    Ok(accounts)
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
