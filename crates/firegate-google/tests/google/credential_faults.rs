//! Why there are no tokens: at which step, in whose words, and what to do about it.

use firegate_google::credentials::{CredentialSource, Endpoints};
use firegate_google::fault::{CredentialFault, FaultKind, FaultSource, Step};
use firegate_google::http::FetchError;
use serde_json::json;

use crate::credentials::{ACCOUNT, AUDIENCE, credential, from_json, google, key_file, metadata};
use crate::support::{Answer, Server, clock, id_token};

/// A request waits for three seconds, and the whole for as long as each of its steps may take: the log says which one hangs.
#[tokio::test]
async fn the_step_that_hangs_is_named() {
    let clock = clock();
    let server = Server::start(google(&clock)).await;
    let directory = tempfile::tempdir().expect("a directory");
    let subject_file = directory.path().join("token");
    std::fs::write(&subject_file, "a.workload.token").expect("written");
    let file = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/provider",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": server.url("/v1/token").as_str(),
        "credential_source": {"file": subject_file},
        "service_account_impersonation_url":
            server.url(&format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")).as_str(),
    });
    server.hold();
    let workload = credential(from_json(&file), Endpoints::default(), &clock);
    let fault = workload.mint_id_token(AUDIENCE).await.expect_err("no answer");
    assert_eq!(
        fault,
        CredentialFault {
            step: Step::SecurityTokenService,
            source: FaultSource::Fetch(FetchError::TimedOut)
        }
    );
}

#[tokio::test]
async fn why_the_metadata_server_refuses_is_told_in_its_own_words() {
    let clock = clock();
    let why = "Unable to generate access token; IAM returned 403 Forbidden: the binding is missing.\n";
    let server = Server::start(move |_| {
        Answer::new(403, "text/plain; charset=utf-8", why).with("metadata-flavor", "Google")
    })
    .await;
    let credential = credential(CredentialSource::Metadata, metadata(&server), &clock);
    let fault = credential.mint_id_token(AUDIENCE).await.expect_err("refused");
    assert_eq!(fault.to_string(), format!("metadata server: it answered 403: {}", why.trim()));
    server.respond(|_| Answer::new(403, "text/html", "<html>").with("metadata-flavor", "Google"));
    let fault = credential.mint_id_token(AUDIENCE).await.expect_err("refused");
    assert_eq!(fault.to_string(), "metadata server: it answered 403");
}

#[tokio::test]
async fn errors_of_google_are_told_apart_and_hold_no_secret() {
    let clock = clock();
    let server = Server::start(|_| Answer::new(500, "text/plain", "")).await;
    let credential =
        credential(from_json(&key_file(server.url("/token").as_str())), Endpoints::default(), &clock);
    let token = id_token(AUDIENCE, 0, 0);
    let cases = [
        (
            400,
            json!({"error": "invalid_grant", "error_description": format!("Invalid JWT {token}")}),
            FaultKind::Refused,
            "400 invalid_grant: Invalid JWT […]",
        ),
        (
            403,
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Denied\r\n."}}),
            FaultKind::Refused,
            "403 PERMISSION_DENIED: Denied .",
        ),
        (
            403,
            json!({"error": {"status": "PERMISSION_DENIED", "message": "Disabled.", "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
            }]}}),
            FaultKind::Refused,
            "403 SERVICE_DISABLED: Disabled.; run: gcloud services enable",
        ),
        (429, json!({}), FaultKind::Unavailable, "429"),
        (500, json!({"error": "internal"}), FaultKind::Unavailable, "500 internal"),
        (200, json!({"id_token": "x"}), FaultKind::Unavailable, "no JWT"),
        (200, json!({"access_token": token}), FaultKind::Unavailable, "not the documented JSON"),
    ];
    for (status, body, kind, words) in cases {
        server.respond(move |_| Answer::new(status, "application/json", body.to_string()));
        let fault = credential.mint_id_token(AUDIENCE).await.expect_err("an error");
        let text = format!("{fault} {fault:?}");
        assert_eq!(fault.kind(), kind, "{text}");
        assert!(text.contains(words) && !text.contains(&token), "{text}");
    }
}

#[test]
fn faults_are_refused_or_unavailable_and_say_what_to_do() {
    let answered = |status, code: &str| FaultSource::Answered {
        status,
        code: code.to_owned(),
        description: String::new(),
    };
    let cases = [
        (Step::MetadataServer, answered(404, ""), FaultKind::Refused, "give the workload a service account"),
        (
            Step::GenerateIdToken,
            answered(403, "PERMISSION_DENIED"),
            FaultKind::Refused,
            "roles/iam.serviceAccountTokenCreator",
        ),
        (
            Step::RefreshToken,
            answered(400, "invalid_grant"),
            FaultKind::Refused,
            "gcloud auth application-default login",
        ),
        (
            Step::SecurityTokenService,
            answered(400, "unauthorized_client"),
            FaultKind::Refused,
            "attribute condition",
        ),
        (
            Step::GenerateIdToken,
            answered(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
            FaultKind::Refused,
            "access scope",
        ),
        (Step::SecurityTokenService, answered(503, ""), FaultKind::Unavailable, ""),
        (
            Step::MetadataServer,
            FaultSource::Fetch(FetchError::TimedOut),
            FaultKind::Unavailable,
            "took too long",
        ),
    ];
    for (step, source, kind, words) in cases {
        let fault = CredentialFault { step, source };
        assert_eq!(fault.kind(), kind, "{fault}");
        assert!(fault.to_string().contains(words), "{fault}");
    }
}
