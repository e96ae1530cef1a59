//! The token exchange: who issues what it hands out, and for which backends.

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

/// Without the exchange too: the token endpoints are public, and the user holds the token.
#[test]
fn an_account_that_firegate_itself_calls_with_is_no_account_of_users() {
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
    let errors = |own, exchange| {
        let rendered = rendered(&text(own, exchange));
        let errors = rendered.split_once("error[").map(|(_, error)| error.to_owned());
        errors.unwrap_or_default()
    };
    insta::assert_snapshot!(errors("caller", true), @r"
        FG128]: `caller@my-project.iam.gserviceaccount.com` is whom Firegate itself calls `api` as: every user whom the provider admits could call it without Firegate, whatever its `allow` says
          --> firegate.yaml:11:22
           |
        11 |     service_account: caller@my-project.iam.gserviceaccount.com
           |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = hint: give `federate_user` an account of its own
        ");
    assert_eq!(errors("caller", false), errors("caller", true));
    assert_eq!(errors("other", true), "", "it has an account of its own");
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
