//! `firegate export`: a file of Google's, written so that Google's import takes it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use firegate_files::configuration::NamedFiles as _;
use firegate_files::export::export;
use firegate_files::google_file::Form;

use crate::logging::tell_findings;
use crate::named_files::DiskFiles;
use crate::standard_output;

/// The arguments of `firegate export`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                  firegate export url-map.yaml > for-import.yaml\n\n\
                  Fields that Firegate does not know are kept; what Google sets by itself is left out.\n\nExit codes: 0 if the file is \
                  written; 1 if it is none of Google's, or not sound; 2 if it cannot be read.")]
pub struct ExportArguments {
    /// The file: a URL map, a security policy, an IAM policy … as gcloud writes it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How it is written. Without it, as the file's name ends, and else as YAML.
    #[arg(long, value_enum)]
    pub form: Option<ExportForm>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportForm {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// Writes the file to standard output. The process ends with 1 if the file is not one of Google's, or not sound.
///
/// # Errors
/// If it cannot be read, or there is nowhere to write.
pub fn run(arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display().to_string();
    let text =
        DiskFiles::default().read(&arguments.file).with_context(|| format!("{name} cannot be read"))?;
    match export(&name, &text, form(arguments.form, &arguments.file)) {
        Ok(exported) => {
            if !exported.notes.is_empty() {
                tell_findings(&exported.notes);
            }
            standard_output::write(&exported.text)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(found) => {
            tell_findings(&found);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn form(asked: Option<ExportForm>, file: &Path) -> Form {
    let is_json = file.extension().is_some_and(|end| end == "json");
    match asked {
        Some(ExportForm::Json) => Form::Json,
        None if is_json => Form::Json,
        Some(ExportForm::Yaml) | None => Form::Yaml,
    }
}
