//! A Firebase project whose every issuer is this test: it signs whatever an attacker would like to have signed, and what an
//! honest user has.

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use axum::Router;
use axum::routing::get;
use firegate::dev::DevArguments;
use firegate_core::exchange::{JWT_TOKEN_TYPE, TOKEN_EXCHANGE_GRANT};
use firegate_core::jose::{RsaSigner, decode_base64url, encode_base64url};
use firegate_core::time::{Clock, ShiftedClock};
use firegate_files::configuration::{self, NamedFiles};
use firegate_proxy::FrontDoor;
use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use url::Url;

use crate::stack::server::{echo, serve};
use crate::stack::{Answer, Call, Stack, at, claims, clock, close, door, door_of, stranger};
use crate::wire::rest;

pub(crate) const PROJECT: &str = "demo-project";
pub(crate) const PROJECT_NUMBER: &str = "123456789012";
pub(crate) const APP: &str = "1:123456789012:web:0123456789abcdef";
/// The audience that Google callers have to ask for.
pub(crate) const GOOGLE_AUDIENCE: &str = "https://api.example.com";

/// The path of the token exchange.
pub(crate) const TOKEN_ENDPOINT: &str = "/.well-known/firegate/token";
/// Two backends with audiences of their own, and the exchange for both.
pub(crate) const EXCHANGE: &str = "\
backends:
  api: { url: 'SERVICE', audience: api }
  files: { url: 'SERVICE', audience: files }
  admin: { url: 'SERVICE', audience: admin, allow: ['user:root@example.com'] }
routes: [{ path: '/files/*', backend: files }, { path: '/admin/*', backend: admin }, { path: '/*', backend: api }]
users:
  accept: [id_token, session_cookie, google_id_token, exchanged_token]
  google_audiences: ['https://api.example.com']
assertion: { issuer: 'http://127.0.0.1:9' }
exchange: { enabled: true }
allow: [allAuthenticatedUsers, 'serviceAccount:job@ours.iam.gserviceaccount.com']";

/// Whose key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    IdToken,
    SessionCookie,
    Google,
    AppCheck,
    Stranger,
}

const KEYS: [Key; 5] = [Key::IdToken, Key::SessionCookie, Key::Google, Key::AppCheck, Key::Stranger];

/// Made once for all tests: a key takes up to half a second.
static SIGNERS: LazyLock<[RsaSigner; 5]> = LazyLock::new(|| KEYS.map(|_| stranger()));

/// The project, its published keys, and a service that echoes.
pub(crate) struct Project {
    pub(crate) clock: ShiftedClock,
    pub(crate) service: Url,
    keys: String,
}

/// Files by their names.
struct Beside<'a>(&'a [(&'a str, &'a str)]);

