//! From the shape of a configuration to the checked model. Every problem is reported; no check stops another.
//!
//! A file for each part of the configuration. Here is the order in which they are checked, for some depend on others, and what
//! all of them use: names, files, durations, sizes, and how a finding is reported.

mod app_check;
mod backend;
mod connection;
mod credential;
mod edge;
mod exchange;
mod google;
mod google_callers;
mod iam;
mod load_balancer;
mod members;
mod rate_limits;
mod routing;
mod security_policy;
mod tokens;
mod url;
mod users;

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use self::load_balancer::Backends;
use self::members::InPlace;
use super::model::{AppCheck, Configuration, Dialect, PolicyFile, Trust, Users};
use super::named_files::{NamedFiles, unreadable_hint};
use super::names::{NameError, ProjectId, ProjectNumber};
use super::opened_files::DATA_DIR_DEFAULT;
use super::quantity;
use super::rate_limits::OnStoreFailure;
use super::source::{
    AssumeSource, CacheSource, ConfigurationSource, DialectSource, DigitsSource, DurationSource,
    FileFullSource, FileSource, SizeSource, TrustSource,
};
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::iam_policy::Roles;
use crate::limits::{AUDIENCE_BYTES_MAX, CACHE_BYTES_MAX};
use crate::members::Member;
use crate::suggestion::quoted;
use crate::text::is_contents;
use crate::yaml::{Document, Part};

/// The default of `cache.verified_tokens_bytes`.
const VERIFIED_TOKENS_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Where a configuration came from, for what is said about it.
pub(super) enum Given<'a> {
    /// A file.
    File(&'a Document),
    /// The flags of the command line.
    Flags,
}

/// Checks a configuration. The model is absent if, and only if, `diagnostics` has errors afterwards.
pub(super) fn configuration(
    source: ConfigurationSource,
    given: Given<'_>,
    refused: BTreeSet<YamlPath>,
    files: &dyn NamedFiles,
    diagnostics: &mut Diagnostics,
) -> Option<Configuration> {
    let mut checker = Checker { given, refused, files, diagnostics, listed_members: Vec::new() };
    let checked = checker.configuration(source);
    if diagnostics.has_errors() {
        return None;
    }
    if checked.is_none() {
        // Nothing is let through unexplained: what is not a configuration is an error.
        diagnostics.push(Diagnostic::error(code::WRONG_TYPE, "this is not a configuration"));
    }
    checked
}

/// What the whole configuration says that a backend is judged by; what did not pass is absent.
#[derive(Clone, Copy)]
struct Whole<'a> {
    on_store_failure: OnStoreFailure,
    roles: &'a Roles,
    project: Option<&'a ProjectId>,
    project_number: Option<&'a ProjectNumber>,
    users: Option<&'a Users>,
    app_check: Option<&'a AppCheck>,
}

struct Checker<'a> {
    given: Given<'a>,
    /// Values that were already reported and left out.
    refused: BTreeSet<YamlPath>,
    files: &'a dyn NamedFiles,
    diagnostics: &'a mut Diagnostics,
    /// The members of every `allow` that can be read, with their paths.
    listed_members: Vec<(YamlPath, Member)>,
}

