//! From a tree to what can be evaluated: every name known, every type right, everything that can be compiled compiled.
//! All problems are collected.
//!
//! `names` and `functions` are the tables of what each language has, `paths` and `calls` go by them, and `node` is what comes
//! out.

mod calls;
mod functions;
mod google;
mod names;
pub(crate) mod node;
mod paths;

use std::collections::BTreeSet;
use std::ops::Range;

use node::{Constant, Node, Operation, Type};

use crate::attribute::Attribute;
use crate::code;
use crate::language::{Dialect, Language};
use crate::limits::ERRORS_MAX;
use crate::problem::ExpressionError;
use crate::syntax::{Kind, Literal, Operator, Syntax};

/// A sound expression and what it asks for.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) root: Node,
    pub(crate) reads: BTreeSet<Attribute>,
    pub(crate) headers: BTreeSet<Box<str>>,
    pub(crate) unknown: Vec<UnknownPart>,
    pub(crate) is_firegate_only: bool,
}

/// A function or an attribute that Firegate does not evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPart {
    /// Its name, for example `evaluatePreconfiguredWaf`.
    pub name: &'static str,
    /// The bytes of the expression where it stands.
    pub span: Range<usize>,
    /// Whether it stands under `!`, or is compared with a truth value: it might have to be false for the expression to match.
    pub negated: bool,
}

/// Checks a whole expression.
pub(crate) fn check(
    text: &str,
    tree: &Syntax,
    language: Language,
    dialect: Dialect,
) -> Result<Checked, Vec<ExpressionError>> {
    let mut checker = Checker {
        language,
        dialect,
        errors: Vec::new(),
        reads: BTreeSet::new(),
        headers: BTreeSet::new(),
        unknown: Vec::new(),
        negations: 0,
        is_firegate_only: false,
    };
    let root = checker.node(tree);
    if let Some(root) = &root
        && root.kind != Type::Bool
        && (root.kind != Type::Dynamic || dialect == Dialect::Gcloud)
    {
        let message = format!("the expression is a {}, and has to be true or false", root.kind.name());
        checker.error(ExpressionError::new(tree.span.clone(), code::TYPE, message));
    }
    if dialect == Dialect::Gcloud {
        google::limits(text, tree, language).into_iter().for_each(|error| checker.error(error));
    }
    match root {
        Some(root) if checker.errors.is_empty() => Ok(Checked {
            root,
            reads: checker.reads,
            headers: checker.headers,
            unknown: checker.unknown,
            is_firegate_only: checker.is_firegate_only,
        }),
        _ => {
            checker.errors.sort_by_key(|error| error.span.start);
            Err(checker.errors)
        }
    }
}

pub(super) struct Checker {
    language: Language,
    dialect: Dialect,
    errors: Vec<ExpressionError>,
    reads: BTreeSet<Attribute>,
    headers: BTreeSet<Box<str>>,
    unknown: Vec<UnknownPart>,
    /// How many operators that turn the answer around stand above.
    negations: usize,
    /// Something was used that Google does not have.
    is_firegate_only: bool,
}

/// Where a part stands, in the shape that nodes keep.
pub(super) fn place(span: &Range<usize>) -> (u32, u32) {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    (number(span.start), number(span.end))
}

