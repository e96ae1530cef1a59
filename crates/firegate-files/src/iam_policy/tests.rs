use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, proptest};
use proptest::{collection, option, prop_assert_eq, prop_oneof};

use super::*;
use crate::diagnostic::Severity;

const POOL: &str = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";

fn roles() -> Roles {
    let role = |name: &str, permission: &str| (name.to_owned(), vec![permission.to_owned()]);
    BTreeMap::from([
        role("projects/p/roles/caller", "run.routes.invoke"),
        role("projects/p/roles/reader", "run.services.get"),
    ])
}

/// The policy, if there is no error, and the code, severity and line of each finding.
fn read(text: &str, dialect: Dialect) -> (Option<IamPolicy>, Vec<String>) {
    let mut diagnostics = Diagnostics::new();
    let policy = IamPolicy::read("iam.yaml", text, dialect, &roles(), &mut diagnostics);
    let line = |found: &Diagnostic| {
        let mark = match found.severity {
            Severity::Error => "",
            Severity::Warning => "warning ",
            Severity::Note => "note ",
        };
        let line = found.place.as_ref().map_or(0, |place| place.line);
        format!("{mark}{} {line}", found.code)
    };
    (policy.filter(|_| !diagnostics.has_errors()), diagnostics.iter().map(line).collect())
}

/// The members that a policy lets in, each with its line, or the findings if there is an error.
fn check_in(text: &str, dialect: Dialect, expected: &[&str]) {
    let (policy, findings) = read(text, dialect);
    let grants = policy.map(|policy| {
        let grant = |grant: &Grant| {
            let condition = grant.condition.as_ref().map(|c| format!(" if {}", c.title)).unwrap_or_default();
            format!("{}@{}{condition}", grant.member, grant.place.as_ref().map_or(0, |place| place.line))
        };
        policy.grants().iter().map(grant).collect::<Vec<_>>()
    });
    let found = grants.unwrap_or_default().into_iter().chain(findings).collect::<Vec<_>>();
    assert_eq!(found, expected, "{text}");
}

fn check(text: &str, expected: &[&str]) {
    check_in(text, Dialect::Gcloud, expected);
}

/// As `gcloud run services get-iam-policy SERVICE` prints it.
const EXPORT: &str = "\
bindings:
- condition:
    description: the pilot ends
    expression: request.time < timestamp('2027-01-01T00:00:00Z')
    title: until 2027
  members:
  - user:eve@example.com
  role: roles/run.invoker
- members:
  - group:staff@example.com
  - deleted:user:old@example.com?uid=123
  - serviceAccount:door@p.iam.gserviceaccount.com
  role: roles/run.invoker
etag: BwWWja0YfJA=
version: 3
";

#[test]
fn the_bindings_of_callers_are_read_with_their_lines_and_conditions() {
    check(
        EXPORT,
        &[
            "user:eve@example.com@7 if until 2027",
            "group:staff@example.com@10",
            "serviceAccount:door@p.iam.gserviceaccount.com@12",
            "note FG404 11",
        ],
    );
    let json = r#"{"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}], "etag": "x", "version": 1}"#;
    check(json, &["allUsers@1"]);
    check("etag: ACAB\n", &[]);
    check("bindings: []\n", &[]);
}

#[test]
fn a_binding_whose_condition_was_lost_lets_nobody_in() {
    let text = EXPORT.replace("role: roles/run.invoker\netag", "role: roles/run.invoker_withcond_f3ad\netag");
    check(&text, &["FG401 13"]);
}

#[test]
fn a_role_counts_if_it_is_known_to_carry_the_permission() {
    let binding = |role: &str| format!("bindings:\n- members: ['user:a@example.com']\n  role: {role}\n");
    check(&binding("roles/run.invoker"), &["user:a@example.com@2"]);
    check(&binding("projects/p/roles/caller"), &["user:a@example.com@2"]);
    check(&binding("projects/p/roles/reader"), &[]);
    check(&binding("projects/p/roles/other"), &["warning FG403 3"]);
    check(&binding("roles/run.admin"), &["warning FG403 3"]);
    check(&binding("roles/owner"), &["warning FG403 3"]);
    check(&binding("roles/run.Invoker"), &["warning FG403 3"]);
}

