//! The last good document of an issuer in the data directory, so that a restart during an outage still works.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use firegate_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::KeySetSource;
use crate::limits::KEY_SET_FILE_BYTES_MAX;

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

    /// Reads the document, if there is one from this address.
    pub(super) fn load(&self, source: &KeySetSource) -> io::Result<Option<StoredDocument>> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(KEY_SET_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let stored: StoredDocument = serde_json::from_slice(&bytes)?;
        Ok((stored.url == source.url.as_str()).then_some(stored))
    }

    /// Replaces the document. Whenever power fails, either the old one or the new one is there, whole.
    pub(super) fn store(&self, stored: &StoredDocument) -> io::Result<()> {
        let directory = self.0.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(directory)?;
        // Processes that share a data directory do not share a half-written file.
        let partial = self.0.with_extension(format!("{}.partial", std::process::id()));
        let mut file = File::create(&partial)?;
        file.write_all(&serde_json::to_vec(stored)?)?;
        file.sync_all()?;
        fs::rename(&partial, &self.0)?;
        File::open(directory)?.sync_all()
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
