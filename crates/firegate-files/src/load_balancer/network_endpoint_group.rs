//! Network endpoint groups, as `gcloud compute network-endpoint-groups describe` and `list` print them.

use super::backend_service::url_segment;
use super::format::NETWORK_ENDPOINT_GROUP;
use super::url_mask::UrlMask;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::google_file::{GoogleFile, Located};
use crate::suggestion::quoted;

/// A network endpoint group.
#[derive(Clone, Debug)]
pub struct NetworkEndpointGroup {
    /// Its name.
    pub name: String,
    /// The region that it and its services are in.
    pub region: Option<String>,
    /// The project that it and its services are in.
    pub project: Option<String>,
    /// What it leads to.
    pub target: GroupTarget,
    /// Where it stands.
    pub place: Option<Place>,
}

/// What a network endpoint group leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupTarget {
    /// One Cloud Run service, or a tag of it.
    CloudRun {
        /// The service.
        service: String,
        /// The tag.
        tag: Option<String>,
    },
    /// The Cloud Run services that requests name.
    Masked {
        /// How they name them.
        mask: UrlMask,
        /// The service, where the mask names none.
        service: Option<String>,
        /// The tag, where the mask names none.
        tag: Option<String>,
    },
    /// Something that is no Cloud Run service: `App Engine`, for example.
    Other(String),
}

impl NetworkEndpointGroup {
    /// Reads all groups of a file. What cannot be read is in `diagnostics`, and left out.
    pub fn read(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Vec<Self> {
        let Some(file) = GoogleFile::parse_list(name, text, &NETWORK_ENDPOINT_GROUP, diagnostics) else {
            return Vec::new();
        };
        file.messages().filter_map(|message| group(&message, diagnostics)).collect()
    }
}

fn group(message: &Located<'_>, diagnostics: &mut Diagnostics) -> Option<NetworkEndpointGroup> {
    let name = message.get("name").and_then(|name| name.text()).unwrap_or_default();
    if name.is_empty() {
        let found = Diagnostic::error(code::ENDPOINT_GROUP, "the network endpoint group has no `name`")
            .hint("backend services refer to it by its name");
        message.report_field("name", diagnostics, found);
        return None;
    }
    let project = |field: &str| url_segment(message.get(field)?.text()?, "projects");
    Some(NetworkEndpointGroup {
        name: name.to_owned(),
        region: message.get("region").and_then(|region| region.resource_name()).map(str::to_owned),
        project: project("selfLink").or_else(|| project("region")),
        target: target(message, diagnostics)?,
        place: message.get("name").and_then(|name| name.place()),
    })
}

fn target(message: &Located<'_>, diagnostics: &mut Diagnostics) -> Option<GroupTarget> {
    let Some(cloud_run) = message.get("cloudRun") else {
        let kind = message.get("networkEndpointType").and_then(|kind| kind.text()).unwrap_or_default();
        let what = match kind {
            "SERVERLESS" if message.get("appEngine").is_some() => "App Engine",
            "SERVERLESS" if message.get("cloudFunction").is_some() => "Cloud Functions",
            other => other,
        };
        return Some(GroupTarget::Other(what.to_owned()));
    };
    let text = |name: &str| {
        cloud_run.get(name).and_then(|field| field.text()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (service, tag) = (text("service"), text("tag"));
    let wrong = |diagnostics: &mut Diagnostics, field: &str, message: String, hint: &str| {
        let found = Diagnostic::error(code::URL_MASK, message).hint(hint);
        cloud_run.report_field(field, diagnostics, found);
        None
    };
    let Some(mask) = text("urlMask") else {
        let Some(service) = service else {
            let message = "the group names no service".to_owned();
            return wrong(diagnostics, "service", message, "it has a `service` or a `urlMask`");
        };
        return Some(GroupTarget::CloudRun { service, tag });
    };
    let mask = match UrlMask::parse(&mask) {
        Ok(mask) => mask,
        Err(why) => {
            return wrong(
                diagnostics,
                "urlMask",
                format!("{} is no URL mask: {why}", quoted(&mask)),
                why.hint,
            );
        }
    };
    if mask.names_service() == service.is_some() || (mask.names_tag() && tag.is_some()) {
        let message = "the service, or its tag, is named by the mask and beside it, or nowhere".to_owned();
        return wrong(
            diagnostics,
            "urlMask",
            message,
            "exactly one of them names each, and the tag may be left out",
        );
    }
    Some(GroupTarget::Masked { mask, service, tag })
}
