//! The page of an error is fetched by the path that the URL map says, with Firegate's own credential. Whether everyone may have
//! it is asked of that path: one that the client chose, and whose error brought the page about, opens nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_proxy::FrontDoor;
use http::{StatusCode, Uri};

use crate::stack::server::serve;
use crate::stack::{Call, at, clock, close, door_of};

const MAP: &str = "\
name: m
defaultService: web
defaultCustomErrorResponsePolicy:
  errorService: pages
  errorResponseRules:
  - { matchResponseCodes: ['404'], path: /inside/404.html, overrideResponseCode: 200 }
  - { matchResponseCodes: ['410'], path: /open/410.html }
";

const OPEN: &str = "request.path.startsWith('/open/')";

struct Files {
    grant: String,
    denials: String,
}

impl NamedFiles for Files {
    fn read(&self, name: &Path) -> io::Result<String> {
        Ok(match name.to_str() {
            Some("map.yaml") => MAP.to_owned(),
            Some("iam.yaml") => self.grant.clone(),
            _ => self.denials.clone(),
        })
    }
}

/// A service that has pages below `/inside/` and `/open/`, and finds nothing else.
async fn service() -> String {
    let answer = |uri: Uri| async move {
        match uri.path() {
            "/inside/404.html" | "/open/410.html" => (StatusCode::OK, "a page"),
            path if path.ends_with("/gone") => (StatusCode::GONE, "its own word"),
            _ => (StatusCode::NOT_FOUND, "its own word"),
        }
    };
    serve(Router::new().fallback(any(answer))).await
}

async fn door(grant: &str, denials: &str, denied: &str) -> FrontDoor {
    let service = service().await;
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\n{denied}backends: {{ web: '{service}', pages: {{ url: \
         '{service}', iam_policy: {{ file: iam.yaml, dialect: firegate }}, allow: [allUsers] }} }}\n"
    );
    let files = Files {
        grant: format!("version: 3\nbindings:\n- role: roles/run.invoker\n  members: [allUsers]\n{grant}"),
        denials: denials.to_owned(),
    };
    let configuration = parse_with_files("firegate.yaml", &text, &files);
    door_of(configuration.unwrap_or_else(|found| panic!("{found}")), Arc::new(clock()), None)
}

async fn check(door: FrontDoor) {
    for path in ["/open/missing", "/inside/missing", "/missing", "/open/..%3f/missing"] {
        let answer = Call::get(&at(&door, path)).send().await;
        assert_ne!(answer.body.as_ref(), b"a page".as_slice(), "{path}");
        assert_ne!(answer.status, 200, "{path}");
    }
    for path in ["/open/gone", "/inside/gone", "/gone"] {
        let answer = Call::get(&at(&door, path)).send().await;
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (410, b"a page".as_slice()), "{path}");
    }
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_sees_the_path_of_the_page() {
    check(door(&format!("  condition: {{ title: open, expression: \"{OPEN}\" }}\n"), "", "").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_sees_the_path_of_the_page() {
    // The client's own requests have to reach `web`: what is denied is the very path of the page.
    let denials = "displayName: inside\nrules:\n- denyRule:\n    deniedPrincipals: ['principalSet://goog/public:all']\n    \
                   deniedPermissions: [run.googleapis.com/routes.invoke]\n    \
                   denialCondition: { title: inside, expression: \"request.path == '/inside/404.html'\" }\n";
    check(door("", denials, "deny_policies: [{ file: deny.yaml, dialect: firegate }]\n").await).await;
}