#[test]
fn conditions_are_those_that_google_takes() {
    let with = |members: &str, condition: &str| {
        format!(
            "version: 3\nbindings:\n- role: roles/run.invoker\n  members: [{members}]\n  condition: {condition}\n"
        )
    };
    let ada = "'user:ada@example.com'";
    check(
        &with(ada, "{title: t, expression: \"request.path.startsWith('/a')\"}"),
        &["user:ada@example.com@4 if t"],
    );
    check(&with(ada, "{title: t}"), &["FG008 5"]);
    check(&with(ada, "{}"), &["FG402 5"]);
    check(&with(ada, "{title: t, expression: 'request.path.startsWith('}"), &["FG501 5"]);
    check(&with(ada, "{expression: 'true'}"), &["user:ada@example.com@4 if true", "warning FG402 5"]);
    let everyone = with("allUsers", "{title: t, expression: \"request.path == '/a'\"}");
    check(&everyone, &["FG402 5"]);
    check_in(&everyone, Dialect::Firegate, &["allUsers@4 if t"]);
    let claim = with(ada, "{title: t, expression: \"request.auth.token.role == 'a'\"}");
    assert!(read(&claim, Dialect::Gcloud).0.is_none(), "Google knows no claims");
    assert!(read(&claim, Dialect::Firegate).0.is_some());
    let old =
        with(ada, "{title: t, expression: \"request.path == '/a'\"}").replace("version: 3", "version: 1");
    check(&old, &["user:ada@example.com@4 if t", "warning FG406 1"]);
}

#[test]
fn members_that_iam_knows_are_passed_over_and_slips_are_not() {
    let with = |member: &str| format!("bindings:\n- role: roles/run.invoker\n  members: ['{member}']\n");
    for foreign in [
        "projectOwner:p",
        "principal://iam.googleapis.com/locations/global/workforcePools/w/subject/s",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/group/g",
        "serviceAccount:p.svc.id.goog[namespace/name]",
        "deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=1",
    ] {
        check(&with(foreign), &["note FG404 3"]);
    }
    for slip in ["allUser", "ada@example.com", "users:ada@example.com", "user:ada", "principal://x"] {
        check(&with(slip), &["FG111 3"]);
    }
}

#[test]
fn googles_bounds_hold_in_googles_dialect() {
    let members = |kind: &str, count: usize| {
        let members = (0..count).map(|n| format!("'{kind}:{n}@example.com'")).collect::<Vec<_>>().join(", ");
        format!("bindings:\n- role: roles/run.invoker\n  members: [{members}]\n")
    };
    let conditions = |count: usize| {
        let binding = |n: usize| {
            format!(
                "- role: roles/run.invoker\n  members: ['user:ada@example.com', 'user:{n}@example.com']\n  \
                 condition: {{ title: t, expression: \"request.path == '/{n}'\" }}\n"
            )
        };
        format!("version: 3\nbindings:\n{}", (0..count).map(binding).collect::<String>())
    };
    for (text, expected) in [
        (members("user", 1_500), true),
        (members("user", 1_501), false),
        (members("group", 250), true),
        (members("group", 251), false),
        (conditions(20), true),
        (conditions(21), false),
    ] {
        let (policy, findings) = read(&text, Dialect::Gcloud);
        assert_eq!(policy.is_some(), expected, "{findings:?}");
        assert!(read(&text, Dialect::Firegate).0.is_some());
    }
}

#[test]
fn what_means_more_at_google_is_never_written_for_it() {
    let check = |text: &str, expected: Option<ExportRefused>| {
        let (policy, findings) = read(text, Dialect::Firegate);
        let policy = policy.unwrap_or_else(|| panic!("{findings:?}"));
        assert_eq!(policy.export(Form::Yaml).err(), expected, "{text}");
        assert_eq!(policy.export(Form::Json).err(), expected, "{text}");
    };
    let with = |role: &str, members: &str, more: &str| {
        format!("bindings:\n- role: {role}\n  members: [{members}]\n{more}")
    };
    check(EXPORT, None);
    check(&with("roles/run.invoker", "allUsers", ""), None);
    let all = "'user:a@example.com', allAuthenticatedUsers";
    check(&with("roles/run.invoker", all, ""), Some(ExportRefused::AllAuthenticatedUsers));
    check(&with("projects/p/roles/reader", all, ""), Some(ExportRefused::AllAuthenticatedUsers));
    let condition = "  condition: {title: t, expression: \"request.path == '/a'\"}\n";
    check(&with("roles/run.invoker", "allUsers", condition), Some(ExportRefused::ConditionOnEveryone));
    let claim = "  condition: {title: t, expression: \"auth.uid == 'a'\"}\n";
    check(&with("roles/run.invoker", "'user:a@example.com'", claim), Some(ExportRefused::FiregateOnly));
}

