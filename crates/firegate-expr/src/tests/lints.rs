use super::parse;
use crate::{Dialect, Language, code};

#[track_caller]
fn check_in(language: Language, text: &str, expected: &[(&str, &str)]) {
    let lints = parse(text, language, Dialect::Firegate).lints();
    let found: Vec<(&str, String)> = lints
        .iter()
        .map(|lint| (lint.code, format!("{} | {}", lint.message, lint.hint.as_deref().unwrap_or(""))))
        .collect();
    assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
    for ((code, said), (expected_code, part)) in found.iter().zip(expected) {
        assert!(
            code == expected_code && said.contains(part),
            "{text}: {found:#?}, not {expected_code} {part}"
        );
    }
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    check_in(Language::Armor, text, expected);
}

#[test]
fn sound_expressions_have_no_lints() {
    for text in [
        "request.path.startsWith('/admin/') && origin.region_code != 'AU'",
        "has(request.headers['x-a']) && request.headers['x-a'] == 'b'",
        "request.headers['x-a'] == 'b' && has(request.headers['x-a'])",
        "!has(request.headers['x-a']) || request.headers['x-a'] != 'b'",
        "has(request.headers['x-a']) && (request.headers['x-a'] == 'b' || request.headers['x-a'].contains('c'))",
        "has(auth.token.role) && auth.token.role == 'admin'",
        "has(auth.token.org) && has(auth.token.org.id) && auth.token.org.id == 'a'",
        "'role' in auth.token && auth.token['role'] == 'admin'",
        "has(request.headers['x-a']) ? request.headers['x-a'] == 'b' : false",
        "request.headers['host'] == 'example.com'",
        "auth.token.sub == 'a' && auth.token.firebase.sign_in_provider == 'b'",
        "auth.email == 'a@b.c' && auth.email_verified",
        "true",
        "request.method == 'GET' || request.method == 'HEAD'",
        "request.method != 'GET' && request.method != 'HEAD'",
    ] {
        let lints: Vec<_> = parse(text, Language::Armor, Dialect::Firegate).lints();
        let lints: Vec<_> = lints
            .iter()
            .filter(|lint| !text.contains("firebase.") || lint.code != code::HAS_MISSING)
            .collect();
        assert!(lints.is_empty(), "{text}: {lints:?}");
    }
}

#[test]
fn what_no_path_in_normal_form_has_is_found() {
    let normal = code::NOT_NORMAL;
    check(
        "request.path.contains('//')",
        &[(normal, "`request.path` never has `//` there | doubled slashes")],
    );
    check("request.path.startsWith('/./a')", &[(normal, "resolved")]);
    check("request.path.endsWith('/..')", &[(normal, "resolved")]);
    check("request.path == '/a/../b'", &[(normal, "never equal to")]);
    check("'/a/../b' != request.path", &[(normal, "always different from")]);
    check(r"request.path.contains('..\\')", &[(normal, "write `/`")]);
    check("request.path.contains('%2e%2e')", &[(normal, "write `%2E`")]);
    check("request.path == '/a b'", &[(normal, "write `/a%20b`")]);
    check("request.path.lower().contains('/../')", &[(normal, "`request.path.lower()` never has")]);
    check(r"request.path.matches('/\\.\\./')", &[(normal, "never matches")]);
    check(r"request.path.matches('(?i)(?:\\.\\.%5c|^/+/|/\\.$)')", &[]);
    check(r"request.path.matches('(?i)(?:/\\.\\.%5c|^//+|/\\.$)')", &[(normal, "never matches")]);
    check_in(Language::IamCondition, "request.path.startsWith('/a//')", &[(normal, "doubled")]);
    for possible in [
        "request.path.contains('..')",
        "request.path.contains('/..')",
        "request.path.contains('../')",
        "request.path.contains('/.')",
        "request.path.endsWith('..')",
        "request.path.lower().contains('%c3')",
        "request.path.matches('/{1,2}a')",
        "request.path.contains('%2F')",
        "request.query.contains('//')",
    ] {
        check(possible, &[]);
    }
    let encoded =
        parse("request.path.contains('%2F')", Language::Armor, Dialect::Firegate).encoded_slash_lints();
    assert_eq!(encoded.iter().map(|lint| lint.code).collect::<Vec<_>>(), [code::ENCODED_SLASH]);
}

