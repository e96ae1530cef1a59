use super::*;

/// A limit with these options in place of the usual ones.
fn limit(action: &str, options: &[(&str, &str)]) -> String {
    let usual = [
        ("rateLimitThreshold", "{count: 100, intervalSec: 60}"),
        ("conformAction", "allow"),
        ("exceedAction", "deny(429)"),
        ("enforceOnKey", "IP"),
    ];
    let given = |name: &str| options.iter().any(|(other, _)| *other == name);
    let kept = usual.iter().filter(|(name, _)| !given(name));
    let lines = kept
        .chain(options.iter().filter(|(_, value)| !value.is_empty()))
        .map(|(name, value)| format!("    {name}: {value}\n"))
        .collect::<String>();
    format!(
        "- priority: 1\n  action: {action}\n  match: {{expr: {{expression: \"request.path == '/a'\"}}}}\n  rateLimitOptions:\n{lines}"
    )
}

fn check_throttle(options: &[(&str, &str)], expected: &[&str]) {
    check(&limit("throttle", options), expected);
}

#[test]
fn a_limit_says_how_many_in_how_long() {
    let at = "E FG207 rules[0].rateLimitOptions.rateLimitThreshold";
    check_throttle(&[], &[]);
    check_throttle(&[("rateLimitThreshold", "")], &[at]);
    check_throttle(&[("rateLimitThreshold", "{count: 1000000, intervalSec: 3600}")], &[]);
    for (options, place) in [
        ("{intervalSec: 60}", ".count"),
        ("{count: 0, intervalSec: 60}", ".count"),
        ("{count: 1000001, intervalSec: 60}", ".count"),
        ("{count: 1}", ".intervalSec"),
        ("{count: 1, intervalSec: 0}", ".intervalSec"),
        ("{count: 1, intervalSec: 86401}", ".intervalSec"),
    ] {
        check_throttle(&[("rateLimitThreshold", options)], &[&format!("{at}{place}")]);
    }
    let odd = [("rateLimitThreshold", "{count: 1, intervalSec: 5}")];
    check_throttle(&odd, &["E FG210 rules[0].rateLimitOptions.rateLimitThreshold.intervalSec"]);
    check_firegate(&limit("throttle", &odd), &[]);
    let many = [("rateLimitThreshold", "{count: 2000000, intervalSec: 60}")];
    check_firegate(&limit("throttle", &many), &[]);
}

#[test]
fn a_limit_says_what_becomes_of_the_others() {
    let at = "E FG207 rules[0].rateLimitOptions.exceedAction";
    for action in ["deny(403)", "deny(404)", "deny(429)", "deny(502)"] {
        check_throttle(&[("exceedAction", action)], &[]);
    }
    check_throttle(&[("exceedAction", "")], &[at]);
    check_throttle(&[("exceedAction", "allow")], &[at]);
    check_throttle(&[("exceedAction", "deny")], &["E FG204 rules[0].rateLimitOptions.exceedAction"]);
    check_throttle(
        &[("exceedAction", "redirect")],
        &["E FG206 rules[0].rateLimitOptions.exceedRedirectOptions"],
    );
    let target = ("exceedRedirectOptions", "{type: EXTERNAL_302, target: 'https://example.com/slow'}");
    check_throttle(&[("exceedAction", "redirect"), target], &[]);
    check_throttle(&[target], &["E FG207 rules[0].rateLimitOptions.exceedRedirectOptions"]);
    check_throttle(&[("conformAction", "deny(403)")], &["E FG207 rules[0].rateLimitOptions.conformAction"]);
}

#[test]
fn a_ban_has_its_duration() {
    let check_ban =
        |options: &[(&str, &str)], expected: &[&str]| check(&limit("rate_based_ban", options), expected);
    check_ban(&[("banDurationSec", "600")], &[]);
    check_ban(&[("banDurationSec", "600"), ("banThreshold", "{count: 10000, intervalSec: 600}")], &[]);
    check_ban(&[], &["E FG207 rules[0].rateLimitOptions.banDurationSec"]);
    check_ban(&[("banDurationSec", "61")], &["E FG210 rules[0].rateLimitOptions.banDurationSec"]);
    check_ban(
        &[("banDurationSec", "60"), ("rateLimitThreshold", "{count: 10001, intervalSec: 60}")],
        &["E FG207 rules[0].rateLimitOptions.rateLimitThreshold.count"],
    );
    check_throttle(&[("banDurationSec", "600")], &["E FG207 rules[0].rateLimitOptions.banDurationSec"]);
    check_throttle(
        &[("banThreshold", "{count: 1, intervalSec: 60}")],
        &["E FG207 rules[0].rateLimitOptions.banThreshold"],
    );
}

