//! An expression against a request. Nothing is allocated but by the functions that make texts, and everything is bounded.

mod operators;

use std::borrow::Cow;
use std::cell::Cell;

use crate::attribute::{Attribute, Attributes, Fact};
use crate::check::node::{Node, Operation, Test, Transform};
use crate::functions::{address, decode, time};
use crate::letter_case;
use crate::limits::{EVALUATION_BYTES_MAX, EVALUATION_STEPS_MAX};
use crate::outcome::{ErrorKind, EvaluationError, Outcome, Stop};
use crate::template::find;
use crate::value::Value;

/// What a part gives: its value, or why it has none.
pub(crate) type Evaluated<'a> = Result<Value<'a>, Stop>;

/// One evaluation and what it may still use.
pub(crate) struct Evaluation<'a> {
    attributes: &'a dyn Attributes,
    steps_left: Cell<u32>,
    bytes_left: Cell<usize>,
}

fn stop(node: &Node, kind: ErrorKind) -> Stop {
    Stop::Error(EvaluationError::new(kind, node.span))
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(attributes: &'a dyn Attributes) -> Self {
        Self {
            attributes,
            steps_left: Cell::new(EVALUATION_STEPS_MAX),
            bytes_left: Cell::new(EVALUATION_BYTES_MAX),
        }
    }

    /// The verdict of a part that is true or false.
    pub(crate) fn outcome(&self, node: &'a Node) -> Outcome {
        match self.truth(node) {
            Ok(truth) => truth.into(),
            Err(stop) => stop.into(),
        }
    }

    pub(crate) fn truth(&self, node: &'a Node) -> Result<bool, Stop> {
        match self.value(node)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(stop(node, ErrorKind::WrongType)),
        }
    }

    /// The value of any part.
    pub(crate) fn value(&self, node: &'a Node) -> Evaluated<'a> {
        let Some(left) = self.steps_left.get().checked_sub(1) else {
            return Err(stop(node, ErrorKind::TooLarge));
        };
        self.steps_left.set(left);
        match &node.operation {
            Operation::Constant(constant) => Ok(constant.value()),
            Operation::Attribute(attribute) => self.attribute(node, *attribute),
            Operation::Unknown(name) => match self.attributes.unevaluated(name) {
                Fact::Known(value) => typed(node, value),
                Fact::Absent | Fact::Unavailable => Err(Stop::Unknown(name)),
            },
            Operation::Header(name) => self.header(node, name),
            Operation::HeaderOf(name) => {
                let name = self.text(name)?;
                self.header(node, &String::from_utf8_lossy(&name))
            }
            Operation::Claim(name) => self.claim(node, name),
            Operation::ClaimOf(name) => {
                let name = self.text(name)?;
                self.claim(node, &String::from_utf8_lossy(&name))
            }
            Operation::Member(object, name) => member(node, &self.value(object)?, name),
            Operation::Index(parts) => self.index(node, parts),
            Operation::HasHeader(name) => self.has_header(name),
            Operation::HasAttribute(attribute) => self.has_attribute(node, *attribute),
            Operation::HasClaim(name) => presence(self.claim(node, name)),
            Operation::HasMember(object, name) => match self.value(object) {
                Ok(object) => presence(member(node, &object, name)),
                Err(stop) => presence(Err(stop)),
            },
            Operation::SignedIn(expected) => Ok((self.has_user()? == *expected).into()),
            Operation::Not(operand) => Ok((!self.truth(operand)?).into()),
            Operation::Negate(operand) => match self.value(operand)? {
                Value::Int(int) => int.checked_neg().map(Value::Int).ok_or(stop(node, ErrorKind::Overflow)),
                Value::Double(double) => Ok(Value::Double(-double)),
                _ => Err(stop(node, ErrorKind::WrongType)),
            },
            Operation::And(operands) => self.chain(operands, false),
            Operation::Or(operands) => self.chain(operands, true),
            Operation::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                self.value(if self.truth(condition)? { yes } else { no })
            }
            Operation::Compare(operator, operands) => self.compare(node, *operator, operands),
            Operation::Arithmetic(operator, operands) => {
                let (left, right) = self.both(operands)?;
                self.arithmetic(node, *operator, left, right)
            }
            _ => self.function(node),
        }
    }

    /// What is called, and what asks for elements.
    fn function(&self, node: &'a Node) -> Evaluated<'a> {
        match &node.operation {
            Operation::InElements(element, elements) => self.in_elements(element, elements),
            Operation::In(operands) => {
                let (element, container) = self.both(operands)?;
                contains(node, &element, &container).map(Value::Bool)
            }
            Operation::InHeaders(name) => {
                let name = self.text(name)?;
                self.has_header(&String::from_utf8_lossy(&name))
            }
            Operation::InClaims(name) => {
                let name = self.text(name)?;
                match self.claim(node, &String::from_utf8_lossy(&name)) {
                    Err(Stop::Error(error)) if error.is_missing_user() => Err(Stop::Error(error)),
                    claim => presence(claim),
                }
            }
            Operation::HasOnly(list, allowed) => self.has_only(node, list, allowed),
            Operation::Test(test, operands) => {
                let (text, part) = self.compared(operands)?;
                let (text, part) = (as_text(node, text)?, as_text(node, part)?);
                Ok(Value::Bool(match test {
                    Test::Contains => find(&text, &part).is_some(),
                    Test::StartsWith => text.starts_with(&part),
                    Test::EndsWith => text.ends_with(&part),
                }))
            }
            Operation::Matches(text, pattern) if self.attributes.ignores_case_of_path() => {
                Ok(pattern.occurs_in_any_case(&self.text(text)?).into())
            }
            Operation::Matches(text, pattern) => Ok(pattern.occurs_in(&self.text(text)?).into()),
            Operation::InIpRange(ip, range) => Ok(range.contains(&self.address(ip)?).into()),
            Operation::InIpRangeOf(operands) => {
                let (ip, range) = self.both(operands)?;
                let ip = as_address(node, ip)?;
                let range = address::range(&as_text(node, range)?).ok_or(stop(node, ErrorKind::NoRange))?;
                Ok(range.contains(&ip).into())
            }
            Operation::Transform(transform, text) => {
                let text = self.text(text)?;
                // Each character becomes at most seven: `%u1f600` of four bytes, `%u00e9` of two.
                self.spend(node, text.len().saturating_mul(4))?;
                Ok(Value::Text(match transform {
                    Transform::Lower => decode::lower(text),
                    Transform::Upper => decode::upper(text),
                    Transform::Base64Decode => Cow::Owned(decode::base64(&text)),
                    Transform::UrlDecode => decode::url(text),
                    Transform::UrlDecodeUnicode => decode::url_unicode(text),
                    Transform::Utf8ToUnicode => decode::utf8_to_unicode(text),
                }))
            }
            Operation::Size(operand) => {
                let size = match self.value(operand)? {
                    Value::List(elements) => elements.len(),
                    Value::Texts(elements) => elements.len(),
                    Value::Object(members) => members.len(),
                    value => characters(&as_text(node, value)?),
                };
                Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
            }
            Operation::ToInt(operand) => match self.value(operand)? {
                Value::Int(int) => Ok(Value::Int(int)),
                value => {
                    let text = as_text(node, value)?;
                    let int = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                    int.map(Value::Int).ok_or(stop(node, ErrorKind::NoNumber))
                }
            },
            _ => self.time(node),
        }
    }

    fn time(&self, node: &'a Node) -> Evaluated<'a> {
        match &node.operation {
            Operation::ToTimestamp(operand) => match self.value(operand)? {
                Value::Timestamp(time) => Ok(Value::Timestamp(time)),
                value => {
                    let time = time::timestamp(&as_text(node, value)?);
                    time.map(Value::Timestamp).ok_or(stop(node, ErrorKind::NoTime))
                }
            },
            Operation::ToDuration(operand) => match self.value(operand)? {
                Value::Duration(length) => Ok(Value::Duration(length)),
                value => {
                    let length = time::duration(&as_text(node, value)?);
                    length.map(Value::Duration).ok_or(stop(node, ErrorKind::NoTime))
                }
            },
            Operation::Calendar(field, operand, zone) => match self.value(operand)? {
                Value::Timestamp(time) => {
                    time::field(time, *field, zone).map(Value::Int).ok_or(stop(node, ErrorKind::Overflow))
                }
                _ => Err(stop(node, ErrorKind::WrongType)),
            },
            Operation::DurationIn(unit, operand) => match self.value(operand)? {
                Value::Duration(length) => {
                    time::whole_units(length, *unit).map(Value::Int).ok_or(stop(node, ErrorKind::WrongType))
                }
                _ => Err(stop(node, ErrorKind::WrongType)),
            },
            Operation::Extract(text, template) => Ok(Value::Text(match self.text(text)? {
                Cow::Borrowed(text) => Cow::Borrowed(template.extract(text)),
                Cow::Owned(text) => Cow::Owned(template.extract(&text).to_vec()),
            })),
            // A list that is written down is asked for its elements and never for its value.
            _ => Err(stop(node, ErrorKind::WrongType)),
        }
    }

    fn spend(&self, node: &Node, bytes: usize) -> Result<(), Stop> {
        let left = self.bytes_left.get().checked_sub(bytes).ok_or(stop(node, ErrorKind::TooLarge))?;
        self.bytes_left.set(left);
        Ok(())
    }

    fn text(&self, node: &'a Node) -> Result<Cow<'a, [u8]>, Stop> {
        as_text(node, self.value(node)?)
    }

    fn address(&self, node: &'a Node) -> Result<std::net::IpAddr, Stop> {
        as_address(node, self.value(node)?)
    }

    /// Both operands, or the graver of what keeps them from having a value.
    fn both(&self, operands: &'a [Node; 2]) -> Result<(Value<'a>, Value<'a>), Stop> {
        let [left, right] = operands;
        match (self.value(left), self.value(right)) {
            (Ok(left), Ok(right)) => Ok((left, right)),
            (Err(left), Err(right)) => Err(left.or(right)),
            (Err(stop), Ok(_)) | (Ok(_), Err(stop)) => Err(stop),
        }
    }

    /// The same, to be compared as the request's server does.
    fn compared(&self, operands: &'a [Node; 2]) -> Result<(Value<'a>, Value<'a>), Stop> {
        let (left, right) = self.both(operands)?;
        if self.attributes.ignores_case_of_path() && letter_case::is_path_compared(operands) {
            return Ok((letter_case::in_lower_case(left), letter_case::in_lower_case(right)));
        }
        Ok((left, right))
    }

    /// `&&` is decided by a `false` and `||` by a `true`, whatever stands beside it.
    fn chain(&self, operands: &'a [Node], decided_by: bool) -> Evaluated<'a> {
        let mut undecided: Option<Stop> = None;
        for operand in operands {
            match self.truth(operand) {
                Ok(truth) if truth == decided_by => return Ok(decided_by.into()),
                Ok(_) => {}
                Err(stop) => undecided = Some(undecided.map_or(stop, |first| first.or(stop))),
            }
        }
        undecided.map_or(Ok((!decided_by).into()), Err)
    }

    fn attribute(&self, node: &Node, attribute: Attribute) -> Evaluated<'a> {
        if attribute.is_of_user() && attribute != Attribute::AuthAppId && !self.has_user()? {
            return Err(stop(node, ErrorKind::NoUser));
        }
        match self.attributes.attribute(attribute) {
            Fact::Known(value) => typed(node, value),
            Fact::Unavailable => Err(Stop::Unknown(attribute.name())),
            Fact::Absent => match attribute {
                Attribute::AuthEmailVerified | Attribute::AuthAnonymous => Ok(Value::Bool(false)),
                Attribute::OriginAsn => Ok(Value::Int(0)),
                Attribute::RequestAccessLevels => Ok(Value::Texts(&[])),
                Attribute::RequestTime | Attribute::DestinationPort => Err(stop(node, ErrorKind::NoSuchKey)),
                _ => Ok(Value::Text(Cow::Borrowed(b""))),
            },
        }
    }

    fn has_attribute(&self, node: &Node, attribute: Attribute) -> Evaluated<'a> {
        if attribute.is_of_user() && attribute != Attribute::AuthAppId && !self.has_user()? {
            return Ok(Value::Bool(false));
        }
        match self.attributes.attribute(attribute) {
            Fact::Known(value) => {
                let value = typed(node, value)?;
                Ok(Value::Bool(!matches!(value, Value::Text(text) if text.is_empty())))
            }
            Fact::Absent => Ok(Value::Bool(false)),
            Fact::Unavailable => Err(Stop::Unknown(attribute.name())),
        }
    }

    fn header(&self, node: &Node, name: &str) -> Evaluated<'a> {
        match self.attributes.header(name) {
            Some(value) => Ok(Value::Text(value)),
            None if self.attributes.knows_header(name) => Err(stop(node, ErrorKind::NoSuchKey)),
            None => Err(Stop::Unknown(Attribute::RequestHeaders.name())),
        }
    }

    fn has_header(&self, name: &str) -> Evaluated<'a> {
        let is_there = self.attributes.header(name).is_some();
        if !is_there && !self.attributes.knows_header(name) {
            return Err(Stop::Unknown(Attribute::RequestHeaders.name()));
        }
        Ok(is_there.into())
    }

    fn has_user(&self) -> Result<bool, Stop> {
        let is_there = self.attributes.has_user();
        if !is_there && !self.attributes.knows_user() {
            return Err(Stop::Unknown(Attribute::AuthToken.name()));
        }
        Ok(is_there)
    }

    fn claim(&self, node: &Node, name: &str) -> Evaluated<'a> {
        if !self.has_user()? {
            return Err(stop(node, ErrorKind::NoUser));
        }
        match self.attributes.claim(name) {
            Fact::Known(value) => Ok(value),
            Fact::Absent => Err(stop(node, ErrorKind::NoSuchKey)),
            Fact::Unavailable => Err(Stop::Unknown(Attribute::AuthToken.name())),
        }
    }

    fn index(&self, node: &Node, parts: &'a [Node; 2]) -> Evaluated<'a> {
        let (container, key) = self.both(parts)?;
        let position = |length: usize| match &key {
            Value::Int(int) => {
                usize::try_from(*int).ok().filter(|at| *at < length).ok_or(stop(node, ErrorKind::NoSuchIndex))
            }
            _ => Err(stop(node, ErrorKind::WrongType)),
        };
        match &container {
            Value::List(list) => {
                let at = position(list.len())?;
                list.get(at).map(Value::from).ok_or(stop(node, ErrorKind::NoSuchIndex))
            }
            Value::Texts(list) => {
                let at = position(list.len())?;
                list.get(at).map(Value::text).ok_or(stop(node, ErrorKind::NoSuchIndex))
            }
            Value::Object(_) => {
                let name = as_text(node, key)?;
                member(node, &container, &String::from_utf8_lossy(&name))
            }
            _ => Err(stop(node, ErrorKind::WrongType)),
        }
    }

    /// All elements are evaluated, as CEL makes a list before it looks into it: one without a value decides.
    fn in_elements(&self, element: &'a Node, elements: &'a [Node]) -> Evaluated<'a> {
        let ignores_case = self.attributes.ignores_case_of_path() && letter_case::is_path(element);
        let value = |node: &'a Node| {
            let value = self.value(node);
            if ignores_case { value.map(letter_case::in_lower_case) } else { value }
        };
        let sought = value(element);
        let mut found = false;
        let mut stopped = sought.as_ref().err().copied();
        for element in elements {
            match (value(element), &sought) {
                (Ok(value), Ok(sought)) => found |= value.equals(sought),
                (Ok(_), Err(_)) => {}
                (Err(stop), _) => stopped = Some(stopped.map_or(stop, |first| first.or(stop))),
            }
        }
        stopped.map_or(Ok(Value::Bool(found)), Err)
    }

    fn has_only(&self, node: &Node, list: &'a Node, allowed: &'a [Node]) -> Evaluated<'a> {
        let allowed = allowed.iter().map(|node| self.value(node)).collect::<Result<Vec<_>, _>>()?;
        let is_allowed = |value: &Value<'_>| allowed.iter().any(|allowed| allowed.equals(value));
        if let Operation::List(elements) = &list.operation {
            for element in elements {
                if !is_allowed(&self.value(element)?) {
                    return Ok(Value::Bool(false));
                }
            }
            return Ok(Value::Bool(true));
        }
        Ok(Value::Bool(match self.value(list)? {
            Value::List(elements) => elements.iter().all(|element| is_allowed(&Value::from(element))),
            Value::Texts(elements) => elements.iter().all(|element| is_allowed(&Value::text(element))),
            _ => return Err(stop(node, ErrorKind::WrongType)),
        }))
    }
}

