//! RFC 8725, section 3.11: tokens of several kinds meet at one door, some with the same issuer and keys. Each counts in its
//! own place alone.

use serde_json::json;

use crate::project::{EXCHANGE, GOOGLE_AUDIENCE, Key, Project, edited, expect, seen, without};
use crate::stack::stranger;

const CUSTOM_AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// Every kind of token that a client can come by.
struct Kinds(Vec<(&'static str, String)>);

impl Kinds {
    async fn all(project: &Project, gate: &crate::project::Gate) -> Self {
        let id_token = project.id_token();
        let echo = gate.call("/a").bearer(&id_token).send().await.ok();
        let iap = gate.call("/iap/a").bearer(&id_token).send().await.ok();
        let custom = json!({
            "iss": "admin@ours.iam.gserviceaccount.com", "sub": "admin@ours.iam.gserviceaccount.com",
            "aud": CUSTOM_AUDIENCE, "uid": "eve", "iat": project.now(), "exp": project.now() + 3600,
        });
        let job = project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE);
        Self(vec![
            ("exchanged", gate.exchanged(&id_token, "api").await),
            ("assertion", seen(&echo, "x-firegate-assertion").expect("an assertion").to_owned()),
            ("iap", seen(&iap, "x-goog-iap-jwt-assertion").expect("an assertion").to_owned()),
            ("id", id_token),
            ("session", project.session_cookie()),
            ("google", Key::Google.sign(&job)),
            ("app", project.app_check_token()),
            ("custom", stranger().sign(&custom).expect("a token")),
        ])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_counts_in_its_own_place_alone() {
    let project = Project::open().await;
    let text = EXCHANGE
        .replace("backends:\n", "backends:\n  iap: { url: 'SERVICE', audience: iap, identity_headers: iap }\n  \
                 app: { url: 'SERVICE', audience: app, app_check: required }\n  \
                 web: { url: 'SERVICE', audience: web, token_sources: [cookie] }\n")
        .replace("routes: [", "routes: [{ path: '/iap/*', backend: iap }, { path: '/app', backend: app }, { path: '/web', backend: web }, ");
    let gate = project.gate(&text).await;
    let kinds = Kinds::all(&project, &gate).await;
    let user = project.id_token();
    for (kind, token) in &kinds.0 {
        let refused = match *kind {
            "assertion" => Some("TOKEN_IS_FIREGATES_OWN"),
            "iap" => Some("TOKEN_ISSUER_UNKNOWN"),
            "app" => Some("TOKEN_IS_APP_CHECK_TOKEN"),
            "custom" => Some("TOKEN_IS_CUSTOM_TOKEN"),
            _ => None,
        };
        // As a bearer.
        let answer = gate.with_bearer(token).await;
        let found = (answer.status.as_u16(), answer.header("x-firegate-reason"));
        assert_eq!(found, (if refused.is_some() { 401 } else { 200 }, refused), "{kind}");
        // As a subject token: a user's alone, and never what was exchanged once.
        let refused = refused.or(match *kind {
            "exchanged" => Some("TOKEN_WRONG_AUDIENCE"),
            "google" => Some("TOKEN_IS_GOOGLE_ID_TOKEN"),
            _ => None,
        });
        match refused {
            Some(reason) => gate.exchanges_not(token, "files", reason).await,
            None => drop(gate.exchanged(token, "files").await),
        }
        // As a cookie: what Firebase issues to users.
        let answer = gate.call("/web").header("cookie", &format!("__session={token}")).send().await;
        let expected = if refused.is_some() { 401 } else { 200 };
        assert_eq!(answer.status.as_u16(), expected, "{kind}: {:?}", answer.body);
        // As an App Check token.
        let answer = gate.call("/app").bearer(&user).header("x-firebase-appcheck", token).send().await;
        match *kind {
            "app" => drop(answer.ok()),
            _ => expect(&answer, 401, "APP_CHECK_TOKEN_INVALID", kind),
        }
    }
    // For its own backend neither.
    let exchanged = &kinds.0[0].1;
    gate.exchanges_not(exchanged, "api", "TOKEN_IS_FIREGATES_OWN").await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_is_the_kinds_own_or_the_token_is_refused() {
    let project = Project::open().await;
    let text = format!("{EXCHANGE}\n").replace("  api: {", "  api: { app_check: off,");
    let text = text.replace("  files: {", "  files: { app_check: required,");
    let gate = project.gate(&text).await;
    let user = project.id_token();
    let claims = project.id_claims().to_string();
    gate.admits(&Key::IdToken.sign_as(&without(&Key::IdToken.header(), "typ"), &claims)).await;
    let others = [
        json!("firegate-exchanged+jwt"),
        json!("firegate-assertion+jwt"),
        json!("at+jwt"),
        json!("jwt"),
        json!("JWT "),
        json!("application/jwt"),
        json!("JOSE"),
        json!(""),
        json!(null),
        json!(["JWT"]),
    ];
    for typ in &others {
        let token = Key::IdToken.sign_as(&edited(&Key::IdToken.header(), "typ", typ.clone()), &claims);
        gate.refuses(&token, 401, "TOKEN_HEADER_NOT_ALLOWED", &typ.to_string()).await;
    }
    // App Check always sets it.
    let app = project.app_check_claims().to_string();
    let send = async |header| {
        let call = gate.call("/files/a").bearer(&user);
        call.header("x-firebase-appcheck", &Key::AppCheck.sign_as(&header, &app)).send().await
    };
    send(Key::AppCheck.header()).await.ok();
    let header = Key::AppCheck.header();
    let headers = others.iter().map(|typ| edited(&header, "typ", typ.clone()));
    for header in headers.chain([without(&header, "typ")]) {
        let why = header.to_string();
        expect(&send(header).await, 401, "APP_CHECK_TOKEN_INVALID", &why);
    }
    gate.close().await;
}
