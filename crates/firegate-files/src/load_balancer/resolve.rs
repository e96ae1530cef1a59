//! From a backend service to the URLs and audiences of the Cloud Run services behind it.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::{BackendService, CloudRunService, GroupReference, GroupTarget, NetworkEndpointGroup, UrlMask};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::limits::MASKED_SERVICES_MAX;
use crate::suggestion::{alternatives, nearest, quoted};

/// What stands behind a URL map.
#[derive(Clone, Debug, Default)]
pub struct LoadBalancer {
    /// The backend services, by their names.
    pub backend_services: BTreeMap<String, BackendService>,
    /// The groups that they name.
    pub groups: Vec<NetworkEndpointGroup>,
    /// The services that the groups lead to.
    pub cloud_run_services: Vec<CloudRunService>,
    /// The ID and number of Firegate's project, if both are known: exports tell of projects by either.
    pub own_project: Option<(String, String)>,
}

/// Where the requests of a backend service go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To one service, which may run in several regions; at least one.
    Service(Vec<ServiceEndpoint>),
    /// To the one that their URL names; at least one.
    Masked(UrlMask, Vec<MaskedService>),
}

/// An origin of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// Its URL.
    pub url: Url,
    /// The audience that it takes in any case.
    pub audience: String,
    /// Further audiences that it takes.
    pub custom_audiences: Vec<String>,
}

/// One of the services that requests name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedService {
    /// Its name.
    pub service: String,
    /// The tag.
    pub tag: Option<String>,
    /// Its origins; at least one.
    pub endpoints: Vec<ServiceEndpoint>,
}

/// A finding that keeps a backend service from being resolved.
struct Unresolved(Box<Diagnostic>);

impl Unresolved {
    fn at(place: Option<&Place>, found: Diagnostic) -> Self {
        Self(Box::new(Diagnostic { place: place.cloned(), ..found }))
    }
}

impl LoadBalancer {
    /// Where the requests of a backend service go. If that cannot be said, `diagnostics` says why.
    pub fn resolve(&self, service: &BackendService, diagnostics: &mut Diagnostics) -> Option<Destination> {
        let resolved = self.destination(service);
        if let Ok(Destination::Service(_) | Destination::Masked(..)) = &resolved {
            self.warn(service, diagnostics);
        }
        resolved.map_err(|Unresolved(found)| diagnostics.push(*found)).ok()
    }

    fn destination(&self, service: &BackendService) -> Result<Destination, Unresolved> {
        let groups: Vec<_> = service
            .groups
            .iter()
            .filter(|reference| !reference.is_drained)
            .map(|reference| Ok((reference, self.group(reference)?)))
            .collect::<Result<_, _>>()?;
        let Some((_, first)) = groups.first() else {
            if !service.groups.is_empty() {
                let message = format!(
                    "every group of the backend service {} is drained: it would get no request",
                    quoted(service.name.as_str())
                );
                let found = Diagnostic::error(code::ENDPOINT_GROUP, message)
                    .hint("give one of them a `capacityScaler` above 0, or give the backend a `url`");
                return Err(Unresolved::at(service.place.as_ref(), found));
            }
            let message = format!("the backend service {} has no group", quoted(service.name.as_str()));
            let found = Diagnostic::error(code::ENDPOINT_GROUP, message).hint(GIVE_URL);
            return Err(Unresolved::at(service.place.as_ref(), found));
        };
        if let GroupTarget::Masked { mask, .. } = &first.target {
            return self.masked(service, mask, &groups);
        }
        let endpoints = groups.iter().map(|(reference, group)| match &group.target {
            GroupTarget::CloudRun { service, tag } => {
                let found = self.service(service, group)?;
                Ok(endpoint(found, tag.as_deref(), group)?)
            }
            GroupTarget::Masked { .. } => Err(mixed(reference)),
            GroupTarget::Other(what) => {
                let message = format!(
                    "the group {} leads to no Cloud Run service: {}",
                    quoted(&group.name),
                    if what.is_empty() { "it does not say to what" } else { what }
                );
                let found = Diagnostic::error(code::ENDPOINT_GROUP, message).hint(GIVE_URL);
                Err(Unresolved::at(reference.place.as_ref(), found))
            }
        });
        Ok(Destination::Service(endpoints.collect::<Result<_, _>>()?))
    }

