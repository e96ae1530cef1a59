//! What is sound and probably not meant: the traps of Google's languages.

mod normal_path;
mod pattern;

use std::collections::BTreeSet;

use normal_path::{Absence, Bounds, absence};

use crate::check::Checked;
use crate::code;
use crate::language::Language;
use crate::problem::Lint;
use crate::suggestion::quoted;
use crate::syntax::{Kind, Literal, Operator, Syntax, print};

/// Everything that is probably not meant.
pub(crate) fn lints(tree: &Syntax, language: Language, checked: &Checked) -> Vec<Lint> {
    let mut linter = Linter { lints: Vec::new(), language };
    linter.visit(tree);
    linter.guards(tree, &BTreeSet::new());
    let hint = match language {
        Language::Armor => {
            "a rule whose answer is unknown does not match; if the load balancer before Firegate evaluates it, attach the file with \
             `assume: evaluated_upstream`"
        }
        Language::IamCondition => {
            "by what is unknown a binding grants nothing, and a deny rule denies; say it by what is known here, such as \
             `request.path`, `request.host` or `request.time`"
        }
    };
    for part in &checked.unknown {
        let message = format!("`{}` is not evaluated by Firegate: the answer is unknown", part.name);
        linter.lints.push(Lint::new(part.span.clone(), code::NOT_EVALUATED, message, hint));
        // In Cloud Armor a rule rests on it; what IAM makes of it is the same with and without a `!`.
        if part.negated && language == Language::Armor {
            let message = format!("`{}` would have to be false for this to match, and is unknown", part.name);
            let hint = "the rule never matches by this part; write it so that it does not depend on it";
            linter.lints.push(Lint::new(part.span.clone(), code::UNKNOWN_NEGATED, message, hint));
        }
    }
    linter.email(tree, tree);
    linter.profile(tree);
    linter.lints.sort_by_key(|lint| lint.span.start);
    linter.lints
}

struct Linter {
    lints: Vec<Lint>,
    language: Language,
}

impl Linter {
    fn add(
        &mut self,
        syntax: &Syntax,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.lints.push(Lint::new(syntax.span.clone(), code, message, hint));
    }

    fn visit(&mut self, syntax: &Syntax) {
        self.path(syntax);
        match &syntax.kind {
            Kind::Index { .. } | Kind::Member { .. } => self.header_name(syntax),
            Kind::Or(operands) => self.alternatives(syntax, operands, true),
            Kind::And(operands) => self.alternatives(syntax, operands, false),
            Kind::Binary { operator: operator @ (Operator::Equal | Operator::NotEqual), operands } => {
                let [left, right] = &**operands;
                self.never_equal(left, right, *operator);
                self.never_equal(right, left, *operator);
                if left == right {
                    let message = "both sides are the same";
                    self.add(syntax, code::CONSTANT, message, "compare with another value");
                }
            }
            Kind::Call { receiver: Some(receiver), name, arguments, .. } => {
                self.never_within(syntax, receiver, name, arguments);
            }
            Kind::Call { receiver: None, name, arguments, .. } if **name == *"inIpRange" => {
                self.forwarded_for(syntax, arguments);
            }
            Kind::Literal(Literal::Bool(_)) => {}
            _ => {}
        }
        syntax.children().into_iter().for_each(|child| self.visit(child));
    }

