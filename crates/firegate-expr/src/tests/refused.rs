use crate::{Dialect, Expression, Language, code};

#[track_caller]
fn check(text: &str, language: Language, dialect: Dialect, expected: &[(&str, &str)]) {
    let errors = match Expression::parse(text, language, dialect) {
        Ok(_) => panic!("{text} is accepted"),
        Err(errors) => errors,
    };
    for error in &errors {
        assert!(text.get(error.span.clone()).is_some(), "{error:?}");
    }
    let found: Vec<(&str, String)> = errors
        .iter()
        .map(|error| {
            (error.code, format!("{} | {}", error.message, error.hint.as_deref().unwrap_or_default()))
        })
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
fn armor(text: &str, code: &str, part: &str) {
    check(text, Language::Armor, Dialect::Gcloud, &[(code, part)]);
}

#[track_caller]
fn iam(text: &str, code: &str, part: &str) {
    check(text, Language::IamCondition, Dialect::Gcloud, &[(code, part)]);
}

#[test]
fn what_google_does_not_have_is_refused_with_what_to_write_instead() {
    armor("inIPRange(origin.ip, '1.2.3.0/24')", code::UNKNOWN_FUNCTION, "did you mean `inIpRange`?");
    armor("request.path.startswith('/a')", code::UNKNOWN_FUNCTION, "did you mean `startsWith`?");
    armor("request.host == 'a'", code::UNKNOWN_ATTRIBUTE, "request.headers['host']");
    armor("source.region_code == 'AU'", code::UNKNOWN_ATTRIBUTE, "origin.region_code");
    armor("request.url.contains('x')", code::UNKNOWN_ATTRIBUTE, "request.path");
    armor("request.header.user_agent == 'x'", code::UNKNOWN_ATTRIBUTE, "request.headers['user-agent']");
    armor("token.sub == 'alice'", code::UNKNOWN_ATTRIBUTE, "auth.token.sub");
    armor("auth.claims['role'] == 'x'", code::UNKNOWN_ATTRIBUTE, "auth.token.role");
    armor("request.auth.token.role == 'x'", code::UNKNOWN_ATTRIBUTE, "auth.token.role");
    armor("request.metho == 'GET'", code::UNKNOWN_ATTRIBUTE, "did you mean `request.method`?");
    armor("request.body.contains('x')", code::UNKNOWN_ATTRIBUTE, "announced");
    armor("request.method == GET", code::UNKNOWN_ATTRIBUTE, "quotes");
    armor("origin.ip in ['1.2.3.4']", code::FIREGATE_ONLY, "joined by `||`");
    armor("true ? false : true", code::FIREGATE_ONLY, "`?`");
    armor("auth.uid == 'a'", code::FIREGATE_ONLY, "dialect: firegate");
    armor("origin.asn / 2 == 1", code::FIREGATE_ONLY, "`/`");
    armor("-origin.asn == 1", code::FIREGATE_ONLY, "0 -");
    armor("['a'].exists(x, x == 'a')", code::NOT_IN_LANGUAGE, "macros");
    armor("request.path == b'x'", code::NOT_IN_LANGUAGE, "`b`");
    armor("origin.asn == 1u", code::NOT_IN_LANGUAGE, "`u`");
    armor("request.path.toLowerCase() == 'x'", code::UNKNOWN_FUNCTION, ".lower()");
    armor("resource.name == 'x'", code::UNKNOWN_ATTRIBUTE, "belongs to IAM conditions");
    armor("timestamp('2027-01-01T00:00:00Z') == 1", code::UNKNOWN_FUNCTION, "belongs to IAM conditions");
    armor("request.path.abrakadabra()", code::UNKNOWN_FUNCTION, "see the functions");
    iam("request.headers['a'] == 'b'", code::UNKNOWN_ATTRIBUTE, "");
    iam("origin.ip == '1.2.3.4'", code::UNKNOWN_ATTRIBUTE, "belongs to Cloud Armor");
    iam("inIpRange(destination.ip, '10.0.0.0/8')", code::FIREGATE_ONLY, "Cloud Armor");
    iam("request.auth.claims.role == 'x'", code::UNKNOWN_ATTRIBUTE, "auth.token.role");
}

#[test]
fn types_are_checked() {
    armor("request.path", code::TYPE, "has to be true or false");
    armor("request.path == 5", code::TYPE, "does not take a string and a int");
    armor("request.path < 'a'", code::TYPE, "`<`");
    armor("origin.asn == 1.0", code::TYPE, "with a fraction");
    armor("origin.asn && true", code::TYPE, "`&&` takes a bool");
    armor("!request.path", code::TYPE, "`!` takes a bool");
    armor("request.headers == 'a'", code::TYPE, "is a map");
    armor("request.path.foo == 'a'", code::TYPE, "no part `foo`");
    armor("request.path.lower == 'a'", code::TYPE, "`.lower()`");
    armor("request.path.contains(5)", code::TYPE, "takes a string");
    armor("request.path.contains()", code::TYPE, "1 argument(s)");
    armor("contains(request.path, 'a')", code::UNKNOWN_FUNCTION, "value.contains");
    armor("has(origin.ip)", code::TYPE, "always there");
    armor("has(request.headers['User-Agent'.lower()])", code::TYPE, "written down");
    armor("has(request.path == 'a')", code::TYPE, "one key");
    armor("request.path.startsWith('a') + 1 == 2", code::TYPE, "`+`");
    iam("request.time == 'x'", code::TYPE, "timestamp");
    iam("request.time.getHours('Europe/Atlantis') == 1", code::ARGUMENT, "time zone");
    iam("request.path.getHours() == 1", code::TYPE, "asks a timestamp");
    iam("5 in ['a']", code::TYPE, "is looked for");
    iam("'a' in request.path", code::TYPE, "list or a map");
    check("[1] == [1]", Language::IamCondition, Dialect::Gcloud, &[(code::NOT_IN_LANGUAGE, "a list"); 2]);
}

#[test]
fn arguments_that_can_be_known_to_be_wrong_are_refused() {
    armor("inIpRange(origin.ip, '1.2.3.4')", code::ARGUMENT, "1.2.3.4/32");
    armor("inIpRange(origin.ip, '1.2.3.4/40')", code::ARGUMENT, "no range");
    armor("request.path.matches('(a)')", code::REGULAR_EXPRESSION, "(?:");
    armor("request.path.matches('(?=a)')", code::REGULAR_EXPRESSION, "ahead");
    armor("request.path.matches(request.query)", code::REGULAR_EXPRESSION, "written down");
    armor("evaluatePreconfiguredWaf('a', {'sensitivity': 5})", code::ARGUMENT, "0 to 4");
    armor("evaluatePreconfiguredWaf('a', ['x'])", code::ARGUMENT, "options are a map");
    armor("int('12x') == 1", code::ARGUMENT, "whole number");
    armor("evaluateThreatIntelligence(5)", code::ARGUMENT, "texts");
    iam("request.time < timestamp('2027-01-01')", code::ARGUMENT, "RFC 3339");
    iam("duration('1') > duration('1s')", code::ARGUMENT, "length of time");
    iam("resource.name.extract('abc') == ''", code::ARGUMENT, "in braces");
}

#[test]
fn googles_limits_hold_in_its_dialect() {
    let part = "request.path != '/a'";
    assert!(Expression::parse(&[part; 5].join(" && "), Language::Armor, Dialect::Gcloud).is_ok());
    armor(&[part; 6].join(" && "), code::GOOGLE_LIMIT, "6 subexpressions");
    armor(&format!("!({}) || {part}", [part; 5].join(" && ")), code::GOOGLE_LIMIT, "6 subexpressions");
    let long = format!("request.path != '{}'", "a".repeat(1020));
    armor(&long, code::GOOGLE_LIMIT, "1024");
    let fits = format!("request.path != '/{}'", "a".repeat(1004));
    assert_eq!(fits.len(), 1023);
    assert!(Expression::parse(&fits, Language::Armor, Dialect::Gcloud).is_ok());
    check(
        &[fits.as_str(), fits.as_str(), part].join(" && "),
        Language::Armor,
        Dialect::Gcloud,
        &[(code::GOOGLE_LIMIT, "2048")],
    );
    armor(
        "request.path.matches('a') || request.query.matches('b')",
        code::GOOGLE_LIMIT,
        "`matches` at most 1",
    );
    assert!(Expression::parse(&[part; 13].join(" && "), Language::IamCondition, Dialect::Gcloud).is_ok());
    iam(&[part; 14].join(" && "), code::GOOGLE_LIMIT, "13 logical operators");
}

#[test]
fn what_is_no_expression_is_refused_where_it_stops_being_one() {
    armor("", code::SYNTAX, "empty");
    armor("  // nothing", code::SYNTAX, "empty");
    armor("request.method = 'GET'", code::SYNTAX, "`==`");
    armor("a & b", code::SYNTAX, "`&&`");
    armor("true and false", code::SYNTAX, "`&&`");
    armor("true && # no comment\nfalse", code::SYNTAX, "`//`");
    armor("request.method == ‘GET’", code::SYNTAX, "straight quotes");
    armor("request.method == 'GET", code::SYNTAX, "not closed");
    armor("'a\nb' == 'a'", code::SYNTAX, "not closed");
    armor("(true", code::SYNTAX, "`)`");
    armor("true)", code::SYNTAX, "the end");
    armor("request..method", code::SYNTAX, "a name");
    armor("request.path.matches('\\d')", code::SYNTAX, "raw text");
    armor("'\\u12' == ''", code::SYNTAX, "4 digits");
    armor("'\\ud800' == ''", code::SYNTAX, "no character");
    armor("99999999999999999999 == 1", code::SYNTAX, "64 bits");
    armor("9223372036854775808 == 1", code::SYNTAX, "64 bits");
    armor("1a == 1", code::SYNTAX, "letter follows");
    armor("package == 'a'", code::SYNTAX, "reserved");
    armor("request.headers.`a-b` == 'a'", code::SYNTAX, "request.headers['the-key']");
}

#[test]
fn what_is_too_large_is_refused_and_never_overflows() {
    let code = code::TOO_LARGE;
    let deep =
        |open: &str, close: &str, times: usize| format!("{}true{}", open.repeat(times), close.repeat(times));
    armor(&deep("(", ")", 60), code, "deeper");
    armor(&deep("(", ")", 7000), code, "deeper");
    armor(&format!("{}true", "!".repeat(9000)), code, "signs");
    armor(&format!("origin.asn == {}", ["1"; 60].join(" + ")), code, "deep");
    armor(&"a".repeat(20_000), code, "longer");
    armor(&["1"; 4200].join("||"), code, "too many parts");
    let errors = Expression::parse(&["a"; 4000].join("||"), Language::Armor, Dialect::Firegate).unwrap_err();
    assert_eq!(errors.len(), crate::limits::ERRORS_MAX);
}

#[test]
fn all_problems_are_told_at_once_and_in_order() {
    check(
        "request.host == 'a' && request.path.startswith('b') && inIpRange(origin.ip, 'c')",
        Language::Armor,
        Dialect::Gcloud,
        &[
            (code::UNKNOWN_ATTRIBUTE, "request.host"),
            (code::UNKNOWN_FUNCTION, "startswith"),
            (code::ARGUMENT, "`c`"),
        ],
    );
}
