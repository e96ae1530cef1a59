//! The operators between two values: comparisons and arithmetic.

use std::borrow::Cow;

use super::{Evaluated, Evaluation, as_text, stop};
use crate::check::node::Node;
use crate::outcome::ErrorKind;
use crate::syntax::Operator;
use crate::value::Value;

impl<'a> Evaluation<'a> {
    pub(super) fn compare(&self, node: &Node, operator: Operator, operands: &'a [Node; 2]) -> Evaluated<'a> {
        let (left, right) = self.compared(operands)?;
        let equal = || left.equals(&right);
        let ordering = match operator {
            Operator::Equal => return Ok(equal().into()),
            Operator::NotEqual => return Ok((!equal()).into()),
            _ => order(&left, &right).ok_or(stop(node, ErrorKind::WrongType))?,
        };
        // NaN has no order, and every comparison with it is false.
        Ok(Value::Bool(ordering.is_some_and(|ordering| match operator {
            Operator::Less => ordering.is_lt(),
            Operator::LessEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            _ => ordering.is_ge(),
        })))
    }

    pub(super) fn arithmetic(
        &self,
        node: &Node,
        operator: Operator,
        left: Value<'a>,
        right: Value<'a>,
    ) -> Evaluated<'a> {
        let overflow = stop(node, ErrorKind::Overflow);
        match (operator, left, right) {
            (Operator::Divide | Operator::Remainder, Value::Int(_), Value::Int(0)) => {
                Err(stop(node, ErrorKind::DivisionByZero))
            }
            (_, Value::Int(left), Value::Int(right)) => {
                let result = match operator {
                    Operator::Add => left.checked_add(right),
                    Operator::Subtract => left.checked_sub(right),
                    Operator::Multiply => left.checked_mul(right),
                    Operator::Divide => left.checked_div(right),
                    _ => left.checked_rem(right),
                };
                result.map(Value::Int).ok_or(overflow)
            }
            (_, Value::Double(left), Value::Double(right)) => match operator {
                Operator::Add => Ok(Value::Double(left + right)),
                Operator::Subtract => Ok(Value::Double(left - right)),
                Operator::Multiply => Ok(Value::Double(left * right)),
                Operator::Divide => Ok(Value::Double(left / right)),
                _ => Err(stop(node, ErrorKind::WrongType)),
            },
            (Operator::Add, Value::Timestamp(time), Value::Duration(length))
            | (Operator::Add, Value::Duration(length), Value::Timestamp(time)) => {
                time.plus(length).map(Value::Timestamp).ok_or(overflow)
            }
            (Operator::Subtract, Value::Timestamp(time), Value::Duration(length)) => {
                time.minus(length).map(Value::Timestamp).ok_or(overflow)
            }
            (Operator::Subtract, Value::Timestamp(left), Value::Timestamp(right)) => {
                left.since(right).map(Value::Duration).ok_or(overflow)
            }
            (Operator::Add, Value::Duration(left), Value::Duration(right)) => {
                left.plus(right).map(Value::Duration).ok_or(overflow)
            }
            (Operator::Subtract, Value::Duration(left), Value::Duration(right)) => {
                left.minus(right).map(Value::Duration).ok_or(overflow)
            }
            (Operator::Add, left, right) => {
                let (left, right) = (as_text(node, left)?, as_text(node, right)?);
                self.spend(node, left.len() + right.len())?;
                Ok(Value::Text(Cow::Owned([&*left, &*right].concat())))
            }
            _ => Err(stop(node, ErrorKind::WrongType)),
        }
    }
}

/// The order of two values: nothing if their types have none, and no order for NaN.
fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Option<std::cmp::Ordering>> {
    #[expect(clippy::cast_precision_loss, reason = "CEL compares whole numbers and fractions by their worth")]
    Some(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
        (Value::Double(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => return None,
    })
}