fn deny(text: &str) -> (Option<DenyPolicy>, Vec<String>) {
    let mut diagnostics = Diagnostics::new();
    let policy = DenyPolicy::read("deny.yaml", text, Dialect::Gcloud, &mut diagnostics);
    let findings = diagnostics.iter().map(|found| {
        let mark = if found.severity == Severity::Error { "" } else { "mild " };
        format!("{mark}{}", found.code)
    });
    let findings = findings.collect();
    (policy.filter(|_| !diagnostics.has_errors()), findings)
}

#[test]
fn deny_rules_are_read_in_the_spelling_of_version_2() {
    let (policy, findings) = deny(&format!(
        "displayName: nobody but staff\nname: policies/x/denypolicies/y\nrules:\n- description: only staff\n  denyRule:\n    \
         deniedPrincipals: ['principalSet://goog/public:all']\n    exceptionPrincipals:\n    - principalSet://goog/group/staff@example.com\n    \
         - principal://goog/subject/ada@example.com\n    - principal://{POOL}/subject/ada\n    \
         - principal://iam.googleapis.com/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com\n    \
         deniedPermissions: [run.googleapis.com/routes.invoke]\n"
    ));
    assert_eq!(findings, [""; 0]);
    let [rule] = &policy.expect("a policy").rules[..] else { panic!("one rule") };
    assert_eq!(
        (rule.description.as_str(), &rule.denied[..]),
        ("only staff", &[DeniedPrincipal::Everyone][..])
    );
    let exceptions = rule.exceptions.iter().map(|principal| match principal {
        DeniedPrincipal::Member(member) => member.to_string(),
        DeniedPrincipal::Everyone => "everyone".to_owned(),
    });
    let expected = [
        "group:staff@example.com".to_owned(),
        "user:ada@example.com".to_owned(),
        format!("principal://{POOL}/subject/ada"),
        "serviceAccount:a@p.iam.gserviceaccount.com".to_owned(),
    ];
    assert_eq!(exceptions.collect::<Vec<_>>(), expected);
}

#[test]
fn a_deny_rule_denies_what_it_names_and_nobody_of_it_is_lost() {
    let rule = |principal: &str, permissions: &str, more: &str| {
        format!(
            "rules:\n- denyRule: {{deniedPrincipals: ['{principal}'], deniedPermissions: [{permissions}]{more}}}\n"
        )
    };
    let check = |text: &str, rules: Option<usize>, expected: &[&str]| {
        let (policy, findings) = deny(text);
        assert_eq!(
            (policy.map(|policy| policy.rules.len()), findings),
            (rules, expected.iter().map(ToString::to_string).collect()),
            "{text}"
        );
    };
    let (all, invoke) = ("principalSet://goog/public:all", "run.googleapis.com/routes.invoke");
    check(&rule(all, invoke, ""), Some(1), &[]);
    check(&rule(all, "run.googleapis.com/routes.*", ""), Some(1), &[]);
    check(&rule(all, "run.googleapis.com/*.invoke", ""), Some(1), &[]);
    check(&rule(all, "run.googleapis.com/*.*", ""), Some(1), &[]);
    check(&rule(all, "run.googleapis.com/services.delete", ""), Some(0), &["mild FG411"]);
    check(&rule(all, "iam.googleapis.com/routes.invoke", ""), Some(0), &["mild FG411"]);
    check(
        &rule(all, "run.googleapis.com/*.*", &format!(", exceptionPermissions: [{invoke}]")),
        Some(0),
        &["mild FG411"],
    );
    check(&rule(all, "run.routes.invoke", ""), None, &["FG411"]);
    for unknowable in [
        "principalSet://goog/cloudIdentityCustomerId/C01",
        "principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount",
    ] {
        check(&rule(unknowable, invoke, ""), None, &["FG411", "mild FG411"]);
        let spared = format!(", exceptionPrincipals: ['{unknowable}']");
        check(&rule(all, invoke, &spared), Some(1), &["mild FG411"]);
    }
    check(&rule("user:ada@example.com", invoke, ""), None, &["FG411", "mild FG411"]);
    check("rules: [{description: x}]\n", None, &["FG008"]);
    let tag = ", denialCondition: {title: t, expression: \"resource.matchTag('1/env', 'prod')\"}";
    let (policy, findings) = deny(&rule(all, invoke, tag));
    assert!(policy.is_some_and(|policy| policy.rules[0].condition.is_some()), "{findings:?}");
    assert!(findings.contains(&"mild FG411".to_owned()), "{findings:?}");
}

