//! A small world: a project with service accounts, an issuer of user tokens, and everything running.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use firegate_core::jose::RsaSigner;
use firegate_core::time::{Clock, ShiftedClock, UnixTime};
use firegate_emulator::cloud_run::{
    Arrival, CloudRunFront, CloudRunOptions, CloudRunService, DisputedStatuses, Ingress,
};
use firegate_emulator::google::{
    AttributeCondition, AttributeMapping, AuthorizedUser, ClaimLiteral, GoogleKeys, GoogleOptions,
    GoogleParts, Impersonation, ImpersonationRole, ServiceAccount, WorkloadIdentityProvider,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client;

pub(crate) const PROJECT: &str = "demo-firegate";
pub(crate) const POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/firebase";
pub(crate) const DOOR: &str = "door@demo-firegate.iam.gserviceaccount.com";
pub(crate) const CALLER: &str = "caller@demo-firegate.iam.gserviceaccount.com";
pub(crate) const RELAY: &str = "relay@demo-firegate.iam.gserviceaccount.com";
pub(crate) const OUTSIDER: &str = "outsider@demo-firegate.iam.gserviceaccount.com";
pub(crate) const DEVELOPER: &str = "dev@example.com";
pub(crate) const SERVICE_URL: &str = "https://api-abc123-uc.a.run.app";
pub(crate) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A clock that stands still, so that no test depends on when a second begins.
#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(1_800_000_000)
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

/// An issuer of user tokens with a published key set.
pub(crate) struct Issuer {
    pub(crate) signer: RsaSigner,
    pub(crate) jwks_url: url::Url,
    pub(crate) fetches: Arc<AtomicUsize>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let signer = tokio::task::spawn_blocking(RsaSigner::generate).await.unwrap().unwrap();
        let fetches = Arc::new(AtomicUsize::new(0));
        let (document, counter) =
            (json!({ "keys": [signer.public_jwk()] }).to_string(), Arc::clone(&fetches));
        let publish = move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
            document
        };
        let address = start(Router::new().route("/jwks.json", get(publish))).await;
        Self { signer, jwks_url: format!("http://{address}/jwks.json").parse().unwrap(), fetches }
    }
}

