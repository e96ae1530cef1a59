//! Reading, changing and deleting one account: by its user with an ID token, or by an administrator.

use firegate_core::time::UnixTime;
use serde_json::{Value, json};

use crate::accounts::{Account, AccountSelector, Directory, checked};
use crate::body::RequestBody;
use crate::error::ApiError;
use crate::limits::LOOKUP_IDENTIFIERS_MAX;
use crate::service::Service;
use crate::sign_in::add_text;
use crate::tokens::{PROVIDER_ANONYMOUS, PROVIDER_PASSWORD, TokenSigner, replacing_id_token};

/// Fields of `accounts:update` that would need a part of Identity Platform which this server does not have.
const UNIMPLEMENTED_FIELDS: [&str; 4] =
    ["oobCode", "linkProviderUserInfo", "provider", "upgradeToFederatedLogin"];

/// A field that is left as it is, removed, or set.
#[derive(Clone, Debug, Default)]
enum FieldChange<T> {
    #[default]
    Keep,
    Remove,
    Set(T),
}

impl<T: Clone> FieldChange<T> {
    fn apply(&self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Remove => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}

/// What `accounts:update` asks for, checked.
#[derive(Clone, Debug, Default)]
struct AccountChange {
    email: Option<String>,
    password_hash: Option<String>,
    display_name: FieldChange<String>,
    photo_url: FieldChange<String>,
    phone_number: FieldChange<String>,
    remove_email: bool,
    remove_password: bool,
    email_verified: Option<bool>,
    disabled: Option<bool>,
    custom_attributes: Option<String>,
    valid_since: Option<UnixTime>,
    created_at: Option<UnixTime>,
    last_login_at: Option<UnixTime>,
}

impl AccountChange {
    /// Whether the change ends all sign-ins there are.
    fn replaces_credentials(&self, account: &Account) -> bool {
        self.password_hash.is_some() || self.email.is_some() && self.email != account.email
    }

    fn apply(&self, account: &mut Account, provider: &str, now: UnixTime) -> Result<(), ApiError> {
        if let Some(email) = self.email.as_ref().filter(|email| account.email.as_ref() != Some(email)) {
            if provider != PROVIDER_ANONYMOUS && account.initial_email.is_none() {
                account.initial_email = account.email.take();
            }
            account.email = Some(email.clone());
            account.email_verified = false;
            account.revoke(now, now)?;
        }
        if let Some(hash) = &self.password_hash {
            account.set_password_hash(hash.clone(), now)?;
        }
        self.display_name.apply(&mut account.display_name);
        self.photo_url.apply(&mut account.photo_url);
        self.phone_number.apply(&mut account.phone_number);
        account.email_verified = self.email_verified.unwrap_or(account.email_verified);
        account.disabled = self.disabled.unwrap_or(account.disabled);
        account.created_at = self.created_at.unwrap_or(account.created_at);
        account.last_login_at = self.last_login_at.or(account.last_login_at);
        if let Some(attributes) = &self.custom_attributes {
            account.custom_attributes = Some(attributes.clone());
        }
        if let Some(valid_since) = self.valid_since {
            account.revoke(valid_since, now)?;
        }
        if self.remove_email {
            account.clear_email();
        }
        if self.remove_password {
            account.clear_password();
        }
        Ok(())
    }
}

impl Service {
    /// `accounts:lookup` by a user: the own account.
    pub(crate) fn lookup_own(&self, body: &RequestBody, signer: &TokenSigner) -> Result<Value, ApiError> {
        let (token, account) = self.user_of(body, signer)?;
        Ok(json!({
            "kind": "identitytoolkit#GetAccountInfoResponse",
            "users": [account.user_info(&token.directory)],
        }))
    }

    /// `accounts:update` by a user. New credentials end all other sign-ins, so the answer brings new tokens.
    pub(crate) fn update_own(&self, body: &RequestBody, signer: &TokenSigner) -> Result<Value, ApiError> {
        refuse_unimplemented(body)?;
        if body.has("customAttributes") {
            return Err(ApiError::InsufficientPermission);
        }
        if body.has("disableUser") {
            return Err(ApiError::OperationNotAllowed);
        }
        let (token, before) = self.user_of(body, signer)?;
        let change = self.read_own_change(body)?;
        let now = self.now();
        let account = self.store.modify(&token.directory, &token.local_id, |account| {
            change.apply(account, &token.sign_in_provider, now)
        })?;
        let mut response = updated(&account, &change);
        if change.replaces_credentials(&before) {
            let has_new_password = change.password_hash.is_some();
            let provider = if has_new_password { PROVIDER_PASSWORD } else { &token.sign_in_provider };
            let sign_in = self.sign_in_now(provider);
            let replaced = body.text("idToken")?.unwrap_or_default();
            let id_token = replacing_id_token(signer, &token.directory, &account, &sign_in, now, &replaced)?;
            self.add_session(&mut response, &token.directory, &account, &sign_in, id_token)?;
        }
        Ok(response)
    }

