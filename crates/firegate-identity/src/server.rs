//! The server: what it is opened with, how it listens, and how a request finds its operation.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use firegate_core::jose::KeySet;
use firegate_core::time::SharedClock;
use http::{StatusCode, request};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::accounts::{
    Account, AccountSelector, Directory, SqliteStore, StoreError, checked, is_directory_id,
};
use crate::body::RequestBody;
use crate::caller::Caller;
use crate::cors;
use crate::documents;
use crate::error::ApiError;
use crate::keys::{KeyError, KeySlot};
use crate::limits::{OPERATIONS_CONCURRENT_MAX, PUBLIC_KEYS_MAX_AGE};
use crate::listening;
use crate::passwords::PasswordHashing;
use crate::reply;
use crate::routes::{AdminOperation, ControlOperation, PublicDocument, Route, UserOperation};
use crate::service::Service;
use crate::tokens::{TokenSigner, TokenSigning};

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
    #[error("cannot open the accounts in {0}: {1}\nhint: remove the file to begin without accounts")]
    Accounts(PathBuf, String),
    /// The signing keys cannot be read.
    #[error("{0}")]
    Keys(String),
    /// The system gives no randomness, or the runtime is going away.
    #[error("the system failed: {0}")]
    System(String),
}

/// An account that is to exist.
#[derive(Clone, Default)]
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

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Why an account cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make the account: {0}")]
pub struct CreateAccountError(ApiError);

/// Why an account cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the account: {0}")]
pub struct ReadAccountError(ApiError);

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
    /// Whether it was said that another project's accounts are asked for.
    other_project_told: AtomicBool,
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
            tokio::try_join!(id_token_key.warm_up(), session_cookie_key.warm_up())?;
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
                other_project_told: AtomicBool::new(false),
                operations: Arc::new(Semaphore::new(OPERATIONS_CONCURRENT_MAX)),
                password_hashes: Arc::new(Semaphore::new(cores)),
            }),
        })
    }

    /// Waits until the keys are made.
    ///
    /// # Errors
    /// If one cannot be made.
    pub async fn keys_made(&self) -> Result<(), OpenError> {
        if self.inner.token_signing == TokenSigning::Rs256 {
            tokio::try_join!(self.inner.id_token_key.get(), self.inner.session_cookie_key.get())?;
        }
        Ok(())
    }

    /// Serves HTTP/1.1 and HTTP/2 without TLS on `listener` until `shutdown`, then finishes what is under way, and not much
    /// longer.
    ///
    /// # Errors
    /// If the listener has no address, or if tokens are unsigned and the listener is not at a loopback address.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> std::io::Result<()> {
        if self.inner.token_signing == TokenSigning::None && !listener.local_addr()?.ip().is_loopback() {
            let message =
                "unsigned tokens are served at loopback addresses alone; sign them or listen on 127.0.0.1";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let router = Router::new().fallback(respond).with_state(self);
        listening::serve(listener, router, shutdown).await;
        Ok(())
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

    /// Whether a user of the project signs in with this address and password: the account is there, has this password, and is
    /// not disabled. No sign-in is noted.
    ///
    /// # Errors
    /// If the accounts cannot be read.
    pub async fn signs_in(&self, email: &str, password: &str) -> Result<bool, ReadAccountError> {
        let (email, password) = (email.to_owned(), password.to_owned());
        let work = move |service: &Service| {
            let directory = Directory::of_project(&service.project);
            let found = service.find(&directory, AccountSelector::Email(&checked::email(&email)?))?;
            let account = found.filter(|account| !account.disabled);
            let hash = account.as_ref().and_then(|account| account.password_hash.as_deref());
            Ok(service.passwords.verify(&password, hash))
        };
        self.run(true, work).await.map_err(ReadAccountError)
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
            Route::Greeting => documents::greeting(),
            Route::User(operation) => {
                caller.require_api_key()?;
                self.answer_user(*operation, caller, request).await?
            }
            Route::Admin { directory, operation } => {
                caller.require_administrator()?;
                self.warn_of_other_project(directory);
                self.answer_admin(*operation, directory.clone(), request).await?
            }
            Route::Public(document) => return self.answer_public(document, caller).await,
            Route::Control { directory, operation } => {
                caller.require_control()?;
                self.warn_of_other_project(directory);
                self.answer_control(*operation, directory.clone()).await?
            }
            Route::Unimplemented(operation) => return Err(ApiError::Unimplemented(operation.clone())),
            Route::NotFound => return Err(ApiError::NotFound),
        };
        Ok(reply::json(StatusCode::OK, &answer))
    }

    /// Every project has accounts of its own, as in the reference emulator, and end users' calls name none: whoever makes users
    /// for another one looks for them in vain. Real tools do so on purpose, so that it is no error.
    fn warn_of_other_project(&self, directory: &Directory) {
        let (other, own) = (&directory.project, &self.inner.service.project);
        if other != own && !self.inner.other_project_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "an administrator asks for accounts of the project {other:?}, and users sign in to {own:?}: they will not find each other\n\
                 hint: give the Admin SDK `projectId: {own:?}`, or set GOOGLE_CLOUD_PROJECT={own} for it"
            );
        }
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
                let (body, locality) = (RequestBody::read(request).await?, caller.locality());
                let signer = self.signer(&self.inner.id_token_key).await?;
                let work =
                    move |service: &Service| service.sign_in_with_custom_token(&body, &signer, locality);
                return self.run(false, work).await;
            }
            UserOperation::ProjectConfig => {
                return Ok(documents::project_config(&self.inner.service.project_number));
            }
            UserOperation::RecaptchaParams => return Ok(documents::recaptcha_params()),
            UserOperation::RecaptchaConfig => return Ok(documents::recaptcha_config()),
            UserOperation::PasswordPolicy => return Ok(documents::password_policy()),
        };
        let body = RequestBody::read(request).await?;
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
                let body = RequestBody::read(request).await?;
                let id_token_signer = self.signer(&self.inner.id_token_key).await?;
                let cookie_signer = self.signer(&self.inner.session_cookie_key).await?;
                let work = move |service: &Service| {
                    service.create_session_cookie(&directory, &body, &id_token_signer, &cookie_signer)
                };
                return self.run(false, work).await;
            }
        };
        let body = RequestBody::read(request).await?;
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
            PublicDocument::Discovery { project } => {
                documents::discovery(project, caller.own_authority(), self.inner.token_signing).to_string()
            }
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
            ControlOperation::ProjectConfig => Ok(documents::emulator_config()),
        }
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

fn open_store(data_dir: Option<&Path>) -> Result<SqliteStore, OpenError> {
    if let Some(directory) = data_dir {
        make_private_directory(directory)
            .map_err(|error| OpenError::DataDirectory(directory.to_owned(), error))?;
    }
    let file = data_dir.map(|directory| directory.join(ACCOUNTS_FILE));
    SqliteStore::open(file.as_deref()).map_err(|error| {
        OpenError::Accounts(file.unwrap_or_else(|| PathBuf::from(":memory:")), error.to_string())
    })
}

/// Makes a directory that only its owner may enter. One that exists keeps its mode.
fn make_private_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
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

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error.to_string())
    }
}
