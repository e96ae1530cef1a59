//! One user of one directory.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use firegate_core::time::UnixTime;
use serde_json::{Map, Value, json};

use super::checked;
use crate::error::ApiError;
use crate::limits::{DIRECTORY_ID_CHARACTERS_MAX, LOCAL_ID_GENERATED_CHARACTERS};

/// What production answers instead of a password hash: "REDACTED" in base64. The Admin SDK knows it.
const REDACTED: &str = "UkVEQUNURUQ=";

/// The users of a project, or of one of its tenants. Ids, addresses and phone numbers are unique within it and may
/// repeat across directories.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Directory {
    pub(crate) project: String,
    pub(crate) tenant: Option<String>,
}

impl Directory {
    /// The directory of the project itself.
    pub(crate) fn of_project(project: &str) -> Self {
        Self { project: project.to_owned(), tenant: None }
    }

    /// The directory of a tenant, or of the project itself without one. Tenants come to be by being named.
    pub(crate) fn of_tenant(project: &str, tenant: Option<String>) -> Result<Self, ApiError> {
        match tenant {
            Some(tenant) if !is_directory_id(&tenant) => Err(ApiError::InvalidTenantId),
            tenant => Ok(Self { project: project.to_owned(), tenant }),
        }
    }
}

/// Whether `text` can be the id of a project or a tenant.
pub(crate) fn is_directory_id(text: &str) -> bool {
    (1..=DIRECTORY_ID_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

/// A user. Times that Identity Platform reports in milliseconds are kept in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) local_id: String,
    /// In lower case.
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    /// The address before the user changed it first.
    pub(crate) initial_email: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) photo_url: Option<String>,
    /// In E.164 form.
    pub(crate) phone_number: Option<String>,
    /// An argon2id PHC string.
    pub(crate) password_hash: Option<String>,
    pub(crate) password_updated_at: Option<UnixTime>,
    /// The custom claims, a serialised JSON object.
    pub(crate) custom_attributes: Option<String>,
    pub(crate) disabled: bool,
    /// Whether the user ever came with a custom token.
    pub(crate) custom_auth: bool,
    /// Sign-ins before this moment are revoked.
    pub(crate) valid_since: Option<UnixTime>,
    /// Refresh tokens of another epoch are revoked. It tells apart what happens within one second, and the account
    /// from a deleted one with the same id.
    pub(crate) refresh_epoch: i64,
    pub(crate) created_at: UnixTime,
    pub(crate) last_login_at: Option<UnixTime>,
    pub(crate) last_refresh_at: Option<UnixTime>,
}

impl Account {
    /// A new account without anything but an id, which is made up if none is given.
    pub(crate) fn new(local_id: Option<String>, now: UnixTime) -> Result<Self, ApiError> {
        Ok(Self {
            local_id: match local_id {
                Some(local_id) => checked::local_id(local_id)?,
                None => random_local_id()?,
            },
            email: None,
            email_verified: false,
            initial_email: None,
            display_name: None,
            photo_url: None,
            phone_number: None,
            password_hash: None,
            password_updated_at: None,
            custom_attributes: None,
            disabled: false,
            custom_auth: false,
            valid_since: None,
            refresh_epoch: random_epoch()?,
            created_at: now,
            last_login_at: None,
            last_refresh_at: None,
        })
    }

    /// Revokes every sign-in before `since`; from now on or later, also every refresh token there is.
    pub(crate) fn revoke(&mut self, since: UnixTime, now: UnixTime) -> Result<(), ApiError> {
        self.valid_since = Some(since);
        if since >= now {
            self.refresh_epoch = random_epoch()?;
        }
        Ok(())
    }

    /// Sets the password and revokes all sign-ins, as Identity Platform does.
    pub(crate) fn set_password_hash(&mut self, hash: String, now: UnixTime) -> Result<(), ApiError> {
        self.password_hash = Some(hash);
        self.password_updated_at = Some(now);
        self.revoke(now, now)
    }

    /// Removes the password, and what only counts with it.
    pub(crate) fn clear_password(&mut self) {
        self.password_hash = None;
        self.password_updated_at = None;
    }

    /// Removes the address, and what only counts with it.
    pub(crate) fn clear_email(&mut self) {
        self.email = None;
        self.email_verified = false;
    }

    /// Whether something that happened at `moment` was revoked later.
    pub(crate) fn revoked_since(&self, moment: UnixTime) -> bool {
        self.valid_since.is_some_and(|valid_since| moment < valid_since)
    }

