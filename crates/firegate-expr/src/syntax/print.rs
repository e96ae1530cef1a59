//! From a tree to text: one spelling of every expression, with no bracket that is not needed. Reading it gives the tree.

use std::fmt::Write;

use super::{Kind, Literal, Syntax};

/// How tightly a part binds that is whole by itself.
const WHOLE: u8 = 7;

/// More than any part binds, so that even a whole one gets brackets.
const IN_BRACKETS: u8 = WHOLE + 1;

/// How tightly a part binds; the larger the tighter.
const fn strength(kind: &Kind) -> u8 {
    match kind {
        Kind::Conditional(_) => 0,
        Kind::Or(_) => 1,
        Kind::And(_) => 2,
        Kind::Binary { operator, .. } => 2 + operator.precedence(),
        Kind::Not(_) | Kind::Negate(_) => 6,
        _ => WHOLE,
    }
}

/// Writes a whole expression.
pub(crate) fn tree(syntax: &Syntax) -> String {
    let mut out = String::new();
    write(&mut out, syntax, 0);
    out
}

/// Writes `syntax`, in brackets if it binds less tightly than `least`.
fn write(out: &mut String, syntax: &Syntax, least: u8) {
    let own = strength(&syntax.kind);
    if own < least {
        out.push('(');
        parts(out, syntax, own);
        out.push(')');
    } else {
        parts(out, syntax, own);
    }
}

/// Writes what `syntax` is made of, which itself binds as tightly as `own`.
fn parts(out: &mut String, syntax: &Syntax, own: u8) {
    match &syntax.kind {
        Kind::Literal(value) => literal(out, value),
        Kind::Name(name) => out.push_str(name),
        Kind::Member { object, name } => {
            receiver(out, object);
            out.push('.');
            out.push_str(name);
        }
        Kind::Index { object, key } => {
            receiver(out, object);
            out.push('[');
            write(out, key, 0);
            out.push(']');
        }
        Kind::Call { receiver: called, name, arguments, .. } => {
            if let Some(called) = called {
                receiver(out, called);
                out.push('.');
            }
            out.push_str(name);
            out.push('(');
            separated(out, ", ", arguments, 0);
            out.push(')');
        }
        Kind::List(elements) => {
            out.push('[');
            separated(out, ", ", elements, 0);
            out.push(']');
        }
        Kind::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(out, key, 1);
                out.push_str(": ");
                write(out, value, 0);
            }
            out.push('}');
        }
        Kind::Not(operand) => {
            out.push('!');
            // Two in a row would cancel each other.
            write(out, operand, if matches!(operand.kind, Kind::Not(_)) { IN_BRACKETS } else { own });
        }
        Kind::Negate(operand) => {
            out.push('-');
            // A minus before a number would become its sign, and two in a row would cancel each other.
            let is_own =
                matches!(operand.kind, Kind::Literal(Literal::Int(_) | Literal::Double(_)) | Kind::Negate(_));
            write(out, operand, if is_own { IN_BRACKETS } else { own });
        }
        Kind::And(operands) => separated(out, " && ", operands, own + 1),
        Kind::Or(operands) => separated(out, " || ", operands, own + 1),
        Kind::Binary { operator, operands } => {
            let [left, right] = &**operands;
            write(out, left, own);
            let _ = write!(out, " {} ", operator.symbol());
            write(out, right, own + 1);
        }
        Kind::Conditional(parts) => {
            let [condition, yes, no] = &**parts;
            write(out, condition, 1);
            out.push_str(" ? ");
            write(out, yes, 1);
            out.push_str(" : ");
            write(out, no, 0);
        }
    }
}

/// What stands before a dot or a bracket. Numbers get brackets: `1.e` would be read as another number.
fn receiver(out: &mut String, syntax: &Syntax) {
    let is_number =
        matches!(syntax.kind, Kind::Literal(Literal::Int(_) | Literal::Double(_) | Literal::Unsigned(_)));
    write(out, syntax, if is_number { IN_BRACKETS } else { WHOLE });
}

fn separated(out: &mut String, separator: &str, parts: &[Syntax], least: u8) {
    for (index, part) in parts.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { separator });
        write(out, part, least);
    }
}

/// Writes a value as it can be read again.
fn literal(out: &mut String, literal: &Literal) {
    let _ = match literal {
        Literal::Null => write!(out, "null"),
        Literal::Bool(value) => write!(out, "{value}"),
        Literal::Int(value) => write!(out, "{value}"),
        Literal::Unsigned(value) => write!(out, "{value}u"),
        Literal::Double(value) => write!(out, "{value:?}"),
        Literal::Text(text) => {
            out.push('\'');
            for character in text.chars() {
                match character {
                    '\'' => out.push_str("\\'"),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    control if control.is_control() => drop(write!(out, "\\u{:04x}", u32::from(control))),
                    character => out.push(character),
                }
            }
            out.push('\'');
            Ok(())
        }
        Literal::Bytes(bytes) => {
            out.push_str("b'");
            for byte in bytes {
                let _ = write!(out, "\\x{byte:02x}");
            }
            out.push('\'');
            Ok(())
        }
    };
}
