//! Anybody can make a service account in a project of their own and ask Google for a token with any audience. Such a token
//! says nothing of an app: it stands for an App Check token only where the configuration names the very account.

use serde_json::json;

use crate::project::{GOOGLE_AUDIENCE, Key, Project, expect};

const CONFIGURATION: &str = "\
backends:
  open: { url: 'SERVICE', allow: [allUsers], app_check: required }
  jobs: { url: 'SERVICE', app_check: required, allow: [allUsers, 'serviceAccount:job@ours.iam.gserviceaccount.com'] }
routes: [{ path: '/jobs/*', backend: jobs }, { path: '/*', backend: open }]
users: { accept: [id_token, google_id_token], google_audiences: ['https://api.example.com'] }";

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_service_account_does_not_stand_for_an_app() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let token = |email: &str| Key::Google.sign(&project.google_claims(email, GOOGLE_AUDIENCE));
    let evil = token("evil@theirs.iam.gserviceaccount.com");
    for path in ["/a", "/jobs/a"] {
        let answer = gate.call(path).bearer(&evil).send().await;
        expect(&answer, 401, "APP_CHECK_TOKEN_MISSING", path);
    }
    expect(&gate.call("/a").send().await, 401, "APP_CHECK_TOKEN_MISSING", "nobody");
    // What passes: an app, and the account that is named, where it is named.
    let app = gate.call("/a").header("x-firebase-appcheck", &project.app_check_token());
    app.send().await.ok();
    let job = token("job@ours.iam.gserviceaccount.com");
    let seen = gate.call("/jobs/a").bearer(&job).send().await.ok();
    assert_eq!(
        seen["headers"]["x-firegate-caller"],
        json!("serviceAccount:job@ours.iam.gserviceaccount.com")
    );
    expect(&gate.call("/a").bearer(&job).send().await, 401, "APP_CHECK_TOKEN_MISSING", "not named there");
    gate.close().await;
}
