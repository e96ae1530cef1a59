//! Which hop refused: an answer of Cloud Run's front about Firegate is a fault of the deployment, and an answer of the
//! service is the service's own, whatever it looks like.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use firegate::dev::DevArguments;
use firegate_emulator::cloud_run::{
    Arrival, CloudRunFront, CloudRunOptions, CloudRunService, DisputedStatuses, Ingress,
};
use firegate_emulator::google::{GoogleOptions, GoogleParts, ServiceAccount};
use firegate_proxy::FrontDoor;
use http::Method;
use tokio::net::TcpListener;
use url::Url;

use crate::stack::{Call, Stack, at, clock, close, door};

const AUDIENCE: &str = "https://api-abc123-uc.a.run.app";
const ACCOUNT: &str = "front-door@demo-firegate.iam.gserviceaccount.com";

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = Url::parse(&format!("http://{}", listener.local_addr().expect("an address"))).expect("a URL");
    (listener, url)
}

/// A front door before a Cloud Run front of the given settings, with the keys of `stack`'s identity server. What is
/// started here ends with the test.
async fn door_before(
    stack: &Stack,
    invokers: &[&str],
    audience: &str,
    ingress: Ingress,
    container: Url,
) -> FrontDoor {
    let clock = Arc::new(clock());
    let (listener, google_url) = listen().await;
    let google = GoogleParts::new(GoogleOptions {
        project: "demo-firegate".to_owned(),
        project_number: "1".to_owned(),
        service_accounts: vec![ServiceAccount::new(ACCOUNT)],
        default_service_account: ACCOUNT.to_owned(),
        impersonations: Vec::new(),
        app_check_verifiers: Vec::new(),
        workload_identity_providers: Vec::new(),
        authorized_users: Vec::new(),
        base_url: google_url.clone(),
        clock: clock.clone(),
    })
    .expect("the Google parts start");
    let keys = google.keys();
    tokio::spawn(google.serve(listener, std::future::pending()));
    let (listener, service_url) = listen().await;
    let host = service_url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    let front = CloudRunFront::new(CloudRunOptions {
        services: vec![CloudRunService {
            hosts: vec![host],
            audiences: vec![AUDIENCE.to_owned()],
            invokers: invokers.iter().map(|member| member.parse().expect("a member")).collect(),
            ingress,
            invoker_iam_check: true,
            container,
            use_http2: false,
        }],
        statuses: DisputedStatuses::default(),
        keys,
        clock,
    });
    tokio::spawn(front.serve(listener, Arrival::Internet, std::future::pending()));
    let identity = &stack.dev.places.identity;
    door(
        &format!(
            "project: demo-firegate\nallow: [allAuthenticatedUsers]\n\
             backends: {{ api: {{ url: '{service_url}', audience: '{audience}', credential: metadata }} }}\n\
             google: {{ metadata: '{google_url}', id_token_keys: \
             '{identity}www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com' }}\n"
        ),
        &stack.clock,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_cloud_runs_front_is_no_lost_login() {
    let stack = Stack::start().await;
    let token = stack.id_token().await;
    let invoker = format!("serviceAccount:{ACCOUNT}");
    for (invokers, audience, ingress) in [
        (&[][..], AUDIENCE, Ingress::All),
        (&[invoker.as_str()][..], "https://another-audience.example", Ingress::All),
        (&[invoker.as_str()][..], AUDIENCE, Ingress::Internal),
    ] {
        let door = door_before(&stack, invokers, audience, ingress, stack.dev.places.service.clone()).await;
        for path in ["/a?b=<script>".to_owned(), format!("/{}", "long".repeat(400))] {
            let answer = Call::get(&at(&door, &path)).bearer(&token).send().await;
            answer.expect_refusal(502, "CLOUD_RUN_REFUSED_FIREGATE", "NONE");
            let head = Call::new(Method::HEAD, &at(&door, &path)).bearer(&token).send().await;
            assert_eq!(head.status.as_u16(), 502, "HEAD {path}");
        }
        close(door).await;
    }
    stack.stop().await;
}

/// Answers that services make, each of which looks like the front's in some way and is not.
fn application_answers() -> Vec<(u16, &'static str, &'static str, &'static str)> {
    let html = "text/html; charset=UTF-8";
    let mut answers = Vec::new();
    for status in [401, 403, 404] {
        answers.extend([
            (status, "application/json", "", r#"{"error":"no"}"#),
            (status, html, "", "<h1>Please sign in</h1>"),
            (
                status,
                html,
                "Bearer error=\"invalid_token\"",
                "<html><head><title>401 Unauthorized</title></head></html>",
            ),
            (status, html, "", "<html><title>403 Forbidden</title><h1>Error: Forbidden</h1></html>"),
            (
                status,
                html,
                "",
                "<html><title>404 Page not found</title><h1>Error: Page not found</h1></html>",
            ),
            (
                status,
                "text/plain",
                "",
                "Your client does not have permission to get URL <code>/</code> from this server.",
            ),
            (status, html, "", ""),
        ]);
    }
    answers.push((401, html, "Basic realm=\"x\"", "<h2>Your client does not have permission</h2>"));
    answers.push((404, html, "", "<pre>Cannot GET /missing</pre>"));
    answers
}

async fn application_answer(Path(number): Path<usize>) -> impl IntoResponse {
    let (status, content_type, challenge, body) = application_answers()[number];
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().expect("a value"));
    if !challenge.is_empty() {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().expect("a value"));
    }
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_own_refusals_pass_unchanged() {
    let (listener, service) = listen().await;
    let router = Router::new().route("/{number}", get(application_answer));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    let stack = Stack::with(DevArguments { service: Some(service), ..DevArguments::default() }).await;
    let token = stack.id_token().await;
    for (number, (status, content_type, challenge, body)) in application_answers().into_iter().enumerate() {
        let answer = Call::get(&stack.door(&format!("/{number}"))).bearer(&token).send().await;
        assert_eq!(answer.status.as_u16(), status, "{number}");
        assert_eq!(
            answer.header("server"),
            Some("Google Frontend"),
            "Cloud Run's front sets it on every answer"
        );
        assert_eq!(answer.header("content-type"), Some(content_type), "{number}");
        assert_eq!(answer.header("www-authenticate").unwrap_or_default(), challenge, "{number}");
        assert_eq!(answer.body.as_ref(), body.as_bytes(), "{number}");
    }
    stack.stop().await;
}
