mod exports;
mod lints;
mod options;
mod rules;

use firegate_expr::Dialect;

use super::*;
use crate::diagnostic::Severity;
use crate::google_file::Form;

/// The default rule, as every export has it.
const DEFAULT: &str = "\
- action: allow
  description: default rule
  kind: compute#securityPolicyRule
  match:
    config:
      srcIpRanges:
      - '*'
    versionedExpr: SRC_IPS_V1
  preview: false
  priority: 2147483647
";

/// What a load balancer's export looks like, written anew.
const EXPORT: &str = "\
adaptiveProtectionConfig:
  layer7DdosDefenseConfig:
    enable: false
advancedOptionsConfig:
  jsonParsing: STANDARD
  logLevel: VERBOSE
  userIpRequestHeaders:
  - True-Client-IP
creationTimestamp: '2026-07-21T07:16:39.177-07:00'
description: ''
fingerprint: dT_5QmeI6h8=
id: '200433714284642728'
kind: compute#securityPolicy
labelFingerprint: 42WmSpB8rSM=
name: shop
rules:
- action: rate_based_ban
  description: sign-in
  kind: compute#securityPolicyRule
  match:
    expr:
      expression: request.path.startsWith('/signin')
  preview: false
  priority: 900
  rateLimitOptions:
    banDurationSec: 600
    banThreshold:
      count: 50
      intervalSec: 600
    conformAction: allow
    enforceOnKey: ''
    enforceOnKeyConfigs:
    - enforceOnKeyType: IP
    - enforceOnKeyName: X-Device
      enforceOnKeyType: HTTP_HEADER
    exceedAction: deny(429)
    rateLimitThreshold:
      count: 10
      intervalSec: 60
- action: deny(403)
  match:
    config:
      srcIpRanges:
      - 203.0.113.0/24
      - 2001:db8::/32
    versionedExpr: SRC_IPS_V1
  preview: true
  priority: 1000
- action: redirect
  match:
    expr:
      expression: origin.region_code == 'AQ'
  priority: 1100
  redirectOptions:
    target: https://example.com/far
    type: EXTERNAL_302
- action: allow
  headerAction:
    requestHeadersToAdds:
    - headerName: X-Seen
      headerValue: yes-it-is
  match:
    expr:
      expression: has(request.headers['x-partner'])
  priority: 1200
";

fn gcloud() -> Attachment {
    Attachment { dialect: Dialect::Gcloud, evaluated_upstream: false, may_see_encoded_slash: false }
}

fn firegate() -> Attachment {
    Attachment { dialect: Dialect::Firegate, evaluated_upstream: false, may_see_encoded_slash: false }
}

/// A policy of these rules and the default rule.
fn policy(rules: &str) -> String {
    format!("name: edge\nrules:\n{rules}{DEFAULT}")
}

fn read(text: &str, attachment: Attachment) -> (Option<SecurityPolicy>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let policy = parse("armor.yaml", text, attachment, &mut diagnostics);
    assert_eq!(policy.is_none(), diagnostics.has_errors(), "{text}\n{diagnostics}");
    (policy, diagnostics)
}

fn accepted(text: &str, attachment: Attachment) -> SecurityPolicy {
    let (policy, diagnostics) = read(text, attachment);
    policy.unwrap_or_else(|| panic!("{text}\n{diagnostics}"))
}

/// The findings as `E FG204 rules[0].action`; E is an error, W a warning, N a note.
fn findings(text: &str, attachment: Attachment) -> Vec<String> {
    let (_, diagnostics) = read(text, attachment);
    let letter = |severity| match severity {
        Severity::Error => 'E',
        Severity::Warning => 'W',
        Severity::Note => 'N',
    };
    diagnostics
        .iter()
        .map(|found| format!("{} {} {}", letter(found.severity), found.code, found.path))
        .collect()
}

/// `rules` before the default rule, read in dialect `gcloud`.
fn check(rules: &str, expected: &[&str]) {
    let text = policy(rules);
    assert_eq!(findings(&text, gcloud()), expected, "{text}\n{}", read(&text, gcloud()).1);
}

/// The same, in dialect `firegate`.
fn check_firegate(rules: &str, expected: &[&str]) {
    let text = policy(rules);
    assert_eq!(findings(&text, firegate()), expected, "{text}\n{}", read(&text, firegate()).1);
}

#[test]
fn an_export_is_read_as_it_is() {
    let text = format!("{EXPORT}{DEFAULT}");
    let policy = accepted(&text, gcloud());
    assert_eq!((policy.name.as_str(), &*policy.file), ("shop", "armor.yaml"));
    assert_eq!(policy.user_ip_request_headers, ["true-client-ip"]);
    let priorities: Vec<u32> = policy.rules.iter().map(|rule| rule.priority).collect();
    assert_eq!(priorities, [900, 1000, 1100, 1200, DEFAULT_RULE_PRIORITY]);
    let [ban, deny, redirect, allow, default] = policy.rules.as_slice() else { panic!("five rules") };
    let Action::RateBasedBan(limit, bans) = &ban.action else { panic!("{ban:?}") };
    assert_eq!((limit.threshold.count.get(), limit.threshold.interval.as_secs()), (10, 60));
    assert_eq!(limit.keys, [Key::Ip, Key::HttpHeader("x-device".to_owned())]);
    assert_eq!(limit.exceed, Exceed::Deny(DenyStatus::TooManyRequests));
    assert_eq!(bans.duration.as_secs(), 600);
    assert_eq!(bans.threshold.map(|threshold| threshold.count.get()), Some(50));
    assert!(matches!(&ban.matcher, Matcher::Expression(_)));
    assert_eq!((ban.line, ban.description.as_str()), (17, "sign-in"));
    assert!(deny.line > ban.line, "each rule begins in a line of its own");
    assert!(deny.preview);
    assert!(matches!(deny.action, Action::Deny(DenyStatus::Forbidden)));
    assert!(matches!(&deny.matcher, Matcher::SourceRanges(ranges) if ranges.len() == 2));
    assert!(matches!(&redirect.action, Action::Redirect(Redirect::External(url)) if url.path() == "/far"));
    assert_eq!(allow.request_headers, [("x-seen".to_owned(), "yes-it-is".to_owned())]);
    assert!(matches!(default.matcher, Matcher::Everything));
    assert!(policy.needs_regions());
    // What the export has switched off is not missed.
    assert_eq!(findings(&text, gcloud()), [""; 0]);
}

#[test]
fn every_documented_field_has_a_treatment() {
    let fields = SECURITY_POLICY.all_fields();
    assert!(fields.len() > 60, "{}", fields.len());
    let find = |path: &str| fields.iter().find(|(found, _)| found == path).map(|(_, field)| field.treatment);
    assert!(find("rules[].rateLimitOptions.enforceOnKeyConfigs[].enforceOnKeyName").is_some());
}