    /// The keys of `request.headers` are in lower case.
    fn header_name(&mut self, syntax: &Syntax) {
        let Some(name) = header(syntax).filter(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()))
        else {
            return;
        };
        let message = format!("the names of headers are in lower case: {} never matches", quoted(name));
        let hint = format!("write `request.headers['{}']`", name.to_ascii_lowercase());
        self.add(syntax, code::HEADER_NAME, message, hint);
    }

    /// `x != 'a' || x != 'b'` is always true, `x == 'a' && x == 'b'` never.
    fn alternatives(&mut self, syntax: &Syntax, operands: &[Syntax], is_or: bool) {
        let operator = if is_or { Operator::NotEqual } else { Operator::Equal };
        let compared: Vec<(&Syntax, &Syntax)> =
            operands.iter().filter_map(|operand| compared_with_literal(operand, operator)).collect();
        for (index, (left, literal)) in compared.iter().enumerate() {
            let rest = compared.get(index + 1..).unwrap_or_default();
            if rest.iter().any(|(other, other_literal)| other == left && other_literal != literal) {
                let subject = print(left);
                let (message, hint) = if is_or {
                    (
                        format!("`{subject}` is always different from one of them: this is always true"),
                        "`&&` was meant",
                    )
                } else {
                    (format!("`{subject}` is never equal to both: this is never true"), "`||` was meant")
                };
                self.add(syntax, code::CONSTANT, message, hint);
                return;
            }
        }
        let decided = if is_or { "true" } else { "false" };
        for operand in operands {
            if matches!(operand.kind, Kind::Literal(Literal::Bool(value)) if value == is_or) {
                let message = format!("this is always {decided}");
                self.add(operand, code::CONSTANT, message, "delete what has no effect");
            }
        }
    }

    /// Values that an attribute never has.
    fn never_equal(&mut self, left: &Syntax, right: &Syntax, operator: Operator) {
        let (Some(path), Some(text)) = (attribute(left), right.text()) else { return };
        let always = if operator == Operator::Equal { "never equal" } else { "always different" };
        let wrong = match path.as_str() {
            "origin.region_code" => region_code(text),
            "request.method" if text != text.to_ascii_uppercase() => {
                Some(format!("methods are in upper case: write `'{}'`", text.to_ascii_uppercase()))
            }
            "request.scheme" if text != "http" && text != "https" => {
                Some("the scheme is `'http'` or `'https'`".to_owned())
            }
            "request.query" if text.starts_with('?') => {
                Some("the query has no `?` at its beginning".to_owned())
            }
            "request.host" if text.contains('/') => Some("a host has no path and no scheme".to_owned()),
            "request.host" | HOST_HEADER if text.ends_with('.') => {
                Some("a host has no dot at its end here".to_owned())
            }
            "request.host" | HOST_HEADER => small_letters(text),
            "auth.provider" if text == "google" || text == "facebook" || text == "apple" => {
                Some(format!("providers are written `'{text}.com'`"))
            }
            _ => None,
        };
        if let Some(hint) = wrong {
            let message = format!("`{path}` is {always} to {}", quoted(text));
            self.add(right, code::NEVER_EQUAL, message.replace("different to", "different from"), hint);
        }
    }

    fn never_within(&mut self, syntax: &Syntax, receiver: &Syntax, name: &str, arguments: &[Syntax]) {
        let text = arguments.first().and_then(Syntax::text);
        let (Some(path), Some(text)) = (attribute(receiver), text) else { return };
        let hint = match (path.as_str(), name) {
            ("request.query", "startsWith") if text.starts_with('?') => {
                Some("the query has no `?` at its beginning".to_owned())
            }
            ("request.host" | HOST_HEADER, "contains" | "startsWith" | "endsWith") => small_letters(text),
            _ => None,
        };
        let Some(hint) = hint else { return };
        let message = format!("`{path}` never has {} there", quoted(text));
        self.add(syntax, code::NEVER_EQUAL, message, hint);
    }

    /// A text that is in no path that a rule sees.
    fn path(&mut self, syntax: &Syntax) {
        for found in compared_with_path(syntax).unwrap_or_default() {
            let (subject, text) = (print(found.subject), quoted(found.text));
            let message = match found.comparison {
                Comparison::Different => format!("`{subject}` is always different from {text}"),
                Comparison::Equal => format!("`{subject}` is never equal to {text}"),
                Comparison::Pattern => format!("`{subject}` never matches {text}"),
                Comparison::Part => format!("`{subject}` never has {text} there"),
            };
            let (code, hint) = match found.absence() {
                None => continue,
                Some(Absence::Never(hint)) => (code::NEVER_EQUAL, hint),
                Some(Absence::NotNormal(hint)) => (code::NOT_NORMAL, hint),
                Some(Absence::EncodedSlash) => (code::ENCODED_SLASH, ENCODED_SLASH_HINT.to_owned()),
            };
            self.add(found.at, code, message, hint);
        }
    }

    fn forwarded_for(&mut self, syntax: &Syntax, arguments: &[Syntax]) {
        if arguments.first().and_then(header).is_some_and(|name| name == "x-forwarded-for") {
            let message = "every client can write `x-forwarded-for`, and it may hold several addresses";
            let hint = "use `origin.ip`, or `origin.user_ip` with `userIpRequestHeaders`";
            self.add(syntax, code::FORWARDED_FOR, message, hint);
        }
    }

    /// Keys that may be absent and are read without `has()`. In a chain of `&&` a `has()` guards its neighbours, wherever it
    /// stands: a `false` absorbs their error. In a chain of `||` it is `!has()`.
    fn guards(&mut self, syntax: &Syntax, guarded: &BTreeSet<String>) {
        if let Some(key) = guardable(syntax, self.language) {
            if !guarded.contains(&key) {
                // Where there is no user at all, a rule that asks for one passes over.
                let lacks = if key.starts_with("auth.") { "the user has" } else { "there is" };
                let message = format!("if {lacks} no `{key}`, the expression is an error");
                // A header in capital letters is never there: what is written with the hint has to match.
                let is_header = key.starts_with("request.headers[");
                let there = if is_header { key.to_ascii_lowercase() } else { key };
                self.add(syntax, code::HAS_MISSING, message, format!("write `has({there}) && …` before it"));
            }
            // What lies inside of it is guarded or not with it.
            return;
        }
        match &syntax.kind {
            Kind::Call { receiver: None, name, .. } if **name == *"has" => {}
            Kind::And(operands) | Kind::Or(operands) => {
                let is_or = matches!(syntax.kind, Kind::Or(_));
                let mut inside = guarded.clone();
                inside.extend(operands.iter().filter_map(|operand| guard(operand, is_or)));
                operands.iter().for_each(|operand| self.guards(operand, &inside));
            }
            Kind::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                self.guards(condition, guarded);
                let with = |is_no| guarded.iter().cloned().chain(guard(condition, is_no)).collect();
                self.guards(yes, &with(false));
                self.guards(no, &with(true));
            }
            _ => syntax.children().into_iter().for_each(|child| self.guards(child, guarded)),
        }
    }

    /// An address decides, and `auth.email_verified` is nowhere in the expression.
    fn email(&mut self, syntax: &Syntax, root: &Syntax) {
        let mentions = |syntax: &Syntax, name: &str| mentions(syntax, name);
        if mentions(root, "email_verified") {
            return;
        }
        let path = syntax.path().map(|path| path.join("."));
        if matches!(path.as_deref(), Some("auth.email" | "auth.token.email" | "request.auth.token.email")) {
            let message = "the address need not be verified: whoever signs up can name any address";
            self.add(syntax, code::EMAIL_UNVERIFIED, message, "add `&& auth.email_verified`");
            return;
        }
        syntax.children().into_iter().for_each(|child| self.email(child, root));
    }

    /// The user's name or picture decides. One finding is enough.
    fn profile(&mut self, syntax: &Syntax) -> bool {
        let claim = match &syntax.kind {
            Kind::Index { object, key } => key.text().map(|name| (object, name)),
            Kind::Member { object, name } => Some((object, &**name)),
            _ => None,
        };
        let is_of_token = |object: &Syntax| {
            let path = object.path().map(|path| path.join("."));
            matches!(path.as_deref(), Some("auth.token" | "request.auth.token"))
        };
        if let Some((object, name @ ("name" | "picture"))) = claim
            && is_of_token(object)
        {
            let message = format!("`{name}` is what users write of themselves: everybody can have any");
            let hint = "ask for a custom claim of another name, which administrators alone can set";
            self.add(syntax, code::SELF_WRITTEN, message, hint);
            return true;
        }
        syntax.children().into_iter().any(|child| self.profile(child))
    }
}

