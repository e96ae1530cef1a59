//! The front door's configuration in `dev`: one that a newcomer would write for production, or a real one, with every
//! Google endpoint turned to the local parts and without its assertion keys.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use firegate_emulator::cloud_run::{
    CloudRunService, DisputedStatuses, Ingress, PublicServiceToken, RefusalStatus,
};
use firegate_emulator::member::Member;
use firegate_files::configuration::{
    self, Configuration, Endpoint, GoogleEndpoints, LimitsStore, PathPattern, Routing,
};
use firegate_files::diagnostic::Diagnostics;
use firegate_files::url_map::HostPattern;
use firegate_proxy::ReloadError;
use url::Url;

use crate::logging::finding_style;
use crate::named_files::{DiskFiles, read_text};

use super::google::invokers;
use super::{CloudRunSetting, DevArguments, Direct, Expected, PROJECT_NUMBER, Places};

/// A configuration for the front door, and what it stands before.
pub(super) struct Setup {
    pub(super) configuration: Configuration,
    pub(super) trusts_emulator: bool,
}

/// The project: a configuration file's own, or the argument.
pub(super) fn project(arguments: &DevArguments) -> anyhow::Result<String> {
    match &arguments.config {
        Some(_) => Ok(read(arguments)?.project.to_string()),
        None => Ok(arguments.project.clone()),
    }
}

/// The project's number: a configuration file's own, or the one that local projects have.
pub(super) fn project_number(arguments: &DevArguments) -> anyhow::Result<String> {
    let own = match &arguments.config {
        Some(_) => read(arguments)?.project_number.map(|number| number.to_string()),
        None => None,
    };
    Ok(own.unwrap_or_else(|| PROJECT_NUMBER.to_owned()))
}

/// Makes the configuration.
pub(super) fn prepare(arguments: &DevArguments, places: &Places) -> anyhow::Result<Setup> {
    let mut configuration = match &arguments.config {
        Some(_) => map_backends(read(arguments)?, arguments, places)?,
        None => {
            checked(configuration::parse("the configuration of firegate dev", &newcomers(arguments, places)))?
        }
    };
    configuration.google = endpoints(places)?;
    let door = places.door.origin().ascii_serialization();
    configuration.assertion.issuer.get_or_insert(door);
    // Whoever is on this machine may have a token here. With production's key it would be good there, too.
    configuration.assertion.key = None;
    configuration.assertion.previous_keys = Vec::new();
    // Nor does anything count with production's processes.
    configuration.limits_store = LimitsStore::Memory;
    // Nor are the certificates of a file: what is local is called by `http`.
    configuration.tls = None;
    if let Some(data) = &arguments.data {
        configuration.data_dir = data.join("door");
    }
    let trusts_emulator = arguments.trusts_emulator();
    if trusts_emulator {
        configuration.trust_emulator()?;
    }
    Ok(Setup { configuration, trusts_emulator })
}

/// The local parts in the place of all of Google's. Every field is named, so that none can be forgotten and lead out of
/// this machine.
fn endpoints(places: &Places) -> anyhow::Result<GoogleEndpoints> {
    let at = |base: &Url, path: &str| base.join(path).with_context(|| format!("{base} cannot be extended"));
    let Places { google, identity, .. } = places;
    Ok(GoogleEndpoints {
        id_token_keys: at(
            identity,
            "www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
        )?,
        session_cookie_keys: at(identity, "www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys")?,
        app_check_keys: at(google, "v1/jwks")?,
        app_check: google.clone(),
        google_id_token_keys: at(google, "oauth2/v3/certs")?,
        identity_toolkit: at(identity, "identitytoolkit.googleapis.com")?,
        oauth2_token: at(google, "token")?,
        sts: google.clone(),
        iam_credentials: google.clone(),
        metadata: google.clone(),
    })
}

/// What a newcomer would write, with the local service in the place of the one on Cloud Run.
fn newcomers(arguments: &DevArguments, places: &Places) -> String {
    let service = places.service.as_str().trim_end_matches('/');
    let protocol = if arguments.cloud_run.contains(&CloudRunSetting::UseHttp2) { "h2c" } else { "auto" };
    format!(
        "project: {}\nproject_number: '{PROJECT_NUMBER}'\nbackends:\n  service: {{ url: '{service}', credential: default, protocol: {protocol} }}\n\
         allow: [allAuthenticatedUsers]\naccess_log: refused\n",
        arguments.project
    )
}

fn read(arguments: &DevArguments) -> anyhow::Result<Configuration> {
    let Some(file) = &arguments.config else { bail!("there is no configuration file") };
    let name = file.display().to_string();
    checked(match read_text(file) {
        Ok(text) => configuration::parse_with_files(&name, &text, &DiskFiles::default()),
        Err(ReloadError::Check(found)) => Err(found),
        Err(error) => return Err(error.into()),
    })
}

fn checked(parsed: Result<Configuration, Diagnostics>) -> anyhow::Result<Configuration> {
    parsed.map_err(|diagnostics| {
        anyhow::anyhow!("the configuration is not usable\n\n{}", diagnostics.render(finding_style()))
    })
}

