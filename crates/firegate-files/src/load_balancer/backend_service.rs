//! Backend services, as `gcloud compute backend-services export`, `describe` and `list` print them.

use super::format::BACKEND_SERVICE;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::google_file::{GoogleFile, Located, Part, last_segment};
use crate::header_names;
use crate::suggestion::quoted;
use crate::url_map::{AddedHeader, HeaderAction, ServiceName, header_value, is_header_name};

/// A backend service.
#[derive(Clone, Debug)]
pub struct BackendService {
    /// Its name, by which URL maps refer to it.
    pub name: ServiceName,
    /// The groups behind it.
    pub groups: Vec<GroupReference>,
    /// The security policy that is attached to it.
    pub security_policy: Option<PolicyReference>,
    /// The security policy that judges requests before Google's caches do.
    pub edge_security_policy: Option<PolicyReference>,
    /// Whether Identity-Aware Proxy is asked who may pass.
    pub is_behind_iap: bool,
    /// The headers that it adds to requests and answers.
    pub header_action: HeaderAction,
    /// Where it stands.
    pub place: Option<Place>,
}

/// A group that a backend service names.
#[derive(Clone, Debug)]
pub struct GroupReference {
    /// The kind in its URL, for example `networkEndpointGroups`; none if it is a bare name.
    pub collection: Option<String>,
    /// The region in its URL.
    pub region: Option<String>,
    /// The project in its URL.
    pub project: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether it gets no requests: its capacity is scaled to nothing.
    pub is_drained: bool,
    /// Where it stands.
    pub place: Option<Place>,
}

/// A security policy that a backend service names.
#[derive(Clone, Debug)]
pub struct PolicyReference {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Option<Place>,
}

impl BackendService {
    /// Reads all backend services of a file. What cannot be read is in `diagnostics`, and left out.
    pub fn read(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Vec<Self> {
        let Some(file) = GoogleFile::parse_list(name, text, &BACKEND_SERVICE, diagnostics) else {
            return Vec::new();
        };
        file.messages().filter_map(|message| service(&message, diagnostics)).collect()
    }
}

fn service(message: &Located<'_>, diagnostics: &mut Diagnostics) -> Option<BackendService> {
    let name = message.get("name");
    let Some(name) = name.as_ref().and_then(|name| ServiceName::of(name.text()?)) else {
        let found = Diagnostic::error(code::BACKEND_SERVICE, "the backend service has no usable `name`")
            .hint("it is the last segment of the URLs that URL maps refer to it by");
        message.report_field("name", diagnostics, found);
        return None;
    };
    let policy = |field: &str| {
        let policy = message.get(field)?;
        Some(PolicyReference { name: policy.resource_name()?.to_owned(), place: policy.place() })
    };
    let iap = message.get("iap").and_then(|iap| iap.get("enabled"));
    Some(BackendService {
        name,
        groups: message.list("backends").filter_map(|backend| group(&backend, diagnostics)).collect(),
        security_policy: policy("securityPolicy"),
        edge_security_policy: policy("edgeSecurityPolicy"),
        is_behind_iap: iap.is_some_and(|enabled| enabled.boolean() != Some(false)),
        header_action: HeaderAction {
            request_add: headers(message, "customRequestHeaders", diagnostics),
            response_add: headers(message, "customResponseHeaders", diagnostics),
            ..HeaderAction::default()
        },
        place: message.get("name").and_then(|name| name.place()),
    })
}

/// The group of one of its backends, and whether it is drained.
fn group(backend: &Located<'_>, diagnostics: &mut Diagnostics) -> Option<GroupReference> {
    let scaler = backend.get("capacityScaler");
    let scale = scaler.as_ref().and_then(|scaler| scaler.number()).unwrap_or(1.0);
    if let Some(scaler) = scaler.filter(|_| scale > 0.0 && scale < 1.0) {
        let message = "a part of the capacity has no effect here, only `0` has";
        let hint = "Firegate prefers the endpoint with the fewest requests; with `0` the group gets none";
        scaler.report(diagnostics, Part::Value, Diagnostic::note(code::BACKEND_SERVICE, message).hint(hint));
    }
    GroupReference::of(&backend.get("group")?, scale <= 0.0)
}

/// Headers as `Name:value`, in which variables stand in braces. What the client sent by a name is replaced: the value is the
/// load balancer's word.
fn headers(message: &Located<'_>, field: &str, diagnostics: &mut Diagnostics) -> Vec<AddedHeader> {
    let mut added = Vec::new();
    for line in message.list(field) {
        let Some(text) = line.text() else { continue };
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let (name, value) = (name.trim(), value.trim());
        let is_visible = value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte));
        let found = if !is_header_name(name) || !is_visible {
            let message = format!("{} is not a header", quoted(text));
            Diagnostic::error(code::BACKEND_SERVICE, message).hint("write `Name:value`, in visible ASCII")
        } else if header_names::is_reserved(name) {
            let message = format!("{} is not the load balancer's to change", quoted(name));
            let hint = "headers that speak of identity, of Google, of the way a request took or of the connection are set by \
                        Firegate alone; remove it";
            Diagnostic::error(code::BACKEND_SERVICE, message).hint(hint)
        } else {
            let (value, unknown) = header_value(value);
            for variable in unknown {
                let message = format!("`{{{variable}}}` is empty here: Firegate does not know it");
                line.report(diagnostics, Part::Value, Diagnostic::note(code::BACKEND_SERVICE, message));
            }
            added.push(AddedHeader { name: name.to_ascii_lowercase(), value, replace: true });
            continue;
        };
        line.report(diagnostics, Part::Value, found);
    }
    added
}

/// What follows a word in a resource's URL: the project after `projects`, for example.
pub(super) fn url_segment(url: &str, word: &str) -> Option<String> {
    let mut segments = url.split('/').skip_while(|segment| *segment != word);
    segments.nth(1).map(str::to_owned)
}

impl GroupReference {
    fn of(group: &Located<'_>, is_drained: bool) -> Option<Self> {
        let url = group.text()?;
        let segments = url.split('/').collect::<Vec<_>>();
        let collection = segments.len().checked_sub(2).and_then(|at| segments.get(at));
        Some(Self {
            collection: collection.map(|segment| (*segment).to_owned()),
            region: url_segment(url, "regions"),
            project: url_segment(url, "projects"),
            name: last_segment(url).to_owned(),
            is_drained,
            place: group.place(),
        })
    }
}
