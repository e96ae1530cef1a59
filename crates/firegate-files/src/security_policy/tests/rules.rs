use super::*;

/// A rule of priority 1 with these lines.
fn rule(lines: &str) -> String {
    let lines = lines.lines().map(|line| format!("  {line}\n")).collect::<String>();
    format!("- priority: 1\n{lines}")
}

const ALL: &str = "match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}";
const NET: &str = "match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: [192.0.2.0/24]}}";

#[test]
fn a_rule_has_a_priority_of_its_own() {
    let net = |priority: &str, third: u8| {
        format!(
            "- {{action: deny(403), {priority}match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: [192.0.{third}.0/24]}}}}}}\n"
        )
    };
    check(&net("priority: 1, ", 1), &[]);
    check(&net("", 1), &["E FG202 rules[0].priority"]);
    check(&net("priority: -1, ", 1), &["E FG202 rules[0].priority"]);
    check(&net("priority: 2147483648, ", 1), &["E FG202 rules[0].priority"]);
    check(&net("priority: one, ", 1), &["E FG005 rules[0].priority"]);
    check(&(net("priority: 7, ", 1) + &net("priority: 7, ", 2)), &["E FG202 rules[1].priority"]);
}

#[test]
fn an_action_is_one_of_googles() {
    for action in ["allow", "deny(403)", "deny(404)", "deny(502)"] {
        check(&rule(&format!("action: {action}\n{NET}")), &[]);
    }
    check(&rule(&format!("action: deny(429)\n{NET}")), &["W FG204 rules[0].action"]);
    for action in ["deny", "deny(500)", "deny-403", "Deny(403)", "block", "fairshare"] {
        check(&rule(&format!("action: {action}\n{NET}")), &["E FG204 rules[0].action"]);
    }
    check(&rule(NET), &["E FG204 rules[0].action"]);
}

#[test]
fn an_old_form_is_refused_with_the_new_one() {
    let text = policy(&rule("action: deny\nmatch: {srcIpRanges: [192.0.2.0/24]}"));
    let (_, diagnostics) = read(&text, gcloud());
    let shown = diagnostics.to_string();
    assert!(shown.contains("versionedExpr: SRC_IPS_V1") && shown.contains("`deny(403)`"), "{shown}");
    assert_eq!(findings(&text, gcloud()), ["E FG204 rules[0].action", "E FG015 rules[0].match.srcIpRanges"]);
}

#[test]
fn a_match_says_one_thing() {
    let check_match =
        |text: &str, expected: &[&str]| check(&rule(&format!("action: deny(403)\n{text}")), expected);
    check_match("", &["E FG203 rules[0].match"]);
    check_match("match: {}", &["E FG203 rules[0].match"]);
    check_match("match: {expr: {}}", &["E FG203 rules[0].match.expr.expression"]);
    check_match("match: {config: {srcIpRanges: [192.0.2.1]}}", &["E FG203 rules[0].match.config"]);
    check_match(
        "match: {versionedExpr: SRC_IPS_V1, expr: {expression: 'true'}}",
        &["E FG203 rules[0].match.versionedExpr"],
    );
    check_match(
        "match: {versionedExpr: FIREWALL, config: {srcIpRanges: ['*']}}",
        &["E FG006 rules[0].match.versionedExpr"],
    );
    let ranges =
        |list: &str| format!("match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: [{list}]}}}}");
    check_match(&ranges("192.0.2.1, '2001:db8::1', '::ffff:192.0.2.0/120'"), &[]);
    check_match(&ranges("192.0.2.1/24"), &["W FG205 rules[0].match.config.srcIpRanges[0]"]);
    check_match(&ranges("192.0.2.0/33"), &["E FG205 rules[0].match.config.srcIpRanges[0]"]);
    check_match(&ranges("example.com"), &["E FG205 rules[0].match.config.srcIpRanges[0]"]);
    check_match(&ranges(""), &["E FG205 rules[0].match.config.srcIpRanges"]);
    let eleven = (0..11).map(|n| format!("192.0.{n}.0/24")).collect::<Vec<_>>().join(", ");
    check_match(&ranges(&eleven), &["E FG210 rules[0].match.config.srcIpRanges"]);
    check_firegate(&rule(&format!("action: deny(403)\n{}", ranges(&eleven))), &[]);
}

#[test]
fn an_expression_is_checked_in_its_place() {
    let text =
        policy(&rule("action: deny(403)\nmatch: {expr: {expression: \"request.path.startswith('/x')\"}}"));
    let (_, diagnostics) = read(&text, gcloud());
    let found = diagnostics.iter().next().unwrap();
    let place = found.place.as_ref().unwrap();
    assert_eq!((found.code, place.line), ("FG505", 5), "{diagnostics}");
    assert!(text[place.span.clone()].contains("startswith"), "{diagnostics}");
}

#[test]
fn the_verified_user_is_firegates_alone() {
    let text = rule("action: deny(403)\nmatch: {expr: {expression: \"auth.uid == 'mallory'\"}}");
    check_firegate(&text, &[]);
    let (_, diagnostics) = read(&policy(&text), gcloud());
    let shown = diagnostics.to_string();
    assert!(shown.contains("dialect: firegate") && shown.contains("Google refuses"), "{shown}");
}

