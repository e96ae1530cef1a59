//! What an expression says of a path to a server that takes capital letters for small ones, as many do: they answer `/ADMIN` as
//! `/admin`, and `/admin` as `/Admin`. For it a text that the path is compared with means every way to write its letters, and
//! so does a pattern, but for its classes (`[a-z]`), which mean the letters that they name.

use crate::attribute::Attribute;
use crate::check::node::{Constant, Node, Operation, Transform};
use crate::functions::decode;
use crate::value::Value;

/// The letters of the texts that an expression compares the path with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathLetters {
    /// None, or their case counts for nothing.
    #[default]
    None,
    /// Small ones alone.
    Small,
    /// Capital ones too.
    Capital,
}

impl PathLetters {
    /// Those of a checked part and of all below.
    pub(crate) fn of(node: &Node) -> Self {
        let below = node.children().into_iter().map(Self::of);
        below.chain([Self::compared_by(node)]).max().unwrap_or_default()
    }

    /// Those that a part itself compares the path with.
    fn compared_by(node: &Node) -> Self {
        match &node.operation {
            Operation::Compare(_, operands) | Operation::Test(_, operands) if is_path_compared(operands) => {
                operands.iter().map(Self::of_constant).max().unwrap_or_default()
            }
            Operation::InElements(element, elements) if is_path(element) => {
                elements.iter().map(Self::of_constant).max().unwrap_or_default()
            }
            Operation::Matches(_, pattern) => pattern.path_letters(),
            _ => Self::None,
        }
    }

    fn of_constant(node: &Node) -> Self {
        match &node.operation {
            Operation::Constant(Constant::Text(text)) => Self::of_text(text),
            _ => Self::None,
        }
    }

    pub(crate) fn of_text(text: &str) -> Self {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Self::Capital
        } else if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            Self::Small
        } else {
            Self::None
        }
    }
}

/// Whether two operands are the path and a text that is written down.
pub(crate) fn is_path_compared(operands: &[Node; 2]) -> bool {
    let is_text = |node: &Node| matches!(node.operation, Operation::Constant(Constant::Text(_)));
    let [left, right] = operands;
    is_path(left) && is_text(right) || is_text(left) && is_path(right)
}

/// Whether a part is the path, whose escapes were decoded perhaps.
pub(crate) fn is_path(node: &Node) -> bool {
    match &node.operation {
        Operation::Attribute(attribute) => *attribute == Attribute::RequestPath,
        Operation::Transform(Transform::UrlDecode | Transform::UrlDecodeUnicode, text) => is_path(text),
        _ => false,
    }
}

/// A value without capital letters, if it is a text.
pub(crate) fn in_lower_case(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(text) => Value::Text(decode::lower(text)),
        other => other,
    }
}
