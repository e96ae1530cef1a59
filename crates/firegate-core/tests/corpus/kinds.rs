//! Tokens of one kind in the place of another, and keys of one issuer under the name of another.

use serde_json::json;

use super::case::{Corpus, Draft, NOW, Offered, gone};
use super::keys::KEYS;

const INVALID: &str = "TOKEN_SIGNATURE_INVALID";
const UNKNOWN: &str = "TOKEN_KEY_UNKNOWN";
const APP_CHECK: &str = "APP_CHECK_TOKEN_INVALID";
const CUSTOM_TOKEN_AUDIENCE: &str =
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

pub(crate) fn add(corpus: &mut Corpus) {
    every_kind_everywhere(corpus);
    not_id_tokens(corpus);
    foreign_keys(corpus);
    google_callers(corpus);
    exchanged(corpus);
    apps(corpus);
}

/// Firegate's assertion for the service: the same issuer and keys as an exchanged token, and another type.
fn assertion() -> Draft {
    Draft::exchanged_token().header("typ", "JWT")
}

fn custom_token() -> Draft {
    let account = "firebase-adminsdk@demo-project.iam.gserviceaccount.com";
    let mut token = Draft::id_token().secretly_signed_by(&KEYS.stranger).header("kid", gone());
    token.payload = json!({
        "iss": account, "sub": account, "aud": CUSTOM_TOKEN_AUDIENCE, "iat": NOW, "exp": NOW + 3600, "uid": "ada",
    });
    token
}

fn every_kind_everywhere(corpus: &mut Corpus) {
    let own = "TOKEN_IS_FIREGATES_OWN";
    let unknown_issuer = "TOKEN_ISSUER_UNKNOWN";
    for (name, how, token, reasons) in [
        (
            "id_token",
            "an ID token",
            Draft::id_token().sign(),
            [None, Some(unknown_issuer), Some(unknown_issuer), Some(unknown_issuer)],
        ),
        ("session_cookie", "a session cookie", Draft::session_cookie().sign(), {
            let cookie = Some("TOKEN_IS_SESSION_COOKIE");
            [cookie, None, cookie, cookie]
        }),
        ("google_id_token", "a Google ID token", Draft::google_id_token().sign(), {
            let google = Some("TOKEN_IS_GOOGLE_ID_TOKEN");
            [google, google, None, google]
        }),
        (
            "exchanged_token",
            "an exchanged token",
            Draft::exchanged_token().sign(),
            [Some(own), Some(own), Some(own), None],
        ),
        ("assertion", "Firegate's assertion for the service", assertion().sign(), [Some(own); 4]),
        ("app_check", "an App Check token", Draft::app_check().sign(), [Some("TOKEN_IS_APP_CHECK_TOKEN"); 4]),
        ("custom_token", "a custom token", custom_token().sign(), [Some("TOKEN_IS_CUSTOM_TOKEN"); 4]),
    ] {
        let classes = [
            ("kind-for-id-token", Offered::IdToken),
            ("kind-for-session-cookie", Offered::SessionCookie),
            ("kind-for-google-id-token", Offered::GoogleIdToken),
            ("kind-for-exchanged-token", Offered::ExchangedToken),
        ];
        for ((class, offered), reason) in classes.into_iter().zip(reasons) {
            if let Some(reason) = reason {
                corpus.class(class, offered).refuse(name, how, token.clone(), reason);
            }
        }
        if name != "app_check" {
            corpus.class("kind-for-app-check", Offered::AppCheck).refuse(name, how, token, APP_CHECK);
        }
    }
}

