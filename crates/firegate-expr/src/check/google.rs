//! What Google accepts of the size of an expression.

use crate::code;
use crate::language::Language;
use crate::limits::{
    GOOGLE_ARMOR_EXPRESSION_CHARACTERS_MAX, GOOGLE_ARMOR_MATCHES_MAX,
    GOOGLE_ARMOR_SUBEXPRESSION_CHARACTERS_MAX, GOOGLE_ARMOR_SUBEXPRESSIONS_MAX,
    GOOGLE_IAM_LOGICAL_OPERATORS_MAX,
};
use crate::problem::ExpressionError;
use crate::syntax::{Kind, Syntax};

/// Everything in which the expression is too large for Google.
pub(super) fn limits(text: &str, tree: &Syntax, language: Language) -> Vec<ExpressionError> {
    match language {
        Language::Armor => armor(text, tree),
        Language::IamCondition => {
            let operators = logical_operators(tree);
            if operators <= GOOGLE_IAM_LOGICAL_OPERATORS_MAX {
                return Vec::new();
            }
            let message = format!(
                "{operators} logical operators: Google accepts at most {GOOGLE_IAM_LOGICAL_OPERATORS_MAX} in a condition"
            );
            let hint =
                "write several bindings of the same role and member, each with a part of the condition";
            vec![ExpressionError::new(tree.span.clone(), code::GOOGLE_LIMIT, message).hint(hint)]
        }
    }
}

fn armor(text: &str, tree: &Syntax) -> Vec<ExpressionError> {
    let mut errors = Vec::new();
    let mut add = |syntax: &Syntax, message: String, hint: &str| {
        errors.push(ExpressionError::new(syntax.span.clone(), code::GOOGLE_LIMIT, message).hint(hint));
    };
    let characters = text.chars().count();
    if characters > GOOGLE_ARMOR_EXPRESSION_CHARACTERS_MAX {
        let message = format!(
            "{characters} characters: Google accepts at most {GOOGLE_ARMOR_EXPRESSION_CHARACTERS_MAX} in an expression"
        );
        add(tree, message, "split it into several rules");
    }
    let mut parts = Vec::new();
    subexpressions(tree, &mut parts);
    if let Some(first_beyond) = parts.get(GOOGLE_ARMOR_SUBEXPRESSIONS_MAX) {
        let message = format!(
            "{} subexpressions: Google accepts at most {GOOGLE_ARMOR_SUBEXPRESSIONS_MAX} in a rule",
            parts.len()
        );
        add(first_beyond, message, "split the rule, or match alternatives by one regular expression");
    }
    for part in &parts {
        let characters = text.get(part.span.clone()).unwrap_or_default().chars().count();
        if characters > GOOGLE_ARMOR_SUBEXPRESSION_CHARACTERS_MAX {
            let message = format!(
                "{characters} characters: Google accepts at most {GOOGLE_ARMOR_SUBEXPRESSION_CHARACTERS_MAX} in a subexpression"
            );
            add(part, message, "split it");
        }
    }
    let mut patterns = Vec::new();
    calls_of("matches", tree, &mut patterns);
    if let Some(second) = patterns.get(GOOGLE_ARMOR_MATCHES_MAX) {
        let message =
            format!("Google accepts `matches` at most {GOOGLE_ARMOR_MATCHES_MAX} time in an expression");
        add(second, message, "join the patterns with `|`, or split the rule");
    }
    errors
}

/// The operands of the logical operators: those that Google counts.
pub(super) fn subexpressions<'a>(tree: &'a Syntax, parts: &mut Vec<&'a Syntax>) {
    match &tree.kind {
        Kind::And(operands) | Kind::Or(operands) => {
            operands.iter().for_each(|operand| subexpressions(operand, parts));
        }
        Kind::Not(operand) => subexpressions(operand, parts),
        _ => parts.push(tree),
    }
}

fn logical_operators(tree: &Syntax) -> usize {
    let own = match &tree.kind {
        Kind::And(operands) | Kind::Or(operands) => operands.len() - 1,
        Kind::Not(_) => 1,
        _ => 0,
    };
    own + tree.children().into_iter().map(logical_operators).sum::<usize>()
}

fn calls_of<'a>(name: &str, tree: &'a Syntax, found: &mut Vec<&'a Syntax>) {
    if matches!(&tree.kind, Kind::Call { name: called, .. } if **called == *name) {
        found.push(tree);
    }
    tree.children().into_iter().for_each(|child| calls_of(name, child, found));
}
