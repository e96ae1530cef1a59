//! The server: what it is opened with, how it listens, and how a request finds its operation.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firegate_core::jose::KeySet;
use firegate_core::time::SharedClock;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode, request};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::accounts::{
    Account, AccountSelector, Directory, SqliteStore, StoreError, checked, is_directory_id,
};
use crate::body::RequestBody;
use crate::caller::Caller;
use crate::cors;
use crate::error::ApiError;
use crate::keys::{KeyError, KeySlot};
use crate::limits::{
    BODY_BYTES_MAX, BODY_TIMEOUT, OPERATIONS_CONCURRENT_MAX, PASSWORD_CHARACTERS_MIN, PUBLIC_KEYS_MAX_AGE,
};
use crate::passwords::PasswordHashing;
use crate::reply;
use crate::routes::{AdminOperation, ControlOperation, PublicDocument, Route, UserOperation};
use crate::service::Service;
use crate::tokens::{TokenSigner, TokenSigning, issuer};

const ACCOUNTS_FILE: &str = "identity.sqlite3";
const ID_TOKEN_KEY_FILE: &str = "id-token-key.pk8";
const SESSION_COOKIE_KEY_FILE: &str = "session-cookie-key.pk8";

/// What the server is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Firebase project's id, to which every API key belongs.
    pub project: String,
    /// The project's number, which the token endpoint and `getProjectConfig` give.
    pub project_number: String,
    /// How ID tokens and session cookies are signed.
    pub token_signing: TokenSigning,
    /// Where accounts and keys are kept. Without it nothing outlives the process.
    pub data_dir: Option<PathBuf>,
    /// What tells the time.
    pub clock: SharedClock,
    /// The public keys of the service accounts whose custom tokens count. Without them the signature of custom tokens
    /// is not checked, as in the reference emulator, and they are taken from this machine alone.
    pub custom_token_keys: Option<KeySet>,
}

impl Options {
    /// The defaults: signed tokens, nothing kept, custom tokens unchecked.
    pub fn new(project: impl Into<String>, clock: SharedClock) -> Self {
        Self {
            project: project.into(),
            project_number: "123456789012".to_owned(),
            token_signing: TokenSigning::Rs256,
            data_dir: None,
            clock,
            custom_token_keys: None,
        }
    }
}

/// Why the server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The project's id is none.
    #[error("{0:?} is no project id; use 1 to 128 letters, digits, hyphens, colons, dots or underscores")]
    Project(String),
    /// The data directory cannot be made.
    #[error("cannot make the data directory {0}: {1}; choose another one")]
    DataDirectory(PathBuf, std::io::Error),
    /// The accounts cannot be opened.
    #[error("cannot open the accounts: {0}")]
    Accounts(String),
    /// The signing keys cannot be read.
    #[error("{0}")]
    Keys(String),
    /// The system gives no randomness, or the runtime is going away.
    #[error("the system failed: {0}")]
    System(String),
}

/// An account that is to exist.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// The user id; one is made up without it.
    pub local_id: Option<String>,
    /// The e-mail address.
    pub email: String,
    /// The password, at least 6 characters.
    pub password: String,
    /// Whether the address counts as verified.
    pub email_verified: bool,
    /// The name that becomes the `name` claim.
    pub display_name: Option<String>,
    /// Custom claims as a serialised JSON object of at most 1000 characters.
    pub custom_attributes: Option<String>,
}

/// Why an account cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make the account: {0}")]
pub struct CreateAccountError(ApiError);

/// The server. Clones are handles of the same one.
#[derive(Clone)]
pub struct IdentityServer {
    inner: Arc<Inner>,
}

struct Inner {
    service: Service,
    token_signing: TokenSigning,
    id_token_key: Arc<KeySlot>,
    session_cookie_key: Arc<KeySlot>,
    /// Turns on the blocking pool.
    operations: Arc<Semaphore>,
    /// Turns to hash a password: one per core, because each takes a core and 19 MiB.
    password_hashes: Arc<Semaphore>,
}

impl std::fmt::Debug for IdentityServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("IdentityServer")
            .field("project", &self.inner.service.project)
            .field("token_signing", &self.inner.token_signing)
            .finish_non_exhaustive()
    }
}

