//! CVE-2021-29492: an encoded slash was a part of its segment for the proxy, and a separator for the service.

use crate::site::echo;
use crate::stack::{Call, at, clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_slash_goes_only_where_it_is_asked_for_and_leads_nowhere_else() {
    let clock = clock();
    let service = echo(&clock).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allUsers]\nbackends:\n  files: {{ url: '{service}', encoded_slash: forward }}\n  \
             admin: {{ url: '{service}', allow: ['user:root@example.com'] }}\n  rest: {{ url: '{service}' }}\n\
             routes:\n  - {{ path: /files/*, backend: files }}\n  - {{ path: /files/private/*, backend: admin }}\n  \
             - {{ path: /*, backend: rest }}\n"
        ),
        &clock,
    );
    let get = async |path: &str| Call::get(&at(&door, path)).send().await;
    for (path, forwarded) in [("/files/a%2fb", "/files/a%2Fb"), ("/files/a%5Cb%2F", "/files/a%5Cb%2F")] {
        assert_eq!(get(path).await.ok()["path"], forwarded, "{path}");
    }
    for path in [
        "/a%2fb",
        "/files/private%2fkeys",
        "/files/%2fprivate/keys",
        "/files/private%5Ckeys",
        "/files/..%2fadmin",
        "/files/a%2f..%2f..%2fadmin",
        "/files/a%252fb",
        "/files/a%2f%00",
        "/files%2fa",
    ] {
        get(path).await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    close(door).await;
}

/// What Firegate answers by itself, no service answers in its name, not even where such paths are asked for.
#[tokio::test(flavor = "multi_thread")]
async fn no_encoded_slash_leads_a_service_to_firegates_own_paths() {
    let clock = clock();
    let service = echo(&clock).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allUsers]\nbackends:\n  all: {{ url: '{service}', encoded_slash: forward }}\n"
        ),
        &clock,
    );
    let get = async |path: &str| Call::get(&at(&door, path)).send().await;
    for path in [
        "/.well-known/firegate%2Fjwks.json",
        "/.well-known%2ffiregate/jwks.json",
        "/.well-known%5Cfiregate%5cready",
        "/%2F.well-known/firegate/ready",
        "/%2e%77ell-known/firegate%2F%2Ftoken",
    ] {
        get(path).await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    assert_eq!(get("/.well-known%2Fother").await.ok()["path"], "/.well-known%2Fother");
    close(door).await;
}
