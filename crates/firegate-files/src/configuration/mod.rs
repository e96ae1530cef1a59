//! `firegate.yaml`: the configuration of the front door.
//!
//! A file goes through three steps, each of which reports everything it finds: [`crate::yaml`] makes a tree with
//! places, `shape` compares the tree with the schema, and `check` makes the model. The flags of the command line enter at
//! the last step, so that the same checks hold.

mod check;
mod development;
mod google;
mod model;
mod named_files;
mod names;
mod opened_files;
mod path_pattern;
mod quantity;
mod rate_limits;
pub(crate) mod schema;
pub(crate) mod shape;
mod source;
mod url_map_alone;
mod variables_file;

use std::collections::{BTreeMap, BTreeSet};

pub use development::{ConnectThroughError, EmulatorTrustError};
pub use google::{GoogleEndpoints, is_loopback, join};
pub use model::{
    AcceptedToken, Access, AccessLogSettings, AllowedOrigins, Anonymous, AppCheck, AssertionSettings,
    Backend, Behind, Certificate, Configuration, ConnectionLimits, Cors, Credential, EncodedSlash, Endpoint,
    Enforce, HealthCheck, IdentityHeaders, MaskedBackend, Plaintext, PolicyFile, Protocol, Revocation, Route,
    Routing, Share, StreamsUntil, Tenants, Timeouts, Tls, TokenSource, Trust, UserToken, Users,
};
pub use named_files::{NamedFiles, NoFiles, unreadable_hint};
pub use names::{
    BackendName, NameError, Origin, ProjectId, ProjectNumber, ServiceAccountEmail, TenantId,
    WorkloadIdentityProvider, listen_address,
};
pub use opened_files::{OpenedFile, OpenedFiles};
pub use path_pattern::{PathPattern, RESERVED_PREFIX};
pub use rate_limits::{
    CountAlgorithm, LimitsStore, OnStoreFailure, Password, RateLimitSettings, RateLimits, RedisServer,
};
pub use schema::json_schema;
pub use url_map_alone::url_map_alone;
pub use variables_file::configuration_of_variables;

use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::export;
use crate::yaml::{self, Document, Part};

use check::Given;
use source::{BackendSource, ConfigurationSource, UrlSource};

/// The name of the backend that is given by a flag.
const FLAG_BACKEND: &str = "backend";

/// The environment variable that may hold a configuration's text.
pub const CONFIGURATION_VARIABLE: &str = "FIREGATE_CONFIG";

/// Reads a configuration that names no files; see [`parse_with_files`].
///
/// # Errors
///
/// As [`parse_with_files`].
pub fn parse(file_name: &str, text: &str) -> Result<Configuration, Diagnostics> {
    parse_with_files(file_name, text, &NoFiles)
}

/// Reads a configuration and the files that it names. `file_name` is what the diagnostics call it: the file, or the variable
/// that held it.
///
/// # Errors
///
/// Everything that is wrong, errors and warnings, in the order of the file. Warnings alone do not refuse: they are
/// in [`Configuration::warnings`].
pub fn parse_with_files(
    file_name: &str,
    text: &str,
    files: &dyn NamedFiles,
) -> Result<Configuration, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let Some(document) = yaml::parse(file_name, text, &mut diagnostics) else {
        return Err(diagnostics);
    };
    let root = YamlPath::root();
    if document.get(&root.key(CONFIGURATION_VARIABLE)).is_some() {
        let found = Diagnostic::error(
            code::VARIABLES_FILE,
            format!("these are environment variables, and the configuration is the text of `{CONFIGURATION_VARIABLE}`"),
        )
        .hint(format!(
            "`firegate check {file_name} --on-cloud-run` checks that text; elsewhere give the configuration a file of its own"
        ));
        document.report(&mut diagnostics, &root.key(CONFIGURATION_VARIABLE), Part::Key, found);
        return Err(diagnostics);
    }
    if let Some(found) = other_file(&document) {
        diagnostics.push(Diagnostic { place: Some(document.place_of_first_line()), ..found });
        return Err(diagnostics);
    }
    let shaped = shape::check(&schema::SCHEMA, &document, &mut diagnostics);
    if shaped.refused.contains(&YamlPath::root()) {
        return Err(diagnostics);
    }
    let configuration = match serde_json::from_value::<ConfigurationSource>(shaped.json) {
        Ok(source) => {
            let given = Given::File(&document);
            check::configuration(source, given, shaped.refused, files, &mut diagnostics)
        }
        // The schema is made from the same types, so this cannot be; if it is, it refuses.
        Err(error) => {
            diagnostics
                .push(Diagnostic::error(code::WRONG_TYPE, format!("this is not a configuration: {error}")));
            None
        }
    };
    finish(configuration, diagnostics)
}

