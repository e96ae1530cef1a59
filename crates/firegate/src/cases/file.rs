//! A file of decision cases together with the configuration that it is about.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use firegate_core::reason::Code;
use firegate_files::configuration::{self, Configuration, NamedFiles};
use firegate_files::decision_cases::{self, ConfigurationSource, DecisionCase};
use firegate_files::diagnostic::{Diagnostics, code};
use firegate_files::yaml::{self, Document};
use firegate_proxy::ReloadError;

use crate::failure::Failure;
use crate::named_files::{DiskFiles, called, read_argument};

/// A file of cases, read and checked.
#[derive(Debug)]
pub struct CaseFile {
    /// Its name.
    pub name: String,
    /// The configuration that decides.
    pub configuration: Configuration,
    /// The same as a tree, for the places of its keys.
    pub document: Option<Document>,
    /// The cases.
    pub cases: Vec<DecisionCase>,
}

/// Why a file of cases cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseFileError {
    /// A file cannot be read.
    #[error("{name} cannot be read: {source}")]
    Read {
        /// Which one.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The cases or the configuration do not check.
    #[error("{0}")]
    Check(Diagnostics),
    /// Neither the file nor the command line has a configuration.
    #[error(
        "{0} names no configuration\n\nhint: add `configuration: firegate.yaml` to it, or give one: firegate test -c firegate.yaml {0}"
    )]
    NoConfiguration(String),
}

/// The texts that a file of cases brings along, and else the disk.
struct BroughtFiles<'a> {
    brought: &'a BTreeMap<PathBuf, String>,
    /// From where relative names count.
    directory: PathBuf,
    disk: DiskFiles,
}

impl NamedFiles for BroughtFiles<'_> {
    fn read(&self, name: &Path) -> io::Result<String> {
        match self.brought.get(name) {
            Some(text) => Ok(text.clone()),
            None => self.disk.read(&self.directory.join(name)),
        }
    }
}

impl CaseFile {
    /// Reads a file of cases. `configuration` is what decides where the file names none.
    ///
    /// # Errors
    /// If it, or the configuration, cannot be read or does not check.
    pub fn read(path: &Path, configuration: Option<&Path>) -> Result<Self, CaseFileError> {
        let (name, text) = (called(path), read_named(path)?);
        let codes = Code::ALL.iter().map(|code| code.entry().name).collect::<Vec<_>>();
        let file = decision_cases::parse(&name, &text, &codes).map_err(CaseFileError::Check)?;
        let here = path.parent().map(Path::to_owned).unwrap_or_default();
        let (source, text, directory) = match (&file.configuration, configuration) {
            // What the file brings along is at home beside it.
            (Some(ConfigurationSource::Text(text)), _) => {
                (format!("the configuration in {name}"), text.clone(), here)
            }
            (Some(ConfigurationSource::File(file)), _) => {
                let path = here.join(file);
                (path.display().to_string(), read(&path)?, PathBuf::new())
            }
            (None, Some(path)) => (called(path), read_named(path)?, PathBuf::new()),
            (None, None) => return Err(CaseFileError::NoConfiguration(name)),
        };
        let files = BroughtFiles { brought: &file.files, directory, disk: DiskFiles::default() };
        let configuration =
            configuration::parse_with_files(&source, &text, &files).map_err(CaseFileError::Check)?;
        let document = yaml::parse(&source, &text, &mut Diagnostics::new());
        Ok(Self { name, configuration, document, cases: file.cases })
    }
}

impl CaseFileError {
    /// The same as findings, as those of a file are.
    pub fn into_findings(self) -> Diagnostics {
        let code = match self {
            Self::Check(found) => return found,
            Self::Read { .. } => code::FILE_UNREADABLE,
            Self::NoConfiguration(_) => code::MISSING_KEY,
        };
        let mut findings = Diagnostics::new();
        findings.push(Failure::of(&self.into()).finding(code));
        findings
    }
}

/// The text of a file that the command line names.
fn read_named(path: &Path) -> Result<String, CaseFileError> {
    read_argument(path).map_err(|error| match error {
        ReloadError::Check(found) => CaseFileError::Check(found),
        ReloadError::Read { source, .. } => CaseFileError::Read { name: called(path), source },
        other => CaseFileError::Read { name: called(path), source: io::Error::other(other) },
    })
}

fn read(path: &Path) -> Result<String, CaseFileError> {
    DiskFiles::default()
        .read(path)
        .map_err(|source| CaseFileError::Read { name: path.display().to_string(), source })
}