/// Puts the local Cloud Run front in the place of every backend that is on Cloud Run, and leaves local ones as they are.
fn map_backends(
    mut configuration: Configuration,
    arguments: &DevArguments,
    places: &Places,
) -> anyhow::Result<Configuration> {
    let names =
        configuration.backends.iter().map(|(name, backend)| (name.to_string(), backend.endpoint.url.clone()));
    let mut unmapped = Vec::new();
    for (name, url) in names.collect::<Vec<_>>() {
        let is_mapped = arguments.map.iter().any(|mapping| mapping.backend == name);
        if is_mapped {
            configuration.connect_through(&name, places.service.clone())?;
        } else if !configuration::is_loopback(&url) {
            unmapped.push((name, url));
        }
    }
    if !unmapped.is_empty() {
        let told = unmapped
            .iter()
            .map(|(name, url)| format!("the backend `{name}` at {}", url.as_str().trim_end_matches('/')))
            .collect::<Vec<_>>();
        let flags = unmapped.iter().map(|(name, _)| format!("--map {name}=http://localhost:3000"));
        let flags = flags.collect::<Vec<_>>().join(" ");
        bail!("nothing here stands for {}\nhint: {flags}", told.join(" and "));
    }
    for mapping in &arguments.map {
        if !configuration.backends.keys().any(|name| name.as_str() == mapping.backend) {
            bail!("--map {}=…: the configuration has no such backend", mapping.backend);
        }
    }
    Ok(configuration)
}

impl Setup {
    /// The services that the local Cloud Run front stands before.
    pub(super) fn services(&self, arguments: &DevArguments, container: &Url) -> Vec<CloudRunService> {
        let service = |endpoint: &Endpoint, container: &Url| self.service(arguments, endpoint, container);
        let backends = self.configuration.backends.iter();
        match &arguments.config {
            None => backends.map(|(_, backend)| service(&backend.endpoint, container)).collect(),
            Some(_) => backends
                .filter_map(|(name, backend)| {
                    let mapping = arguments.map.iter().find(|mapping| mapping.backend == name.as_str())?;
                    Some(service(&backend.endpoint, &mapping.url))
                })
                .collect(),
        }
    }

    fn service(&self, arguments: &DevArguments, endpoint: &Endpoint, container: &Url) -> CloudRunService {
        let is_set = |setting| arguments.cloud_run.contains(&setting);
        let mut members = invokers(self).into_iter().map(Member::ServiceAccount).collect::<Vec<_>>();
        if is_set(CloudRunSetting::AllUsers) {
            members.push(Member::AllUsers);
        }
        CloudRunService {
            hosts: hosts(&endpoint.url),
            audiences: vec![endpoint.audience.clone(), endpoint.url.origin().ascii_serialization()],
            invokers: members,
            ingress: if is_set(CloudRunSetting::IngressInternal) { Ingress::Internal } else { Ingress::All },
            invoker_iam_check: true,
            container: container.clone(),
            use_http2: is_set(CloudRunSetting::UseHttp2),
        }
    }

    /// The requests that can show the story: by each route to a service that stands behind the local Cloud Run front, which is
    /// told with it. A service of a real configuration is reached under the host that it has on the real one.
    pub(super) fn directs(&self, arguments: &DevArguments) -> Vec<(CloudRunService, Direct)> {
        let Routing::Routes(routes) = &self.configuration.routing else { return Vec::new() };
        let directs = routes.iter().filter_map(|route| {
            let mapping = arguments.map.iter().find(|mapping| mapping.backend == route.backend.as_str());
            let container = mapping.map(|mapping| &mapping.url);
            let endpoint = &self.configuration.backends.get(&route.backend)?.endpoint;
            let container = container.or_else(|| arguments.config.is_none().then_some(&endpoint.url))?;
            let service = self.service(arguments, endpoint, container);
            let path = match &route.path {
                PathPattern::Exact(path) => path.clone(),
                PathPattern::Prefix(prefix) => format!("{prefix}hello"),
            };
            let host = arguments.config.is_some().then(|| hosts(&endpoint.url).swap_remove(0));
            Some((service, Direct { host, path, expected: Expected::default() }))
        });
        directs.collect()
    }

    /// The hosts that the front door answers to beside this machine's own: what the URL map names in full, and what was asked
    /// for. A pattern adds none: below `*.duckdns.org`, for one, anybody has a name, and points it where they like.
    pub(super) fn hosts(&self, arguments: &DevArguments) -> BTreeSet<String> {
        let asked_for = arguments.host.iter().map(|host| host.0.clone());
        let Routing::UrlMap(map) = &self.configuration.routing else { return asked_for.collect() };
        let patterns = map.host_rules.iter().flat_map(|rule| &rule.hosts);
        let named = patterns.filter_map(|pattern| match pattern {
            HostPattern::Exact(host) => Some(host.split(':').next().unwrap_or_default().to_owned()),
            HostPattern::Suffix(_) | HostPattern::Any => None,
        });
        named.chain(asked_for).collect()
    }