impl Checker {
    fn error(&mut self, error: ExpressionError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    fn refuse(&mut self, syntax: &Syntax, code: &'static str, message: impl Into<String>) -> Option<Node> {
        self.error(ExpressionError::new(syntax.span.clone(), code, message));
        None
    }

    /// Refuses in dialect `gcloud` what Firegate alone can do.
    fn firegate_only(&mut self, span: &Range<usize>, what: &str, instead: Option<&str>) {
        self.is_firegate_only = true;
        if self.dialect == Dialect::Gcloud {
            let message = format!("{what}: Google refuses this in {}", self.language);
            let hint = match instead {
                Some(instead) => format!("{instead}, or attach the file with `dialect: firegate`"),
                None => "attach the file with `dialect: firegate` if Firegate alone evaluates it".to_owned(),
            };
            self.error(ExpressionError::new(span.clone(), code::FIREGATE_ONLY, message).hint(hint));
        }
    }

    fn make(&self, syntax: &Syntax, kind: Type, operation: Operation) -> Option<Node> {
        Some(Node { operation, kind, span: place(&syntax.span) })
    }

    /// Checks any part.
    fn node(&mut self, syntax: &Syntax) -> Option<Node> {
        match &syntax.kind {
            Kind::Literal(literal) => self.literal(syntax, literal),
            Kind::Name(_) | Kind::Member { .. } | Kind::Index { .. } => self.path(syntax),
            Kind::Call { receiver, name, name_span, arguments } => {
                self.call(syntax, receiver.as_deref(), name, name_span, arguments)
            }
            Kind::List(_) => self.refuse(
                syntax,
                code::NOT_IN_LANGUAGE,
                "a list can stand on the right of `in` and as an argument, nowhere else",
            ),
            Kind::Map(_) => self.refuse(
                syntax,
                code::NOT_IN_LANGUAGE,
                "a map can stand in the options of `evaluatePreconfiguredWaf`, nowhere else",
            ),
            Kind::Not(operand) => {
                self.negations += 1;
                let operand_node = self.expect(operand, Type::Bool, "`!`");
                self.negations -= 1;
                self.make(syntax, Type::Bool, Operation::Not(Box::new(operand_node?)))
            }
            Kind::Negate(operand) => self.negate(syntax, operand),
            Kind::And(operands) => {
                let nodes = self.operands(operands, "`&&`");
                self.make(syntax, Type::Bool, Operation::And(nodes?))
            }
            Kind::Or(operands) => {
                let nodes = self.operands(operands, "`||`");
                self.make(syntax, Type::Bool, Operation::Or(nodes?))
            }
            Kind::Binary { operator, operands } => match operator {
                Operator::In => self.membership(syntax, operands),
                Operator::Equal | Operator::NotEqual => self.equality(syntax, *operator, operands),
                Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
                    self.order(syntax, *operator, operands)
                }
                _ => self.arithmetic(syntax, *operator, operands),
            },
            Kind::Conditional(parts) => self.conditional(syntax, parts),
        }
    }

    fn literal(&mut self, syntax: &Syntax, literal: &Literal) -> Option<Node> {
        let constant = match literal {
            Literal::Bool(value) => Constant::Bool(*value),
            Literal::Int(value) => Constant::Int(*value),
            Literal::Double(value) => Constant::Double(*value),
            Literal::Text(text) => Constant::Text(text.clone()),
            Literal::Null if self.dialect == Dialect::Firegate => Constant::Null,
            Literal::Null => return self.refuse(syntax, code::NOT_IN_LANGUAGE, "there is no `null` here"),
            Literal::Unsigned(_) => {
                return self.refuse(syntax, code::NOT_IN_LANGUAGE, "numbers are written without `u`");
            }
            Literal::Bytes(_) => {
                return self.refuse(syntax, code::NOT_IN_LANGUAGE, "texts are written without `b`");
            }
        };
        self.make(syntax, constant.kind(), Operation::Constant(constant))
    }

    /// Checks a part that has to be of one type.
    fn expect(&mut self, syntax: &Syntax, expected: Type, what: &str) -> Option<Node> {
        let node = self.node(syntax)?;
        if node.kind.is(expected) {
            return Some(node);
        }
        let message = format!("{what} takes a {}, and this is a {}", expected.name(), node.kind.name());
        self.refuse(syntax, code::TYPE, message)
    }

    fn operands(&mut self, operands: &[Syntax], what: &str) -> Option<Vec<Node>> {
        let nodes: Vec<Option<Node>> =
            operands.iter().map(|operand| self.expect(operand, Type::Bool, what)).collect();
        nodes.into_iter().collect()
    }

