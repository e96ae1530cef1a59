//! The files that a configuration names and that are read with it: policies in Google's formats, groups. This crate reads none
//! itself; whoever reads the configuration says where they come from.

use std::io::{self, ErrorKind};
use std::path::Path;

/// Where the files come from that a configuration names.
pub trait NamedFiles {
    /// The text of a file, by the name that the configuration gives it. A text longer than
    /// [`GOOGLE_FILE_BYTES_MAX`](crate::limits::GOOGLE_FILE_BYTES_MAX) may be cut after the first byte above: it is refused
    /// anyway.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be read.
    fn read(&self, name: &Path) -> io::Result<String>;
}

/// No files at all: every name is refused.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl NamedFiles for NoFiles {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::Error::other("this configuration is read without files"))
    }
}

/// What to do about a file that cannot be read, if that is known.
pub fn unreadable_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Some("a relative name counts from the directory that firegate is started in")
        }
        ErrorKind::PermissionDenied => {
            Some("let the user that firegate runs as read it, and enter its directories")
        }
        ErrorKind::IsADirectory => Some("name a file in it"),
        ErrorKind::InvalidData => Some("save it as UTF-8"),
        _ => None,
    }
}
