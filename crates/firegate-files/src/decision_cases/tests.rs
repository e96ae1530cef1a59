use super::*;

const CODES: &[&str] = &["TOKEN_MISSING", "TOKEN_EXPIRED"];

fn findings(text: &str) -> Vec<String> {
    match parse("cases.yaml", text, CODES) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(|found| format!("{} {}", found.code, found.path)).collect(),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(findings(text), expected, "{text}");
}

/// A file with one case that has these lines beside its name.
fn case(lines: &str) -> String {
    format!("cases:\n- name: a case\n{}", lines.lines().map(|line| format!("  {line}\n")).collect::<String>())
}

const RIGHT: &str = "request: GET https://api.example.com/a\nexpect: { passes_to: api }\n";

fn only(text: &str) -> DecisionCase {
    parse("cases.yaml", text, CODES).expect("it is right").cases.remove(0)
}

#[test]
fn a_case_says_who_asks_for_what_and_what_becomes_of_it() {
    let text = case(
        "source: https://example.com/page\nnow: 2027-01-15T08:00:00Z\nrequest: POST http://api.example.com:8080/a//b?c=%2F\n\
         user: { uid: ada, email: ada@example.com, claims: { role: [editor, 3], deep: { a: null } } }\nrepeat: 3\n\
         before:\n- { request: GET https://a.example.com, user: eve, now: '2027-01-15T07:59:00Z' }\n\
         expect: { refused: TOKEN_EXPIRED, status: 401 }",
    );
    let found = only(&text);
    assert_eq!((found.name.as_str(), found.line), ("a case", 2));
    assert_eq!(found.arrival.at_seconds, Some(1_800_000_000));
    assert_eq!(found.arrival.method, "POST");
    assert_eq!(found.arrival.target.url(), "http://api.example.com:8080/a//b?c=%2F");
    assert!(!found.arrival.target.is_https);
    assert_eq!(found.arrival.client.to_string(), "203.0.113.1");
    let user = found.arrival.user.expect("a user");
    assert!(user.email_verified);
    assert_eq!(user.claims["role"], serde_json::json!(["editor", 3]));
    assert_eq!(user.claims["deep"], serde_json::json!({"a": null}));
    let [before] = found.before.as_slice() else { panic!("one before") };
    assert_eq!(before.at_seconds, Some(1_799_999_940));
    assert_eq!(before.target.path_and_query, "/");
    assert_eq!(found.expected, Expected::Refused { code: "TOKEN_EXPIRED".to_owned(), status: Some(401) });
}

#[test]
fn headers_may_be_repeated_and_the_client_be_anywhere() {
    let text = case(
        "request: { url: 'https://a.example.com', headers: { X-A: b, Y: [c, d] }, client: '2001:db8::1' }\n\
         expect: { passes_to: api, headers: { X-B: c }, path: /b }",
    );
    let found = only(&text);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(found.arrival.headers, [pair("x-a", "b"), pair("y", "c"), pair("y", "d")]);
    assert_eq!(found.arrival.client.to_string(), "2001:db8::1");
    let Expected::Passes { headers, path_and_query, .. } = found.expected else { panic!("it passes") };
    assert_eq!((headers, path_and_query.as_deref()), (vec![pair("x-b", "c")], Some("/b")));
}

#[test]
fn a_configuration_is_a_file_or_a_text_of_several_lines() {
    let with = |configuration: &str| {
        let text = format!("configuration: {configuration}\nfiles: {{ a.yaml: 'x: 1' }}\n{}", case(RIGHT));
        parse("cases.yaml", &text, CODES).expect("it is right")
    };
    let file = with("../firegate.yaml");
    assert_eq!(file.configuration, Some(ConfigurationSource::File("../firegate.yaml".into())));
    assert_eq!(file.files[&PathBuf::from("a.yaml")], "x: 1");
    let text = with("|\n  project: demo\n  allow: []");
    assert_eq!(text.configuration, Some(ConfigurationSource::Text("project: demo\nallow: []\n".to_owned())));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    check("", &["FG008 cases"]);
    check("cases: []", &["FG008 cases"]);
    check(
        &format!("{}- name: a case\n  {}", case(RIGHT), RIGHT.replace('\n', "\n  ")),
        &["FG003 cases[1].name"],
    );
    check(
        "cases: [{ request: GET https://a.example.com/, expect: { passes_to: api } }]",
        &["FG008 cases[0].name"],
    );
    check(&case("expect: { passes_to: api }"), &["FG008 cases[0].request"]);
    check(&case("request: GET https://a.example.com/"), &["FG008 cases[0].expect"]);
    check(&case("request: GET /path\nexpect: { passes_to: api }"), &["FG121 cases[0].request"]);
    check(&case("request: 'GE T https://a.b/'\nexpect: { passes_to: api }"), &["FG121 cases[0].request"]);
    check(
        &case("request: GET https://a.b/#c\nexpect: { passes_to: api, statu: 2 }"),
        &["FG004 cases[0].expect.statu"],
    );
    check(&case(&format!("{RIGHT}now: yesterday")), &["FG011 cases[0].now"]);
    check(&case(&format!("{RIGHT}repeat: 0")), &["FG011 cases[0].repeat"]);
    check(&case(&format!("{RIGHT}user: {{ email: a@b.c }}")), &["FG008 cases[0].user.uid"]);
    check(
        &case("request: { url: 'https://a.b/', client: nobody }\nexpect: { passes_to: api }"),
        &["FG006 cases[0].request.client"],
    );
    let expecting = |expect: &str| case(&format!("request: GET https://a.b/\nexpect: {expect}"));
    check(&expecting("{}"), &["FG113 cases[0].expect"]);
    check(&expecting("{ passes_to: api, refused: TOKEN_MISSING }"), &["FG113 cases[0].expect"]);
    check(&expecting("{ passes_to: api, status: 200 }"), &["FG113 cases[0].expect"]);
    check(&expecting("{ refused: TOKEN_MISSING, path: / }"), &["FG113 cases[0].expect"]);
    check(&expecting("{ refused: TOKEN_MISING }"), &["FG006 cases[0].expect.refused"]);
    let found = parse("cases.yaml", &expecting("{ refused: TOKEN_MISING }"), CODES).expect_err("it is wrong");
    assert!(found.to_string().contains("did you mean `TOKEN_MISSING`?"), "{found}");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = json_schema();
    assert!(schema["properties"]["cases"]["description"].is_string());
    assert!(schema["$defs"]["UserFull"]["properties"]["token"]["description"].is_string());
}
