//! The issuer of the measurements: its key, its JWK set, its users' tokens, and what forgers make of them.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::process::{cores, progress};

/// The Firebase project.
pub(super) const PROJECT: &str = "demo-bench";

/// How many users there are.
pub(super) const USERS: usize = 50_000;

/// As many users as have a verdict and an assertion kept at once.
pub(super) const FEW_USERS: usize = 8_000;

/// The life of a token, in seconds.
const LIFETIME_SECONDS: u64 = 3600;

/// An issuer with its key. It signs by the cryptographic library alone, so that xtask, which has to be there first, compiles
/// nothing of Firegate.
pub(super) struct Issuer {
    key: RsaKeyPair,
    key_id: String,
}

impl Issuer {
    /// Makes a key.
    pub(super) fn new() -> Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).context("no key")?;
        let mut key_id = encode(components(&key).n);
        // As long as Google's are.
        key_id.truncate(40);
        Ok(Self { key, key_id })
    }

    /// The published key.
    pub(super) fn public_jwk(&self) -> Value {
        let RsaPublicKeyComponents { n, e } = components(&self.key);
        let [n, e] = [n, e].map(encode);
        json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.key_id, "n": n, "e": e})
    }

    /// A user's token, issued a minute ago.
    pub(super) fn token(&self, user: usize) -> Result<String> {
        self.sign(&claims(user, now()?))
    }

    /// A user's token that has expired an hour ago.
    pub(super) fn expired_token(&self, user: usize) -> Result<String> {
        self.sign(&claims(user, now()?.saturating_sub(2 * LIFETIME_SECONDS)))
    }

    /// A user's token of another project.
    pub(super) fn token_of_another_project(&self, user: usize) -> Result<String> {
        let mut claims = claims(user, now()?);
        claims["aud"] = json!("another");
        claims["iss"] = json!("https://securetoken.google.com/another");
        self.sign(&claims)
    }

    /// A compact JWS with RS256 (RFC 7518, section 3.3).
    fn sign(&self, claims: &Value) -> Result<String> {
        let header = json!({"alg": "RS256", "kid": self.key_id, "typ": "JWT"});
        let [header, claims] = [&header, claims].map(|part| encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature);
        signed.context("a token cannot be signed")?;
        Ok(format!("{input}.{}", encode(signature)))
    }

    /// Writes `public.pem`, as HAProxy reads it.
    fn write_public_pem(&self, folder: &Path) -> Result<()> {
        let private = folder.join("private.der");
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&self.key).context("the key cannot be written")?;
        std::fs::write(&private, pkcs8.as_ref())?;
        let mut openssl = Command::new("openssl");
        openssl.args(["pkey", "-inform", "DER", "-pubout", "-in"]).arg(&private);
        let status = openssl.arg("-out").arg(folder.join("public.pem")).status();
        std::fs::remove_file(&private)?;
        ensure!(status.context("cannot run openssl")?.success(), "openssl cannot write the public key");
        Ok(())
    }
}

/// The token with a signature that was made for another one: as long as a good one, and as expensive to refuse.
pub(super) fn forge(token: &str, other: &str) -> Option<String> {
    let ((words, _), (_, signature)) = (token.rsplit_once('.')?, other.rsplit_once('.')?);
    Some(format!("{words}.{signature}"))
}

/// Writes `jwks.json`: what the issuers publish.
pub(super) fn publish(folder: &Path, issuers: &[&Issuer]) -> Result<()> {
    let keys = issuers.iter().map(|issuer| issuer.public_jwk()).collect::<Vec<_>>();
    // In one step: nobody may read half of it.
    let partial = folder.join("jwks.json.partial");
    std::fs::write(&partial, json!({ "keys": keys }).to_string())?;
    std::fs::rename(&partial, folder.join("jwks.json")).context("cannot publish the keys")
}

/// Makes a new issuer and fills a folder with what the loads need: `hot.txt` has one token, `cold.txt` one for each user,
/// `few.txt` the first of them, `forged.txt` as many that nobody signed.
pub(super) fn write(folder: &Path) -> Result<Issuer> {
    progress(&format!("{USERS} tokens"));
    let issuer = Issuer::new()?;
    let threads = cores();
    let share = USERS.div_ceil(threads);
    let parts = std::thread::scope(|scope| {
        let sign = |part: usize| {
            let issuer = &issuer;
            let users = part * share..USERS.min((part + 1) * share);
            scope.spawn(move || users.map(|user| issuer.token(user)).collect::<Result<Vec<_>>>())
        };
        let running = (0..threads).map(sign).collect::<Vec<_>>();
        let join = |part: std::thread::ScopedJoinHandle<'_, _>| {
            part.join().unwrap_or_else(|_| Err(anyhow!("a thread that signs tokens panicked")))
        };
        running.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let tokens = parts.into_iter().flatten().collect::<Vec<_>>();
    let others = tokens.iter().cycle().skip(1);
    let forged = tokens.iter().zip(others).filter_map(|(token, other)| forge(token, other));
    let lines = |name: &str, tokens: &[String]| std::fs::write(folder.join(name), tokens.join("\n") + "\n");
    lines("hot.txt", &tokens[..1])?;
    lines("cold.txt", &tokens)?;
    lines("few.txt", &tokens[..FEW_USERS])?;
    lines("forged.txt", &forged.collect::<Vec<_>>())?;
    issuer.write_public_pem(folder)?;
    publish(folder, &[&issuer])?;
    Ok(issuer)
}

fn components(key: &RsaKeyPair) -> RsaPublicKeyComponents<Vec<u8>> {
    key.public_key().into()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}

/// Every claim that a user has who signed in with Google.
fn claims(user: usize, now: u64) -> Value {
    let uid = format!("bench{user:06}ABCDEFGHIJKLMNOPQ");
    json!({
        "name": format!("Test User {user:06}"),
        "picture": format!("https://lh3.googleusercontent.com/a/ACg8ocJ{user:048}=s96-c"),
        "iss": format!("https://securetoken.google.com/{PROJECT}"), "aud": PROJECT,
        "auth_time": now - 600, "user_id": uid, "sub": uid, "iat": now - 60, "exp": now - 60 + LIFETIME_SECONDS,
        "email": format!("user{user:06}@example.com"), "email_verified": true,
        "firebase": {
            "identities": {"google.com": [format!("{user:021}")], "email": [format!("user{user:06}@example.com")]},
            "sign_in_provider": "google.com",
        },
    })
}

#[cfg(test)]
mod tests {
    use firegate_core::jose::{CompactJws, KeySet};

    use super::*;

    #[test]
    fn a_token_is_one_of_its_issuers() {
        let [issuer, other] = [(); 2].map(|()| Issuer::new().expect("an issuer"));
        let keys = |issuer: &Issuer| {
            let document = json!({"keys": [issuer.public_jwk()]}).to_string();
            KeySet::parse_rs256(document.as_bytes()).expect("a key set")
        };
        let token = issuer.token(7).expect("a token");
        let read = CompactJws::parse(&token).expect("a token");
        let signed_by =
            |issuer: &Issuer, key_id: &str| keys(issuer).find(key_id).is_some_and(|key| key.verifies(&read));
        let key_id = read.header_text("kid").expect("a key's name");
        assert!(signed_by(&issuer, key_id) && !signed_by(&other, &other.key_id));
    }
}
