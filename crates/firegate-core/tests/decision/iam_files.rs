//! IAM's files in the decision: policies with conditions, deny policies, groups, custom roles.

use std::io;
use std::path::Path;

use firegate_core::decision::Outcome;
use firegate_core::reason::Code;
use firegate_core::snapshot::Snapshot;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use serde_json::{Value, json};

use crate::world::{API, NOW, Parts, Request, google_id_token, id_token};

/// Files by their names.
pub(crate) struct Files<'a>(pub(crate) &'a [(&'a str, &'a str)]);

impl NamedFiles for Files<'_> {
    fn read(&self, name: &Path) -> io::Result<String> {
        let file = self.0.iter().find(|(known, _)| Path::new(known) == name);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// One backend with a policy in Firegate's dialect, and the files beside it.
fn parts(more: &str, files: &[(&str, &str)]) -> Parts {
    let text = format!(
        "project: demo-project\nproject_number: '42'\nbackends: {{ api: {{ url: '{API}', iam_policy: {{ file: iam.yaml, dialect: \
         firegate }}{more}\nusers: {{ accept: [id_token, google_id_token], google_audiences: ['https://called.example.com'], \
         tenants: any }}\n"
    );
    let configuration =
        parse_with_files("firegate.yaml", &text, &Files(files)).unwrap_or_else(|found| panic!("{found}"));
    Parts {
        snapshot: Snapshot::compile(&configuration),
        ..Parts::new("allow: [allUsers]", "anonymous: deny")
    }
}

fn decide(parts: &mut Parts, request: &Request, expected: Result<(), Code>) -> String {
    let verdict = parts.at_once(request);
    assert_eq!(verdict.code(), expected, "{request:?}: {:?}", verdict.outcome);
    match verdict.outcome {
        Outcome::Denial(denial) => denial.reason.to_string(),
        _ => String::new(),
    }
}

fn bearing(changes: Value) -> Request {
    Request::bearing(&id_token(&changes))
}

fn policy(member: &str, condition: &str) -> String {
    let condition = json!({"title": "t", "expression": condition});
    json!({"version": 3, "bindings": [{"role": "roles/run.invoker", "members": [member], "condition": condition}]}).to_string()
}

const NO_BINDING: Result<(), Code> = Err(Code::NoInvokerBinding);
const DENIED: Result<(), Code> = Err(Code::DeniedByIamPolicy);

/// The decision's requests are for `/` at `door.example.com`.
#[test]
fn a_conditional_binding_lets_in_while_its_condition_is_true_and_never_else() {
    let check = |condition: &str, expected: Result<(), Code>, why: &str| {
        let text = policy("user:ada@example.com", condition);
        let evidence =
            decide(&mut parts(" } }", &[("iam.yaml", &text)]), &bearing(json!({"role": "editor"})), expected);
        assert!(evidence.contains(why), "{condition}: {evidence}");
    };
    assert_eq!(NOW, 1_800_000_000, "which is 2027-01-15T08:00:00Z");
    check("request.time < timestamp('2027-01-15T08:00:01Z')", Ok(()), "");
    check("request.time < timestamp('2027-01-15T08:00:00Z')", NO_BINDING, "the condition \"t\" is false");
    check("request.path == '/'", Ok(()), "");
    check(
        "request.path.startsWith('/admin')",
        NO_BINDING,
        "(iam.yaml:1) would match, but the condition \"t\" is false",
    );
    check("request.host == 'door.example.com'", Ok(()), "");
    check("resource.service == 'run.googleapis.com'", Ok(()), "");
    check("request.auth.token.role == 'editor' && request.auth.uid == 'ada'", Ok(()), "");
    check("request.auth.token.role == 'owner'", NO_BINDING, "is false");
    // An error and what is unknown grant nothing, and neither does their negation.
    check("request.auth.token.plan == 'pro'", NO_BINDING, "cannot be evaluated: no such key");
    check("!(request.auth.token.plan == 'pro')", NO_BINDING, "cannot be evaluated");
    check("resource.name == 'x'", NO_BINDING, "asks for resource.name, which is not known here");
    check("!(resource.name == 'x')", NO_BINDING, "asks for resource.name");
    check("resource.matchTag('1/env', 'prod')", NO_BINDING, "asks for resource.matchTag");
    check("request.path == '/' || resource.name == 'x'", Ok(()), "");
}

#[test]
fn an_unconditional_binding_wins_and_an_exchange_knows_no_path() {
    let binding = |condition: Option<&str>| {
        let mut binding = json!({"role": "roles/run.invoker", "members": ["user:ada@example.com"]});
        if let Some(expression) = condition {
            binding["condition"] = json!({"title": "t", "expression": expression});
        }
        binding
    };
    let both = json!({"version": 3, "bindings": [binding(Some("request.path == '/other'")), binding(None)]})
        .to_string();
    decide(&mut parts(" } }", &[("iam.yaml", &both)]), &bearing(json!({})), Ok(()));
    let by_path = json!({"version": 3, "bindings": [binding(Some("request.path == '/'"))]}).to_string();
    let mut parts = parts(" } }", &[("iam.yaml", &by_path)]);
    decide(&mut parts, &bearing(json!({})), Ok(()));
    let verdict = parts.exchange(&Request::new(), &id_token(&json!({})), |need, _| panic!("{need:?}"));
    assert_eq!(verdict.code(), NO_BINDING, "a token would be good for other paths too");
}

/// Where everyone may pass, an account that is named is spared App Check: for as long as it is.
#[test]
fn an_account_whose_condition_is_false_is_named_by_nobody() {
    let check = |condition: &str, expected: Result<(), Code>| {
        let account = "serviceAccount:robot@demo-project.iam.gserviceaccount.com";
        let condition = json!({"title": "t", "expression": condition});
        let bindings = json!([
            {"role": "roles/run.invoker", "members": ["allUsers"]},
            {"role": "roles/run.invoker", "members": [account], "condition": condition},
        ]);
        let policy = json!({"version": 3, "bindings": bindings}).to_string();
        let mut parts = parts(", allow: [allUsers], app_check: required } }", &[("iam.yaml", &policy)]);
        decide(&mut parts, &Request::bearing(&google_id_token(&json!({}))), expected);
    };
    check("request.time < timestamp('2027-01-15T08:00:01Z')", Ok(()));
    check("request.time < timestamp('2027-01-15T08:00:00Z')", Err(Code::AppCheckTokenMissing));
    check("resource.name == 'x'", Err(Code::AppCheckTokenMissing));
}

#[test]
fn what_everyone_may_see_under_a_condition_needs_no_token_there_alone() {
    let check = |condition: &str, request: &Request, expected: Result<(), Code>| {
        let text = policy("allUsers", condition);
        let mut parts = parts(", allow: [allUsers] } }", &[("iam.yaml", &text)]);
        decide(&mut parts, request, expected);
    };
    check("request.path == '/'", &Request::new(), Ok(()));
    check("request.path == '/other'", &Request::new(), Err(Code::TokenMissing));
    check("request.path == '/other'", &bearing(json!({})), NO_BINDING);
    // Without a user a condition about users is an error, which grants nothing.
    check("auth.uid == 'ada'", &Request::new(), Err(Code::TokenMissing));
    check("!(auth.uid == 'ada')", &Request::new(), Err(Code::TokenMissing));
    check("auth.uid == 'ada'", &bearing(json!({})), Ok(()));
    // Where everyone may call a stranger's bearer token is nobody's; elsewhere it is a bad one.
    check("request.path == '/'", &Request::bearing("webhook"), Ok(()));
    check("request.path == '/other'", &Request::bearing("webhook"), Err(Code::TokenMalformed));
}

#[test]
fn a_deny_rule_comes_first_and_counts_whoever_might_be_meant() {
    let check = |rule: &Value, request: &Request, expected: Result<(), Code>| {
        let mut rule = rule.clone();
        rule["deniedPermissions"] = json!(["run.googleapis.com/routes.invoke"]);
        let rule = json!({"rules": [{"description": "d", "denyRule": rule}]}).to_string();
        let allow = json!({"bindings": [{"role": "roles/run.invoker", "members": ["allAuthenticatedUsers", "allUsers",
            "serviceAccount:robot@demo-project.iam.gserviceaccount.com"]}]})
        .to_string();
        let files = [("iam.yaml", &*allow), ("deny.yaml", &*rule), ("groups.yaml", GROUPS)];
        let more = ", allow: [allUsers] } }\ndeny_policies: [{ file: deny.yaml, dialect: firegate }]\ngroups: groups.yaml";
        decide(&mut parts(more, &files), request, expected)
    };
    const GROUPS: &str = "claim: groups\ngroups: { banned@example.com: [eve, mallory@example.com], \
        closed@example.com: [domain:closed.example] }";
    let ada = "principal://goog/subject/Ada@example.com";
    let denied = |principals: &[&str]| json!({"deniedPrincipals": principals});
    let evidence = check(&denied(&[ada]), &bearing(json!({})), DENIED);
    assert!(evidence.contains("a deny rule (deny.yaml:1), \"d\" denies \"principal://"), "{evidence}");
    check(&denied(&[ada]), &bearing(json!({"email": "zoe@example.com"})), Ok(()));
    check(&denied(&[ada]), &Request::new(), Ok(()));
    // Nobody gets in by leaving their address unverified; another project's or tenant's Ada is another person.
    check(&denied(&[ada]), &bearing(json!({"email_verified": false})), DENIED);
    let in_tenant = json!({"firebase": {"tenant": "a", "sign_in_provider": "password"}});
    check(&denied(&[ada]), &bearing(in_tenant), Ok(()));
    // A set names nobody in particular: nobody gets out of one by signing in to a tenant, and nobody is spared by one there.
    let pool = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";
    let banned = |tenant: Option<&str>| {
        let mut firebase = json!({"sign_in_provider": "phone"});
        if let Some(tenant) = tenant {
            firebase["tenant"] = json!(tenant);
        }
        bearing(json!({"firebase": firebase, "standing": ["banned"], "groups": ["banned@example.com"]}))
    };
    for set in [
        format!("principalSet://{pool}/*"),
        format!("principalSet://{pool}/attribute.provider/phone"),
        format!("principalSet://{pool}/attribute.standing/banned"),
        "principalSet://goog/group/banned@example.com".to_owned(),
    ] {
        check(&denied(&[&set]), &banned(None), DENIED);
        check(&denied(&[&set]), &banned(Some("a")), DENIED);
        let spared =
            json!({"deniedPrincipals": ["principalSet://goog/public:all"], "exceptionPrincipals": [set]});
        check(&spared, &banned(None), Ok(()));
        check(&spared, &banned(Some("a")), DENIED);
    }
    // An address that a set or a domain means is one in a tenant too, and whatever stands behind any of its `@`.
    let (by_address, by_domain) = (
        format!("principalSet://{pool}/attribute.email/a@closed.example"),
        "principalSet://goog/group/closed@example.com",
    );
    for set in [&*by_address, by_domain] {
        for tenant in [json!(null), json!("a")] {
            for (address, is_verified) in [("a@closed.example", true), ("A@Closed.example", false)] {
                let mut firebase = json!({"sign_in_provider": "password"});
                if !tenant.is_null() {
                    firebase["tenant"] = tenant.clone();
                }
                let claims = json!({"email": address, "email_verified": is_verified, "firebase": firebase});
                check(&denied(&[set]), &bearing(claims), DENIED);
            }
        }
        check(&denied(&[set]), &bearing(json!({"email": "a@open.example"})), Ok(()));
    }
    for address in ["a@closed.example@open.example", "a@open.example@closed.example"] {
        check(&denied(&[by_domain]), &bearing(json!({"email": address})), DENIED);
    }
    let banned = "principalSet://goog/group/banned@example.com";
    check(&denied(&[banned]), &bearing(json!({"sub": "eve"})), DENIED);
    check(
        &denied(&[banned]),
        &bearing(json!({"email": "mallory@example.com", "email_verified": false})),
        DENIED,
    );
    check(&denied(&[banned]), &bearing(json!({})), Ok(()));
    let robot = "principal://iam.googleapis.com/projects/-/serviceAccounts/robot@demo-project.iam.gserviceaccount.com";
    check(&denied(&[robot]), &Request::bearing(&google_id_token(&json!({}))), DENIED);
    // Who is denied with everyone else may still sign in, and be excepted.
    let all = json!({"deniedPrincipals": ["principalSet://goog/public:all"], "exceptionPrincipals": [ada]});
    check(&all, &Request::new(), Err(Code::TokenMissing));
    check(&all, &bearing(json!({})), Ok(()));
    check(&all, &bearing(json!({"email": "zoe@example.com"})), DENIED);
    check(&all, &bearing(json!({"email_verified": false})), DENIED);
    // An error in the condition denies, and so does what nobody here knows.
    let under = |condition: &str| {
        let condition = json!({"title": "c", "expression": condition});
        json!({"deniedPrincipals": [ada], "denialCondition": condition})
    };
    check(&under("request.path == '/'"), &bearing(json!({})), DENIED);
    check(&under("request.path == '/other'"), &bearing(json!({})), Ok(()));
    let evidence = check(&under("request.auth.token.banned"), &bearing(json!({})), DENIED);
    assert!(
        evidence.contains("its condition \"c\" cannot be evaluated (no such key), and denies"),
        "{evidence}"
    );
    check(&under("request.auth.token.banned"), &bearing(json!({"banned": false})), Ok(()));
    check(&under("resource.matchTag('1/env', 'prod')"), &bearing(json!({})), DENIED);
    check(&under("!resource.matchTag('1/env', 'prod')"), &bearing(json!({})), DENIED);
}

#[test]
fn a_custom_role_lets_in_if_it_is_known_to_carry_the_permission() {
    let allow = json!({"bindings": [
        {"role": "projects/p/roles/caller", "members": ["user:ada@example.com"]},
        {"role": "projects/p/roles/unknown", "members": ["user:zoe@example.com"]},
        {"role": "roles/owner", "members": ["user:eve@example.com"]},
    ]})
    .to_string();
    let mut parts =
        parts(" } }\nroles: { projects/p/roles/caller: [run.routes.invoke] }", &[("iam.yaml", &allow)]);
    decide(&mut parts, &bearing(json!({})), Ok(()));
    decide(&mut parts, &bearing(json!({"email": "zoe@example.com"})), NO_BINDING);
    decide(&mut parts, &bearing(json!({"email": "eve@example.com"})), NO_BINDING);
}

#[test]
fn service_accounts_of_a_policy_match_where_their_tokens_are_accepted() {
    let robot = "serviceAccount:robot@demo-project.iam.gserviceaccount.com";
    let allow =
        json!({"bindings": [{"role": "roles/run.invoker", "members": [robot, "user:zoe@example.com"]}]})
            .to_string();
    let mut parts = parts(" } }", &[("iam.yaml", &allow)]);
    decide(&mut parts, &Request::bearing(&google_id_token(&json!({}))), Ok(()));
    let email = json!({"email": "robot@demo-project.iam.gserviceaccount.com"});
    decide(&mut parts, &bearing(email), NO_BINDING);
}
