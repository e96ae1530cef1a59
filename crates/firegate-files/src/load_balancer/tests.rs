use std::io;
use std::path::Path;

use crate::configuration::{Configuration, NamedFiles, parse_with_files};
use crate::diagnostic::{Diagnostics, Severity};
use crate::export::export;
use crate::google_file::Form;

/// As `gcloud compute backend-services describe api --global` prints it.
const BACKEND_SERVICE: &str = "\
affinityCookieTtlSec: 0
backends:
- balancingMode: UTILIZATION
  capacityScaler: 1.0
  group: https://www.googleapis.com/compute/v1/projects/p/regions/europe-west1/networkEndpointGroups/api-neg
connectionDraining:
  drainingTimeoutSec: 0
creationTimestamp: '2026-07-21T07:16:39.177-07:00'
customRequestHeaders:
- X-Client-Address:{client_ip_address}
- 'X-Edge: load-balancer'
description: ''
enableCDN: false
fingerprint: dT_5QmeI6h8=
id: '200433714284642728'
kind: compute#backendService
loadBalancingScheme: EXTERNAL_MANAGED
name: api
port: 80
portName: http
protocol: HTTPS
selfLink: https://www.googleapis.com/compute/v1/projects/p/global/backendServices/api
sessionAffinity: NONE
timeoutSec: 30
";

/// As `gcloud compute network-endpoint-groups describe api-neg --region=europe-west1` prints it.
const GROUP: &str = "\
cloudRun:
  service: orders
creationTimestamp: '2026-07-21T07:16:39.177-07:00'
id: '1'
kind: compute#networkEndpointGroup
name: api-neg
networkEndpointType: SERVERLESS
region: https://www.googleapis.com/compute/v1/projects/p/regions/europe-west1
selfLink: https://www.googleapis.com/compute/v1/projects/p/regions/europe-west1/networkEndpointGroups/api-neg
size: 0
";

/// As `gcloud run services list --format=json` prints it.
fn services() -> String {
    let service = |name: &str, region: &str, tags: &[&str], annotations: serde_json::Value| {
        let traffic: Vec<_> = tags
            .iter()
            .map(|tag| serde_json::json!({ "revisionName": "r", "tag": tag, "url": format!("https://{tag}---{name}-abc123-ew.a.run.app") }))
            .collect();
        serde_json::json!({
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {
                "annotations": annotations,
                "labels": { "cloud.googleapis.com/location": region },
                "name": name,
                "namespace": "123456789012",
            },
            "spec": { "template": {} },
            "status": { "traffic": traffic, "url": format!("https://{name}-abc123-ew.a.run.app") },
        })
    };
    let audiences =
        serde_json::json!({ "run.googleapis.com/custom-audiences": "[\"https://api.example.com\"]" });
    serde_json::json!([
        service("orders", "europe-west1", &["v2"], audiences),
        service("carts", "europe-west1", &[], serde_json::json!({})),
        service("orders", "us-central1", &[], serde_json::json!({})),
    ])
    .to_string()
}

const CONFIGURATION: &str = "\
project: my-project
allow: [allAuthenticatedUsers]
load_balancer:
  backend_services: [service.yaml]
  network_endpoint_groups: [group.yaml]
  cloud_run_services: [services.json]
";

struct Files<'a>(&'a [(&'a str, &'a str)]);

