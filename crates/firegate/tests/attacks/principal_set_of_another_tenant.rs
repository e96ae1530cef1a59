//! Uids, addresses and claims repeat across tenants: a member that names project-level users, or one tenant's, is never matched
//! by a user of another.

use serde_json::{Value, json};

use crate::project::{Key, Project, edited};

const POOL: &str =
    "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/firebase";

fn of_tenant(claims: &Value, tenant: &str) -> Value {
    let mut claims = claims.clone();
    claims["firebase"]["tenant"] = json!(tenant);
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_matched_by_nobody_of_another_tenant() {
    let project = Project::open().await;
    let user = edited(&project.id_claims(), "team", json!("admins"));
    for (member, admitted, refused) in [
        (
            format!("{POOL}/attribute.tenant/blue"),
            of_tenant(&user, "blue"),
            vec![of_tenant(&user, "red"), user.clone()],
        ),
        (format!("{POOL}/attribute.team/admins"), user.clone(), vec![of_tenant(&user, "blue")]),
        (format!("{POOL}/*"), user.clone(), vec![of_tenant(&user, "blue")]),
        ("user:eve@example.com".to_owned(), user.clone(), vec![of_tenant(&user, "blue")]),
        ("domain:example.com".to_owned(), user.clone(), vec![of_tenant(&user, "blue")]),
    ] {
        let text =
            format!("backends: {{ api: 'SERVICE' }}\nallow: ['{member}']\nusers: {{ tenants: [blue, red] }}");
        let gate = project.gate(&text).await;
        gate.admits(&Key::IdToken.sign(&admitted)).await;
        for claims in refused {
            // A claim that only calls itself the tenant is none.
            let forged = edited(&claims, "tenant", json!("blue"));
            gate.refuses(&Key::IdToken.sign(&claims), 403, "NO_INVOKER_BINDING", &member).await;
            gate.refuses(&Key::IdToken.sign(&forged), 403, "NO_INVOKER_BINDING", &member).await;
        }
        gate.close().await;
    }
}
