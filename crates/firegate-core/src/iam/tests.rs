use std::sync::Arc;

use firegate_files::groups::{self, Groups};
use firegate_files::iam_policy::Grant;
use firegate_files::members::Member;
use firegate_files::{Diagnostics, yaml};
use proptest::prelude::{Just, Strategy, any, proptest};
use proptest::{collection, option, prop_assert_eq, prop_oneof};
use serde_json::{Map, Value, json};

use super::{Bindings, DenyRules, Directory, IamRequest, IdentityPool, Reading, matches};
use crate::identity::{GoogleAccount, Principal, TokenKind, ToldUser, User};
use crate::time::UnixTime;

pub(super) const POOL: &str =
    "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";

pub(super) fn groups(text: &str) -> Groups {
    let mut diagnostics = Diagnostics::new();
    let document = yaml::parse("groups.yaml", text, &mut diagnostics).expect("YAML");
    let groups = groups::read(&document, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{diagnostics}");
    groups
}

pub(super) fn directory(text: &str) -> Arc<Directory> {
    let pool = IdentityPool { name: "firebase".to_owned(), project_number: Some("42".to_owned()) };
    Arc::new(Directory::new(pool, &groups(text)))
}

/// A project-level user, Ada, with these differences: `tenant`, `uid`, `email`, `email_verified`, `claims`.
pub(super) fn user(differences: &Value) -> Principal {
    let text = |name: &str, default: Option<&str>| match differences.get(name) {
        Some(value) => value.as_str().map(str::to_owned),
        None => default.map(str::to_owned),
    };
    Principal::User(Box::new(User {
        project: "demo-project".to_owned(),
        tenant: text("tenant", None),
        uid: text("uid", Some("ada")).expect("a user id"),
        email: text("email", Some("Ada@Example.com")),
        email_verified: differences.get("email_verified") != Some(&json!(false)),
        sign_in_provider: text("provider", Some("password")).expect("a provider"),
        claims: differences.get("claims").and_then(Value::as_object).cloned().unwrap_or_default().into(),
        kind: TokenKind::IdToken,
        auth_time: UnixTime::from_seconds(0),
        expires_at: UnixTime::from_seconds(3600),
        payload_segment: String::new(),
        token_digest: [0; 32],
        told: ToldUser::default(),
    }))
}

fn robot() -> Principal {
    Principal::GoogleAccount(Box::new(GoogleAccount {
        email: "robot@demo-project.iam.gserviceaccount.com".to_owned(),
        subject: "1122334455".to_owned(),
        expires_at: UnixTime::from_seconds(3600),
        payload_segment: String::new(),
        token_digest: [0; 32],
        claims: Map::new(),
    }))
}

fn member(text: &str) -> Member {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bindings(members: &[Member], directory: &Arc<Directory>) -> Bindings {
    let grant = |member: &Member| Grant { member: member.clone(), condition: None, place: None };
    let denials = Arc::new(DenyRules::new(&[], directory));
    Bindings::new(members.iter().map(grant).collect(), &denials, directory)
}

fn anything() -> IamRequest<'static> {
    IamRequest::of_exchange(UnixTime::from_seconds(0))
}

const GROUPS: &str = "claim: teams\ngroups:\n  \
    staff@example.com: [ada@example.com, zoe, 'group:night@example.com']\n  \
    night@example.com: ['group:staff@example.com', 'domain:night.example']\n  \
    robots@example.com: ['serviceAccount:robot@demo-project.iam.gserviceaccount.com']\n  \
    tenants@example.com: ['principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/attribute.tenant/a']\n";

#[test]
fn a_group_has_whom_the_file_or_the_claim_says_and_nobody_else() {
    let directory = directory(GROUPS);
    let check = |group: &str, principal: &Principal, expected: bool| {
        let member = member(&format!("group:{group}@example.com"));
        assert_eq!(matches(&member, &directory, Some(principal)), expected, "{group} {principal:?}");
    };
    let nobodys = json!({"email": null, "uid": "eve"});
    check("staff", &user(&json!({})), true);
    check("STAFF", &user(&json!({})), true);
    check("staff", &user(&nobodys), false);
    check("staff", &user(&json!({"email": null, "uid": "zoe"})), true);
    check("staff", &user(&json!({"email_verified": false})), false);
    // A circle of groups is no trap.
    check("night", &user(&json!({})), true);
    check("staff", &user(&json!({"email": "eve@night.example"})), true);
    check("other", &user(&json!({})), false);
    check("robots", &robot(), true);
    check("robots", &user(&json!({"email": "robot@demo-project.iam.gserviceaccount.com"})), false);
    // By the claim, and by a group that holds the claimed one.
    let claims = |value: Value| user(&json!({"email": null, "uid": "eve", "claims": {"teams": value}}));
    check("other", &claims(json!("Other@example.com")), true);
    check("other", &claims(json!(["a@example.com", "other@example.com"])), true);
    check("other", &claims(json!([["other@example.com"]])), false);
    check("other", &claims(json!({"other@example.com": true})), false);
    check("night", &claims(json!(["staff@example.com"])), true);
    // Ids, addresses and claims of a tenant's users are the tenant's own affair.
    check("staff", &user(&json!({"tenant": "a"})), false);
    check("staff", &user(&json!({"tenant": "a", "email": null, "uid": "zoe"})), false);
    check("other", &user(&json!({"tenant": "a", "claims": {"teams": ["other@example.com"]}})), false);
    check("tenants", &user(&json!({"tenant": "a"})), true);
    check("tenants", &user(&json!({"tenant": "b"})), false);
}

#[test]
fn what_was_near_is_told_and_of_others_nothing() {
    let members = ["user:ada@example.com", "domain:example.com", "user:zoe@example.com"].map(member);
    let bindings = bindings(&members, &directory("groups: {}"));
    let check = |differences: Value, expected: &[&str]| {
        assert_eq!(super::near(&bindings, &anything(), &user(&differences)), expected, "{differences}");
    };
    check(
        json!({"email_verified": false}),
        &[
            "user:ada@example.com would match, but the user's address \"Ada@Example.com\" is not verified",
            "domain:example.com would match, but the user's address \"Ada@Example.com\" is not verified",
        ],
    );
    check(
        json!({"tenant": "a"}),
        &[
            "user:ada@example.com would match, but the user is in tenant \"a\", and only a member that names the tenant matches",
            "domain:example.com would match, but the user is in tenant \"a\", and only a member that names the tenant matches",
        ],
    );
    check(json!({"email": "eve@example.org", "email_verified": false}), &[]);
    check(json!({"email": null}), &[]);
    let by_name = member(&format!("principalSet://{POOL}/attribute.name/root"));
    let bindings = self::bindings(&[by_name], &directory("groups: {}"));
    let named = user(&json!({"email_verified": false, "claims": {"name": "root"}}));
    let line = format!(
        "principalSet://{POOL}/attribute.name/root would match, but what users write of themselves lets nobody in"
    );
    assert_eq!(super::near(&bindings, &anything(), &named), [line]);
}

fn some_member() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("ada"), Just("ADA"), Just("eve"), Just("robot")];
    let domain =
        prop_oneof![Just("example.com"), Just("Example.COM"), Just("demo-project.iam.gserviceaccount.com")];
    let pool = prop_oneof![
        3 => Just(POOL),
        1 => Just("iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/firebase"),
        1 => Just("iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/other")
    ];
    let attribute = prop_oneof![
        Just("tenant"),
        Just("provider"),
        Just("email"),
        Just("role"),
        Just("teams"),
        Just("name")
    ];
    let value = prop_oneof![
        Just("a"),
        Just("password"),
        Just("Ada@example.com"),
        Just("admin"),
        Just("true"),
        Just("5")
    ];
    prop_oneof![
        1 => Just("allUsers".to_owned()),
        1 => Just("allAuthenticatedUsers".to_owned()),
        4 => (prop_oneof![Just("user"), Just("serviceAccount"), Just("group")], name, domain.clone())
            .prop_map(|(kind, name, domain)| format!("{kind}:{name}@{domain}")),
        2 => domain.prop_map(|domain| format!("domain:{domain}")),
        3 => (pool.clone(), prop_oneof![Just("ada"), Just("Ada")]).prop_map(|(pool, uid)| format!("principal://{pool}/subject/{uid}")),
        1 => pool.clone().prop_map(|pool| format!("principalSet://{pool}/*")),
        5 => (pool, attribute, value)
            .prop_map(|(pool, attribute, value)| format!("principalSet://{pool}/attribute.{attribute}/{value}")),
    ]
}