    /// `accounts:delete` by a user: the own account.
    pub(crate) fn delete_own(&self, body: &RequestBody, signer: &TokenSigner) -> Result<Value, ApiError> {
        let (token, _) = self.user_of(body, signer)?;
        self.store.delete(&token.directory, &token.local_id)?;
        Ok(json!({ "kind": "identitytoolkit#DeleteAccountResponse" }))
    }

    /// `projects.accounts` (create) by an administrator.
    pub(crate) fn create(&self, directory: &Directory, body: &RequestBody) -> Result<Value, ApiError> {
        if body.has("idToken") {
            return Err(ApiError::UnexpectedParameter("ID token"));
        }
        if body.has_elements("mfaInfo") {
            return Err(ApiError::Unimplemented("Creating a user with second factors".to_owned()));
        }
        let mut account = Account::new(body.nonempty_text("localId")?, self.now())?;
        if self.find(directory, AccountSelector::LocalId(&account.local_id))?.is_some() {
            return Err(ApiError::DuplicateLocalId);
        }
        let mut change = self.read_own_change(body)?;
        if let FieldChange::Keep = change.phone_number {
            change.phone_number = set_if_some(body.nonempty_text("phoneNumber")?, checked::phone_number)?;
        }
        change.email_verified = body.flag("emailVerified")?;
        change.disabled = body.flag("disabled")?;
        change.apply(&mut account, PROVIDER_ANONYMOUS, self.now())?;
        self.store.insert(directory, &account)?;
        let mut response =
            json!({ "kind": "identitytoolkit#SignupNewUserResponse", "localId": &account.local_id });
        add_text(&mut response, "email", account.email.as_deref());
        add_text(&mut response, "displayName", account.display_name.as_deref());
        Ok(response)
    }

    /// `projects.accounts.lookup` by an administrator: every account that one of the identifiers names.
    pub(crate) fn lookup(&self, directory: &Directory, body: &RequestBody) -> Result<Value, ApiError> {
        if body.has("initialEmail") {
            return Err(ApiError::Unimplemented("Looking up by initialEmail".to_owned()));
        }
        let mut found: Vec<Account> = Vec::new();
        let mut take = |selector: AccountSelector<'_>| -> Result<(), ApiError> {
            if let Some(account) = self.find(directory, selector)?
                && found.iter().all(|other| other.local_id != account.local_id)
            {
                found.push(account);
            }
            Ok(())
        };
        for local_id in bounded(body.texts("localId")?)? {
            take(AccountSelector::LocalId(&local_id))?;
        }
        for email in bounded(body.texts("email")?)? {
            take(AccountSelector::Email(&email.to_lowercase()))?;
        }
        for phone_number in bounded(body.texts("phoneNumber")?)? {
            take(AccountSelector::PhoneNumber(&phone_number))?;
        }
        let mut response = json!({ "kind": "identitytoolkit#GetAccountInfoResponse" });
        // The Admin SDK takes a missing list, not an empty one, for "no such user".
        if !found.is_empty() {
            response["users"] = found.iter().map(|account| account.user_info(directory)).collect();
        }
        Ok(response)
    }

    /// `projects.accounts.update` by an administrator.
    pub(crate) fn update(&self, directory: &Directory, body: &RequestBody) -> Result<Value, ApiError> {
        refuse_unimplemented(body)?;
        let local_id = body.nonempty_text("localId")?.ok_or(ApiError::MissingLocalId)?;
        let mut change = self.read_own_change(body)?;
        if let FieldChange::Keep = change.phone_number {
            change.phone_number = set_if_some(body.nonempty_text("phoneNumber")?, checked::phone_number)?;
        }
        change.email_verified = body.flag("emailVerified")?;
        change.disabled = body.flag("disableUser")?;
        change.custom_attributes =
            body.text("customAttributes")?.map(checked::custom_attributes).transpose()?;
        change.valid_since = body.integer("validSince")?.map(UnixTime::from_seconds);
        change.created_at = body.integer("createdAt")?.map(from_milliseconds);
        change.last_login_at = body.integer("lastLoginAt")?.map(from_milliseconds);
        let now = self.now();
        let account = self
            .store
            .modify(directory, &local_id, |account| change.apply(account, PROVIDER_PASSWORD, now))?;
        Ok(updated(&account, &change))
    }