    fn group(&self, reference: &GroupReference) -> Result<&NetworkEndpointGroup, Unresolved> {
        let at = |found: Diagnostic| Unresolved::at(reference.place.as_ref(), found);
        if let Some(other) = reference.collection.as_deref().filter(|it| *it != "networkEndpointGroups") {
            let message =
                format!("{} is one of the {other}, and no group of services", quoted(&reference.name));
            return Err(at(Diagnostic::error(code::ENDPOINT_GROUP, message).hint(GIVE_URL)));
        }
        let is_meant = |group: &&NetworkEndpointGroup| {
            let is_there =
                reference.region.is_none() || group.region.is_none() || reference.region == group.region;
            group.name == reference.name
                && is_there
                && !self.are_apart(reference.project.as_deref(), group.project.as_deref())
        };
        let mut named = self.groups.iter().filter(is_meant);
        match (named.next(), named.next()) {
            (Some(group), None) => Ok(group),
            (Some(_), Some(_)) => {
                let message = format!("there are two groups {}", quoted(&reference.name));
                let hint = "write the region into the URL of `group`, or remove one of the files";
                Err(at(Diagnostic::error(code::ENDPOINT_GROUP, message).hint(hint)))
            }
            (None, _) => {
                let message = format!("nothing says what the group {} is", quoted(&reference.name));
                let region = reference.region.as_deref().unwrap_or("REGION");
                let hint = format!(
                    "add a file to `load_balancer.network_endpoint_groups`: gcloud compute network-endpoint-groups describe {} \
                     --region={region} --format=yaml; or give the backend a `url`",
                    reference.name
                );
                Err(at(Diagnostic::error(code::ENDPOINT_GROUP, message).hint(hint)))
            }
        }
    }

    /// Whether two projects are known to be two. One may be told by its ID and the other by its number: of another project than
    /// Firegate's own nobody knows then.
    fn are_apart(&self, one: Option<&str>, other: Option<&str>) -> bool {
        let number = |project: &str| match &self.own_project {
            Some((id, number)) if id == project => number.clone(),
            _ => project.to_owned(),
        };
        let is_number = |project: &str| project.bytes().all(|byte| byte.is_ascii_digit());
        let (Some(one), Some(other)) = (one.map(number), other.map(number)) else { return false };
        is_number(&one) == is_number(&other) && one != other
    }

    /// The services of a name, which are where the group is.
    fn service(&self, name: &str, group: &NetworkEndpointGroup) -> Result<&CloudRunService, Unresolved> {
        let mut named = self.services_beside(group).filter(|service| service.name == name);
        let at = |found: Diagnostic| Unresolved::at(group.place.as_ref(), found);
        match (named.next(), named.next()) {
            (Some(service), None) => Ok(service),
            (Some(_), Some(_)) => Err(two_services(name, group)),
            (None, _) if self.without_region(group).any(|service| service.name == name) => {
                let message = format!("the service {} does not say its region", quoted(name));
                Err(at(Diagnostic::error(code::CLOUD_RUN_SERVICE, message).hint(SAY_REGION)))
            }
            (None, _) => {
                let place = group.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
                let message = format!("there is no Cloud Run service {}{place}", quoted(name));
                let known = self.services_beside(group).map(|service| service.name.as_str());
                let hint = match nearest(name, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "add a file to `load_balancer.cloud_run_services`: gcloud run services list --format=json; or give \
                             the backend a `url`"
                        .to_owned(),
                };
                Err(at(Diagnostic::error(code::CLOUD_RUN_SERVICE, message).hint(hint)))
            }
        }
    }