impl NamedFiles for Beside<'_> {
    fn read(&self, name: &Path) -> io::Result<String> {
        let file = self.0.iter().find(|(known, _)| Path::new(known) == name);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A front door before the project's service.
pub(crate) struct Gate {
    pub(crate) door: FrontDoor,
}

impl Project {
    pub(crate) async fn open() -> Self {
        let clock = clock();
        let service = echo(&clock).await;
        let mut router = Router::new();
        for key in KEYS {
            let document = json!({"keys": [key.signer().public_jwk()]}).to_string();
            router = router.route(&format!("/{key:?}"), get(move || async move { document }));
        }
        Self { clock, service, keys: serve(router).await }
    }

    /// The text of a configuration in which `SERVICE` stands for the service's URL.
    pub(crate) fn configuration(&self, text: &str) -> String {
        let text = text.replace("SERVICE", self.service.as_str().trim_end_matches('/'));
        let keys = |key: Key| format!("{}/{key:?}", self.keys);
        format!(
            "project: {PROJECT}\nproject_number: '{PROJECT_NUMBER}'\n{text}\ngoogle: {{ id_token_keys: '{}', \
             session_cookie_keys: '{}', google_id_token_keys: '{}', app_check_keys: '{}' }}\n",
            keys(Key::IdToken),
            keys(Key::SessionCookie),
            keys(Key::Google),
            keys(Key::AppCheck),
        )
    }

    /// A front door with such a configuration.
    pub(crate) async fn gate(&self, text: &str) -> Gate {
        let door = door(&self.configuration(text), &self.clock);
        door.ready().await;
        Gate { door }
    }

    /// A front door with such a configuration, and the files that it names.
    pub(crate) async fn gate_with_files(&self, text: &str, files: &[(&str, &str)]) -> Gate {
        let configuration =
            configuration::parse_with_files("firegate.yaml", &self.configuration(text), &Beside(files));
        let configuration = configuration.unwrap_or_else(|found| panic!("{found}"));
        let door = door_of(configuration, Arc::new(self.clock.clone()), None);
        door.ready().await;
        Gate { door }
    }

    /// A front door that everyone may pass whom these rules of a security policy do not refuse.
    pub(crate) async fn guarded_gate(&self, rules: &str, more: &str) -> Gate {
        let policy = format!(
            "name: edge\nrules:\n{rules}- {{ priority: 2147483647, action: allow, match: {{ versionedExpr: SRC_IPS_V1, \
             config: {{ srcIpRanges: ['*'] }} }} }}\n"
        );
        let text = format!(
            "backends: {{ api: {{ url: 'SERVICE', security_policy: {{ file: armor.yaml, dialect: firegate }} }} }}\n\
             allow: [allUsers]\n{more}"
        );
        self.gate_with_files(&text, &[("armor.yaml", &policy)]).await
    }

    /// A front door before one service that stands behind two backends: `open`, which everyone may call, and `strict`, which
    /// nobody may. A URL map in this dialect leads to `open`, but for these route rules.
    pub(crate) async fn forked_gate(&self, dialect: &str, route_rules: &str) -> Gate {
        let route_rules = route_rules.lines().map(|rule| format!("  {rule}\n")).collect::<String>();
        let map = format!(
            "name: m\ndefaultService: open\nhostRules: [ {{ hosts: ['*'], pathMatcher: m }} ]\npathMatchers:\n- name: m\n  \
             defaultService: open\n  routeRules:\n{route_rules}"
        );
        let text = format!(
            "backends: {{ open: {{ url: 'SERVICE', allow: [allUsers] }}, strict: {{ url: 'SERVICE', \
             allow: ['user:nobody@example.com'] }} }}\nurl_map: {{ file: map.yaml, dialect: {dialect} }}\n"
        );
        self.gate_with_files(&text, &[("map.yaml", &map)]).await
    }

    /// A front door that lets two requests a minute pass to each path.
    pub(crate) async fn counting_gate(&self) -> Gate {
        const RULES: &str = "- { priority: 1, action: throttle, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, \
            rateLimitOptions: { conformAction: allow, exceedAction: deny(429), enforceOnKey: HTTP_PATH, \
            rateLimitThreshold: { count: 2, intervalSec: 60 } } }\n";
        self.guarded_gate(RULES, "").await
    }

    /// A front door for every signed-in user, whose binding has a condition: not below `/admin/`.
    pub(crate) async fn conditional_gate(&self) -> Gate {
        const POLICY: &str = "bindings:\n- role: roles/run.invoker\n  members: [allAuthenticatedUsers]\n  \
            condition: { title: not there, expression: \"!request.path.startsWith('/admin/')\" }\nversion: 3\n";
        let text = "backends: { api: { url: 'SERVICE', iam_policy: { file: iam.yaml, dialect: firegate } } }";
        self.gate_with_files(text, &[("iam.yaml", POLICY)]).await
    }

    /// A front door for everyone, with a deny policy for all below `/admin/`.
    pub(crate) async fn denying_gate(&self) -> Gate {
        const DENIALS: &str = "displayName: closed\nrules:\n- denyRule:\n    deniedPrincipals: ['principalSet://goog/public:all']\n    \
            deniedPermissions: [run.googleapis.com/routes.invoke]\n    \
            denialCondition: { title: closed, expression: \"request.path.startsWith('/admin/')\" }\n";
        let text = "backends: { api: 'SERVICE' }\nallow: [allUsers]\ndeny_policies: [ { file: deny.yaml, dialect: firegate } ]";
        self.gate_with_files(text, &[("deny.yaml", DENIALS)]).await
    }

    /// A front door with nothing but a backend for every signed-in user.
    pub(crate) async fn plain_gate(&self) -> Gate {
        self.gate("backends: { api: 'SERVICE' }\nallow: [allAuthenticatedUsers]").await
    }

    /// The same, but with these published keys for ID tokens.
    pub(crate) async fn gate_with_keys(&self, keys: &Value) -> Gate {
        let document = keys.to_string();
        let url = serve(Router::new().route("/keys", get(move || async move { document }))).await;
        let door = self.door_with_keys_at(&format!("{url}/keys"));
        door.ready().await;
        Gate { door }
    }

    /// The front door of a [`Self::plain_gate`] that fetches the keys for ID tokens here.
    pub(crate) fn door_with_keys_at(&self, url: &str) -> FrontDoor {
        let text = format!(
            "project: {PROJECT}\nbackends: {{ api: '{}' }}\nallow: [allAuthenticatedUsers]\ngoogle: {{ id_token_keys: '{url}' }}\n",
            self.service
        );
        door(&text, &self.clock)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    /// What an honest user's ID token says.
    pub(crate) fn id_claims(&self) -> Value {
        claims(PROJECT, self.now())
    }

    /// What an honest user's session cookie says.
    pub(crate) fn session_claims(&self) -> Value {
        edited(&self.id_claims(), "iss", json!(format!("https://session.firebase.google.com/{PROJECT}")))
    }

    /// What Google says of a service account or a human.
    pub(crate) fn google_claims(&self, email: &str, audience: &str) -> Value {
        json!({
            "iss": "https://accounts.google.com", "aud": audience, "azp": "1", "sub": "1", "email": email,
            "email_verified": true, "iat": self.now() - 60, "exp": self.now() + 3540,
        })
    }

    /// What App Check says of an app.
    pub(crate) fn app_check_claims(&self) -> Value {
        json!({
            "iss": format!("https://firebaseappcheck.googleapis.com/{PROJECT_NUMBER}"), "sub": APP,
            "aud": [format!("projects/{PROJECT_NUMBER}"), format!("projects/{PROJECT}")],
            "iat": self.now() - 60, "exp": self.now() + 3540,
        })
    }

    pub(crate) fn id_token(&self) -> String {
        Key::IdToken.sign(&self.id_claims())
    }

    pub(crate) fn session_cookie(&self) -> String {
        Key::SessionCookie.sign(&self.session_claims())
    }

    pub(crate) fn app_check_token(&self) -> String {
        Key::AppCheck.sign(&self.app_check_claims())
    }
}

impl Gate {
    pub(crate) fn url(&self, path: &str) -> Url {
        at(&self.door, path)
    }

    pub(crate) fn call(&self, path: &str) -> Call {
        Call::get(&self.url(path))
    }

    /// What is answered to a request for this very text as its target, with these lines in its head.
    pub(crate) async fn raw(&self, target: &str, lines: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.door.address()).await.expect("a connection");
        let start = format!("GET {target} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n");
        let request = [start.as_bytes(), lines, b"\r\n"].concat();
        // The door may have read enough before everything is sent.
        let _ = stream.write_all(&request).await;
        rest(&mut stream).await
    }

    /// What is answered to a request with this bearer token.
    pub(crate) async fn with_bearer(&self, token: &str) -> Answer {
        self.call("/a").bearer(token).send().await
    }

    /// That a bearer token is refused with this status and reason.
    pub(crate) async fn refuses(&self, token: &str, status: u16, reason: &str, why: &str) {
        expect(&self.with_bearer(token).await, status, reason, why);
    }

    /// That a bearer token passes. Every attack shows this too: else it could not fail.
    pub(crate) async fn admits(&self, token: &str) {
        self.with_bearer(token).await.ok();
    }

    /// What the token endpoint answers to a form with these parameters.
    pub(crate) async fn exchange(&self, parameters: &[(&str, &str)]) -> Answer {
        let call = Call::new(Method::POST, &self.url(TOKEN_ENDPOINT));
        call.header("content-type", "application/x-www-form-urlencoded").body(form(parameters)).send().await
    }

    /// A token for the backend with this audience, exchanged for a user's.
    pub(crate) async fn exchanged(&self, subject: &str, audience: &str) -> String {
        let answer = self.exchange(&exchange_of(subject, audience)).await.ok();
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// That no token is given for this one, for a reason of the decision.
    pub(crate) async fn exchanges_not(&self, subject: &str, audience: &str, reason: &str) {
        let answer = self.exchange(&exchange_of(subject, audience)).await;
        expect_no_token(&answer, None, reason);
        assert_eq!(answer.json()["firegate_reason"], json!(reason), "{:?}", answer.body);
    }

    pub(crate) async fn close(self) {
        close(self.door).await;
    }
}

impl Key {
    pub(crate) fn signer(self) -> &'static RsaSigner {
        &SIGNERS[KEYS.iter().position(|key| *key == self).expect("one of them")]
    }

    /// The header of an honest token.
    pub(crate) fn header(self) -> Value {
        json!({"alg": "RS256", "kid": self.signer().key_id(), "typ": "JWT"})
    }

    pub(crate) fn sign(self, claims: &Value) -> String {
        self.signer().sign(claims).expect("a token")
    }

    /// Signs any header, and any bytes as payload.
    pub(crate) fn sign_as(self, header: &Value, payload: impl AsRef<[u8]>) -> String {
        self.sign_by(&RSA_PKCS1_SHA256, header, payload)
    }

    /// The same with another of the signatures that an RSA key can make.
    pub(crate) fn sign_by(
        self,
        encoding: &'static dyn RsaEncoding,
        header: &Value,
        payload: impl AsRef<[u8]>,
    ) -> String {
        signed(header, payload, |input| {
            let pair = RsaKeyPair::from_pkcs8(self.signer().pkcs8()).expect("a key");
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), input, &mut signature).expect("a signature");
            signature
        })
    }
}

