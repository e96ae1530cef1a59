//! A front door's own log, played to another configuration.

use std::process::Command;

use serde_json::{Value, json};

use crate::stack::Call;
use crate::stack::binary::Served;

const REQUESTS: u64 = 12;

const CONFIGURATION: &str = "project: demo-project\nbackends: { api: { url: 'http://127.0.0.1:9', allow: [allUsers], credential: none } }\n";

const LIMITED: &str = "project: demo-project\nbackends:\n  api: { url: 'http://127.0.0.1:9', allow: [allUsers], credential: none, security_policy: armor.yaml }\n";

const POLICY: &str = "\
name: edge
rules:
- priority: 1000
  action: throttle
  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: [ '*' ] } }
  rateLimitOptions:
    rateLimitThreshold: { count: 5, intervalSec: 60 }
    conformAction: allow
    exceedAction: deny(429)
    enforceOnKey: IP
- priority: 2147483647
  action: allow
  match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: [ '*' ] } }
";

/// Connections are dealt out among the workers, and each of these has its own part of the log.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_several_workers_can_be_counted() {
    let served = Served::start(CONFIGURATION, "json", "info");
    for _ in 0..REQUESTS {
        let status = Call::get(&served.url).send().await.status;
        assert_eq!(status.as_u16(), 502, "nobody is there");
    }
    let log = tokio::task::spawn_blocking(move || served.stop()).await.expect("it ends");
    let folder = tempfile::tempdir().expect("a folder");
    let lines = log.lines().filter(|line| line.contains("httpRequest")).collect::<Vec<_>>().join("\n");
    for (name, text) in [("firegate.yaml", LIMITED), ("armor.yaml", POLICY), ("log.json", &lines)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(["explain", "-c", "firegate.yaml", "--simulate", "log.json", "--output", "json"]);
    let output = command.current_dir(folder.path()).env_clear().output().expect("the binary runs");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sums = ["requests", "undecided", "changed"].map(|name| &found[name]);
    assert_eq!(sums, [&json!(REQUESTS), &json!(0), &json!(REQUESTS - 5)], "{found:#}\n{lines}");
}
