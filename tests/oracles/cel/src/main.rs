//! Generated IAM conditions, asked of Firegate and of the `cel` crate: the subset that both have. A disagreement without a
//! reason that is listed here fails. `cargo run --manifest-path tests/oracles/cel/Cargo.toml`; docs/expressions.md has the
//! figures.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use cel::{Context, Program, Value as Cel};
use firegate_expr::{Attribute, Attributes, Dialect, Expression, Fact, Language, Outcome, Value};

const TIME: i64 = 1_793_615_400;

/// What both are asked about.
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("resource", "name", "projects/p/locations/europe-west1/services/api"),
    ("resource", "type", "run.googleapis.com/Service"),
    ("resource", "service", "run.googleapis.com"),
    ("request", "host", "api.example.com"),
    ("request", "path", "/api/Users/é"),
    ("destination", "ip", "10.0.0.1"),
];

struct Request;

impl Attributes for Request {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        match attribute {
            Attribute::RequestTime => Fact::Known(Value::time(TIME)),
            Attribute::DestinationPort => Fact::Known(Value::Int(443)),
            other => {
                let found = ATTRIBUTES.iter().find(|(of, name, _)| format!("{of}.{name}") == other.name());
                found.map(|(_, _, value)| Value::text(*value)).into()
            }
        }
    }

    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn has_user(&self) -> bool {
        false
    }

    fn claim(&self, _: &str) -> Fact<'_> {
        Fact::Absent
    }
}

/// Choices out of a generator that is the same on every machine: xorshift64*.
struct Choices(u64);

impl Choices {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]) % count
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn truth(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .one(&["true", "false", "request.host == 'api.example.com'", "destination.port > 80"])
                .to_owned();
        }
        let below = depth - 1;
        match self.below(15) {
            0 | 1 => format!("{} && {}", self.truth(below), self.truth(below)),
            2 | 3 => format!("{} || {}", self.truth(below), self.truth(below)),
            4 => format!("!({})", self.truth(below)),
            5 => format!("(({}) ? {} : ({}))", self.truth(below), self.truth(below), self.truth(below)),
            6 => format!(
                "{} {} {}",
                self.text(below),
                self.one(&["==", "!=", "<", "<=", ">", ">="]),
                self.text(below)
            ),
            7 => format!(
                "{} {} {}",
                self.number(below),
                self.one(&["==", "!=", "<", "<=", ">", ">="]),
                self.number(below)
            ),
            8 => format!(
                "{} {} {}",
                self.time(below),
                self.one(&["==", "!=", "<", "<=", ">", ">="]),
                self.time(below)
            ),
            9 => format!(
                "{} {} {}",
                self.length(below),
                self.one(&["==", "!=", "<", ">="]),
                self.length(below)
            ),
            10 | 11 => format!(
                "{}.{}({})",
                self.text(below),
                self.one(&["startsWith", "endsWith", "contains"]),
                self.text(below)
            ),
            12 => format!("{} in [{}, {}]", self.text(below), self.text(below), self.text(below)),
            13 => format!("{} in [{}, 7]", self.number(below), self.number(below)),
            _ => format!(
                "{}.matches({})",
                self.text(below),
                self.one(&["'^/api'", "r'\\d+$'", "'a|b'", "'^[a-z.]+$'", "'(?i)USERS'", "'.{3}'"])
            ),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth > 0 && self.below(5) == 0 {
            return format!("({} + {})", self.text(depth - 1), self.text(depth - 1));
        }
        self.one(&[
            "resource.name",
            "resource.type",
            "resource.service",
            "request.host",
            "request.path",
            "destination.ip",
            "''",
            "'a'",
            "'api'",
            "\"run.googleapis.com\"",
            "'é'",
            "r'\\n'",
            "'\\n\\x41\\u00e9'",
            "'7'",
            "'x7'",
        ])
        .to_owned()
    }

    fn number(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .one(&[
                    "destination.port",
                    "0",
                    "1",
                    "-7",
                    "443",
                    "0x10",
                    "9223372036854775807",
                    "-9223372036854775808",
                ])
                .to_owned();
        }
        match self.below(7) {
            0 => format!("size({})", self.text(depth - 1)),
            1 => format!("{}.size()", self.text(depth - 1)),
            2 => {
                let field = self.one(&[
                    "getFullYear",
                    "getMonth",
                    "getDate",
                    "getDayOfMonth",
                    "getDayOfWeek",
                    "getDayOfYear",
                    "getHours",
                    "getMinutes",
                    "getSeconds",
                    "getMilliseconds",
                ]);
                let zone =
                    self.one(&["", "'UTC'", "'Europe/Berlin'", "'America/New_York'", "'+05:30'", "'-03:00'"]);
                format!("{}.{field}({zone})", self.time(depth - 1))
            }
            3 => format!("int({})", self.text(depth - 1)),
            _ => format!(
                "({} {} {})",
                self.number(depth - 1),
                self.one(&["+", "-", "*", "/", "%"]),
                self.number(depth - 1)
            ),
        }
    }

    fn time(&mut self, depth: usize) -> String {
        if depth > 0 && self.below(3) == 0 {
            return format!(
                "({} {} {})",
                self.time(depth - 1),
                self.one(&["+", "-"]),
                self.length(depth - 1)
            );
        }
        self.one(&[
            "request.time",
            "timestamp('2026-11-02T00:00:00Z')",
            "timestamp('2027-01-01T00:00:00.5+01:00')",
            "timestamp('2024-02-29T23:59:59Z')",
            "timestamp('0001-01-01T00:00:00Z')",
            "timestamp('9999-12-31T23:59:59Z')",
            "timestamp('1969-12-31T23:59:59Z')",
        ])
        .to_owned()
    }

    fn length(&mut self, depth: usize) -> String {
        if depth > 0 && self.below(3) == 0 {
            return format!("({} - {})", self.time(depth - 1), self.time(depth - 1));
        }
        self.one(&[
            "duration('3600s')",
            "duration('1h30m')",
            "duration('-1.5h')",
            "duration('0')",
            "duration('1ms')",
            "duration('24h')",
        ])
        .to_owned()
    }
}

