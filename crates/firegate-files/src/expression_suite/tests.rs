use super::*;

fn suite(text: &str) -> (Option<ExpressionSuite>, String) {
    let mut diagnostics = Diagnostics::new();
    let suite = ExpressionSuite::parse("tests.yaml", text, &mut diagnostics);
    (suite, diagnostics.to_string())
}

/// Every case is told by its name and how it went.
fn check(text: &str, expected: &[(&str, &str)]) {
    let (suite, diagnostics) = suite(text);
    let suite = suite.unwrap_or_else(|| panic!("{diagnostics}"));
    let found: Vec<(&str, String)> = suite
        .cases()
        .iter()
        .map(|case| {
            let verdict = match suite.judge(case) {
                Verdict::Passed => "passed".to_owned(),
                Verdict::Failed(why) => why,
            };
            (case.name(), verdict)
        })
        .collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(name, verdict)| (*name, verdict.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_file_of_googles_tool_is_run() {
    check(
        r#"
name: "complex"
expr: >
      request.method == 'GET' &&
      request.headers['host'] == 'www.example.com' &&
      request.path == '/search' && request.query == 'q=google%21' && request.scheme == 'https'
tests:
  - name: "success"
    expect: true
    when:
      request:
        method: GET
        headers:
          "Host": "www.example.com"
        path: "/search"
        query: "q=google%21"
        scheme: "https"
      origin:
        ip: "1.2.3.4"
        asn: 15169
  - name: no host
    error: "no such key: host"
    when: { request: { method: GET, path: /search, query: q=google%21, scheme: https } }
  - name: another error is expected
    error: "no such overload"
    when: { request: { method: GET, path: /search, query: q=google%21, scheme: https } }
  - name: an error is expected
    error: "no such key"
    when: { request: { method: POST } }
  - name: nothing is said
  - name: wrongly expected
    expect: true
"#,
        &[
            ("success", "passed"),
            ("no host", "passed"),
            (
                "another error is expected",
                "expected an error that says \"no such overload\", got the error \"no such key: host\"",
            ),
            ("an error is expected", "expected an error that says \"no such key\", got false"),
            ("nothing is said", "passed"),
            ("wrongly expected", "expected true, got false"),
        ],
    );
}

#[test]
fn what_firegate_does_not_evaluate_can_be_said_by_a_test() {
    check(
        "name: n\nexpr: token.recaptcha_action.score >= 0.8 && token.recaptcha_action.valid\ntests:\n\
         - { name: human, expect: true, when: { token: { recaptcha_action: { score: 1, valid: true } } } }\n\
         - { name: robot, expect: false }\n",
        &[("human", "passed"), ("robot", "passed")],
    );
    check(
        "name: n\nexpr: evaluatePreconfiguredWaf('sqli-v33-stable')\ntests: [{ name: a, expect: false }]\n",
        &[("a", "expected false, got unknown: evaluatePreconfiguredWaf is not evaluated here")],
    );
}

#[test]
fn a_test_can_have_a_user_and_be_of_a_condition() {
    check(
        "name: n\nlanguage: iam\ndialect: firegate\n\
         expr: request.auth.token.role == 'admin' && request.time.getHours() == 10 && auth.uid == 'alice'\ntests:\n\
         - name: a\n  expect: true\n  when:\n    request: { time: '2026-11-29T10:30:00Z' }\n\
         \x20   auth: { uid: alice, token: { role: admin } }\n\
         - { name: b, error: no verified user, when: { request: { time: 1798712400 } } }\n",
        &[("a", "passed"), ("b", "passed")],
    );
}

#[test]
fn what_is_wrong_in_a_file_is_told_in_its_place() {
    let refused = |text: &str, parts: &[&str]| {
        let (suite, diagnostics) = suite(text);
        assert!(suite.is_none(), "{text}");
        for part in parts {
            assert!(diagnostics.contains(part), "{part} is not in:\n{diagnostics}");
        }
    };
    refused("- a\n", &["no file of tests"]);
    refused("name: n\ntests: [{ name: a }]\n", &["`expr` is missing"]);
    refused("name: n\nexpr: 'true'\n", &["no `tests`"]);
    refused("name: n\nexpr: 'true'\ntests: [{ expect: perhaps }]\n", &["`true` or `false`", "tests.yaml:3"]);
    refused("name: n\nexpr: 'true'\ntests: [{ expect: true, error: x }]\n", &["either a result or an error"]);
    refused("name: n\nlanguage: cel\nexpr: 'true'\ntests: [{ name: a }]\n", &["`armor` or `iam`"]);
    refused(
        "name: n\nexpr: >\n  request.method == 'GET' &&\n  request.metod == 'GET'\ntests: [{ name: a }]\n",
        &["FG504", "did you mean `request.method`?", "tests.yaml:4:3"],
    );
}

#[test]
fn what_google_passes_over_is_told_and_does_no_harm() {
    let (suite, diagnostics) = suite(
        "name: n\nexpr: request.method == 'GET'\ntests:\n- name: a\n  when: { request: { methd: GET, body: x }, origin: { asn: many } }\n",
    );
    assert!(suite.is_some(), "{diagnostics}");
    for part in [
        "`request.methd` is not evaluated",
        "did you mean `request.method`?",
        "`request.body`",
        "`origin.asn`",
    ] {
        assert!(diagnostics.contains(part), "{part} is not in:\n{diagnostics}");
    }
}