fn not_id_tokens(corpus: &mut Corpus) {
    let corpus = corpus.class("kind-other", Offered::IdToken);
    corpus.refuse(
        "emulator_custom_token",
        "a custom token as the emulator takes it: JSON",
        r#"{"uid":"ada","claims":{}}"#.to_owned(),
        "TOKEN_MALFORMED",
    );
    corpus.refuse(
        "custom_token_with_kid",
        "a custom token under the issuer's `kid`",
        custom_token().header("kid", KEYS.id_token.id()).sign(),
        "TOKEN_IS_CUSTOM_TOKEN",
    );
    corpus.refuse(
        "custom_token_as_issuer",
        "a custom token that names the issuer",
        {
            custom_token()
                .claim("iss", "https://securetoken.google.com/demo-project")
                .header("kid", KEYS.id_token.id())
                .sign()
        },
        "TOKEN_WRONG_PROJECT",
    );
    for issuer in [
        "https://cloud.google.com/iap",
        "https://sts.googleapis.com",
        "https://appleid.apple.com",
        "https://login.microsoftonline.com/common/v2.0",
        "https://identitytoolkit.google.com/",
        "https://demo-project.firebaseapp.com",
    ] {
        let token = Draft::id_token().claim("iss", issuer).sign();
        corpus.refuse(&format!("{issuer:?}"), "a token of this issuer", token, "TOKEN_ISSUER_UNKNOWN");
    }
}

/// Every issuer's keys under every other issuer's name, with claims that are good for the name.
fn foreign_keys(corpus: &mut Corpus) {
    let keys = [
        ("id_token", &KEYS.id_token),
        ("session_cookie", &KEYS.session_cookie),
        ("google", &KEYS.google),
        ("app_check", &KEYS.app_check),
        ("stranger", &KEYS.stranger),
    ];
    for (class, offered, own, draft) in [
        ("key-for-id-token", Offered::IdToken, "id_token", Draft::id_token as fn() -> Draft),
        ("key-for-session-cookie", Offered::SessionCookie, "session_cookie", Draft::session_cookie),
        ("key-for-google-id-token", Offered::GoogleIdToken, "google", Draft::google_id_token),
        ("key-for-app-check", Offered::AppCheck, "app_check", Draft::app_check),
    ] {
        let corpus = corpus.class(class, offered);
        for (name, key) in keys.iter().filter(|(name, _)| *name != own) {
            let invalid = if offered == Offered::AppCheck { APP_CHECK } else { INVALID };
            corpus.refuse(
                &format!("{name}_under_its_kid"),
                "another issuer's key, named",
                draft().signed_by(key).sign(),
                UNKNOWN,
            );
            corpus.refuse(
                &format!("{name}_under_the_kid"),
                "another issuer's key under the right `kid`",
                draft().secretly_signed_by(key).sign(),
                invalid,
            );
        }
    }
}

fn google_callers(corpus: &mut Corpus) {
    let corpus = corpus.class("google-caller", Offered::GoogleIdToken);
    let token = Draft::google_id_token;
    for audience in [
        "https://api.example.com/",
        "https://API.example.com",
        "http://api.example.com",
        "https://evil.example",
        "api.example.com",
        "demo-project",
        "",
        "https://api.example.com/path",
        "32555940559.apps.googleusercontent.com",
    ] {
        corpus.refuse(
            &format!("aud_{audience:?}"),
            "for this audience",
            token().claim("aud", audience).sign(),
            "TOKEN_WRONG_AUDIENCE",
        );
    }
    for (name, how, draft, reason) in [
        (
            "aud_array",
            "with an array of audiences",
            token().claim("aud", json!(["https://api.example.com"])),
            "TOKEN_CLAIM_INVALID",
        ),
        ("aud_missing", "without an audience", token().claim("aud", gone()), "TOKEN_CLAIM_INVALID"),
        ("no_email", "without an address", token().claim("email", gone()), "TOKEN_CLAIM_INVALID"),
        (
            "email_unverified",
            "with an unverified address",
            token().claim("email_verified", false),
            "TOKEN_CLAIM_INVALID",
        ),
        (
            "email_verified_missing",
            "without `email_verified`",
            token().claim("email_verified", gone()),
            "TOKEN_CLAIM_INVALID",
        ),
        (
            "email_verified_text",
            "with `email_verified` as text",
            token().claim("email_verified", "true"),
            "TOKEN_CLAIM_INVALID",
        ),
        ("sub_missing", "without `sub`", token().claim("sub", gone()), "TOKEN_CLAIM_INVALID"),
        ("exp_missing", "without `exp`", token().claim("exp", gone()), "TOKEN_CLAIM_INVALID"),
        ("iat_missing", "without `iat`", token().claim("iat", gone()), "TOKEN_CLAIM_INVALID"),
        (
            "iss_http",
            "with an issuer on http",
            token().claim("iss", "http://accounts.google.com"),
            "TOKEN_ISSUER_UNKNOWN",
        ),
        (
            "iss_slash",
            "with a slash after the issuer",
            token().claim("iss", "https://accounts.google.com/"),
            "TOKEN_ISSUER_UNKNOWN",
        ),
        ("crit", "with `crit`", token().header("crit", json!(["x"])), "TOKEN_HEADER_NOT_ALLOWED"),
        ("no_kid", "without `kid`", token().header("kid", gone()), "TOKEN_HEADER_NOT_ALLOWED"),
    ] {
        corpus.refuse(name, how, draft.sign(), reason);
    }
}

