//! From text to a tree: the grammar of CEL, before any question of what a name means.
//! <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>

mod lexer;
mod parser;
mod print;

use std::ops::Range;

pub(crate) use parser::parse;
pub(crate) use print::tree as print;

/// One part of an expression and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Syntax {
    pub(crate) kind: Kind,
    /// The bytes of the expression, without brackets around the whole part.
    pub(crate) span: Range<usize>,
    /// How many levels there are below, itself included.
    pub(crate) depth: usize,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `null`, a number, a text …
    Literal(Literal),
    /// A name at the beginning of a path: `request`.
    Name(Box<str>),
    /// `object.name`
    Member { object: Box<Syntax>, name: Box<str> },
    /// `object[key]`
    Index { object: Box<Syntax>, key: Box<Syntax> },
    /// `name(…)` or `receiver.name(…)`
    Call { receiver: Option<Box<Syntax>>, name: Box<str>, name_span: Range<usize>, arguments: Vec<Syntax> },
    /// `[…]`
    List(Vec<Syntax>),
    /// `{key: value, …}`
    Map(Vec<(Syntax, Syntax)>),
    /// `!x`
    Not(Box<Syntax>),
    /// `-x`
    Negate(Box<Syntax>),
    /// A chain of `&&`: at least two operands.
    And(Vec<Syntax>),
    /// A chain of `||`: at least two operands.
    Or(Vec<Syntax>),
    /// Any other operator between two operands.
    Binary { operator: Operator, operands: Box<[Syntax; 2]> },
    /// `condition ? yes : no`
    Conditional(Box<[Syntax; 3]>),
}

/// A value that is written down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Double(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

/// An operator between two operands that is neither `&&` nor `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// As it is written.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// How tightly it binds: relations less than sums, sums less than products.
    const fn precedence(self) -> u8 {
        match self {
            Self::Add | Self::Subtract => 2,
            Self::Multiply | Self::Divide | Self::Remainder => 3,
            _ => 1,
        }
    }
}

/// Equal in structure; where a part stands does not count.
impl PartialEq for Syntax {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (
                Kind::Call { receiver, name, arguments, .. },
                Kind::Call { receiver: other_receiver, name: other_name, arguments: other_arguments, .. },
            ) => receiver == other_receiver && name == other_name && arguments == other_arguments,
            (kind, other) => kind == other,
        }
    }
}

impl Syntax {
    /// The parts directly below, as they are written.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Literal(_) | Kind::Name(_) => Vec::new(),
            Kind::Member { object, .. } => vec![object],
            Kind::Index { object, key } => vec![object, key],
            Kind::Call { receiver, arguments, .. } => {
                receiver.iter().map(|receiver| &**receiver).chain(arguments).collect()
            }
            Kind::List(elements) | Kind::And(elements) | Kind::Or(elements) => elements.iter().collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Kind::Not(operand) | Kind::Negate(operand) => vec![operand],
            Kind::Binary { operands, .. } => operands.iter().collect(),
            Kind::Conditional(parts) => parts.iter().collect(),
        }
    }

    /// The names of `a.b.c`, if it is nothing but names and dots.
    pub(crate) fn path(&self) -> Option<Vec<&str>> {
        match &self.kind {
            Kind::Name(name) => Some(vec![name]),
            Kind::Member { object, name } => {
                let mut path = object.path()?;
                path.push(name);
                Some(path)
            }
            _ => None,
        }
    }

    /// The text, if it is a text that is written down.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Literal(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }
}