    /// A group and its services are in one region of one project. A service that does not say where it is is nowhere.
    fn services_beside(&self, group: &NetworkEndpointGroup) -> impl Iterator<Item = &CloudRunService> {
        let is_there = |service: &&CloudRunService| {
            (group.region.is_none() || service.region == group.region)
                && !self.are_apart(service.project.as_deref(), group.project.as_deref())
        };
        self.cloud_run_services.iter().filter(is_there)
    }

    /// The services of which nobody knows whether they are beside a group.
    fn without_region(&self, group: &NetworkEndpointGroup) -> impl Iterator<Item = &CloudRunService> {
        let is_lost = |service: &&CloudRunService| group.region.is_some() && service.region.is_none();
        self.cloud_run_services.iter().filter(is_lost)
    }

    /// The services that requests can name, and what each of them is named by. Those of several regions are one.
    fn masked(
        &self,
        service: &BackendService,
        mask: &UrlMask,
        groups: &[(&GroupReference, &NetworkEndpointGroup)],
    ) -> Result<Destination, Unresolved> {
        let mut named: BTreeMap<(String, Option<String>), Vec<ServiceEndpoint>> = BTreeMap::new();
        for (reference, group) in groups {
            let GroupTarget::Masked { mask: its, service: fixed, tag } = &group.target else {
                return Err(mixed(reference));
            };
            if its != mask {
                return Err(mixed(reference));
            }
            let services: Vec<_> = match fixed {
                Some(name) => vec![self.service(name, group)?],
                None => self.services_beside(group).collect(),
            };
            let mut seen = BTreeSet::new();
            for found in services {
                // Those of two projects are two services: requests for one must not go to the other.
                if !seen.insert(&found.name) {
                    return Err(two_services(&found.name, group));
                }
                let tags: Vec<Option<&str>> = match (mask.names_tag(), tag) {
                    (true, _) => found.tags.keys().map(|tag| Some(tag.as_str())).collect(),
                    (false, Some(tag)) if found.tags.contains_key(tag) => vec![Some(tag)],
                    (false, Some(_)) => Vec::new(),
                    (false, None) => vec![None],
                };
                for tag in tags {
                    let key = (found.name.clone(), tag.map(str::to_owned));
                    named.entry(key).or_default().push(endpoint(found, tag, group)?);
                }
            }
        }
        let at = |found: Diagnostic| Err(Unresolved::at(service.place.as_ref(), found));
        if named.is_empty() {
            let message = format!("no Cloud Run service can be named by the mask `{mask}`");
            let hint =
                "add a file to `load_balancer.cloud_run_services`: gcloud run services list --format=json";
            return at(Diagnostic::error(code::URL_MASK, message).hint(hint));
        }
        if named.len() > MASKED_SERVICES_MAX {
            let message = format!(
                "the mask `{mask}` names {} services, the most is {MASKED_SERVICES_MAX}",
                named.len()
            );
            return at(
                Diagnostic::error(code::TOO_LARGE, message).hint("leave out of the file what is not called")
            );
        }
        let mut keys = BTreeMap::new();
        for (name, tag) in named.keys() {
            let key = mask.key(name, tag.as_deref().unwrap_or_default());
            if let Some(other) = keys.insert(key.clone(), name) {
                let message = format!("by the mask `{mask}` `{key}` names `{other}` and `{name}`");
                let hint = "put something between the placeholders that no name holds, such as `.` or `/`";
                return at(Diagnostic::error(code::URL_MASK, message).hint(hint));
            }
        }
        let services =
            named.into_iter().map(|((service, tag), endpoints)| MaskedService { service, tag, endpoints });
        Ok(Destination::Masked(mask.clone(), services.collect()))
    }

