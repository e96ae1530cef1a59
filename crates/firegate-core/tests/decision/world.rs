//! What the tests of the decision are made of: issuers with keys of their own, a request, and a driver that answers what the
//! decision asks for and writes down what it was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use firegate_core::decision::{Answer, Decision, Need, Outcome, Step, World};
use firegate_core::exchange::{ExchangeRequest, RequestedToken};
use firegate_core::facts::RequestFacts;
use firegate_core::identity::{AccountStatus, KeyRing, KeyState, KnownAccount, KnownAccounts};
use firegate_core::jose::{EcdsaP256Signer, KeySet, RsaSigner, encode_base64url};
use firegate_core::limiter::{Counters, NoCounters};
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::Code;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::UnixTime;
use firegate_files::configuration::NamedFiles;
use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;
/// The issuer of Firegate's own tokens.
pub(crate) const DOOR: &str = "https://door.example.com";
/// The audience of the one backend.
pub(crate) const API: &str = "https://api.example.com";
/// The audience that Google's callers ask for.
pub(crate) const CALLED: &str = "https://called.example.com";
pub(crate) const APP: &str = "1:42:web:0123456789abcdef";

pub(crate) static ID_TOKENS: LazyLock<RsaSigner> = LazyLock::new(rsa);
pub(crate) static SESSION_COOKIES: LazyLock<RsaSigner> = LazyLock::new(rsa);
pub(crate) static GOOGLE: LazyLock<RsaSigner> = LazyLock::new(rsa);
pub(crate) static APP_CHECK: LazyLock<RsaSigner> = LazyLock::new(rsa);
pub(crate) static OWN: LazyLock<EcdsaP256Signer> =
    LazyLock::new(|| EcdsaP256Signer::generate().expect("a key"));

pub(crate) fn rsa() -> RsaSigner {
    RsaSigner::generate().expect("a key")
}

pub(crate) fn rsa_keys(signer: &RsaSigner) -> KeyState {
    let document = json!({"keys": [signer.public_jwk()]}).to_string();
    KeyState::Usable(Arc::new(KeySet::parse_rs256(document.as_bytes()).expect("a key set")))
}

/// Every issuer's keys, pinned.
pub(crate) fn every_key() -> KeyRing {
    let own = json!({"keys": [OWN.public_jwk().expect("a key")]}).to_string();
    KeyRing {
        id_token: rsa_keys(&ID_TOKENS),
        session_cookie: rsa_keys(&SESSION_COOKIES),
        google_id_token: rsa_keys(&GOOGLE),
        app_check: rsa_keys(&APP_CHECK),
        exchanged_token: KeyState::Usable(Arc::new(KeySet::parse_es256(own.as_bytes()).expect("a key set"))),
        verified: None,
        read: None,
    }
}

fn changed(mut claims: Value, changes: &Value) -> Value {
    let all = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        // What is changed to nothing is left out.
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), value.clone())),
        }
    }
    claims
}

fn user_claims(issuer: &str, audience: &str, lifetime: i64, changes: &Value) -> Value {
    let claims = json!({
        "iss": issuer, "aud": audience, "sub": "ada", "auth_time": NOW - 60, "iat": NOW - 60,
        "exp": NOW - 60 + lifetime, "email": "ada@example.com", "email_verified": true,
        "firebase": {"identities": {}, "sign_in_provider": "password"},
    });
    changed(claims, changes)
}

pub(crate) fn id_token(changes: &Value) -> String {
    let issuer = "https://securetoken.google.com/demo-project";
    ID_TOKENS.sign(&user_claims(issuer, "demo-project", 3600, changes)).expect("a token")
}

pub(crate) fn session_cookie(changes: &Value) -> String {
    let issuer = "https://session.firebase.google.com/demo-project";
    SESSION_COOKIES.sign(&user_claims(issuer, "demo-project", 5 * 24 * 3600, changes)).expect("a token")
}

/// What the exchange hands out, with a header type and claims of one's choice.
pub(crate) fn exchanged_token(typ: &str, changes: &Value) -> String {
    let claims = user_claims(DOOR, API, 300, &json!({"claims": {"role": "editor"}, "sign_in_provider": "x"}));
    OWN.sign(typ, &changed(claims, changes), &SystemRandom::new()).expect("a token")
}