const ENCODED_SLASH_HINT: &str = "a path with an encoded slash or backslash is refused before rules see it, unless the backend has \
    `encoded_slash: forward`";

/// A comparison of the path with a text.
struct PathCompared<'a> {
    /// What to point at.
    at: &'a Syntax,
    /// The path, in lower case or decoded perhaps.
    subject: &'a Syntax,
    text: &'a str,
    comparison: Comparison,
    bounds: Bounds,
}

/// How the path is compared with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// By `!=`.
    Different,
    /// By `==`, or with each text of a list by `in`.
    Equal,
    /// By a function that looks for a part.
    Part,
    /// By `matches`.
    Pattern,
}

impl PathCompared<'_> {
    /// Why this is never so.
    fn absence(&self) -> Option<Absence> {
        if self.comparison != Comparison::Pattern {
            return absence(self.text.as_bytes(), self.bounds);
        }
        let alternatives = pattern::alternatives(self.text)?;
        let absences = alternatives.iter().map(|alternative| {
            let any_case = alternative.any_case || self.bounds.any_case;
            let last = alternative.texts.len().checked_sub(1)?;
            let absent = |(index, text): (usize, &Vec<u8>)| {
                let start = alternative.start && index == 0;
                let end = alternative.end && index == last;
                absence(text, Bounds { start, end, any_case, ..self.bounds })
            };
            let mut absences = alternative.texts.iter().enumerate().filter_map(absent).collect::<Vec<_>>();
            // One that holds everywhere says more than one that depends on the backend.
            absences.sort_by_key(|absence| matches!(absence, Absence::EncodedSlash));
            absences.into_iter().next()
        });
        // All of them have to be out of the question; the one that is least sure of it speaks for all.
        let mut absences = absences.collect::<Option<Vec<_>>>()?;
        absences.sort_by_key(|absence| match absence {
            Absence::EncodedSlash => 0,
            Absence::NotNormal(_) => 1,
            Absence::Never(_) => 2,
        });
        absences.into_iter().next()
    }
}

