use super::*;

const AUDIENCE: &str = "https://api.example.com";

/// A complete form with some parameters replaced, or left out where the replacement is `None`, and more at its end.
fn form(changes: &[(&str, Option<&str>)], more: &str) -> String {
    let usual = [
        ("grant_type", TOKEN_EXCHANGE_GRANT),
        ("subject_token", "a.b.c"),
        ("subject_token_type", ID_TOKEN_TYPE),
        ("audience", AUDIENCE),
    ];
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in usual {
        match changes.iter().find(|(changed, _)| *changed == name) {
            Some((_, None)) => {}
            Some((_, Some(value))) => drop(form.append_pair(name, value)),
            None => drop(form.append_pair(name, value)),
        }
    }
    for (name, value) in changes.iter().filter(|(name, _)| usual.iter().all(|(usual, _)| usual != name)) {
        form.append_pair(name, value.unwrap_or_default());
    }
    format!("{}{more}", form.finish())
}

#[test]
fn a_complete_form_is_understood() {
    let check = |changes: &[(&str, Option<&str>)], expected: (bool, &str, RequestedToken)| {
        let request = ExchangeRequest::parse(form(changes, "").as_bytes()).expect("a request");
        assert_eq!(request.subject_token, "a.b.c");
        assert_eq!(
            (request.subject_is_id_token, &*request.audience, request.requested),
            expected,
            "{changes:?}"
        );
        assert!(!format!("{request:?}").contains("a.b.c"));
    };
    check(&[], (true, AUDIENCE, RequestedToken::Firegate));
    check(&[("subject_token_type", Some(JWT_TOKEN_TYPE))], (false, AUDIENCE, RequestedToken::Firegate));
    check(&[("requested_token_type", Some(JWT_TOKEN_TYPE))], (true, AUDIENCE, RequestedToken::Firegate));
    check(&[("requested_token_type", Some(ID_TOKEN_TYPE))], (true, AUDIENCE, RequestedToken::GoogleIdToken));
    check(&[("audience", None), ("resource", Some("r"))], (true, "r", RequestedToken::Firegate));
    check(
        &[("scope", Some("")), ("client_id", Some("app")), ("x", Some("y"))],
        (true, AUDIENCE, RequestedToken::Firegate),
    );
}

#[test]
fn everything_else_is_refused_by_the_errors_of_the_rfcs() {
    let check = |changes: &[(&str, Option<&str>)], more: &str, expected: ExchangeErrorCode| {
        let error = ExchangeRequest::parse(form(changes, more).as_bytes()).expect_err("an error");
        assert_eq!(error.code, expected, "{changes:?} {more}: {error:?}");
        let description = error.body()["error_description"].as_str().map(str::to_owned).unwrap_or_default();
        assert!(
            description.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\')
        );
    };
    use ExchangeErrorCode::{InvalidRequest, InvalidScope, InvalidTarget, UnsupportedGrantType};
    for name in ["grant_type", "subject_token", "subject_token_type"] {
        check(&[(name, None)], "", InvalidRequest);
        check(&[(name, Some(""))], "", InvalidRequest);
    }
    check(&[("grant_type", Some("password"))], "", UnsupportedGrantType);
    check(
        &[("subject_token_type", Some("urn:ietf:params:oauth:token-type:access_token"))],
        "",
        InvalidRequest,
    );
    check(
        &[("requested_token_type", Some("urn:ietf:params:oauth:token-type:access_token"))],
        "",
        InvalidRequest,
    );
    check(&[("actor_token", Some("a.b.c"))], "", InvalidRequest);
    check(&[("actor_token_type", Some(JWT_TOKEN_TYPE))], "", InvalidRequest);
    check(&[("scope", Some("admin"))], "", InvalidScope);
    check(&[("audience", None)], "", InvalidTarget);
    check(&[("resource", Some("https://b.example"))], "", InvalidTarget);
    check(&[], "&audience=https%3A%2F%2Fb.example", InvalidTarget);
    check(&[], "&subject_token=d.e.f", InvalidRequest);
    check(&[], "&grant%5Ftype=password", InvalidRequest);
    check(&[], &"&x=y".repeat(EXCHANGE_FORM_BYTES_MAX), InvalidRequest);
    assert_eq!(ExchangeRequest::parse(b"{}").map_err(|error| error.code), Err(InvalidRequest));
}
