//! A token, how it was made, and the verdict that it has to get.

use firegate_core::jose::encode_base64url;
use serde_json::{Map, Value, json};

use super::keys::{KEYS, RsaKey, Scheme};

/// When every token is judged.
pub(crate) const NOW: i64 = 1_800_000_000;

/// What the token is offered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Offered {
    /// A door as it is by default: ID tokens, no tenants, no anonymous users.
    IdToken,
    /// One that takes any tenant and anonymous users.
    AnyTenant,
    /// One that takes the tenants `blue` and `green`.
    ListedTenants,
    /// One that takes session cookies alone.
    SessionCookie,
    /// One that takes Google ID tokens for `https://api.example.com` alone.
    GoogleIdToken,
    /// One that takes exchanged tokens alone.
    ExchangedToken,
    /// App Check's header, at a door that requires it of the app `1:42:web:abc`.
    AppCheck,
}

impl Offered {
    pub(crate) const ALL: [Self; 7] = [
        Self::IdToken,
        Self::AnyTenant,
        Self::ListedTenants,
        Self::SessionCookie,
        Self::GoogleIdToken,
        Self::ExchangedToken,
        Self::AppCheck,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "id_token",
            Self::AnyTenant => "id_token_any_tenant",
            Self::ListedTenants => "id_token_listed_tenants",
            Self::SessionCookie => "session_cookie",
            Self::GoogleIdToken => "google_id_token",
            Self::ExchangedToken => "exchanged_token",
            Self::AppCheck => "app_check",
        }
    }

    /// What stands below `users:`.
    pub(crate) const fn users(self) -> &'static str {
        match self {
            Self::IdToken => "{ accept: [id_token] }",
            Self::AnyTenant => "{ accept: [id_token], tenants: any, anonymous: allow }",
            Self::ListedTenants => "{ accept: [id_token], tenants: [blue, green] }",
            Self::SessionCookie => "{ accept: [session_cookie] }",
            Self::GoogleIdToken => {
                "{ accept: [google_id_token], google_audiences: ['https://api.example.com'] }"
            }
            Self::ExchangedToken => "{ accept: [exchanged_token] }",
            Self::AppCheck => "{ accept: [id_token], app_check: { apps: ['1:42:web:abc'] } }",
        }
    }
}

/// One token of the corpus.
pub(crate) struct Case {
    pub(crate) class: &'static str,
    pub(crate) name: String,
    /// How the token differs from a good one.
    pub(crate) how: String,
    pub(crate) offered: Offered,
    pub(crate) token: String,
    /// The reason's name, if it has to be refused.
    pub(crate) expected: Result<(), &'static str>,
}

/// The corpus while it is put together: what follows belongs to one class, and is offered to one door.
pub(crate) struct Corpus {
    pub(crate) cases: Vec<Case>,
    class: &'static str,
    offered: Offered,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        Self { cases: Vec::new(), class: "", offered: Offered::IdToken }
    }

    pub(crate) fn class(&mut self, class: &'static str, offered: Offered) -> &mut Self {
        (self.class, self.offered) = (class, offered);
        self
    }

    pub(crate) fn accept(&mut self, name: &str, how: &str, token: String) {
        self.add(name, how, token, Ok(()));
    }

    pub(crate) fn refuse(&mut self, name: &str, how: &str, token: String, reason: &'static str) {
        self.add(name, how, token, Err(reason));
    }

    fn add(&mut self, name: &str, how: &str, token: String, expected: Result<(), &'static str>) {
        let name = format!("{}/{name}", self.class);
        let (class, offered, how) = (self.class, self.offered, how.to_owned());
        self.cases.push(Case { class, name, how, offered, token, expected });
    }
}

/// A token in the making: a good one, until something is changed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) header: Value,
    pub(crate) payload: Value,
    header_bytes: Option<Vec<u8>>,
    payload_bytes: Option<Vec<u8>>,
    key: &'static RsaKey,
    scheme: Scheme,
}

impl Draft {
    fn new(key: &'static RsaKey, payload: Value) -> Self {
        let header = json!({"alg": "RS256", "kid": key.id(), "typ": "JWT"});
        Self { header, payload, header_bytes: None, payload_bytes: None, key, scheme: Scheme::Rs256 }
    }

    pub(crate) fn id_token() -> Self {
        Self::new(
            &KEYS.id_token,
            json!({
                "name": "Ada", "role": "editor", "iss": "https://securetoken.google.com/demo-project",
                "aud": "demo-project", "auth_time": NOW - 600, "user_id": "ada", "sub": "ada", "iat": NOW - 60,
                "exp": NOW + 3540, "email": "ada@example.com", "email_verified": true,
                "firebase": {"identities": {"email": ["ada@example.com"]}, "sign_in_provider": "password"},
            }),
        )
    }

    pub(crate) fn session_cookie() -> Self {
        let cookie = Self::id_token().signed_by(&KEYS.session_cookie);
        cookie.claim("iss", "https://session.firebase.google.com/demo-project").claim("exp", NOW + 86_400)
    }

