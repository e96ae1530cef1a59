mod acceptance;
mod app_check;
mod exchange;
mod google_callers;
mod hints;
mod listeners;
mod masks;
mod named_files;
mod rate_limits;
mod refused_parts;
mod rendering;
mod rules;
mod tokens;

use std::io;
use std::path::Path;

use super::*;

const MINIMAL: &str = "\
project: my-project
backends:
  api: https://api-abc123-uc.a.run.app
allow: [allAuthenticatedUsers]
";

/// Files that are there, whatever their names, and empty; but for `missing.yaml` and some security policies.
struct EmptyFiles;

/// A security policy of one rule before the default rule.
fn security_policy(rule: &str) -> String {
    format!(
        "rules:\n- {{priority: 1, {rule}}}\n- {{priority: 2147483647, action: allow, match: {{versionedExpr: SRC_IPS_V1, config: \
         {{srcIpRanges: ['*']}}}}}}\n"
    )
}

impl NamedFiles for EmptyFiles {
    fn read(&self, name: &Path) -> io::Result<String> {
        let expression = |action: &str, text: &str| {
            security_policy(&format!("action: {action}, match: {{expr: {{expression: \"{text}\"}}}}"))
        };
        let limit = "throttle, rateLimitOptions: {rateLimitThreshold: {count: 1, intervalSec: 60}, exceedAction: deny(429), \
            enforceOnKey: IP}";
        Ok(match name.to_str().unwrap_or_default() {
            "missing.yaml" => return Err(io::ErrorKind::NotFound.into()),
            "armor.yaml" | "api-armor.yaml" => expression("deny(403)", "request.path == '/closed'"),
            "regions.yaml" => expression("deny(403)", "origin.region_code == 'AQ'"),
            "limits.yaml" => expression(limit, "request.path == '/sign-in'"),
            "apps.yaml" => expression(&limit.replace(": IP", ": APP_ID"), "request.path == '/sign-in'"),
            "users.yaml" => expression("deny(403)", "auth.uid == 'mallory'"),
            _ => String::new(),
        })
    }
}

fn read(text: &str) -> Result<Configuration, Diagnostics> {
    parse_with_files("firegate.yaml", text, &EmptyFiles)
}

fn accepted(text: &str) -> Configuration {
    read(text).unwrap_or_else(|found| panic!("{text}\n{found}"))
}

/// The codes and paths of all findings, errors and warnings, in the order of the file.
fn findings(text: &str) -> Vec<String> {
    let diagnostics = match read(text) {
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
    match read(text) {
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
