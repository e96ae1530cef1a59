//! What the configuration says of tokens: their kinds, sources and issuers, and who looks after them.

use super::*;

/// Two backends that one audience stands for.
const TWO_OF_ONE_AUDIENCE: &str = "\
project: my-project
allow: [allAuthenticatedUsers]
backends:
  api: { url: https://api-abc123-uc.a.run.app, audience: shop }
  web: { url: https://web-abc123-uc.a.run.app, audience: shop }
routes: [ { path: /*, backend: web }, { path: /api/*, backend: api } ]
";

const SCHEDULER: &str = "serviceAccount:scheduler@my-project.iam.gserviceaccount.com";

#[test]
fn google_callers() {
    let file = |users: &str, member: &str| {
        format!(
            "project: my-project\nbackends: {{ api: https://a.run.app }}\nallow: [\"{member}\"]\nusers: {{ {users} }}\n"
        )
    };
    let own = "accept: [google_id_token], google_audiences: [https://api.example.com]";
    check(&file(own, SCHEDULER), &[]);
    check(&file("accept: [google_id_token]", SCHEDULER), &["FG141 users.accept[0]"]);
    check(&file("accept: [id_token, google_id_token]", SCHEDULER), &["FG141 users.accept[1]"]);
    check(&file("google_audiences: [a]", "allUsers"), &["FG141 users.google_audiences"]);
    check(&file("google_audiences: []", "allUsers"), &["FG141 users.google_audiences"]);
    let audiences =
        |list: &str| file(&format!("accept: [google_id_token], google_audiences: {list}"), SCHEDULER);
    check(&audiences("[]"), &["FG141 users.google_audiences"]);
    check(&audiences("a"), &["FG005 users.google_audiences"]);
    check(
        &audiences("[a, \"\", \"b c\", \"\\x01\", a]"),
        &[
            "FG141 users.google_audiences[1]",
            "FG141 users.google_audiences[2]",
            "FG141 users.google_audiences[3]",
            "FG141 users.google_audiences[4]",
        ],
    );
    check(&audiences(&format!("[{}]", "a, ".repeat(101))), &["FG002 users.google_audiences"]);
    check(&audiences("[other, https://a.run.app]"), &["FG142 users.google_audiences[1]"]);
    assert!(parse("firegate.yaml", &audiences("[https://a.run.app]")).is_ok(), "it is a warning");
    check(&file(own, "allUsers"), &["FG143 users.accept[0]"]);
    check(&file(own, "allAuthenticatedUsers"), &["FG112 allow[0]", "FG143 users.accept[0]"]);
}

#[test]
fn token_sources() {
    let file = |sources: &str, accept: &str| {
        let api = backend(&format!("url: https://a.run.app\ntoken_sources: {sources}"));
        format!(
            "{api}users: {{ accept: {accept} }}\ncors: {{ origins: [\"https://b.example\"], credentials: true }}\n"
        )
    };
    check(&file("[authorization, cookie]", "[id_token, session_cookie]"), &[]);
    check(&file("[cookie]", "[session_cookie]"), &[]);
    check(&file("[websocket_protocol]", "[id_token]"), &[]);
    check(&file("[cookie]", "[id_token]"), &["FG127 backends.api.token_sources[0]"]);
    check(&file("[]", "[id_token]"), &["FG127 backends.api.token_sources"]);
    check(
        &file("[query, query]", "[id_token]"),
        &["FG129 backends.api.token_sources[0]", "FG127 backends.api.token_sources[1]"],
    );
    check(&file("[header]", "[id_token]"), &["FG006 backends.api.token_sources[0]"]);
    // What is accepted is wrong itself, and said once.
    check(&file("[cookie]", "[]"), &["FG140 users.accept"]);
    assert!(parse("firegate.yaml", &file("[query]", "[id_token]")).is_ok(), "it is a warning");
}

#[test]
fn exchange() {
    let file =
        |exchange: &str, issuer: &str| with(&format!("{exchange}\nassertion: {{ issuer: \"{issuer}\" }}\n"));
    const EXCHANGES: &str = "exchange: { enabled: true }";
    const ACCEPTS: &str = "users: { accept: [id_token, exchanged_token] }";
    for word in [EXCHANGES, ACCEPTS] {
        check(&file(word, "https://api.example.com"), &[]);
        check(&file(word, "https://api.example.com/"), &[]);
        check(&file(word, "https://api.example.com:8443"), &[]);
        check(&file(word, "http://localhost:8080"), &[]);
        check(&file(word, "http://127.0.0.1:8080"), &[]);
        check(&file(word, "https://api.example.com/door"), &["FG108 assertion.issuer"]);
        check(&file(word, "https://api.example.com/?a=b"), &["FG107 assertion.issuer"]);
        check(&file(word, "https://api.example.com/#a"), &["FG107 assertion.issuer"]);
        check(&file(word, "http://api.example.com"), &["FG107 assertion.issuer"]);
        check(&file(word, "urn:firegate:my-project"), &["FG107 assertion.issuer"]);
        check(&with(&format!("{word}\nassertion: {{ issuer: 5 }}\n")), &["FG005 assertion.issuer"]);
    }
    check(&with(&format!("{EXCHANGES}\n{ACCEPTS}\n")), &["FG108 exchange.enabled"]);
    check(&with(&format!("{ACCEPTS}\n")), &["FG108 users.accept[1]"]);
    check(&file("exchange: { enabled: false }", "https://api.example.com/door"), &[]);
    check(&with("exchange: { enabled: false }\n"), &[]);
    let issuer = "assertion: { issuer: https://api.example.com }\n";
    check(&format!("{TWO_OF_ONE_AUDIENCE}{issuer}{EXCHANGES}\n"), &["FG108 backends.web.audience"]);
    check(&format!("{TWO_OF_ONE_AUDIENCE}{issuer}{ACCEPTS}\n"), &["FG108 backends.web.audience"]);
    check(
        &format!("{TWO_OF_ONE_AUDIENCE}{issuer}{EXCHANGES}\n{ACCEPTS}\n"),
        &["FG108 backends.web.audience"],
    );
    check(&format!("{TWO_OF_ONE_AUDIENCE}{issuer}users: {{ accept: [id_token] }}\n"), &[]);
    check(TWO_OF_ONE_AUDIENCE, &[]);
    let by_url = TWO_OF_ONE_AUDIENCE
        .replace("{ url: https://web-abc123-uc.a.run.app, audience: shop }", "https://shop.example");
    let by_url = by_url.replace("audience: shop", "audience: https://shop.example");
    check(&format!("{by_url}{issuer}{EXCHANGES}\n"), &["FG108 backends.web", "FG123 backends.web"]);
}

#[test]
fn revocation() {
    let file = |revocation: &str| with(&format!("users: {{ revocation: {{ {revocation} }} }}\n"));
    check(&file("check: required"), &[]);
    check(&file("check: required, max_staleness: 30s, on_failure: deny"), &[]);
    check(&file("check: off, max_staleness: 30s, on_failure: allow"), &[]);
    check(&file(""), &[]);
    check(&file("max_staleness: 30s"), &["FG144 users.revocation.max_staleness"]);
    check(&file("on_failure: allow"), &["FG144 users.revocation.on_failure"]);
    check(&file("chek: required, on_failure: deny"), &["FG004 users.revocation.chek"]);
    check(&file("check: on, on_failure: deny"), &["FG006 users.revocation.check"]);
    check(&file("check: off, max_staleness: 0s"), &["FG011 users.revocation.max_staleness"]);
    check(&file("check: required, max_staleness: 2h"), &["FG011 users.revocation.max_staleness"]);
    check(&file("check: required, on_failure: allow"), &["FG145 users.revocation.on_failure"]);
    assert!(parse("firegate.yaml", &file("check: required, on_failure: allow")).is_ok(), "it is a warning");
}

#[test]
fn app_check() {
    const NUMBER: &str = "project_number: 12\n";
    let users = |word: &str| with(&format!("users: {{ app_check: {word} }}\n"));
    let own = |word: &str| backend(&format!("url: https://a.run.app\napp_check: {word}"));
    for (file, path) in [(&users as &dyn Fn(&str) -> String, "users"), (&own, "backends.api")] {
        let check = |word: &str, more: &str, expected: &[&str]| {
            let expected: Vec<String> = expected.iter().map(|found| found.replace("AT", path)).collect();
            assert_eq!(findings(&format!("{}{more}", file(word))), expected, "{path}: {word}");
        };
        check("off", "", &[]);
        check("required", NUMBER, &[]);
        check("{ apps: [\"1:12:ios:ab\"], consume: true }", NUMBER, &[]);
        check("{}", NUMBER, &[]);
        check("required", "", &["FG102 AT.app_check"]);
        check("{ consume: true }", "", &["FG102 AT.app_check"]);
        check("required", "project_number: my-project\n", &["FG102 project_number"]);
        check("{ apps: [] }", NUMBER, &["FG146 AT.app_check.apps"]);
        check("{ apps: [\"\"] }", NUMBER, &["FG146 AT.app_check.apps[0]"]);
        check("{ apps: [\"1:13:ios:ab\"] }", NUMBER, &["FG146 AT.app_check.apps[0]"]);
        check("requird", NUMBER, &["FG006 AT.app_check"]);
        check("{ app: [] }", NUMBER, &["FG004 AT.app_check.app"]);
    }
}

#[test]
fn a_backends_own_app_check_replaces_the_general_one() {
    let resolved = |general: &str, own: &str| {
        let own = if own.is_empty() { String::new() } else { format!("\napp_check: {own}") };
        let text = backend(&format!("url: https://a.run.app{own}"));
        let text = format!("{text}project_number: 12\nusers: {{ app_check: {general} }}\n");
        api(&accepted(&text)).app_check.clone()
    };
    let required = |apps: Option<&str>, consume: bool| AppCheck::Required {
        project_number: "12".parse().unwrap(),
        apps: apps.map(|app| vec![app.to_owned()]),
        consume,
    };
    assert_eq!(resolved("off", ""), AppCheck::Off);
    assert_eq!(resolved("required", ""), required(None, false));
    assert_eq!(resolved("required", "off"), AppCheck::Off);
    assert_eq!(resolved("off", "{ consume: true }"), required(None, true));
    // The whole setting is replaced: the apps of the general one are not kept.
    assert_eq!(resolved("{ apps: [\"1:12:web:a\"] }", "{ consume: true }"), required(None, true));
    assert_eq!(
        resolved("{ consume: true }", "{ apps: [\"1:12:web:a\"] }"),
        required(Some("1:12:web:a"), false)
    );
}

#[test]
fn the_listener_for_operators() {
    check(&with("admin: { listen: 127.0.0.1:9901 }\n"), &[]);
    check(&with("admin: { listen: \"[::1]:9901\" }\n"), &[]);
    check(&with("admin: { listen: 10.0.0.1:9901 }\n"), &["FG109 admin.listen"]);
    check(&with("admin: { listen: \"[::]:9901\" }\n"), &["FG109 admin.listen"]);
    assert!(parse("firegate.yaml", &with("admin: { listen: 0.0.0.0:9901 }\n")).is_ok(), "it is a warning");
    check(&with("admin: {}\n"), &["FG008 admin.listen"]);
    check(&with("listen: 0.0.0.0:8080\nadmin: { listen: 127.0.0.1:8080 }\n"), &["FG103 admin.listen"]);
    check(
        &with("health: { listen: 127.0.0.1:9902 }\nadmin: { listen: 127.0.0.1:9902 }\n"),
        &["FG103 admin.listen"],
    );
}

#[test]
fn google_id_tokens_without_an_audience() {
    insta::assert_snapshot!(rendered(&with("users:\n  accept: [id_token, google_id_token]\n")), @r#"
        error[FG141]: `google_id_token` needs `google_audiences`: without them a token for any service would do
         --> firegate.yaml:6:22
          |
        6 |   accept: [id_token, google_id_token]
          |                      ^^^^^^^^^^^^^^^
          |
          = hint: add the audience that the callers are told to ask for, for example the public URL of this front door: `google_audiences: ["https://api.example.com"]`
        "#);
}

#[test]
fn an_audience_without_google_id_tokens() {
    insta::assert_snapshot!(rendered(&with("users:\n  google_audiences: [https://api.example.com]\n")), @r"
        error[FG141]: `google_audiences` does nothing: `users.accept` has no `google_id_token`
         --> firegate.yaml:6:3
          |
        6 |   google_audiences: [https://api.example.com]
          |   ^^^^^^^^^^^^^^^^
          |
          = hint: add `google_id_token` to `users.accept`, or remove `google_audiences`
        ");
}

#[test]
fn google_audiences_that_are_none() {
    insta::assert_snapshot!(rendered(&with("users:\n  accept: [id_token, google_id_token]\n  google_audiences: [\"\", \"a\\tb\", one, one]\n")), @r#"
        error[FG141]: an audience is a text without white space, for example the public URL of this front door
         --> firegate.yaml:7:22
          |
        7 |   google_audiences: ["", "a\tb", one, one]
          |                      ^^
          |
          = hint: write one, or remove this

        error[FG141]: an audience is a text without white space, for example the public URL of this front door
         --> firegate.yaml:7:26
          |
        7 |   google_audiences: ["", "a\tb", one, one]
          |                          ^^^^^^
          |
          = hint: write `ab`

        error[FG141]: `one` is listed twice
         --> firegate.yaml:7:39
          |
        7 |   google_audiences: ["", "a\tb", one, one]
          |                                       ^^^
          |
          = hint: remove one of them
        "#);
}

#[test]
fn a_google_audience_that_a_backend_has_too() {
    insta::assert_snapshot!(rendered(&with("users:\n  accept: [id_token, google_id_token]\n  google_audiences: [https://api-abc123-uc.a.run.app]\n").replace("[allA", "[\"serviceAccount:job@my-project.iam.gserviceaccount.com\", allA")), @r"
        warning[FG142]: `https://api-abc123-uc.a.run.app` is the audience of the backend `api` too: a Google ID token that this service received could be replayed here
         --> firegate.yaml:7:22
          |
        7 |   google_audiences: [https://api-abc123-uc.a.run.app]
          |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: let callers of this front door ask for an audience of its own, for example its public URL
        ");
}

#[test]
fn google_id_tokens_by_which_nobody_passes() {
    insta::assert_snapshot!(rendered(&with("users:\n  accept: [id_token, google_id_token]\n  google_audiences: [https://api.example.com]\n")), @r"
        warning[FG143]: `google_id_token` is accepted, and no member names a service account: nobody could pass by it
         --> firegate.yaml:6:22
          |
        6 |   accept: [id_token, google_id_token]
          |                      ^^^^^^^^^^^^^^^
          |
          = hint: add a member such as `serviceAccount:scheduler@my-project.iam.gserviceaccount.com` to `allow`; `allAuthenticatedUsers` does not mean service accounts
        ");
}

#[test]
fn service_accounts_without_google_id_tokens() {
    insta::assert_snapshot!(rendered(&MINIMAL.replace("allAuthenticatedUsers", "\"serviceAccount:job@my-project.iam.gserviceaccount.com\"")), @r#"
        warning[FG112]: this member matches nobody: service accounts do not sign in with Firebase, and `users.accept` has no `google_id_token`
         --> firegate.yaml:4:9
          |
        4 | allow: ["serviceAccount:job@my-project.iam.gserviceaccount.com"]
          |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: add `google_id_token` to `users.accept`, and `users.google_audiences`; or remove the member
        "#);
}

#[test]
fn users_where_google_id_tokens_alone_are_accepted() {
    insta::assert_snapshot!(rendered(&with("users:\n  accept: [google_id_token]\n  google_audiences: [https://api.example.com]\n").replace("[allA", "[\"serviceAccount:job@my-project.iam.gserviceaccount.com\", allA")), @r#"
        warning[FG112]: this member matches nobody: `users.accept` lets in no users, only `google_id_token`
         --> firegate.yaml:4:66
          |
        4 | allow: ["serviceAccount:job@my-project.iam.gserviceaccount.com", allAuthenticatedUsers]
          |                                                                  ^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: add `id_token` to `users.accept`, or remove the member
        "#);
}

#[test]
fn token_sources_that_do_not_go() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\ntoken_sources: [authorization, cookie, authorization]")), @r"
        error[FG127]: `cookie` reads the `__session` cookie, and `users.accept` has no `session_cookie`
         --> firegate.yaml:6:36
          |
        6 |     token_sources: [authorization, cookie, authorization]
          |                                    ^^^^^^
          |
          = hint: add `session_cookie` to `users.accept`, or remove `cookie`

        error[FG127]: this source is listed twice
         --> firegate.yaml:6:44
          |
        6 |     token_sources: [authorization, cookie, authorization]
          |                                            ^^^^^^^^^^^^^
          |
          = hint: a source is looked at once; remove one of them
        ");
}

#[test]
fn no_token_sources() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\ntoken_sources: []")), @r"
        error[FG127]: a token must be looked for somewhere
         --> firegate.yaml:6:20
          |
        6 |     token_sources: []
          |                    ^^
          |
          = hint: write `token_sources: [authorization]`, or remove the key
        ");
}

#[test]
fn a_misspelled_token_source() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\ntoken_sources: [cookies]")), @r"
        error[FG006]: `cookies` cannot stand here
         --> firegate.yaml:6:21
          |
        6 |     token_sources: [cookies]
          |                     ^^^^^^^
          |
          = hint: did you mean `cookie`?
        ");
}

#[test]
fn tokens_in_the_query() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\ntoken_sources: [authorization, query]")), @r"
        warning[FG129]: Google's load balancer and Cloud Run log the query with the token in it, which is good until it expires
         --> firegate.yaml:6:36
          |
        6 |     token_sources: [authorization, query]
          |                                    ^^^^^
          |
          = hint: for WebSockets use `websocket_protocol`, for server-sent events `fetch` with `Authorization`; or exclude these requests from the logs
        ");
}

#[test]
fn an_exchange_without_an_issuer() {
    insta::assert_snapshot!(rendered(&with("exchange: { enabled: true }\n")), @r"
        error[FG108]: the token exchange needs an `assertion.issuer`, which is the `iss` of the tokens
         --> firegate.yaml:5:22
          |
        5 | exchange: { enabled: true }
          |                      ^^^^
          |
          = hint: add the public origin of this front door: `assertion: { issuer: https://api.example.com }`
        ");
}

#[test]
fn an_exchange_whose_issuer_has_a_path() {
    insta::assert_snapshot!(rendered(&with("assertion: { issuer: https://api.example.com/door }\nexchange: { enabled: true }\n")), @r"
        error[FG108]: the token exchange needs an issuer without a path, and `https://api.example.com/door` has one
         --> firegate.yaml:5:22
          |
        5 | assertion: { issuer: https://api.example.com/door }
          |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: write `https://api.example.com`
        ");
}

#[test]
fn exchanged_tokens_without_an_issuer() {
    insta::assert_snapshot!(rendered(&with("users: { accept: [id_token, exchanged_token] }\n")), @r"
        error[FG108]: `exchanged_token` needs an `assertion.issuer`, which is the `iss` of the tokens
         --> firegate.yaml:5:29
          |
        5 | users: { accept: [id_token, exchanged_token] }
          |                             ^^^^^^^^^^^^^^^
          |
          = hint: add the public origin of this front door: `assertion: { issuer: https://api.example.com }`
        ");
}

#[test]
fn an_exchange_between_backends_of_one_audience() {
    insta::assert_snapshot!(rendered(&format!("{TWO_OF_ONE_AUDIENCE}assertion: {{ issuer: https://api.example.com }}\nexchange: {{ enabled: true }}\n")), @r"
        error[FG108]: `api` and `web` have one audience, `shop`: an exchanged token for one of them would be good at both
         --> firegate.yaml:5:48
          |
        5 |   web: { url: https://web-abc123-uc.a.run.app, audience: shop }
          |                                                ^^^^^^^^
          |
          = hint: give one of them an `audience` of its own, on Cloud Run a custom audience; or turn `exchange` off
        ");
}

#[test]
fn an_exchange_that_would_hand_out_tokens_of_firegates_own_account() {
    let text = |own: &str, exchange: bool| {
        format!(
            "project: my-project\nallow: [allAuthenticatedUsers]\nroutes: [{{ path: /*, backend: web }}]\n\
             assertion: {{ issuer: https://api.example.com }}\nexchange: {{ enabled: {exchange} }}\nbackends:\n  \
             api: {{ url: https://api-abc123-uc.a.run.app, credential: impersonate, service_account: {own}@my-project.iam.gserviceaccount.com }}\n  \
             web:\n    url: https://web-abc123-uc.a.run.app\n    credential: federate_user\n    \
             service_account: caller@my-project.iam.gserviceaccount.com\n    \
             workload_identity_provider: //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/firebase\n"
        )
    };
    let of_exchange = |own, exchange| {
        let rendered = rendered(&text(own, exchange));
        rendered
            .split("error[")
            .filter(|found| found.starts_with("FG108"))
            .map(str::to_owned)
            .collect::<String>()
    };
    insta::assert_snapshot!(of_exchange("caller", true), @r"
        FG108]: `caller@my-project.iam.gserviceaccount.com` is whom Firegate itself calls `api` as: with the token exchange users could have its tokens
          --> firegate.yaml:11:22
           |
        11 |     service_account: caller@my-project.iam.gserviceaccount.com
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = hint: give `federate_user` an account of its own; or turn `exchange` off
        ");
    assert_eq!(of_exchange("caller", false), "", "nobody gets its tokens");
    assert_eq!(of_exchange("other", true), "", "it has an account of its own");
}

#[test]
fn exchanged_tokens_for_backends_of_one_audience() {
    insta::assert_snapshot!(rendered(&format!("{TWO_OF_ONE_AUDIENCE}assertion: {{ issuer: https://api.example.com }}\nusers: {{ accept: [exchanged_token] }}\n")), @r"
        error[FG108]: `api` and `web` have one audience, `shop`: an exchanged token for one of them would be good at both
         --> firegate.yaml:5:48
          |
        5 |   web: { url: https://web-abc123-uc.a.run.app, audience: shop }
          |                                                ^^^^^^^^
          |
          = hint: give one of them an `audience` of its own, on Cloud Run a custom audience; or remove `exchanged_token` from `users.accept`
        ");
}

#[test]
fn settings_of_a_revocation_check_that_is_not_made() {
    insta::assert_snapshot!(rendered(&with("users:\n  revocation: { max_staleness: 30s, on_failure: deny }\n")), @r"
        error[FG144]: `max_staleness` does nothing: users are not looked up without `check: required`
         --> firegate.yaml:6:17
          |
        6 |   revocation: { max_staleness: 30s, on_failure: deny }
          |                 ^^^^^^^^^^^^^
          |
          = hint: add `check: required`; or `check: off`, if they are not meant to be looked up

        error[FG144]: `on_failure` does nothing: users are not looked up without `check: required`
         --> firegate.yaml:6:37
          |
        6 |   revocation: { max_staleness: 30s, on_failure: deny }
          |                                     ^^^^^^^^^^
          |
          = hint: add `check: required`; or `check: off`, if they are not meant to be looked up
        ");
}

#[test]
fn a_revocation_check_that_fails_open() {
    insta::assert_snapshot!(rendered(&with("users:\n  revocation: { check: required, on_failure: allow }\n")), @r"
        warning[FG145]: while Google cannot be asked, a disabled or revoked user passes of whom this is not known yet
         --> firegate.yaml:6:46
          |
        6 |   revocation: { check: required, on_failure: allow }
          |                                              ^^^^^
          |
          = hint: with `on_failure: deny` such a request is answered 503 until Google answers again
        ");
}

#[test]
fn streams_until_a_revocation_that_is_not_looked_for() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\nstreams: { until: revocation }")), @r"
        error[FG126]: streams cannot end at a revocation that is not looked for
         --> firegate.yaml:6:23
          |
        6 |     streams: { until: revocation }
          |                       ^^^^^^^^^^
          |
          = hint: set `users: { revocation: { check: required } }`, or use `until: token_expiry`
        ");
}

#[test]
fn app_check_without_the_project_number() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\napp_check: required")), @r#"
        error[FG102]: App Check needs the `project_number`
         --> firegate.yaml:6:16
          |
        6 |     app_check: required
          |                ^^^^^^^^
          |
          = hint: add `project_number: "123456789012"`; `gcloud projects describe PROJECT_ID --format='value(projectNumber)'` prints it
        "#);
}

#[test]
fn apps_that_are_none() {
    insta::assert_snapshot!(rendered(&with("project_number: 123456789012\nusers:\n  app_check: { apps: [\"1:999:web:abc\", \"\"] }\n")), @r#"
        warning[FG146]: `1:999:web:abc` is not the ID of an app of the project 123456789012
         --> firegate.yaml:7:23
          |
        7 |   app_check: { apps: ["1:999:web:abc", ""] }
          |                       ^^^^^^^^^^^^^^^
          |
          = hint: copy the App ID from the project settings in the Firebase console: `1:123456789012:web:…`

        error[FG146]: an app ID is a text without white space
         --> firegate.yaml:7:40
          |
        7 |   app_check: { apps: ["1:999:web:abc", ""] }
          |                                        ^^
          |
          = hint: write for example `1:123456789012:web:0123456789abcdef`
        "#);
}

#[test]
fn metrics_for_other_machines() {
    insta::assert_snapshot!(rendered(&with("admin: { listen: 0.0.0.0:9901 }\n")), @r"
        warning[FG109]: whoever reaches `0.0.0.0:9901` reads the metrics
         --> firegate.yaml:5:18
          |
        5 | admin: { listen: 0.0.0.0:9901 }
          |                  ^^^^^^^^^^^^
          |
          = hint: listen on `127.0.0.1:9901` if they are collected on this machine; else let the network keep strangers away
        ");
}

#[test]
fn metrics_on_the_public_address() {
    insta::assert_snapshot!(rendered(&with("listen: 0.0.0.0:8080\nadmin: { listen: 127.0.0.1:8080 }\n")), @r"
        error[FG103]: `admin` listens on the same address as `listen`
         --> firegate.yaml:6:18
          |
        6 | admin: { listen: 127.0.0.1:8080 }
          |                  ^^^^^^^^^^^^^^
          |
          = hint: give it another port
        ");
}
