//! What a command tells a person beside its output goes to standard error.

use std::io::Write as _;

use firegate_core::conceal;

/// Writes a text there, with colours if that is a terminal, and without tokens: one that was given in the wrong place is quoted
/// by what refuses it. That it cannot be written is told to nobody, for there is nobody else to tell; `eprint!` would panic.
pub fn tell(text: &str) {
    let mut stderr = anstream::stderr();
    let _ = stderr.write_all(&conceal::tokens(text.as_bytes())).and_then(|()| stderr.flush());
}