fn ask_cel(text: &str, context: &Context<'_, '_>) -> String {
    // The crate's own panics are not ours.
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let program = Program::compile(text).map_err(|error| format!("refused: {error}"))?;
        program.execute(context).map_err(|error| format!("error: {error}"))
    }));
    match asked {
        Ok(Ok(Cel::Bool(truth))) => truth.to_string(),
        Ok(Ok(other)) => format!("error: {other:?}"),
        Ok(Err(message)) => message,
        Err(_) => "panic".to_owned(),
    }
}

fn ask_firegate(text: &str) -> String {
    match Expression::parse(text, Language::IamCondition, Dialect::Firegate) {
        Err(errors) => format!("refused: {}", errors[0]),
        Ok(expression) => match expression.evaluate(&Request) {
            Outcome::True => "true".to_owned(),
            Outcome::False => "false".to_owned(),
            Outcome::Unknown(name) => format!("unknown: {name}"),
            Outcome::Error(error) => format!("error: {error}"),
        },
    }
}

/// Why the two may disagree, if there is a reason.
fn reason(text: &str, firegate: &str, cel: &str) -> Option<&'static str> {
    if firegate.contains("no whole number") {
        return Some(
            "`int` of a written text that is no number is refused when it is read, as Google's tool does for Cloud Armor",
        );
    }
    let reaches_far =
        ["('0001-01-01", "('9999-12-31"].iter().any(|year| text.contains(year)) && text.contains(" - ");
    if reaches_far && cel.starts_with("error") {
        return Some("the crate's lengths of time end at 292 years, CEL's at 10,000");
    }
    if text.contains("+01:00').get") || text.contains("+01:00') ") {
        return Some("the crate reads a time's fields in the zone that it was written with, CEL in UTC");
    }
    None
}

fn main() -> ExitCode {
    let count: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(5000);
    let mut context = Context::default();
    let mut variables: HashMap<&str, HashMap<String, Cel>> = HashMap::new();
    for (of, name, value) in ATTRIBUTES {
        variables.entry(of).or_default().insert(name.to_owned(), Cel::from(value));
    }
    let time = chrono::DateTime::from_timestamp(TIME, 0).expect("a time").fixed_offset();
    variables.entry("request").or_default().insert("time".to_owned(), Cel::Timestamp(time));
    variables.entry("destination").or_default().insert("port".to_owned(), Cel::Int(443));
    for (name, members) in variables {
        context.add_variable_from_value(name, Cel::from(members));
    }
    std::panic::set_hook(Box::new(|_| {}));
    let (mut choices, mut alike, mut reasons) =
        (Choices(0x9e37_79b9_7f4a_7c15), 0, BTreeMap::<&str, usize>::new());
    let mut unexplained: Vec<(String, String, String)> = Vec::new();
    let mut answers = BTreeMap::<String, usize>::new();
    for _ in 0..count {
        let text = choices.truth(3);
        let (firegate, cel) = (ask_firegate(&text), ask_cel(&text, &context));
        let kind = |said: &str| said.split(':').next().unwrap_or_default().to_owned();
        if kind(&firegate) == kind(&cel) {
            alike += 1;
            *answers.entry(kind(&firegate)).or_default() += 1;
        } else if let Some(why) = reason(&text, &firegate, &cel) {
            *reasons.entry(why).or_default() += 1;
        } else {
            unexplained.push((text, firegate, cel));
        }
    }
    unexplained.sort_by_key(|(text, _, _)| text.len());
    for (text, firegate, cel) in unexplained.iter().take(25) {
        println!("{text}\n  firegate: {firegate}\n  cel:      {cel}");
    }
    println!("{count} expressions, {alike} alike: {answers:?}");
    reasons.iter().for_each(|(why, times)| println!("{times}: {why}"));
    println!("{} passed, {} failed", count - unexplained.len(), unexplained.len());
    ExitCode::from(u8::from(!unexplained.is_empty()))
}
