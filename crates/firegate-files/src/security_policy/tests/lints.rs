use super::*;

fn net(priority: u32, action: &str, ranges: &str) -> String {
    format!(
        "- {{priority: {priority}, action: {action}, match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: [{ranges}]}}}}}}\n"
    )
}

fn expr(priority: u32, action: &str, expression: &str) -> String {
    format!(
        "- {{priority: {priority}, action: {action}, match: {{expr: {{expression: \"{expression}\"}}}}}}\n"
    )
}

/// A limit for every request.
fn throttle(priority: u32, key: &str) -> String {
    format!(
        "- {{priority: {priority}, action: throttle, match: {{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: ['*']}}}}, rateLimitOptions: {{rateLimitThreshold: {{count: 1, intervalSec: 60}}, exceedAction: deny(429), {key}}}}}\n"
    )
}

#[test]
fn a_rule_that_no_request_reaches_is_named() {
    check(&(net(1, "allow", "'*'") + &net(2, "deny(403)", "192.0.2.0/24")), &["W FG221 rules[1].priority"]);
    check(&(net(2, "allow", "'*'") + &net(1, "deny(403)", "192.0.2.0/24")), &[]);
    check(
        &(net(1, "allow", "0.0.0.0/0, '::/0'") + &net(2, "deny(403)", "192.0.2.0/24")),
        &["W FG221 rules[1].priority"],
    );
    check(
        &(net(1, "allow", "192.0.0.0/16, 10.0.0.0/8") + &net(2, "deny(403)", "192.0.2.0/24, 10.1.1.1")),
        &["W FG221 rules[1].priority"],
    );
    check(&(net(1, "allow", "192.0.0.0/16") + &net(2, "deny(403)", "192.0.2.0/24, 10.1.1.1")), &[]);
    check(
        &(expr(1, "allow", "request.path == '/a'") + &expr(2, "deny(403)", "request.path == '/a'")),
        &["W FG221 rules[1].priority"],
    );
    // What is tried out leaves everything to the rules after it.
    let tried = net(1, "allow", "'*'").replace("priority: 1,", "priority: 1, preview: true,");
    check(&(tried + &net(2, "deny(403)", "192.0.2.0/24")), &[]);
}

#[test]
fn a_limit_hides_the_rules_below_it() {
    check(
        &(throttle(1, "enforceOnKey: IP") + &net(2, "deny(403)", "192.0.2.0/24")),
        &["W FG222 rules[1].priority"],
    );
    check(&throttle(1, "enforceOnKey: IP"), &[]);
    // The default rule's refusal would never be reached.
    let text = policy(&throttle(1, "enforceOnKey: IP")).replace("- action: allow", "- action: deny(403)");
    assert_eq!(findings(&text, gcloud()), ["W FG222 rules[1].priority"]);
}

#[test]
fn keys_that_clients_can_choose_or_share_are_named() {
    let at = "rules[0].rateLimitOptions.enforceOnKey";
    check(&throttle(1, "enforceOnKey: XFF_IP"), &[&format!("W FG224 {at}")]);
    check(
        &throttle(1, "enforceOnKey: HTTP_HEADER, enforceOnKeyName: x-api-key"),
        &[&format!("W FG223 {at}")],
    );
    for key in ["SNI", "REGION_CODE", "ASN"] {
        check(&throttle(1, &format!("enforceOnKey: {key}")), &[&format!("W FG223 {at}")]);
    }
    check(
        &throttle(
            1,
            "enforceOnKeyConfigs: [{enforceOnKeyType: IP}, {enforceOnKeyType: HTTP_HEADER, enforceOnKeyName: a}]",
        ),
        &[],
    );
    let forwarded =
        format!("advancedOptionsConfig: {{userIpRequestHeaders: [X-Forwarded-For]}}\n{}", policy(""));
    assert_eq!(findings(&forwarded, gcloud()), ["N FG224 advancedOptionsConfig.userIpRequestHeaders[0]"]);
}

#[test]
fn fingerprints_of_tls_are_not_counted_by() {
    for key in ["TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT"] {
        let text = throttle(1, &format!("enforceOnKey: {key}"));
        check(&text, &["E FG208 rules[0].rateLimitOptions.enforceOnKey"]);
        let upstream = Attachment { evaluated_upstream: true, ..gcloud() };
        assert_eq!(findings(&policy(&text), upstream), [] as [&str; 0]);
    }
}