pub(crate) fn google_id_token(changes: &Value) -> String {
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": CALLED, "sub": "1122334455", "azp": "1122334455",
        "email": "robot@demo-project.iam.gserviceaccount.com", "email_verified": true, "iat": NOW - 60, "exp": NOW + 3540,
    });
    GOOGLE.sign(&changed(claims, changes)).expect("a token")
}

pub(crate) fn app_check_claims(changes: &Value) -> Value {
    let claims = json!({
        "iss": "https://firebaseappcheck.googleapis.com/42", "aud": ["projects/42", "projects/demo-project"], "sub": APP,
        "iat": NOW - 60, "exp": NOW + 3540, "provider": "debug",
    });
    changed(claims, changes)
}

/// An App Check token, with changes to its header and its claims.
pub(crate) fn app_check_token(header: &Value, claims: &Value) -> String {
    let usual = json!({"alg": "RS256", "typ": "JWT", "kid": APP_CHECK.key_id()});
    signed(&APP_CHECK, &changed(usual, header), &app_check_claims(claims))
}

/// A compact JWS with any header.
pub(crate) fn signed(signer: &RsaSigner, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode_base64url(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    let key = RsaKeyPair::from_pkcs8(signer.pkcs8()).expect("a key");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).expect("a signature");
    format!("{input}.{}", encode_base64url(&signature))
}

/// What is known of accounts, and what the decision says of them.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) known: HashMap<(Option<String>, String), KnownAccount>,
    pub(crate) has_forgotten: bool,
    pub(crate) refused: Mutex<Vec<(Option<String>, String, i64)>>,
}

impl KnownAccounts for Accounts {
    fn known(&self, tenant: Option<&str>, uid: &str) -> Option<KnownAccount> {
        self.known.get(&(tenant.map(str::to_owned), uid.to_owned())).copied()
    }

    fn refused(&self, tenant: Option<&str>, uid: &str, until: UnixTime) {
        let note = (tenant.map(str::to_owned), uid.to_owned(), until.as_seconds());
        self.refused.lock().expect("a lock").push(note);
    }

    fn has_forgotten_refusals(&self) -> bool {
        self.has_forgotten
    }
}

/// An account in order, whose sessions count since a second.
pub(crate) fn valid_since(seconds: i64) -> AccountStatus {
    AccountStatus { disabled: false, valid_since: UnixTime::from_seconds(seconds) }
}

pub(crate) fn disabled() -> AccountStatus {
    AccountStatus { disabled: true, valid_since: UnixTime::from_seconds(0) }
}

/// Everything that decisions are made by.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) snapshot: Snapshot,
    pub(crate) keys: KeyRing,
    pub(crate) accounts: Accounts,
    pub(crate) counters: Box<dyn Counters>,
    pub(crate) now: i64,
}

/// One file, by whatever name it is asked for.
struct OneFile<'a>(&'a str);

impl NamedFiles for OneFile<'_> {
    fn read(&self, _: &std::path::Path) -> std::io::Result<String> {
        Ok(self.0.to_owned())
    }
}

impl Parts {
    /// One backend with settings of its own, and settings for users. Every kind of token is accepted.
    pub(crate) fn new(backend: &str, users: &str) -> Self {
        let accept = "accept: [id_token, session_cookie, google_id_token, exchanged_token]";
        Self::of(&format!(
            "project: demo-project\nproject_number: '42'\nassertion: {{ issuer: '{DOOR}' }}\n\
             backends: {{ api: {{ url: '{API}', {backend} }} }}\n\
             users: {{ {accept}, google_audiences: ['{CALLED}'], {users} }}\n"
        ))
    }

    pub(crate) fn of(text: &str) -> Self {
        Self::with_file(text, "")
    }

    /// The same, with a text for every file that is named.
    pub(crate) fn with_file(text: &str, file: &str) -> Self {
        let configuration =
            firegate_files::configuration::parse_with_files("firegate.yaml", text, &OneFile(file))
                .unwrap_or_else(|error| panic!("{error}\n{text}\n{file}"));
        let snapshot = Snapshot::compile(&configuration);
        let (keys, counters) = (every_key(), Box::new(NoCounters));
        Self { snapshot, keys, accounts: Accounts::default(), counters, now: NOW }
    }

