//! RFC 8725, section 3.12: what makes a token good as one kind makes it bad as every other: issuer, keys, algorithm, type,
//! audience and lifetime.

use serde_json::{Value, json};

use crate::project::{EXCHANGE, GOOGLE_AUDIENCE, Key, PROJECT, Project, edited, expect};
use crate::stack::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_has_keys_of_its_own() {
    let project = Project::open().await;
    let text = EXCHANGE.replace("  files: {", "  files: { app_check: required,");
    let gate = project.gate(&text).await;
    let user = project.id_token();
    let google = project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE);
    let send = async |kind: Key, token: &str| -> Answer {
        match kind {
            Key::AppCheck => {
                gate.call("/files/a").bearer(&user).header("x-firebase-appcheck", token).send().await
            }
            _ => gate.with_bearer(token).await,
        }
    };
    for (kind, claims) in [
        (Key::IdToken, project.id_claims()),
        (Key::SessionCookie, project.session_claims()),
        (Key::Google, google),
        (Key::AppCheck, project.app_check_claims()),
    ] {
        send(kind, &kind.sign(&claims)).await.ok();
        for other in [Key::IdToken, Key::SessionCookie, Key::Google, Key::AppCheck, Key::Stranger] {
            if other == kind {
                continue;
            }
            let (unknown, bad) = match kind {
                Key::AppCheck => ("APP_CHECK_TOKEN_INVALID", "APP_CHECK_TOKEN_INVALID"),
                _ => ("TOKEN_KEY_UNKNOWN", "TOKEN_SIGNATURE_INVALID"),
            };
            let why = format!("{kind:?} signed as {other:?}");
            expect(&send(kind, &other.sign(&claims)).await, 401, unknown, &why);
            let under_its_name = other.sign_as(&kind.header(), claims.to_string());
            expect(&send(kind, &under_its_name).await, 401, bad, &why);
        }
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_has_a_lifetime_of_its_own() {
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let lasting = |claims: &Value, seconds: i64| {
        edited(claims, "exp", json!(claims["iat"].as_i64().expect("a time") + seconds))
    };
    let google = project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE);
    for (key, claims, longest) in [
        (Key::IdToken, project.id_claims(), 3600),
        (Key::SessionCookie, project.session_claims(), 14 * 24 * 3600),
        (Key::Google, google, 3600),
    ] {
        gate.admits(&key.sign(&lasting(&claims, longest))).await;
        let token = key.sign(&lasting(&claims, longest + 1));
        gate.refuses(&token, 401, "TOKEN_CLAIM_INVALID", &format!("{key:?}")).await;
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firegates_own_issuer_cannot_be_spoken_for() {
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let exchanged = gate.exchanged(&project.id_token(), "api").await;
    gate.admits(&exchanged).await;
    // Everything that the exchanged token says, in the mouth of Firebase's keys, or of none.
    let claims = crate::project::claims_of(&exchanged);
    let header: Value = {
        let part = exchanged.split('.').next().expect("a header");
        let bytes = firegate_core::jose::decode_base64url(part).expect("base64url");
        serde_json::from_slice(&bytes).expect("a header")
    };
    for (header, reason) in [
        (header.clone(), "TOKEN_SIGNATURE_INVALID"),
        (edited(&header, "alg", json!("RS256")), "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (edited(&header, "alg", json!("none")), "TOKEN_UNSIGNED"),
        (edited(&header, "alg", json!("HS256")), "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (edited(&header, "kid", json!(Key::IdToken.signer().key_id())), "TOKEN_KEY_UNKNOWN"),
        (edited(&header, "typ", json!("JWT")), "TOKEN_IS_FIREGATES_OWN"),
        (Key::IdToken.header(), "TOKEN_IS_FIREGATES_OWN"),
    ] {
        let token = Key::IdToken.sign_as(&header, claims.to_string());
        gate.refuses(&token, 401, reason, &header.to_string()).await;
    }
    // And the other way round: its key under Firebase's issuer.
    let theirs = edited(&claims, "iss", json!(format!("https://securetoken.google.com/{PROJECT}")));
    let token = Key::IdToken.sign_as(&edited(&header, "typ", json!("JWT")), theirs.to_string());
    gate.refuses(&token, 401, "TOKEN_ALGORITHM_NOT_ALLOWED", "ES256 for an ID token").await;
    gate.close().await;
}
