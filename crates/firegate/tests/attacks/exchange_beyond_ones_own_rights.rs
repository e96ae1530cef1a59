//! RFC 8693, section 5: an exchange is a way to more than one had. Here it gives nobody what a request would not: not
//! another's identity, not a backend that they may not call, not the account that Firegate itself calls with.

use firegate_core::exchange::ID_TOKEN_TYPE;
use serde_json::json;

use crate::project::{
    EXCHANGE, GOOGLE_AUDIENCE, Key, Project, claims_of, edited, exchange_of, expect, expect_no_token,
    stack_with,
};
use crate::stack::{Answer, Call};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_more_than_a_request_would_give_them() {
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let token = project.id_token();
    let claims = claims_of(&gate.exchanged(&token, "api").await);
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("eve"), &json!("api")));
    assert_eq!(
        claims["auth_time"],
        project.id_claims()["auth_time"],
        "revocation goes on to be judged by it"
    );

    gate.exchanges_not(&token, "admin", "NO_INVOKER_BINDING").await;
    gate.call("/admin/a").bearer(&token).send().await.expect_refusal(403, "NO_INVOKER_BINDING", "NONE");
    let root = edited(&project.id_claims(), "email", json!("root@example.com"));
    drop(gate.exchanged(&Key::IdToken.sign(&root), "admin").await);

    for (more, why) in [
        (&[("actor_token", token.as_str())][..], "an actor"),
        (&[("actor_token", &token), ("actor_token_type", ID_TOKEN_TYPE)], "an actor and its type"),
        (&[("actor_token_type", ID_TOKEN_TYPE)], "an actor's type"),
    ] {
        let parameters = [&exchange_of(&token, "api")[..], more].concat();
        expect_no_token(&gate.exchange(&parameters).await, Some("invalid_request"), why);
    }
    for audience in
        ["", "nobody's", "API", "api/", "api files", "api,files", "*", GOOGLE_AUDIENCE, "http://127.0.0.1:9"]
    {
        let answer = gate.exchange(&exchange_of(&token, audience)).await;
        expect_no_token(&answer, Some("invalid_target"), audience);
    }
    // Nor does a service account, or a bad token, get one in a user's name.
    let job = Key::Google.sign(&project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE));
    gate.call("/a").bearer(&job).send().await.ok();
    gate.exchanges_not(&job, "api", "TOKEN_IS_GOOGLE_ID_TOKEN").await;
    let forged = Key::Stranger.sign_as(&Key::IdToken.header(), project.id_claims().to_string());
    gate.exchanges_not(&forged, "api", "TOKEN_SIGNATURE_INVALID").await;
    // A session cookie is none of the ID tokens that a client says it sends.
    let mut claimed = exchange_of("", "api");
    let cookie = project.session_cookie();
    claimed[1].1 = &cookie;
    claimed[2].1 = ID_TOKEN_TYPE;
    expect_no_token(
        &gate.exchange(&claimed).await,
        Some("invalid_request"),
        "a session cookie as an ID token",
    );
    gate.close().await;
}

/// An exchange is judged by the backend's security policy as the request that it is, before anybody knows for which paths the
/// token will be used; and what comes with the token is judged by its own path.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_leads_past_no_rule_about_paths() {
    const POLICY: &str = "name: edge\nrules:\n\
        - { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/admin')\" } } }\n\
        - { priority: 2, action: deny(403), match: { expr: { expression: \"!request.path.startsWith('/a') && NOT_THE_EXCHANGE\" } } }\n\
        - { priority: 2147483647, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }\n";
    let project = Project::open().await;
    let token = project.id_token();
    let text = EXCHANGE.replace(
        "audience: api }",
        "audience: api, security_policy: { file: armor.yaml, dialect: firegate } }",
    );
    let gate = async |condition: &str| {
        let policy = POLICY.replace("NOT_THE_EXCHANGE", condition);
        project.gate_with_files(&text, &[("armor.yaml", &policy)]).await
    };
    let strict = gate("true").await;
    strict.exchanges_not(&token, "api", "ARMOR_DENIED").await;
    drop(strict.exchanged(&token, "files").await);
    strict.close().await;
    let open = gate("request.path != '/.well-known/firegate/token'").await;
    let exchanged = open.exchanged(&token, "api").await;
    open.call("/a").bearer(&exchanged).send().await.ok();
    for path in ["/admin", "/administer", "/b", "/a/../b"] {
        expect(&open.call(path).bearer(&exchanged).send().await, 403, "ARMOR_DENIED", path);
    }
    expect(
        &open.call("/ADMIN").bearer(&exchanged).send().await,
        400,
        "REQUEST_MALFORMED",
        "in capital letters",
    );
    open.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everyone_may_call_a_stranger_still_gets_no_token() {
    let project = Project::open().await;
    let gate = project.gate(&EXCHANGE.replace("audience: api", "audience: api, allow: [allUsers]")).await;
    gate.call("/a").send().await.ok();
    for (token, reason) in [
        ("not-a-token".to_owned(), "TOKEN_MALFORMED"),
        (Key::Stranger.sign(&json!({"iss": "https://evil.example", "sub": "root"})), "TOKEN_ISSUER_UNKNOWN"),
        (project.app_check_token(), "TOKEN_IS_APP_CHECK_TOKEN"),
    ] {
        gate.exchanges_not(&token, "api", reason).await;
    }
    drop(gate.exchanged(&project.id_token(), "api").await);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_that_firegate_calls_with_is_never_handed_out() {
    let provider = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/firebase/providers/firebase";
    let account = "caller@demo-firegate.iam.gserviceaccount.com";
    // One account for both would be no configuration.
    let own = "own@demo-firegate.iam.gserviceaccount.com";
    let text = format!(
        "backends:\n  api: {{ url: 'SERVICE', audience: api, credential: default }}\n  \
         meta: {{ url: 'SERVICE', audience: meta, credential: metadata }}\n  \
         acting: {{ url: 'SERVICE', audience: acting, credential: impersonate, service_account: {own} }}\n  \
         theirs: {{ url: 'SERVICE', audience: theirs, credential: federate_user, service_account: {account}, \
         workload_identity_provider: '{provider}' }}\n\
         routes: [{{ path: '/*', backend: api }}]\nexchange: {{ enabled: true }}\nassertion: {{ issuer: 'http://127.0.0.1:9' }}\nallow: [allAuthenticatedUsers]"
    );
    let stack = stack_with(&text, Default::default()).await;
    let token = stack.id_token().await;
    let exchange = async |audience: &str| -> Answer {
        let more = [("requested_token_type", ID_TOKEN_TYPE)];
        let parameters = [&exchange_of(&token, audience)[..], &more].concat();
        let call = Call::new(http::Method::POST, &stack.door(crate::project::TOKEN_ENDPOINT));
        let call = call.header("content-type", "application/x-www-form-urlencoded");
        call.body(crate::project::form(&parameters)).send().await
    };
    for audience in ["api", "meta", "acting"] {
        expect_no_token(&exchange(audience).await, Some("invalid_target"), audience);
    }
    // What IAM gives to the user themselves is theirs.
    let theirs = exchange("theirs").await.ok();
    let claims = claims_of(theirs["access_token"].as_str().expect("a token"));
    assert_eq!((&claims["email"], &claims["aud"]), (&json!(account), &json!("theirs")));
    stack.stop().await;
}
