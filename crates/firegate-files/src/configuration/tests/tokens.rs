//! Where users' tokens are looked for, and what is known of the users behind them.

use super::*;

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
fn revocation() {
    let file = |revocation: &str| with(&format!("users: {{ revocation: {{ {revocation} }} }}\n"));
    check(&file("check: required"), &[]);
    check(&file("check: required, max_staleness: 30s, on_failure: deny"), &[]);
    check(&file("check: off, max_staleness: 30s, on_failure: allow"), &[]);
    check(&file(""), &["FG144 users.revocation"]);
    check(&file("check: on"), &["FG006 users.revocation.check"]);
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