    fn pair(&mut self, operands: &[Syntax; 2]) -> Option<Box<[Node; 2]>> {
        let [left, right] = operands;
        let (left, right) = (self.node(left), self.node(right));
        Some(Box::new([left?, right?]))
    }

    fn mismatch(&mut self, syntax: &Syntax, operator: Operator, nodes: &[Node; 2]) -> Option<Node> {
        let [left, right] = nodes.each_ref().map(|node| node.kind.name());
        let message = format!("`{}` does not take a {left} and a {right}", operator.symbol());
        let error = ExpressionError::new(syntax.span.clone(), code::TYPE, message);
        let hint = match (nodes[0].kind, nodes[1].kind) {
            (Type::Text, Type::Int) => Some("a number out of a text is `int(text)`; a text stands in quotes"),
            (Type::Int, Type::Double) | (Type::Double, Type::Int) => {
                Some("write both with a fraction or both without: 1.0 or 1")
            }
            _ => None,
        };
        self.error(error.hint_if(hint));
        None
    }

    fn equality(&mut self, syntax: &Syntax, operator: Operator, operands: &[Syntax; 2]) -> Option<Node> {
        if let Some(node) = self.signed_in(syntax, operator, operands) {
            return Some(node);
        }
        let known = self.unknown.len();
        let nodes = self.pair(operands)?;
        let [left, right] = nodes.each_ref().map(|node| node.kind);
        if left == Type::Bool {
            // `x == false` is `!x`.
            self.unknown.iter_mut().skip(known).for_each(|part| part.negated = true);
        }
        let is_plain = |kind| matches!(kind, Type::Bool | Type::Int | Type::Double | Type::Text);
        let is_time = |kind| matches!(kind, Type::Timestamp | Type::Duration);
        let dynamic = left == Type::Dynamic || right == Type::Dynamic;
        let no_container = |kind| !matches!(kind, Type::Map | Type::List);
        let sound = (dynamic && no_container(left) && no_container(right))
            || (left == right
                && (is_plain(left) || (is_time(left) && self.language == Language::IamCondition)));
        if sound {
            self.make(syntax, Type::Bool, Operation::Compare(operator, nodes))
        } else {
            self.mismatch(syntax, operator, &nodes)
        }
    }

    fn order(&mut self, syntax: &Syntax, operator: Operator, operands: &[Syntax; 2]) -> Option<Node> {
        let nodes = self.pair(operands)?;
        let [left, right] = nodes.each_ref().map(|node| node.kind);
        let is_ordered = |kind| match kind {
            Type::Int | Type::Double | Type::Dynamic => true,
            Type::Text | Type::Timestamp | Type::Duration => self.language == Language::IamCondition,
            _ => false,
        };
        if left.is(right) && is_ordered(left) && is_ordered(right) {
            self.make(syntax, Type::Bool, Operation::Compare(operator, nodes))
        } else {
            self.mismatch(syntax, operator, &nodes)
        }
    }

    fn arithmetic(&mut self, syntax: &Syntax, operator: Operator, operands: &[Syntax; 2]) -> Option<Node> {
        if matches!(operator, Operator::Divide | Operator::Remainder) {
            self.firegate_only(&syntax.span, &format!("`{}`", operator.symbol()), None);
        }
        let nodes = self.pair(operands)?;
        let iam = self.language == Language::IamCondition;
        let kind = match (operator, nodes[0].kind, nodes[1].kind) {
            (Operator::Add | Operator::Subtract, Type::Timestamp, Type::Duration) if iam => Type::Timestamp,
            (Operator::Add, Type::Duration, Type::Timestamp) if iam => Type::Timestamp,
            (Operator::Subtract, Type::Timestamp, Type::Timestamp) if iam => Type::Duration,
            (Operator::Add | Operator::Subtract, Type::Duration, Type::Duration) if iam => Type::Duration,
            (Operator::Add, Type::Text, Type::Text) => Type::Text,
            (_, Type::Int, Type::Int) => Type::Int,
            (Operator::Remainder, _, _) => return self.mismatch(syntax, operator, &nodes),
            (_, Type::Double, Type::Double) => Type::Double,
            (_, Type::Dynamic, other) | (_, other, Type::Dynamic)
                if matches!(other, Type::Int | Type::Double | Type::Dynamic)
                    || (other == Type::Text && operator == Operator::Add) =>
            {
                other
            }
            _ => return self.mismatch(syntax, operator, &nodes),
        };
        self.make(syntax, kind, Operation::Arithmetic(operator, nodes))
    }

