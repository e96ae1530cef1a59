//! Service accounts as callers: what their Google ID tokens may be for, and whom they let in.

use super::*;

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
