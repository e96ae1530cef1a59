//! `firegate explain`, over tokens of every kind that people send.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod callers;
mod chance;
mod command;
mod concealed;
mod exchanged;
mod input;
mod own_log;
mod properties;
mod question;
mod request;
mod simulation;
mod tokens;
mod users;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use firegate::explain::{CheckVerdict, ExplainInput, Explanation, explain, render_text};
use firegate_core::identity::{KeyRing, KeyState};
use firegate_core::jose::{EcdsaP256Signer, KeySet, RsaSigner, encode_base64url};
use firegate_core::time::{Clock, UnixTime};
use firegate_files::Configuration;
use serde_json::{Value, json};
use tempfile::TempDir;

const NOW: i64 = 1_800_000_000;
const SERVICE: &str = "https://my-service-abc-uc.a.run.app";
/// The issuer of Firegate's own tokens.
const DOOR: &str = "https://door.example.com";
const CUSTOM_TOKEN_AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// The issuer's key, under a name that a snapshot can hold.
static SIGNER: LazyLock<RsaSigner> = LazyLock::new(|| {
    let generated = RsaSigner::generate().expect("a key");
    RsaSigner::from_pkcs8("9bb16f3ce2d1a7b6", generated.pkcs8()).expect("a key")
});

/// The key of Firegate's own tokens.
static OWN: LazyLock<EcdsaP256Signer> = LazyLock::new(|| EcdsaP256Signer::generate().expect("a key"));

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(NOW)
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

fn published_keys() -> KeySet {
    KeySet::parse_rs256(json!({"keys": [SIGNER.public_jwk()]}).to_string().as_bytes()).expect("a key set")
}

fn own_keys() -> KeySet {
    KeySet::parse_es256(own_document().as_bytes()).expect("a key set")
}

fn own_document() -> String {
    json!({"keys": [OWN.public_jwk().expect("a key")]}).to_string()
}

fn ring() -> KeyRing {
    let keys = KeyState::Usable(Arc::new(published_keys()));
    KeyRing {
        id_token: keys.clone(),
        session_cookie: keys.clone(),
        google_id_token: keys,
        exchanged_token: KeyState::Usable(Arc::new(own_keys())),
        ..KeyRing::default()
    }
}

fn minimal(members: &[&str]) -> Configuration {
    let members = members.iter().map(|&member| member.to_owned()).collect::<Vec<_>>();
    Configuration::minimal("my-project", SERVICE, &members).expect("a configuration")
}

fn file(text: &str) -> Configuration {
    firegate_files::configuration::parse("firegate.yaml", text).expect("a configuration")
}

/// The claims of a token as `getIdToken()` returns it, with some replaced, or removed where the replacement is null.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://securetoken.google.com/my-project", "aud": "my-project", "auth_time": NOW - 60,
        "user_id": "ada", "sub": "ada", "iat": NOW - 60, "exp": NOW + 3540, "email": "ada@example.com",
        "email_verified": true,
        "firebase": {"identities": {"email": ["ada@example.com"]}, "sign_in_provider": "password"},
    });
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    claims
}

fn signed(changes: Value) -> String {
    SIGNER.sign(&claims(changes)).expect("a token")
}

fn google_token(audience: &str) -> String {
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": audience, "azp": "1", "sub": "108", "iat": NOW - 60,
        "exp": NOW + 3540, "email": "caller@my-project.iam.gserviceaccount.com", "email_verified": true,
    });
    SIGNER.sign(&claims).expect("a token")
}

/// A token of Firegate's own with the claims that its exchange writes, some of them replaced.
fn firegates_own(typ: &str, changes: Value) -> String {
    let mut claims = claims(json!({"iss": DOOR, "aud": SERVICE, "exp": NOW + 240, "user_id": null}));
    let members = claims.as_object_mut().expect("an object");
    members.extend(changes.as_object().expect("an object").clone());
    OWN.sign(typ, &claims, &SystemRandom::new()).expect("a token")
}

fn custom_token() -> String {
    let account = "firebase-adminsdk@my-project.iam.gserviceaccount.com";
    let claims = json!({
        "iss": account, "sub": account, "aud": CUSTOM_TOKEN_AUDIENCE, "iat": NOW, "exp": NOW + 3600, "uid": "ada",
    });
    let [header, claims] = [json!({"alg": "RS256", "typ": "JWT"}), claims]
        .map(|part| encode_base64url(part.to_string().as_bytes()));
    format!("{header}.{claims}.{}", encode_base64url(&[7; 256]))
}

fn unsigned(changes: Value) -> String {
    let [header, claims] = [json!({"alg": "none", "typ": "JWT"}), claims(changes)]
        .map(|part| encode_base64url(part.to_string().as_bytes()));
    format!("{header}.{claims}.")
}

fn input<'a>(token: &'a str, configuration: &'a Configuration, keys: &'a KeyRing) -> ExplainInput<'a> {
    ExplainInput {
        token,
        configuration,
        configuration_file: None,
        path: "/",
        keys,
        keys_problem: None,
        assumptions: Vec::new(),
        now: UnixTime::from_seconds(NOW),
    }
}

fn explained(token: &str, configuration: &Configuration) -> Explanation {
    explain(input(token, configuration, &ring()))
}

/// As for a configuration that was read from a file, without any keys.
fn explained_without_keys(token: &str, configuration: &Configuration, problem: &str) -> Explanation {
    let keys_problem = Some(problem.to_owned());
    explain(ExplainInput {
        keys_problem,
        configuration_file: Some("firegate.yaml"),
        ..input(token, configuration, &KeyRing::default())
    })
}

/// As for a configuration that was read from a file.
fn explained_by_file(token: &str, configuration: &Configuration) -> Explanation {
    explain(ExplainInput {
        configuration_file: Some("firegate.yaml"),
        ..input(token, configuration, &ring())
    })
}

/// What is wrong, and everything from the answers on.
fn outline(explanation: &Explanation) -> String {
    let mut text = String::new();
    for check in explanation.checks.iter().filter(|check| check.verdict != CheckVerdict::Passed) {
        let code = check.code.unwrap_or("-");
        text.push_str(&format!("{} {:?} {code}: found {}\n", check.name, check.verdict, check.found));
    }
    for member in &explanation.members {
        text.push_str(&format!("{} {:?}: {}\n", member.member, member.matches, member.why));
    }
    let rendered = render_text(explanation, false);
    let answers = rendered.find("Answers to").expect("the answers");
    text + &rendered[answers..]
}

/// A folder with these files.
fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

/// What the binary explains in a folder by the `firegate.yaml` there.
fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(["explain", "-c", "firegate.yaml"]).args(arguments).current_dir(folder).env_clear();
    command.output().expect("the binary runs")
}

/// What it says, if it complains of nothing.
fn text(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What the binary says of a folder with these files, and the code that it ends with.
fn in_folder(files: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let output = run_in(folder_with(files).path(), arguments);
    (output.status.code(), text(&output))
}
