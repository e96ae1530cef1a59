//! `firegate check`: reads a configuration and every file that it names, and says at once everything that is wrong.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use firegate_core::time::SharedClock;
use firegate_files::diagnostic::{Diagnostic, Diagnostics, Severity, Style, YamlPath, code};
use firegate_files::yaml::{self, Document, Part};
use firegate_proxy::{ReloadError, StartError, preflight};

use super::serve::ServeArguments;
use super::serve::origin::Origin;
use crate::environment::Environment;

/// The configuration that is read if none is named.
const FILE_DEFAULT: &str = "firegate.yaml";

/// The arguments of `firegate check`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArguments {
    /// The configuration file; without it the text in FIREGATE_CONFIG, or else firegate.yaml.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is written to standard output.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Check for a front door on Cloud Run, whose instances share no disk.
    #[arg(long)]
    pub on_cloud_run: bool,
    /// End as with an error if there are warnings.
    #[arg(long)]
    pub strict: bool,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// With the lines of the files, for people.
    Text,
    /// A JSON list, for editors and CI.
    Json,
}

/// Checks a configuration. The process ends with 0 if it is sound, with 1 if it is not, and with 2 if it could not be read.
///
/// # Errors
/// If the configuration cannot be read.
pub fn run(
    arguments: CheckArguments,
    environment: &Environment,
    clock: &SharedClock,
) -> anyhow::Result<ExitCode> {
    let inline = environment.inline_configuration.is_some();
    let config = arguments.config.or_else(|| (!inline).then(|| FILE_DEFAULT.into()));
    let serve =
        ServeArguments { config, project: None, backend: None, allow: Vec::new(), listen: Vec::new() };
    let origin = Origin::of(&serve, environment)?;
    let diagnostics = match origin.read().0 {
        Ok(configuration) => {
            let mut diagnostics = configuration.warnings.clone();
            let on_cloud_run = arguments.on_cloud_run || environment.on_cloud_run;
            let found = preflight(&configuration, on_cloud_run, clock);
            let document = document(&serve, environment);
            for (path, error) in found.errors {
                report(
                    &mut diagnostics,
                    document.as_ref(),
                    path,
                    told(Severity::Error, code_of(&error), &error.to_string()),
                );
            }
            for (path, advice) in found.advice {
                report(
                    &mut diagnostics,
                    document.as_ref(),
                    path,
                    told(Severity::Warning, code::START, advice),
                );
            }
            diagnostics
        }
        Err(ReloadError::Check(diagnostics)) => diagnostics,
        Err(error) => return Err(error.into()),
    };
    write(&diagnostics, arguments.output);
    let warned = diagnostics.iter().any(|found| found.severity == Severity::Warning);
    Ok(ExitCode::from(u8::from(diagnostics.has_errors() || (arguments.strict && warned))))
}

/// The configuration as a tree, for the places of its keys.
fn document(arguments: &ServeArguments, environment: &Environment) -> Option<Document> {
    let (name, text) = match &arguments.config {
        Some(path) => (path.display().to_string(), fs::read_to_string(path).ok()?),
        None => ("FIREGATE_CONFIG".to_owned(), environment.inline_configuration.clone()?),
    };
    yaml::parse(&name, &text, &mut Diagnostics::new())
}

/// The code of what keeps a front door from opening.
fn code_of(error: &StartError) -> &'static str {
    match error {
        StartError::UrlMapTests(_) => code::URL_MAP_TEST_FAILS,
        _ => code::KEY_FILE,
    }
}

/// A message of the front door's as a finding: what follows `hint: ` is its hint.
fn told(severity: Severity, code: &'static str, message: &str) -> Diagnostic {
    let (message, hint) = match message.split_once("hint: ") {
        Some((message, hint)) => (message.trim_end_matches([' ', '\n', ';']), Some(hint)),
        None => (message, None),
    };
    let finding = match severity {
        Severity::Error => Diagnostic::error(code, message),
        Severity::Warning | Severity::Note => Diagnostic::warning(code, message),
    };
    finding.hint_if(hint)
}

fn report(diagnostics: &mut Diagnostics, document: Option<&Document>, path: &str, finding: Diagnostic) {
    match document {
        Some(document) => {
            let path = path.split('.').fold(YamlPath::root(), |path, key| path.key(key));
            document.report(diagnostics, &path, Part::Value, finding);
        }
        // Without a tree there is no place, and the message names the file.
        None => diagnostics.push(finding),
    }
}

/// Writes what was found, and for people a last line with the sum.
fn write(diagnostics: &Diagnostics, output: Output) {
    if output == Output::Json {
        // A list of texts and numbers is always JSON.
        println!("{}", serde_json::to_string_pretty(diagnostics).unwrap_or_default());
        return;
    }
    let style = if std::io::stdout().is_terminal() { Style::Coloured } else { Style::Plain };
    if !diagnostics.is_empty() {
        println!("{}", diagnostics.render(style));
    }
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match (diagnostics.has_errors(), warnings) {
        (true, _) => println!("{errors} error(s), {warnings} warning(s)"),
        (false, 0) => println!("the configuration is sound"),
        (false, _) => println!("the configuration is sound, {warnings} warning(s)"),
    }
}