    /// The audiences that assertions for the sample may have.
    pub(super) fn audiences(&self) -> Vec<String> {
        self.configuration.backends.values().map(|backend| backend.endpoint.audience.clone()).collect()
    }
}

/// The hosts of a service; a local one is reached under either name of this machine.
fn hosts(url: &Url) -> Vec<String> {
    let authority = |host: &str| match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let host = url.host_str().unwrap_or_default();
    if configuration::is_loopback(url) {
        [host, "localhost", "127.0.0.1"].map(authority).to_vec()
    } else {
        vec![authority(host)]
    }
}

/// The switches for what reports about Cloud Run disagree on.
pub(super) fn statuses(arguments: &DevArguments) -> DisputedStatuses {
    let mut statuses = DisputedStatuses::default();
    for setting in &arguments.cloud_run {
        match setting {
            CloudRunSetting::AllUsers | CloudRunSetting::IngressInternal | CloudRunSetting::UseHttp2 => {}
            CloudRunSetting::ForeignIssuerForbidden => statuses.foreign_issuer = RefusalStatus::Forbidden,
            CloudRunSetting::MissingInvokerUnauthorized => {
                statuses.missing_invoker = RefusalStatus::Unauthorized
            }
            CloudRunSetting::PublicTokenRefused => statuses.public_service_token = PublicServiceToken::Refuse,
            CloudRunSetting::TrailingSlashForgiven => statuses.trailing_slash_is_forgiven = true,
            CloudRunSetting::WrongAudienceForbidden => statuses.wrong_audience = RefusalStatus::Forbidden,
        }
    }
    statuses
}

#[cfg(test)]
mod tests {
    use super::super::Users;
    use super::*;

    fn places() -> Places {
        let url = |port: u16| Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        Places {
            project: "demo-firegate".to_owned(),
            project_number: PROJECT_NUMBER.to_owned(),
            door: url(9080),
            service: url(9081),
            google: url(9082),
            identity: url(9099),
            users: Users::Seeded,
            data: None,
            hosts: BTreeSet::new(),
            url_map_of: None,
            direct: None,
            is_lan: false,
            lan_addresses: Vec::new(),
        }
    }

    /// The configuration of a stack, by a file with these lines if there are any.
    fn prepared(lines: Option<&str>) -> Configuration {
        let folder = tempfile::tempdir().unwrap();
        let config = lines.map(|lines| {
            let file = folder.path().join("firegate.yaml");
            let backend = "backends: { api: 'http://127.0.0.1:3000' }";
            let text =
                format!("project: demo-firegate\nallow: [allAuthenticatedUsers]\n{backend}\n{lines}\n");
            std::fs::write(&file, text).unwrap();
            file
        });
        prepare(&DevArguments { config, ..DevArguments::default() }, &places()).unwrap().configuration
    }

    #[test]
    fn no_endpoint_leads_out_of_this_machine_whatever_a_file_names() {
        let named = "google: { app_check: 'https://firebaseappcheck.googleapis.com', sts: 'https://sts.googleapis.com' }";
        for lines in [None, Some(""), Some(named)] {
            for (name, url) in prepared(lines).google.iter() {
                assert!(configuration::is_loopback(url), "{name}: {url} with {lines:?}");
            }
        }
    }

    #[test]
    fn app_check_and_googles_callers_have_their_keys_at_the_google_parts() {
        let google = prepared(None).google;
        assert_eq!(google.app_check.as_str(), "http://127.0.0.1:9082/");
        assert_eq!(google.app_check_keys.as_str(), "http://127.0.0.1:9082/v1/jwks");
        assert_eq!(google.google_id_token_keys.as_str(), "http://127.0.0.1:9082/oauth2/v3/certs");
    }

    #[test]
    fn a_files_own_keys_sign_and_verify_nothing_here() {
        let folder = tempfile::tempdir().unwrap();
        let on_disk = folder.path().join("assertion.pem");
        std::fs::write(&on_disk, "production's own").unwrap();
        for key in [on_disk.display().to_string(), "/secrets/of-production/assertion.pem".to_owned()] {
            for lines in [
                format!("assertion: {{ key: '{key}' }}"),
                format!("assertion: {{ key: '{key}', previous_keys: ['{key}.former'] }}"),
            ] {
                let assertion = prepared(Some(&lines)).assertion;
                assert_eq!((assertion.key, assertion.previous_keys), (None, Vec::new()), "{lines}");
            }
        }
    }

    #[test]
    fn the_door_issues_under_its_own_address_unless_a_file_names_another() {
        let check = |lines: Option<&str>, expected: &str| {
            assert_eq!(prepared(lines).assertion.issuer.as_deref(), Some(expected), "{lines:?}");
        };
        check(None, "http://127.0.0.1:9080");
        check(Some(""), "http://127.0.0.1:9080");
        check(Some("assertion: { issuer: 'https://api.example.com' }"), "https://api.example.com");
    }
}
