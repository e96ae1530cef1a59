//! The generated keys in the data directory: one file that is replaced as a whole, so that whenever power fails either
//! the old keys or the new ones are there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use firegate_core::jose::{EcdsaP256Signer, decode_base64url, encode_base64url};
use firegate_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::AssertionKeyError;
use super::rotation::{KeyChain, KeyUse, RotatingKey};
use crate::files::read_bounded;
use crate::limits::{ASSERTION_KEY_FILE_BYTES_MAX, ASSERTION_KEYS_MAX};

/// The file's name in the data directory.
pub(super) const KEY_FILE: &str = "assertion-keys.json";

/// The file of version 0.1.0, which knew one key. It is read once, and its key is taken over.
pub(super) const FORMER_KEY_FILE: &str = "assertion-key.pk8";

/// The version of the format that is written, and the only one that is read.
const FORMAT_VERSION: u64 = 1;

const TOO_MANY_KEYS: &str = "there are more keys than Firegate ever makes";

/// What every version of the file has.
#[derive(Deserialize)]
struct VersionedFile {
    version: u64,
}

/// The file, as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredKeys {
    version: u64,
    keys: Vec<StoredKey>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    /// Follows from the key; whoever reads the file finds it here, and a damaged key does not fit it.
    kid: String,
    created_at: i64,
    #[serde(rename = "use")]
    key_use: StoredUse,
    since: i64,
    /// The private key: PKCS #8, in base64url.
    pkcs8: String,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredUse {
    Published,
    Signing,
    Retired,
}

/// What the data directory holds.
pub(super) enum Found {
    /// The keys.
    Keys(KeyChain),
    /// The one key of version 0.1.0.
    FormerKey(EcdsaP256Signer),
    Nothing,
}

/// What came of making the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Yes,
    /// Another process was faster: its keys count.
    AlreadyThere,
}

/// Looks whether the generated keys could be read, or made if there are none, without making anything.
///
/// # Errors
/// If they could not.
pub(crate) fn check_data_dir(data_dir: &Path) -> Result<(), AssertionKeyError> {
    let file = KeyFile::new(data_dir);
    match file.read()? {
        // With keys that cannot be written, they serve on as they are.
        Found::Keys(_) | Found::FormerKey(_) => Ok(()),
        Found::Nothing => check_writable(data_dir).map_err(|error| file.failed(error)),
    }
}

/// Asks the system whether this process may write in a directory, or make it where it is not there.
#[cfg(unix)]
fn check_writable(directory: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};

    for directory in directory.ancestors() {
        // The parent of a relative name is the directory that the process runs in.
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        match fs::metadata(directory) {
            Ok(found) if !found.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            Ok(_) => return Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Elsewhere it is known when it is tried.
#[cfg(not(unix))]
fn check_writable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The file in its directory.
#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    directory: PathBuf,
    path: PathBuf,
}

impl KeyFile {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { directory: data_dir.to_owned(), path: data_dir.join(KEY_FILE) }
    }

    /// Reads the keys. A file that cannot be understood is an error and never an absent one: with other keys in its
    /// place, every token under way would fail.
    pub(super) fn read(&self) -> Result<Found, AssertionKeyError> {
        if let Some(bytes) = read_kept(&self.path)? {
            let keys = parse(&bytes).map_err(|why| self.damaged(why))?;
            return Ok(Found::Keys(keys));
        }
        let former = self.former_path();
        Ok(match read_kept(&former)? {
            Some(der) => {
                let key = EcdsaP256Signer::from_pkcs8(&der);
                Found::FormerKey(key.map_err(|_| AssertionKeyError::Key { path: former })?)
            }
            None => Found::Nothing,
        })
    }

    /// Makes the file, unless it is there by now: of two processes that start at once, one makes the first key.
    pub(super) fn make(&self, keys: &KeyChain) -> Result<Made, AssertionKeyError> {
        fs::create_dir_all(&self.directory).map_err(|error| self.failed(error))?;
        let partial = self.write_partial(keys)?;
        let made = match fs::hard_link(&partial, &self.path) {
            Ok(()) => Made::Yes,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Made::AlreadyThere,
            // Some file systems have no links. There the last one to start wins, and the keys of both are put together
            // with the next check.
            Err(_) => {
                self.put_in_place(&partial)?;
                return Ok(Made::Yes);
            }
        };
        fs::remove_file(&partial).map_err(|error| self.failed(error))?;
        self.sync_directory()?;
        Ok(made)
    }

    /// Replaces the file.
    pub(super) fn replace(&self, keys: &KeyChain) -> Result<(), AssertionKeyError> {
        let partial = self.write_partial(keys)?;
        self.put_in_place(&partial)
    }

    /// Removes the file of version 0.1.0, whose key is among the kept ones: a retired key should not lie around.
    pub(super) fn remove_former(&self, keys: &KeyChain) -> Result<(), AssertionKeyError> {
        let former = self.former_path();
        let Some(der) = read_kept(&former)? else { return Ok(()) };
        let id = EcdsaP256Signer::from_pkcs8(&der).ok().map(|key| key.key_id().to_owned());
        if keys.keys().iter().any(|key| id.as_deref() == Some(key.id())) {
            fs::remove_file(&former)
                .map_err(|source| AssertionKeyError::Kept { path: former.clone(), source })?;
        }
        Ok(())
    }

    fn former_path(&self) -> PathBuf {
        self.directory.join(FORMER_KEY_FILE)
    }

    /// Writes the keys beside the file, under a name that no other process takes: the process's id would not do, because
    /// it is 1 in every container.
    fn write_partial(&self, keys: &KeyChain) -> Result<PathBuf, AssertionKeyError> {
        if keys.keys().len() > ASSERTION_KEYS_MAX {
            return Err(self.failed(io::Error::other(TOO_MANY_KEYS)));
        }
        let bytes = render(keys).map_err(|error| self.failed(error.into()))?;
        let mut random = [0; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| self.failed(io::Error::other("the system gives no random bytes")))?;
        let partial = self.path.with_extension(format!("{}.partial", encode_base64url(&random)));
        write_secret(&partial, &bytes).map_err(|error| {
            // Half a file is of no use, and a full disk has no room for it.
            let _ = fs::remove_file(&partial);
            self.failed(error)
        })?;
        Ok(partial)
    }

    fn put_in_place(&self, partial: &Path) -> Result<(), AssertionKeyError> {
        fs::rename(partial, &self.path).map_err(|error| {
            let _ = fs::remove_file(partial);
            self.failed(error)
        })?;
        self.sync_directory()
    }

    /// Without this the new name could be lost with the power, although the bytes are there.
    fn sync_directory(&self) -> Result<(), AssertionKeyError> {
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> AssertionKeyError {
        AssertionKeyError::Kept { path: self.path.clone(), source }
    }

    fn damaged(&self, why: &'static str) -> AssertionKeyError {
        AssertionKeyError::KeptKeys { path: self.path.clone(), why }
    }
}

/// What a file holds, if it is there.
fn read_kept(path: &Path) -> Result<Option<Vec<u8>>, AssertionKeyError> {
    match read_bounded(path, ASSERTION_KEY_FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(AssertionKeyError::KeptKeys { path: path.to_owned(), why: "it is too large" })
        }
        Err(source) => Err(AssertionKeyError::Kept { path: path.to_owned(), source }),
    }
}

