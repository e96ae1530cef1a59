//! The server: how it is opened, how it listens, and how its work takes turns. [`options`] are what it is opened with, and
//! [`operations`] what it answers.

mod operations;
mod options;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use options::{CreateAccountError, NewAccount, OpenError, Options, ReadAccountError};

use crate::accounts::{
    Account, AccountSelector, AccountStore, Directory, StoreError, checked, is_directory_id,
};
use crate::error::ApiError;
use crate::keys::KeySlot;
use crate::limits::OPERATIONS_CONCURRENT_MAX;
use crate::listening;
use crate::passwords::PasswordHashing;
use crate::service::Service;
use crate::tokens::TokenSigning;

const ACCOUNTS_FILE: &str = "identity.sqlite3";
const ID_TOKEN_KEY_FILE: &str = "id-token-key.pk8";
const SESSION_COOKIE_KEY_FILE: &str = "session-cookie-key.pk8";

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
            store,
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
        let router = Router::new().fallback(operations::respond).with_state(self);
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
}

fn open_store(data_dir: Option<&Path>) -> Result<AccountStore, OpenError> {
    if let Some(directory) = data_dir {
        make_private_directory(directory)
            .map_err(|error| OpenError::DataDirectory(directory.to_owned(), error))?;
    }
    let file = data_dir.map(|directory| directory.join(ACCOUNTS_FILE));
    AccountStore::open(file.as_deref()).map_err(|error| {
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