#[test]
fn a_policy_without_default_rule_allows() {
    let text = format!("rules:\n{}", net(1, "deny(403)", "192.0.2.0/24"));
    assert_eq!(findings(&text, gcloud()), ["W FG220 rules"]);
    let tried_out = |action: &str| {
        let all = "match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}";
        format!("rules:\n- {{priority: 2147483647, action: {action}, preview: true, {all}}}\n")
    };
    assert_eq!(findings(&tried_out("deny(403)"), gcloud()), ["W FG220 rules[0].preview"]);
    assert_eq!(findings(&tried_out("allow"), gcloud()), [""; 0]);
    let text = policy("").replace("'*'", "192.0.2.0/24");
    assert_eq!(findings(&text, gcloud()), ["E FG220 rules[0].match"]);
}

#[test]
fn what_is_not_evaluated_is_noted_and_never_allows() {
    let waf = "evaluatePreconfiguredWaf('sqli-v33-stable')";
    check(&expr(1, "deny(403)", waf), &["N FG523 rules[0].match.expr.expression"]);
    check(
        &expr(1, "allow", waf),
        &["E FG225 rules[0].match.expr.expression", "N FG523 rules[0].match.expr.expression"],
    );
    check(
        &expr(1, "deny(403)", &format!("!{waf}")),
        &["N FG523 rules[0].match.expr.expression", "E FG524 rules[0].match.expr.expression"],
    );
    let upstream = Attachment { evaluated_upstream: true, ..gcloud() };
    for text in [expr(1, "allow", waf), expr(1, "deny(403)", &format!("!{waf}"))] {
        assert_eq!(findings(&policy(&text), upstream), [] as [&str; 0], "{text}");
    }
}

#[test]
fn lints_of_expressions_come_with_the_file() {
    check(
        &expr(1, "deny(403)", "request.headers['Referer'] == 'x'"),
        &["W FG520 rules[0].match.expr.expression", "W FG521 rules[0].match.expr.expression"],
    );
}

#[test]
fn what_a_rule_does_without_a_key_is_told_by_its_dialect_and_action() {
    let check = |attachment: Attachment, action: &str, key: &str, expected: &str| {
        let rule = expr(1, action, &format!("{key} == 'a'"));
        let (_, diagnostics) = read(&policy(&rule), attachment);
        let found = diagnostics.iter().find(|found| found.code == firegate_expr::code::HAS_MISSING);
        assert_eq!(found.map(|found| found.message.as_str()), Some(expected), "{action}: {diagnostics}");
    };
    let (header, claim) = ("request.headers['x-a']", "auth.token.banned");
    let passes_over =
        "if there is no `request.headers['x-a']`, the expression is an error, and the rule does not match";
    let refuses = "if there is no `request.headers['x-a']`, the expression is an error, and the rule refuses";
    check(gcloud(), "deny(403)", header, passes_over);
    check(gcloud(), "allow", header, passes_over);
    check(firegate(), "allow", header, passes_over);
    check(firegate(), "deny(403)", header, refuses);
    check(
        firegate(),
        "redirect, redirectOptions: {type: EXTERNAL_302, target: 'https://example.com/'}",
        header,
        refuses,
    );
    // Nobody is refused there for being nobody.
    let of_user = "if the user has no `auth.token.banned`, the expression is an error, and the rule refuses";
    check(firegate(), "deny(403)", claim, of_user);
}

#[test]
fn what_no_path_in_normal_form_has_is_named() {
    let at = "rules[0].match.expr.expression";
    let upstream = Attachment { evaluated_upstream: true, ..gcloud() };
    for text in ["request.path.contains('//')", "request.path.startsWith('/a/../')"] {
        check(&expr(1, "deny(403)", text), &[&format!("W FG528 {at}")]);
        // The load balancer sees the path as it was sent.
        assert_eq!(findings(&policy(&expr(1, "deny(403)", text)), upstream), [] as [&str; 0]);
    }
    let slash = expr(1, "deny(403)", "request.path.contains('%2F')");
    check(&slash, &[&format!("W FG529 {at}")]);
    let forwarding = Attachment { may_see_encoded_slash: true, ..gcloud() };
    assert_eq!(findings(&policy(&slash), forwarding), [] as [&str; 0]);
    assert_eq!(findings(&policy(&slash), upstream), [] as [&str; 0]);
    check(&expr(1, "deny(403)", "request.path.contains('..')"), &[]);
}
