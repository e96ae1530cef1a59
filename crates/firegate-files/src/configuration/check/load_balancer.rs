//! The parts of a load balancer behind its URL map: backends that are Cloud Run services by what `gcloud` exported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::{Checker, Whole};
use crate::configuration::model::{Backend, Behind, Endpoint, MaskedBackend, Routing};
use crate::configuration::names::BackendName;
use crate::configuration::source::{
    BackendFullSource, BackendSource, FileNameSource, FileSource, LoadBalancerSource,
};
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::limits::{BACKENDS_MAX, ENDPOINTS_MAX};
use crate::load_balancer::{
    BackendService, CloudRunService, Destination, LoadBalancer, MaskedService, NetworkEndpointGroup,
    PolicyReference, ServiceEndpoint, UrlMask,
};
use crate::security_policy::SecurityPolicy;
use crate::suggestion::quoted;
use crate::yaml::Part;

/// What `load_balancer` names, read.
#[derive(Default)]
pub(super) struct Exports {
    parts: LoadBalancer,
    security_policies: Vec<Arc<SecurityPolicy>>,
}

/// The origins of a backend.
pub(super) enum Origins {
    /// Its own.
    Own(Vec<Endpoint>),
    /// Those of the services that its requests name.
    Masked(UrlMask, Vec<(MaskedService, Vec<Endpoint>)>),
}

/// The services that requests name by a mask, each as a backend.
pub(super) type MaskedServices = (UrlMask, Vec<(MaskedService, Backend)>);

/// The backends of a configuration, as far as they pass.
pub(super) struct Backends {
    /// What all of them are called, those too that do not pass.
    pub(super) names: BTreeSet<String>,
    /// As they are named. One whose requests name their service stands for all of its services.
    pub(super) named: BTreeMap<BackendName, Backend>,
    /// The services of those whose requests name them.
    pub(super) masked: BTreeMap<BackendName, MaskedServices>,
}

impl Exports {
    /// The backend service that a backend is.
    pub(super) fn service(&self, backend: &str) -> Option<&BackendService> {
        self.parts.backend_services.get(backend)
    }

    /// The policy that a backend has as a backend service.
    pub(super) fn security_policy(&self, service: Option<&BackendService>) -> Option<Arc<SecurityPolicy>> {
        let name = &service?.security_policy.as_ref()?.name;
        self.security_policies.iter().find(|policy| policy.name == *name).cloned()
    }

    /// The backends of a configuration with every backend service that it does not name.
    pub(super) fn with_services(
        &self,
        named: Option<BTreeMap<String, BackendSource>>,
    ) -> Option<BTreeMap<String, BackendSource>> {
        if self.parts.backend_services.is_empty() {
            return named;
        }
        let mut all = named.unwrap_or_default();
        for name in self.parts.backend_services.keys() {
            all.entry(name.clone()).or_insert_with(|| BackendSource::Full(Box::default()));
        }
        Some(all)
    }
}

impl Backends {
    /// Whether every backend passes. What is true of all that do may be false of those that do not.
    pub(super) fn is_whole(&self) -> bool {
        self.named.len() == self.names.len()
    }

    /// Every backend by itself, and how those are found that requests name.
    pub(super) fn expand(self) -> (BTreeMap<BackendName, Backend>, BTreeMap<BackendName, MaskedBackend>) {
        let Self { mut named, masked, .. } = self;
        let mut found = BTreeMap::new();
        for (name, (mask, services)) in masked {
            named.remove(&name);
            let mut backends = BTreeMap::new();
            for (MaskedService { service, tag, .. }, backend) in services {
                let own = name.of_service(&service, tag.as_deref());
                backends.insert(mask.key(&service, tag.as_deref().unwrap_or_default()), own.clone());
                named.insert(own, backend);
            }
            found.insert(name, MaskedBackend { mask, backends });
        }
        (named, found)
    }
}

