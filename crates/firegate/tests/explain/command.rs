//! The command: where keys come from, and how it ends.

use std::sync::Arc;

use firegate::explain::{ExplainArguments, ExplainOutcome, OutputFormat, RequestArguments, run};
use serde_json::{Value, json};

use crate::{FixedClock, SERVICE, SIGNER, firegates_own, google_token, own_document, signed};

fn arguments(token: &str) -> ExplainArguments {
    ExplainArguments {
        token: Some(token.to_owned()),
        config: None,
        project: None,
        backend: Some(SERVICE.to_owned()),
        allow: Vec::new(),
        path: "/".to_owned(),
        id_token_keys: None,
        output: OutputFormat::Json,
        simulate: None,
        request: RequestArguments::default(),
    }
}

async fn ran(arguments: ExplainArguments) -> (ExplainOutcome, Value) {
    let mut out = Vec::new();
    let outcome = run(arguments, Arc::new(FixedClock), &mut out, false).await.expect("an outcome");
    (outcome, serde_json::from_slice(&out).unwrap_or_default())
}

#[tokio::test]
async fn the_command_reads_keys_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    std::fs::write(&file, json!({"keys": [SIGNER.public_jwk()]}).to_string()).expect("a file");
    let id_token_keys = Some(file.display().to_string());
    let (outcome, explanation) =
        ran(ExplainArguments { id_token_keys: id_token_keys.clone(), ..arguments(&signed(json!({}))) }).await;
    assert_eq!(outcome, ExplainOutcome::Passes);
    assert_eq!(explanation["firegate"]["verdict"], "passes");
    assert_eq!(explanation["cloud_run"]["cause"], "FIREBASE_TOKEN");
    let notes = explanation["notes"].to_string();
    assert!(notes.contains("taken from the token") && notes.contains("no --allow"), "{notes}");

    let of_eve = vec!["user:eve@example.com".to_owned()];
    let (outcome, explanation) =
        ran(ExplainArguments { id_token_keys, allow: of_eve, ..arguments(&signed(json!({}))) }).await;
    assert_eq!(outcome, ExplainOutcome::Refused);
    assert_eq!(explanation["firegate"]["code"], "NO_INVOKER_BINDING");
}

/// An origin where everybody is refused, as long as its socket is kept: it has its port and does not listen. A listener that is
/// closed is not gone while a process that another test starts still has it.
fn nowhere() -> (tokio::net::TcpSocket, String) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let origin = format!("http://{}", socket.local_addr().expect("an address"));
    (socket, origin)
}

#[tokio::test]
async fn the_command_fetches_keys_and_says_when_it_cannot() {
    let document = json!({"keys": [SIGNER.public_jwk()]}).to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let service = axum::Router::new().route("/keys", axum::routing::get(async move || document));
    tokio::spawn(axum::serve(listener, service).into_future());
    let id_token_keys = Some(format!("http://{address}/keys"));
    let given = ExplainArguments { id_token_keys, ..arguments(&signed(json!({}))) };
    let (outcome, explanation) = ran(given.clone()).await;
    assert_eq!((outcome, &explanation["firegate"]["verdict"]), (ExplainOutcome::Passes, &json!("passes")));

    let not_there =
        ExplainArguments { id_token_keys: Some(format!("http://{address}/nothing")), ..given.clone() };
    let (outcome, explanation) = ran(not_there).await;
    assert_eq!((outcome, &explanation["firegate"]["verdict"]), (ExplainOutcome::Refused, &json!("depends")));
    let message = explanation["firegate"]["message"].to_string();
    assert!(message.contains("if the signature is valid") && message.contains("status 404"), "{message}");
    let advice = explanation["advice"].as_str().expect("an advice");
    assert!(
        advice.starts_with("Run this again where the keys") && advice.contains("--id-token-keys"),
        "{advice}"
    );
    assert_eq!(explanation["command"], Value::Null);

    let (_held, nowhere) = nowhere();
    let nobody = ExplainArguments { id_token_keys: Some(format!("{nowhere}/keys")), ..given };
    let (_, explanation) = ran(nobody).await;
    let message = explanation["firegate"]["message"].to_string();
    assert!(message.contains("connection refused"), "{message}");
}

