//! What the log says while Google is out of reach: why, once and not with every attempt, and when it is over. Each request has
//! a line of its own beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use firegate_core::jose::RsaSigner;
use firegate_core::time::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::gate::PATIENCE;
use crate::stack::binary::Served;
use crate::stack::{Call, claims, clock, stranger};

const AUDIENCE: &str = "http://service.example";
pub(crate) const PROJECT_NUMBER: &str = "123456789012";
pub(crate) const APP: &str = "1:123456789012:web:aaaa";

/// All of Google behind one address, and what of it is out of order.
pub(crate) struct Google {
    signer: RsaSigner,
    /// How many calls of what fails there were.
    pub(crate) calls: AtomicUsize,
    /// How many access tokens were asked for.
    pub(crate) access_tokens: AtomicUsize,
    /// From which call on it works.
    pub(crate) works_from: AtomicUsize,
}

impl Google {
    pub(crate) async fn start() -> (Arc<Self>, String) {
        let google = Arc::new(Self {
            signer: stranger(),
            calls: AtomicUsize::new(0),
            access_tokens: AtomicUsize::new(0),
            works_from: AtomicUsize::new(usize::MAX),
        });
        let answering = Arc::clone(&google);
        let router =
            Router::new().fallback(move |request: Request| async move { answering.answer(&request) });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        (google, format!("http://{address}"))
    }

