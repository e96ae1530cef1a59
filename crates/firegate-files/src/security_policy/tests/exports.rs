//! What is written back means the same.

use proptest::prelude::*;
use proptest::{collection, option};

use super::*;

/// All that a policy says. Lines alone differ.
fn meaning(policy: &SecurityPolicy) -> String {
    let rules = policy.rules.iter().map(|rule| Rule { line: 0, ..rule.clone() });
    format!("{:?} {:?} {:?}", policy.name, policy.user_ip_request_headers, rules.collect::<Vec<_>>())
}

fn exported(text: &str, form: Form) -> String {
    let mut diagnostics = Diagnostics::new();
    let file = GoogleFile::parse("armor.yaml", text, &SECURITY_POLICY, &mut diagnostics);
    file.unwrap_or_else(|| panic!("{diagnostics}")).export(form)
}

#[test]
fn an_export_survives_being_written_back() {
    let text = format!("{EXPORT}{DEFAULT}novelty:\n  a: 1\n");
    for form in [Form::Yaml, Form::Json] {
        let written = exported(&text, form);
        for gone in ["creationTimestamp", "kind", "\"id\"", "labelFingerprint"] {
            assert!(!written.contains(gone), "{gone}: {written}");
        }
        assert!(written.contains("dT_5QmeI6h8=") && written.contains("novelty"), "{written}");
        assert_eq!(meaning(&accepted(&written, gcloud())), meaning(&accepted(&text, gcloud())));
    }
}

/// Which requests a rule is for, as YAML in flow style.
fn some_match() -> impl Strategy<Value = String> {
    let ranges = prop_oneof![Just("203.0.113.0/24"), Just("2001:db8::/32"), Just("198.51.100.7")];
    prop_oneof![
        collection::btree_set(ranges, 1..3).prop_map(|ranges| {
            let ranges = ranges.iter().map(|range| format!("'{range}'")).collect::<Vec<_>>().join(", ");
            format!("{{versionedExpr: SRC_IPS_V1, config: {{srcIpRanges: [{ranges}]}}}}")
        }),
        prop_oneof![
            "/[a-z]{0,6}".prop_map(|path| format!("request.path.startsWith('{path}')")),
            "[ -!#-&(-\\[\\]-~]{0,8}".prop_map(|text| format!("request.query.contains(\"{text}\")")),
            "[a-z]{1,6}".prop_map(|name| format!("has(request.headers['{name}']) && origin.asn != 7")),
            "[A-Z]{2}".prop_map(|region| format!("!(origin.region_code == '{region}')")),
        ]
        .prop_map(|expression| {
            let quoted = expression.replace('\'', "''");
            format!("{{expr: {{expression: '{quoted}'}}}}")
        }),
    ]
}

fn some_keys() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("enforceOnKey: ALL".to_owned()),
        Just("enforceOnKey: IP".to_owned()),
        "[a-z]{1,6}".prop_map(|name| format!("enforceOnKey: HTTP_HEADER, enforceOnKeyName: {name}")),
        "[a-z]{1,6}".prop_map(|name| format!(
            "enforceOnKeyConfigs: [{{enforceOnKeyType: IP}}, {{enforceOnKeyType: HTTP_COOKIE, enforceOnKeyName: {name}}}]"
        )),
    ]
}

/// What becomes of a request. Numbers are written as numbers or as texts, as Google's tools do.
fn some_action() -> impl Strategy<Value = String> {
    let intervals = || prop::sample::select(vec![60, 120, 180, 240, 300, 600, 1200, 1800, 2700, 3600]);
    let threshold = move || (1..10_000_u32, intervals(), any::<bool>());
    let written = |(count, seconds, is_text): (u32, u32, bool)| match is_text {
        true => format!("{{count: '{count}', intervalSec: '{seconds}'}}"),
        false => format!("{{count: {count}, intervalSec: {seconds}}}"),
    };
    let exceed = || prop::sample::select(vec!["deny(403)", "deny(404)", "deny(429)", "deny(502)"]);
    prop_oneof![
        Just("action: allow".to_owned()),
        prop::sample::select(vec![403, 404, 502]).prop_map(|status| format!("action: deny({status})")),
        "[a-z]{1,6}".prop_map(|path| format!(
            "action: redirect, redirectOptions: {{type: EXTERNAL_302, target: 'https://example.com/{path}'}}"
        )),
        ("[a-z]{1,4}", "[a-z][a-z -]{0,4}[a-z]").prop_map(|(name, value)| format!(
            "action: allow, headerAction: {{requestHeadersToAdds: [{{headerName: x-{name}, headerValue: '{value}'}}]}}"
        )),
        (threshold(), exceed(), some_keys()).prop_map(move |(threshold, exceed, keys)| format!(
            "action: throttle, rateLimitOptions: {{conformAction: allow, exceedAction: {exceed}, rateLimitThreshold: {}, {keys}}}",
            written(threshold)
        )),
        (threshold(), option::of(threshold()), intervals(), exceed(), some_keys()).prop_map(
            move |(threshold, ban, seconds, exceed, keys)| {
                let ban = ban.map(|ban| format!("banThreshold: {}, ", written(ban))).unwrap_or_default();
                format!(
                    "action: rate_based_ban, rateLimitOptions: {{conformAction: allow, exceedAction: {exceed}, rateLimitThreshold: {}, {ban}banDurationSec: {seconds}, {keys}}}",
                    written(threshold)
                )
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// A file that is accepted in Google's dialect means the same after it was written and read again, in both forms.
    #[test]
    fn an_accepted_policy_survives_export(
        rules in collection::vec((some_match(), some_action(), any::<bool>(), "[ -&(-~]{0,12}"), 0..6),
        header in option::of("[a-z]{1,8}"),
    ) {
        let rules = rules.iter().zip(1..).map(|((matched, action, preview, description), place)| {
            let priority = place * 10;
            format!("- {{priority: {priority}, preview: {preview}, description: '{description}', match: {matched}, {action}}}\n")
        });
        let options = header.map(|name| format!("advancedOptionsConfig: {{userIpRequestHeaders: [{name}]}}\n"));
        let text = policy(&rules.collect::<String>()) + &options.unwrap_or_default();
        let before = accepted(&text, gcloud());
        for form in [Form::Yaml, Form::Json] {
            let written = exported(&text, form);
            let (after, findings) = read(&written, gcloud());
            let after = after.unwrap_or_else(|| panic!("{findings}\n{written}"));
            prop_assert_eq!(meaning(&after), meaning(&before), "{}", written);
            prop_assert_eq!(exported(&written, form), written);
        }
    }
}
