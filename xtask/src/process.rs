//! Child processes: said before they run, streamed while they run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// How many processes can work at a time.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Prints what happens next.
pub(crate) fn progress(text: &str) {
    eprintln!("\n── {text}");
}

/// Runs a command with the terminal's own output. True when it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<bool> {
    progress(&words(command));
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", words(command)))?;
    Ok(status.success())
}

/// Runs a command, lets its output through as it comes, and shows every line of it to `observe`. True when it succeeds.
pub(crate) fn observe(command: &mut Command, mut observe: impl FnMut(&str)) -> Result<bool> {
    progress(&words(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", words(command)))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            std::io::stdout().write_all(&line)?;
            std::io::stdout().flush()?;
            observe(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }
    Ok(child.wait()?.success())
}

/// The command as one would type it.
fn words(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