    fn answer(&self, request: &Request) -> Response {
        let path = request.uri().path();
        let now = clock().now().as_seconds();
        self.access_tokens.fetch_add(usize::from(path.ends_with("/token")), Ordering::SeqCst);
        if path == "/keys" || path.ends_with("/token") {
            let keys = json!({"keys": [self.signer.public_jwk()], "access_token": "abc", "expires_in": 3600});
            return ([("metadata-flavor", "Google")], keys.to_string()).into_response();
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call < self.works_from.load(Ordering::SeqCst) {
            // By turns, because each of the two is another fault.
            return match call % 2 {
                0 => (StatusCode::SERVICE_UNAVAILABLE, [("metadata-flavor", "Google")]).into_response(),
                _ => ([("metadata-flavor", "Google")], "<html>").into_response(),
            };
        }
        let answer = match path {
            "/failing-keys" => json!({"keys": [self.signer.public_jwk()]}).to_string(),
            path if path.ends_with("/identity") => {
                let token = json!({"iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + 3600});
                self.signer.sign(&token).expect("a token")
            }
            path if path.ends_with(":generateIdToken") => {
                let token = json!({"iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + 3600});
                json!({"token": self.signer.sign(&token).expect("a token")}).to_string()
            }
            path if path.ends_with(":lookup") => {
                let users = json!([{"localId": "eve", "validSince": "0"}]);
                json!({"kind": "identitytoolkit#GetAccountInfoResponse", "users": users}).to_string()
            }
            _ => "{}".to_owned(),
        };
        ([("metadata-flavor", "Google")], answer).into_response()
    }

    fn sign(&self, claims: &Value) -> String {
        self.signer.sign(claims).expect("a token")
    }

    pub(crate) fn user(&self) -> String {
        self.user_named("eve")
    }

    pub(crate) fn user_named(&self, uid: &str) -> String {
        let mut claims = claims("demo-project", clock().now().as_seconds());
        claims["sub"] = json!(uid);
        claims["user_id"] = json!(uid);
        self.sign(&claims)
    }

    pub(crate) fn app_check(&self, number: usize) -> String {
        let now = clock().now().as_seconds();
        self.sign(&json!({
            "iss": format!("https://firebaseappcheck.googleapis.com/{PROJECT_NUMBER}"), "sub": APP, "jti": number.to_string(),
            "aud": [format!("projects/{PROJECT_NUMBER}"), "projects/demo-project"], "iat": now - 1, "exp": now + 1799,
        }))
    }
}

/// Sends requests until so many calls have failed, and then until one passes. There is one line that says why, with advice, and
/// one that it is over.
async fn check(settings: impl Fn(&str) -> String, refused: &str, why: &str, over: &str) {
    let (google, url) = Google::start().await;
    let served = Served::start(&settings(&url), "text", "info");
    let user = google.user();
    let mut sent = 0;
    let mut send = async || {
        sent += 1;
        let call =
            Call::get(&served.url).bearer(&user).header("x-firebase-appcheck", &google.app_check(sent));
        call.send().await
    };
    let outage = async {
        while google.calls.load(Ordering::SeqCst) < 4 {
            let answer = send().await;
            assert_eq!((answer.status.as_u16(), answer.header("x-firegate-reason")), (503, Some(refused)));
        }
        google.works_from.store(0, Ordering::SeqCst);
        // The service itself is nowhere.
        while send().await.status.as_u16() != 502 {}
    };
    tokio::time::timeout(PATIENCE, outage).await.expect("it recovers");
    served.line(|line| line.contains(over)).await;
    let log = served.stop();
    let lines = |part: &str| log.lines().filter(|line| line.contains(part)).collect::<Vec<_>>();
    assert_eq!((lines(why).len(), lines(over).len()), (1, 1), "{log}");
    assert!(lines(why)[0].contains("hint: "), "{log}");
}

fn configuration(users: &str, backend: &str, google: &str) -> String {
    format!(
        "project: demo-project\nproject_number: '{PROJECT_NUMBER}'\nallow: [allAuthenticatedUsers]\nusers: {{ {users} }}\n\
         backends: {{ api: {{ url: 'http://127.0.0.1:9', {backend} }} }}\ngoogle: {{ {google} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn why_there_are_no_keys_is_told_once() {
    let settings =
        |url: &str| configuration("", "credential: none", &format!("id_token_keys: '{url}/failing-keys'"));
    check(settings, "KEYS_UNAVAILABLE", "the key set could not be fetched", "key set fetched").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_there_is_no_google_id_token_is_told_once() {
    let settings = |url: &str| {
        let backend = format!("audience: '{AUDIENCE}', credential: metadata");
        configuration("", &backend, &format!("id_token_keys: '{url}/keys', metadata: '{url}'"))
    };
    let (why, over) = ("no ID token for the service", "there are ID tokens for the service again");
    check(settings, "CREDENTIAL_UNAVAILABLE", why, over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_app_check_tokens_cannot_be_consumed_is_told_once() {
    let settings = |url: &str| {
        let google = format!(
            "id_token_keys: '{url}/keys', app_check_keys: '{url}/keys', app_check: '{url}', metadata: '{url}'"
        );
        configuration(
            &format!("app_check: {{ apps: ['{APP}'], consume: true }}"),
            "credential: none",
            &google,
        )
    };
    let (why, over) = ("App Check tokens could not be consumed", "App Check tokens can be consumed again");
    check(settings, "APP_CHECK_UNAVAILABLE", why, over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_users_cannot_be_looked_up_is_told_once() {
    let settings = |url: &str| {
        let google = format!("id_token_keys: '{url}/keys', identity_toolkit: '{url}', metadata: '{url}'");
        configuration("revocation: { check: required }", "credential: none", &google)
    };
    let (why, over) = ("users' accounts could not be looked up", "users' accounts can be looked up again");
    check(settings, "USER_STATUS_UNAVAILABLE", why, over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_users_tokens_cannot_be_exchanged_is_told_once() {
    let settings = |url: &str| {
        let backend = format!(
            "audience: '{AUDIENCE}', credential: federate_user, service_account: users@demo-project.iam.gserviceaccount.com, \
             workload_identity_provider: //iam.googleapis.com/projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/firebase/providers/users"
        );
        let google = format!("id_token_keys: '{url}/keys', sts: '{url}', iam_credentials: '{url}'");
        configuration("", &backend, &google)
    };
    let (why, over) = ("users' tokens could not be exchanged", "users' tokens can be exchanged again");
    check(settings, "CREDENTIAL_UNAVAILABLE", why, over).await;
}