impl Checker<'_> {
    /// Reads what `load_balancer` names.
    pub(super) fn load_balancer(&mut self, source: Option<LoadBalancerSource>, whole: Whole<'_>) -> Exports {
        let Some(source) = source else { return Exports::default() };
        let path = YamlPath::root().key("load_balancer");
        let mut parts = LoadBalancer {
            groups: self.read_all(
                &path.key("network_endpoint_groups"),
                source.network_endpoint_groups,
                NetworkEndpointGroup::read,
            ),
            cloud_run_services: self.read_all(
                &path.key("cloud_run_services"),
                source.cloud_run_services,
                CloudRunService::read,
            ),
            own_project: whole
                .project
                .zip(whole.project_number)
                .map(|(id, number)| (id.to_string(), number.to_string())),
            ..LoadBalancer::default()
        };
        let services =
            self.read_all(&path.key("backend_services"), source.backend_services, BackendService::read);
        for service in services {
            let place = service.place.clone();
            if let Some(other) = parts.backend_services.insert(service.name.to_string(), service) {
                let message = format!("there are two backend services {}", quoted(other.name.as_str()));
                let found = Diagnostic::error(code::BACKEND_SERVICE, message).hint("remove one of the files");
                self.diagnostics.push(Diagnostic { place, ..found });
            }
        }
        let security_policies =
            self.exported_policies(&path.key("security_policies"), source.security_policies);
        Exports { parts, security_policies }
    }

    /// The policies that backend services name, no two by one name.
    fn exported_policies(
        &mut self,
        path: &YamlPath,
        files: Option<Vec<FileSource>>,
    ) -> Vec<Arc<SecurityPolicy>> {
        let mut policies: Vec<Arc<SecurityPolicy>> = Vec::new();
        for (index, file) in files.unwrap_or_default().into_iter().enumerate() {
            let path = path.index(index);
            let Some(policy) = self.security_policy(&path, file, true) else { continue };
            if policies.iter().any(|other| other.name == policy.name) {
                let message = format!("there are two security policies {}", quoted(&policy.name));
                let hint = "backend services refer to them by name: remove one of the files";
                self.report(&path, Diagnostic::error(code::SECURITY_POLICY, message).hint(hint));
            }
            policies.push(policy);
        }
        policies
    }

    fn read_all<T>(
        &mut self,
        path: &YamlPath,
        files: Option<Vec<FileNameSource>>,
        read: fn(&str, &str, &mut Diagnostics) -> Vec<T>,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for (index, FileNameSource(name)) in files.unwrap_or_default().into_iter().enumerate() {
            let path = path.index(index);
            let Some(text) = self.read_file(&path, Path::new(&name)) else { continue };
            all.extend(read(&name, &text, self.diagnostics));
        }
        all
    }

    /// The origins of a backend: its own, else those of the backend service with its name.
    pub(super) fn origins_of_backend(
        &mut self,
        path: &YamlPath,
        source: &mut BackendFullSource,
        exports: &Exports,
        service: Option<&BackendService>,
        whole: Whole<'_>,
    ) -> Option<Origins> {
        let has_own = source.url.is_some() || source.endpoints.is_some();
        let Some(service) = service.filter(|_| !has_own) else {
            return self.endpoints(path, source, whole.project).map(Origins::Own);
        };
        let audience = source.audience.take();
        match exports.parts.resolve(service, self.diagnostics)? {
            Destination::Service(endpoints) => {
                self.exported(path, &endpoints, audience.as_ref(), whole).map(Origins::Own)
            }
            Destination::Masked(mask, services) => {
                let services = services.into_iter().map(|service| {
                    let endpoints = self.exported(path, &service.endpoints, audience.as_ref(), whole)?;
                    Some((service, endpoints))
                });
                services.collect::<Option<_>>().map(|services| Origins::Masked(mask, services))
            }
        }
    }

    /// The origins that exports name. An audience of the configuration's is one of the service's own.
    fn exported(
        &mut self,
        path: &YamlPath,
        endpoints: &[ServiceEndpoint],
        audience: Option<&String>,
        whole: Whole<'_>,
    ) -> Option<Vec<Endpoint>> {
        if endpoints.len() > ENDPOINTS_MAX {
            let message = format!(
                "the groups of `{path}` lead to {} endpoints, the most is {ENDPOINTS_MAX}",
                endpoints.len()
            );
            let found = Diagnostic::error(code::TOO_LARGE, message)
                .hint("leave groups out of the backend service, or give the backend `endpoints` of its own");
            self.report(&YamlPath::root().key("load_balancer"), found);
            return None;
        }
        let path = path.key("audience");
        let endpoints = endpoints.iter().map(|endpoint| {
            let Some(audience) = audience else {
                return Some(Endpoint { url: endpoint.url.clone(), audience: endpoint.audience.clone() });
            };
            if *audience != endpoint.audience && !endpoint.custom_audiences.contains(audience) {
                let message = format!(
                    "the service at {} does not take the audience {}",
                    endpoint.url.origin().ascii_serialization(),
                    quoted(audience)
                );
                let hint = format!(
                    "remove it, and {} is used; or add it to the service: gcloud run services update SERVICE \
                     --add-custom-audiences={audience}, and export it again",
                    endpoint.audience
                );
                self.report(&path, Diagnostic::warning(code::AUDIENCE, message).hint(hint));
            }
            self.endpoint(endpoint.url.clone(), &path, Some(audience.clone()), whole.project)
        });
        endpoints.collect()
    }

    /// A policy that the load balancer has and Firegate has not would be lost without a word.
    pub(super) fn policies_of_services(
        &mut self,
        exports: &Exports,
        backends: &BTreeMap<BackendName, Backend>,
        behind: Option<&Option<Behind>>,
    ) {
        let is_behind = behind.is_some_and(|behind| *behind == Some(Behind::GoogleLoadBalancer));
        for (name, backend) in backends {
            let Some(service) = exports.service(name.as_str()) else { continue };
            if service.is_behind_iap && !is_behind {
                let message =
                    format!("the backend service `{name}` has Identity-Aware Proxy say who may pass");
                let hint = "here `allow` of the backend says it: name those whom IAP lets in";
                let warning = Diagnostic::warning(code::BACKEND_SERVICE, message).hint(hint);
                self.diagnostics.push(Diagnostic { place: service.place.clone(), ..warning });
            }
            let in_place = backend.security_policy.as_ref();
            if let Some(policy) = service.security_policy.as_ref().filter(|_| in_place.is_none()) {
                let message = format!(
                    "the backend service `{name}` has the security policy {}, and its backend has none",
                    quoted(&policy.name)
                );
                let hint = format!(
                    "add its file to `load_balancer.security_policies`: gcloud compute security-policies export {} \
                     --file-name=armor.yaml",
                    policy.name
                );
                self.policy_is_missing(policy, message, hint, is_behind);
            }
            // One that the configuration gives the backend may have the rules of both.
            let is_own = |it: &Arc<SecurityPolicy>| {
                service.security_policy.as_ref().is_none_or(|exported| exported.name != it.name)
            };
            let edge = service.edge_security_policy.as_ref();
            if let Some(policy) = edge.filter(|_| !in_place.is_some_and(is_own)) {
                let message = format!(
                    "the backend service `{name}` has the edge security policy {}, which Firegate does not apply",
                    quoted(&policy.name)
                );
                let hint = "it judges every request before the cache: give the backend a `security_policy` of its own \
                            with those rules, and those of the service's other policy";
                self.policy_is_missing(policy, message, hint.to_owned(), is_behind);
            }
        }
    }

    fn policy_is_missing(
        &mut self,
        policy: &PolicyReference,
        message: String,
        hint: String,
        is_behind: bool,
    ) {
        let found = match is_behind {
            true => Diagnostic::note(code::POLICY_MISSING, message).hint(
                "the load balancer before Firegate goes by it; rules of the verified user need it here",
            ),
            false => Diagnostic::error(code::POLICY_MISSING, message).hint(hint),
        };
        self.diagnostics.push(Diagnostic { place: policy.place.clone(), ..found });
    }

    /// URL masks make many backends of one.
    pub(super) fn expanded_backends(&mut self, backends: &Backends) {
        let services: usize = backends.masked.values().map(|(_, services)| services.len()).sum();
        let count = backends.names.len() + services - backends.masked.len();
        if count > BACKENDS_MAX {
            let message = format!(
                "with the services of URL masks there are {count} backends, the most is {BACKENDS_MAX}"
            );
            let found = Diagnostic::error(code::TOO_LARGE, message)
                .hint("leave out of `cloud_run_services` what is not called, or put the rest behind another Firegate");
            self.report(&YamlPath::root().key("load_balancer"), found);
        }
    }

    /// A copy of a request, and the request for an error's page, is for one service, whatever its URL names.
    pub(super) fn mirrors_lead_to_one(&mut self, routing: Option<&Routing>, backends: Option<&Backends>) {
        let (Some(Routing::UrlMap(map)), Some(backends)) = (routing, backends) else { return };
        let mirrors = map.mirrors().map(|(action, mirror)| (action, &mirror.service));
        let pages =
            map.error_policies().filter_map(|(action, errors)| Some((action, errors.service.as_ref()?)));
        for (action, service) in mirrors.chain(pages) {
            let masked = backends.masked.iter().find(|(name, _)| name.as_str() == service.as_str());
            let Some((_, (mask, _))) = masked else { continue };
            let message = format!(
                "line {} of the URL map sends requests of its own to `{service}`, whose service they would have to name by `{mask}`",
                action.place.line
            );
            let found =
                Diagnostic::error(code::URL_MASK, message).hint("name a backend service without a URL mask");
            self.report(&YamlPath::root().key("url_map"), found);
        }
    }

    /// Google tokens for a host of the operator's own have an audience that the service must have been told of.
    pub(super) fn audience_is_meant(&mut self, path: &YamlPath, endpoints: &[Endpoint]) {
        let is_own = |endpoint: &&Endpoint| {
            endpoint.url.scheme() == "https"
                && !endpoint.is_on_cloud_run()
                && !crate::configuration::google::is_loopback(&endpoint.url)
        };
        let Some(endpoint) = endpoints.iter().find(is_own) else { return };
        let audience = &endpoint.audience;
        let message = format!(
            "Google tokens for this backend have the audience `{audience}`, which no Cloud Run service takes by itself"
        );
        let found = Diagnostic::warning(code::AUDIENCE, message).hint(format!(
            "add `audience:` with the service's own URL, `https://….run.app`; or, if the service takes this one as a custom \
             audience, `audience: {audience}`; or `credential: none` if it needs no token"
        ));
        let given = path.key("url");
        let given = if self.stands_at(&given) { given } else { path.clone() };
        self.report_part(&given, Part::Value, found);
    }
}
