//! The answer of one user in the hands of another is the worst that a door can do (CWE-488; "HTTP desync"). Whatever leaves a
//! connection in a state that only one side knows of can lead to it: uploads that are given up, answers that come early, break
//! off or have something behind them, retries, clients that leave. Here many users do all of that at once, over connections that
//! are used again, to services that are as bad: everything that is sent bears the number of its request, and each side says
//! what it got of another's.

mod clients;
mod messages;
mod service;
mod service_http2;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use firegate_core::jose::RsaSigner;
use firegate_core::time::Clock as _;
use firegate_files::configuration::parse_with_files;
use firegate_proxy::ReloadError;
use serde_json::json;
use tokio::net::TcpListener;

use crate::site::TheMap;
use crate::stack::{claims, clock, close, door_of, stranger};
use clients::Asks;

/// How many users there are, each with connections of their own.
const USERS: usize = 12;

/// How many requests each of them sends.
const REQUESTS: usize = 40;

/// How often the configuration is read again meanwhile.
const RELOADS: usize = 5;

/// What a service does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// It reads the request and answers it with a length.
    Answer,
    /// In chunks.
    Chunks,
    /// In chunks, with a trailer.
    Trailer,
    /// In many pieces.
    Pieces,
    /// After two interim answers.
    Interim,
    /// Without content.
    Empty,
    /// And closes, as it has said.
    LastAnswer,
    /// Until it closes.
    UntilClosed,
    /// Before it reads the request's content.
    Early,
    /// The same, and closes without reading it.
    EarlyAndClosed,
    /// With something behind it.
    Planted,
    /// It closes in the middle of an answer with a length.
    CutOff,
    /// It closes in the middle of an answer in chunks.
    CutChunks,
    /// It closes without an answer, the first time.
    NoAnswer,
    /// It resets the connection, the first time.
    Reset,
}

impl Plan {
    const ALL: [Self; 15] = [
        Self::Answer,
        Self::Chunks,
        Self::Trailer,
        Self::Pieces,
        Self::Interim,
        Self::Empty,
        Self::LastAnswer,
        Self::UntilClosed,
        Self::Early,
        Self::EarlyAndClosed,
        Self::Planted,
        Self::CutOff,
        Self::CutChunks,
        Self::NoAnswer,
        Self::Reset,
    ];

    /// Whether the answer is one that a client who stays gets as a whole.
    fn is_whole(self) -> bool {
        !matches!(
            self,
            Self::Early
                | Self::EarlyAndClosed
                | Self::CutOff
                | Self::CutChunks
                | Self::NoAnswer
                | Self::Reset
        )
    }
}

/// One request, as its path tells it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    user: usize,
    number: u64,
    plan: Plan,
    /// How much of the answer's content there is.
    answer_bytes: usize,
}

impl Asked {
    fn path(&self) -> String {
        let plan = Plan::ALL.iter().position(|plan| *plan == self.plan).expect("it is listed");
        format!("/{}/{}/{plan}/{}", self.user, self.number, self.answer_bytes)
    }

    fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/').map(|part| part.parse::<u64>().ok());
        let [user, number, plan, answer_bytes] =
            [parts.next()??, parts.next()??, parts.next()??, parts.next()??];
        let plan = *Plan::ALL.get(usize::try_from(plan).ok()?)?;
        Some(Self {
            user: usize::try_from(user).ok()?,
            number,
            plan,
            answer_bytes: usize::try_from(answer_bytes).ok()?,
        })
    }
}

/// What has the request's number at every place.
fn content(mark: char, number: u64, bytes: usize) -> Vec<u8> {
    format!("{mark}{number:07}").into_bytes().into_iter().cycle().take(bytes).collect()
}

/// What went wrong, on either side.
#[derive(Clone, Debug, Default)]
struct Found(Arc<Mutex<Vec<String>>>);

impl Found {
    fn add(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn check(&self, what: impl FnOnce() -> String, holds: bool) {
        if !holds {
            self.add(what());
        }
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Numbers that look as if by chance, the same with every run (Marsaglia, "Xorshift RNGs").
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn size(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).expect("it is small")
    }
}

/// Requests that fail are tried again, and each has a copy.
const MAP: &str = "name: m\ndefaultService: api\ndefaultRouteAction: {requestMirrorPolicy: {backendService: copies}, \
                   retryPolicy: {numRetries: 2, retryConditions: [5xx]}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_of_a_service_by_http1() {
    let found = Found::default();
    let service = service::start(&found).await;
    all_at_once(&format!("backends: {{ api: '{service}' }}"), Asks::Sometimes, found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_of_a_service_by_http2() {
    let found = Found::default();
    let service = service_http2::start(&found).await;
    let backends = format!("backends: {{ api: {{ url: '{service}', protocol: h2c }} }}");
    all_at_once(&backends, Asks::Never, found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anothers_answer_when_requests_are_tried_again_and_copied() {
    let found = Found::default();
    let (service, copies) = (service::start(&found).await, service_http2::start(&found).await);
    let backends = format!(
        "url_map: map.yaml\nbackends: {{ api: '{service}', copies: {{ url: '{copies}', protocol: h2c }} }}"
    );
    all_at_once(&backends, Asks::Sometimes, found).await;
}

/// Every user's requests at once, while the configuration is read again and again.
async fn all_at_once(backends: &str, asks: Asks, found: Found) {
    let (clock, signer) = (clock(), stranger());
    let keys = keys(&signer).await;
    let text = format!(
        "project: demo-project\nallow: [allAuthenticatedUsers]\n{backends}\ngoogle: {{ id_token_keys: '{keys}' }}\n"
    );
    let configuration = move || parse_with_files("firegate.yaml", &text, &TheMap(MAP));
    let mut door = door_of(configuration().expect("a configuration"), Arc::new(clock.clone()), None);
    door.ready().await;
    let sign = |user: usize| {
        let mut claims = claims("demo-project", clock.now().as_seconds());
        claims["sub"] = json!(format!("user-{user}"));
        claims["user_id"] = claims["sub"].clone();
        signer.sign(&claims).expect("a token")
    };
    let tokens = (0..USERS).map(sign).collect::<Vec<_>>();
    let users =
        tokens.iter().zip(tokens.iter().cycle().skip(1)).enumerate().map(|(user, (token, others))| {
            let (words, signature) = (token.rsplit_once('.'), others.rsplit_once('.'));
            let forged =
                words.zip(signature).map(|((words, _), (_, signature))| format!("{words}.{signature}"));
            let tokens = clients::Tokens { good: token.clone(), forged: forged.expect("three parts") };
            tokio::spawn(clients::run(door.address(), user, tokens, asks, found.clone()))
        });
    let users = users.collect::<Vec<_>>();
    for _ in 0..RELOADS {
        let configuration = configuration.clone();
        door.reload(move || configuration().map_err(ReloadError::Check)).await.expect("it is in force");
    }
    let mut told = clients::Told::default();
    for user in users {
        told.add(&user.await.expect("a user's task ends"));
    }
    close(door).await;
    assert_eq!(found.all().join("\n"), "", "{told:?}");
}

/// Where the keys of a signer are published.
async fn keys(signer: &RsaSigner) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
    let document = json!({"keys": [signer.public_jwk()]}).to_string();
    let router = Router::new().route("/keys", get(|| async { document }));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    url
}
