//! Security policies of the real binary, as its log and its metrics tell of them: in the form of Google's load balancer's
//! entries (<https://cloud.google.com/armor/docs/request-logging>), so that queries and alerts of others go on to work.

use serde_json::{Value, json};

use crate::gate::mirror;
use crate::stack::Call;
use crate::stack::binary::Served;

const POLICY: &str = "\
name: edge
rules:
- { priority: 10, preview: true, action: deny(404), match: { expr: { expression: \"request.path.startsWith('/tried')\" } } }
- priority: 15
  preview: true
  action: throttle
  match: { expr: { expression: \"request.path.startsWith('/counted')\" } }
  rateLimitOptions: { rateLimitThreshold: { count: 1, intervalSec: 60 }, conformAction: allow, exceedAction: deny(429), enforceOnKey: IP }
- { priority: 20, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/closed')\" } } }
- { priority: 30, action: redirect, match: { expr: { expression: \"request.path.startsWith('/old')\" } }, redirectOptions: { type: EXTERNAL_302, target: 'https://www.example.com/new' } }
- priority: 40
  action: throttle
  match: { expr: { expression: \"request.path.startsWith('/few')\" } }
  rateLimitOptions: { rateLimitThreshold: { count: 1, intervalSec: 60 }, conformAction: allow, exceedAction: deny(429), enforceOnKey: IP }
- priority: 50
  action: rate_based_ban
  match: { expr: { expression: \"request.path.startsWith('/ban')\" } }
  rateLimitOptions: { rateLimitThreshold: { count: 1, intervalSec: 60 }, conformAction: allow, exceedAction: deny(429), enforceOnKey: IP, banDurationSec: 60 }
- priority: 60
  action: throttle
  match: { expr: { expression: \"request.path.startsWith('/elsewhere')\" } }
  rateLimitOptions: { rateLimitThreshold: { count: 1, intervalSec: 60 }, conformAction: allow, exceedAction: redirect, exceedRedirectOptions: { type: EXTERNAL_302, target: 'https://www.example.com/later' }, enforceOnKey: IP }
- { priority: 2147483647, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }
";

async fn served() -> Served {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let service = mirror().await;
    let configuration = format!(
        "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allUsers]\n\
         backends: {{ api: {{ url: '{service}', security_policy: armor.yaml }} }}\n"
    );
    std::fs::write(folder.join("firegate.yaml"), configuration).expect("a file");
    std::fs::write(folder.join("armor.yaml"), POLICY).expect("a file");
    Served::start_in(&folder, &["--listen", "127.0.0.1:0", "--log-format", "json", "-c", "firegate.yaml"])
}

/// The status of the answer to a request for a path, and the line about it.
async fn told(served: &Served, path: &str) -> (u16, Value) {
    let answer = Call::get(&served.url.join(path).expect("a path")).send().await;
    let line = served.line(|line| line.contains("httpRequest") && line.contains(&format!("{path}\""))).await;
    (answer.status.as_u16(), serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

fn rule(priority: u32, action: &str, outcome: &str) -> Value {
    json!({ "name": "edge", "priority": priority, "configuredAction": action, "outcome": outcome })
}

fn limited(priority: u32, action: &str, outcome: &str, key: &str, counted: &str) -> Value {
    let mut rule = rule(priority, action, outcome);
    rule["rateLimitAction"] = json!({ "key": key, "outcome": counted });
    rule
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_did_is_logged_as_googles_load_balancer_does() {
    let served = served().await;
    let address = "127.0.0.1";
    let (conform, exceed, ban) =
        ("RATE_LIMIT_THRESHOLD_CONFORM", "RATE_LIMIT_THRESHOLD_EXCEED", "BAN_THRESHOLD_EXCEED");
    let (nothing, denied) = (Value::Null, json!("denied_by_security_policy"));
    let redirected = json!("redirected_by_security_policy");
    let tried = |outcome, counted| limited(15, "THROTTLE", outcome, address, counted);
    for (path, status, details, enforced, preview) in [
        // Of a request that simply passes nothing is said, and neither of one that keeps within a limit.
        ("/a", 200, &nothing, nothing.clone(), nothing.clone()),
        ("/tried?1", 200, &nothing, nothing.clone(), rule(10, "DENY", "DENY")),
        ("/counted?1", 200, &nothing, nothing.clone(), tried("ACCEPT", conform)),
        ("/counted?2", 200, &nothing, nothing.clone(), tried("DENY", exceed)),
        ("/closed?1", 403, &denied, rule(20, "DENY", "DENY"), nothing.clone()),
        ("/old?1", 302, &redirected, rule(30, "EXTERNAL_302", "REDIRECT"), nothing.clone()),
        ("/few?1", 200, &nothing, nothing.clone(), nothing.clone()),
        ("/few?2", 429, &denied, limited(40, "THROTTLE", "DENY", address, exceed), nothing.clone()),
        ("/ban?1", 200, &nothing, nothing.clone(), nothing.clone()),
        ("/ban?2", 429, &denied, limited(50, "RATE_BASED_BAN", "DENY", address, ban), nothing.clone()),
        ("/ban?3", 429, &denied, limited(50, "RATE_BASED_BAN", "DENY", address, ban), nothing.clone()),
        ("/elsewhere?1", 200, &nothing, nothing.clone(), nothing.clone()),
        (
            "/elsewhere?2",
            302,
            &redirected,
            limited(60, "THROTTLE", "REDIRECT", address, exceed),
            nothing.clone(),
        ),
    ] {
        let (found, line) = told(&served, path).await;
        assert_eq!(found, status, "{path}: {line}");
        // A redirect is an answer of the door's own, as a URL map's is: nothing was forwarded.
        let outcome = match status {
            200 => "permit",
            302 => "respond",
            _ => "denial",
        };
        assert_eq!(line["outcome"], outcome, "{path}: {line}");
        assert_eq!(line["statusDetails"], *details, "{path}: {line}");
        assert_eq!(line["enforcedSecurityPolicy"], enforced, "{path}: {line}");
        assert_eq!(line["previewSecurityPolicy"], preview, "{path}: {line}");
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_matched_are_counted_by_policy_and_priority() {
    let served = served().await;
    for path in ["/a", "/b", "/tried", "/closed", "/closed/x", "/few", "/old"] {
        Call::get(&served.url.join(path).expect("a path")).send().await;
    }
    let metrics = Call::get(served.admin.as_ref().expect("an admin listener")).send().await;
    let metrics = String::from_utf8(metrics.body.to_vec()).expect("text");
    let line = |priority: u32, outcome: &str, count: u32| {
        format!(
            "firegate_security_policy_matches_total{{backend=\"api\",policy=\"edge\",priority=\"{priority}\",outcome=\"{outcome}\"}} {count}"
        )
    };
    for expected in [
        line(10, "preview_deny", 1),
        line(20, "deny", 2),
        line(30, "redirect", 1),
        "firegate_decisions_total{outcome=\"respond\",code=\"\",backend=\"api\"} 1".to_owned(),
        line(40, "accept", 1),
        line(2_147_483_647, "accept", 3),
    ] {
        assert!(metrics.lines().any(|line| line == expected), "{expected} is not in:\n{metrics}");
    }
    assert_eq!(metrics.matches("firegate_security_policy_matches_total{").count(), 5, "{metrics}");
    served.stop();
}