#[test]
fn redirects_are_whole() {
    let check_redirect =
        |text: &str, expected: &[&str]| check(&rule(&format!("action: redirect\n{NET}\n{text}")), expected);
    check_redirect("redirectOptions: {type: EXTERNAL_302, target: 'https://example.com/'}", &[]);
    check_redirect("", &["E FG206 rules[0].redirectOptions"]);
    check_redirect(
        "redirectOptions: {target: 'https://example.com/'}",
        &["E FG206 rules[0].redirectOptions.type"],
    );
    check_redirect("redirectOptions: {type: EXTERNAL_302}", &["E FG206 rules[0].redirectOptions.target"]);
    check_redirect(
        "redirectOptions: {type: EXTERNAL_302, target: /blocked}",
        &["E FG206 rules[0].redirectOptions.target"],
    );
    check_redirect(
        "redirectOptions: {type: EXTERNAL_302, target: 'javascript:alert(1)'}",
        &["E FG206 rules[0].redirectOptions.target"],
    );
    check_redirect("redirectOptions: {type: GOOGLE_RECAPTCHA}", &["W FG226 rules[0].action"]);
    check_redirect(
        "redirectOptions: {type: GOOGLE_RECAPTCHA, target: 'https://example.com/'}",
        &["W FG226 rules[0].action", "E FG206 rules[0].redirectOptions.target"],
    );
    let elsewhere = "redirectOptions: {type: EXTERNAL_302, target: 'https://example.com/'}";
    check(&rule(&format!("action: allow\n{NET}\n{elsewhere}")), &["E FG206 rules[0].redirectOptions"]);
}

#[test]
fn headers_that_are_set_are_headers() {
    let check_header = |text: &str, expected: &[&str]| {
        let lines = format!("action: allow\n{NET}\nheaderAction: {{requestHeadersToAdds: [{text}]}}");
        check(&rule(&lines), expected);
    };
    let at = "E FG209 rules[0].headerAction.requestHeadersToAdds[0]";
    check_header("{headerName: X-A, headerValue: b}", &[]);
    check_header("{headerName: X-A}", &[]);
    check_header("{headerValue: b}", &[at]);
    check_header("{headerName: 'X A', headerValue: b}", &[at]);
    check_header("{headerName: X-A, headerValue: \"b\\r\\nX-C: d\"}", &[at]);
    check_header("{headerName: Host, headerValue: evil}", &[at]);
    check_header("{headerName: Transfer-Encoding, headerValue: chunked}", &[at]);
}

#[test]
fn policies_for_other_products_are_refused() {
    for (kind, expected) in [
        ("CLOUD_ARMOR", vec![]),
        ("CLOUD_ARMOR_EDGE", vec![]),
        ("CLOUD_ARMOR_NETWORK", vec!["E FG201 type".to_owned()]),
        ("CLOUD_ARMOR_INTERNAL_SERVICE", vec!["E FG201 type".to_owned()]),
        ("cloud_armor", vec!["E FG006 type".to_owned()]),
    ] {
        let text = format!("type: {kind}\n{}", policy(&rule(&format!("action: deny(403)\n{NET}"))));
        assert_eq!(findings(&text, gcloud()), expected, "{kind}");
    }
    let text = format!("kind: compute#urlMap\n{}", policy(""));
    assert_eq!(findings(&text, gcloud()), ["E FG016 kind"]);
}

#[test]
fn a_policy_that_has_no_name_takes_that_of_its_file() {
    let text = format!("rules:\n{DEFAULT}");
    assert_eq!(accepted(&text, gcloud()).name, "armor");
    assert_eq!(
        accepted(&rule(&format!("action: allow\n{ALL}")).replacen("- ", "rules:\n- ", 1), gcloud())
            .rules
            .len(),
        1
    );
}

#[test]
fn a_rule_that_is_wrong_hides_nothing_of_the_others() {
    let unknown =
        "- {priority: 1000, action: deny(403), match: {expr: {expression: \"request.pat == '/a'\"}}}\n";
    let limit = "- {priority: 1000, action: throttle, match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}, \
                 rateLimitOptions: {rateLimitThreshold: {count: 1, intervalSec: 60}, conformAction: allow, \
                 exceedAction: deny(429), enforceOnKey: XFF_IP}}\n";
    check(
        &format!("{unknown}{limit}"),
        &[
            "E FG504 rules[0].match.expr.expression",
            "E FG202 rules[1].priority",
            "W FG224 rules[1].rateLimitOptions.enforceOnKey",
        ],
    );
}

/// A file that lost its rules, or is another one of Google's, would refuse nobody.
#[test]
fn a_file_without_rules_is_no_policy() {
    assert_eq!(findings("{}", gcloud()), ["E FG008 "]);
    assert_eq!(findings("name: edge\nrules: []\n", gcloud()), ["E FG008 "]);
    assert_eq!(findings("name: edge\ntype: CLOUD_ARMOR\n", gcloud()), ["E FG008 "]);
    let iam =
        "bindings:\n- {members: ['user:ada@example.com'], role: roles/run.invoker}\netag: x\nversion: 1\n";
    assert_eq!(findings(iam, gcloud()), ["E FG016 "]);
    let map = "name: m\ndefaultService: web\nhostRules: []\npathMatchers: []\n";
    assert_eq!(findings(map, gcloud()), ["E FG016 "]);
}

#[test]
fn a_status_in_the_spelling_of_gclouds_flags_is_told_in_that_of_its_files() {
    let hint = |text: &str| read(&policy(text), gcloud()).1.to_string();
    assert!(hint(&rule(&format!("action: deny-404\n{NET}"))).contains("write `deny(404)`\n"));
    let limit = "action: throttle\nrateLimitOptions: {rateLimitThreshold: {count: 1, intervalSec: 60}, conformAction: allow, \
                 exceedAction: deny-429, enforceOnKey: IP}\n";
    let shown = hint(&rule(&format!("{limit}{NET}")));
    assert!(shown.contains("write `deny(429)`\n"), "{shown}");
}
