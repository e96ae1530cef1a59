//! The last good document of an issuer in the data directory, so that a restart during an outage still works.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use firegate_core::jose::encode_base64url;
use firegate_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::KeySetSource;
use crate::limits::{CLOCK_STEP_MAX, KEY_SET_FILE_BYTES_MAX};

/// A document as it was fetched.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct StoredDocument {
    /// Where it came from: a file never stands for another address.
    pub(super) url: String,
    /// When, in seconds since the epoch.
    pub(super) fetched_at: i64,
    /// Until when it is fresh, in seconds since the epoch.
    pub(super) fresh_until: i64,
    /// The document.
    pub(super) document: String,
}

/// The file of one issuer.
#[derive(Clone, Debug)]
pub(super) struct KeySetFile(PathBuf);

impl KeySetFile {
    pub(super) fn new(data_dir: PathBuf, source: &KeySetSource) -> Self {
        Self(data_dir.join(format!("keys-{}.json", source.name)))
    }

    /// Reads the document, if there is one from this address that was fetched before `now`, as far as clocks agree: one
    /// from the future would be used for longer than any other.
    pub(super) fn load(&self, source: &KeySetSource, now: UnixTime) -> io::Result<Option<StoredDocument>> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(KEY_SET_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let stored: StoredDocument = serde_json::from_slice(&bytes)?;
        let is_past = stored.fetched_at().since(now) <= CLOCK_STEP_MAX;
        Ok((is_past && stored.url == source.url.as_str()).then_some(stored))
    }

    /// Replaces the document. Whenever power fails, either the old one or the new one is there, whole.
    pub(super) fn store(&self, stored: &StoredDocument) -> io::Result<()> {
        let directory = self.0.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(directory)?;
        let partial = self.partial()?;
        let written =
            write(&partial, &serde_json::to_vec(stored)?).and_then(|()| fs::rename(&partial, &self.0));
        if written.is_err() {
            // Half a file is of no use, and a full disk has no room for it.
            let _ = fs::remove_file(&partial);
        }
        written?;
        File::open(directory)?.sync_all()
    }

    /// A name that no other process takes, so that those that share a data directory do not share a half-written file:
    /// the process's id would not do, because it is 1 in every container.
    fn partial(&self) -> io::Result<PathBuf> {
        let mut random = [0; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Ok(self.0.with_extension(format!("{}.partial", encode_base64url(&random))))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What is still to be written. One task writes at a time, and always the newest document: an older one may hold a key
/// that was withdrawn since.
#[derive(Debug, Default)]
pub(super) struct Unwritten(Mutex<Writing>);

#[derive(Debug, Default)]
struct Writing {
    newest: Option<StoredDocument>,
    has_writer: bool,
}

impl Unwritten {
    /// Puts a document in the place of an older one; whether there is no task yet that will write it.
    pub(super) fn put(&self, stored: StoredDocument) -> bool {
        let mut writing = self.lock();
        writing.newest = Some(stored);
        !std::mem::replace(&mut writing.has_writer, true)
    }

    /// The document to write next; none if there is none, and then the task that asks ends.
    pub(super) fn take(&self) -> Option<StoredDocument> {
        let mut writing = self.lock();
        let newest = writing.newest.take();
        writing.has_writer = newest.is_some();
        newest
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredDocument {
    pub(super) fn fetched_at(&self) -> UnixTime {
        UnixTime::from_seconds(self.fetched_at)
    }

    pub(super) fn fresh_until(&self) -> UnixTime {
        UnixTime::from_seconds(self.fresh_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(at: i64) -> StoredDocument {
        let (url, document) = ("https://keys.example.com/".to_owned(), String::new());
        StoredDocument { url, fetched_at: at, fresh_until: at + 60, document }
    }

    #[test]
    fn what_comes_during_a_write_is_written_after_it_and_the_newest_alone() {
        let unwritten = Unwritten::default();
        assert!(unwritten.put(fetched(1)), "nobody writes");
        assert_eq!(unwritten.take(), Some(fetched(1)));
        assert!(!unwritten.put(fetched(2)) && !unwritten.put(fetched(3)), "the first one is being written");
        assert_eq!((unwritten.take(), unwritten.take()), (Some(fetched(3)), None));
        assert!(unwritten.put(fetched(4)), "the task has ended");
    }

    #[test]
    fn no_two_writes_share_a_partial_file_and_none_is_left_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let source =
            KeySetSource { name: "id_token", url: "https://keys.example.com/".parse().expect("a URL") };
        let file = KeySetFile::new(directory.path().to_owned(), &source);
        // The same file written by many at once stands for processes of the same id in other containers.
        std::thread::scope(|scope| {
            for at in 0..8 {
                let file = &file;
                scope.spawn(move || file.store(&fetched(at)).expect("written"));
            }
        });
        let stored = file.load(&source, UnixTime::from_seconds(10)).expect("read").expect("a document");
        assert!((0..8).contains(&stored.fetched_at));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn a_document_from_the_future_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let source =
            KeySetSource { name: "id_token", url: "https://keys.example.com/".parse().expect("a URL") };
        let file = KeySetFile::new(directory.path().to_owned(), &source);
        file.store(&fetched(1000)).expect("written");
        let check = |now: i64, expected: bool| {
            let stored = file.load(&source, UnixTime::from_seconds(now)).expect("read");
            assert_eq!(stored.is_some(), expected, "{now}");
        };
        check(1000, true);
        check(940, true);
        check(939, false);
        check(2000, true);
    }
}
