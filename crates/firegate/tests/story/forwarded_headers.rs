//! What stands before the door, and what it says of the client.

use std::sync::Arc;

use firegate_files::configuration;
use firegate_proxy::{FrontDoor, FrontDoorOptions};
use serde_json::Value;

use crate::gate::mirror;
use crate::stack::{Call, at, clock, close, log, options};

/// A door before a service that tells what reached it.
async fn door(behind: &str, on_cloud_run: bool) -> FrontDoor {
    door_with(&format!("behind: {behind}\n"), on_cloud_run).await
}

async fn door_with(more: &str, on_cloud_run: bool) -> FrontDoor {
    let service = mirror().await;
    let text = format!("project: demo-project\nallow: [allUsers]\n{more}backends: {{ api: '{service}' }}\n");
    let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
    let options = options(configuration, Arc::new(clock()), None);
    FrontDoor::start(FrontDoorOptions { on_cloud_run, ..options }).expect("the front door starts")
}

/// The headers that reach the service.
async fn seen(door: &FrontDoor, fields: &[(&str, &str)]) -> Value {
    let call = Call::get(&at(door, "/"));
    let call = fields.iter().fold(call, |call, (name, value)| call.header(name, value));
    call.send().await.ok()["headers"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_load_balancer_on_cloud_run_the_client_is_the_last_but_one_and_the_ingress_matters() {
    log::begin();
    let door = door("google-lb", true).await;
    let advice = "update SERVICE --ingress internal-and-cloud-load-balancing";
    // The start says what the address depends on.
    log::line(|line| line.contains(advice)).await;
    let fields = [("x-forwarded-for", "1.2.3.4, 203.0.113.9, 34.1.1.1"), ("x-forwarded-proto", "https")];
    let headers = seen(&door, &[&fields[..], &[("via", "1.1 google")]].concat()).await;
    assert_eq!(headers["x-forwarded-for"], "203.0.113.9");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["via"], "1.1 firegate");
    let forwarded = headers["forwarded"].as_str().expect("a header");
    assert!(forwarded.starts_with("by=_firegate;for=203.0.113.9;host="), "{forwarded}");
    assert!(forwarded.ends_with(";proto=https"), "{forwarded}");
    // Too few elements: this came past the load balancer.
    let headers = seen(&door, &[("x-forwarded-for", "203.0.113.9")]).await;
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    close(door).await;
}

/// What stands there nobody has to configure: Cloud Run's front appends the client.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_the_client_is_the_last_one_on_cloud_run_and_the_peer_elsewhere() {
    for (on_cloud_run, client, scheme) in [(true, "34.1.1.1", "https"), (false, "127.0.0.1", "http")] {
        let door = door_with("", on_cloud_run).await;
        let fields = [("x-forwarded-for", "203.0.113.9, 34.1.1.1"), ("x-forwarded-proto", "https")];
        let headers = seen(&door, &fields).await;
        assert_eq!(
            (&headers["x-forwarded-for"], &headers["x-forwarded-proto"]),
            (&client.into(), &scheme.into())
        );
        close(door).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn off_cloud_run_only_the_named_peers_speak_for_a_client() {
    let fields = [("x-forwarded-for", "203.0.113.9, 34.1.1.1"), ("x-forwarded-proto", "https")];
    // Neither Google's front ends nor these proxies are on this machine, and Cloud Run's front stands before nobody here.
    for stranger in ["google-lb", "cloud-run", "{ hops: 2, peers: [10.0.0.0/8] }"] {
        let door = door(stranger, false).await;
        let headers = seen(&door, &fields).await;
        assert_eq!(
            (&headers["x-forwarded-for"], &headers["x-forwarded-proto"]),
            (&"127.0.0.1".into(), &"http".into())
        );
        close(door).await;
    }
    let door = door("{ hops: 2, peers: [127.0.0.0/8] }", false).await;
    let headers = seen(&door, &fields).await;
    assert_eq!(
        (&headers["x-forwarded-for"], &headers["x-forwarded-proto"]),
        (&"203.0.113.9".into(), &"https".into())
    );
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_cloud_run_its_front_speaks_for_the_client_and_elsewhere_the_start_says_that_nobody_does() {
    log::begin();
    let door = door("cloud-run", true).await;
    let fields = [("x-forwarded-for", "1.2.3.4, 203.0.113.9"), ("x-forwarded-proto", "https")];
    let headers = seen(&door, &fields).await;
    assert_eq!(
        (&headers["x-forwarded-for"], &headers["x-forwarded-proto"]),
        (&"203.0.113.9".into(), &"https".into())
    );
    close(door).await;
    let door = self::door("cloud-run", false).await;
    log::line(|line| line.contains("`behind: cloud-run` counts on Cloud Run alone")).await;
    close(door).await;
}
