//! `firegate test`: requests, and whether a configuration makes of them what is expected.

mod expressions;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use firegate_core::time::{SharedClock, UnixTime};
use firegate_files::diagnostic::{Diagnostic, Diagnostics, code};
use serde::Serialize;

use crate::cases::{CaseFile, CaseFileError, Issuer, Machine, difference};
use crate::logging::tell_findings;
use crate::printable::{json, printable};
use crate::standard_output;

/// The arguments of `firegate test`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                  firegate test cases.yaml\n  \
                  firegate test --expr admin.yaml\n\n\
                  Exit codes: 0 if every case comes out as expected; 1 if one does not; 2 for bad input.")]
pub struct TestArguments {
    /// Files of decision cases; `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present = "expr")]
    pub files: Vec<PathBuf>,
    /// A file of tests of one expression, in the format of Google's own tool for Cloud Armor's rules. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub expr: Vec<PathBuf>,
    /// The configuration, for files that name none.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The form of the output.
    #[arg(long, value_enum, default_value_t = TestOutput::Text)]
    pub output: TestOutput,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TestOutput {
    /// For a person.
    Text,
    /// One JSON object.
    Json,
}

/// What came of all cases.
#[derive(Debug, Default, Serialize)]
struct Summary {
    passed: usize,
    failed: usize,
    failures: Vec<Failure>,
    /// What was found in the files, and why those were not run that could not be.
    problems: Diagnostics,
}

/// A case that came out otherwise.
#[derive(Debug, Serialize)]
struct Failure {
    file: String,
    line: usize,
    name: String,
    difference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// Runs the cases.
///
/// # Errors
/// If a key cannot be made, or there is nowhere to write.
pub fn run(arguments: &TestArguments, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let issuer = Issuer::generate()?;
    let (mut summary, mut is_bad) = (Summary::default(), false);
    for path in &arguments.files {
        match CaseFile::read(path, arguments.config.as_deref()) {
            Ok(file) => summary.add(&file, &issuer, clock.now())?,
            Err(CaseFileError::Check(_)) if expressions::is_suite(path) => {
                let file = path.display();
                let message = format!("{file} holds tests of an expression, and no cases");
                let hint = format!("firegate test --expr {file}");
                summary.problems.push(Diagnostic::error(code::OTHER_KIND, message).hint(hint));
                is_bad = true;
            }
            Err(error) => {
                summary.problems.append(error.into_findings());
                is_bad = true;
            }
        }
    }
    for path in &arguments.expr {
        is_bad |= !expressions::run(path, &mut summary);
    }
    if arguments.output == TestOutput::Text && !summary.problems.is_empty() {
        tell_findings(&summary.problems);
    }
    standard_output::write(&summary.text(arguments.output)?)?;
    Ok(ExitCode::from(match (is_bad, summary.failed) {
        (true, _) => 2,
        (false, 0) => 0,
        (false, _) => 1,
    }))
}

impl Summary {
    fn add(&mut self, file: &CaseFile, issuer: &Issuer, now: UnixTime) -> anyhow::Result<()> {
        for case in &file.cases {
            // A case knows nothing of the others: each has a machine, and what that counts, of its own.
            let found = Machine::new(&file.configuration, issuer)?.decide(case, now)?;
            match difference(&case.expected, &found) {
                None => self.passed += 1,
                Some(difference) => {
                    self.failed += 1;
                    self.failures.push(Failure {
                        file: file.name.clone(),
                        line: case.line,
                        name: case.name.clone(),
                        difference,
                        source: case.source.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn text(&self, output: TestOutput) -> anyhow::Result<String> {
        if output == TestOutput::Json {
            return Ok(json(self)?);
        }
        if self.passed + self.failed == 0 && !self.problems.is_empty() {
            // That nothing failed of nothing would be read as success.
            return Ok(String::new());
        }
        let mut out = String::new();
        for failure in &self.failures {
            let Failure { file, line, name, difference, source } = failure;
            writeln!(out, "failed: {file}:{line}: {}\n  {}", printable(name), printable(difference))?;
            if let Some(source) = source {
                writeln!(out, "  says {}", printable(source))?;
            }
        }
        writeln!(out, "{} passed, {} failed", self.passed, self.failed)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_file_of_cases_acts_on_a_terminal() {
        let acting = "a\u{1b}]0;title\u{7}\u{9b}31m\u{202e}";
        let failure = Failure {
            file: "cases.yaml".to_owned(),
            line: 3,
            name: acting.to_owned(),
            difference: acting.to_owned(),
            source: Some(acting.to_owned()),
        };
        let summary = Summary { failed: 1, failures: vec![failure], ..Summary::default() };
        for output in [TestOutput::Text, TestOutput::Json] {
            let told = summary.text(output).unwrap();
            assert!(told.contains("title"), "{told}");
            assert!(!told.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{told:?}");
        }
    }
}
