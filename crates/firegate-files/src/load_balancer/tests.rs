use std::io;
use std::path::Path;

use crate::configuration::{Configuration, NamedFiles, parse_with_files};
use crate::diagnostic::{Diagnostics, Severity};
use crate::export::export;
use crate::google_file::Form;
use crate::limits::{BACKENDS_MAX, ENDPOINTS_MAX};

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
    read_with(text, service, group, &services())
}

fn read_with(text: &str, service: &str, group: &str, services: &str) -> Result<Configuration, Diagnostics> {
    let files = [
        ("service.yaml", service),
        ("group.yaml", group),
        ("services.json", services),
        ("shield.yaml", SHIELD),
    ];
    parse_with_files("firegate.yaml", text, &Files(&files))
}

const SHIELD: &str = "\
name: shield
rules:
- { action: deny(403), match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, priority: 2147483647 }
";

/// A group that names its services by this mask.
fn masked(mask: &str) -> String {
    GROUP.replace("service: orders", &format!("urlMask: '{mask}'"))
}

/// A service of a project, perhaps with a region.
fn service_of(name: &str, project: &str, region: Option<&str>) -> serde_json::Value {
    let labels = region.map(|region| serde_json::json!({ "cloud.googleapis.com/location": region }));
    serde_json::json!({
        "kind": "Service",
        "metadata": { "name": name, "namespace": project, "labels": labels.unwrap_or_default() },
        "status": { "url": format!("https://{name}-{project}.europe-west1.run.app") },
    })
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
fn a_group_that_is_drained_gets_nothing() {
    let second = "- capacityScaler: 0.0\n  group: zones/elsewhere/networkEndpointGroups/unknown-neg\nconnectionDraining:";
    let with_drained = BACKEND_SERVICE.replace("connectionDraining:", second);
    // It is not even asked for what it is.
    let endpoints = |service: &str| {
        let configuration = read(CONFIGURATION, service, GROUP).expect("it is accepted");
        let backend = configuration.backends.into_values().next().expect("a backend");
        backend.endpoints().map(|endpoint| endpoint.url.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(endpoints(&with_drained), ["https://orders-abc123-ew.a.run.app/"]);
    refused(CONFIGURATION, &with_drained.replace("capacityScaler: 0.0", "capacityScaler: 1"), GROUP, "FG602");
    let all = BACKEND_SERVICE.replace("capacityScaler: 1.0", "capacityScaler: 0");
    refused(CONFIGURATION, &all, GROUP, "every group of the backend service `api` is drained");
    let half = BACKEND_SERVICE.replace("capacityScaler: 1.0", "capacityScaler: 0.5");
    assert_eq!(endpoints(&half), ["https://orders-abc123-ew.a.run.app/"]);
    let noted = read(CONFIGURATION, &half, GROUP).expect("it is accepted").warnings.to_string();
    assert!(noted.contains("a part of the capacity has no effect here"), "{noted}");
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
    let text = format!("{CONFIGURATION}  security_policies: [shield.yaml]\n");
    let configuration = read(&text, &service, GROUP).unwrap_or_else(|found| panic!("{found}"));
    let attached = configuration.backends.values().next().unwrap().security_policy.as_ref().unwrap();
    assert_eq!(attached.name, "shield");
}

#[test]
fn an_edge_security_policy_needs_one_of_the_backends_own() {
    let policy = |field: &str, name: &str| format!("{field}: projects/p/global/securityPolicies/{name}\n");
    let edge = format!("{BACKEND_SERVICE}{}", policy("edgeSecurityPolicy", "edge"));
    let both = format!("{edge}{}", policy("securityPolicy", "shield"));
    refused(CONFIGURATION, &edge, GROUP, "FG606");
    let exported = format!("{CONFIGURATION}  security_policies: [shield.yaml]\n");
    refused(&exported, &both, GROUP, "the edge security policy `edge`");
    assert!(read(&format!("{exported}behind: google-lb\n"), &both, GROUP).is_ok());
    let own = format!("{CONFIGURATION}backends: {{ api: {{ security_policy: shield.yaml }} }}\n");
    assert!(read(&own, &edge, GROUP).is_ok());
}

#[test]
fn two_security_policies_of_one_name_are_refused() {
    let text = format!("{CONFIGURATION}  security_policies: [shield.yaml, shield.yaml]\n");
    refused(&text, BACKEND_SERVICE, GROUP, "there are two security policies `shield`");
}

#[test]
fn services_of_two_projects_or_two_files_are_not_one() {
    let here = Some("europe-west1");
    let read = |group: &str, services: &[serde_json::Value]| {
        read_with(CONFIGURATION, BACKEND_SERVICE, group, &serde_json::json!(services).to_string())
    };
    let twice = [service_of("orders", "1", here), service_of("orders", "2", here)];
    for group in [GROUP, &masked("<service>.example.com")] {
        let found = read(group, &twice).expect_err("it is refused").to_string();
        assert!(found.contains("there are two services `orders`"), "{found}");
        let same = [twice[0].clone(), twice[0].clone()];
        assert!(read(group, &same).is_err());
    }
    // Where both are told by number, or both by ID, they can be told apart.
    for (project, services) in
        [("1", &twice[..]), ("p", &[service_of("orders", "p", here), service_of("orders", "q", here)][..])]
    {
        for group in [GROUP, &masked("<service>.example.com")] {
            let group = group.replace("projects/p/", &format!("projects/{project}/"));
            let service = BACKEND_SERVICE.replace("projects/p/", &format!("projects/{project}/"));
            let services = serde_json::json!(services).to_string();
            let found = read_with(CONFIGURATION, &service, &group, &services)
                .unwrap_or_else(|found| panic!("{found}"));
            let url = format!("https://orders-{project}.europe-west1.run.app/");
            let urls: Vec<_> = found
                .backends
                .values()
                .flat_map(|backend| backend.endpoints().map(|endpoint| endpoint.url.to_string()))
                .collect();
            assert_eq!(urls, [url]);
        }
    }
    let own = CONFIGURATION.replace("project: my-project", "project: my-project\nproject_number: '1'");
    let of_own = |text: &str| text.replace("projects/p/", "projects/my-project/");
    let (service, group) = (of_own(BACKEND_SERVICE), of_own(&masked("<service>.example.com")));
    let services =
        serde_json::json!([service_of("orders", "1", here), service_of("admin", "2", here)]).to_string();
    let found = read_with(&own, &service, &group, &services).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(found.backends.keys().map(ToString::to_string).collect::<Vec<_>>(), ["api.orders"]);
    let other = read(GROUP, &[service_of("orders", "q", here)]).expect_err("it is refused").to_string();
    assert!(other.contains("no Cloud Run service `orders`"), "{other}");
}

#[test]
fn a_service_without_a_region_is_beside_no_group() {
    let services = |list: &[serde_json::Value]| serde_json::json!(list).to_string();
    let lost = service_of("orders", "1", None);
    let found = read_with(CONFIGURATION, BACKEND_SERVICE, GROUP, &services(std::slice::from_ref(&lost)));
    let found = found.expect_err("it is refused").to_string();
    assert!(found.contains("the service `orders` does not say its region"), "{found}");
    let all = services(&[lost, service_of("carts", "1", Some("europe-west1"))]);
    let found = read_with(CONFIGURATION, BACKEND_SERVICE, &masked("<service>.example.com"), &all);
    let found = found.unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(found.backends.keys().map(ToString::to_string).collect::<Vec<_>>(), ["api.carts"]);
    assert!(found.warnings.to_string().contains("does not say its region"), "{}", found.warnings);
}

#[test]
fn what_firegate_cannot_reach_and_what_no_longer_judges_is_warned_of() {
    let warned = |annotation: &str, value: &str| {
        let mut service = service_of("orders", "1", Some("europe-west1"));
        service["metadata"]["annotations"] =
            serde_json::json!({ (format!("run.googleapis.com/{annotation}")): value });
        let services = serde_json::json!([service]).to_string();
        let found = read_with(CONFIGURATION, BACKEND_SERVICE, GROUP, &services);
        let found = found.unwrap_or_else(|found| panic!("{found}"));
        found.warnings.iter().any(|found| found.code == crate::diagnostic::code::CLOUD_RUN_REACH)
    };
    assert!(warned("ingress", "internal"));
    assert!(warned("ingress", "internal-and-cloud-load-balancing"));
    assert!(!warned("ingress", "all"));
    assert!(warned("default-url-disabled", "true"));
    assert!(!warned("default-url-disabled", "false"));
    let iap = |text: &str, iap: &str| {
        let service = format!("{BACKEND_SERVICE}iap: {iap}\n");
        let found = read(text, &service, GROUP).unwrap_or_else(|found| panic!("{found}"));
        found.warnings.to_string().contains("Identity-Aware Proxy")
    };
    assert!(iap(CONFIGURATION, "{ enabled: true, oauth2ClientId: '1' }"));
    assert!(!iap(CONFIGURATION, "{ enabled: false }"));
    assert!(!iap(&format!("{CONFIGURATION}behind: google-lb\n"), "{ enabled: true }"));
}

#[test]
fn exports_are_bounded_as_what_is_written_by_hand() {
    let group = |number: usize| format!("---\n{}", GROUP.replace("api-neg", &format!("neg-{number}")));
    let groups: String = (0..=ENDPOINTS_MAX).map(group).collect();
    let references: String =
        (0..=ENDPOINTS_MAX).map(|number| format!("- group: networkEndpointGroups/neg-{number}\n")).collect();
    let service = format!("name: api\nbackends:\n{references}");
    refused(CONFIGURATION, &service, &groups, "lead to 33 endpoints, the most is 32");
    let services: Vec<_> = (0..BACKENDS_MAX)
        .map(|number| service_of(&format!("s{number}"), "1", Some("europe-west1")))
        .collect();
    let services = serde_json::json!(services).to_string();
    let group = masked("<service>.example.com");
    assert!(read_with(CONFIGURATION, BACKEND_SERVICE, &group, &services).is_ok());
    let one_more = format!("{CONFIGURATION}backends: {{ other: 'https://other-1.europe-west1.run.app' }}\n");
    let found =
        read_with(&one_more, BACKEND_SERVICE, &group, &services).expect_err("it is refused").to_string();
    assert!(found.contains("there are 1001 backends, the most is 1000"), "{found}");
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
