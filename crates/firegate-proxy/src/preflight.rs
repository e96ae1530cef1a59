//! What can be told of a configuration before a front door is opened with it: the files of keys and certificates that it names,
//! the tests of its URL map, as whom services would be called, and what opening it would say. No call is made and nothing is
//! kept.

use std::path::PathBuf;

use firegate_core::snapshot::Snapshot;
use firegate_files::configuration::{Configuration, Credential, OpenedFile, OpenedFiles};
use firegate_files::diagnostic::YamlPath;
use firegate_google::credentials::{Environment, discover};

use crate::assertions::{check_data_dir, read_key, read_public_key};
use crate::control::credential_source;
use crate::generation::{behind_advice, check_without_key, test_url_map};
use crate::geography::Database;
use crate::limits_store::{read_file, read_password};
use crate::listen::Certificates;
use crate::start::StartError;
use crate::upstream::read_roots;

/// What a front door would say of a configuration.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Why it would not open.
    pub errors: Vec<PreflightError>,
    /// Why it would not open on this machine, where it is another machine's credentials that count.
    pub credentials: Vec<PreflightError>,
    /// What it would advise, each with the path of the key that is meant. A line that begins with `hint: ` says what to do.
    pub advice: Vec<(YamlPath, &'static str)>,
}

/// Why a front door would not open.
#[derive(Debug)]
pub struct PreflightError {
    /// The path of the value that is at fault.
    pub path: YamlPath,
    /// The file that is at fault, if it is one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub error: StartError,
}

/// Opens the files that a configuration names, as a front door does.
pub fn preflight_files(files: &OpenedFiles, on_cloud_run: bool) -> Vec<PreflightError> {
    let mut errors = Vec::new();
    let mut look = |named: &OpenedFile, opened: Result<(), StartError>| {
        let OpenedFile { path, file } = named.clone();
        errors.extend(opened.err().map(|error| PreflightError { path, file: Some(file), error }));
    };
    if let Some(key) = &files.assertion_key {
        look(key, read_key(&key.file).map(drop).map_err(StartError::from));
    }
    for key in &files.previous_keys {
        look(key, read_public_key(&key.file).map(drop).map_err(StartError::from));
    }
    // On Cloud Run none is made.
    if let Some(data_dir) = files.data_dir.as_ref().filter(|_| !on_cloud_run) {
        look(data_dir, check_data_dir(&data_dir.file).map_err(StartError::from));
    }
    if let Some(database) = &files.geo {
        look(database, Database::open(&database.file).map(drop).map_err(StartError::from));
    }
    for (backend, roots) in &files.backend_roots {
        look(roots, read_roots(backend, &roots.file).map(drop).map_err(StartError::from));
    }
    if let Some(password) = &files.store_password {
        look(password, read_password(&password.file).map(drop).map_err(StartError::from));
    }
    if let Some(roots) = &files.store_roots {
        look(roots, read_file(&roots.file).map(drop).map_err(StartError::from));
    }
    let (paths, names): (Vec<_>, Vec<_>) = files.certificates.iter().cloned().unzip();
    for (place, error) in Certificates::faults(&names) {
        let (Some(path), Some(name)) = (paths.get(place), names.get(place)) else { continue };
        let file = error.file().to_owned();
        let path = path.key(if file == name.key { "key" } else { "cert" });
        errors.push(PreflightError { path, file: Some(file), error: error.into() });
    }
    errors
}

/// Asks what a front door would say of this configuration, on Cloud Run or elsewhere. Without `credentials` it is not asked as
/// whom services are called.
pub fn preflight(
    configuration: &Configuration,
    on_cloud_run: bool,
    credentials: Option<&Environment>,
) -> Preflight {
    let mut found = Preflight::default();
    let root = YamlPath::root();
    let snapshot = Snapshot::compile(configuration);
    found.errors.extend(failed_tests(configuration, &snapshot));
    if on_cloud_run && configuration.assertion.key.is_none() {
        match check_without_key(&snapshot) {
            Ok(Some(advice)) => found.advice.push((root.key("assertion"), advice)),
            Ok(None) => {}
            Err(error) => {
                let path = root.key("exchange").key("enabled");
                found.errors.push(PreflightError { path, file: None, error });
            }
        }
    }
    if let Some(advice) = behind_advice(configuration.behind.as_ref(), on_cloud_run) {
        found.advice.push((root.key("behind"), advice));
    }
    found.credentials =
        credentials.map(|environment| refused(configuration, environment)).unwrap_or_default();
    found
}

/// Runs the tests of a configuration's URL map.
pub fn preflight_url_map(configuration: &Configuration) -> Option<PreflightError> {
    failed_tests(configuration, &Snapshot::compile(configuration))
}

fn failed_tests(configuration: &Configuration, snapshot: &Snapshot) -> Option<PreflightError> {
    let error = test_url_map(configuration, snapshot).err()?;
    Some(PreflightError { path: YamlPath::root().key("url_map"), file: None, error })
}

/// The credential by which services would be called, if there is none that can be used. Backends have it in common, and it is
/// told at the first of them.
fn refused(configuration: &Configuration, environment: &Environment) -> Vec<PreflightError> {
    let backends = configuration.backends.iter().filter(|(_, backend)| {
        matches!(backend.credential, Credential::Default | Credential::Impersonate { .. })
    });
    let mut refused = backends.filter_map(|(name, backend)| {
        let error = credential_source(&backend.credential, || discover(environment)).err()?;
        let path = YamlPath::root().key("backends").key(name.as_str()).key("credential");
        Some(PreflightError { path, file: None, error })
    });
    refused.next().into_iter().collect()
}