impl NamedFiles for Files<'_> {
    fn read(&self, name: &Path) -> io::Result<String> {
        let file = self.0.iter().find(|(known, _)| Path::new(known) == name);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn read(text: &str, service: &str, group: &str) -> Result<Configuration, Diagnostics> {
    let services = services();
    let files = [("service.yaml", service), ("group.yaml", group), ("services.json", services.as_str())];
    parse_with_files("firegate.yaml", text, &Files(&files))
}

/// The names of all backends, with the URL and audience of each endpoint.
fn backends(configuration: &Configuration) -> Vec<String> {
    let line = |(name, backend): (&_, &crate::configuration::Backend)| {
        let endpoints =
            backend.endpoints().map(|endpoint| format!(" {} for {}", endpoint.url, endpoint.audience));
        format!("{name}:{}", endpoints.collect::<String>())
    };
    configuration.backends.iter().map(line).collect()
}

#[track_caller]
fn check(text: &str, group: &str, expected: &[&str]) {
    let configuration = read(text, BACKEND_SERVICE, group).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(backends(&configuration), expected);
}

#[track_caller]
fn refused(text: &str, service: &str, group: &str, expected: &str) {
    let found = read(text, service, group).expect_err("it is refused").to_string();
    assert!(found.contains(expected), "{found}");
}

#[test]
fn a_backend_service_is_the_service_of_its_group() {
    check(
        CONFIGURATION,
        GROUP,
        &["api: https://orders-abc123-ew.a.run.app/ for https://orders-abc123-ew.a.run.app"],
    );
    let configuration = read(CONFIGURATION, BACKEND_SERVICE, GROUP).unwrap();
    let warnings: Vec<_> =
        configuration.warnings.iter().filter(|it| it.severity == Severity::Warning).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    let added = &configuration.backends.values().next().unwrap().header_action.request_add;
    assert_eq!(
        added.iter().map(|header| header.name.as_str()).collect::<Vec<_>>(),
        ["x-client-address", "x-edge"]
    );
}

#[test]
fn what_the_configuration_says_of_a_backend_holds() {
    let with = |backend: &str| format!("{CONFIGURATION}backends: {{ api: {backend} }}\n");
    check(
        &with("{ audience: 'https://api.example.com' }"),
        GROUP,
        &["api: https://orders-abc123-ew.a.run.app/ for https://api.example.com"],
    );
    check(
        &with("{ url: 'https://other-abc123-ew.a.run.app' }"),
        "name: other\nnetworkEndpointType: SERVERLESS\n",
        &["api: https://other-abc123-ew.a.run.app/ for https://other-abc123-ew.a.run.app"],
    );
    let unknown = read(&with("{ audience: 'https://b.example.com' }"), BACKEND_SERVICE, GROUP).unwrap();
    assert!(unknown.warnings.to_string().contains("does not take the audience"), "{}", unknown.warnings);
}

#[test]
fn a_tag_has_its_own_url_and_the_audience_of_its_service() {
    check(
        CONFIGURATION,
        &GROUP.replace("service: orders", "service: orders\n  tag: v2"),
        &["api: https://v2---orders-abc123-ew.a.run.app/ for https://orders-abc123-ew.a.run.app"],
    );
}

#[test]
fn the_services_that_a_mask_names_are_backends_of_their_own() {
    let masked = |mask: &str| GROUP.replace("service: orders", &format!("urlMask: '{mask}'"));
    check(
        CONFIGURATION,
        &masked("<service>.example.com"),
        &[
            "api.carts: https://carts-abc123-ew.a.run.app/ for https://carts-abc123-ew.a.run.app",
            "api.orders: https://orders-abc123-ew.a.run.app/ for https://orders-abc123-ew.a.run.app",
        ],
    );
    check(
        CONFIGURATION,
        &masked("<tag>.example.com/<service>"),
        &["api.orders.v2: https://v2---orders-abc123-ew.a.run.app/ for https://orders-abc123-ew.a.run.app"],
    );
    let configuration = read(CONFIGURATION, BACKEND_SERVICE, &masked("<tag>.example.com/<service>")).unwrap();
    let found = configuration.masked.values().next().unwrap();
    assert_eq!(found.backends.keys().collect::<Vec<_>>(), ["v2.example.com/orders"]);
    refused(CONFIGURATION, BACKEND_SERVICE, &masked("<version>.example.com"), "FG603");
    refused(CONFIGURATION, BACKEND_SERVICE, &masked("<tag>.example.com"), "FG603");
}

#[test]
fn what_cannot_be_resolved_is_refused() {
    refused(
        CONFIGURATION,
        BACKEND_SERVICE,
        &GROUP.replace("name: api-neg", "name: other"),
        "what the group `api-neg` is",
    );
    refused(
        CONFIGURATION,
        BACKEND_SERVICE,
        &GROUP.replace("europe-west1", "asia-east1"),
        "what the group `api-neg` is",
    );
    refused(
        CONFIGURATION,
        BACKEND_SERVICE,
        &GROUP.replace("service: orders", "service: order"),
        "did you mean `orders`?",
    );
    refused(CONFIGURATION, BACKEND_SERVICE, &GROUP.replace("service: orders", "tag: x"), "names no service");
    refused(
        CONFIGURATION,
        BACKEND_SERVICE,
        &GROUP.replace("service: orders", "service: orders\n  tag: v3"),
        "its tags are `v2`",
    );
    refused(
        CONFIGURATION,
        BACKEND_SERVICE,
        "name: api-neg\nnetworkEndpointType: INTERNET_FQDN_PORT\n",
        "INTERNET_FQDN_PORT",
    );
    refused(
        CONFIGURATION,
        &BACKEND_SERVICE.replace("networkEndpointGroups", "instanceGroups"),
        GROUP,
        "one of the instanceGroups",
    );
    refused(CONFIGURATION, "name: api\n", GROUP, "has no group");
    refused(CONFIGURATION, BACKEND_SERVICE, "kind: compute#urlMap\nname: api-neg\n", "FG016");
}

#[test]
fn a_security_policy_that_is_nowhere_is_refused() {
    let service = format!(
        "{BACKEND_SERVICE}securityPolicy: https://www.googleapis.com/compute/v1/projects/p/global/securityPolicies/shield\n"
    );
    refused(CONFIGURATION, &service, GROUP, "FG606");
    let behind = format!("{CONFIGURATION}behind: google-lb\n");
    assert!(read(&behind, &service, GROUP).is_ok());
    let policy = "name: shield\nrules:\n- action: deny(403)\n  match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}\n  priority: 2147483647\n";
    let text = format!("{CONFIGURATION}  security_policies: [shield.yaml]\n");
    let services = services();
    let files = [
        ("service.yaml", service.as_str()),
        ("group.yaml", GROUP),
        ("services.json", services.as_str()),
        ("shield.yaml", policy),
    ];
    let configuration =
        parse_with_files("firegate.yaml", &text, &Files(&files)).unwrap_or_else(|found| panic!("{found}"));
    let attached = configuration.backends.values().next().unwrap().security_policy.as_ref().unwrap();
    assert_eq!(attached.name, "shield");
}

#[test]
fn a_host_of_ones_own_needs_an_audience_that_is_meant() {
    let warned = |backend: &str| {
        let text =
            format!("project: my-project\nallow: [allAuthenticatedUsers]\nbackends: {{ api: {backend} }}\n");
        let configuration = crate::configuration::parse("firegate.yaml", &text).unwrap();
        configuration.warnings.iter().any(|found| found.code == crate::diagnostic::code::AUDIENCE)
    };
    assert!(warned("'https://api.example.com'"));
    assert!(warned(
        "{ endpoints: [{ url: 'https://a.example.com' }, { url: 'https://b.example.com', audience: b }] }"
    ));
    assert!(!warned("'https://api-abc123-uc.a.run.app'"));
    assert!(!warned("{ url: 'https://api.example.com', audience: 'https://api.example.com' }"));
    assert!(!warned("{ url: 'https://api.example.com', credential: none }"));
    assert!(!warned("'https://127.0.0.1:8443'"));
}

#[test]
fn lists_and_documents_are_read_and_written_back() {
    let check = |text: &str, format: &str| {
        let once = export("a.yaml", text, Form::Yaml).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(once.format, format);
        let again = export("a.yaml", &once.text, Form::Yaml).unwrap();
        assert_eq!(once.text, again.text);
        once.text
    };
    let written = check(BACKEND_SERVICE, "BackendService");
    assert!(written.contains("timeoutSec: 30") && !written.contains("selfLink"), "{written}");
    check(GROUP, "NetworkEndpointGroup");
    let written = check(&services(), "Service");
    assert!(written.contains("https://orders-abc123-ew.a.run.app"), "{written}");
    let two = check(
        &format!("---\n{BACKEND_SERVICE}---\n{}", BACKEND_SERVICE.replace("name: api", "name: web")),
        "BackendService",
    );
    assert_eq!(two.matches("name: ").count(), 2, "{two}");
}
