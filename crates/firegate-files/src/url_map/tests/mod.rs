mod actions;
mod error_policy;
mod exports;
mod matching;
mod whole;

use firegate_expr::Dialect;

use crate::diagnostic::{Diagnostics, Severity};

use super::*;

/// A map with these lines after its default service.
fn map(lines: &str) -> String {
    format!("name: m\ndefaultService: web\n{lines}")
}

/// A map with one path matcher for all hosts that has these lines.
fn matcher(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    map(&format!(
        "hostRules:\n- hosts: ['*']\n  pathMatcher: pm\npathMatchers:\n- name: pm\n  defaultService: web\n{lines}"
    ))
}

/// A map with one route rule that has these lines.
fn route(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    matcher(&format!("routeRules:\n- priority: 1\n{lines}"))
}

fn read(text: &str, dialect: Dialect) -> (Option<UrlMap>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let map = parse("map.yaml", text, dialect, None, &mut diagnostics);
    assert_eq!(map.is_none(), diagnostics.has_errors(), "{text}\n{diagnostics}");
    (map, diagnostics)
}

/// The code, severity, path and line of every finding.
fn findings(text: &str, dialect: Dialect) -> Vec<String> {
    let (_, diagnostics) = read(text, dialect);
    let line = |found: &crate::diagnostic::Diagnostic| {
        let severity = match found.severity {
            Severity::Error => "",
            Severity::Warning => "warning ",
            Severity::Note => "note ",
        };
        format!("{severity}{} {}", found.code, found.path)
    };
    diagnostics.iter().map(line).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(findings(text, Dialect::Gcloud), expected, "{text}");
}

/// As [`check`], for both dialects.
#[track_caller]
fn check_dialects(text: &str, gcloud: &[&str], firegate: &[&str]) {
    check(text, gcloud);
    assert_eq!(findings(text, Dialect::Firegate), firegate, "{text}");
}

fn accepted(text: &str) -> UrlMap {
    let (map, diagnostics) = read(text, Dialect::Gcloud);
    map.unwrap_or_else(|| panic!("{text}\n{diagnostics}"))
}