/// A token of any header and any bytes, with what `sign` makes of them.
pub(crate) fn signed(
    header: &Value,
    payload: impl AsRef<[u8]>,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let header = encode_base64url(header.to_string().as_bytes());
    let input = format!("{header}.{}", encode_base64url(payload.as_ref()));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", encode_base64url(&signature))
}

/// What an RSA key of this length signs for RS256: the padded digest (RFC 8017, section 9.2).
pub(crate) fn padded_digest(input: &[u8], modulus_bytes: usize) -> Vec<u8> {
    const DIGEST_INFO: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let hash = digest(&SHA256, input);
    let mut padded = vec![0, 1];
    padded.resize(modulus_bytes - DIGEST_INFO.len() - hash.as_ref().len() - 1, 0xff);
    padded.push(0);
    padded.extend(DIGEST_INFO);
    padded.extend(hash.as_ref());
    padded
}

/// The parameters of an honest exchange.
pub(crate) fn exchange_of<'a>(subject: &'a str, audience: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", TOKEN_EXCHANGE_GRANT),
        ("subject_token", subject),
        ("subject_token_type", JWT_TOKEN_TYPE),
        ("audience", audience),
    ]
}

/// A form's body.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let mut form = Url::parse("http://form").expect("a URL");
    form.query_pairs_mut().extend_pairs(parameters);
    form.query().unwrap_or_default().to_owned()
}