impl Checker<'_> {
    fn configuration(&mut self, mut source: ConfigurationSource) -> Option<Configuration> {
        let root = YamlPath::root();
        let project = self.project(source.project.take());
        let project_number = self.project_number(source.project_number.take());
        self.trust(source.trust);
        let mut users = source.users.take().unwrap_or_default();
        let app_check_path = root.key("users").key("app_check");
        let app_check = self.app_check(&app_check_path, users.app_check.take(), project_number.as_ref());
        let users = self.users(users);
        let limits_store = self.limits_store(source.limits_store.take());
        let roles = self.roles(source.roles.take());
        let whole = Whole {
            roles: &roles,
            on_store_failure: limits_store.as_ref().map(|checked| checked.on_failure).unwrap_or_default(),
            project: project.as_ref(),
            project_number: project_number.as_ref(),
            users: users.as_ref(),
            app_check: app_check.as_ref(),
        };
        let exports = self.load_balancer(source.load_balancer.take(), whole);
        let checked = self.backends(source.backends.take(), source.allow.take(), &exports, whole);
        if let Some(backends) = &checked {
            self.expanded_backends(backends);
        }
        let backends = checked.as_ref().map(|backends| &backends.named);
        let groups = self.groups(source.groups.take());
        let judged = InPlace {
            users: users.as_ref(),
            project_number: project_number.as_ref(),
            groups: groups.as_ref(),
        };
        self.members_in_place(backends, judged);
        if let Some(backends) = backends {
            self.policies_in_place(backends, judged);
        }
        self.own_accounts(backends);
        let routing = self.routing(source.routes.take(), source.url_map.take(), checked.as_ref());
        self.mirrors_lead_to_one(routing.as_ref(), checked.as_ref());
        let listeners = self.listeners(&source);
        let behind = self.behind(source.behind.take(), &listeners.listen);
        let data_dir = self.data_dir(source.data_dir.take());
        let verified_tokens_bytes = self.verified_tokens_bytes(source.cache.take());
        let deny_policies = self.deny_policies(source.deny_policies.take(), judged);
        let geo = source.geo.take().map(|geo| self.file_name(&root.key("geo").key("mmdb"), geo.mmdb));
        self.security_policies(backends, behind.as_ref(), geo.is_some());
        self.regions_of_headers(routing.as_ref(), backends, geo.is_some());
        self.limits_per_instance(backends, behind.as_ref(), limits_store.as_ref());
        if let Some(backends) = backends {
            self.policies_of_services(&exports, backends, behind.as_ref());
        }
        let is_whole = checked.as_ref().is_some_and(Backends::is_whole);
        let (backends, masked) = checked.map(Backends::expand).unzip();
        self.google_callers(backends.as_ref(), is_whole, users.as_ref());
        let google = self.google(source.google.take().unwrap_or_default());
        let assertion = self.assertion(source.assertion.take());
        let exchange =
            self.exchange(source.exchange.take(), assertion.as_ref(), users.as_ref(), backends.as_ref());
        let access_log = self.access_log(source.access_log.take());
        let cors = source.cors.take().map(|cors| self.cors(cors));
        let tls = source.tls.take().map(|tls| self.tls(tls));
        let limits = source.limits.take().unwrap_or_default();
        let (limits, requests_max) = (self.limits(&limits), self.requests_max(&limits));
        Some(Configuration {
            project: project?,
            project_number,
            listen: listeners.listen,
            health: listeners.health,
            admin: listeners.admin,
            access_log: access_log?,
            tls: optional(tls)?,
            limits: limits?,
            requests_max: requests_max?,
            behind: behind?,
            data_dir: data_dir?,
            backends: backends.filter(|_| is_whole)?,
            masked: masked?,
            routing: routing?,
            users: users?,
            assertion: assertion?,
            exchange,
            cors: optional(cors)?,
            groups: groups?,
            deny_policies: deny_policies?,
            geo: optional(geo)?,
            google: google?,
            limits_store: limits_store?.store,
            verified_tokens_bytes: verified_tokens_bytes?,
            warnings: Diagnostics::new(),
            trust: Trust::Google,
        })
    }

    fn project(&mut self, project: Option<String>) -> Option<ProjectId> {
        let path = YamlPath::root().key("project");
        let Some(project) = project else {
            self.missing(
                &path,
                Diagnostic::error(code::MISSING_KEY, "the `project` whose users are let in is not given")
                    .hint("add the ID of your Firebase project: `project: my-project`"),
            );
            return None;
        };
        self.name(&path, code::PROJECT, &project)
    }

    fn project_number(&mut self, digits: Option<DigitsSource>) -> Option<ProjectNumber> {
        let digits = match digits? {
            DigitsSource::Text(text) => text,
            DigitsSource::Number(number) => number.to_string(),
        };
        self.name(&YamlPath::root().key("project_number"), code::PROJECT_NUMBER, &digits)
    }

    /// An empty name would be that of the directory that Firegate is started in for some who use it, and of none for others.
    fn data_dir(&mut self, data_dir: Option<String>) -> Option<PathBuf> {
        if data_dir.as_ref().is_some_and(String::is_empty) {
            let found = Diagnostic::error(code::EMPTY_VALUE, "the name of the directory is empty").hint(
                "write `data_dir: .` for the directory that firegate is started in, or remove the line",
            );
            self.report(&YamlPath::root().key("data_dir"), found);
            return None;
        }
        Some(data_dir.map_or_else(|| PathBuf::from(DATA_DIR_DEFAULT), PathBuf::from))
    }

    fn verified_tokens_bytes(&mut self, cache: Option<CacheSource>) -> Option<u64> {
        let bytes = cache.and_then(|cache| cache.verified_tokens_bytes);
        let path = YamlPath::root().key("cache").key("verified_tokens_bytes");
        self.size(&path, bytes, VERIFIED_TOKENS_BYTES_DEFAULT, 1..=CACHE_BYTES_MAX)
    }

    fn trust(&mut self, trust: Option<TrustSource>) {
        if trust == Some(TrustSource::Emulator) {
            let found = Diagnostic::error(code::TRUST, "a file cannot make Firegate trust an emulator")
                .hint("emulators sign nothing, so anyone could sign in: only `firegate dev` trusts one; remove the line");
            self.report(&YamlPath::root().key("trust"), found);
        }
    }

    fn policy_file(&mut self, path: &YamlPath, file: FileSource) -> Option<PolicyFile> {
        let file = match file {
            FileSource::Name(name) => FileFullSource { file: Some(name), dialect: None, assume: None },
            FileSource::Full(full) => full,
        };
        let name = self.file_name(&path.key("file"), file.file.map(|name| name.0))?;
        let text = self.read_file(path, &name)?;
        Some(PolicyFile {
            file: name,
            text,
            dialect: match file.dialect {
                None | Some(DialectSource::Gcloud) => Dialect::Gcloud,
                Some(DialectSource::Firegate) => Dialect::Firegate,
            },
            assume_evaluated_upstream: matches!(file.assume, Some(AssumeSource::EvaluatedUpstream)),
        })
    }

    /// The text of a file that the value at `path` names.
    fn read_file(&mut self, path: &YamlPath, name: &Path) -> Option<Arc<str>> {
        match self.files.read(name) {
            Ok(text) => Some(text.into()),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", quoted(&name.display().to_string()));
                let is_of_google = name.extension().is_none() || name.to_string_lossy().contains("://");
                let hint = match unreadable_hint(&error) {
                    Some(hint) if is_of_google && error.kind() == io::ErrorKind::NotFound => Some(format!(
                        "name a file, as `gcloud … export` writes it of what has this name; {hint}"
                    )),
                    hint => hint.map(str::to_owned),
                };
                self.report(path, Diagnostic::error(code::FILE_UNREADABLE, message).hint_if(hint));
                None
            }
        }
    }

    /// The name of a file that must be given.
    fn file_name(&mut self, path: &YamlPath, name: Option<String>) -> Option<PathBuf> {
        match name {
            Some(text) if is_contents(&text) => {
                let message = "this is what a file holds, and the name of the file belongs here";
                let hint = "write it into a file, and the file's name here; if it is a private key that others could read, make a new one";
                self.report(path, Diagnostic::error(code::FILE_UNREADABLE, message).hint(hint).conceal());
                None
            }
            Some(name) if !name.is_empty() => Some(PathBuf::from(name)),
            Some(_) => {
                self.report(path, Diagnostic::error(code::EMPTY_VALUE, "the name of the file is empty"));
                None
            }
            None => {
                let message = format!("`{path}` is not given");
                self.missing(
                    path,
                    Diagnostic::error(code::MISSING_KEY, message).hint("add the name of the file"),
                );
                None
            }
        }
    }

    fn name<T: FromStr<Err = NameError>>(
        &mut self,
        path: &YamlPath,
        code: &'static str,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(NameError { message, hint }) => {
                self.report(path, Diagnostic::error(code, message).hint(hint));
                None
            }
        }
    }

    /// A duration within `range`, or `default`.
    fn duration(
        &mut self,
        path: &YamlPath,
        text: Option<DurationSource>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(DurationSource(text)) = text else { return Some(default) };
        let found = match quantity::duration(&text) {
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) => {
                let message = format!("{} is out of range", quoted(&text));
                let (start, end) = (quantity::written(*range.start()), quantity::written(*range.end()));
                let hint = format!("from {start} to {end}");
                Diagnostic::error(code::QUANTITY, message).hint(hint)
            }
            Err(error) => {
                Diagnostic::error(code::QUANTITY, format!("{} is not a duration: {error}", quoted(&text)))
                    .hint("write for example `300ms`, `5s`, `1m` or `1h`")
            }
        };
        self.report(path, found);
        None
    }

    /// A size in bytes within `range`, or `default`.
    fn size(
        &mut self,
        path: &YamlPath,
        size: Option<SizeSource>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let (bytes, text) = match size {
            None => return Some(default),
            Some(SizeSource::Bytes(bytes)) => (Ok(bytes), bytes.to_string()),
            Some(SizeSource::Text(text)) => (quantity::size(&text), text),
        };
        let found = match bytes {
            Ok(bytes) if range.contains(&bytes) => return Some(bytes),
            Ok(_) => Diagnostic::error(code::QUANTITY, format!("{} is out of range", quoted(&text))).hint(
                format!("from {} to {} bytes; there is no way to say unlimited", range.start(), range.end()),
            ),
            Err(error) => {
                Diagnostic::error(code::QUANTITY, format!("{} is not a size: {error}", quoted(&text)))
                    .hint("write for example `512KiB`, `32MiB`, `1GiB`, or a number of bytes")
            }
        };
        self.report(path, found);
        None
    }

    /// Reports something about the value at `path`.
    fn report(&mut self, path: &YamlPath, diagnostic: Diagnostic) {
        self.report_part(path, Part::Value, diagnostic);
    }

    fn report_part(&mut self, path: &YamlPath, part: Part, diagnostic: Diagnostic) {
        match &self.given {
            Given::File(document) => document.report(self.diagnostics, path, part, diagnostic),
            Given::Flags => {
                let text = path.to_string();
                let flag = match text.split(['.', '[']).next().unwrap_or_default() {
                    "project" => "--project".to_owned(),
                    "backends" => "--backend".to_owned(),
                    "allow" => "--allow".to_owned(),
                    _ => text,
                };
                self.diagnostics.push(Diagnostic { path: flag, ..diagnostic });
            }
        }
    }

    /// Reports the absence of `path`, unless something was there and was already refused.
    fn missing(&mut self, path: &YamlPath, diagnostic: Diagnostic) {
        if !self.was_refused(path) {
            self.report(path, diagnostic);
        }
    }

    /// Whether a value of the mapping at `path` was left out because of an error.
    fn has_refused_below(&self, path: &YamlPath) -> bool {
        self.refused.iter().any(|refused| refused.parent() == *path)
    }

    /// Whether the value at `path`, or one that holds it, was left out because of an error.
    fn was_refused(&self, path: &YamlPath) -> bool {
        let mut path = path.clone();
        while !path.is_root() {
            if self.refused.contains(&path) {
                return true;
            }
            path = path.parent();
        }
        false
    }
}

/// Whether a text can be the audience of a token: Google takes any, but what has white space is a mistake.
fn is_audience(text: &str) -> bool {
    let unprintable = text.chars().any(|c| c.is_control() || c.is_whitespace());
    !text.is_empty() && text.len() <= AUDIENCE_BYTES_MAX && !unprintable
}

/// What to do about a text that is no audience.
fn audience_hint(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    match bare.len() {
        0 => "write one, or remove this".to_owned(),
        1..=AUDIENCE_BYTES_MAX => format!("write {}", crate::suggestion::quoted(&bare)),
        _ => format!("write one of {AUDIENCE_BYTES_MAX} bytes at most"),
    }
}

/// `None` if what was given did not pass; else what was given, if anything.
fn optional<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    match checked {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}