#[test]
fn a_list_is_looked_at_text_by_text() {
    let normal = code::NOT_NORMAL;
    check(
        "request.path in ['/a', '/a//b', '/c/../d', '/e']",
        &[(normal, "`request.path` is never equal to `/a//b` | doubled"), (normal, "`/c/../d`")],
    );
    check("request.path.lower() in ['/a b']", &[(normal, "`request.path.lower()` is never equal to")]);
    check("!(request.path in ['admin'])", &[(code::NEVER_EQUAL, "begins with `/`")]);
    check("request.query in ['//']", &[]);
    check("'//' in [request.path]", &[]);
}

#[test]
fn what_no_decoded_path_has_is_found() {
    let normal = code::NOT_NORMAL;
    check(
        "request.path.urlDecode().contains('/../')",
        &[(normal, "`request.path.urlDecode()` never has `/../` there | dot segments")],
    );
    check("request.path.lower().urlDecodeUni().endsWith('/..')", &[(normal, "resolved")]);
    check("request.path.urlDecode().contains('/..;')", &[(normal, "refused")]);
    check("request.path.urlDecode().contains('%2e')", &[(normal, "encoded twice")]);
    check(r"request.path.urlDecode().contains('\x00')", &[(normal, "control character")]);
    check("request.path.urlDecode().startsWith('admin')", &[(code::NEVER_EQUAL, "begins with `/`")]);
    check(r"request.path.urlDecode().matches('(?i)/\\.\\./')", &[(normal, "never matches")]);
    check("request.path.urlDecode() in ['/a', '/a/..']", &[(normal, "never equal to `/a/..`")]);
    for possible in [
        "request.path.urlDecode().contains('?')",
        "request.path.urlDecode().contains('#')",
        "request.path.urlDecode().contains(' ')",
        "request.path.urlDecode().contains('ü')",
        "request.path.urlDecode().contains('%')",
        "request.path.urlDecode().contains('%2')",
        "request.path.urlDecode().contains('%41')",
        "request.path.urlDecode().contains('../')",
        // What is decoded twice may be anything.
        "request.path.urlDecode().urlDecode().contains('%2e')",
        "request.query.urlDecode().contains('//')",
    ] {
        check(possible, &[]);
    }
    for separated in ["//", r"\\", r"..\\", "/a//b"] {
        let text = format!("request.path.urlDecode().contains('{separated}')");
        check(&text, &[]);
        let encoded = parse(&text, Language::Armor, Dialect::Firegate).encoded_slash_lints();
        assert_eq!(encoded.iter().map(|lint| lint.code).collect::<Vec<_>>(), [code::ENCODED_SLASH], "{text}");
    }
}

