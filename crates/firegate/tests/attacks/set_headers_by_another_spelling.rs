//! A header that the operator's rules set, beside the client's under another spelling: WSGI, CGI and PHP make one variable of
//! `X-Team`, `X_Team` and `X.Team`, and the service may take the client's for the operator's.

use std::io;
use std::path::Path;
use std::sync::Arc;

use firegate_files::configuration::{NamedFiles, parse_with_files};
use serde_json::Value;

use crate::project::Project;
use crate::site::echo;
use crate::stack::{Call, at, clock, close, door_of};

const SPELLINGS: [&str; 4] = ["X-Team", "X_Team", "X.Team", "x_tEAM"];

const MAP: &str = "\
name: m
defaultService: api
headerAction:
  requestHeadersToRemove: [X-Gone]
  requestHeadersToAdd:
  - { headerName: X-Team, headerValue: guests, replace: true }
  - { headerName: X-More, headerValue: ours, replace: false }
";

struct TheMap;

impl NamedFiles for TheMap {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(MAP.to_owned())
    }
}

/// The values of all headers that servers may take for this one.
fn values(seen: &Value, name: &str) -> Vec<String> {
    let headers = seen["headers"].as_object().expect("headers");
    let folded = |found: &str| found.to_ascii_lowercase().replace(['_', '.'], "-") == name;
    headers.iter().filter(|(found, _)| folded(found)).map(|(_, value)| value.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_speaks_beside_a_url_map() {
    let clock = clock();
    let service = echo(&clock).await;
    let service = service.as_str().trim_end_matches('/');
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\nbackends: {{ api: '{service}' }}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &TheMap).expect("a configuration");
    let door = door_of(configuration, Arc::new(clock), None);
    for name in SPELLINGS {
        let call = Call::get(&at(&door, "/a")).header(name, "root");
        let seen = call.header("X_Gone", "root").header("X-More", "theirs").send().await.ok();
        assert_eq!(values(&seen, "x-gone"), Vec::<String>::new(), "{name}");
        let team = values(&seen, "x-team");
        assert!(
            team.len() == 1 && team[0].contains("guests") && !team[0].contains("root"),
            "{name}: {team:?}"
        );
        let more = values(&seen, "x-more").concat();
        assert!(more.contains("theirs") && more.contains("ours"), "nothing is replaced: {more}");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_speaks_beside_a_security_policy() {
    const RULES: &str = "- { priority: 1, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, \
        headerAction: { requestHeadersToAdds: [ { headerName: X-Team, headerValue: guests } ] } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for name in SPELLINGS {
        let seen = gate.call("/a").header(name, "root").send().await.ok();
        let team = values(&seen, "x-team");
        assert!(
            team.len() == 1 && team[0].contains("guests") && !team[0].contains("root"),
            "{name}: {team:?}"
        );
    }
    gate.close().await;
}
