//! What a command was asked for goes to standard output.

use std::io::{self, ErrorKind, Write};

use anyhow::Context as _;

/// Writes a text to standard output, with colours if that is a terminal. That whoever reads it has seen enough, as `head` has,
/// is no failure.
///
/// # Errors
/// If it cannot be written, for example because the disk is full.
pub fn write(text: &str) -> anyhow::Result<()> {
    write_to(&mut anstream::stdout(), text)
}

/// The same to whatever stands for standard output.
pub(crate) fn write_to(out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context(
            "standard output cannot be written\nhint: make room where it leads to, or let it lead elsewhere",
        ),
    }
}

/// Whether colours and links make sense there.
pub fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stdout())
}
