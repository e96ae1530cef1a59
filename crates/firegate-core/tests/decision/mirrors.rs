//! Whether a copy of a request goes to the service that its route mirrors it to.

use firegate_core::snapshot::Snapshot;
use firegate_files::configuration::parse_with_files;
use serde_json::json;

use crate::iam_files::Files;
use crate::world::{API, CALLED, Parts, Request, exchanged_token, google_id_token, id_token, session_cookie};

const MAP: &str = "defaultService: web\ndefaultRouteAction: {requestMirrorPolicy: {backendService: copy, mirrorPercent: 100}}\n";

/// Everyone may call the mirror, which has settings of its own.
fn mirrored(mirror: &str, token: &str) -> bool {
    let account = "serviceAccount:robot@demo-project.iam.gserviceaccount.com";
    let text = format!(
        "project: demo-project\nproject_number: '42'\nassertion: {{ issuer: 'https://door.example.com' }}\nurl_map: map.yaml\n\
         backends:\n  web: {{ url: '{API}', allow: [allAuthenticatedUsers, '{account}'] }}\n  \
         copy: {{ url: https://copy.example.com, {mirror} allow: [allUsers, '{account}'] }}\n\
         users: {{ accept: [id_token, session_cookie, google_id_token, exchanged_token], google_audiences: ['{CALLED}'] }}\n"
    );
    let policy = "rules: [{priority: 2147483647, action: allow, match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}}]\n";
    let files = [("map.yaml", MAP), ("armor.yaml", policy)];
    let configuration = parse_with_files("firegate.yaml", &text, &Files(&files));
    let configuration = configuration.unwrap_or_else(|found| panic!("{found}"));
    let mut parts =
        Parts { snapshot: Snapshot::compile(&configuration), ..Parts::new("allow: [allUsers]", "") };
    parts.at_once(&Request::bearing(token)).permit().mirror().is_some()
}

#[test]
fn a_copy_goes_to_no_service_for_which_anything_was_not_judged() {
    let user = id_token(&json!({}));
    assert!(mirrored("", &user));
    assert!(mirrored("", &session_cookie(&json!({}))));
    assert!(!mirrored("app_check: required,", &user), "nobody has asked for the app");
    let policy = "security_policy: { file: armor.yaml, dialect: firegate },";
    assert!(!mirrored(policy, &user), "its policy has not looked at the request");
    let exchanged = exchanged_token("firegate-exchanged+jwt", &json!({}));
    assert!(!mirrored("", &exchanged), "it is for another audience");
    assert!(!mirrored("", &google_id_token(&json!({}))), "and so is what Google minted");
}