fn some_caller() -> impl Strategy<Value = Option<Principal>> {
    let claim = prop_oneof![
        Just(json!("admin")),
        Just(json!(["a", "admin", 5])),
        Just(json!(true)),
        Just(json!(5)),
        Just(json!(null)),
        Just(json!(["eve@example.com"]))
    ];
    let email = prop_oneof![
        Just(json!("ada@example.com")),
        Just(json!("EVE@example.com")),
        Just(json!("ada@x@example.com")),
        Just(json!(null))
    ];
    let user = (any::<bool>(), email, prop_oneof![Just(json!(null)), Just(json!("a"))], claim.clone(), claim).prop_map(
        |(email_verified, email, tenant, role, teams)| {
            let claims = json!({"role": role, "teams": teams, "name": "admin"});
            user(&json!({"email_verified": email_verified, "email": email, "tenant": tenant, "claims": claims}))
        },
    );
    option::of(prop_oneof![4 => user, 1 => Just(robot())])
}

proptest! {
    /// The index answers what each member alone answers.
    #[test]
    fn the_index_finds_whom_a_member_names(members in collection::vec(some_member(), 0..6), caller in some_caller()) {
        let directory = directory(GROUPS);
        let members: Vec<Member> = members.iter().map(|text| member(text)).collect();
        let bindings = bindings(&members, &directory);
        let mut found = Vec::new();
        bindings.index.each_with_groups(caller.as_ref(), &directory, Reading::Strict, &mut |at| found.push(at));
        found.sort_unstable();
        found.dedup();
        let expected = (0..).zip(&members).filter(|(_, member)| matches(member, &directory, caller.as_ref()));
        prop_assert_eq!(found, expected.map(|(at, _)| at).collect::<Vec<u32>>());
    }
}
