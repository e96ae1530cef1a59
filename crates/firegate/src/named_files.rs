//! The files that a configuration names, from this machine's disk, and those of the command line.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use firegate_files::configuration::NamedFiles;
use firegate_files::limits::GOOGLE_FILE_BYTES_MAX;
use firegate_files::text;
use firegate_proxy::{ReloadError, read_start};

/// How much of a file is read: so much more than it may have that without the part of a character at its end, which has four
/// bytes at most, it is still too long.
const BYTES_READ_MAX: usize = GOOGLE_FILE_BYTES_MAX + 4;

/// The text of a configuration's file.
///
/// # Errors
/// If it cannot be read, or is no text.
pub fn read_text(path: &Path) -> Result<String, ReloadError> {
    let bytes = read_contents(path).map_err(|source| ReloadError::Read { path: path.to_owned(), source })?;
    text::utf_8(&path.display().to_string(), bytes).map_err(ReloadError::Check)
}

/// Whether the name of a file on the command line means standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// What a file of the command line is called in messages.
pub fn called(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// The text of a file of the command line, where `-` is standard input.
///
/// # Errors
/// If it cannot be read, or is no text.
pub fn read_argument(path: &Path) -> Result<String, ReloadError> {
    if !is_standard_input(path) {
        return read_text(path);
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(BYTES_READ_MAX as u64).read_to_end(&mut bytes);
    read.map_err(|source| ReloadError::Read { path: called(path).into(), source })?;
    text::utf_8(&called(path), without_a_part(bytes)).map_err(ReloadError::Check)
}

/// What a file holds, as far as any file may hold something: whoever parses it refuses what is too long, and a device or a log
/// in a configuration's place has no end.
///
/// # Errors
/// If it cannot be read.
pub fn read_contents(path: &Path) -> io::Result<Vec<u8>> {
    Ok(without_a_part(read_start(path, BYTES_READ_MAX as u64)?))
}

/// What was read up to the bound, without the part of a character at its end.
fn without_a_part(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() == BYTES_READ_MAX
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        // The bound cut a character in two; that is not what is wrong with the file. It stays longer than it may be.
        bytes.truncate(error.valid_up_to());
    }
    bytes
}

/// Files of this machine; a relative name counts from the working directory. It remembers what it was asked for, so that a
/// change of those files is noticed, and of those too that are not there yet.
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
        String::from_utf8(read_contents(name)?).map_err(|error| {
            let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            io::Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is cut off must never be taken for a file that ends there, with fewer rules.
    #[test]
    fn a_file_without_an_end_is_read_to_a_bound_and_is_too_long_for_that() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("firegate.yaml");
        // The bound falls behind a character, or before each of its bytes.
        for start in ["", "#", "##", "###"] {
            for character in ["#", "é", "€", "𝄞"] {
                let count = GOOGLE_FILE_BYTES_MAX / character.len() + 8;
                std::fs::write(&file, start.to_owned() + &character.repeat(count)).unwrap();
                for text in [read_text(&file).unwrap(), DiskFiles::default().read(&file).unwrap()] {
                    assert!(
                        (GOOGLE_FILE_BYTES_MAX + 1..=BYTES_READ_MAX).contains(&text.len()),
                        "{}",
                        text.len()
                    );
                }
            }
        }
    }

    /// A file that ends in the middle of a character is broken, whatever its length.
    #[test]
    fn what_is_no_text_at_its_end_is_not_cut_to_fit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("armor.yaml");
        let mut bytes = vec![b'#'; GOOGLE_FILE_BYTES_MAX];
        bytes.push(0xc3);
        std::fs::write(&file, bytes).unwrap();
        assert!(DiskFiles::default().read(&file).is_err());
        assert!(read_text(&file).is_err());
    }
}
