//! Tests of expressions, in the format of Google's own tool.

use std::path::Path;

use anyhow::Context as _;
use firegate_files::diagnostic::Diagnostics;
use firegate_files::expression_suite::{ExpressionSuite, Verdict};
use firegate_files::text;

use super::{Failure, Summary};
use crate::logging::tell_findings;
use crate::named_files::read_contents;

/// Whether a file is one of tests of an expression.
pub(super) fn is_suite(path: &Path) -> bool {
    let text = read_contents(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut diagnostics = Diagnostics::new();
    let suite = text.and_then(|text| ExpressionSuite::parse("", &text, &mut diagnostics));
    suite.is_some() && !diagnostics.has_errors()
}

/// Runs the tests of a file; false if it cannot be used, and then it has been said why.
pub(super) fn run(path: &Path, summary: &mut Summary) -> anyhow::Result<bool> {
    let file = path.display().to_string();
    let bytes = read_contents(path).with_context(|| format!("{file} cannot be read"))?;
    let mut diagnostics = Diagnostics::new();
    let suite = match text::utf_8(&file, bytes) {
        Ok(text) => ExpressionSuite::parse(&file, &text, &mut diagnostics),
        Err(found) => {
            diagnostics = found;
            None
        }
    };
    if !diagnostics.is_empty() {
        tell_findings(&diagnostics);
    }
    let Some(suite) = suite else { return Ok(false) };
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
    Ok(true)
}
