//! Calls: who is called, on what, with what.

use std::ops::Range;

use super::Checker;
use super::functions::{self, Entry, Form, Function};
use super::names::Scope;
use super::node::{Constant, Node, Operation, Type};
use crate::code;
use crate::functions::{address, time};
use crate::language::{Dialect, Language};
use crate::letter_case;
use crate::limits::GOOGLE_ARMOR_WAF_RULES_MAX;
use crate::problem::ExpressionError;
use crate::regular_expression::{CapturingGroups, Encoding, RegularExpression};
use crate::suggestion::{nearest, quoted};
use crate::syntax::{Kind, Literal, Syntax};
use crate::template::Template;

/// A call whose form is right: its arguments, with the receiver as the first one.
struct Call<'a> {
    syntax: &'a Syntax,
    entry: &'static Entry,
    arguments: Vec<&'a Syntax>,
}

/// A function that makes another value of a text.
struct Conversion {
    kind: Type,
    operation: fn(Box<Node>) -> Operation,
    /// The value of a text that is written down.
    constant: fn(&[u8]) -> Option<Constant>,
    /// What any other text is.
    otherwise: &'static str,
    usage: &'static str,
}

const TIMESTAMP: Conversion = Conversion {
    kind: Type::Timestamp,
    operation: Operation::ToTimestamp,
    constant: |text| time::timestamp(text).map(Constant::Timestamp),
    otherwise: "no time as RFC 3339 has it",
    usage: "`timestamp('2027-01-31T00:00:00Z')`",
};

const DURATION: Conversion = Conversion {
    kind: Type::Duration,
    operation: Operation::ToDuration,
    constant: |text| time::duration(text).map(Constant::Duration),
    otherwise: "no length of time",
    usage: "`duration('3600s')`, `duration('1h30m')`",
};

impl Checker {
    /// A call of a function of the language, if it is called as it may be.
    pub(super) fn call(
        &mut self,
        syntax: &Syntax,
        receiver: Option<&Syntax>,
        name: &str,
        name_span: &Range<usize>,
        arguments: &[Syntax],
    ) -> Option<Node> {
        let Some(entry) = functions::function(self.language, name) else {
            return self.unknown_function(name, name_span);
        };
        if entry.scope(self.language) == Scope::Firegate {
            self.firegate_only(name_span, &format!("`{name}` is Cloud Armor's"), None);
        }
        let is_namespace =
            |syntax: &Syntax, name: &str| matches!(&syntax.kind, Kind::Name(n) if **n == *name);
        let arguments: Vec<&Syntax> = match (entry.form, receiver) {
            (Form::Global | Form::Either, None) => arguments.iter().collect(),
            (Form::Member | Form::Either, Some(receiver)) => {
                std::iter::once(receiver).chain(arguments).collect()
            }
            (Form::Of(namespace), Some(receiver)) if is_namespace(receiver, namespace) => {
                arguments.iter().collect()
            }
            _ => {
                let message = format!("`{name}` is not called like this");
                let error = ExpressionError::new(name_span.clone(), code::UNKNOWN_FUNCTION, message);
                self.error(error.hint(format!("write `{}`", entry.usage())));
                return None;
            }
        };
        let call = Call { syntax, entry, arguments };
        let (least, most) = arity(entry.function);
        if call.arguments.len() < least || call.arguments.len() > most {
            let message = format!("`{name}` does not take {} argument(s) here", call.arguments.len());
            let error = ExpressionError::new(syntax.span.clone(), code::TYPE, message);
            let hint = arguments_of(entry.function).map(|usage| format!("write `{usage}`"));
            self.error(error.hint_if(hint));
            return None;
        }
        self.function(&call)
    }

    fn unknown_function(&mut self, name: &str, span: &Range<usize>) -> Option<Node> {
        let message = format!("{} has no function {}", self.language, quoted(name));
        let (code, hint) = match name {
            "all" | "exists" | "exists_one" | "map" | "filter" => {
                (code::NOT_IN_LANGUAGE, Some("macros of CEL are not part of the language".to_owned()))
            }
            "toLowerCase" | "lowerAscii" | "toLower" => {
                (code::UNKNOWN_FUNCTION, Some("write `.lower()`".to_owned()))
            }
            "toUpperCase" | "upperAscii" | "toUpper" => {
                (code::UNKNOWN_FUNCTION, Some("write `.upper()`".to_owned()))
            }
            _ => {
                let near = nearest(name, functions::known(self.language, Dialect::Firegate));
                let other = self.language.other();
                let hint = match near {
                    _ if functions::function(other, name).is_some() => format!("`{name}` belongs to {other}"),
                    Some(near) => format!("did you mean `{near}`? Case counts"),
                    None => format!("see the functions of {}", self.language),
                };
                (code::UNKNOWN_FUNCTION, Some(hint))
            }
        };
        self.error(ExpressionError::new(span.clone(), code, message).hint_if(hint));
        None
    }