    /// What of the services behind a backend service should be known.
    fn warn(&self, service: &BackendService, diagnostics: &mut Diagnostics) {
        let used = service.groups.iter().filter(|reference| !reference.is_drained);
        let groups = used.filter_map(|reference| self.group(reference).ok());
        for group in groups {
            let named = match &group.target {
                GroupTarget::CloudRun { service, .. } => Some(service),
                GroupTarget::Masked { service, .. } => service.as_ref(),
                GroupTarget::Other(_) => continue,
            };
            let is_named = |it: &&CloudRunService| named.is_none_or(|name| it.name == *name);
            for found in self.without_region(group).filter(is_named) {
                let message =
                    format!("the service `{}` does not say its region: no group leads to it", found.name);
                let warning = Diagnostic::warning(code::CLOUD_RUN_SERVICE, message).hint(SAY_REGION);
                diagnostics.push(Diagnostic { place: found.place.clone(), ..warning });
            }
            for found in self.services_beside(group).filter(is_named) {
                let mut warn = |message: String, hint: String| {
                    let warning = Diagnostic::warning(code::CLOUD_RUN_REACH, message).hint(hint);
                    diagnostics.push(Diagnostic { place: found.place.clone(), ..warning });
                };
                let name = &found.name;
                if found.is_open {
                    warn(
                        format!("the service `{name}` answers everyone who reaches it, without a credential"),
                        format!(
                            "let IAM check its callers: gcloud run services update {name} --invoker-iam-check"
                        ),
                    );
                }
                if found.is_url_disabled {
                    warn(
                        format!("the service `{name}` is not reached at its own URL, which Firegate calls"),
                        format!("switch it on: gcloud run services update {name} --default-url"),
                    );
                }
                if let Some(ingress) = &found.ingress {
                    warn(
                        format!("the service `{name}` is not reached from the Internet (ingress {})", quoted(ingress)),
                        "run Firegate there: on Cloud Run with egress through the VPC, or on a machine of the network".to_owned(),
                    );
                }
            }
        }
    }
}

/// What to do about what no export says.
const GIVE_URL: &str = "give the backend a `url` in `firegate.yaml`, by the backend service's name";

/// What to do about a service that does not say where it is.
const SAY_REGION: &str =
    "export it again with its label `cloud.googleapis.com/location`: gcloud run services list --format=json";

fn two_services(name: &str, group: &NetworkEndpointGroup) -> Unresolved {
    let message = format!("there are two services {}", quoted(name));
    let hint = "the group's `region` and the label `cloud.googleapis.com/location` of the services tell them apart; of two \
                projects, or in two files, keep one";
    Unresolved::at(group.place.as_ref(), Diagnostic::error(code::CLOUD_RUN_SERVICE, message).hint(hint))
}

fn mixed(reference: &GroupReference) -> Unresolved {
    let message = "the groups of the backend service do not name their services alike";
    let found = Diagnostic::error(code::URL_MASK, message)
        .hint("all of them have one URL mask, or none has; make two backend services of it");
    Unresolved::at(reference.place.as_ref(), found)
}

fn endpoint(
    service: &CloudRunService,
    tag: Option<&str>,
    group: &NetworkEndpointGroup,
) -> Result<ServiceEndpoint, Unresolved> {
    let url = match tag {
        None => Some(&service.url),
        Some(tag) => service.tags.get(tag),
    };
    let Some(url) = url else {
        let tag = quoted(tag.unwrap_or_default());
        let message = format!("the service `{}` has no tag {tag}", service.name);
        let hint = match service.tags.is_empty() {
            true => "it has none".to_owned(),
            false => format!("its tags are {}", alternatives(service.tags.keys().map(String::as_str))),
        };
        let found = Diagnostic::error(code::CLOUD_RUN_SERVICE, message).hint(hint);
        return Err(Unresolved::at(group.place.as_ref(), found));
    };
    Ok(ServiceEndpoint {
        url: url.clone(),
        // A tag has a URL of its own, and the audience of its service.
        audience: service.audience(),
        custom_audiences: service.custom_audiences.clone(),
    })
}