#[test]
fn what_a_condition_does_without_a_claim_is_told_of_bindings_and_of_denials() {
    let condition = "{title: t, expression: \"request.auth.token.role == 'a'\"}";
    let binding =
        format!("bindings:\n- role: roles/run.invoker\n  members: [allUsers]\n  condition: {condition}\n");
    let denial = format!(
        "rules:\n- denyRule: {{deniedPrincipals: ['principalSet://goog/public:all'], deniedPermissions: \
         [run.googleapis.com/routes.invoke], denialCondition: {condition}}}\n"
    );
    let mut diagnostics = Diagnostics::new();
    IamPolicy::read("iam.yaml", &binding, Dialect::Firegate, &roles(), &mut diagnostics);
    DenyPolicy::read("deny.yaml", &denial, Dialect::Firegate, &mut diagnostics);
    let found = diagnostics.iter().filter(|found| found.code == firegate_expr::code::HAS_MISSING);
    let without = "if the user has no `auth.token.role`, the expression is an error, and";
    let expected = [format!("{without} the binding grants nothing"), format!("{without} the rule denies")];
    assert_eq!(found.map(|found| found.message.clone()).collect::<Vec<_>>(), expected, "{diagnostics}");
}

#[test]
fn a_deny_policy_that_lost_what_it_denies_is_an_error() {
    let check = |text: &str, expected: &[&str]| {
        let (policy, findings) = deny(text);
        assert_eq!((policy, findings), (None, expected.iter().map(ToString::to_string).collect()), "{text}");
    };
    // As `gcloud iam policies list` prints it.
    check(
        "[{displayName: a, kind: DenyPolicy, name: policies/x/denypolicies/y, uid: 6665c437}]\n",
        &["FG008"],
    );
    check("rules: []\n", &["FG008"]);
    let (denied, invoke) =
        ("deniedPrincipals: ['principalSet://goog/public:all']", "[run.googleapis.com/routes.invoke]");
    check(&format!("rules: [{{denyRule: {{{denied}, deniedPermission: {invoke}}}}}]\n"), &["FG013"]);
    check(
        &format!("rules: [{{denyRule: {{denied: [a], deniedPermissions: {invoke}}}}}]\n"),
        &["FG013", "FG008"],
    );
    check(
        &format!("rules: [{{denyRule: {{{denied}, deniedPermissions: {invoke}, also: [a]}}}}]\n"),
        &["FG013"],
    );
}

#[test]
fn a_deny_policy_of_which_nothing_denies_calls_is_warned_of() {
    let denied = "deniedPrincipals: ['principalSet://goog/public:all']";
    for permission in ["run.googleapis.com/route.invoke", "run.googleapi.com/routes.invoke"] {
        let (policy, findings) =
            deny(&format!("rules: [{{denyRule: {{{denied}, deniedPermissions: [{permission}]}}}}]\n"));
        assert!(policy.is_some() && findings == ["mild FG411"], "{findings:?}");
    }
}

#[test]
fn a_file_of_another_kind_is_told_as_one_and_not_field_by_field() {
    check("kind: compute#securityPolicy\nname: edge\nrules: []\n", &["FG016 1"]);
}