/// The texts that are written down and that a part compares the path with, if it does.
fn compared_with_path(syntax: &Syntax) -> Option<Vec<PathCompared<'_>>> {
    let bounds = |subject, start, end| Some(Bounds { start, end, ..path_subject(subject)? });
    match &syntax.kind {
        Kind::Binary { operator: operator @ (Operator::Equal | Operator::NotEqual), operands } => {
            let [left, right] = &**operands;
            let (subject, at) = if right.text().is_some() { (left, right) } else { (right, left) };
            let bounds = bounds(subject, true, true)?;
            let comparison = match operator {
                Operator::NotEqual => Comparison::Different,
                _ => Comparison::Equal,
            };
            Some(vec![PathCompared { at, subject, text: at.text()?, comparison, bounds }])
        }
        Kind::Binary { operator: Operator::In, operands } => {
            let [subject, list] = &**operands;
            let (bounds, Kind::List(elements)) = (bounds(subject, true, true)?, &list.kind) else {
                return None;
            };
            let compared = |at| {
                let text = Syntax::text(at)?;
                Some(PathCompared { at, subject, text, comparison: Comparison::Equal, bounds })
            };
            Some(elements.iter().filter_map(compared).collect())
        }
        Kind::Call { receiver: Some(subject), name, arguments, .. } => {
            let (comparison, start, end) = match &**name {
                "contains" => (Comparison::Part, false, false),
                "startsWith" => (Comparison::Part, true, false),
                "endsWith" => (Comparison::Part, false, true),
                "matches" => (Comparison::Pattern, false, false),
                _ => return None,
            };
            let bounds = bounds(subject, start, end)?;
            let text = arguments.first()?.text()?;
            Some(vec![PathCompared { at: syntax, subject, text, comparison, bounds }])
        }
        _ => None,
    }
}

/// Whether this is the path, and what was done with all of it.
fn path_subject(syntax: &Syntax) -> Option<Bounds> {
    let Kind::Call { receiver: Some(receiver), name, .. } = &syntax.kind else {
        return (syntax.path()? == ["request", "path"]).then(Bounds::default);
    };
    match (&**name, path_subject(receiver)?) {
        ("lower" | "upper", path) => Some(Bounds { any_case: true, ..path }),
        // In normal form no path has what `urlDecodeUni` decodes beside it. Decoded twice it may be anything.
        ("urlDecode" | "urlDecodeUni", path) if !path.decoded => Some(Bounds { decoded: true, ..path }),
        _ => None,
    }
}