/// Serves a router for the rest of the test.
pub(crate) async fn start(router: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// The Google endpoints, running.
pub(crate) struct World {
    /// `http://127.0.0.1:PORT`.
    pub(crate) google: String,
    pub(crate) keys: GoogleKeys,
    pub(crate) issuer: Issuer,
    pub(crate) clock: ShiftedClock,
}

impl World {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let google = format!("http://{}", listener.local_addr().unwrap());
        let clock = ShiftedClock::new(Arc::new(StoppedClock));
        let issuer = Issuer::start().await;
        let parts = GoogleParts::new(options(&google, &issuer, &clock)).unwrap();
        let keys = parts.keys();
        tokio::spawn(async move { parts.serve(listener, std::future::pending()).await.unwrap() });
        Self { google, keys, issuer, clock }
    }

    /// A private service with one invoker, whose container listens at `container`.
    pub(crate) fn private_service(&self, container: &str) -> CloudRunService {
        CloudRunService {
            hosts: vec!["api.localhost".to_owned()],
            audiences: vec![SERVICE_URL.to_owned(), "my-audience".to_owned()],
            invokers: vec![format!("serviceAccount:{DOOR}").parse().unwrap()],
            ingress: Ingress::All,
            invoker_iam_check: true,
            container: container.parse().unwrap(),
            use_http2: false,
        }
    }

    /// A Cloud Run front before `service`, as `http://127.0.0.1:PORT`.
    pub(crate) async fn front(&self, service: CloudRunService, arrival: Arrival) -> String {
        let options = CloudRunOptions {
            services: vec![service],
            statuses: DisputedStatuses::default(),
            keys: self.keys.clone(),
            clock: Arc::new(self.clock.clone()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let front = CloudRunFront::new(options);
        tokio::spawn(async move { front.serve(listener, arrival, std::future::pending()).await.unwrap() });
        format!("http://{address}")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.google)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    /// The claims of a user of the project, as Identity Platform would sign them.
    pub(crate) fn user_claims(&self, uid: &str) -> Value {
        json!({
            "iss": format!("https://securetoken.google.com/{PROJECT}"), "aud": PROJECT, "sub": uid, "user_id": uid,
            "iat": self.now(), "exp": self.now() + 3600, "auth_time": self.now(),
            "firebase": { "identities": {}, "sign_in_provider": "password" },
        })
    }

    pub(crate) fn user_token(&self, uid: &str) -> String {
        self.issuer.signer.sign(&self.user_claims(uid)).unwrap()
    }

    /// An ID token of the machine's own service account.
    pub(crate) async fn id_token(&self, audience: &str) -> String {
        let path = format!(
            "/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience={audience}"
        );
        client::get(&self.url(&path), &[("metadata-flavor", "Google")]).await.body
    }

    /// An access token of the machine's own service account.
    pub(crate) async fn access_token(&self) -> String {
        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
        client::get(&self.url(path), &[("metadata-flavor", "Google")]).await.text("access_token")
    }

    /// The key of a service account, from its key file.
    pub(crate) async fn key_file(&self, email: &str) -> (Value, RsaSigner) {
        let file =
            client::get(&self.url(&format!("/firegate/v1/serviceAccounts/{email}/key")), &[]).await.json();
        let pem: String =
            file["private_key"].as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, pem).unwrap();
        let signer = RsaSigner::from_pkcs8(file["private_key_id"].as_str().unwrap(), &der).unwrap();
        (file, signer)
    }
}

fn options(google: &str, issuer: &Issuer, clock: &ShiftedClock) -> GoogleOptions {
    let binding = |member: &str, service_account: &str, role| Impersonation {
        member: member.parse().unwrap(),
        service_account: service_account.to_owned(),
        role,
    };
    let alice = format!("principal://iam.googleapis.com/{POOL}/subject/alice");
    let by_password = format!("principalSet://iam.googleapis.com/{POOL}/attribute.provider/password");
    GoogleOptions {
        project: PROJECT.to_owned(),
        project_number: "123456789012".to_owned(),
        service_accounts: [DOOR, CALLER, RELAY, OUTSIDER].map(ServiceAccount::new).to_vec(),
        default_service_account: DOOR.to_owned(),
        impersonations: vec![
            binding(&format!("serviceAccount:{DOOR}"), RELAY, ImpersonationRole::TokenCreator),
            binding(&format!("serviceAccount:{RELAY}"), CALLER, ImpersonationRole::TokenCreator),
            binding(&format!("user:{DEVELOPER}"), CALLER, ImpersonationRole::WorkloadIdentityUser),
            binding(&alice, CALLER, ImpersonationRole::OpenIdTokenCreator),
            binding(&by_password, RELAY, ImpersonationRole::OpenIdTokenCreator),
        ],
        app_check_verifiers: vec![format!("serviceAccount:{DOOR}").parse().unwrap()],
        workload_identity_providers: vec![provider(issuer)],
        authorized_users: vec![AuthorizedUser {
            email: DEVELOPER.to_owned(),
            client_id: "client.apps.googleusercontent.com".to_owned(),
            client_secret: "secret".to_owned(),
            refresh_token: "1//refresh".to_owned(),
        }],
        base_url: google.parse().unwrap(),
        clock: Arc::new(clock.clone()),
    }
}

pub(crate) fn provider(issuer: &Issuer) -> WorkloadIdentityProvider {
    let mapping = |target: &str, source: &str| AttributeMapping {
        target: target.to_owned(),
        source: source.parse().unwrap(),
    };
    let sign_in_provider = "assertion.firebase.sign_in_provider";
    WorkloadIdentityProvider {
        name: format!("{POOL}/providers/identity-platform"),
        issuer: format!("https://securetoken.google.com/{PROJECT}/"),
        allowed_audiences: vec![PROJECT.to_owned()],
        jwks_url: issuer.jwks_url.clone(),
        attribute_mapping: vec![
            mapping("google.subject", "assertion.sub"),
            mapping("attribute.provider", sign_in_provider),
        ],
        attribute_condition: Some(AttributeCondition::Not(Box::new(AttributeCondition::Equals(
            sign_in_provider.parse().unwrap(),
            ClaimLiteral::Text("anonymous".to_owned()),
        )))),
    }
}
