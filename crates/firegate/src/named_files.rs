//! The files that a configuration names, from this machine's disk.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use firegate_files::configuration::NamedFiles;
use firegate_files::limits::GOOGLE_FILE_BYTES_MAX;
use firegate_files::text;
use firegate_proxy::ReloadError;

/// The text of a configuration's file.
///
/// # Errors
/// If it cannot be read, or is no text.
pub fn read_text(path: &Path) -> Result<String, ReloadError> {
    let bytes = read_bounded(path).map_err(|source| ReloadError::Read { path: path.to_owned(), source })?;
    text::utf_8(&path.display().to_string(), bytes).map_err(ReloadError::Check)
}

/// What a file holds, as far as any file may hold something: whoever parses it refuses what is too long, and a device or a log
/// in a configuration's place has no end.
///
/// # Errors
/// If it cannot be read.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(GOOGLE_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > GOOGLE_FILE_BYTES_MAX
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        // The bound cut a character in two; that is not what is wrong with the file.
        bytes.truncate(error.valid_up_to());
    }
    Ok(bytes)
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
        String::from_utf8(read_bounded(name)?).map_err(|error| {
            let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            io::Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
        })
    }
}

#[cfg(test)]
mod tests {
    use firegate_files::limits::FILE_BYTES_MAX;

    use super::*;

    #[test]
    fn a_configuration_without_an_end_is_read_to_a_bound_and_is_too_long_for_that() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("firegate.yaml");
        // Characters of two bytes behind one of one: the bound falls into one of them.
        std::fs::write(&file, format!("{}#", "é".repeat(GOOGLE_FILE_BYTES_MAX))).unwrap();
        let text = read_text(&file).unwrap();
        assert!(
            (FILE_BYTES_MAX + 1..=GOOGLE_FILE_BYTES_MAX + 1).contains(&text.len()),
            "{} bytes",
            text.len()
        );
    }
}
