//! Requests that nobody wrote down: every one is put before a front door, and the machine of `firegate test` and
//! `firegate explain` have to say of it what the door did.

use std::collections::BTreeSet;

use firegate::cases::{Answer, CaseFile, Machine, difference};
use firegate::explain::explain_decision_case;
use firegate_files::decision_cases::{DecisionCase, Expected};
use serde_json::{Value, json};

use crate::door::Doors;
use crate::{ISSUER, NOW, assert_none, explained};

const CASES: usize = 400;

const CONFIGURATION: &str = "
project: demo-project
project_number: '42'
users: { tenants: any }
cors: { origins: ['https://app.example.com'] }
allow: [allAuthenticatedUsers]
backends:
  api: { url: 'https://api.a.run.app', token_sources: [authorization, query] }
  staff: { url: 'https://staff.a.run.app', allow: ['user:ada@example.com', 'domain:example.org'] }
  tenant: { url: 'https://tenant.a.run.app', allow: ['principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/attribute.tenant/blue-1'] }
  path: { url: 'https://path.a.run.app', iam_policy: { file: path.yaml, dialect: firegate } }
  open: { url: 'https://open.a.run.app', allow: [allUsers], security_policy: { file: armor.yaml, dialect: firegate } }
routes:
  - { path: /api/*, backend: api }
  - { path: /staff/*, backend: staff }
  - { path: /tenant/*, backend: tenant }
  - { path: /path/*, backend: path }
  - { path: /open/*, backend: open }
";

const CONDITIONAL_POLICY: &str = "
version: 3
bindings:
- role: roles/run.invoker
  members: ['user:ada@example.com']
  condition: { title: t, expression: \"request.path.startsWith('/path/ada')\" }
";

const SECURITY_POLICY: &str = "
rules:
- { priority: 10, action: deny(404), match: { expr: { expression: \"request.path.startsWith('/open/secret')\" } } }
- { priority: 20, action: deny(502), match: { expr: { expression: \"has(request.headers['x-team']) && request.headers['x-team'] != 'red'\" } } }
- { priority: 30, action: redirect, redirectOptions: { type: EXTERNAL_302, target: 'https://example.com/' }, match: { expr: { expression: \"request.query.contains('go')\" } } }
- { priority: 2147483647, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }
";

/// Paths, the plain ones first: of two requests one asks for a plain one.
const PLAIN_PATHS: usize = 7;
const PATHS: [&str; 19] = [
    "/api/x",
    "/staff/x",
    "/tenant/x",
    "/path/ada/1",
    "/path/eve",
    "/open/x",
    "/open/secret/1",
    "/open/x?go=1",
    "/open/%73ecret",
    "/open/;a/secret",
    "/api/../open/x",
    "/api//x",
    "/api/%2e%2e/staff/x",
    "/api/%2Fx",
    "/path/ada/../eve",
    "/path/%61da",
    "/staff",
    "/nowhere",
    "/api/x?access_token=a.token",
];

const METHODS: [&str; 6] = ["GET", "GET", "POST", "DELETE", "OPTIONS", "PURGE"];

/// Not gRPC's `Content-Type`: a refusal in gRPC's form has the status 200, and its reason has another.
const FIELDS: [(&str, &str); 9] = [
    ("Origin", "https://app.example.com"),
    ("Origin", "https://elsewhere.example.com"),
    ("Access-Control-Request-Method", "POST"),
    ("X-Team", "red"),
    ("X_Team", "blue"),
    ("Cookie", "a=b; __session=a.token"),
    ("X-Firegate-User-Id", "root"),
    ("X-Serverless-Authorization", "Bearer x"),
    ("Sec-Fetch-Site", "cross-site"),
];

fn users() -> Vec<Value> {
    let token = |state: &str| json!({"uid": "ada", "email": "ada@example.com", "token": state});
    vec![
        Value::Null,
        json!({"uid": "ada", "email": "ada@example.com"}),
        json!({"uid": "bob", "email": "bob@example.org"}),
        json!({"uid": "eve", "email": "eve@example.org", "email_verified": false}),
        json!({"uid": "kim", "email": "ada@example.com", "tenant": "blue-1"}),
        json!({"uid": "lou", "tenant": "red-1"}),
        json!({"uid": "guest", "provider": "anonymous"}),
        token("expired"),
        token("other_project"),
        token("wrong_signature"),
        token("malformed"),
    ]
}

/// The same numbers at each run (the constants are those of Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn generated() -> CaseFile {
    let (mut numbers, users) = (Numbers(1), users());
    let case = |number: usize| {
        let paths = if numbers.below(2) == 0 { PLAIN_PATHS } else { PATHS.len() };
        let url = format!("https://door.example.com{}", numbers.of(&PATHS[..paths]));
        let fields = numbers.below(5);
        let headers =
            (0..fields).map(|_| *numbers.of(&FIELDS)).map(|(name, value)| (name.to_owned(), json!(value)));
        let headers = headers.collect::<serde_json::Map<_, _>>();
        let request = json!({"method": numbers.of(&METHODS), "url": url, "headers": headers});
        let mut case = json!({"name": number.to_string(), "request": request, "expect": {"answered": 200}});
        match numbers.of(&users) {
            Value::Null => {}
            user => case["user"] = user.clone(),
        }
        case
    };
    let cases = (0..CASES).map(case).collect::<Vec<_>>();
    let files = json!({"path.yaml": CONDITIONAL_POLICY, "armor.yaml": SECURITY_POLICY});
    let file = json!({"configuration": CONFIGURATION, "files": files, "cases": cases});
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("generated.yaml");
    std::fs::write(&path, file.to_string()).expect("a file");
    CaseFile::read(&path, None).unwrap_or_else(|error| panic!("{error}"))
}

/// What others have to say of a request of which the door gave this answer.
fn as_expectation(answer: &Answer) -> Expected {
    match answer.clone() {
        Answer::Passed { to, path_and_query, would_be_refused, .. } => Expected::Passes {
            to,
            path_and_query: Some(path_and_query),
            headers: Vec::new(),
            would_be_refused,
        },
        Answer::Refused { code, status, .. } => Expected::Refused { code, status: Some(status) },
        Answer::Redirected { to, status } => Expected::Redirected { to, status: Some(status) },
        Answer::Answered { status, .. } => Expected::Answered { status },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tested_and_explained_is_what_the_front_door_does() {
    let file = generated();
    let doors = Doors::new(&ISSUER, &file.configuration).await;
    let answers = doors.decide_all(&file.cases, NOW).await;
    let machine = Machine::new(&file.configuration, &ISSUER).expect("a machine");
    let (mut failures, mut kinds) = (Vec::new(), BTreeSet::new());
    for (case, answer) in file.cases.iter().zip(&answers) {
        let case = DecisionCase { expected: as_expectation(answer), ..case.clone() };
        kinds.insert(match answer {
            Answer::Refused { code, .. } => code.clone(),
            other => other.to_string(),
        });
        let tested = machine.decide(&case, NOW).expect("a token");
        let explanation = explain_decision_case(&file, &case, &ISSUER, NOW).expect("a token");
        let differs =
            difference(&case.expected, &tested).or_else(|| explained::difference(&case, &explanation));
        failures.extend(differs.map(|differs| format!("{:?}: {differs}", case.arrival)));
    }
    assert_none(&failures);
    assert!(kinds.len() >= 17, "many different answers are given: {kinds:?}");
}
