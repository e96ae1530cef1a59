mod acceptance;
mod rendering;
mod rules;
mod tokens;

use super::*;

const MINIMAL: &str = "\
project: my-project
backends:
  api: https://api-abc123-uc.a.run.app
allow: [allAuthenticatedUsers]
";

fn accepted(text: &str) -> Configuration {
    parse("firegate.yaml", text).unwrap_or_else(|found| panic!("{text}\n{found}"))
}

/// The codes and paths of all findings, errors and warnings, in the order of the file.
fn findings(text: &str) -> Vec<String> {
    let diagnostics = match parse("firegate.yaml", text) {
        Ok(configuration) => configuration.warnings,
        Err(diagnostics) => {
            assert!(diagnostics.has_errors(), "refused without an error: {text}");
            diagnostics
        }
    };
    diagnostics.iter().map(|found| format!("{} {}", found.code, found.path)).collect()
}

/// The minimal configuration with `more` at its end.
fn with(more: &str) -> String {
    format!("{MINIMAL}{more}")
}

/// A configuration with one backend, `api`, that has these lines.
fn backend(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("project: my-project\nallow: [allAuthenticatedUsers]\nbackends:\n  api:\n{lines}")
}

fn rendered(text: &str) -> String {
    match parse("firegate.yaml", text) {
        Ok(configuration) => configuration.warnings.to_string(),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(findings(text), expected, "{text}");
}

fn api(configuration: &Configuration) -> &Backend {
    configuration.backends.values().next().unwrap()
}
