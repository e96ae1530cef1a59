//! What a command tells a person beside its output goes to standard error.

use std::io::Write as _;

/// Writes a text there, with colours if that is a terminal. That it cannot be written is told to nobody, for there is nobody
/// else to tell; `eprint!` would panic.
pub fn tell(text: &str) {
    let mut stderr = anstream::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
