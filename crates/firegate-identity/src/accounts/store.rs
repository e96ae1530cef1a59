//! The one door to where accounts are kept: SQLite, by a file in WAL mode that outlives the process and that anyone can open,
//! or in memory alone. It blocks; callers are on the blocking pool.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firegate_core::time::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};

use super::account::{Account, Directory};
use crate::error::ApiError;
use crate::limits::{ACCOUNTS_MAX, REFRESH_TOKENS_MAX, REFRESH_TOKENS_PER_ACCOUNT_MAX};

/// The version of the tables below, kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;

/// How long to wait for another process that has the file open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The project's own directory has the empty tenant, because SQL's NULL is never equal to itself.
const SCHEMA: &str = "
    CREATE TABLE accounts (
        project TEXT NOT NULL,
        tenant TEXT NOT NULL,
        local_id TEXT NOT NULL,
        email TEXT,
        email_verified INTEGER NOT NULL,
        initial_email TEXT,
        display_name TEXT,
        photo_url TEXT,
        phone_number TEXT,
        password_hash TEXT,
        password_updated_at INTEGER,
        custom_attributes TEXT,
        disabled INTEGER NOT NULL,
        custom_auth INTEGER NOT NULL,
        valid_since INTEGER,
        refresh_epoch INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        last_login_at INTEGER,
        last_refresh_at INTEGER,
        PRIMARY KEY (project, tenant, local_id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX accounts_by_email ON accounts (project, tenant, email);
    CREATE UNIQUE INDEX accounts_by_phone_number ON accounts (project, tenant, phone_number);
    CREATE TABLE refresh_tokens (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        token_sha256 BLOB NOT NULL UNIQUE,
        project TEXT NOT NULL,
        tenant TEXT NOT NULL,
        local_id TEXT NOT NULL,
        refresh_epoch INTEGER NOT NULL,
        sign_in_provider TEXT NOT NULL,
        session_claims TEXT NOT NULL,
        auth_time INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX refresh_tokens_by_account ON refresh_tokens (project, tenant, local_id, number);
";

const UPSERT: &str = "
    INSERT OR REPLACE INTO accounts VALUES (
        :project, :tenant, :local_id, :email, :email_verified, :initial_email, :display_name, :photo_url,
        :phone_number, :password_hash, :password_updated_at, :custom_attributes, :disabled, :custom_auth,
        :valid_since, :refresh_epoch, :created_at, :last_login_at, :last_refresh_at)
";

/// How an account is looked for within a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AccountSelector<'a> {
    LocalId(&'a str),
    /// An address in lower case.
    Email(&'a str),
    PhoneNumber(&'a str),
}

/// A sign-in that can be refreshed. Of the token itself only the SHA-256 is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RefreshTokenRecord {
    pub(crate) token_sha256: [u8; 32],
    pub(crate) directory: Directory,
    pub(crate) local_id: String,
    /// The account's epoch when the token was made.
    pub(crate) refresh_epoch: i64,
    pub(crate) sign_in_provider: String,
    /// The claims of the custom token that the user came with, a serialised JSON object.
    pub(crate) session_claims: String,
    pub(crate) auth_time: UnixTime,
}

/// Why an account could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the directory already has an account with this id")]
    DuplicateLocalId,
    #[error("the directory already has an account with this address")]
    DuplicateEmail,
    #[error("the directory already has an account with this phone number")]
    DuplicatePhoneNumber,
    #[error("there are as many accounts as are kept")]
    Full,
    #[error("the directory has no such account")]
    NotFound,
    /// The change itself refused, and nothing was written.
    #[error("{0}")]
    Refused(Box<ApiError>),
    #[error("the account database failed: cannot make {0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    #[error(
        "the account database failed: the file has tables of version {0}, which this program does not know: use a newer one"
    )]
    Version(i64),
    #[error("the account database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Where accounts and refresh tokens are kept. One connection behind a lock that is held for microseconds; every method is one
/// transaction.
#[derive(Debug)]
pub(crate) struct AccountStore {
    connection: Mutex<Connection>,
    bounds: Bounds,
    /// How many accounts there are, as far as this process has made and deleted them.
    accounts: AtomicUsize,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    accounts: usize,
    refresh_tokens: i64,
}

impl AccountStore {
    /// Opens the file, or memory without one, and makes the tables if they are missing.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, StoreError> {
        Self::open_within(file, Bounds { accounts: ACCOUNTS_MAX, refresh_tokens: REFRESH_TOKENS_MAX })
    }

    fn open_within(file: Option<&Path>, bounds: Bounds) -> Result<Self, StoreError> {
        let mut connection = match file {
            Some(file) => {
                make_private_file(file).map_err(|error| StoreError::File(file.to_owned(), error))?;
                Connection::open(file)?
            }
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "normal")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match transaction.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            SCHEMA_VERSION => {}
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            version => return Err(StoreError::Version(version)),
        }
        transaction.commit()?;
        let accounts = count_accounts(&connection)?.into();
        Ok(Self { connection: Mutex::new(connection), bounds, accounts })
    }

    /// Adds an account; its id, address and phone number must be free.
    pub(crate) fn insert(&self, directory: &Directory, account: &Account) -> Result<(), StoreError> {
        self.write(|transaction| {
            if find(transaction, directory, AccountSelector::LocalId(&account.local_id))?.is_some() {
                return Err(StoreError::DuplicateLocalId);
            }
            if self.accounts.load(Ordering::Relaxed) >= self.bounds.accounts {
                return Err(StoreError::Full);
            }
            put(transaction, directory, account)
        })?;
        self.accounts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The account that `selector` names.
    pub(crate) fn find(
        &self,
        directory: &Directory,
        selector: AccountSelector<'_>,
    ) -> Result<Option<Account>, StoreError> {
        find(&self.lock(), directory, selector)
    }

    /// Applies `change` to an account and gives it as it is afterwards. A refused change writes nothing.
    pub(crate) fn modify(
        &self,
        directory: &Directory,
        local_id: &str,
        change: impl FnOnce(&mut Account) -> Result<(), ApiError>,
    ) -> Result<Account, StoreError> {
        self.write(|transaction| {
            let found = find(transaction, directory, AccountSelector::LocalId(local_id))?;
            let mut account = found.ok_or(StoreError::NotFound)?;
            change(&mut account).map_err(|refusal| StoreError::Refused(Box::new(refusal)))?;
            put(transaction, directory, &account)?;
            Ok(account)
        })
    }

    /// Removes an account. Its refresh tokens stay, so that they can be told apart from made-up ones.
    pub(crate) fn delete(&self, directory: &Directory, local_id: &str) -> Result<(), StoreError> {
        let deleted = self.lock().execute(
            "DELETE FROM accounts WHERE project = ? AND tenant = ? AND local_id = ?",
            params![directory.project, tenant_column(directory), local_id],
        )?;
        if deleted == 0 {
            return Err(StoreError::NotFound);
        }
        let less = |accounts: usize| Some(accounts.saturating_sub(deleted));
        let _ = self.accounts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Ok(())
    }

    /// Removes all accounts and refresh tokens of a directory.
    pub(crate) fn delete_all(&self, directory: &Directory) -> Result<(), StoreError> {
        self.write(|transaction| {
            for table in ["accounts", "refresh_tokens"] {
                transaction.execute(
                    &format!("DELETE FROM {table} WHERE project = ? AND tenant = ?"),
                    params![directory.project, tenant_column(directory)],
                )?;
            }
            self.accounts.store(count_accounts(transaction)?, Ordering::Relaxed);
            Ok(())
        })
    }

    /// Up to `count` accounts in the order of their ids, after the id `after`.
    pub(crate) fn page(
        &self,
        directory: &Directory,
        after: &str,
        count: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT * FROM accounts WHERE project = ? AND tenant = ? AND local_id > ? ORDER BY local_id LIMIT ?",
        )?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![directory.project, tenant_column(directory), after, count], read_account)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds a refresh token and drops the account's oldest ones beyond the limit.
    pub(crate) fn insert_refresh_token(&self, record: &RefreshTokenRecord) -> Result<(), StoreError> {
        let tenant = tenant_column(&record.directory);
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO refresh_tokens (token_sha256, project, tenant, local_id, refresh_epoch,
                         sign_in_provider, session_claims, auth_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    record.token_sha256,
                    record.directory.project,
                    tenant,
                    record.local_id,
                    record.refresh_epoch,
                    record.sign_in_provider,
                    record.session_claims,
                    record.auth_time.as_seconds(),
                ])?;
            transaction
                .prepare_cached(
                    "DELETE FROM refresh_tokens WHERE number <= (
                         SELECT number FROM refresh_tokens WHERE project = ?1 AND tenant = ?2 AND local_id = ?3
                         ORDER BY number DESC LIMIT 1 OFFSET ?4)
                     AND project = ?1 AND tenant = ?2 AND local_id = ?3",
                )?
                .execute(params![
                    record.directory.project,
                    tenant,
                    record.local_id,
                    REFRESH_TOKENS_PER_ACCOUNT_MAX
                ])?;
            // They are numbered as they come, and no number is given twice.
            let newest = transaction.last_insert_rowid();
            transaction
                .prepare_cached("DELETE FROM refresh_tokens WHERE number <= ?")?
                .execute(params![newest.saturating_sub(self.bounds.refresh_tokens)])?;
            Ok(())
        })
    }

    /// The refresh token with this hash.
    pub(crate) fn find_refresh_token(
        &self,
        token_sha256: &[u8; 32],
    ) -> Result<Option<RefreshTokenRecord>, StoreError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT * FROM refresh_tokens WHERE token_sha256 = ?")?;
        Ok(statement.query_row(params![token_sha256], read_refresh_token).optional()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that panicked was rolled back when it was dropped, so the connection is still good.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Makes a file that only its owner may read, before SQLite makes one that everybody may; SQLite gives its companions,
/// the log and its index, the mode of the file itself. A file that exists keeps its mode.
fn make_private_file(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

fn tenant_column(directory: &Directory) -> &str {
    directory.tenant.as_deref().unwrap_or("")
}

fn count_accounts(connection: &Connection) -> Result<usize, StoreError> {
    let count: i64 = connection.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn find(
    connection: &Connection,
    directory: &Directory,
    selector: AccountSelector<'_>,
) -> Result<Option<Account>, StoreError> {
    let (condition, value) = match selector {
        AccountSelector::LocalId(local_id) => ("local_id = ?", local_id),
        AccountSelector::Email(email) => ("email = ?", email),
        AccountSelector::PhoneNumber(phone_number) => ("phone_number = ?", phone_number),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT * FROM accounts WHERE project = ? AND tenant = ? AND {condition}"
    ))?;
    Ok(statement
        .query_row(params![directory.project, tenant_column(directory), value], read_account)
        .optional()?)
}

/// Writes an account whose address and phone number no other account of the directory may have.
fn put(transaction: &Transaction<'_>, directory: &Directory, account: &Account) -> Result<(), StoreError> {
    let is_taken = |selector| -> Result<bool, StoreError> {
        let other = find(transaction, directory, selector)?;
        Ok(other.is_some_and(|other| other.local_id != account.local_id))
    };
    if let Some(email) = &account.email
        && is_taken(AccountSelector::Email(email))?
    {
        return Err(StoreError::DuplicateEmail);
    }
    if let Some(phone_number) = &account.phone_number
        && is_taken(AccountSelector::PhoneNumber(phone_number))?
    {
        return Err(StoreError::DuplicatePhoneNumber);
    }
    transaction.prepare_cached(UPSERT)?.execute(named_params! {
        ":project": directory.project,
        ":tenant": tenant_column(directory),
        ":local_id": account.local_id,
        ":email": account.email,
        ":email_verified": account.email_verified,
        ":initial_email": account.initial_email,
        ":display_name": account.display_name,
        ":photo_url": account.photo_url,
        ":phone_number": account.phone_number,
        ":password_hash": account.password_hash,
        ":password_updated_at": account.password_updated_at.map(UnixTime::as_seconds),
        ":custom_attributes": account.custom_attributes,
        ":disabled": account.disabled,
        ":custom_auth": account.custom_auth,
        ":valid_since": account.valid_since.map(UnixTime::as_seconds),
        ":refresh_epoch": account.refresh_epoch,
        ":created_at": account.created_at.as_seconds(),
        ":last_login_at": account.last_login_at.map(UnixTime::as_seconds),
        ":last_refresh_at": account.last_refresh_at.map(UnixTime::as_seconds),
    })?;
    Ok(())
}

fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let moment =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixTime::from_seconds));
    Ok(Account {
        local_id: row.get("local_id")?,
        email: row.get("email")?,
        email_verified: row.get("email_verified")?,
        initial_email: row.get("initial_email")?,
        display_name: row.get("display_name")?,
        photo_url: row.get("photo_url")?,
        phone_number: row.get("phone_number")?,
        password_hash: row.get("password_hash")?,
        password_updated_at: moment("password_updated_at")?,
        custom_attributes: row.get("custom_attributes")?,
        disabled: row.get("disabled")?,
        custom_auth: row.get("custom_auth")?,
        valid_since: moment("valid_since")?,
        refresh_epoch: row.get("refresh_epoch")?,
        created_at: UnixTime::from_seconds(row.get("created_at")?),
        last_login_at: moment("last_login_at")?,
        last_refresh_at: moment("last_refresh_at")?,
    })
}

fn read_refresh_token(row: &Row<'_>) -> rusqlite::Result<RefreshTokenRecord> {
    let tenant = Some(row.get::<_, String>("tenant")?).filter(|tenant| !tenant.is_empty());
    Ok(RefreshTokenRecord {
        token_sha256: row.get("token_sha256")?,
        directory: Directory { project: row.get("project")?, tenant },
        local_id: row.get("local_id")?,
        refresh_epoch: row.get("refresh_epoch")?,
        sign_in_provider: row.get("sign_in_provider")?,
        session_claims: row.get("session_claims")?,
        auth_time: UnixTime::from_seconds(row.get("auth_time")?),
    })
}

#[cfg(test)]
mod tests;