fn exchanged(corpus: &mut Corpus) {
    let corpus = corpus.class("exchanged", Offered::ExchangedToken);
    let token = Draft::exchanged_token;
    for (name, how, draft, reason) in [
        (
            "aud_other",
            "for another backend",
            token().claim("aud", "https://other.example.com"),
            "TOKEN_WRONG_AUDIENCE",
        ),
        (
            "aud_array",
            "for an array of backends",
            token().claim("aud", json!(["https://api.example.com"])),
            "TOKEN_CLAIM_INVALID",
        ),
        ("aud_project", "for the project", token().claim("aud", "demo-project"), "TOKEN_WRONG_AUDIENCE"),
        ("no_typ", "without `typ`", token().header("typ", gone()), "TOKEN_IS_FIREGATES_OWN"),
        ("typ_jwt", "with `typ` JWT: an assertion", token().header("typ", "JWT"), "TOKEN_IS_FIREGATES_OWN"),
        (
            "typ_case",
            "with `typ` in capitals",
            token().header("typ", "FIREGATE-EXCHANGED+JWT"),
            "TOKEN_IS_FIREGATES_OWN",
        ),
        (
            "rs256",
            "with RS256 and Google's key",
            { token().algorithm("RS256", super::keys::Scheme::Rs256).header("kid", KEYS.id_token.id()) },
            "TOKEN_ALGORITHM_NOT_ALLOWED",
        ),
        (
            "rs256_as_es256",
            "with an RS256 signature under ES256",
            token().scheme(super::keys::Scheme::Rs256),
            INVALID,
        ),
        (
            "zero_signature",
            "with r and s of zero",
            token().scheme(super::keys::Scheme::Bytes(vec![0; 64])),
            INVALID,
        ),
        (
            "empty_signature",
            "with an empty signature",
            token().scheme(super::keys::Scheme::Bytes(Vec::new())),
            INVALID,
        ),
        (
            "none",
            "with `alg` none",
            token().algorithm("none", super::keys::Scheme::Bytes(Vec::new())),
            "TOKEN_UNSIGNED",
        ),
        (
            "auth_time_missing",
            "without `auth_time`",
            token().claim("auth_time", gone()),
            "TOKEN_CLAIM_INVALID",
        ),
        (
            "iss_slash",
            "with a slash after the issuer",
            token().claim("iss", "https://door.example.com/"),
            "TOKEN_ISSUER_UNKNOWN",
        ),
        ("kid_of_google", "with Google's `kid`", token().header("kid", KEYS.id_token.id()), UNKNOWN),
    ] {
        corpus.refuse(name, how, draft.sign(), reason);
    }
}

