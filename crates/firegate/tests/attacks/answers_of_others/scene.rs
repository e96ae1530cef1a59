//! A door, services behind it and users before it, all of them busy.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use firegate_core::jose::RsaSigner;
use firegate_core::time::Clock as _;
use firegate_files::configuration::{Configuration, parse_with_files};
use firegate_proxy::ReloadError;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::asked::{Found, Plan};
use super::clients::{Asks, Client, PATIENCE, Terms, Tokens, Told};
use super::services::Life;
use crate::site::TheMap;
use crate::stack::authority::{Authority, VERSIONS};
use crate::stack::server::serve;
use crate::stack::{claims, clock, close, door_of, stranger};

/// How many users there are, each with connections of their own.
const USERS: usize = 12;

/// How many requests each of them sends.
const REQUESTS: usize = 40;

/// How often something changes meanwhile.
const CHANGES: usize = 6;

/// How long a token lasts, in seconds.
const LONG_LIFE: i64 = 3_000;

/// How long one lasts that expires meanwhile.
const SHORT_LIFE: i64 = 2;

/// What there is in a test.
pub(super) struct Scene {
    pub(super) found: Found,
    pub(super) terms: Terms,
    authority: Authority,
    /// What the configurations say that are in force in turn, each with its URL map.
    configurations: Vec<(String, &'static str)>,
    /// What dies and comes back.
    mortal: Option<Life>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let authority = Authority::new();
        authority.issue("door", &["door.example"]);
        authority.issue("service", &["127.0.0.1"]);
        let terms = Terms {
            plans: Plan::USUAL,
            asks: Asks::Sometimes,
            may_fail: false,
            expires: |_| false,
            let_through_by: |_| &["a", "b"],
            tls: None,
            nobody: USERS,
            requests: REQUESTS,
            seed: 0,
        };
        Self { found: Found::default(), terms, authority, configurations: Vec::new(), mortal: None }
    }

    /// The same with a door that is spoken to in TLS.
    pub(super) fn in_tls(self) -> Self {
        let tls = Some(Arc::new(self.authority.client(&[], VERSIONS)));
        Self { terms: Terms { tls, ..self.terms.clone() }, ..self }
    }

    pub(super) fn with(mut self, text: impl Into<String>, map: &'static str) -> Self {
        self.configurations.push((text.into(), map));
        self
    }

    pub(super) fn with_mortal(self, life: Life) -> Self {
        Self { mortal: Some(life), ..self }
    }

    /// By what a service speaks one of these protocols in TLS.
    pub(super) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let certificate = self.authority.file("service.pem");
        let certificate =
            rustls::pki_types::CertificateDer::from_pem_file(certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(self.authority.file("service-key.pem")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(VERSIONS).expect("the versions").with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key).expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// The setting of a backend that believes such services.
    pub(super) fn trust(&self) -> String {
        format!("credential: none, ca_certificates: '{}'", self.authority.file("authority.pem"))
    }

    /// Every user's requests at once, while one thing after the other changes. At least so many answers come whole, and so many
    /// WebSockets come to their own end.
    pub(super) async fn play(self, whole: usize, tunnels: usize) {
        let (clock, signer) = (clock(), stranger());
        let keys = keys(&signer).await;
        let configurations =
            self.configurations.iter().map(|(text, map)| self.configuration(text, map, &keys));
        let configurations = configurations.collect::<Vec<_>>();
        let first = configurations[0]().expect("a configuration");
        let mut door = door_of(first, Arc::new(clock.clone()), None);
        door.ready().await;
        let now = clock.now().as_seconds();
        let expires = |user| if (self.terms.expires)(user) { SHORT_LIFE } else { LONG_LIFE };
        let tokens = (0..USERS).map(|user| token_of(user, &signer, now, expires(user))).collect::<Vec<_>>();
        let (done, mut progress) = watch::channel(0);
        let users = (0..USERS).map(|user| {
            let (good, other) = (tokens[user].clone(), &tokens[(user + 1) % USERS]);
            let forged = forged(&good, other);
            let tokens = Tokens { good, forged };
            let client = Client::new(door.address(), user, tokens, &self.terms, &self.found, &done);
            tokio::spawn(client.run())
        });
        let users = users.collect::<Vec<_>>();
        for change in 1..=CHANGES {
            let so_many = change * USERS * self.terms.requests / (CHANGES + 1);
            let reached = tokio::time::timeout(PATIENCE, progress.wait_for(|done| *done >= so_many)).await;
            reached.expect("they go on").expect("somebody counts");
            if let Some(life) = &self.mortal {
                life.set(change.is_multiple_of(2));
            }
            let next = Arc::clone(&configurations[change % configurations.len()]);
            door.reload(move || next().map_err(ReloadError::Check)).await.expect("it is in force");
        }
        let mut told = Told::default();
        for user in users {
            told.add(&user.await.expect("a user's task ends"));
        }
        close(door).await;
        assert_eq!(self.found.all().join("\n"), "", "{told:?}");
        assert!(told.whole >= whole && told.tunnels >= tunnels, "too few answers to say anything: {told:?}");
    }

    /// What reads a configuration, as often as it is asked.
    fn configuration(&self, text: &str, map: &'static str, keys: &str) -> Arc<Reads> {
        let tls = self.terms.tls.as_ref().map(|_| self.authority.setting(&["door"])).unwrap_or_default();
        let text = format!("project: demo-project\n{text}\n{tls}google: {{ id_token_keys: '{keys}' }}\n");
        Arc::new(move || parse_with_files("firegate.yaml", &text, &TheMap(map)))
    }
}

type Reads = dyn Fn() -> Result<Configuration, firegate_files::Diagnostics> + Send + Sync;

fn token_of(user: usize, signer: &RsaSigner, now: i64, lasts: i64) -> String {
    let mut claims = claims("demo-project", now);
    claims["exp"] = json!(now + lasts);
    claims["sub"] = json!(format!("user-{user}"));
    claims["user_id"] = claims["sub"].clone();
    claims["email"] = json!(format!("user-{user}@example.com"));
    signer.sign(&claims).expect("a token")
}

/// A token with the signature of another one.
fn forged(token: &str, other: &str) -> String {
    let (words, signature) = (token.rsplit_once('.'), other.rsplit_once('.'));
    let parts = words.zip(signature).map(|((words, _), (_, signature))| format!("{words}.{signature}"));
    parts.expect("three parts")
}

/// Where the keys of a signer are published.
async fn keys(signer: &RsaSigner) -> String {
    let document = json!({"keys": [signer.public_jwk()]}).to_string();
    let url = serve(Router::new().route("/keys", get(|| async { document }))).await;
    format!("{url}/keys")
}
