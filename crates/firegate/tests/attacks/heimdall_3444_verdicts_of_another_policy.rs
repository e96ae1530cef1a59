//! heimdall's issues 3444 and 3454: what was decided once was kept under a key that left out the policy it was decided by.
//! A verdict here is about a signature. Backend, tenants, apps, audience and time are judged with every request, in
//! whatever order they come.

use serde_json::json;

use crate::project::{APP, EXCHANGE, Key, Project, claims_of, edited, expect, seen};

const POOL: &str =
    "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/firebase";

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_verdict_is_not_anothers() {
    let project = Project::open().await;
    let text = format!(
        "backends:\n  blue: {{ url: 'SERVICE', audience: blue, allow: ['{POOL}/attribute.tenant/blue'] }}\n  \
         red: {{ url: 'SERVICE', audience: red, allow: ['{POOL}/attribute.tenant/red'] }}\n  \
         both: {{ url: 'SERVICE', audience: both, allow: [allAuthenticatedUsers] }}\n\
         routes: [{{ path: '/blue', backend: blue }}, {{ path: '/red', backend: red }}, {{ path: '/*', backend: both }}]\n\
         users: {{ tenants: [blue, red] }}"
    );
    let gate = project.gate(&text).await;
    let mut claims = project.id_claims();
    claims["firebase"]["tenant"] = json!("blue");
    let token = Key::IdToken.sign(&claims);
    for _ in 0..3 {
        let blue = gate.call("/blue").bearer(&token).send().await.ok();
        expect(&gate.call("/red").bearer(&token).send().await, 403, "NO_INVOKER_BINDING", "another tenant's");
        let both = gate.call("/a").bearer(&token).send().await.ok();
        // What Firegate says of the user is for this very backend, too.
        for (echo, audience) in [(&blue, "blue"), (&both, "both")] {
            let assertion = claims_of(seen(echo, "x-firegate-assertion").expect("an assertion"));
            assert_eq!((&assertion["aud"], &assertion["tenant"]), (&json!(audience), &json!("blue")));
        }
    }
    // The very same token under another policy of tenants.
    let strict = project.plain_gate().await;
    strict.refuses(&token, 403, "TENANT_NOT_ACCEPTED", "no tenant is accepted").await;
    gate.call("/blue").bearer(&token).send().await.ok();
    project.clock.advance(3541);
    for path in ["/blue", "/a"] {
        expect(&gate.call(path).bearer(&token).send().await, 401, "TOKEN_EXPIRED", "an hour later");
    }
    strict.close().await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_one_backend_admits_is_judged_again_by_the_next() {
    let project = Project::open().await;
    let text = format!(
        "backends:\n  any: {{ url: 'SERVICE', app_check: required }}\n  one: {{ url: 'SERVICE', app_check: {{ apps: ['{APP}'] }} }}\n\
         routes: [{{ path: '/one', backend: one }}, {{ path: '/*', backend: any }}]\nallow: [allAuthenticatedUsers]"
    );
    let gate = project.gate(&text).await;
    let other = edited(&project.app_check_claims(), "sub", json!("1:123456789012:ios:fedcba9876543210"));
    let (own, other) = (project.app_check_token(), Key::AppCheck.sign(&other));
    let send = async |path: &str, token: &str| {
        let call = gate.call(path).bearer(&project.id_token());
        call.header("x-firebase-appcheck", token).send().await
    };
    for _ in 0..2 {
        send("/a", &other).await.ok();
        expect(&send("/one", &other).await, 403, "APP_CHECK_APP_NOT_ALLOWED", "another app");
        send("/one", &own).await.ok();
    }
    project.clock.advance(3541);
    let call = gate.call("/a").bearer(&project.id_token()).header("x-firebase-appcheck", &other);
    expect(&call.send().await, 401, "APP_CHECK_TOKEN_EXPIRED", "an hour later");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_token_is_good_for_its_own_backend_alone_and_for_five_minutes() {
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let subject = project.id_token();
    let token = gate.exchanged(&subject, "files").await;
    for _ in 0..2 {
        gate.call("/files/a").bearer(&token).send().await.ok();
        gate.refuses(&token, 401, "TOKEN_WRONG_AUDIENCE", "it is for files").await;
    }
    // The clock is shifted and does not stand, and the machine may be busy.
    project.clock.advance(270);
    gate.call("/files/a").bearer(&token).send().await.ok();
    project.clock.advance(30);
    let answer = gate.call("/files/a").bearer(&token).send().await;
    expect(&answer, 401, "TOKEN_EXPIRED", "five minutes later");
    gate.admits(&subject).await;
    // Near the end of the user's own token it ends with that.
    project.clock.advance(3540 - 300 - 60);
    let late = gate.exchange(&crate::project::exchange_of(&subject, "files")).await.ok();
    let expires_in = late["expires_in"].as_u64().expect("seconds");
    assert!((31..=60).contains(&expires_in), "{expires_in}");
    let late = late["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(claims_of(&late)["exp"], claims_of(&subject)["exp"]);
    gate.call("/files/a").bearer(&late).send().await.ok();
    project.clock.advance(60);
    expect(
        &gate.call("/files/a").bearer(&late).send().await,
        401,
        "TOKEN_EXPIRED",
        "the user's token is over",
    );
    gate.exchanges_not(&subject, "files", "TOKEN_EXPIRED").await;
    gate.close().await;
}
