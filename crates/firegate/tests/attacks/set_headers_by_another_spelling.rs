//! A header that the operator's rules set, beside the client's under another spelling: WSGI, CGI and PHP make one variable of
//! `X-Team`, `X_Team` and `X.Team`, and the service may take the client's for the operator's.

use serde_json::Value;

use crate::project::Project;
use crate::site::door_with_map;
use crate::stack::{Call, at, close};

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

/// The values of all headers that servers may take for this one.
fn values(seen: &Value, name: &str) -> Vec<String> {
    let headers = seen["headers"].as_object().expect("headers");
    let folded = |found: &str| found.to_ascii_lowercase().replace(['_', '.'], "-") == name;
    headers.iter().filter(|(found, _)| folded(found)).map(|(_, value)| value.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_speaks_beside_a_url_map() {
    let door = door_with_map(MAP).await;
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
