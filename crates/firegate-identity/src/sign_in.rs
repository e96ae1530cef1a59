//! How users come in: sign-up, password, custom token, refresh.

use aws_lc_rs::digest::{SHA256, digest};
use firegate_core::jose::encode_base64url;
use serde_json::{Map, Value, json};

use crate::accounts::{
    Account, AccountSelector, Directory, RefreshTokenRecord, StoreError, checked, random_bytes,
};
use crate::body::RequestBody;
use crate::custom_token::{self, CustomTokenProof};
use crate::error::ApiError;
use crate::limits::{ID_TOKEN_LIFETIME, REFRESH_TOKEN_BYTES, REFRESH_TOKEN_TEXT_BYTES_MAX};
use crate::service::Service;
use crate::tokens::{PROVIDER_ANONYMOUS, PROVIDER_CUSTOM, PROVIDER_PASSWORD, SignIn, TokenSigner, id_token};

/// Whether the caller is on this machine, so that an unproven custom token may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locality {
    ThisMachine,
    Elsewhere,
}

impl Service {
    /// `accounts:signUp`: a new user with address and password, or anonymous without both; or, with an ID token, an
    /// address and a password for a user who has none.
    pub(crate) fn sign_up(&self, body: &RequestBody, signer: &TokenSigner) -> Result<Value, ApiError> {
        if body.has("localId") {
            return Err(ApiError::UnexpectedParameter("User ID"));
        }
        let has_credentials = ["idToken", "email", "password"].iter().any(|name| body.has(name));
        let (directory, account, provider) = if has_credentials {
            let (directory, account) = self.sign_up_with_password(body, signer)?;
            (directory, account, PROVIDER_PASSWORD)
        } else {
            let directory = self.directory_of(body)?;
            let mut account = Account::new(None, self.now())?;
            account.last_login_at = Some(self.now());
            account.last_refresh_at = Some(self.now());
            self.store.insert(&directory, &account)?;
            (directory, account, PROVIDER_ANONYMOUS)
        };
        let mut response =
            json!({ "kind": "identitytoolkit#SignupNewUserResponse", "localId": &account.local_id });
        add_text(&mut response, "email", account.email.as_deref());
        add_text(&mut response, "displayName", account.display_name.as_deref());
        self.add_tokens(&mut response, &directory, &account, &self.sign_in_now(provider), signer)?;
        Ok(response)
    }

    fn sign_up_with_password(
        &self,
        body: &RequestBody,
        signer: &TokenSigner,
    ) -> Result<(Directory, Account), ApiError> {
        let email = body.nonempty_text("email")?.ok_or(ApiError::MissingEmail)?;
        let password = body.nonempty_text("password")?.ok_or(ApiError::MissingPassword)?;
        let email = checked::email(&email)?;
        let display_name = body.nonempty_text("displayName")?.map(checked::display_name).transpose()?;
        let user = if body.has("idToken") { Some(self.user_of(body, signer)?) } else { None };
        let directory = match &user {
            Some((token, _)) => token.directory.clone(),
            None => self.directory_of(body)?,
        };
        let own_id = user.as_ref().map(|(_, account)| account.local_id.as_str());
        // Said before the costly hash, and checked again when the account is written.
        if let Some(other) = self.find(&directory, AccountSelector::Email(&email))?
            && own_id != Some(other.local_id.as_str())
        {
            return Err(ApiError::EmailExists);
        }
        let (now, hash) = (self.now(), self.passwords.hash(&password)?);
        let change = |account: &mut Account| {
            account.email = Some(email.clone());
            account.email_verified = false;
            account.display_name = display_name.clone().or(account.display_name.take());
            account.last_login_at = Some(now);
            account.last_refresh_at = Some(now);
            account.set_password_hash(hash.clone(), now)
        };
        let account = if let Some(local_id) = own_id {
            self.store.modify(&directory, local_id, change)?
        } else {
            let mut account = Account::new(None, now)?;
            change(&mut account)?;
            self.store.insert(&directory, &account)?;
            account
        };
        Ok((directory, account))
    }

    /// `accounts:signInWithPassword`.
    pub(crate) fn sign_in_with_password(
        &self,
        body: &RequestBody,
        signer: &TokenSigner,
    ) -> Result<Value, ApiError> {
        let email = checked::email(&body.text("email")?.ok_or(ApiError::MissingEmail)?)?;
        let password = body.nonempty_text("password")?.ok_or(ApiError::MissingPassword)?;
        let directory = self.directory_of(body)?;
        let found = self.find(&directory, AccountSelector::Email(&email))?;
        let hash = found.as_ref().and_then(|account| account.password_hash.as_deref());
        let is_right = self.passwords.verify(&password, hash);
        let account = found.filter(|_| is_right).ok_or(ApiError::InvalidLoginCredentials)?;
        // Only whoever knows the password learns that the account is disabled.
        let account = self.record_login(&directory, &account.local_id)?;
        let mut response = json!({
            "kind": "identitytoolkit#VerifyPasswordResponse",
            "localId": &account.local_id,
            "email": email,
            "displayName": account.display_name.as_deref().unwrap_or(""),
            "registered": true,
        });
        self.add_tokens(&mut response, &directory, &account, &self.sign_in_now(PROVIDER_PASSWORD), signer)?;
        Ok(response)
    }