#[tokio::test]
async fn the_command_fetches_googles_keys_and_those_of_the_door_itself() {
    let google = json!({"keys": [SIGNER.public_jwk()]}).to_string();
    let own = own_document();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let service = axum::Router::new()
        .route("/google", axum::routing::get(async move || google))
        .route("/.well-known/firegate/jwks.json", axum::routing::get(async move || own));
    tokio::spawn(axum::serve(listener, service).into_future());
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("firegate.yaml");
    let configure = |origin: &str| {
        let text = format!(
            "project: my-project\nbackends: {{ api: {SERVICE} }}\n\
             allow: [allAuthenticatedUsers, 'serviceAccount:caller@my-project.iam.gserviceaccount.com']\n\
             users: {{ accept: [google_id_token, exchanged_token], google_audiences: ['{SERVICE}'] }}\n\
             assertion: {{ issuer: '{origin}' }}\ngoogle: {{ google_id_token_keys: '{origin}/google' }}\n"
        );
        std::fs::write(&config, text).expect("a file");
    };
    configure(&origin);
    let given =
        |token: &str| ExplainArguments { config: Some(config.clone()), backend: None, ..arguments(token) };
    let tokens = |origin: &str| {
        [google_token(SERVICE), firegates_own("firegate-exchanged+jwt", json!({"iss": origin}))]
    };
    for token in &tokens(&origin) {
        let (outcome, explanation) = ran(given(token)).await;
        assert_eq!(outcome, ExplainOutcome::Passes, "{}", explanation["firegate"]);
        let mut forged = token.clone();
        let last = token.len() - 20;
        forged.replace_range(last..=last, if token[last..].starts_with('A') { "B" } else { "A" });
        let (_, explanation) = ran(given(&forged)).await;
        assert_eq!(explanation["firegate"]["code"], "TOKEN_SIGNATURE_INVALID");
    }

    let (_held, nowhere) = nowhere();
    configure(&nowhere);
    for token in &tokens(&nowhere) {
        let (outcome, explanation) = ran(given(token)).await;
        assert_eq!(
            (outcome, &explanation["firegate"]["verdict"]),
            (ExplainOutcome::Refused, &json!("depends"))
        );
        let message = explanation["firegate"]["message"].to_string();
        assert!(
            message.contains("which was not checked") && message.contains("connection refused"),
            "{message}"
        );
    }
}

/// Scenario: somebody with a 401 has a token, and nothing else yet.
#[tokio::test]
async fn a_token_is_explained_though_nothing_else_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    std::fs::write(&file, json!({"keys": [SIGNER.public_jwk()]}).to_string()).expect("a file");
    let alone = |token: &str| ExplainArguments {
        backend: None,
        id_token_keys: Some(file.display().to_string()),
        ..arguments(token)
    };
    let (outcome, explanation) = ran(alone(&signed(json!({})))).await;
    assert_eq!(outcome, ExplainOutcome::Passes);
    assert_eq!(explanation["cloud_run"]["cause"], "FIREBASE_TOKEN");
    let notes = explanation["notes"].to_string();
    assert!(notes.contains("no --backend was given") && notes.contains("stands for your service"), "{notes}");

    for (text, code) in [
        ("a.b.c", "TOKEN_MALFORMED"),
        ("[object Promise]", "TOKEN_MALFORMED"),
        ("ya29.a0AfH6SMB", "TOKEN_MALFORMED"),
        (&google_token(SERVICE), "TOKEN_IS_GOOGLE_ID_TOKEN"),
    ] {
        let (outcome, explanation) = ran(alone(text)).await;
        assert_eq!(
            (outcome, &explanation["firegate"]["code"]),
            (ExplainOutcome::Refused, &json!(code)),
            "{text}"
        );
        let notes = explanation["notes"].to_string();
        assert!(notes.contains("this text names none"), "{notes}");
    }
}

#[tokio::test]
async fn bad_input_is_told_from_a_refusal() {
    let (outcome, _) =
        ran(ExplainArguments { backend: Some("not a URL".to_owned()), ..arguments(&signed(json!({}))) })
            .await;
    assert_eq!(outcome, ExplainOutcome::BadInput);
    let check = async |arguments: ExplainArguments, words: &str| {
        let result = run(arguments, Arc::new(FixedClock), &mut Vec::new(), false).await;
        let error = result.expect_err("an error").to_string();
        assert!(error.contains(words), "{error}");
    };
    let url = RequestArguments { url: Some("/orders".to_owned()), ..RequestArguments::default() };
    let asked = ExplainArguments { backend: None, request: url, ..arguments("a.b.c") };
    check(asked, "there is no configuration").await;
    check(arguments("  "), "there is no token").await;
    let named = |file: &str| ExplainArguments {
        id_token_keys: Some(file.to_owned()),
        ..arguments(&signed(json!({})))
    };
    check(named("/nonexistent/keys.json"), "no keys from /nonexistent/keys.json: ").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    std::fs::write(&file, "{}").expect("a file");
    check(named(&file.display().to_string()), "hint: --id-token-keys is a file or the URL").await;
    let head = RequestArguments { request: Some(file.clone()), ..RequestArguments::default() };
    let asked = ExplainArguments { token: None, request: head, ..arguments("") };
    for empty in ["", " \r\n\n"] {
        std::fs::write(&file, empty).expect("a file");
        check(asked.clone(), "keys.json is empty").await;
    }
    let config = Some("/nonexistent/firegate.yaml".into());
    check(ExplainArguments { config, backend: None, ..arguments("a.b.c") }, "cannot be read").await;
}
