//! Cloud Run services, as `gcloud run services list` and `describe` print them.

use std::collections::BTreeMap;

use url::Url;

use super::format::CLOUD_RUN_SERVICE;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, code};
use crate::google_file::{GoogleFile, Located, Part};
use crate::suggestion::quoted;

/// A Cloud Run service.
#[derive(Clone, Debug)]
pub struct CloudRunService {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub region: Option<String>,
    /// The number of its project, as a rule.
    pub project: Option<String>,
    /// Its URL, whose origin is an audience that it always takes.
    pub url: Url,
    /// The URLs of its tags. Their audience is that of the service.
    pub tags: BTreeMap<String, Url>,
    /// Further audiences that it takes.
    pub custom_audiences: Vec<String>,
    /// Whether it answers callers without a credential: then nothing keeps anybody from going around Firegate.
    pub is_open: bool,
    /// What its `ingress` lets in, where that is not everything.
    pub ingress: Option<String>,
    /// Whether nothing reaches it at its own URL.
    pub is_url_disabled: bool,
    /// Where it stands.
    pub place: Option<Place>,
}

impl CloudRunService {
    /// Reads all services of a file. What cannot be read is in `diagnostics`, and left out.
    pub fn read(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Vec<Self> {
        let Some(file) = GoogleFile::parse_list(name, text, &CLOUD_RUN_SERVICE, diagnostics) else {
            return Vec::new();
        };
        file.messages().filter_map(|message| service(&message, diagnostics)).collect()
    }

    /// Whether it takes tokens for an audience.
    pub fn takes(&self, audience: &str) -> bool {
        self.audience() == audience || self.custom_audiences.iter().any(|custom| custom == audience)
    }

    /// The audience that it takes in any case.
    pub fn audience(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

fn service(message: &Located<'_>, diagnostics: &mut Diagnostics) -> Option<CloudRunService> {
    let metadata = message.get("metadata");
    let status = message.get("status");
    let name = metadata.as_ref().and_then(|metadata| metadata.get("name"));
    let Some(name) = name.filter(|name| name.text().is_some_and(|text| !text.is_empty())) else {
        let found = Diagnostic::error(code::CLOUD_RUN_SERVICE, "the service has no `metadata.name`")
            .hint("print it with `gcloud run services list --format=json`");
        message.report_field("metadata", diagnostics, found);
        return None;
    };
    let place = name.place();
    let name = name.text().unwrap_or_default();
    let Some(url) = status.as_ref().and_then(|status| status.get("url")) else {
        // A service that was never deployed has none. Where a group leads to it, it is missing there.
        let message = format!("the service {} has no `status.url`: it was never deployed", quoted(name));
        let found = Diagnostic::warning(code::CLOUD_RUN_SERVICE, message);
        diagnostics.push(Diagnostic { place, ..found });
        return None;
    };
    let url = origin(&url, diagnostics)?;
    let mut tags = BTreeMap::new();
    for target in status.iter().flat_map(|status| status.list("traffic")) {
        if let (Some(tag), Some(url)) = (target.get("tag").and_then(|tag| tag.text()), target.get("url")) {
            tags.insert(tag.to_owned(), origin(&url, diagnostics)?);
        }
    }
    let annotations = metadata.as_ref().and_then(|metadata| metadata.get("annotations"));
    let annotation = |name: &str| annotations.as_ref()?.get(&format!("run.googleapis.com/{name}"));
    let custom_audiences = annotation("custom-audiences");
    let labels = metadata.as_ref().and_then(|metadata| metadata.get("labels"));
    let region = labels.and_then(|labels| labels.get("cloud.googleapis.com/location"));
    let says = |name: &str, word: &str| annotation(name).is_some_and(|value| value.text() == Some(word));
    let ingress = annotation("ingress").and_then(|ingress| ingress.text());
    let namespace = metadata.as_ref().and_then(|metadata| metadata.get("namespace"));
    let number = namespace.as_ref().and_then(|namespace| Some(namespace.integer()?.to_string()));
    let project = namespace.and_then(|namespace| namespace.text()).map(str::to_owned).or(number);
    Some(CloudRunService {
        name: name.to_owned(),
        region: region.and_then(|region| region.text()).map(str::to_owned),
        url,
        tags,
        custom_audiences: custom_audiences.map(|list| audiences(&list, diagnostics)).unwrap_or_default(),
        is_open: says("invoker-iam-disabled", "true"),
        ingress: ingress.filter(|ingress| *ingress != "all").map(str::to_owned),
        is_url_disabled: says("default-url-disabled", "true"),
        project,
        place,
    })
}

/// The origin of a service.
fn origin(located: &Located<'_>, diagnostics: &mut Diagnostics) -> Option<Url> {
    let text = located.text().unwrap_or_default();
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if url.is_none() {
        let found = Diagnostic::error(code::CLOUD_RUN_SERVICE, "this is not the URL of a service")
            .hint("it looks like `https://api-abc123-uc.a.run.app`")
            .conceal();
        located.report(diagnostics, Part::Value, found);
    }
    url
}

/// The audiences of an annotation, which holds a list in JSON.
fn audiences(located: &Located<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let list = serde_json::from_str::<Vec<String>>(located.text().unwrap_or_default());
    if list.is_err() {
        let found =
            Diagnostic::warning(code::CLOUD_RUN_SERVICE, "this is no list of audiences, and none is read")
                .hint("Google writes it as `[\"https://api.example.com\"]`");
        located.report(diagnostics, Part::Value, found);
    }
    list.unwrap_or_default()
}
