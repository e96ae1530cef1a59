//! A load balancer's own exports in force: a URL map leads to backend services, those to groups, and the groups to the Cloud
//! Run services that are called.

use std::io;
use std::path::Path;
use std::sync::Arc;

use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_proxy::FrontDoor;
use serde_json::json;

use crate::gate::mirror;
use crate::stack::{Answer, Call, at, clock, close, door_of};

/// The exports, in which the services are these.
struct Exports {
    services: String,
}

const MAP: &str = "\
name: m
defaultService: global/backendServices/fixed
hostRules: [{ hosts: ['*'], pathMatcher: pm }]
pathMatchers:
- name: pm
  defaultService: fixed
  pathRules:
  - { paths: [/v1/*], service: masked }
tests:
- { host: a.example, path: /v1/orders, service: masked }
";

const SERVICES: &str = "\
---
kind: compute#backendService
name: fixed
backends: [{ group: regions/europe-west1/networkEndpointGroups/fixed-neg }]
customRequestHeaders: ['X-Tier:gold']
customResponseHeaders: ['X-Served-By:fixed']
---
kind: compute#backendService
name: masked
backends: [{ group: regions/europe-west1/networkEndpointGroups/masked-neg }]
";

const GROUPS: &str = "\
---
name: fixed-neg
region: europe-west1
networkEndpointType: SERVERLESS
cloudRun: { service: orders }
---
name: masked-neg
region: europe-west1
networkEndpointType: SERVERLESS
cloudRun: { urlMask: '/v1/<service>' }
";

impl NamedFiles for Exports {
    fn read(&self, name: &Path) -> io::Result<String> {
        Ok(match name.to_str() {
            Some("map.yaml") => MAP.to_owned(),
            Some("services.yaml") => SERVICES.to_owned(),
            Some("groups.yaml") => GROUPS.to_owned(),
            _ => self.services.clone(),
        })
    }
}

async fn door() -> FrontDoor {
    let service = |name: &str, url: &str| {
        json!({
            "kind": "Service",
            "metadata": { "name": name, "labels": { "cloud.googleapis.com/location": "europe-west1" } },
            "status": { "url": url },
        })
    };
    let (orders, carts) = (mirror().await, mirror().await);
    let services = json!([service("orders", &orders), service("carts", &carts)]).to_string();
    let text = "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\nload_balancer:\n  backend_services: [services.yaml]\n  \
                network_endpoint_groups: [groups.yaml]\n  cloud_run_services: [run.json]\n";
    let configuration = parse_with_files("firegate.yaml", text, &Exports { services });
    let configuration = configuration.unwrap_or_else(|found| panic!("{found}"));
    door_of(configuration, Arc::new(clock()), None)
}

async fn get(door: &FrontDoor, path: &str) -> Answer {
    Call::get(&at(door, path)).header("x-tier", "eve").send().await
}

#[tokio::test]
async fn each_request_reaches_the_service_that_the_exports_say() {
    let door = door().await;
    let answer = get(&door, "/anything").await;
    assert_eq!(answer.header("x-served-by"), Some("fixed"));
    let fixed = answer.ok();
    assert_eq!(fixed["headers"]["x-tier"], "gold");
    let orders = get(&door, "/v1/orders/7").await.ok();
    assert_eq!(
        (orders["path"].as_str(), orders["headers"]["x-tier"].as_str()),
        (Some("/v1/orders/7"), Some("eve"))
    );
    let carts = get(&door, "/v1/carts").await.ok();
    assert_eq!(orders["headers"]["host"], fixed["headers"]["host"]);
    assert_ne!(orders["headers"]["host"], carts["headers"]["host"]);
    close(door).await;
}

#[tokio::test]
async fn what_names_no_service_is_not_found() {
    let door = door().await;
    for path in ["/v1/other", "/v1/", "/v1/orders-2", "/v1/Orders", "/v1//orders2", "/v1/carts.orders"] {
        get(&door, path).await.expect_refusal(404, "ROUTE_NOT_FOUND", "NONE");
    }
    close(door).await;
}
