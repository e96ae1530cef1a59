//! Claims that are missing, of another type, of another value, or nearly right.

use serde_json::{Value, json};

use super::case::{Corpus, Draft, Offered, gone};

const CLAIM: &str = "TOKEN_CLAIM_INVALID";
const ISSUER: &str = "TOKEN_ISSUER_UNKNOWN";
const PROJECT: &str = "TOKEN_WRONG_PROJECT";

/// What stands in the place of a claim: a name, and JSON text.
const WRONG_TYPES: [(&str, &str); 9] = [
    ("null", "null"),
    ("true", "true"),
    ("zero", "0"),
    ("fraction", "1.5"),
    ("empty_array", "[]"),
    ("array_of_null", "[null]"),
    ("empty_object", "{}"),
    ("object", r#"{"value":"x"}"#),
    ("nested_array", "[[[]]]"),
];

pub(crate) fn add(corpus: &mut Corpus) {
    types(corpus);
    issuers(corpus);
    audiences(corpus);
    subjects(corpus);
    firebase(corpus);
    tenants(corpus);
}

/// The token with JSON text in the place of a claim's value.
fn with_text(claim: &str, text: &str) -> String {
    const MARK: &str = "\u{fffc}mark";
    Draft::id_token().claim(claim, MARK).payload_replaced(&json!(MARK).to_string(), text).sign()
}

fn types(corpus: &mut Corpus) {
    let corpus = corpus.class("claim-type", Offered::IdToken);
    for (claim, missing, wrong) in [
        ("iss", ISSUER, ISSUER),
        ("aud", CLAIM, CLAIM),
        ("sub", CLAIM, CLAIM),
        ("exp", CLAIM, CLAIM),
        ("iat", CLAIM, CLAIM),
        ("auth_time", CLAIM, CLAIM),
        ("firebase", CLAIM, CLAIM),
        ("firebase.sign_in_provider", CLAIM, CLAIM),
    ] {
        let token = Draft::id_token().claim(claim, gone()).sign();
        corpus.refuse(&format!("{claim}_missing"), &format!("without `{claim}`"), token, missing);
        for (name, text) in WRONG_TYPES {
            let is_time = matches!(claim, "exp" | "iat" | "auth_time");
            let reason = match (claim, name) {
                // A whole number is the right type, and long ago.
                ("exp", "zero") => "TOKEN_EXPIRED",
                ("iat", "zero") => CLAIM,
                ("auth_time", "zero") => continue,
                _ => wrong,
            };
            let how = format!("`{claim}` {text}");
            corpus.refuse(&format!("{claim}_{name}"), &how, with_text(claim, text), reason);
            assert!(!is_time || reason != ISSUER);
        }
        if let Some(flat) = claim.strip_prefix("firebase.") {
            let token = Draft::id_token().claim(claim, gone()).claim(flat, "password").sign();
            corpus.refuse(&format!("{claim}_outside"), "at the top level", token, CLAIM);
        } else {
            let value = Draft::id_token().payload[claim].clone();
            let token = Draft::id_token().claim(claim, gone()).claim(&claim.to_uppercase(), value).sign();
            corpus.refuse(&format!("{claim}_upper_case"), "its name in capitals", token, missing);
        }
    }
    for (claim, how) in [("email", "an address"), ("user_id", "a user id"), ("firebase.tenant", "a tenant")] {
        for (name, text) in WRONG_TYPES {
            let token = with_text(claim, text);
            corpus.refuse(&format!("{claim}_{name}"), &format!("{how} that is {text}"), token, CLAIM);
        }
    }
    for (name, text) in WRONG_TYPES.iter().filter(|(name, _)| *name != "true") {
        let token = with_text("email_verified", text);
        corpus.refuse(&format!("email_verified_{name}"), &format!("`email_verified` {text}"), token, CLAIM);
    }
    for text in [r#""true""#, "1", r#""""#] {
        let token = with_text("email_verified", text);
        corpus.refuse(&format!("email_verified_{text}"), &format!("`email_verified` {text}"), token, CLAIM);
    }
    for (name, email) in
        [("line_break", "ada@example.com\r\nX-Evil: 1"), ("nul", "ada@example.com\u{0}@evil.example")]
    {
        let token = Draft::id_token().claim("email", email).sign();
        corpus.refuse(&format!("email_{name}"), &format!("the address {email:?}"), token, CLAIM);
    }
}

fn issuers(corpus: &mut Corpus) {
    let corpus = corpus.class("claim-iss", Offered::IdToken);
    for (issuer, reason) in [
        ("https://securetoken.google.com/demo-project/", PROJECT),
        ("https://securetoken.google.com/demo-project ", PROJECT),
        ("https://securetoken.google.com/demo-project\u{0}", PROJECT),
        ("https://securetoken.google.com/demo-project#x", PROJECT),
        ("https://securetoken.google.com/demo-project?x", PROJECT),
        ("https://securetoken.google.com/demo-project/../other", PROJECT),
        ("https://securetoken.google.com/Demo-Project", PROJECT),
        ("https://securetoken.google.com/other-project", PROJECT),
        ("https://securetoken.google.com/demo-project-2", PROJECT),
        ("https://securetoken.google.com/demo-projec", PROJECT),
        ("https://securetoken.google.com/xdemo-project", PROJECT),
        ("https://securetoken.google.com/42", PROJECT),
        ("https://securetoken.google.com/", PROJECT),
        ("https://securetoken.google.com//demo-project", PROJECT),
        ("https://securetoken.google.com/%64emo-project", PROJECT),
        ("https://securetoken.google.com/demo%2Dproject", PROJECT),
        ("https://securetoken.google.com/demо-project", PROJECT),
        ("https://securetoken.google.com/demo\u{2010}project", PROJECT),
        ("https://securetoken.google.com/*", PROJECT),
        ("https://securetoken.google.com", ISSUER),
        ("http://securetoken.google.com/demo-project", ISSUER),
        ("HTTPS://securetoken.google.com/demo-project", ISSUER),
        ("https://SecureToken.google.com/demo-project", ISSUER),
        ("https://securetoken.google.com:443/demo-project", ISSUER),
        ("https://securetoken.google.com./demo-project", ISSUER),
        ("https://user@securetoken.google.com/demo-project", ISSUER),
        ("https://securetoken.google.com.evil.example/demo-project", ISSUER),
        ("https://securetoken.google.com@evil.example/demo-project", ISSUER),
        ("https://evil.example/https://securetoken.google.com/demo-project", ISSUER),
        ("https://evil.example/demo-project", ISSUER),
        ("https://securetoken.googleapis.com/demo-project", ISSUER),
        ("https://securetoken.gооgle.com/demo-project", ISSUER),
        ("https://securetoken%2Egoogle.com/demo-project", ISSUER),
        (" https://securetoken.google.com/demo-project", ISSUER),
        ("\u{feff}https://securetoken.google.com/demo-project", ISSUER),
        ("//securetoken.google.com/demo-project", ISSUER),
        ("securetoken.google.com/demo-project", ISSUER),
        ("demo-project", ISSUER),
        ("", ISSUER),
        ("*", ISSUER),
        ("null", ISSUER),
    ] {
        let token = Draft::id_token().claim("iss", issuer).sign();
        corpus.refuse(&format!("{issuer:?}"), "this issuer", token, reason);
    }
    corpus.refuse(
        "array",
        "the issuer in an array",
        Draft::id_token().claim("iss", json!(["https://securetoken.google.com/demo-project"])).sign(),
        ISSUER,
    );
    corpus.refuse(
        "in_the_header",
        "the issuer in the header alone",
        {
            let issuer = "https://securetoken.google.com/demo-project";
            Draft::id_token().claim("iss", gone()).header("iss", issuer).sign()
        },
        ISSUER,
    );
}

fn audiences(corpus: &mut Corpus) {
    let corpus = corpus.class("claim-aud", Offered::IdToken);
    for audience in [
        "",
        " ",
        "other-project",
        "Demo-Project",
        "DEMO-PROJECT",
        "demo-project ",
        " demo-project",
        "demo-project/",
        "demo-project\n",
        "demo-project\u{0}",
        "demo-project-2",
        "demo-projec",
        "projects/demo-project",
        "demo-project,other-project",
        "demo-project other-project",
        "42",
        "*",
        "demо-project",
        "demo\u{2010}project",
        "demo-project\u{200b}",
        "https://securetoken.google.com/demo-project",
        "https://api.example.com",
        "demo%2Dproject",
    ] {
        let token = Draft::id_token().claim("aud", audience).sign();
        corpus.refuse(&format!("{audience:?}"), "this audience", token, PROJECT);
    }
    for (name, audience) in [
        ("array", json!(["demo-project"])),
        ("array_and_other", json!(["demo-project", "other-project"])),
        ("array_other_first", json!(["other-project", "demo-project"])),
        ("array_in_array", json!([["demo-project"]])),
        ("number", json!(42)),
        ("object", json!({"demo-project": true})),
    ] {
        let token = Draft::id_token().claim("aud", audience.clone()).sign();
        corpus.refuse(name, &format!("`aud` {audience}"), token, CLAIM);
    }
    corpus.refuse(
        "in_azp",
        "the project as `azp` alone",
        Draft::id_token().claim("aud", gone()).claim("azp", "demo-project").sign(),
        CLAIM,
    );
}

fn subjects(corpus: &mut Corpus) {
    let corpus = corpus.class("claim-sub", Offered::IdToken);
    let with = |sub: &str| Draft::id_token().claim("sub", sub).claim("user_id", sub).sign();
    for (name, sub) in [
        ("empty", String::new()),
        ("129_ascii", "a".repeat(129)),
        ("65_astral", "\u{1F600}".repeat(65)),
        ("129_wide", "\u{1F600}".repeat(129)),
        ("1000", "a".repeat(1000)),
        ("nul", "ada\u{0}".to_owned()),
        ("nul_alone", "\u{0}".to_owned()),
        ("nul_inside", "ada\u{0}eve".to_owned()),
        ("line_feed", "ada\nx".to_owned()),
        ("carriage_return", "ada\r\nX-Evil: 1".to_owned()),
        ("tab", "a\tb".to_owned()),
        ("escape", "\u{1b}[0m".to_owned()),
        ("delete", "a\u{7f}".to_owned()),
        ("c1_control", "a\u{85}b".to_owned()),
    ] {
        corpus.refuse(
            name,
            &format!("`sub` {:?}", sub.chars().take(40).collect::<String>()),
            with(&sub),
            CLAIM,
        );
    }
    for (name, user_id) in
        [("other", json!("eve")), ("case", json!("Ada")), ("space", json!("ada ")), ("empty", json!(""))]
    {
        let token = Draft::id_token().claim("user_id", user_id.clone()).sign();
        corpus.refuse(
            &format!("user_id_{name}"),
            &format!("`user_id` {user_id} beside `sub` \"ada\""),
            token,
            CLAIM,
        );
    }
    corpus.refuse(
        "only_user_id",
        "`user_id` without `sub`",
        Draft::id_token().claim("sub", gone()).sign(),
        CLAIM,
    );
    corpus.refuse(
        "only_uid",
        "`uid` without `sub`",
        Draft::id_token().claim("sub", gone()).claim("uid", "ada").sign(),
        CLAIM,
    );
}

fn firebase(corpus: &mut Corpus) {
    let corpus = corpus.class("claim-firebase", Offered::IdToken);
    for (name, value, reason) in [
        ("string", json!("password"), CLAIM),
        ("no_provider", json!({"identities": {}}), CLAIM),
        ("provider_array", json!({"sign_in_provider": ["password"]}), CLAIM),
        ("anonymous", json!({"sign_in_provider": "anonymous"}), "ANONYMOUS_USER_NOT_ACCEPTED"),
        (
            "anonymous_with_email",
            json!({"identities": {"email": ["a@b.example"]}, "sign_in_provider": "anonymous"}),
            { "ANONYMOUS_USER_NOT_ACCEPTED" },
        ),
        ("empty_tenant", json!({"sign_in_provider": "password", "tenant": ""}), CLAIM),
        ("tenant", json!({"sign_in_provider": "password", "tenant": "blue"}), "TENANT_NOT_ACCEPTED"),
        ("tenant_space", json!({"sign_in_provider": "password", "tenant": " "}), "TENANT_NOT_ACCEPTED"),
        (
            "tenant_of_anonymous",
            json!({"sign_in_provider": "anonymous", "tenant": "blue"}),
            "TENANT_NOT_ACCEPTED",
        ),
    ] {
        let token = Draft::id_token().claim("firebase", value.clone()).sign();
        corpus.refuse(name, &format!("`firebase` {value}"), token, reason);
    }
}

fn tenants(corpus: &mut Corpus) {
    let with = |tenant: Value| Draft::id_token().claim("firebase.tenant", tenant).sign();
    let corpus = corpus.class("claim-tenant-listed", Offered::ListedTenants);
    for tenant in
        ["red", "Blue", "BLUE", "blue ", " blue", "blue\u{0}", "blue,green", "blu", "bluegreen", "*", "bluе"]
    {
        corpus.refuse(&format!("{tenant:?}"), "this tenant", with(json!(tenant)), "TENANT_NOT_ACCEPTED");
    }
    corpus.refuse("array", "listed tenants in an array", with(json!(["blue", "green"])), CLAIM);
    corpus.refuse("empty", "an empty tenant", with(json!("")), CLAIM);
    let corpus = corpus.class("claim-tenant-any", Offered::AnyTenant);
    corpus.refuse("empty", "an empty tenant", with(json!("")), CLAIM);
    corpus.refuse("number", "a tenant that is a number", with(json!(1)), CLAIM);
    corpus.refuse("object", "a tenant that is an object", with(json!({"id": "blue"})), CLAIM);
}
