//! Tests of expressions, in the format of Google's own tool.

use std::path::Path;

use firegate_files::diagnostic::{Diagnostic, Diagnostics, code};
use firegate_files::expression_suite::{ExpressionSuite, Verdict};
use firegate_proxy::ReloadError;

use super::{Failure, Summary};
use crate::named_files::{called, read_argument, read_contents};

/// Whether a file is one of tests of an expression.
pub(super) fn is_suite(path: &Path) -> bool {
    let text = read_contents(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut diagnostics = Diagnostics::new();
    let suite = text.and_then(|text| ExpressionSuite::parse("", &text, &mut diagnostics));
    suite.is_some() && !diagnostics.has_errors()
}

/// Runs the tests of a file; false if it cannot be used, and then the problems say why.
pub(super) fn run(path: &Path, summary: &mut Summary) -> bool {
    let file = called(path);
    let mut diagnostics = Diagnostics::new();
    let suite = match read_argument(path) {
        Ok(text) => ExpressionSuite::parse(&file, &text, &mut diagnostics),
        Err(ReloadError::Check(found)) => {
            diagnostics = found;
            None
        }
        Err(ReloadError::Read { source, .. }) => {
            let message = format!("{file} cannot be read: {source}");
            diagnostics.push(Diagnostic::error(code::FILE_UNREADABLE, message));
            None
        }
        Err(error) => {
            diagnostics.push(Diagnostic::error(code::FILE_UNREADABLE, error.to_string()));
            None
        }
    };
    summary.problems.append(diagnostics);
    let Some(suite) = suite else { return false };
    for case in suite.cases() {
        match suite.judge(case) {
            Verdict::Passed => summary.passed += 1,
            Verdict::Failed(why) => {
                summary.failed += 1;
                let parts = suite.explain(case).join("\n    ");
                summary.failures.push(Failure {
                    file: file.clone(),
                    line: case.line(),
                    name: format!("{}/{}", suite.name(), case.name()),
                    difference: format!("{why}\n    {parts}"),
                    source: None,
                });
            }
        }
    }
    true
}