    fn function(&mut self, call: &Call<'_>) -> Option<Node> {
        let (syntax, name) = (call.syntax, format!("`{}`", call.entry.name));
        let argument = |index: usize| call.arguments.get(index).copied();
        let first = argument(0);
        let (kind, operation) = match call.entry.function {
            Function::Has => return self.has(syntax, first?),
            Function::Size => {
                let node = self.node(first?)?;
                if !matches!(node.kind, Type::Text | Type::List | Type::Dynamic) {
                    let message =
                        format!("{name} takes a string or a list, and this is a {}", node.kind.name());
                    return self.refuse(syntax, code::TYPE, message);
                }
                (Type::Int, Operation::Size(Box::new(node)))
            }
            Function::ToInt => {
                if first?.text().is_some_and(|text| text.parse::<i64>().is_err()) {
                    return self.refuse(syntax, code::ARGUMENT, "this text is no whole number of 64 bits");
                }
                let node = self.node(first?)?;
                if !matches!(node.kind, Type::Text | Type::Int | Type::Dynamic) {
                    let message =
                        format!("{name} takes a string or an int, and this is a {}", node.kind.name());
                    return self.refuse(syntax, code::TYPE, message);
                }
                (Type::Int, Operation::ToInt(Box::new(node)))
            }
            Function::Test(test) => {
                let operands =
                    [self.expect(first?, Type::Text, &name), self.expect(argument(1)?, Type::Text, &name)];
                let [Some(text), Some(part)] = operands else { return None };
                (Type::Bool, Operation::Test(test, Box::new([text, part])))
            }
            Function::Matches => return self.matches(syntax, first?, argument(1)?),
            Function::InIpRange => return self.in_ip_range(syntax, first?, argument(1)?),
            Function::Transform(transform) => {
                let text = self.expect(first?, Type::Text, &name)?;
                (Type::Text, Operation::Transform(transform, Box::new(text)))
            }
            Function::ToTimestamp => return self.convert(call, first?, &TIMESTAMP),
            Function::ToDuration => return self.convert(call, first?, &DURATION),
            Function::Calendar(field) => return self.calendar(syntax, first?, argument(1), field, &name),
            Function::Extract => return self.extract(call, first?, argument(1)?),
            Function::HasOnly => return self.has_only(call, first?, argument(1)?),
            Function::ApiAttribute => return self.api_attribute(syntax, first?, argument(1)?),
            Function::PreconfiguredWaf => {
                self.waf_options(argument(1));
                return self.unknown(call);
            }
            Function::Unknown(..) => return self.unknown(call),
        };
        self.make(syntax, kind, operation)
    }

    /// What the service alone evaluates. Its arguments are read as far as they can be told to be wrong.
    fn unknown(&mut self, call: &Call<'_>) -> Option<Node> {
        for argument in &call.arguments {
            match &argument.kind {
                Kind::Literal(Literal::Text(_)) => {}
                Kind::List(elements) if elements.iter().all(|element| element.text().is_some()) => {}
                Kind::Map(_) if call.entry.function == Function::PreconfiguredWaf => {}
                Kind::Map(_) | Kind::List(_) | Kind::Literal(_) => {
                    let message = format!("`{}` takes texts and lists of texts", call.entry.name);
                    self.error(ExpressionError::new(argument.span.clone(), code::ARGUMENT, message));
                }
                _ => drop(self.expect(argument, Type::Text, &format!("`{}`", call.entry.name))),
            }
        }
        self.note_unknown(call.syntax, call.entry.label);
        self.make(call.syntax, Type::Bool, Operation::Unknown(call.entry.label))
    }