    pub(crate) fn google_id_token() -> Self {
        Self::new(
            &KEYS.google,
            json!({
                "iss": "https://accounts.google.com", "aud": "https://api.example.com", "azp": "1180",
                "sub": "1180", "email": "caller@demo-project.iam.gserviceaccount.com", "email_verified": true,
                "iat": NOW - 60, "exp": NOW + 3540,
            }),
        )
    }

    pub(crate) fn app_check() -> Self {
        Self::new(
            &KEYS.app_check,
            json!({
                "sub": "1:42:web:abc", "aud": ["projects/42", "projects/demo-project"], "provider": "custom",
                "iss": "https://firebaseappcheck.googleapis.com/42", "exp": NOW + 3540, "iat": NOW - 60, "jti": "x",
            }),
        )
    }

    /// A token of Firegate's own exchange, for the one backend.
    pub(crate) fn exchanged_token() -> Self {
        let mut draft = Self::new(
            &KEYS.id_token,
            json!({
                "iss": "https://door.example.com", "aud": "https://api.example.com", "sub": "ada", "iat": NOW - 60,
                "exp": NOW + 200, "auth_time": NOW - 600, "email": "ada@example.com", "email_verified": true,
                "firebase": {"sign_in_provider": "password"}, "claims": {"role": "editor"},
            }),
        );
        draft.header =
            json!({"alg": "ES256", "kid": KEYS.firegate.key_id(), "typ": "firegate-exchanged+jwt"});
        draft.scheme = Scheme::Es256;
        draft
    }

    /// With another header member, or without it where the value is [`gone`].
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(self.header.as_object_mut().expect("an object"), name, value.into());
        self
    }

    /// With another claim, or without it where the value is [`gone`]; `firebase.tenant` is one inside another.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        let (object, name) = match name.split_once('.') {
            Some((outer, name)) => (&mut self.payload[outer], name),
            None => (&mut self.payload, name),
        };
        set(object.as_object_mut().expect("an object"), name, value.into());
        self
    }

    pub(crate) fn claims(self, changes: Value) -> Self {
        let changes = changes.as_object().expect("an object").clone();
        changes.into_iter().fold(self, |draft, (name, value)| draft.claim(&name, value))
    }

    /// With exactly these bytes as header.
    pub(crate) fn header_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.header_bytes = Some(bytes.into());
        self
    }

    /// With exactly these bytes as payload.
    pub(crate) fn payload_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.payload_bytes = Some(bytes.into());
        self
    }

    /// With a payload that says `from` as `to`, in bytes that a JSON library would not write.
    pub(crate) fn payload_replaced(self, from: &str, to: &str) -> Self {
        let text = self.payload.to_string();
        assert!(text.contains(from), "{from} in {text}");
        self.payload_bytes(text.replacen(from, to, 1))
    }

    /// The same for the header.
    pub(crate) fn header_replaced(self, from: &str, to: &str) -> Self {
        let text = self.header.to_string();
        assert!(text.contains(from), "{from} in {text}");
        self.header_bytes(text.replacen(from, to, 1))
    }

    /// Signed by this key, and saying so.
    pub(crate) fn signed_by(self, key: &'static RsaKey) -> Self {
        Self { key, ..self }.header("kid", key.id())
    }

    /// Signed by this key, still naming the other.
    pub(crate) fn secretly_signed_by(self, key: &'static RsaKey) -> Self {
        Self { key, ..self }
    }

    /// With this algorithm in the header, and really signed so.
    pub(crate) fn algorithm(self, name: &str, scheme: Scheme) -> Self {
        self.scheme(scheme).header("alg", name)
    }

    pub(crate) fn scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    pub(crate) fn segments(&self) -> [String; 2] {
        let header = self.header_bytes.clone().unwrap_or_else(|| self.header.to_string().into_bytes());
        let payload = self.payload_bytes.clone().unwrap_or_else(|| self.payload.to_string().into_bytes());
        [encode_base64url(&header), encode_base64url(&payload)]
    }

    /// What the signature is made of.
    pub(crate) fn signing_input(&self) -> String {
        self.segments().join(".")
    }

    pub(crate) fn signature(&self) -> Vec<u8> {
        self.key.sign(&self.scheme, self.signing_input().as_bytes())
    }

    pub(crate) fn sign(&self) -> String {
        self.sign_segments(self.signing_input())
    }

    /// Signs segments that no encoder would write, so that the signature is good.
    pub(crate) fn sign_segments(&self, input: String) -> String {
        let signature = self.key.sign(&self.scheme, input.as_bytes());
        format!("{input}.{}", encode_base64url(&signature))
    }

    /// With other bytes in the place of the signature.
    pub(crate) fn with_signature(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.signing_input(), encode_base64url(signature))
    }
}

/// The value that takes a member away. A member that is really null is written with [`Draft::payload_replaced`].
pub(crate) fn gone() -> Value {
    Value::String("\u{1}gone".to_owned())
}

fn set(object: &mut Map<String, Value>, name: &str, value: Value) {
    if value == gone() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
}
