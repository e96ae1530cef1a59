//! From the shape of a configuration to the checked model. Every problem is reported; no check stops another.
//!
//! A file for each part of the configuration, and one for the [`values`] that many of them have. Here is the order in which the
//! parts are checked, for some depend on others, and how a finding is reported.

mod app_check;
mod backend;
mod behind;
mod connection;
mod cors;
mod credential;
mod exchange;
mod google;
mod google_callers;
mod iam;
mod listeners;
mod load_balancer;
mod members;
mod rate_limits;
mod routing;
mod security_policy;
mod tokens;
mod url;
mod users;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;

use self::load_balancer::Backends;
use self::members::InPlace;
use super::model::{AccessLogSettings, AppCheck, Configuration, Share, Trust, Users};
use super::named_files::NamedFiles;
use super::names::{ProjectId, ProjectNumber};
use super::opened_files::DATA_DIR_DEFAULT;
use super::quantity;
use super::rate_limits::OnStoreFailure;
use super::source::{
    AccessLogSource, AccessLogWordSource, CacheSource, ConfigurationSource, DigitsSource, TrustSource,
};
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::iam_policy::Roles;
use crate::limits::CACHE_BYTES_MAX;
use crate::members::Member;
use crate::optional;
use crate::suggestion::quoted;
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

    fn access_log(&mut self, source: Option<AccessLogSource>) -> Option<AccessLogSettings> {
        let full = match source {
            None | Some(AccessLogSource::Word(AccessLogWordSource::All)) => {
                return Some(AccessLogSettings::default());
            }
            Some(AccessLogSource::Word(AccessLogWordSource::Refused)) => {
                return Some(AccessLogSettings { sample: Share::NOTHING, ..AccessLogSettings::default() });
            }
            Some(AccessLogSource::Full(full)) => full,
        };
        let sample = match full.sample.map(|share| (quantity::share(&share.0), share.0)) {
            None => Share::ALL,
            Some((Ok(share), _)) => share,
            Some((Err(error), text)) => {
                let found =
                    Diagnostic::error(code::QUANTITY, format!("{} is not a share: {error}", quoted(&text)))
                        .hint("write for example `10%` or `0.5%`");
                self.report(&YamlPath::root().key("access_log").key("sample"), found);
                return None;
            }
        };
        Some(AccessLogSettings { sample, user_ids: full.user_ids.unwrap_or(false) })
    }

    fn trust(&mut self, trust: Option<TrustSource>) {
        if trust == Some(TrustSource::Emulator) {
            let found = Diagnostic::error(code::TRUST, "a file cannot make Firegate trust an emulator")
                .hint("emulators sign nothing, so anyone could sign in: only `firegate dev` trusts one; remove the line");
            self.report(&YamlPath::root().key("trust"), found);
        }
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

    /// Whether the file has something at `path`.
    fn stands_at(&self, path: &YamlPath) -> bool {
        match &self.given {
            Given::File(document) => document.get(path).is_some(),
            Given::Flags => false,
        }
    }
}