fn apps(corpus: &mut Corpus) {
    let corpus = corpus.class("app-check", Offered::AppCheck);
    let token = Draft::app_check;
    for (name, how, draft) in [
        (
            "iss_id",
            "with the project's ID in the issuer",
            token().claim("iss", "https://firebaseappcheck.googleapis.com/demo-project"),
        ),
        (
            "iss_other",
            "of another project",
            token().claim("iss", "https://firebaseappcheck.googleapis.com/43"),
        ),
        (
            "iss_longer",
            "of a project whose number begins so",
            token().claim("iss", "https://firebaseappcheck.googleapis.com/421"),
        ),
        (
            "iss_slash",
            "with a slash after the issuer",
            token().claim("iss", "https://firebaseappcheck.googleapis.com/42/"),
        ),
        (
            "iss_empty",
            "with no number in the issuer",
            token().claim("iss", "https://firebaseappcheck.googleapis.com/"),
        ),
        ("iss_missing", "without an issuer", token().claim("iss", gone())),
        ("aud_string", "with one audience as a string", token().claim("aud", "projects/demo-project")),
        ("aud_empty", "for nobody", token().claim("aud", json!([]))),
        (
            "aud_other",
            "for another project",
            token().claim("aud", json!(["projects/43", "projects/other-project"])),
        ),
        (
            "aud_prefix",
            "for a project whose ID begins so",
            token().claim("aud", json!(["projects/demo-project-2"])),
        ),
        ("aud_bare", "for the ID without `projects/`", token().claim("aud", json!(["demo-project"]))),
        ("aud_number_type", "for a number", token().claim("aud", json!([42]))),
        (
            "aud_mixed",
            "for the project and a number",
            token().claim("aud", json!(["projects/demo-project", 42])),
        ),
        ("aud_missing", "for nobody named", token().claim("aud", gone())),
        ("sub_empty", "of no app", token().claim("sub", "")),
        ("sub_missing", "without an app", token().claim("sub", gone())),
        ("sub_number", "of an app that is a number", token().claim("sub", 1)),
        ("sub_long", "of an app with a name of 257 bytes", token().claim("sub", "a".repeat(257))),
        ("sub_control", "of an app with a line break", token().claim("sub", "1:42:web:abc\n")),
        ("exp_missing", "without an end", token().claim("exp", gone())),
        ("exp_text", "with an end that is text", token().claim("exp", (NOW + 60).to_string())),
        ("iat_missing", "without a beginning", token().claim("iat", gone())),
        ("nbf_future", "not before tomorrow", token().claim("nbf", NOW + 86_400)),
        ("alg_none", "with `alg` none", token().algorithm("none", super::keys::Scheme::Bytes(Vec::new()))),
        ("alg_rs512", "with RS512", token().algorithm("RS512", super::keys::Scheme::Rs512)),
        ("typ_missing", "without `typ`", token().header("typ", gone())),
        ("typ_other", "with another `typ`", token().header("typ", "at+jwt")),
        ("kid_missing", "without `kid`", token().header("kid", gone())),
        ("kid_empty", "with an empty `kid`", token().header("kid", "")),
        ("crit", "with `crit`", token().header("crit", json!(["x"]))),
        ("jku", "with `jku`", token().header("jku", "https://evil.example/")),
        (
            "zero_signature",
            "with a signature of zeros",
            token().scheme(super::keys::Scheme::Bytes(vec![0; 256])),
        ),
        (
            "repeated_aud",
            "with `aud` twice",
            token().payload_replaced(r#""aud":"#, r#""aud":["projects/43"],"aud":"#),
        ),
    ] {
        corpus.refuse(name, how, draft.sign(), APP_CHECK);
    }
    for app in ["1:42:web:abd", "1:42:web:ABC", "1:42:web:abc ", "1:42:web:ab", "1:42:android:abc", "*"] {
        let token = token().claim("sub", app).sign();
        corpus.refuse(&format!("app_{app:?}"), "of this app", token, "APP_CHECK_APP_NOT_ALLOWED");
    }
}