fn mentions(syntax: &Syntax, member: &str) -> bool {
    matches!(&syntax.kind, Kind::Member { name, .. } if **name == *member)
        || syntax.text() == Some(member)
        || syntax.children().into_iter().any(|child| mentions(child, member))
}

/// How [`attribute`] calls the header.
const HOST_HEADER: &str = "request.headers['host']";

/// The name of what an expression asks for, if it is an attribute or the host.
fn attribute(syntax: &Syntax) -> Option<String> {
    match header(syntax) {
        Some("host") => Some(HOST_HEADER.to_owned()),
        _ => syntax.path().map(|path| path.join(".")),
    }
}

/// What to write for a host, if it is not in small letters.
fn small_letters(text: &str) -> Option<String> {
    let has_capitals = text.bytes().any(|byte| byte.is_ascii_uppercase());
    has_capitals.then(|| format!("hosts are in small letters here: write `'{}'`", text.to_ascii_lowercase()))
}

/// The name of the header, if it is `request.headers['name']` or `request.headers.name`.
fn header(syntax: &Syntax) -> Option<&str> {
    let (object, name) = match &syntax.kind {
        Kind::Index { object, key } => (object, key.text()?),
        Kind::Member { object, name } => (object, &**name),
        _ => return None,
    };
    (object.path()? == ["request", "headers"]).then_some(name)
}

/// A key of the headers or of the token that may be absent, in one spelling.
fn guardable(syntax: &Syntax, language: Language) -> Option<String> {
    if let Some(name) = header(syntax) {
        // A request without a host is refused where a rule asks for it.
        let is_asked = language == Language::Armor && name != "host";
        return is_asked.then(|| format!("request.headers['{name}']"));
    }
    let (object, key) = match &syntax.kind {
        Kind::Index { object, key } => (object, key.text()?),
        Kind::Member { object, name } => (object, &**name),
        _ => return None,
    };
    let base = object.path().map(|path| path.join("."));
    let base = match base.as_deref() {
        Some("auth.token" | "request.auth.token") => "auth.token".to_owned(),
        _ => guardable(object, language)?,
    };
    // Identity Platform puts these into every token.
    let always = ["sub", "user_id", "iss", "aud", "iat", "exp", "auth_time", "firebase"];
    if base == "auth.token" && always.contains(&key) {
        return None;
    }
    Some(format!("{base}.{key}"))
}

/// The key that an operand asks `has()` of: `has(k)` beside `&&`, `!has(k)` beside `||`.
fn guard(operand: &Syntax, negated: bool) -> Option<String> {
    match (&operand.kind, negated) {
        (Kind::Not(inner), true) => guard(inner, false),
        (Kind::Call { receiver: None, name, arguments, .. }, false) if **name == *"has" => {
            arguments.first().and_then(|argument| guardable(argument, Language::Armor))
        }
        (Kind::Binary { operator: Operator::In, operands }, false) => {
            let [key, container] = &**operands;
            let key = key.text()?;
            match container.path()?.join(".").as_str() {
                "request.headers" => Some(format!("request.headers['{key}']")),
                "auth.token" | "request.auth.token" => Some(format!("auth.token.{key}")),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The two sides of `x == literal`, the literal last.
fn compared_with_literal(syntax: &Syntax, expected: Operator) -> Option<(&Syntax, &Syntax)> {
    let Kind::Binary { operator, operands } = &syntax.kind else { return None };
    let [left, right] = &**operands;
    let is_literal = |syntax: &Syntax| matches!(syntax.kind, Kind::Literal(_));
    if *operator != expected || is_literal(left) == is_literal(right) {
        return None;
    }
    Some(if is_literal(right) { (left, right) } else { (right, left) })
}

/// Why a text is no region code, if it is none.
fn region_code(text: &str) -> Option<String> {
    let is_code = text.is_empty() || (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()));
    match text {
        "UK" => Some("the United Kingdom is `'GB'`".to_owned()),
        _ if is_code => None,
        _ if text.len() == 2 => {
            Some(format!("region codes are in upper case: `'{}'`", text.to_ascii_uppercase()))
        }
        _ => Some("a region code is two letters of ISO 3166-1: `'DE'`".to_owned()),
    }
}