/// That a file is another one: what is wrong with it as a configuration would be each of its keys.
fn other_file(document: &Document) -> Option<Diagnostic> {
    let has = |key: &str| document.root.get(key).is_some();
    if ["project", "backends"].into_iter().any(has) {
        return None;
    }
    let (what, hint) = if has("type") && (has("private_key") || has("client_id") || has("audience")) {
        let hint = "name it in the environment variable GOOGLE_APPLICATION_CREDENTIALS; a configuration says who may call what";
        ("this is a credential and no configuration".to_owned(), hint.to_owned())
    } else if has("terraform_version") {
        let hint = "write a configuration; for exports of what Terraform made it has keys, such as `url_map`";
        ("this is Terraform's own record of what it made, and no configuration".to_owned(), hint.to_owned())
    } else if has("apiVersion") && has("data") {
        let hint = "give the configuration in it a file of its own, as a container finds it mounted";
        ("this is a manifest of Kubernetes and no configuration".to_owned(), hint.to_owned())
    } else if has("cases") {
        let hint = "firegate test FILE";
        ("these are decision cases and no configuration".to_owned(), hint.to_owned())
    } else {
        let format = export::format_of(&document.root)?;
        let what = format!("this is a file of Google's and no configuration: {}", format.title);
        (what, format!("name it in a configuration, as `{}`", format.key))
    };
    // Credentials and Terraform's records are secrets; none of these files helps by its first line.
    Some(Diagnostic::error(code::OTHER_KIND, what).hint(hint).conceal())
}

/// The tree of a text, if it is one; what is wrong with it is told by [`parse_with_files`].
fn parse_tree(file_name: &str, text: &str) -> Option<Document> {
    yaml::parse(file_name, text, &mut Diagnostics::new())
}

fn finish(
    configuration: Option<Configuration>,
    mut diagnostics: Diagnostics,
) -> Result<Configuration, Diagnostics> {
    diagnostics.sort();
    match configuration {
        Some(configuration) => Ok(Configuration { warnings: diagnostics, ..configuration }),
        None => Err(diagnostics),
    }
}

impl Configuration {
    /// The configuration that `--project`, `--backend` and `--allow` describe: one backend for all paths, and every
    /// other value at its default. The checks are those of a file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, by the name of its flag.
    pub fn minimal(project: &str, backend_url: &str, members: &[String]) -> Result<Self, Diagnostics> {
        let backend = BackendSource::Url(UrlSource(backend_url.to_owned()));
        let source = ConfigurationSource {
            project: Some(project.to_owned()),
            backends: Some(BTreeMap::from([(FLAG_BACKEND.to_owned(), backend)])),
            allow: (!members.is_empty()).then(|| members.to_vec()),
            ..ConfigurationSource::default()
        };
        let mut diagnostics = Diagnostics::new();
        let configuration =
            check::configuration(source, Given::Flags, BTreeSet::new(), &NoFiles, &mut diagnostics);
        finish(configuration, diagnostics)
    }

    /// The files of keys and passwords, and the database of addresses, that it names and that are read when it is put in force.
    /// Certificates are not among them: they have a life of their own.
    pub fn key_files(&self) -> impl Iterator<Item = &std::path::Path> {
        let server = match &self.limits_store {
            LimitsStore::Redis(server) => Some(server),
            LimitsStore::Memory => None,
        };
        let server =
            server.into_iter().flat_map(|server| server.password_file.iter().chain(&server.ca_certificates));
        let assertion = self.assertion.key.iter().chain(&self.assertion.previous_keys);
        assertion.chain(server).chain(&self.geo).map(std::path::PathBuf::as_path)
    }

    /// Whose tokens are trusted.
    pub fn trust(&self) -> Trust {
        self.trust
    }
}

#[cfg(test)]
mod tests;