/// Writes a new file that only its owner may read.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn render(keys: &KeyChain) -> serde_json::Result<Vec<u8>> {
    let stored = |key: &RotatingKey| StoredKey {
        kid: key.id().to_owned(),
        created_at: key.created_at.as_seconds(),
        key_use: match key.key_use {
            KeyUse::Published => StoredUse::Published,
            KeyUse::Signing => StoredUse::Signing,
            KeyUse::Retired => StoredUse::Retired,
        },
        since: key.since.as_seconds(),
        pkcs8: encode_base64url(key.signer.pkcs8()),
    };
    let keys = keys.keys().iter().map(stored).collect();
    serde_json::to_vec_pretty(&StoredKeys { version: FORMAT_VERSION, keys })
}

fn parse(bytes: &[u8]) -> Result<KeyChain, &'static str> {
    let no_keys = "it is cut off or was changed";
    let VersionedFile { version } = serde_json::from_slice(bytes).map_err(|_| no_keys)?;
    if version != FORMAT_VERSION {
        return Err("another version of Firegate wrote it");
    }
    let stored: StoredKeys = serde_json::from_slice(bytes).map_err(|_| no_keys)?;
    if stored.keys.len() > ASSERTION_KEYS_MAX {
        return Err(TOO_MANY_KEYS);
    }
    let keys = stored.keys.into_iter().map(read_key).collect::<Option<Vec<_>>>();
    let keys = keys.ok_or("a key in it is damaged")?;
    KeyChain::of(keys).ok_or("not exactly one of its keys signs")
}

fn read_key(stored: StoredKey) -> Option<RotatingKey> {
    let signer = EcdsaP256Signer::from_pkcs8(&decode_base64url(&stored.pkcs8)?).ok()?;
    let key_use = match stored.key_use {
        StoredUse::Published => KeyUse::Published,
        StoredUse::Signing => KeyUse::Signing,
        StoredUse::Retired => KeyUse::Retired,
    };
    (signer.key_id() == stored.kid).then(|| RotatingKey {
        signer,
        created_at: UnixTime::from_seconds(stored.created_at),
        key_use,
        since: UnixTime::from_seconds(stored.since),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_is_asked_whether_it_takes_keys_and_nothing_is_made_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("a/b");
        check_data_dir(&below).expect("it can be made");
        assert!(!folder.path().join("a").exists());
        fs::write(folder.path().join("a"), "no directory").expect("a file");
        check_data_dir(&below).expect_err("a file is in the way");
        fs::remove_file(folder.path().join("a")).expect("it was there");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).expect("a mode");
        let checked = check_data_dir(&below);
        // The administrator may write everywhere.
        assert_eq!(checked.is_ok(), rustix::process::geteuid().is_root());
        if let Err(error) = checked {
            let error = error.to_string();
            assert!(error.contains("Permission denied") && error.contains("hint: set `data_dir`"), "{error}");
        }
    }
}
