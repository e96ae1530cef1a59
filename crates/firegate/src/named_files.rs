//! The files that a configuration names, from this machine's disk.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use firegate_files::configuration::NamedFiles;
use firegate_files::limits::GOOGLE_FILE_BYTES_MAX;
use firegate_files::text;
use firegate_proxy::{ReloadError, while_reading};

/// The text of a configuration's file.
///
/// # Errors
/// If it cannot be read, or is no text.
pub fn read_text(path: &Path) -> Result<String, ReloadError> {
    let bytes = while_reading(path, || std::fs::read(path))
        .map_err(|source| ReloadError::Read { path: path.to_owned(), source })?;
    text::utf_8(&path.display().to_string(), bytes).map_err(ReloadError::Check)
}

/// Files of this machine; a relative name counts from the working directory. It remembers what it was asked for, so that a change
/// of those files is noticed, and of those too that are not there yet.
#[derive(Debug, Default)]
pub struct DiskFiles {
    named: RefCell<Vec<PathBuf>>,
}

impl DiskFiles {
    /// Every file that was asked for.
    pub fn into_names(self) -> Vec<PathBuf> {
        self.named.into_inner()
    }
}

impl NamedFiles for DiskFiles {
    fn read(&self, name: &Path) -> io::Result<String> {
        self.named.borrow_mut().push(name.to_owned());
        let mut bytes = Vec::new();
        while_reading(name, || {
            File::open(name)?.take(GOOGLE_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)
        })?;
        String::from_utf8(bytes).map_err(|error| {
            let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            io::Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
        })
    }
}
