//! Expressions and requests made of bytes: the same bytes, the same expression. Most are sound, some are not, so that refusing
//! is compared as well.

use std::borrow::Cow;

use firegate_expr::{Attribute, Attributes, Fact, Outcome, Value};
use serde_json::{Value as Json, json};

/// Where choices come from. When the bytes are used up, every choice is the first one, and what is made ends.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % count
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }
}

const TEXTS: [&str; 20] = [
    "''",
    "'GET'",
    "'/api/users'",
    "\"www.example.com\"",
    "'a'",
    "'A%20b+c%21'",
    "'YWJj'",
    "'é'",
    "'%u00e9'",
    "r'\\d+'",
    "'42'",
    "'-7'",
    "'12x'",
    "'203.0.113.9'",
    "'2001:db8::1'",
    "'it\\'s'",
    "'\\x41\\u00e9\\101'",
    "'''a'b'''",
    "'Zm9v'",
    "'AU'",
];

const ATTRIBUTES: [&str; 12] = [
    "request.method",
    "request.path",
    "request.query",
    "request.scheme",
    "origin.ip",
    "origin.user_ip",
    "origin.region_code",
    "origin.tls_ja4_fingerprint",
    "request.headers['host']",
    "request.headers['user-agent']",
    "request.headers['absent']",
    "request.headers['x-n']",
];

const PATTERNS: [&str; 26] = [
    "'^/api'",
    "'users$'",
    "r'\\d+'",
    "r'^[a-z.]+$'",
    "'a|b|'",
    "'(?i)GET'",
    "'(?:a|b)+'",
    "'[[:alpha:]]{2,3}'",
    "'x*?'",
    "r'\\bapi\\b'",
    "r'^\\S+$'",
    "'[a&&b]'",
    "'[[]'",
    "'a{,3}'",
    "r'[^\\d/]'",
    "r'\\x41'",
    "'a**'",
    "'(?=a)'",
    "'['",
    "'a{2,1}'",
    "'(?x)a'",
    "r'\\<'",
    "r'\\Qa.b\\E'",
    "'.'",
    "'^$'",
    "r'[\\w.-]+'",
];

const RANGES: [&str; 9] = [
    "'203.0.113.0/24'",
    "'0.0.0.0/0'",
    "'10.0.0.0/8'",
    "'2001:db8::/32'",
    "'::/0'",
    "'203.0.113.9/32'",
    "'203.0.113.77/24'",
    "'198.51.100.0/25'",
    "'::ffff:203.0.113.0/120'",
];

/// An expression of Cloud Armor's language.
pub(crate) fn armor(choices: &mut Choices<'_>) -> String {
    truth(choices, 4)
}

fn truth(choices: &mut Choices<'_>, depth: usize) -> String {
    if depth == 0 {
        let leaves = [
            "true",
            "false",
            "has(request.headers['host'])",
            "has(request.headers['absent'])",
            "request.method == 'GET'",
        ];
        return choices.one(&leaves).to_owned();
    }
    let below = depth - 1;
    match choices.below(16) {
        0 => choices
            .one(&["true", "false", "token.recaptcha_action.valid", "token.recaptcha_exemption.valid"])
            .to_owned(),
        1 => format!("{} && {}", truth(choices, below), truth(choices, below)),
        2 => format!("{} || {}", truth(choices, below), truth(choices, below)),
        3 => format!("!({})", truth(choices, below)),
        4 => format!("({} || {}) && {}", truth(choices, below), truth(choices, below), truth(choices, below)),
        5 | 6 => format!("{} {} {}", text(choices, below), choices.one(&["==", "!="]), text(choices, below)),
        7 => {
            let operator = choices.one(&["==", "!=", "<", "<=", ">", ">="]);
            format!("{} {operator} {}", number(choices, below), number(choices, below))
        }
        8 | 9 => {
            let function = choices.one(&["contains", "startsWith", "endsWith"]);
            format!("{}.{function}({})", text(choices, below), text(choices, below))
        }
        10 => format!("{}.matches({})", text(choices, below), choices.one(&PATTERNS)),
        11 => format!("{}.matches(r'{}')", text(choices, below), pattern(choices)),
        12 => format!("inIpRange({}, {})", text(choices, below), choices.one(&RANGES)),
        13 => choices
            .one(&[
                "has(request.headers['user-agent'])",
                "has(request.headers.host)",
                "has(request.headers['Host'])",
            ])
            .to_owned(),
        14 => format!(
            "token.recaptcha_action.score {} {}",
            choices.one(&["<", ">=", "=="]),
            choices.one(&["0.5", "0.9", "1.0 - 0.1"])
        ),
        _ => mistake(choices, below),
    }
}

fn text(choices: &mut Choices<'_>, depth: usize) -> String {
    if depth == 0 {
        return choices.one(&ATTRIBUTES).to_owned();
    }
    match choices.below(8) {
        0 | 1 => choices.one(&ATTRIBUTES).to_owned(),
        2 | 3 => choices.one(&TEXTS).to_owned(),
        4 => format!("({} + {})", text(choices, depth - 1), text(choices, depth - 1)),
        5 => format!("request.headers[{}]", text(choices, depth - 1)),
        _ => {
            let functions = ["lower", "upper", "base64Decode", "urlDecode", "urlDecodeUni", "utf8ToUnicode"];
            format!("{}.{}()", text(choices, depth - 1), choices.one(&functions))
        }
    }
}