/// That the token endpoint gave none, and nothing that a cache may keep.
pub(crate) fn expect_no_token(answer: &Answer, error: Option<&str>, why: &str) {
    let body = answer.json();
    assert_eq!(answer.status.as_u16(), 400, "{why}: {body}");
    assert!(body["access_token"].is_null(), "{why}: {body}");
    assert!(error.is_none_or(|error| body["error"] == json!(error)), "{why}: {body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{why}");
}

/// The claims of a token that somebody else signed.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&decode_base64url(payload).expect("base64url")).expect("claims")
}

/// `firegate dev` with this configuration, in which `SERVICE` stands for the URL of a service that echoes.
pub(crate) async fn stack_with(text: &str, arguments: DevArguments) -> Stack {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let service = echo(&clock()).await;
    let text = text.replace("SERVICE", service.as_str().trim_end_matches('/'));
    std::fs::write(&file, format!("project: demo-firegate\nproject_number: '{PROJECT_NUMBER}'\n{text}\n"))
        .expect("a file");
    Stack::with(DevArguments { config: Some(file), ..arguments }).await
}

/// The claims with one of them changed.
pub(crate) fn edited(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

/// The claims without one of them.
pub(crate) fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().expect("claims").remove(name);
    claims
}

/// That an answer is this refusal.
pub(crate) fn expect(answer: &Answer, status: u16, reason: &str, why: &str) {
    let found = (answer.status.as_u16(), answer.header("x-firegate-reason"));
    assert_eq!(found, (status, Some(reason)), "{why}: {:?}", answer.body);
}

/// A header that reached the service, as its echo tells.
pub(crate) fn seen<'a>(echo: &'a Value, name: &str) -> Option<&'a str> {
    echo["headers"][name].as_str()
}

/// Shares a value with a server.
pub(crate) fn shared<T>(value: T) -> Arc<std::sync::Mutex<T>> {
    Arc::new(std::sync::Mutex::new(value))
}