impl IdentityServer {
    /// Opens the accounts and has the keys made in the background, the two of them at the same time.
    ///
    /// # Errors
    /// If the options are not usable or what is kept cannot be read.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        if !is_directory_id(&options.project) {
            return Err(OpenError::Project(options.project));
        }
        let data_dir = options.data_dir;
        let kept_at = data_dir.clone();
        let store = tokio::task::spawn_blocking(move || open_store(kept_at.as_deref()))
            .await
            .map_err(|error| OpenError::System(error.to_string()))??;
        let key_slot = |name: &str| {
            KeySlot::new(data_dir.as_ref().map(|directory| directory.join(name)), options.clock.clone())
        };
        let (id_token_key, session_cookie_key) =
            (key_slot(ID_TOKEN_KEY_FILE), key_slot(SESSION_COOKIE_KEY_FILE));
        if options.token_signing == TokenSigning::Rs256 {
            for slot in [&id_token_key, &session_cookie_key] {
                slot.warm_up().await.map_err(|error| OpenError::Keys(error.to_string()))?;
            }
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let service = Service {
            project: options.project,
            project_number: options.project_number,
            custom_token_keys: options.custom_token_keys,
            clock: options.clock,
            store: Box::new(store),
            passwords: PasswordHashing::new().map_err(|error| OpenError::System(error.to_string()))?,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                service,
                token_signing: options.token_signing,
                id_token_key,
                session_cookie_key,
                operations: Arc::new(Semaphore::new(OPERATIONS_CONCURRENT_MAX)),
                password_hashes: Arc::new(Semaphore::new(cores)),
            }),
        })
    }

    /// Serves HTTP/1.1 and HTTP/2 without TLS on `listener` until `shutdown`, then finishes what is under way.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new().fallback(respond).with_state(self);
        axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(shutdown)
            .await
    }

    /// Makes sure that the project has an account with this address, and gives its user id. An account that exists is
    /// left as it is.
    ///
    /// # Errors
    /// If a value is not acceptable, or the accounts cannot be written.
    pub async fn seed_account(&self, new: NewAccount) -> Result<String, CreateAccountError> {
        let work = move |service: &Service| seed(service, new);
        self.run(true, work).await.map_err(CreateAccountError)
    }

    /// Runs an operation on the blocking pool when it is its turn.
    async fn run<T: Send + 'static>(
        &self,
        hashes_password: bool,
        work: impl FnOnce(&Service) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let inner = Arc::clone(&self.inner);
        // In this order, so that a crowd at the hashing does not hold the turns of everyone else.
        let hashing = match hashes_password {
            true => {
                Some(Arc::clone(&inner.password_hashes).acquire_owned().await.map_err(ApiError::internal)?)
            }
            false => None,
        };
        let turn = Arc::clone(&inner.operations).acquire_owned().await.map_err(ApiError::internal)?;
        // The turns move along: a caller who hangs up does not stop the work, so its turn is not free either.
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&inner.service);
            drop((hashing, turn));
            result
        });
        task.await.map_err(ApiError::internal)?
    }

    async fn signer(&self, slot: &KeySlot) -> Result<TokenSigner, ApiError> {
        match self.inner.token_signing {
            TokenSigning::Rs256 => slot.get().await.map(TokenSigner::Rs256).map_err(ApiError::internal),
            TokenSigning::None => Ok(TokenSigner::Unsigned),
        }
    }

    async fn answer(&self, route: &Route, caller: &Caller, request: Request) -> Result<Response, ApiError> {
        let answer = match route {
            Route::Greeting => greeting(),
            Route::User(operation) => {
                caller.require_api_key()?;
                self.answer_user(*operation, caller, request).await?
            }
            Route::Admin { directory, operation } => {
                caller.require_administrator()?;
                self.answer_admin(*operation, directory.clone(), request).await?
            }
            Route::Public(document) => return self.answer_public(document, caller).await,
            Route::Control { directory, operation } => {
                caller.require_control()?;
                self.answer_control(*operation, directory.clone()).await?
            }
            Route::Unimplemented(operation) => return Err(ApiError::Unimplemented(operation.clone())),
            Route::NotFound => return Err(ApiError::NotFound),
        };
        Ok(reply::json(StatusCode::OK, &answer))
    }

    async fn answer_user(
        &self,
        operation: UserOperation,
        caller: &Caller,
        request: Request,
    ) -> Result<Value, ApiError> {
        let work: fn(&Service, &RequestBody, &TokenSigner) -> Result<Value, ApiError> = match operation {
            UserOperation::SignUp => Service::sign_up,
            UserOperation::SignInWithPassword => Service::sign_in_with_password,
            UserOperation::Lookup => Service::lookup_own,
            UserOperation::Update => Service::update_own,
            UserOperation::Delete => Service::delete_own,
            UserOperation::Token => Service::refresh,
            UserOperation::SignInWithCustomToken => {
                let (body, locality) = (read_body(request).await?, caller.locality());
                let signer = self.signer(&self.inner.id_token_key).await?;
                let work =
                    move |service: &Service| service.sign_in_with_custom_token(&body, &signer, locality);
                return self.run(false, work).await;
            }
            UserOperation::ProjectConfig => return Ok(self.project_config()),
            UserOperation::RecaptchaParams => return Ok(recaptcha_params()),
            UserOperation::RecaptchaConfig => return Ok(recaptcha_config()),
            UserOperation::PasswordPolicy => return Ok(password_policy()),
        };
        let body = read_body(request).await?;
        let signer = self.signer(&self.inner.id_token_key).await?;
        self.run(body.has("password"), move |service| work(service, &body, &signer)).await
    }

    async fn answer_admin(
        &self,
        operation: AdminOperation,
        directory: Directory,
        request: Request,
    ) -> Result<Value, ApiError> {
        let work: fn(&Service, &Directory, &RequestBody) -> Result<Value, ApiError> = match operation {
            AdminOperation::Create => Service::create,
            AdminOperation::Lookup => Service::lookup,
            AdminOperation::Update => Service::update,
            AdminOperation::Delete => Service::delete,
            AdminOperation::BatchDelete => Service::batch_delete,
            AdminOperation::BatchGet => {
                let query = RequestBody::from_form(request.uri().query().unwrap_or("").as_bytes());
                return self.run(false, move |service| service.batch_get(&directory, &query)).await;
            }
            AdminOperation::CreateSessionCookie => {
                let body = read_body(request).await?;
                let id_token_signer = self.signer(&self.inner.id_token_key).await?;
                let cookie_signer = self.signer(&self.inner.session_cookie_key).await?;
                let work = move |service: &Service| {
                    service.create_session_cookie(&directory, &body, &id_token_signer, &cookie_signer)
                };
                return self.run(false, work).await;
            }
        };
        let body = read_body(request).await?;
        self.run(body.has("password"), move |service| work(service, &directory, &body)).await
    }

    async fn answer_public(&self, document: &PublicDocument, caller: &Caller) -> Result<Response, ApiError> {
        let key = |slot: Arc<KeySlot>| async move { slot.get().await.map_err(ApiError::internal) };
        let (id_token_key, cookie_key) = (&self.inner.id_token_key, &self.inner.session_cookie_key);
        let body = match document {
            PublicDocument::IdTokenJwkSet => key(id_token_key.clone()).await?.jwk_set().to_owned(),
            PublicDocument::IdTokenCertificates => key(id_token_key.clone()).await?.certificates().to_owned(),
            PublicDocument::SessionCookieJwkSet => key(cookie_key.clone()).await?.jwk_set().to_owned(),
            PublicDocument::SessionCookieCertificates => {
                key(cookie_key.clone()).await?.certificates().to_owned()
            }
            PublicDocument::Discovery { project } => self.discovery(project, caller).to_string(),
        };
        Ok(reply::public_document(PUBLIC_KEYS_MAX_AGE.as_secs(), body))
    }

    async fn answer_control(
        &self,
        operation: ControlOperation,
        directory: Directory,
    ) -> Result<Value, ApiError> {
        match operation {
            ControlOperation::DeleteAccounts => {
                self.run(false, move |service| Ok(service.store.delete_all(&directory)?)).await?;
                Ok(json!({}))
            }
            ControlOperation::ProjectConfig => Ok(json!({
                "signIn": { "allowDuplicateEmails": false },
                "emailPrivacyConfig": { "enableImprovedEmailPrivacy": true },
            })),
        }
    }

    /// OpenID Connect discovery. The keys are at this server, under whatever name the caller knows it by.
    fn discovery(&self, project: &str, caller: &Caller) -> Value {
        let authority = caller.authority.as_deref().unwrap_or("www.googleapis.com");
        let algorithm = match self.inner.token_signing {
            TokenSigning::Rs256 => "RS256",
            TokenSigning::None => "none",
        };
        json!({
            "issuer": issuer(project),
            "jwks_uri": format!(
                "http://{authority}/www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
            ),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [algorithm],
        })
    }

    fn project_config(&self) -> Value {
        json!({
            "projectId": self.inner.service.project_number,
            "authorizedDomains": ["localhost", "127.0.0.1"],
        })
    }
}

