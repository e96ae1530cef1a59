//! How a command that could not do what it was asked for says so.

use std::io::Write;

use firegate_files::diagnostic::Diagnostic;
use firegate_proxy::LogForm;
use serde_json::{Map, Value, json};

use crate::printable::without_tokens;

/// Before what an operator can do, in the texts of errors.
const HINT: &str = "\nhint: ";

/// Why a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened, with the causes that it does not tell by itself.
    message: String,
    /// What to do about it, as the error's text has it: one line for each hint, with the line feeds before it.
    advice: String,
}

impl Failure {
    /// Takes an error apart. Some errors say in their own text what the system said, others leave it to their source; here each
    /// is said once, and the advice comes last.
    pub fn of(error: &anyhow::Error) -> Self {
        let text = without_tokens(&error.to_string());
        let (message, advice) = text.find(HINT).map_or((&*text, ""), |at| text.split_at(at));
        let blank = message.len() - message.trim_end_matches('\n').len();
        let mut failure =
            Self { message: message.trim_end_matches('\n').to_owned(), advice: "\n".repeat(blank) + advice };
        for cause in error.chain().skip(1) {
            let cause = without_tokens(&cause.to_string());
            let (cause, advice) = cause.find(HINT).map_or((&*cause, ""), |at| cause.split_at(at));
            if !failure.message.contains(cause.trim_end()) {
                failure.message.push_str(": ");
                failure.message.push_str(cause.trim_end());
            }
            if !failure.advice.contains(advice) {
                failure.advice.push_str(advice);
            }
        }
        failure
    }

    /// As a finding, for whoever reads those of files in JSON.
    pub fn finding(&self, code: &'static str) -> Diagnostic {
        let hint = self.advice.trim_start_matches('\n').replace(HINT, "\n");
        let hint = hint.strip_prefix("hint: ").unwrap_or(&hint);
        Diagnostic::error(code, &*self.message).hint_if((!hint.is_empty()).then_some(hint))
    }

    /// Writes it to stderr, as the log's lines are. There is nobody else to tell if that fails.
    pub fn write(&self, form: LogForm, time: &str) {
        let Self { message, advice } = self;
        let written = match form {
            LogForm::Json => {
                let mut line = Map::from_iter([
                    ("severity".to_owned(), json!("ERROR")),
                    ("time".to_owned(), json!(time)),
                    ("message".to_owned(), json!(message)),
                ]);
                let hint = advice.trim_start_matches('\n').replace(HINT, "\n");
                let hint = hint.strip_prefix("hint: ").unwrap_or(&hint);
                if !hint.is_empty() {
                    line.insert("hint".to_owned(), json!(hint));
                }
                writeln!(std::io::stderr(), "{}", Value::Object(line))
            }
            LogForm::Text { .. } => {
                let red = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
                writeln!(anstream::stderr(), "{red}error{red:#}: {self}")
            }
        };
        let _ = written;
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)?;
        formatter.write_str(&self.advice)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it cannot be read: {source}\nhint: mount it")]
    struct Whole {
        source: io::Error,
    }

    #[track_caller]
    fn check(error: &anyhow::Error, expected: &str) {
        assert_eq!(Failure::of(error).to_string(), expected);
    }

    /// Scenario: `firegate check "$TOKEN"`.
    #[test]
    fn a_token_that_was_given_for_a_file_is_not_told() {
        let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJldmUifQ.c2lnbmF0dXJl";
        let cause = io::Error::other(format!("no file {token}"));
        let error = Err::<(), _>(cause).context(format!("{token} cannot be read"));
        check(&error.expect_err("it was one"), "[concealed] cannot be read: no file [concealed]");
    }

    #[test]
    fn each_cause_is_told_once_and_the_advice_last() {
        let refused = || io::Error::other("permission denied");
        check(&Whole { source: refused() }.into(), "it cannot be read: permission denied\nhint: mount it");
        let error = Err::<(), _>(refused()).context("f cannot be read\n\nhint: name one\nhint: or two");
        check(
            &error.expect_err("it was one"),
            "f cannot be read: permission denied\n\nhint: name one\nhint: or two",
        );
        let error = Err::<(), _>(Whole { source: refused() }).context("the door does not open");
        check(
            &error.expect_err("it was one"),
            "the door does not open: it cannot be read: permission denied\nhint: mount it",
        );
    }
}