    /// `accounts:signInWithCustomToken`.
    pub(crate) fn sign_in_with_custom_token(
        &self,
        body: &RequestBody,
        signer: &TokenSigner,
        locality: Locality,
    ) -> Result<Value, ApiError> {
        let text = body.nonempty_text("token")?.ok_or(ApiError::MissingCustomToken)?;
        let directory = self.directory_of(body)?;
        let proof = match (&self.custom_token_keys, locality) {
            (Some(keys), _) => CustomTokenProof::Keys(keys),
            (None, Locality::ThisMachine) => CustomTokenProof::NotNeeded,
            (None, Locality::Elsewhere) => CustomTokenProof::Impossible,
        };
        let now = self.now();
        let token = custom_token::read(&text, directory.tenant.as_deref(), proof, now)?;
        let new = Account::new(Some(token.local_id.clone()), now)?;
        let is_new_user = match self.store.insert(&directory, &new) {
            Err(StoreError::DuplicateLocalId) => false,
            result => result.map(|()| true)?,
        };
        let account = self.store.modify(&directory, &token.local_id, |account| {
            account.custom_auth = true;
            log_in(account, now)
        })?;
        let sign_in = SignIn { session_claims: token.claims, ..self.sign_in_now(PROVIDER_CUSTOM) };
        let mut response =
            json!({ "kind": "identitytoolkit#VerifyCustomTokenResponse", "isNewUser": is_new_user });
        self.add_tokens(&mut response, &directory, &account, &sign_in, signer)?;
        Ok(response)
    }

    /// `securetoken.googleapis.com/v1/token`: a fresh ID token for a refresh token, whose user must still be welcome.
    pub(crate) fn refresh(&self, body: &RequestBody, signer: &TokenSigner) -> Result<Value, ApiError> {
        match body.nonempty_text("grantType")?.as_deref() {
            None => return Err(ApiError::MissingGrantType),
            Some("refresh_token") => {}
            Some(_) => return Err(ApiError::InvalidGrantType),
        }
        let refresh_token = body.nonempty_text("refreshToken")?.ok_or(ApiError::MissingRefreshToken)?;
        if refresh_token.len() > REFRESH_TOKEN_TEXT_BYTES_MAX {
            return Err(ApiError::InvalidRefreshToken);
        }
        let record = self
            .store
            .find_refresh_token(&sha256(&refresh_token))?
            .filter(|record| record.directory.project == self.project)
            .ok_or(ApiError::InvalidRefreshToken)?;
        let now = self.now();
        let account = self.store.modify(&record.directory, &record.local_id, |account| {
            if account.disabled {
                return Err(ApiError::UserDisabled);
            }
            if account.refresh_epoch != record.refresh_epoch || account.revoked_since(record.auth_time) {
                return Err(ApiError::TokenExpired);
            }
            account.last_refresh_at = Some(now);
            Ok(())
        })?;
        let sign_in = SignIn {
            provider: record.sign_in_provider,
            auth_time: record.auth_time,
            session_claims: serde_json::from_str(&record.session_claims).map_err(ApiError::internal)?,
        };
        let token = id_token(signer, &record.directory, &account, &sign_in, now)?;
        Ok(json!({
            "access_token": &token,
            "expires_in": ID_TOKEN_LIFETIME.as_secs().to_string(),
            "token_type": "Bearer",
            "refresh_token": refresh_token,
            "id_token": &token,
            "user_id": account.local_id,
            "project_id": self.project_number,
        }))
    }

    /// A sign-in that happens now.
    pub(crate) fn sign_in_now(&self, provider: &str) -> SignIn {
        SignIn { provider: provider.to_owned(), auth_time: self.now(), session_claims: Map::new() }
    }

    fn record_login(&self, directory: &Directory, local_id: &str) -> Result<Account, ApiError> {
        let now = self.now();
        Ok(self.store.modify(directory, local_id, |account| log_in(account, now))?)
    }

    /// Makes an ID token and a refresh token and adds them to `response`.
    fn add_tokens(
        &self,
        response: &mut Value,
        directory: &Directory,
        account: &Account,
        sign_in: &SignIn,
        signer: &TokenSigner,
    ) -> Result<(), ApiError> {
        let id_token = id_token(signer, directory, account, sign_in, self.now())?;
        self.add_session(response, directory, account, sign_in, id_token)
    }

    /// Makes the refresh token that goes with an ID token and adds both to `response`.
    pub(crate) fn add_session(
        &self,
        response: &mut Value,
        directory: &Directory,
        account: &Account,
        sign_in: &SignIn,
        id_token: String,
    ) -> Result<(), ApiError> {
        let refresh_token = encode_base64url(&random_bytes::<REFRESH_TOKEN_BYTES>()?);
        self.store.insert_refresh_token(&RefreshTokenRecord {
            token_sha256: sha256(&refresh_token),
            directory: directory.clone(),
            local_id: account.local_id.clone(),
            refresh_epoch: account.refresh_epoch,
            sign_in_provider: sign_in.provider.clone(),
            session_claims: Value::Object(sign_in.session_claims.clone()).to_string(),
            auth_time: sign_in.auth_time,
        })?;
        response["idToken"] = id_token.into();
        response["refreshToken"] = refresh_token.into();
        response["expiresIn"] = ID_TOKEN_LIFETIME.as_secs().to_string().into();
        Ok(())
    }
}

fn log_in(account: &mut Account, now: firegate_core::time::UnixTime) -> Result<(), ApiError> {
    if account.disabled {
        return Err(ApiError::UserDisabled);
    }
    account.last_login_at = Some(now);
    account.last_refresh_at = Some(now);
    Ok(())
}

/// Adds a member if there is a value for it.
pub(crate) fn add_text(response: &mut Value, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        response[name] = value.into();
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}
