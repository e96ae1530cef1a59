use super::{Request, request, said};
use crate::{Attribute, Dialect, Expression, Language, PathLetters};

const TRUE: &str = "request.method == 'GET'";
const FALSE: &str = "request.method == 'POST'";
const UNKNOWN: &str = "evaluateThreatIntelligence('x')";
const ERROR: &str = "request.headers['absent'] == 'x'";
const NOBODY: &str = "auth.uid == 'alice'";

fn check(text: &str, expected: &str) {
    let request = Request { claims: None, ..request() };
    let said = said(text, Language::Armor, Dialect::Firegate, &request);
    assert_eq!(said.split(':').next(), Some(expected), "{text}: {said}");
}

/// Kleene's tables with CEL's errors: what decides, decides, on whichever side it stands.
#[test]
fn the_gravest_wins_where_nothing_decides() {
    let table = [
        // left, right, `&&`, `||`
        (TRUE, TRUE, "true", "true"),
        (TRUE, FALSE, "false", "true"),
        (FALSE, FALSE, "false", "false"),
        (TRUE, UNKNOWN, "unknown", "true"),
        (FALSE, UNKNOWN, "false", "unknown"),
        (UNKNOWN, UNKNOWN, "unknown", "unknown"),
        (TRUE, ERROR, "error", "true"),
        (FALSE, ERROR, "false", "error"),
        (ERROR, ERROR, "error", "error"),
        (UNKNOWN, ERROR, "error", "error"),
        (UNKNOWN, NOBODY, "unknown", "unknown"),
        (TRUE, NOBODY, "error", "true"),
        (FALSE, NOBODY, "false", "error"),
    ];
    for (left, right, and, or) in table {
        for (left, right) in [(left, right), (right, left)] {
            check(&format!("{left} && {right}"), and);
            check(&format!("{left} || {right}"), or);
            // De Morgan holds for what is neither true nor false as well.
            check(&format!("!(!({left}) || !({right}))"), and);
            check(&format!("!(!({left}) && !({right}))"), or);
        }
    }
}

#[test]
fn what_a_record_of_a_request_does_not_tell_is_unknown() {
    let unavailable = vec![Attribute::RequestHeaders, Attribute::AuthToken, Attribute::AuthAppId];
    let request = Request { claims: None, unavailable, ..request() };
    let check = |text: &str, expected: &str| {
        let said = said(text, Language::Armor, Dialect::Firegate, &request);
        assert_eq!(said.split(':').next(), Some(expected), "{text}: {said}");
    };
    for part in [
        "has(request.headers['absent'])",
        "request.headers['absent'] == 'x'",
        "'absent' in request.headers",
        "auth.uid == 'alice'",
        "has(auth.email)",
        "auth.token.role == 'admin'",
        "auth.app_id == 'x'",
    ] {
        check(part, "unknown");
        check(&format!("!({part})"), "unknown");
        check(&format!("{part} && {FALSE}"), "false");
        check(&format!("{part} || {TRUE}"), "true");
    }
    check("has(request.headers['user-agent'])", "true");
}

#[test]
fn an_error_is_graver_than_a_missing_user() {
    let request = Request { claims: None, ..request() };
    for text in [format!("{ERROR} || {NOBODY}"), format!("{NOBODY} && {ERROR}")] {
        assert_eq!(said(&text, Language::Armor, Dialect::Firegate, &request), "error: no such key");
    }
    assert_eq!(
        said(&format!("{NOBODY} && {NOBODY}"), Language::Armor, Dialect::Firegate, &request),
        "error: there is no verified user"
    );
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    check("true || false && false", "true");
    check("(true || false) && false", "false");
    check("!false && true", "true");
    check("!(false && true)", "true");
    check("!true == false", "true");
    check("1 + 2 * 3 == 7", "true");
    check("10 - 3 - 2 == 5", "true");
    check("true ? false : true ? true : false", "false");
    check("7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1", "true");
    check("1 / 0 == 1", "error");
    check("!!true && --1 == 1 && ---1 == -1 && !!!false", "true");
    check("1 in [1, 1 / 0]", "error");
    check("0x10 == 16", "true");
    check("-9223372036854775808 < 0", "true");
}

#[test]
fn what_an_evaluation_makes_is_bounded() {
    let mut request = request();
    request.headers.insert("x-long".to_owned(), vec![b'%'; 60_000]);
    let once = "request.headers['x-long'].urlDecode() == 'x'";
    assert_eq!(said(once, Language::Armor, Dialect::Firegate, &request), "false");
    let often = [once; 30].join(" || ");
    assert_eq!(
        said(&often, Language::Armor, Dialect::Firegate, &request),
        "error: the evaluation takes too much"
    );
}

/// With which letters the path is compared, whose case counts.
#[test]
fn the_letters_that_the_path_is_compared_with_are_known() {
    let check = |text: &str, expected: PathLetters| {
        let parsed = Expression::parse(text, Language::Armor, Dialect::Firegate).expect("an expression");
        assert_eq!(parsed.path_letters(), expected, "{text}");
    };
    for text in [
        "request.path == '/admin'",
        "'/admin' != request.path",
        "request.path in ['/a', '/b']",
        "request.method == 'POST' && !request.path.startsWith('/admin')",
        "request.path.contains('%2f') || request.headers['x-a'] == 'B'",
        "request.path.urlDecode().endsWith('.php')",
        "request.path.matches('^/intern(al)?/')",
        "request.path.matches('^/a[0-9]+$')",
        "request.path.lower() == '/X' || request.path == '/y'",
    ] {
        check(text, PathLetters::Small);
    }
    for text in [
        "request.path == '/Admin'",
        "request.path in ['/a', '/B']",
        "request.path.startsWith('/a') || request.path.startsWith('/B')",
        "request.path.matches('^/a[A-Z]+$')",
        "request.path.urlDecodeUni().contains('/aB')",
    ] {
        check(text, PathLetters::Capital);
    }
    for text in [
        "request.method == 'GET'",
        "request.path.lower() == '/admin'",
        "request.path.contains('..')",
        "request.path.matches('^/[a-z]+$')",
        "request.path.lower().matches('^/a')",
        "request.path == request.headers['x-path']",
    ] {
        check(text, PathLetters::None);
    }
}

/// What an expression says to a server that takes capital letters of the path for small ones.
#[test]
fn letters_of_the_path_are_compared_in_any_case_where_the_server_does() {
    let check = |text: &str, path: &str, expected: &str| {
        let mut request = request();
        request.attributes.insert("request.path", path.into());
        request.ignores_case_of_path = true;
        assert_eq!(said(text, Language::Armor, Dialect::Firegate, &request), expected, "{text} {path}");
    };
    for text in [
        "request.path == '/Admin/x'",
        "'/admin/X' == request.path",
        "!(request.path != '/aDMIN/x')",
        "request.path in ['/b', '/ADMIN/X']",
        "request.path.startsWith('/Admin')",
        "request.path.contains('MIN/')",
        "request.path.urlDecode().endsWith('N/X')",
        "request.path.matches('^/Admin/[a-zA-Z]$')",
    ] {
        check(text, "/ADMIN/x", "true");
        check(text, "/admin/X", "true");
        check(text, "/admit/x", "false");
    }
    check("request.path.matches('^/a/[a-z]+$')", "/A/b", "true");
    check("request.path.matches('^/a/[a-z]+$')", "/a/B", "false");
    check("request.path == request.method.lower()", "GET", "false");
    check("request.method == 'get' || request.method.matches('get')", "/a", "false");
}