async fn respond(
    State(server): State<IdentityServer>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let caller = Caller::of(peer, &parts);
    let preflight_method = cors::preflight_method(&parts);
    let method = preflight_method.as_ref().unwrap_or(&parts.method);
    let route = Route::find(method, caller.host.as_deref(), parts.uri.path());
    if preflight_method.is_some() {
        return cors::preflight(&route, &caller, &parts.headers);
    }
    log_request(&parts, &route);
    let answer = server.answer(&route, &caller, Request::from_parts(parts, body)).await;
    cors::admit(answer.unwrap_or_else(IntoResponse::into_response), &route, &caller)
}

fn log_request(request: &request::Parts, route: &Route) {
    tracing::debug!(method = %request.method, path = request.uri.path(), ?route, "request");
}

async fn read_body(request: Request) -> Result<RequestBody, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = read_bytes(&parts.headers, body).await?;
    let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(is_form);
    if is_form { Ok(RequestBody::from_form(&bytes)) } else { RequestBody::from_json(&bytes) }
}

fn is_form(content_type: &HeaderValue) -> bool {
    let media_type = content_type.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

async fn read_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(ApiError::BodyTooLarge);
    }
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await {
        Err(_) => Err(ApiError::BodyTimeout),
        Ok(Err(_)) if announced.is_none() => Err(ApiError::BodyTooLarge),
        Ok(Err(error)) => Err(ApiError::InvalidArgument(error.to_string())),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

fn open_store(data_dir: Option<&Path>) -> Result<SqliteStore, OpenError> {
    if let Some(directory) = data_dir {
        std::fs::create_dir_all(directory)
            .map_err(|error| OpenError::DataDirectory(directory.to_owned(), error))?;
    }
    let file = data_dir.map(|directory| directory.join(ACCOUNTS_FILE));
    SqliteStore::open(file.as_deref()).map_err(|error| OpenError::Accounts(error.to_string()))
}

fn seed(service: &Service, new: NewAccount) -> Result<String, ApiError> {
    let directory = Directory::of_project(&service.project);
    let email = checked::email(&new.email)?;
    let existing = |service: &Service| service.find(&directory, AccountSelector::Email(&email));
    if let Some(account) = existing(service)? {
        return Ok(account.local_id);
    }
    let mut account = Account::new(new.local_id, service.now())?;
    account.email = Some(email.clone());
    account.email_verified = new.email_verified;
    account.display_name = new.display_name.map(checked::display_name).transpose()?;
    account.custom_attributes = new.custom_attributes.map(checked::custom_attributes).transpose()?;
    account.set_password_hash(service.passwords.hash(&new.password)?, service.now())?;
    match service.store.insert(&directory, &account) {
        // Someone else was faster.
        Err(StoreError::DuplicateEmail) => {
            existing(service)?.map(|account| account.local_id).ok_or(ApiError::EmailExists)
        }
        result => Ok(result.map(|()| account.local_id)?),
    }
}

fn greeting() -> Value {
    json!({
        "authEmulator": {
            "ready": true,
            "docs": "https://firebase.google.com/docs/emulator-suite",
            "apiSpec": "https://cloud.google.com/identity-platform/docs/reference/rest",
        },
    })
}

fn recaptcha_params() -> Value {
    json!({
        "kind": "identitytoolkit#GetRecaptchaParamResponse",
        "recaptchaStoken": "There-is-no-reCAPTCHA-at-a-local-server",
        "recaptchaSiteKey": "There-is-no-reCAPTCHA-at-a-local-server",
    })
}

fn recaptcha_config() -> Value {
    let off = |provider| json!({ "provider": provider, "enforcementState": "OFF" });
    json!({ "recaptchaEnforcementState": [off("EMAIL_PASSWORD_PROVIDER"), off("PHONE_PROVIDER")] })
}

fn password_policy() -> Value {
    json!({
        "customStrengthOptions": { "minPasswordLength": PASSWORD_CHARACTERS_MIN },
        "schemaVersion": 1,
        "allowedNonAlphanumericCharacters": [],
        "enforcementState": "OFF",
        "forceUpgradeOnSignin": false,
    })
}

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error.to_string())
    }
}
