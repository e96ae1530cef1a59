//! Makes `fixed/` and the seeds that are signed, and forgets the private keys:
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`. Needed only when the shape of accepted tokens changes.
//! The seeds that nobody had to sign are written by hand and stay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firegate_core::jose::{EcdsaP256Signer, RsaSigner};
use firegate_fuzz::NOW;
use serde_json::{Value, json};

const ID_TOKEN: &str = "https://securetoken.google.com/demo-project";
const SESSION_COOKIE: &str = "https://session.firebase.google.com/demo-project";

fn main() {
    let id_token = RsaSigner::generate().expect("a key");
    let session_cookie = RsaSigner::generate().expect("a key");
    write("fixed/id_token_keys.json", &jwk_set(&id_token));
    write("fixed/session_cookie_keys.json", &jwk_set(&session_cookie));
    write("seeds/jwk_set/rsa.json", &jwk_set(&id_token));
    let assertion = EcdsaP256Signer::generate().and_then(|signer| signer.public_jwk()).expect("a key");
    write("seeds/jwk_set/ec.json", &json!({ "keys": [assertion] }).to_string());
    write_weak_sets(&id_token);

    let mut signed = String::new();
    for (name, signer, changes) in [
        ("id_token", &id_token, json!({})),
        ("tenant", &id_token, json!({"firebase": {"sign_in_provider": "password", "tenant": "blue-1a2b3"}})),
        ("anonymous", &id_token, json!({"firebase": {"sign_in_provider": "anonymous", "identities": {}}})),
        ("claims", &id_token, json!({"role": ["editor"], "nested": {"a": [1, null, 1.5]}, "nbf": NOW - 60})),
        ("session_cookie", &session_cookie, json!({"iss": SESSION_COOKIE, "exp": NOW + 86_400})),
    ] {
        let token = signer.sign(&payload(&changes)).expect("a token");
        write(&format!("seeds/token/signed_{name}.txt"), &token);
        signed.push_str(&token);
        signed.push('\n');
    }
    write("fixed/signed.txt", &signed);

    // Well signed, and refused all the same.
    for (name, signer, changes) in [
        ("expired", &id_token, json!({"exp": NOW - 1, "iat": NOW - 3600, "auth_time": NOW - 3600})),
        ("other_project", &id_token, json!({"aud": "other", "iss": "https://securetoken.google.com/other"})),
        ("other_key_set", &session_cookie, json!({})),
        ("control_character", &id_token, json!({"sub": "ada\nx", "user_id": "ada\nx"})),
    ] {
        write(&format!("seeds/token/refused_{name}.txt"), &signer.sign(&payload(&changes)).expect("a token"));
    }
    let header = json!({"alg": "RS256", "kid": id_token.key_id(), "typ": "JWT"});
    write("seeds/token/lines.txt", &format!("{header}\n{}\nAAAA", payload(&json!({}))));
    write_certificates();
}

fn payload(changes: &Value) -> Value {
    let mut payload = json!({
        "iss": ID_TOKEN, "aud": "demo-project", "auth_time": NOW - 60, "user_id": "ada", "sub": "ada",
        "iat": NOW - 60, "exp": NOW + 3540, "email": "ada@example.com", "email_verified": true,
        "firebase": {"identities": {"email": ["ada@example.com"]}, "sign_in_provider": "password"},
    });
    for (name, value) in changes.as_object().expect("an object") {
        payload[name] = value.clone();
    }
    payload
}

fn jwk_set(signer: &RsaSigner) -> String {
    json!({ "keys": [signer.public_jwk()] }).to_string()
}

/// Good keys beside ones that have to be refused.
fn write_weak_sets(signer: &RsaSigner) {
    let with = |name: &str, value: Value| {
        let mut key = signer.public_jwk();
        key[name] = value;
        key
    };
    let good = signer.public_jwk();
    let set = |keys: Value| json!({ "keys": keys }).to_string();
    write("seeds/jwk_set/exponent_one.json", &set(json!([good, with("e", json!("AQ"))])));
    write("seeds/jwk_set/exponent_even.json", &set(json!([with("e", json!("AQAA")), good])));
    write(
        "seeds/jwk_set/short.json",
        &set(json!([
            with(
                "n",
                json!(
                    "wJENcRev-eXZKvhhWLiV3Lz2MvO-naQRHo59g3vaNQnbgyduN_L4krlrJ5c6FiikXdtJNb_QrsAHSyJWCu8j3T9CruiwbidGAk2W0RuViTVspjHUTsIHExx9euWM0Uom"
                )
            ),
            good
        ])),
    );
    write("seeds/jwk_set/repeated.json", &set(json!([good, good])));
    write(
        "seeds/jwk_set/types.json",
        &set(json!([with("kty", json!("oct")), with("kid", json!("")), 1, good])),
    );
    write(
        "seeds/jwk_set/other_use.json",
        &set(json!([with("use", json!("enc")), with("alg", json!("PS256"))])),
    );
}

/// Certificates as `openssl` makes them: DER each, and one document of Google's form.
fn write_certificates() {
    let mut document = serde_json::Map::new();
    for (name, key) in [("rsa_2048", "rsa:2048"), ("rsa_1024", "rsa:1024"), ("ec", "ec")] {
        let openssl = |form: &str| {
            let mut command = Command::new("openssl");
            command.args(["req", "-x509", "-newkey", key, "-nodes", "-keyout", "/dev/null", "-subj"]);
            command.args(["/CN=securetoken.system.gserviceaccount.com", "-days", "30", "-outform", form]);
            if key == "ec" {
                command.args(["-pkeyopt", "ec_paramgen_curve:P-256"]);
            }
            let output = command.output().expect("openssl runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        write_bytes(&format!("seeds/x509_map/{name}.der"), &openssl("DER"));
        let pem = String::from_utf8(openssl("PEM")).expect("PEM is text");
        document.insert(format!("key-{name}"), Value::String(pem));
    }
    write("seeds/x509_map/map.json", &Value::Object(document).to_string());
}

fn write(path: &str, text: &str) {
    write_bytes(path, text.as_bytes());
}

fn write_bytes(path: &str, bytes: &[u8]) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
    fs::write(path, bytes).expect("the file can be written");
}