#[test]
fn traps_are_found() {
    let header = code::HEADER_NAME;
    let has = code::HAS_MISSING;
    check("has(request.headers['Referer'])", &[(header, "request.headers['referer']")]);
    check("request.headers['x-a'] == 'b'", &[(has, "has(request.headers['x-a'])")]);
    check(
        "request.headers['X-A'] == 'b'",
        &[(header, "['x-a']"), (has, "write `has(request.headers['x-a'])")],
    );
    check("auth.token.Role == 'b'", &[(has, "write `has(auth.token.Role)")]);
    check("request.headers['x-a'] == 'b' || has(request.headers['x-a'])", &[(has, "x-a")]);
    check("has(request.headers['x-b']) && request.headers['x-a'] == 'b'", &[(has, "x-a")]);
    check("auth.token.role == 'admin'", &[(has, "has(auth.token.role)")]);
    check("origin.region_code != 'AU' || origin.region_code != 'US'", &[(code::CONSTANT, "always true")]);
    check("request.method == 'GET' && request.method == 'HEAD'", &[(code::CONSTANT, "never true")]);
    check("request.path == '/a' || true", &[(code::CONSTANT, "always true")]);
    check("request.path == request.path", &[(code::CONSTANT, "the same")]);
    check("request.method == 'get'", &[(code::NEVER_EQUAL, "'GET'")]);
    check("'get' != request.method", &[(code::NEVER_EQUAL, "always different from")]);
    check("request.scheme == 'HTTPS'", &[(code::NEVER_EQUAL, "'https'")]);
    check("request.headers['host'] == 'A.example'", &[(code::NEVER_EQUAL, "'a.example'")]);
    check("request.headers['host'] != 'a.example.'", &[(code::NEVER_EQUAL, "no dot at its end")]);
    check("request.headers['host'].endsWith('.Example')", &[(code::NEVER_EQUAL, "'.example'")]);
    check("request.headers['host'].upper().endsWith('.EXAMPLE')", &[]);
    check("request.headers['host'].startsWith('a.')", &[]);
    check("request.path == '/a?b=c'", &[(code::NEVER_EQUAL, "request.query")]);
    check("request.path.startsWith('admin')", &[(code::NEVER_EQUAL, "begins with `/`")]);
    check("request.path.contains('?x')", &[(code::NEVER_EQUAL, "request.query")]);
    check("origin.region_code == 'UK'", &[(code::NEVER_EQUAL, "'GB'")]);
    check("origin.region_code == 'au'", &[(code::NEVER_EQUAL, "'AU'")]);
    check("auth.provider == 'google'", &[(code::NEVER_EQUAL, "'google.com'")]);
    check(
        "has(request.headers['x-forwarded-for']) && inIpRange(request.headers['x-forwarded-for'], '10.0.0.0/8')",
        &[(code::FORWARDED_FOR, "origin.user_ip")],
    );
    check("auth.email.endsWith('@example.com')", &[(code::EMAIL_UNVERIFIED, "auth.email_verified")]);
    let own = [(code::SELF_WRITTEN, "a custom claim of another name")];
    check("has(auth.token.name) && auth.token.name == 'Boss'", &own);
    check("'picture' in auth.token && auth.token['picture'].startsWith('https://a.b/')", &own);
    check_in(
        Language::IamCondition,
        "has(request.auth.token.name) && request.auth.token.name == 'Boss'",
        &own,
    );
    check("has(auth.token.org) && has(auth.token.org.name) && auth.token.org.name == 'a'", &[]);
    check("evaluatePreconfiguredWaf('x')", &[(code::NOT_EVALUATED, "evaluatePreconfiguredWaf")]);
    check(
        "!evaluatePreconfiguredWaf('x')",
        &[(code::NOT_EVALUATED, "unknown"), (code::UNKNOWN_NEGATED, "have to be false")],
    );
    check("token.recaptcha_action.score >= 0.8", &[(code::NOT_EVALUATED, "token.recaptcha_action.score")]);
    check(
        "token.recaptcha_action.valid == false",
        &[(code::NOT_EVALUATED, "unknown"), (code::UNKNOWN_NEGATED, "have to be false")],
    );
    check_in(Language::IamCondition, "request.auth.token.role == 'a'", &[(has, "auth.token.role")]);
    for (text, name) in [
        ("resource.matchTag('1/env', 'prod')", "resource.matchTag"),
        ("!resource.matchTag('1/env', 'prod')", "resource.matchTag"),
        ("resource.name.startsWith('projects/p')", "resource.name"),
        ("destination.port == 443", "destination.port"),
        ("'a' in request.auth.access_levels", "request.auth.access_levels"),
    ] {
        check_in(Language::IamCondition, text, &[(code::NOT_EVALUATED, name)]);
        check_in(Language::IamCondition, text, &[(code::NOT_EVALUATED, "a binding grants nothing")]);
    }
    check_in(Language::IamCondition, "request.host == 'https://a/b'", &[(code::NEVER_EQUAL, "no path")]);
}
