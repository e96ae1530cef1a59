//! From words to a tree, by recursive descent. Nesting is bounded while it is read, so that no text can exhaust the stack.

use std::ops::Range;

use super::lexer::{Lexer, Token, is_reserved};
use super::{Kind, Literal, Operator, Syntax};
use crate::code;
use crate::limits::{DEPTH_MAX, EXPRESSION_BYTES_MAX, NODES_MAX};
use crate::problem::ExpressionError;

type Read<T> = Result<T, ExpressionError>;

/// Reads a whole expression.
pub(crate) fn parse(text: &str) -> Read<Syntax> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(ExpressionError::new(0..0, code::TOO_LARGE, message));
    }
    let mut lexer = Lexer::new(text);
    let (token, span) = lexer.next()?;
    let mut parser = Parser { lexer, token, span, end: 0, nesting: 0, nodes: 0 };
    if parser.token == Token::End {
        return Err(ExpressionError::new(0..text.len(), code::SYNTAX, "the expression is empty"));
    }
    let tree = parser.expression()?;
    match parser.token {
        Token::End => Ok(tree),
        _ => Err(parser.unexpected("the end or an operator")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The word that comes next, and where it stands.
    token: Token,
    span: Range<usize>,
    /// Where the word before it ended.
    end: usize,
    nesting: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Read<Token> {
        let (token, span) = self.lexer.next()?;
        self.end = self.span.end;
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn accept(&mut self, symbol: &str) -> Read<bool> {
        let found = matches!(self.token, Token::Symbol(found) if found == symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str) -> Read<()> {
        if self.accept(symbol)? { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn unexpected(&self, expected: &str) -> ExpressionError {
        let found = match &self.token {
            Token::End => "the expression ends".to_owned(),
            Token::Symbol(symbol) => format!("there is `{symbol}`"),
            Token::Name(name) => format!("there is `{name}`"),
            Token::Literal(_) | Token::Int(_) => "there is a value".to_owned(),
        };
        let error = ExpressionError::new(
            self.span.clone(),
            code::SYNTAX,
            format!("{found} where {expected} is expected"),
        );
        match &self.token {
            Token::Name(name) => match &*name.to_ascii_lowercase() {
                "and" => error.hint("the logical and is written `&&`"),
                "or" => error.hint("the logical or is written `||`"),
                _ => error,
            },
            _ => error,
        }
    }

    fn node(&mut self, start: usize, kind: Kind) -> Read<Syntax> {
        self.nodes += 1;
        let span = start..self.end.max(start);
        let mut node = Syntax { kind, span, depth: 1 };
        node.depth += node.children().iter().map(|child| child.depth).max().unwrap_or(0);
        if node.depth > DEPTH_MAX || self.nodes > NODES_MAX {
            let message = "the expression is nested too deep or has too many parts";
            return Err(ExpressionError::new(node.span, code::TOO_LARGE, message));
        }
        Ok(node)
    }

    /// `condition ? yes : no`, or anything that binds tighter.
    fn expression(&mut self) -> Read<Syntax> {
        self.nesting += 1;
        if self.nesting > DEPTH_MAX {
            let message = format!("brackets nest deeper than {DEPTH_MAX} levels");
            return Err(ExpressionError::new(self.span.clone(), code::TOO_LARGE, message));
        }
        let start = self.span.start;
        let condition = self.or()?;
        let node = if self.accept("?")? {
            let yes = self.or()?;
            self.expect(":")?;
            let no = self.expression()?;
            self.node(start, Kind::Conditional(Box::new([condition, yes, no])))?
        } else {
            condition
        };
        self.nesting -= 1;
        Ok(node)
    }

    /// A chain of `||`, whose operands are chains of `&&`.
    fn or(&mut self) -> Read<Syntax> {
        self.chain("||", Self::and, Kind::Or)
    }

    /// A chain of `&&`, whose operands are relations.
    fn and(&mut self) -> Read<Syntax> {
        self.chain("&&", |parser| parser.binary(1), Kind::And)
    }

    /// Operands between which a symbol stands; one alone is no chain.
    fn chain(
        &mut self,
        symbol: &str,
        operand: fn(&mut Self) -> Read<Syntax>,
        kind: fn(Vec<Syntax>) -> Kind,
    ) -> Read<Syntax> {
        let start = self.span.start;
        let mut operands = vec![operand(self)?];
        while self.accept(symbol)? {
            operands.push(operand(self)?);
        }
        match operands.len() {
            1 => Ok(operands.remove(0)),
            _ => self.node(start, kind(operands)),
        }
    }

    fn operator(&self) -> Option<Operator> {
        let Token::Symbol(symbol) = self.token else { return None };
        Some(match symbol {
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterEqual,
            "in" => Operator::In,
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            "%" => Operator::Remainder,
            _ => return None,
        })
    }

    /// Operators that bind at least as tightly as `least`, from left to right.
    fn binary(&mut self, least: u8) -> Read<Syntax> {
        let start = self.span.start;
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|operator| operator.precedence() >= least) {
            self.advance()?;
            let right = self.binary(operator.precedence() + 1)?;
            left = self.node(start, Kind::Binary { operator, operands: Box::new([left, right]) })?;
        }
        Ok(left)
    }

    /// Signs before an operand. Two alike cancel each other, as in Google's parser.
    fn unary(&mut self) -> Read<Syntax> {
        let mut operators: Vec<(bool, usize)> = Vec::new();
        let mut count = 0;
        loop {
            let start = self.span.start;
            let is_not = if self.accept("!")? {
                true
            } else if self.accept("-")? {
                false
            } else {
                break;
            };
            match operators.last() {
                Some((last, _)) if *last == is_not => drop(operators.pop()),
                _ => operators.push((is_not, start)),
            }
            count += 1;
            if count > DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} signs in a row");
                return Err(ExpressionError::new(self.span.clone(), code::TOO_LARGE, message));
            }
        }
        // A minus directly before a number is the number's own sign.
        let is_number = matches!(self.token, Token::Int(_) | Token::Literal(Literal::Double(_)));
        let sign = operators.last().copied().filter(|(is_not, _)| is_number && !is_not);
        if sign.is_some() {
            operators.pop();
        }
        let mut node = self.postfix(sign.map(|(_, start)| start))?;
        for (is_not, start) in operators.into_iter().rev() {
            let operand = Box::new(node);
            node = self.node(start, if is_not { Kind::Not(operand) } else { Kind::Negate(operand) })?;
        }
        Ok(node)
    }

    /// A primary and what follows it: `.name`, `.name(…)`, `[key]`.
    fn postfix(&mut self, sign: Option<usize>) -> Read<Syntax> {
        let start = sign.unwrap_or(self.span.start);
        let mut node = self.primary(start, sign.is_some())?;
        loop {
            if self.accept(".")? {
                let name_span = self.span.clone();
                let Token::Name(name) = self.advance()? else {
                    return Err(ExpressionError::new(
                        name_span,
                        code::SYNTAX,
                        "a name is expected after the dot",
                    )
                    .hint(
                        "a key with other characters is written in brackets: `request.headers['the-key']`",
                    ));
                };
                node = if self.accept("(")? {
                    let arguments = self.list(")")?;
                    let receiver = Some(Box::new(node));
                    self.node(start, Kind::Call { receiver, name, name_span, arguments })?
                } else {
                    self.node(start, Kind::Member { object: Box::new(node), name })?
                };
            } else if self.accept("[")? {
                let key = Box::new(self.expression()?);
                self.expect("]")?;
                node = self.node(start, Kind::Index { object: Box::new(node), key })?;
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self, start: usize, is_negative: bool) -> Read<Syntax> {
        let span = self.span.clone();
        match self.token.clone() {
            Token::Literal(literal) => {
                self.advance()?;
                let literal = match literal {
                    Literal::Double(value) if is_negative => Literal::Double(-value),
                    literal => literal,
                };
                self.node(start, Kind::Literal(literal))
            }
            Token::Int(magnitude) => {
                self.advance()?;
                let value = if is_negative {
                    0_i64.checked_sub_unsigned(magnitude)
                } else {
                    i64::try_from(magnitude).ok()
                };
                let value = value.ok_or_else(|| {
                    ExpressionError::new(
                        span,
                        code::SYNTAX,
                        "the number does not fit into 64 bits with a sign",
                    )
                })?;
                self.node(start, Kind::Literal(Literal::Int(value)))
            }
            Token::Name(name) => {
                if is_reserved(&name) {
                    let message = format!("`{name}` is a reserved word");
                    return Err(ExpressionError::new(span, code::SYNTAX, message));
                }
                self.advance()?;
                if self.accept("(")? {
                    let arguments = self.list(")")?;
                    return self.node(start, Kind::Call { receiver: None, name, name_span: span, arguments });
                }
                self.node(start, Kind::Name(name))
            }
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("[") => {
                self.advance()?;
                let elements = self.list("]")?;
                self.node(start, Kind::List(elements))
            }
            Token::Symbol("{") => {
                self.advance()?;
                let entries = self.entries()?;
                self.node(start, Kind::Map(entries))
            }
            Token::Symbol(_) | Token::End => Err(self.unexpected("a value")),
        }
    }

    /// Elements up to the closing bracket; a comma may stand after the last one of a list, and not after a call's.
    fn list(&mut self, closing: &'static str) -> Read<Vec<Syntax>> {
        let mut elements = Vec::new();
        loop {
            let may_close = elements.is_empty() || closing == "]";
            if may_close && self.accept(closing)? {
                return Ok(elements);
            }
            elements.push(self.expression()?);
            if self.accept(",")? {
                continue;
            }
            self.expect(closing)?;
            return Ok(elements);
        }
    }

    fn entries(&mut self) -> Read<Vec<(Syntax, Syntax)>> {
        let mut entries = Vec::new();
        while !self.accept("}")? {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.accept(",")? {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }
}