#[test]
fn a_role_without_its_prefix_is_put_right() {
    let mut diagnostics = Diagnostics::new();
    let text = "bindings: [{role: run.invoker, members: ['user:ada@example.com']}]\n";
    IamPolicy::read("iam.yaml", text, Dialect::Gcloud, &roles(), &mut diagnostics);
    assert!(diagnostics.to_string().contains("did you mean `roles/run.invoker`?"), "{diagnostics}");
}

/// A binding without the condition that somebody wrote would let in more than they meant.
#[test]
fn a_condition_that_is_misspelt_or_indented_elsewhere_is_never_left_out() {
    let binding = "bindings:\n- members: [user:ada@example.com]\n  role: roles/run.invoker\n";
    let condition = "title: t\n    expression: request.path == '/a'\n";
    check(&format!("{binding}  conditions:\n    {condition}version: 3\n"), &["FG013 4"]);
    check(&format!("{binding}  Condition:\n    {condition}version: 3\n"), &["FG013 4"]);
    check(&format!("{binding}  when:\n    {condition}version: 3\n"), &["FG013 4"]);
    check(&format!("{binding}condition:\n    {condition}version: 3\n"), &["FG013 4"]);
    let flat = "  condition:\n  title: t\n  expression: request.path == '/a'\n";
    check(&format!("{binding}{flat}version: 3\n"), &["FG013 5", "FG013 6"]);
}

fn some_policy() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just("user:ada@example.com".to_owned()),
        Just("group:staff@example.com".to_owned()),
        Just("domain:example.com".to_owned()),
        Just("serviceAccount:a@p.iam.gserviceaccount.com".to_owned()),
        Just("deleted:user:b@example.com?uid=5".to_owned()),
        Just("projectOwner:p".to_owned()),
        Just(format!("principal://{POOL}/subject/ada")),
        Just(format!("principalSet://{POOL}/attribute.role/editor")),
    ];
    let role = prop_oneof![
        Just("roles/run.invoker"),
        Just("projects/p/roles/caller"),
        Just("projects/p/roles/reader"),
        Just("roles/viewer")
    ];
    let condition = prop_oneof![
        Just("request.time < timestamp('2027-01-01T00:00:00Z')"),
        Just("request.path.startsWith('/a') && request.host == 'a.example'"),
        Just("resource.name == \"a: 'b'\""),
    ];
    let binding = (role, collection::vec(member, 0..4), option::of(condition), proptest::bool::ANY).prop_map(
        |(role, members, condition, described)| {
            let mut binding = serde_json::json!({"role": role, "members": members});
            if let Some(expression) = condition {
                binding["condition"] = serde_json::json!({"title": "t: #1", "expression": expression});
                if described {
                    binding["condition"]["description"] = "a\nb".into();
                }
            }
            binding
        },
    );
    (collection::vec(binding, 0..5), "[A-Za-z0-9+/=]{0,12}").prop_map(|(bindings, etag)| {
        let novelty = serde_json::json!({"a": [1, "2", null, true]});
        serde_json::json!({"bindings": bindings, "etag": etag, "version": 3, "someFutureField": novelty})
            .to_string()
    })
}

proptest! {
    /// A file that is accepted in Google's dialect means the same after it was written and read again, in both forms.
    #[test]
    fn an_accepted_policy_survives_export(text in some_policy()) {
        let (policy, findings) = read(&text, Dialect::Gcloud);
        let policy = policy.unwrap_or_else(|| panic!("{findings:?}\n{text}"));
        let meaning = |policy: &IamPolicy| {
            let grant = |grant: &Grant| {
                let condition = grant.condition.as_ref();
                (grant.member.clone(), condition.map(|c| (c.title.clone(), c.expression.text().to_owned())))
            };
            policy.grants().iter().map(grant).collect::<Vec<_>>()
        };
        for form in [Form::Yaml, Form::Json] {
            let written = policy.export(form).expect("nothing that Google would refuse");
            let (again, findings) = read(&written, Dialect::Gcloud);
            let again = again.unwrap_or_else(|| panic!("{findings:?}\n{written}"));
            prop_assert_eq!(meaning(&again), meaning(&policy), "{}", written);
            prop_assert_eq!(again.export(form).expect("as before"), written);
        }
    }
}
