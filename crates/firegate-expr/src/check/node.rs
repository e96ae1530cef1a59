//! An expression whose every name is known and whose every type is right: what is evaluated.

use ipnet::IpNet;
use jiff::tz::TimeZone;

use crate::attribute::Attribute;
use crate::regular_expression::RegularExpression;
use crate::syntax::Operator;
use crate::template::Template;
use crate::value::{Duration, Timestamp, Value};

/// The type of a part, as far as it can be told before there is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Bool,
    Int,
    Double,
    Text,
    Timestamp,
    Duration,
    List,
    /// `request.headers`, `auth.token`: to be asked for a key, and for nothing else.
    Map,
    /// A claim, or what is in it: told when it is there.
    Dynamic,
}

impl Type {
    /// As Google's messages call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "string",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Map => "map",
            Self::Dynamic => "dyn",
        }
    }

    /// Whether a value of this type can stand where `expected` is asked for.
    pub(crate) fn is(self, expected: Self) -> bool {
        self == expected || self == Self::Dynamic || expected == Self::Dynamic
    }
}

/// A checked part.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) operation: Operation,
    pub(crate) kind: Type,
    /// The bytes of the expression, from and to.
    pub(crate) span: (u32, u32),
}

/// What a part does.
#[derive(Debug)]
pub(crate) enum Operation {
    Constant(Constant),
    Attribute(Attribute),
    /// What Firegate does not evaluate.
    Unknown(&'static str),
    Header(Box<str>),
    HeaderOf(Box<Node>),
    Claim(Box<str>),
    ClaimOf(Box<Node>),
    Member(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    HasHeader(Box<str>),
    HasAttribute(Attribute),
    HasClaim(Box<str>),
    HasMember(Box<Node>, Box<str>),
    /// `auth != null`, and its contrary.
    SignedIn(bool),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    /// `==`, `!=`, `<` …
    Compare(Operator, Box<[Node; 2]>),
    /// `+`, `-`, `*`, `/`, `%`
    Arithmetic(Operator, Box<[Node; 2]>),
    /// Elements that are written down; they never become a value of their own.
    List(Vec<Node>),
    /// `x in [a, b]`
    InElements(Box<Node>, Vec<Node>),
    /// `x in list`, `'key' in map`
    In(Box<[Node; 2]>),
    /// `'key' in request.headers`
    InHeaders(Box<Node>),
    /// `'claim' in auth.token`
    InClaims(Box<Node>),
    /// `list.hasOnly([a, b])`
    HasOnly(Box<Node>, Vec<Node>),
    Test(Test, Box<[Node; 2]>),
    Matches(Box<Node>, Box<RegularExpression>),
    InIpRange(Box<Node>, IpNet),
    InIpRangeOf(Box<[Node; 2]>),
    Transform(Transform, Box<Node>),
    Size(Box<Node>),
    ToInt(Box<Node>),
    ToTimestamp(Box<Node>),
    ToDuration(Box<Node>),
    Calendar(Calendar, Box<Node>, TimeZone),
    DurationIn(Calendar, Box<Node>),
    Extract(Box<Node>, Template),
}

/// A value that is the same for every request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Timestamp(Timestamp),
    Duration(Duration),
}

impl Constant {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(text) => Value::text(&**text),
            Self::Timestamp(value) => Value::Timestamp(*value),
            Self::Duration(value) => Value::Duration(*value),
        }
    }

    pub(crate) const fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Double(_) => Type::Double,
            Self::Text(_) => Type::Text,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
        }
    }
}

/// A question about two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Contains,
    StartsWith,
    EndsWith,
}

/// A text made of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    Lower,
    Upper,
    Base64Decode,
    UrlDecode,
    UrlDecodeUnicode,
    Utf8ToUnicode,
}

/// A field of a date and time in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calendar {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Node {
    /// The checked parts below.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.operation {
            Operation::Constant(_)
            | Operation::Attribute(_)
            | Operation::Unknown(_)
            | Operation::Header(_)
            | Operation::Claim(_)
            | Operation::HasHeader(_)
            | Operation::HasAttribute(_)
            | Operation::HasClaim(_)
            | Operation::SignedIn(_) => Vec::new(),
            Operation::HeaderOf(node)
            | Operation::ClaimOf(node)
            | Operation::Member(node, _)
            | Operation::HasMember(node, _)
            | Operation::Not(node)
            | Operation::Negate(node)
            | Operation::InHeaders(node)
            | Operation::InClaims(node)
            | Operation::Matches(node, _)
            | Operation::InIpRange(node, _)
            | Operation::Transform(_, node)
            | Operation::Size(node)
            | Operation::ToInt(node)
            | Operation::ToTimestamp(node)
            | Operation::ToDuration(node)
            | Operation::Calendar(_, node, _)
            | Operation::DurationIn(_, node)
            | Operation::Extract(node, _) => vec![node],
            Operation::And(nodes) | Operation::Or(nodes) | Operation::List(nodes) => nodes.iter().collect(),
            Operation::InElements(node, nodes) | Operation::HasOnly(node, nodes) => {
                std::iter::once(&**node).chain(nodes).collect()
            }
            Operation::Index(nodes)
            | Operation::Compare(_, nodes)
            | Operation::Arithmetic(_, nodes)
            | Operation::In(nodes)
            | Operation::Test(_, nodes)
            | Operation::InIpRangeOf(nodes) => nodes.iter().collect(),
            Operation::Conditional(nodes) => nodes.iter().collect(),
        }
    }
}
