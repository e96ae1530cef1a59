//! A request chooses its service by its own host and path, so it may choose only among those that the operator exported, and
//! never one that another reading of its URL would name.

use std::io;
use std::path::Path;
use std::sync::Arc;

use firegate_core::time::ShiftedClock;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_proxy::FrontDoor;
use serde_json::json;

use crate::site::echo;
use crate::stack::{Call, at, clock, close, door_of};

struct Exports {
    mask: &'static str,
    services: String,
}

impl NamedFiles for Exports {
    fn read(&self, name: &Path) -> io::Result<String> {
        Ok(match name.to_str() {
            Some("service.yaml") => {
                "name: api\nbackends: [{ group: networkEndpointGroups/neg }]\n".to_owned()
            }
            Some("group.yaml") => {
                format!(
                    "name: neg\nnetworkEndpointType: SERVERLESS\ncloudRun: {{ urlMask: '{}' }}\n",
                    self.mask
                )
            }
            _ => self.services.clone(),
        })
    }
}

/// A front door before `orders`, which everyone may call.
async fn door(clock: &ShiftedClock, mask: &'static str) -> FrontDoor {
    let orders = echo(clock).await;
    let service =
        json!({ "kind": "Service", "metadata": { "name": "orders" }, "status": { "url": orders.as_str() } });
    let text = "project: demo-project\nallow: [allUsers]\nbackends: { api: { encoded_slash: forward } }\nload_balancer:\n  \
                backend_services: [service.yaml]\n  network_endpoint_groups: [group.yaml]\n  cloud_run_services: [run.json]\n";
    let exports = Exports { mask, services: json!([service]).to_string() };
    let configuration = parse_with_files("firegate.yaml", text, &exports);
    door_of(configuration.unwrap_or_else(|found| panic!("{found}")), Arc::new(clock.clone()), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_names_no_service_but_the_exported_ones() {
    let clock = clock();
    let door = door(&clock, "<service>.example.com").await;
    for host in [
        "admin.example.com",
        "orders.example.com.evil.example",
        "a.orders.example.com",
        "orders.example.com.",
        "orders.evil.example",
        "orders-abc123-uc.a.run.app",
        "169.254.169.254",
    ] {
        let answer = Call::get(&at(&door, "/")).header("host", host).send().await;
        answer.expect_refusal(404, "ROUTE_NOT_FOUND", "NONE");
    }
    let call = Call::get(&at(&door, "/")).header("host", "orders.example.com");
    let call = call.header("x-forwarded-host", "admin.example.com");
    call.send().await.ok();
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_names_no_other_service_than_it_is_forwarded_to() {
    let clock = clock();
    let door = door(&clock, "/<service>").await;
    for path in ["/", "/admin", "/orders.admin", "/<service>", "/orders%20"] {
        Call::get(&at(&door, path)).send().await.expect_refusal(404, "ROUTE_NOT_FOUND", "NONE");
    }
    // Decoded, these would name another service, or none.
    for path in ["/orders/..%2f..%2fadmin", "/orders/%2e%2e%2fadmin"] {
        Call::get(&at(&door, path)).send().await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    for path in ["/x/../orders/7", "//orders/7", "/%6frders/7", "/orders/a%2fb"] {
        assert_eq!(Call::get(&at(&door, path)).send().await.status, 200, "{path}");
    }
    close(door).await;
}