fn number(choices: &mut Choices<'_>, depth: usize) -> String {
    if depth == 0 {
        return choices
            .one(&["origin.asn", "1", "0", "-7", "15169", "9223372036854775807", "0x10"])
            .to_owned();
    }
    match choices.below(7) {
        0 | 1 => number(choices, 0),
        2 => format!("size({})", text(choices, depth - 1)),
        3 => format!("{}.size()", text(choices, depth - 1)),
        4 => format!("int({})", text(choices, depth - 1)),
        _ => format!(
            "({} {} {})",
            number(choices, depth - 1),
            choices.one(&["+", "-", "*"]),
            number(choices, depth - 1)
        ),
    }
}

/// A regular expression, sound or not.
fn pattern(choices: &mut Choices<'_>) -> String {
    const PIECES: [&str; 40] = [
        "a",
        "b",
        ".",
        "/",
        "e",
        "G",
        "7",
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        r"\b",
        r"\B",
        r"\.",
        r"\-",
        r"\x41",
        r"\101",
        r"\Q.*\E",
        r"\_",
        "[a-e]",
        "[^a]",
        "[[:digit:]]",
        "[[:^alpha:]-]",
        "[]a]",
        "[a&&b]",
        r"[\d.]",
        "(?:",
        "(?i:",
        "(?i)",
        ")",
        "|",
        "*",
        "+",
        "?",
        "{2}",
        "{1,3}",
        "{,2}",
        "^",
        "$",
        "{",
    ];
    (0..choices.below(8) + 1).map(|_| choices.one(&PIECES)).collect()
}

/// What is no sound expression, mostly.
fn mistake(choices: &mut Choices<'_>, depth: usize) -> String {
    match choices.below(14) {
        0 => format!("{} == {}", text(choices, depth), number(choices, depth)),
        1 => format!("{} in [{}]", text(choices, depth), text(choices, depth)),
        2 => format!("{} ? true : false", truth(choices, depth)),
        3 => format!("!{}", text(choices, depth)),
        4 => format!("{} < {}", text(choices, depth), text(choices, depth)),
        5 => format!("{}.startswith('a')", text(choices, depth)),
        6 => "request.host == 'a'".to_owned(),
        7 => format!("-{} < 1", number(choices, depth)),
        8 => format!("{} / 2 == 1", number(choices, depth)),
        9 => "['a'].exists(x, x == 'a')".to_owned(),
        10 => "has(origin.ip)".to_owned(),
        11 => format!("{} = 'a'", text(choices, depth)),
        12 => "origin.asn == 1.0".to_owned(),
        _ => "auth.uid == 'a'".to_owned(),
    }
}

/// Requests to ask: what `when` holds in Google's format.
pub(crate) fn requests() -> Vec<Json> {
    vec![
        json!({
            "request": {
                "method": "GET", "path": "/api/users", "query": "q=a%20b&u=%u00e9+%zz", "scheme": "https",
                "headers": {"host": "www.example.com", "user-agent": "Mozilla/5.0 é", "x-n": "42"}
            },
            "origin": {"ip": "203.0.113.9", "user_ip": "2001:db8::7", "region_code": "AU", "asn": 15169, "tls_ja4_fingerprint": "t13d"},
            "token": {"recaptcha_action": {"score": 0.9, "valid": true}}
        }),
        json!({
            "request": {"method": "post", "path": "/", "query": "", "scheme": "http", "headers": {"host": "a"}},
            "origin": {"ip": "10.0.0.1", "user_ip": "none", "asn": 1}
        }),
        json!({}),
    ]
}

/// A request in Google's format.
pub(crate) struct Request<'a>(pub(crate) &'a Json);

impl Request<'_> {
    fn at(&self, path: &str) -> Option<&Json> {
        path.split('.').try_fold(self.0, |json, key| json.get(key))
    }
}

impl Attributes for Request<'_> {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        self.at(attribute.name()).map(Value::from).into()
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.at("request.headers")?.get(name)?.as_str().map(|value| Cow::Borrowed(value.as_bytes()))
    }

    fn has_user(&self) -> bool {
        false
    }

    fn claim(&self, _: &str) -> Fact<'_> {
        Fact::Absent
    }

    fn unevaluated(&self, name: &str) -> Fact<'_> {
        let default = if name.ends_with("score") { Value::Double(0.0) } else { Value::Bool(false) };
        Fact::Known(self.at(name).map_or(default, Value::from))
    }
}

/// An outcome in a word.
pub(crate) fn told(outcome: Outcome) -> String {
    match outcome {
        Outcome::True => "true".to_owned(),
        Outcome::False => "false".to_owned(),
        Outcome::Unknown(name) => format!("unknown: {name}"),
        Outcome::Error(error) => format!("error: {error}"),
    }
}
