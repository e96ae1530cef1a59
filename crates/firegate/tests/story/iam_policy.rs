//! An IAM policy as `gcloud run services get-iam-policy` writes it, attached to a real front door.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use firegate_core::time::Clock;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use serde_json::{Value, json};

use crate::gate::{PATIENCE, mirror};
use crate::stack::server::serve;
use crate::stack::{Call, at, claims, clock, close, door_of, stranger};

const POLICY: &str = "\
bindings:
- members:
  - user:ada@example.com
  role: roles/run.invoker
- condition:
    description: ''
    expression: request.path.startsWith('/reports/')
    title: reports alone
  members:
  - domain:partner.example
  role: roles/run.invoker
- members:
  - user:mallory@example.com
  role: roles/run.viewer
- members:
  - serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com
  role: roles/run.serviceAgent
etag: BwWWja0YfJA=
version: 3
";

const DENIALS: &str = "\
displayName: no interns
rules:
- denyRule:
    deniedPrincipals:
    - principal://goog/subject/intern@partner.example
    deniedPermissions:
    - run.googleapis.com/routes.invoke
";

struct Exports;

impl NamedFiles for Exports {
    fn read(&self, name: &Path) -> io::Result<String> {
        Ok(if name == Path::new("iam.yaml") { POLICY } else { DENIALS }.to_owned())
    }
}

#[tokio::test]
async fn who_is_named_passes_where_the_binding_says() {
    let (clock, signer, service) = (clock(), stranger(), mirror().await);
    let document = json!({ "keys": [signer.public_jwk()] }).to_string();
    let keys = serve(Router::new().fallback(get(move || async move { document }))).await;
    let text = format!(
        "project: demo-project\nbackends: {{ api: {{ url: '{service}', iam_policy: iam.yaml }} }}\n\
         deny_policies: [denials.yaml]\ngoogle: {{ id_token_keys: '{keys}/keys' }}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &Exports);
    let configuration = configuration.unwrap_or_else(|found| panic!("{found}"));
    let door = door_of(configuration, Arc::new(clock.clone()), None);
    tokio::time::timeout(PATIENCE, door.ready()).await.expect("the door becomes ready");
    let token = |email: &str, verified: bool| {
        let mut claims: Value = claims("demo-project", clock.now().as_seconds());
        (claims["email"], claims["email_verified"]) = (json!(email), json!(verified));
        signer.sign(&claims).expect("a token")
    };
    for (email, verified, path, expected) in [
        ("ada@example.com", true, "/anything", 200),
        ("ada@example.com", false, "/anything", 403),
        ("eve@example.com", true, "/anything", 403),
        ("mallory@example.com", true, "/anything", 403),
        ("bob@partner.example", true, "/reports/7", 200),
        ("bob@partner.example", true, "/reports", 403),
        ("bob@partner.example", true, "/x/../reports/7", 200),
        ("bob@sub.partner.example", true, "/reports/7", 403),
        ("intern@partner.example", true, "/reports/7", 403),
    ] {
        let call = Call::get(&at(&door, path)).bearer(&token(email, verified));
        assert_eq!(call.send().await.status.as_u16(), expected, "{email} {verified} {path}");
    }
    Call::get(&at(&door, "/anything")).send().await.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    close(door).await;
}
