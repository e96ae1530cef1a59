//! `firegate check`: reads a configuration and every file that it names, and says at once everything that is wrong.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use firegate_files::configuration::{self, CONFIGURATION_VARIABLE, OpenedFiles, configuration_of_variables};
use firegate_files::diagnostic::{Diagnostic, Diagnostics, Severity, Style, YamlPath, code};
use firegate_files::yaml::{self, Part};
use firegate_google::credentials::Environment as Credentials;
use firegate_proxy::{
    Preflight, PreflightError, ReloadError, StartError, preflight, preflight_files, preflight_url_map,
};

use super::serve::origin::metadata;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::named_files::{DiskFiles, called, read_argument};
use crate::printable::json;
use crate::standard_output;

/// The configuration that is read if none is named.
const FILE_DEFAULT: &str = "firegate.yaml";

/// The arguments of `firegate check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                  firegate check -c firegate.yaml\n  \
                  firegate check -c firegate.yaml --on-cloud-run --strict\n\n\
                  Exit codes: 0 if the configuration is sound; 1 if it is not, or with --strict if there are warnings; 2 if it \
                  cannot be read.")]
pub struct CheckArguments {
    /// The configuration file, or a file of environment variables with one in FIREGATE_CONFIG; `-` is standard input. Without
    /// it the text in FIREGATE_CONFIG, or else firegate.yaml.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// The same.
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

/// For which machine a configuration is checked.
struct Machine {
    on_cloud_run: bool,
    /// What this machine has to call services with; absent if it is another one that the configuration is for.
    credentials: Option<Credentials>,
}

/// Checks a configuration. The process ends with 0 if it is sound, with 1 if it is not, and with 2 if it could not be read.
///
/// # Errors
/// If the configuration cannot be read.
pub fn run(arguments: CheckArguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    // What is wrong with the environment keeps `serve` from starting, too.
    metadata(environment)?;
    let named = arguments.file.or(arguments.config);
    let inline = environment.inline_configuration.as_ref().filter(|_| named.is_none());
    let (name, text) = match inline {
        Some(text) => (CONFIGURATION_VARIABLE.to_owned(), Ok(text.clone())),
        None => {
            let file = named.as_deref().unwrap_or(Path::new(FILE_DEFAULT));
            match read(file, named.is_some()) {
                Ok(text) => (called(file), text),
                Err(error) if arguments.output == Output::Json => return unreadable(&error),
                Err(error) => return Err(error),
            }
        }
    };
    let is_elsewhere = arguments.on_cloud_run && !environment.on_cloud_run;
    let machine = Machine {
        on_cloud_run: arguments.on_cloud_run || environment.on_cloud_run,
        credentials: (!is_elsewhere).then(|| environment.credentials()),
    };
    let diagnostics = match text {
        Ok(text) => {
            let variables = configuration_of_variables(&name, &text);
            let (name, text) = variables.unwrap_or_else(|| (name.clone(), text));
            check(&name, &text, &machine)
        }
        Err(diagnostics) => diagnostics,
    };
    standard_output::write(&told_as(arguments.output, &name, &diagnostics)?)?;
    let warned = diagnostics.iter().any(|found| found.severity == Severity::Warning);
    Ok(ExitCode::from(u8::from(diagnostics.has_errors() || (arguments.strict && warned))))
}

/// That there is nothing to check, for whoever reads JSON.
fn unreadable(error: &anyhow::Error) -> anyhow::Result<ExitCode> {
    let mut diagnostics = Diagnostics::new();
    diagnostics.push(Failure::of(error).finding(code::FILE_UNREADABLE));
    standard_output::write(&json(&diagnostics)?)?;
    Ok(ExitCode::from(2))
}

/// The text of a file, or what is wrong with it.
fn read(file: &Path, is_named: bool) -> anyhow::Result<Result<String, Diagnostics>> {
    match read_argument(file) {
        Ok(text) => Ok(Ok(text)),
        Err(ReloadError::Check(diagnostics)) => Ok(Err(diagnostics)),
        Err(ReloadError::Read { source, .. }) if !is_named => {
            bail!(
                "no configuration is named, {CONFIGURATION_VARIABLE} is not set, and {FILE_DEFAULT} cannot be read: {source}\nhint: \
                 firegate check FILE\nhint: to see what a configuration is: docs/configuration.md; to try it on this machine \
                 without one: firegate dev"
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// Everything that is wrong with a configuration. What it names is opened whether or not the rest of it is sound.
fn check(name: &str, text: &str, machine: &Machine) -> Diagnostics {
    let parsed = configuration::parse_with_files(name, text, &DiskFiles::default());
    let found = parsed
        .as_ref()
        .ok()
        .map(|configuration| preflight(configuration, machine.on_cloud_run, machine.credentials.as_ref()));
    let mut diagnostics = match parsed {
        Ok(configuration) => configuration.warnings,
        Err(diagnostics) => diagnostics,
    };
    // A text that is no tree names nothing.
    let Some(document) = yaml::parse(name, text, &mut Diagnostics::new()) else { return diagnostics };
    let mut report = |path: &YamlPath, finding| document.report(&mut diagnostics, path, Part::Value, finding);
    for error in preflight_files(&OpenedFiles::of(&document), machine.on_cloud_run) {
        report(&error.path, machine.told(&error));
    }
    let found = found.unwrap_or_else(|| {
        let alone = configuration::url_map_alone(&document, &DiskFiles::default());
        let failed = alone.as_ref().and_then(preflight_url_map);
        Preflight { errors: failed.into_iter().collect(), ..Preflight::default() }
    });
    for error in &found.errors {
        report(&error.path, machine.told(error));
    }
    for PreflightError { path, error, .. } in &found.credentials {
        let message = format!("on this machine a front door would not start: {error}");
        let finding = Diagnostic::warning(code_of(error), message).hint(
            "where the front door runs, the credentials there count; `--on-cloud-run` leaves those of this machine out",
        );
        report(path, finding);
    }
    for (path, advice) in found.advice {
        report(&path, told(Severity::Warning, code::START, advice));
    }
    diagnostics.sort();
    diagnostics
}

impl Machine {
    /// What keeps a front door from opening, as a finding.
    fn told(&self, found: &PreflightError) -> Diagnostic {
        let PreflightError { path, file, error } = found;
        let is_password = *path == YamlPath::root().key("limits_store").key("password_file");
        let is_missing =
            |file: &PathBuf| std::fs::metadata(file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        match file {
            // A secret is mounted there, and nobody wants a copy of it on the machine that the configuration is written on.
            Some(file)
                if self.credentials.is_none() && is_missing(file) && (!is_password || file.is_absolute()) =>
            {
                let name = file.display();
                let hint = match error {
                    StartError::Geography(_) => "put it into the image, or mount a volume with it".to_owned(),
                    _ if file.is_absolute() => {
                        format!("mount it there: gcloud run deploy … --set-secrets={name}=SECRET:VERSION")
                    }
                    _ => "mount it there, and name it as it is mounted, for example `/secrets/key.pem`"
                        .to_owned(),
                };
                let message = format!("{name} is not on this machine, and was not checked");
                Diagnostic::note(code_of(error), message).hint(hint)
            }
            // It may be there for the user that the front door runs as, on the machine that it runs on: systemd makes it.
            Some(file) if *path == YamlPath::root().key("data_dir") && is_missing(file) => {
                let message = format!("on this machine a front door would not start: {error}");
                told(Severity::Warning, code_of(error), &message)
            }
            // What stands there may be the password itself.
            Some(file) if is_password && file.is_relative() => {
                told(Severity::Error, code_of(error), &error.to_string()).conceal()
            }
            _ => told(Severity::Error, code_of(error), &error.to_string()),
        }
    }
}

/// The code of what keeps a front door from opening.
fn code_of(error: &StartError) -> &'static str {
    match error {
        StartError::UrlMapTests(_) => code::URL_MAP_TEST_FAILS,
        StartError::Geography(_) => code::FILE_UNREADABLE,
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

/// What was found, and for people a last line that says of which configuration, and the sum.
fn told_as(output: Output, name: &str, diagnostics: &Diagnostics) -> anyhow::Result<String> {
    if output == Output::Json {
        return Ok(json(diagnostics)?);
    }
    let style = if standard_output::is_terminal() { Style::Coloured } else { Style::Plain };
    let mut text = diagnostics.render(style);
    if !diagnostics.is_empty() {
        text.push('\n');
    }
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    text += &match (diagnostics.has_errors(), warnings) {
        (true, _) => format!("{name}: {errors} error(s), {warnings} warning(s)\n"),
        (false, 0) => format!("{name}: the configuration is sound\n"),
        (false, _) => format!("{name}: the configuration is sound, {warnings} warning(s)\n"),
    };
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io;

    use firegate_proxy::AssertionKeyError;

    use super::*;

    #[test]
    fn a_data_directory_that_is_another_machines_is_no_error_and_one_that_is_wrong_is() {
        let machine = Machine { on_cloud_run: false, credentials: Some(Credentials::default()) };
        let severity = |key: &str, file: &Path| {
            let source = io::ErrorKind::PermissionDenied.into();
            let error = AssertionKeyError::Kept { path: file.join("assertion-keys.json"), source }.into();
            let path = YamlPath::root().key(key);
            machine.told(&PreflightError { path, file: Some(file.to_owned()), error }).severity
        };
        let (folder, nowhere) = (tempfile::tempdir().expect("a folder"), Path::new("/nowhere/firegate"));
        assert_eq!(severity("data_dir", nowhere), Severity::Warning);
        assert_eq!(severity("data_dir", folder.path()), Severity::Error);
        assert_eq!(severity("assertion", nowhere), Severity::Error);
    }
}
