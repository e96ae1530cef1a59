//! CVE-2021-29492: an encoded slash was a part of its segment for the proxy, and a separator for the service.

use crate::project::{Project, expect};
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

const FILES: &str = "backends: { api: { url: 'SERVICE', encoded_slash: forward";

#[tokio::test(flavor = "multi_thread")]
async fn no_encoded_slash_leads_past_a_security_policy() {
    const POLICY: &str = "name: edge\nrules:\n\
        - { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/files/private/')\" } } }\n\
        - { priority: 2147483647, action: throttle, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, \
        rateLimitOptions: { conformAction: allow, exceedAction: deny(429), enforceOnKey: HTTP_PATH, \
        rateLimitThreshold: { count: 2, intervalSec: 60 } } }\n";
    let project = Project::open().await;
    let text = format!(
        "{FILES}, security_policy: {{ file: armor.yaml, dialect: firegate }} }} }}\nallow: [allUsers]\n"
    );
    let gate = project.gate_with_files(&text, &[("armor.yaml", POLICY)]).await;
    for path in ["/files/private%2Fkeys", "/files%2fprivate%5ckeys", "/files/%2Fprivate/keys"] {
        expect(&gate.call(path).send().await, 400, "REQUEST_MALFORMED", path);
    }
    expect(&gate.call("/files/private/a%2Fb").send().await, 403, "ARMOR_DENIED", "both readings are closed");
    gate.call("/files/a%2Fb").send().await.ok();
    gate.call("/files/a/b").send().await.ok();
    for path in ["/files/a%2Fb", "/files%2Fa/b", "/files%5Ca/%2fb"] {
        expect(&gate.call(path).send().await, 429, "RATE_LIMITED", path);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_encoded_slash_fulfils_a_condition_or_evades_a_denial() {
    const GRANT: &str = "bindings:\n- role: roles/run.invoker\n  members: [allAuthenticatedUsers]\n  \
        condition: { title: not there, expression: \"!request.path.startsWith('/files/private/')\" }\nversion: 3\n";
    const DENIALS: &str = "displayName: closed\nrules:\n- denyRule:\n    deniedPrincipals: ['principalSet://goog/public:all']\n    \
        deniedPermissions: [run.googleapis.com/routes.invoke]\n    \
        denialCondition: { title: closed, expression: \"request.path.startsWith('/files/private/')\" }\n";
    let project = Project::open().await;
    let granted = format!("{FILES}, iam_policy: {{ file: iam.yaml, dialect: firegate }} }} }}");
    let denied = format!(
        "{FILES} }} }}\nallow: [allUsers]\ndeny_policies: [ {{ file: deny.yaml, dialect: firegate }} ]"
    );
    let token = project.id_token();
    for (text, file, reason) in [
        (granted, ("iam.yaml", GRANT), "NO_INVOKER_BINDING"),
        (denied, ("deny.yaml", DENIALS), "DENIED_BY_IAM_POLICY"),
    ] {
        let gate = project.gate_with_files(&text, &[file]).await;
        gate.call("/files/a%2Fb").bearer(&token).send().await.ok();
        for path in ["/files/private%2Fkeys", "/files/%2Fprivate/keys", "/files%5Cprivate/keys"] {
            expect(&gate.call(path).bearer(&token).send().await, 403, reason, path);
        }
        gate.close().await;
    }
}