    /// `{'sensitivity': 0…4, 'opt_out_rule_ids': […]}` or `{'sensitivity': 0, 'opt_in_rule_ids': […]}`.
    fn waf_options(&mut self, options: Option<&Syntax>) {
        let Some(options) = options else { return };
        let Kind::Map(entries) = &options.kind else {
            let error = ExpressionError::new(options.span.clone(), code::ARGUMENT, "the options are a map");
            return self.error(error.hint("`{'sensitivity': 1, 'opt_out_rule_ids': ['…']}`"));
        };
        let mut keys = Vec::new();
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            let wrong = match (name, &value.kind) {
                ("sensitivity", Kind::Literal(Literal::Int(0..=4))) => None,
                ("sensitivity", _) => Some("a sensitivity is a number from 0 to 4".to_owned()),
                ("opt_out_rule_ids" | "opt_in_rule_ids", Kind::List(ids)) => {
                    let sound = ids.iter().all(|id| id.text().is_some());
                    (ids.len() > GOOGLE_ARMOR_WAF_RULES_MAX || !sound)
                        .then(|| format!("rule ids are at most {GOOGLE_ARMOR_WAF_RULES_MAX} texts"))
                }
                ("opt_out_rule_ids" | "opt_in_rule_ids", _) => {
                    Some("rule ids are a list of texts".to_owned())
                }
                _ => Some("an option is `sensitivity`, `opt_out_rule_ids` or `opt_in_rule_ids`".to_owned()),
            };
            if let Some(message) = wrong {
                self.error(ExpressionError::new(key.span.clone(), code::ARGUMENT, message));
            }
            keys.push(name);
        }
        if keys.contains(&"opt_out_rule_ids") && keys.contains(&"opt_in_rule_ids") {
            let message = "rules are opted in or opted out, not both";
            self.error(ExpressionError::new(options.span.clone(), code::ARGUMENT, message));
        }
    }

    fn matches(&mut self, syntax: &Syntax, text: &Syntax, pattern: &Syntax) -> Option<Node> {
        let text = self.expect(text, Type::Text, "`matches`");
        let Some(written) = pattern.text() else {
            let message = "the regular expression has to be written down, so that it can be checked";
            return self.refuse(pattern, code::REGULAR_EXPRESSION, message);
        };
        let encoding = match self.language {
            Language::Armor => Encoding::Latin1,
            Language::IamCondition => Encoding::Utf8,
        };
        let groups = match (self.language, self.dialect) {
            (Language::Armor, Dialect::Gcloud) => CapturingGroups::Refused,
            _ => CapturingGroups::Taken,
        };
        let compile = if text.as_ref().is_some_and(letter_case::is_path) {
            RegularExpression::compile_for_paths
        } else {
            RegularExpression::compile
        };
        match compile(written, encoding, groups) {
            Ok(compiled) => {
                self.make(syntax, Type::Bool, Operation::Matches(Box::new(text?), Box::new(compiled)))
            }
            Err(problem) => {
                let error =
                    ExpressionError::new(pattern.span.clone(), code::REGULAR_EXPRESSION, problem.message);
                self.error(error.hint_if(problem.hint));
                None
            }
        }
    }

    fn in_ip_range(&mut self, syntax: &Syntax, ip: &Syntax, range: &Syntax) -> Option<Node> {
        let ip = self.expect(ip, Type::Text, "`inIpRange`");
        let Some(written) = range.text() else {
            let range = self.expect(range, Type::Text, "`inIpRange`")?;
            return self.make(syntax, Type::Bool, Operation::InIpRangeOf(Box::new([ip?, range])));
        };
        let Some(network) = address::range(written.as_bytes()) else {
            let message = format!("{} is no range of IP addresses", quoted(written));
            let error = ExpressionError::new(range.span.clone(), code::ARGUMENT, message);
            let hint = written
                .parse::<std::net::IpAddr>()
                .map_or("a range is written `203.0.113.0/24`".to_owned(), |ip| {
                    format!("one address is the range `{ip}/{}`", if ip.is_ipv4() { 32 } else { 128 })
                });
            self.error(error.hint(hint));
            return None;
        };
        self.make(syntax, Type::Bool, Operation::InIpRange(Box::new(ip?), network))
    }

    /// `timestamp(text)` and `duration(text)`; a text that is written down is read once.
    fn convert(&mut self, call: &Call<'_>, argument: &Syntax, to: &Conversion) -> Option<Node> {
        let Some(written) = argument.text() else {
            let node = self.node(argument)?;
            if node.kind == to.kind {
                return Some(node);
            }
            let node = self.expect(argument, Type::Text, &format!("`{}`", call.entry.name))?;
            return self.make(call.syntax, to.kind, (to.operation)(Box::new(node)));
        };
        let Some(constant) = (to.constant)(written.as_bytes()) else {
            let message = format!("{} is {}", quoted(written), to.otherwise);
            self.error(ExpressionError::new(argument.span.clone(), code::ARGUMENT, message).hint(to.usage));
            return None;
        };
        self.make(call.syntax, to.kind, Operation::Constant(constant))
    }

    /// `text.extract(template)`, whose template has to be written down.
    fn extract(&mut self, call: &Call<'_>, text: &Syntax, template: &Syntax) -> Option<Node> {
        let text = self.expect(text, Type::Text, &format!("`{}`", call.entry.name))?;
        let Some(parsed) = template.text().and_then(Template::parse) else {
            let message = "`extract` takes a text with one name in braces";
            self.error(
                ExpressionError::new(template.span.clone(), code::ARGUMENT, message)
                    .hint("`resource.name.extract('/customers/{id}/')`"),
            );
            return None;
        };
        self.make(call.syntax, Type::Text, Operation::Extract(Box::new(text), parsed))
    }

    /// `list.hasOnly([…])`, whose elements have to be written down.
    fn has_only(&mut self, call: &Call<'_>, list: &Syntax, allowed: &Syntax) -> Option<Node> {
        let list = self.node(list)?;
        let Kind::List(elements) = &allowed.kind else {
            let message = "`hasOnly` takes a list: `hasOnly(['a', 'b'])`";
            return self.refuse(call.syntax, code::ARGUMENT, message);
        };
        let allowed = self.elements(elements)?;
        if !matches!(list.kind, Type::List | Type::Dynamic) {
            let message = format!("`{}` asks a list, and this is a {}", call.entry.name, list.kind.name());
            return self.refuse(call.syntax, code::TYPE, message);
        }
        self.make(call.syntax, Type::Bool, Operation::HasOnly(Box::new(list), allowed))
    }

    fn calendar(
        &mut self,
        syntax: &Syntax,
        receiver: &Syntax,
        zone: Option<&Syntax>,
        field: super::node::Calendar,
        name: &str,
    ) -> Option<Node> {
        let node = self.node(receiver)?;
        if node.kind == Type::Duration && zone.is_none() {
            return self.make(syntax, Type::Int, Operation::DurationIn(field, Box::new(node)));
        }
        if !node.kind.is(Type::Timestamp) {
            let message = format!("{name} asks a timestamp, and this is a {}", node.kind.name());
            return self.refuse(receiver, code::TYPE, message);
        }
        let zone = match zone {
            None => Some(jiff::tz::TimeZone::UTC),
            Some(zone) => {
                let found = zone.text().and_then(time::zone);
                if found.is_none() {
                    let message = "no time zone that is known here";
                    let error = ExpressionError::new(zone.span.clone(), code::ARGUMENT, message);
                    self.error(error.hint("`'Europe/Berlin'`, `'UTC'`, `'+01:00'`"));
                }
                found
            }
        };
        self.make(syntax, Type::Int, Operation::Calendar(field, Box::new(node), zone?))
    }

    /// `api.getAttribute(name, default)`: no service behind Firegate has such attributes, so that it is the default, as it is
    /// in Google where a service does not have the attribute.
    fn api_attribute(&mut self, syntax: &Syntax, name: &Syntax, default: &Syntax) -> Option<Node> {
        if name.text().is_none() {
            return self.refuse(
                name,
                code::ARGUMENT,
                "the name of the attribute is a text that is written down",
            );
        }
        if let Kind::List(elements) = &default.kind {
            let elements = self.elements(elements)?;
            return self.make(syntax, Type::List, Operation::List(elements));
        }
        self.node(default)
    }
}

/// From how many to how many arguments, the receiver among them.
const fn arity(function: Function) -> (usize, usize) {
    match function {
        Function::Has
        | Function::Size
        | Function::ToInt
        | Function::Transform(_)
        | Function::ToTimestamp
        | Function::ToDuration => (1, 1),
        Function::Test(_)
        | Function::Matches
        | Function::InIpRange
        | Function::Extract
        | Function::HasOnly
        | Function::ApiAttribute => (2, 2),
        Function::Calendar(_) | Function::PreconfiguredWaf => (1, 2),
        Function::Unknown(least, most) => (least, most),
    }
}

/// An example of a call, for a hint.
const fn arguments_of(function: Function) -> Option<&'static str> {
    Some(match function {
        Function::Has => "has(request.headers['user-agent'])",
        Function::Matches => "request.path.matches('^/api/')",
        Function::InIpRange => "inIpRange(origin.ip, '203.0.113.0/24')",
        Function::Test(_) => "request.path.startsWith('/api/')",
        Function::Transform(_) => "request.path.lower()",
        Function::ApiAttribute => "api.getAttribute('name', 'default')",
        _ => return None,
    })
}