    fn negate(&mut self, syntax: &Syntax, operand: &Syntax) -> Option<Node> {
        self.firegate_only(&syntax.span, "a minus before anything but a number", Some("write `0 - …`"));
        let node = self.node(operand)?;
        match node.kind {
            Type::Int | Type::Double | Type::Dynamic => {
                self.make(syntax, node.kind, Operation::Negate(Box::new(node)))
            }
            kind => {
                self.refuse(syntax, code::TYPE, format!("`-` takes a number, and this is a {}", kind.name()))
            }
        }
    }

    fn conditional(&mut self, syntax: &Syntax, parts: &[Syntax; 3]) -> Option<Node> {
        if self.language == Language::Armor {
            self.firegate_only(&syntax.span, "`?` and `:`", Some("write `(a && b) || (!a && c)`"));
        }
        let [condition, yes, no] = parts;
        self.negations += 1;
        let condition = self.expect(condition, Type::Bool, "the condition before `?`");
        self.negations -= 1;
        let (yes, no) = (self.node(yes)?, self.node(no)?);
        if !yes.kind.is(no.kind) || matches!(yes.kind, Type::Map | Type::List) {
            let message =
                format!("the two answers have different types: {} and {}", yes.kind.name(), no.kind.name());
            return self.refuse(syntax, code::TYPE, message);
        }
        let kind = if yes.kind == Type::Dynamic { no.kind } else { yes.kind };
        self.make(syntax, kind, Operation::Conditional(Box::new([condition?, yes, no])))
    }

    /// `x in …`
    fn membership(&mut self, syntax: &Syntax, operands: &[Syntax; 2]) -> Option<Node> {
        if self.language == Language::Armor {
            let instead = "write one `==` for each, joined by `||`";
            self.firegate_only(&syntax.span, "`in`", Some(instead));
        }
        let [element, container] = operands;
        if self.is_map(container) {
            return self.in_map(syntax, element, container);
        }
        let element_node = self.node(element);
        if let Kind::List(elements) = &container.kind {
            let nodes = self.elements(elements);
            let (element_node, nodes) = (element_node?, nodes?);
            if let Some((index, wrong)) =
                nodes.iter().enumerate().find(|(_, node)| !node.kind.is(element_node.kind))
            {
                let message = format!(
                    "a {} is looked for, and this is a {}",
                    element_node.kind.name(),
                    wrong.kind.name()
                );
                let at = elements.get(index).unwrap_or(container);
                return self.refuse(at, code::TYPE, message);
            }
            return self.make(syntax, Type::Bool, Operation::InElements(Box::new(element_node), nodes));
        }
        let container_node = self.node(container)?;
        if !matches!(container_node.kind, Type::List | Type::Dynamic) {
            let message =
                format!("`in` looks into a list or a map, and this is a {}", container_node.kind.name());
            return self.refuse(container, code::TYPE, message);
        }
        self.make(syntax, Type::Bool, Operation::In(Box::new([element_node?, container_node])))
    }

    /// The elements of a list that is written down: values, and no lists in the list.
    fn elements(&mut self, elements: &[Syntax]) -> Option<Vec<Node>> {
        let nodes: Vec<Option<Node>> = elements.iter().map(|element| self.node(element)).collect();
        nodes.into_iter().collect()
    }
}