    pub(crate) fn world(&self) -> World<'_> {
        let now = UnixTime::from_seconds(self.now);
        World {
            snapshot: &self.snapshot,
            keys: &self.keys,
            accounts: &self.accounts,
            counters: &*self.counters,
            now,
        }
    }

    /// Decides about a request, answering what is asked for. An answer may change the world.
    pub(crate) fn decide(
        &mut self,
        request: &Request,
        answer: impl FnMut(&Need, &mut Self) -> Answer,
    ) -> Verdict {
        let facts = request.facts();
        let step = Decision::start(&facts, &self.world());
        self.finish(step, answer)
    }

    /// Decides about an exchange for the one backend.
    pub(crate) fn exchange(
        &mut self,
        request: &Request,
        subject_token: &str,
        answer: impl FnMut(&Need, &mut Self) -> Answer,
    ) -> Verdict {
        let asked = ExchangeRequest {
            subject_token: subject_token.to_owned(),
            subject_is_id_token: false,
            audience: API.to_owned(),
            requested: RequestedToken::Firegate,
        };
        self.exchange_of(request, &asked, answer)
    }

    /// The same with all that the form says.
    pub(crate) fn exchange_of(
        &mut self,
        request: &Request,
        asked: &ExchangeRequest,
        answer: impl FnMut(&Need, &mut Self) -> Answer,
    ) -> Verdict {
        let facts = request.facts();
        let backend = asked.target(&self.snapshot).map(Arc::clone).expect("the audience is the backend's");
        let step = Decision::exchange(&facts, &backend, asked, &self.world());
        self.finish(step, answer)
    }

    /// Goes on to the end, answering what is asked for.
    pub(crate) fn finish(
        &mut self,
        mut step: Step<'_>,
        mut answer: impl FnMut(&Need, &mut Self) -> Answer,
    ) -> Verdict {
        let mut needs = Vec::new();
        loop {
            let (need, decision) = match step {
                Step::Done(outcome) => return Verdict { needs, outcome },
                Step::Need(need, decision) => (need, decision),
            };
            let answer = answer(&need, self);
            needs.push(need);
            assert!(needs.len() < 10, "it asks for ever: {needs:?}");
            step = decision.resume(answer, &self.world());
        }
    }

    /// Decides about a request for which nothing has to be asked.
    pub(crate) fn at_once(&mut self, request: &Request) -> Verdict {
        self.decide(request, |need, _| panic!("{need:?} is needed"))
    }
}

/// How it ended, and what was asked on the way.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) needs: Vec<Need>,
    pub(crate) outcome: Outcome,
}

impl Verdict {
    pub(crate) fn code(&self) -> Result<(), Code> {
        match &self.outcome {
            Outcome::Permit(_) | Outcome::Respond(_) => Ok(()),
            Outcome::Observed(observed) => panic!("it is only observed: {:?}", observed.refusal()),
            Outcome::Denial(denial) => Err(denial.reason.code()),
            Outcome::Fault(fault) => Err(fault.code),
        }
    }

    pub(crate) fn permit(self) -> Box<Permit> {
        match self.outcome {
            Outcome::Permit(permit) => permit,
            outcome => panic!("{outcome:?}"),
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) is_web_socket: bool,
    pub(crate) path: String,
    pub(crate) client: IpAddr,
    pub(crate) is_vouched_for: bool,
}

impl Request {
    pub(crate) fn new() -> Self {
        Self {
            method: Method::GET,
            query: None,
            headers: HeaderMap::new(),
            is_web_socket: false,
            path: "/".to_owned(),
            client: IpAddr::from([198, 51, 100, 1]),
            is_vouched_for: false,
        }
    }

    /// From this address.
    pub(crate) fn from(mut self, client: &str) -> Self {
        self.client = client.parse().expect("an address");
        self
    }

    /// For this path.
    pub(crate) fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(crate) fn bearing(token: &str) -> Self {
        Self::new().header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        self.headers.append(name, value.parse().expect("a value"));
        self
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    pub(crate) fn web_socket(mut self) -> Self {
        self.is_web_socket = true;
        self
    }

    pub(crate) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            query: self.query.as_deref(),
            scheme: "https",
            host: "door.example.com",
            is_web_socket: self.is_web_socket,
            client: self.client,
            is_vouched_for: self.is_vouched_for,
            ..RequestFacts::of(&self.method, NormalPath::parse(&self.path).expect("a path"), &self.headers)
        }
    }
}