#[test]
fn a_limit_and_its_options_belong_together() {
    check(
        "- {priority: 1, action: throttle, match: {expr: {expression: \"request.path == '/a'\"}}}\n",
        &["E FG207 rules[0].rateLimitOptions"],
    );
    check(&limit("allow", &[]), &["E FG207 rules[0].rateLimitOptions"]);
}

#[test]
fn keys_are_googles_and_firegates() {
    let keys = |text: &str, attachment| {
        let text = policy(&limit("throttle", &[("enforceOnKey", ""), ("enforceOnKeyConfigs", text)]));
        let policy = accepted(&text, attachment);
        policy.rules[0].action.rate_limit().unwrap().keys.clone()
    };
    assert_eq!(keys("", gcloud()), [Key::All]);
    assert_eq!(keys("[{enforceOnKeyType: USER_IP}]", gcloud()), [Key::UserIp]);
    assert_eq!(
        keys(
            "[{enforceOnKeyType: AUTH_UID}, {enforceOnKeyType: AUTH_CLAIM, enforceOnKeyName: plan}]",
            firegate()
        ),
        [Key::AuthUid, Key::AuthClaim("plan".to_owned())]
    );
    // Of these `auth.*` has some, and no custom claim; the others users write themselves.
    for claim in ["email", "sub", "user_id", "firebase", "name", "picture"] {
        let key = format!("[{{enforceOnKeyType: AUTH_CLAIM, enforceOnKeyName: {claim}}}]");
        let text = limit("throttle", &[("enforceOnKey", ""), ("enforceOnKeyConfigs", &key)]);
        let at = "rules[0].rateLimitOptions.enforceOnKeyConfigs[0].enforceOnKeyName";
        check_firegate(&text, &[&format!("E FG208 {at}")]);
    }
    let check_key = |text: &str, expected: &[&str]| {
        check_throttle(&[("enforceOnKey", ""), ("enforceOnKeyConfigs", text)], expected);
    };
    let at = "rules[0].rateLimitOptions.enforceOnKeyConfigs[0].enforceOnKeyType";
    for key in ["AUTH_UID", "AUTH_TENANT", "APP_ID", "AUTH_CLAIM, enforceOnKeyName: plan"] {
        check_key(&format!("[{{enforceOnKeyType: {key}}}]"), &[&format!("E FG211 {at}")]);
    }
    check_key("[{enforceOnKeyType: UID}]", &[&format!("E FG208 {at}")]);
    check_key("[{enforceOnKeyType: HTTP_COOKIE}]", &[&format!("E FG208 {at}")]);
    check_key("[{}]", &[&format!("E FG208 {at}")]);
    check_throttle(
        &[("enforceOnKey", ""), ("enforceOnKeyName", "x-api-key")],
        &["E FG208 rules[0].rateLimitOptions.enforceOnKeyName"],
    );
    check_throttle(&[("enforceOnKey", ""), ("enforceOnKeyName", "")], &[]);
    let at = "rules[0].rateLimitOptions.enforceOnKeyConfigs";
    check_key(
        "[{enforceOnKeyType: IP, enforceOnKeyName: x}]",
        &[&format!("E FG208 {at}[0].enforceOnKeyName")],
    );
    check_key(
        "[{enforceOnKeyType: HTTP_HEADER, enforceOnKeyName: 'a b'}]",
        &[&format!("E FG208 {at}[0].enforceOnKeyName")],
    );
    check_key("[{enforceOnKeyType: IP}, {enforceOnKeyType: IP}]", &[&format!("E FG208 {at}[1]")]);
    check_key(
        "[{enforceOnKeyType: IP}, {enforceOnKeyType: HTTP_PATH}, {enforceOnKeyType: USER_IP}, {enforceOnKeyType: ALL}]",
        &[&format!("E FG210 {at}")],
    );
    check_throttle(
        &[("enforceOnKeyConfigs", "[{enforceOnKeyType: IP}]")],
        &["E FG208 rules[0].rateLimitOptions.enforceOnKey"],
    );
}

#[test]
fn a_header_on_a_limit_lets_everything_pass_at_google() {
    let text = limit("throttle", &[])
        + "  headerAction: {requestHeadersToAdds: [{headerName: X-A, headerValue: b}]}\n";
    check(&text, &["E FG209 rules[0].headerAction"]);
}
