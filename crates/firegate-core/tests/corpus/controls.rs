//! Good tokens, as different from each other as the rules allow. A door that refuses everything would pass all the rest.

use serde_json::json;

use super::case::{Corpus, Draft, NOW, Offered, gone};
use super::keys::KEYS;

pub(crate) fn add(corpus: &mut Corpus) {
    id_tokens(corpus);
    tenants(corpus);
    other_kinds(corpus);
}

fn id_tokens(corpus: &mut Corpus) {
    let corpus = corpus.class("control", Offered::IdToken);
    let token = Draft::id_token;
    corpus.accept("id_token", "as Google mints it", token().sign());
    corpus.accept(
        "second_key",
        "signed with the issuer's other key",
        token().signed_by(&KEYS.id_token_next).sign(),
    );
    corpus.accept("no_typ", "without `typ`", token().header("typ", gone()).sign());
    corpus.accept("unknown_header_member", "with `cty`, `x5t` and a member of nobody's", {
        token().header("cty", "JWT").header("x5t", "AAAA").header("x", json!({"y": 1})).sign()
    });
    corpus.accept("header_order", "`typ` first", {
        let text = format!(r#"{{"typ":"JWT","kid":"{}","alg":"RS256"}}"#, KEYS.id_token.id());
        token().header_bytes(text).sign()
    });
    corpus.accept("json_white_space", "with spaces and line breaks in the JSON", {
        token().payload_replaced(r#""aud":"#, "\r\n\t \"aud\" : ").sign()
    });
    corpus.accept("escaped_names", "with `aud` written in escapes, once", {
        token().payload_replaced(r#""aud""#, r#""\u0061u\u0064""#).sign()
    });
    corpus.accept("escaped_values", "with the project written in escapes", {
        token().payload_replaced(r#""aud":"demo-"#, r#""aud":"\u0064emo\u002d"#).sign()
    });
    corpus.accept("trailing_json_white_space", "with a line break after the payload's object", {
        let text = format!("{}\n", token().payload);
        token().payload_bytes(text).sign()
    });
    for (name, how, changes) in [
        ("no_email", "without an address", json!({"email": gone(), "email_verified": gone()})),
        ("unverified_email", "with an unverified address", json!({"email_verified": false})),
        ("phone", "of a user with a telephone", json!({"phone_number": "+4930123", "email": gone()})),
        ("no_user_id", "without `user_id`", json!({"user_id": gone()})),
        ("sub_128_ascii", "with a `sub` of 128 letters", json!({"sub": "a".repeat(128), "user_id": gone()})),
        ("sub_128_wide", "with a `sub` of 128 characters of three bytes", {
            json!({"sub": "\u{611b}".repeat(128), "user_id": gone()})
        }),
        ("sub_64_astral", "with a `sub` of 64 characters of two UTF-16 units", {
            json!({"sub": "\u{1F600}".repeat(64), "user_id": gone()})
        }),
        ("sub_space", "with spaces in `sub`", json!({"sub": " a b ", "user_id": gone()})),
        ("sub_path", "with a `sub` like a path", json!({"sub": "../../etc/passwd", "user_id": gone()})),
        ("sub_email", "with an address as `sub`", json!({"sub": "a@b.example", "user_id": "a@b.example"})),
        ("custom_claims", "with claims of every type", {
            json!({"a": null, "b": [1, {"c": true}], "d": 1.5, "e": -1, "f": {}, "": "empty name"})
        }),
        ("unicode_claims", "with claims in many scripts", json!({"имя": "Ада", "名": "愛", "\u{202e}": "x"})),
        (
            "custom_claim_like_alg",
            "with claims named like header members",
            json!({"alg": "none", "kid": "x", "crit": ["x"]}),
        ),
        (
            "prototype_claims",
            "with claims that mean something to JavaScript",
            json!({"constructor": 1, "toString": 2}),
        ),
        ("identities_empty", "of a user without identities", {
            json!({"firebase": {"identities": {}, "sign_in_provider": "custom"}})
        }),
        (
            "second_factor",
            "after a second factor",
            json!({"firebase": {
                "identities": {}, "sign_in_provider": "password", "sign_in_second_factor": "totp", "second_factor_identifier": "x",
            }}),
        ),
        ("refreshed", "long after the user signed in", json!({"auth_time": 1})),
        ("just_issued", "issued this second", json!({"iat": NOW, "auth_time": NOW, "exp": NOW + 3600})),
        ("short_lived", "that lives one second", json!({"iat": NOW, "auth_time": NOW, "exp": NOW + 1})),
        ("nbf_past", "with an `nbf` in the past", json!({"nbf": NOW - 60})),
        ("jti", "with `jti`, `azp` and `nonce`", json!({"jti": "x", "azp": "y", "nonce": "z"})),
    ] {
        corpus.accept(name, how, token().claims(changes).sign());
    }
}

fn tenants(corpus: &mut Corpus) {
    let token = Draft::id_token;
    let corpus = corpus.class("control-any-tenant", Offered::AnyTenant);
    corpus.accept("no_tenant", "of no tenant", token().sign());
    corpus.accept("tenant", "of a tenant", token().claim("firebase.tenant", "red-abc12").sign());
    corpus.accept("anonymous", "of an anonymous user", {
        token().claim("firebase.sign_in_provider", "anonymous").claim("provider_id", "anonymous").sign()
    });
    let corpus = corpus.class("control-listed-tenants", Offered::ListedTenants);
    corpus.accept("no_tenant", "of no tenant", token().sign());
    corpus.accept("blue", "of a listed tenant", token().claim("firebase.tenant", "blue").sign());
    corpus.accept("green", "of another listed tenant", token().claim("firebase.tenant", "green").sign());
}

fn other_kinds(corpus: &mut Corpus) {
    let cookie = Draft::session_cookie;
    let corpus = corpus.class("control-session-cookie", Offered::SessionCookie);
    corpus.accept("session_cookie", "as Google mints it", cookie().sign());
    corpus.accept("two_weeks", "of the longest life", {
        cookie().claim("iat", NOW).claim("exp", NOW + 14 * 86_400).sign()
    });

    let google = Draft::google_id_token;
    let corpus = corpus.class("control-google-id-token", Offered::GoogleIdToken);
    corpus.accept("service_account", "of a service account", google().sign());
    corpus.accept(
        "short_issuer",
        "with the issuer without https://",
        google().claim("iss", "accounts.google.com").sign(),
    );

    let app = Draft::app_check;
    let corpus = corpus.class("control-app-check", Offered::AppCheck);
    corpus.accept("app_check", "as Firebase mints it", app().sign());
    corpus.accept(
        "seven_days",
        "of the longest life",
        app().claim("iat", NOW).claim("exp", NOW + 7 * 86_400).sign(),
    );
    corpus.accept(
        "one_audience",
        "for the project's ID alone",
        app().claim("aud", json!(["projects/demo-project"])).sign(),
    );

    let corpus = corpus.class("control-exchanged-token", Offered::ExchangedToken);
    corpus.accept("exchanged_token", "as the exchange returns it", Draft::exchanged_token().sign());
}