    /// The custom claims as an object.
    pub(crate) fn custom_claims(&self) -> Map<String, Value> {
        self.custom_attributes.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The linked identities as Identity Toolkit lists them.
    pub(crate) fn provider_user_info(&self) -> Vec<Value> {
        let mut providers = Vec::new();
        if let (Some(email), Some(_)) = (&self.email, &self.password_hash) {
            let mut provider = json!({
                "providerId": "password", "email": email, "federatedId": email, "rawId": email,
            });
            set(&mut provider, "displayName", self.display_name.as_deref());
            set(&mut provider, "photoUrl", self.photo_url.as_deref());
            providers.push(provider);
        }
        if let Some(phone_number) = &self.phone_number {
            providers.push(json!({
                "providerId": "phone", "phoneNumber": phone_number, "rawId": phone_number,
            }));
        }
        providers
    }

    /// The account as `UserInfo` of Identity Toolkit, without the password hash.
    pub(crate) fn user_info(&self, directory: &Directory) -> Value {
        let mut user = json!({ "localId": &self.local_id });
        set(&mut user, "email", self.email.as_deref());
        set(&mut user, "displayName", self.display_name.as_deref());
        set(&mut user, "photoUrl", self.photo_url.as_deref());
        set(&mut user, "phoneNumber", self.phone_number.as_deref());
        if self.email.is_some() {
            user["emailVerified"] = self.email_verified.into();
        }
        set(&mut user, "initialEmail", self.initial_email.as_deref());
        if self.password_hash.is_some() {
            user["passwordHash"] = REDACTED.into();
        }
        if let Some(updated_at) = self.password_updated_at {
            user["passwordUpdatedAt"] = milliseconds(updated_at).into();
        }
        user["providerUserInfo"] = self.provider_user_info().into();
        if let Some(valid_since) = self.valid_since {
            user["validSince"] = valid_since.to_string().into();
        }
        user["disabled"] = self.disabled.into();
        user["createdAt"] = milliseconds(self.created_at).to_string().into();
        if let Some(last_login_at) = self.last_login_at {
            user["lastLoginAt"] = milliseconds(last_login_at).to_string().into();
        }
        set(&mut user, "lastRefreshAt", self.last_refresh_at.map(|at| at.date().to_string()).as_deref());
        if self.custom_auth {
            user["customAuth"] = true.into();
        }
        set(&mut user, "customAttributes", self.custom_attributes.as_deref());
        set(&mut user, "tenantId", directory.tenant.as_deref());
        user
    }
}

fn set(object: &mut Value, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object[name] = value.into();
    }
}

fn milliseconds(moment: UnixTime) -> i64 {
    moment.as_seconds().saturating_mul(1000)
}

/// `N` unpredictable bytes.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ApiError::internal("the system has no randomness"))?;
    Ok(bytes)
}

fn random_epoch() -> Result<i64, ApiError> {
    Ok(i64::from_be_bytes(random_bytes()?))
}

/// An id like Identity Platform's: letters and digits.
fn random_local_id() -> Result<String, ApiError> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut local_id = String::with_capacity(LOCAL_ID_GENERATED_CHARACTERS);
    while local_id.len() < LOCAL_ID_GENERATED_CHARACTERS {
        // Six bits at a time; the two values without a letter are thrown away, so that every letter is as likely.
        let accepted =
            random_bytes::<64>()?.into_iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 0x3F)));
        local_id.extend(
            accepted.take(LOCAL_ID_GENERATED_CHARACTERS - local_id.len()).map(|byte| char::from(*byte)),
        );
    }
    Ok(local_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LOCAL_ID_CHARACTERS_MAX;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    #[test]
    fn generated_ids_look_like_identity_platforms() {
        let account = Account::new(None, NOW).unwrap();
        assert_eq!(account.local_id.len(), LOCAL_ID_GENERATED_CHARACTERS);
        assert!(account.local_id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", account.local_id);
        let too_long = Some("x".repeat(LOCAL_ID_CHARACTERS_MAX + 1));
        assert_eq!(Account::new(too_long, NOW).unwrap_err(), ApiError::InvalidLocalId);
    }

    #[test]
    fn revoking_from_now_on_ends_the_epoch_and_revoking_the_past_does_not() {
        let mut account = Account::new(None, NOW).unwrap();
        let epoch = account.refresh_epoch;
        account.revoke(NOW.minus(std::time::Duration::from_secs(60)), NOW).unwrap();
        assert_eq!(account.refresh_epoch, epoch);
        account.revoke(NOW, NOW).unwrap();
        assert_ne!(account.refresh_epoch, epoch);
        assert!(account.revoked_since(UnixTime::from_seconds(NOW.as_seconds() - 1)));
        assert!(
            !account.revoked_since(NOW),
            "the very second of the revocation is allowed, as in the Admin SDKs"
        );
    }
}
