//! A condition that fails for a request, because a claim is missing or of another type: a binding does not grant then, and a
//! denial denies.

use serde_json::json;

use crate::project::{Key, Project, edited, expect};

const POLICY: &str = "\
bindings:
- role: roles/run.invoker
  members: [allAuthenticatedUsers]
  condition: { title: of level 3, expression: 'request.auth.token.level >= 3' }
version: 3
";

const DENIALS: &str = "\
displayName: suspended
rules:
- denyRule:
    deniedPrincipals: ['principalSet://goog/public:all']
    deniedPermissions: [run.googleapis.com/routes.invoke]
    denialCondition: { title: suspended, expression: 'request.auth.token.suspended == true' }
";

#[tokio::test(flavor = "multi_thread")]
async fn an_error_grants_nothing() {
    let project = Project::open().await;
    let text = "backends: { api: { url: 'SERVICE', iam_policy: { file: iam.yaml, dialect: firegate } } }";
    let gate = project.gate_with_files(text, &[("iam.yaml", POLICY)]).await;
    let with = |level| Key::IdToken.sign(&edited(&project.id_claims(), "level", level));
    gate.admits(&with(json!(3))).await;
    for level in [json!(2), json!("3"), json!([3]), json!({ "a": 3 }), json!(null), json!(true)] {
        gate.refuses(&with(level.clone()), 403, "NO_INVOKER_BINDING", &level.to_string()).await;
    }
    gate.refuses(&project.id_token(), 403, "NO_INVOKER_BINDING", "no claim").await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_denies() {
    let project = Project::open().await;
    let text = "backends: { api: 'SERVICE' }\nallow: [allAuthenticatedUsers]\ndeny_policies: [ { file: deny.yaml, dialect: firegate } ]";
    let gate = project.gate_with_files(text, &[("deny.yaml", DENIALS)]).await;
    let with = |suspended| Key::IdToken.sign(&edited(&project.id_claims(), "suspended", suspended));
    gate.admits(&with(json!(false))).await;
    for token in [with(json!(true)), project.id_token()] {
        let answer = gate.with_bearer(&token).await;
        assert_eq!(answer.status, 403, "{:?}", answer.body);
        expect(&answer, 403, "DENIED_BY_IAM_POLICY", "denied");
    }
    gate.close().await;
}