    /// `projects.accounts.delete` by an administrator.
    pub(crate) fn delete(&self, directory: &Directory, body: &RequestBody) -> Result<Value, ApiError> {
        let local_id = body.nonempty_text("localId")?.ok_or(ApiError::MissingLocalId)?;
        self.store.delete(directory, &local_id)?;
        Ok(json!({ "kind": "identitytoolkit#DeleteAccountResponse" }))
    }

    /// The part of a change that users may make to their own account.
    fn read_own_change(&self, body: &RequestBody) -> Result<AccountChange, ApiError> {
        let mut change = AccountChange {
            email: body.nonempty_text("email")?.as_deref().map(checked::email).transpose()?,
            display_name: set_or_remove(body.text("displayName")?, checked::display_name)?,
            photo_url: set_or_remove(body.text("photoUrl")?, checked::photo_url)?,
            ..AccountChange::default()
        };
        for attribute in body.texts("deleteAttribute")? {
            match attribute.as_str() {
                "USER_ATTRIBUTE_NAME_UNSPECIFIED" => {}
                "DISPLAY_NAME" => change.display_name = FieldChange::Remove,
                "PHOTO_URL" => change.photo_url = FieldChange::Remove,
                "PASSWORD" => change.remove_password = true,
                "EMAIL" => change.remove_email = true,
                _ => return Err(ApiError::Unimplemented(format!("deleteAttribute {attribute}"))),
            }
        }
        for provider in body.texts("deleteProvider")? {
            match provider.as_str() {
                "password" => (change.remove_email, change.remove_password) = (true, true),
                "phone" => change.phone_number = FieldChange::Remove,
                // No account is linked with another provider, so there is nothing to remove.
                _ => {}
            }
        }
        // Last, because it is costly.
        let password = body.nonempty_text("password")?;
        change.password_hash = password.map(|password| self.passwords.hash(&password)).transpose()?;
        Ok(change)
    }
}

fn refuse_unimplemented(body: &RequestBody) -> Result<(), ApiError> {
    if let Some(field) = UNIMPLEMENTED_FIELDS.iter().find(|field| body.has(field)) {
        return Err(ApiError::Unimplemented(format!("accounts:update with {field}")));
    }
    let enrollments = body.object("mfa")?.get("enrollments").and_then(Value::as_array).map_or(0, Vec::len);
    if enrollments > 0 {
        return Err(ApiError::Unimplemented("accounts:update with second factors".to_owned()));
    }
    Ok(())
}

fn updated(account: &Account, change: &AccountChange) -> Value {
    let mut response = json!({
        "kind": "identitytoolkit#SetAccountInfoResponse",
        "localId": &account.local_id,
        "providerUserInfo": account.provider_user_info(),
    });
    add_text(&mut response, "email", account.email.as_deref());
    add_text(&mut response, "displayName", account.display_name.as_deref());
    add_text(&mut response, "photoUrl", account.photo_url.as_deref());
    add_text(&mut response, "newEmail", change.email.as_deref());
    if account.email.is_some() {
        response["emailVerified"] = account.email_verified.into();
    }
    response
}

fn set_if_some(
    value: Option<String>,
    check: fn(String) -> Result<String, ApiError>,
) -> Result<FieldChange<String>, ApiError> {
    value.map_or(Ok(FieldChange::Keep), |value| check(value).map(FieldChange::Set))
}

/// An empty text removes the field: a claim without content helps no one.
fn set_or_remove(
    value: Option<String>,
    check: fn(String) -> Result<String, ApiError>,
) -> Result<FieldChange<String>, ApiError> {
    match value {
        Some(value) if value.is_empty() => Ok(FieldChange::Remove),
        value => set_if_some(value, check),
    }
}

fn from_milliseconds(milliseconds: i64) -> UnixTime {
    UnixTime::from_seconds(milliseconds.div_euclid(1000))
}

fn bounded(identifiers: Vec<String>) -> Result<Vec<String>, ApiError> {
    if identifiers.len() > LOOKUP_IDENTIFIERS_MAX {
        return Err(ApiError::LocalIdListExceedsLimit);
    }
    Ok(identifiers)
}