/// An attribute's value, if it has the type that the attribute has.
fn typed<'a>(node: &Node, value: Value<'a>) -> Evaluated<'a> {
    if value.type_name() == node.kind.name() || matches!(node.operation, Operation::HasAttribute(_)) {
        Ok(value)
    } else {
        Err(stop(node, ErrorKind::WrongType))
    }
}

/// `has()`: whether there is a value. A missing key, a missing user and what is no object have none; what is unknown stays so.
fn presence(found: Evaluated<'_>) -> Evaluated<'_> {
    match found {
        Ok(_) => Ok(Value::Bool(true)),
        Err(Stop::Error(error)) if matches!(error.kind, ErrorKind::NoSuchKey | ErrorKind::NoUser) => {
            Ok(Value::Bool(false))
        }
        Err(stop) => Err(stop),
    }
}

fn member<'a>(node: &Node, object: &Value<'a>, name: &str) -> Evaluated<'a> {
    match object {
        Value::Object(members) => members.get(name).map(Value::from).ok_or(stop(node, ErrorKind::NoSuchKey)),
        _ => Err(stop(node, ErrorKind::WrongType)),
    }
}

fn contains(node: &Node, element: &Value<'_>, container: &Value<'_>) -> Result<bool, Stop> {
    match container {
        Value::List(list) => Ok(list.iter().any(|value| Value::from(value).equals(element))),
        Value::Texts(list) => Ok(list.iter().any(|text| Value::text(text).equals(element))),
        Value::Object(members) => {
            let name = as_text(node, element.clone())?;
            Ok(str::from_utf8(&name).is_ok_and(|name| members.contains_key(name)))
        }
        _ => Err(stop(node, ErrorKind::WrongType)),
    }
}

fn as_text<'a>(node: &Node, value: Value<'a>) -> Result<Cow<'a, [u8]>, Stop> {
    value.into_text().ok_or(stop(node, ErrorKind::WrongType))
}

fn as_address(node: &Node, value: Value<'_>) -> Result<std::net::IpAddr, Stop> {
    match value {
        Value::Address(address) => Ok(address.to_canonical()),
        value => address::address(&as_text(node, value)?).ok_or(stop(node, ErrorKind::NoAddress)),
    }
}

/// How many characters a text has; a byte that is no UTF-8 is one.
fn characters(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}
