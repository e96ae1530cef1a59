//! Names with dots and brackets: attributes, headers, claims.

use super::names::{self, Entry, Scope};
use super::node::{Node, Operation, Type};
use super::{Checker, UnknownPart};
use crate::attribute::Attribute;
use crate::code;
use crate::language::{Dialect, Language};
use crate::problem::ExpressionError;
use crate::suggestion::{nearest, quoted};
use crate::syntax::{Kind, Literal, Operator, Syntax};

impl Checker {
    /// `a.b`, `a[b]`, or a name alone.
    pub(super) fn path(&mut self, syntax: &Syntax) -> Option<Node> {
        if let Some(entry) = self.entry_of(syntax) {
            return self.attribute(syntax, entry);
        }
        let (object, key) = match &syntax.kind {
            Kind::Member { object, name } => (object, Key::Name(name)),
            Kind::Index { object, key } => (object, key.text().map_or(Key::Computed(key), Key::Name)),
            _ => return self.unknown_name(syntax),
        };
        if let Some(entry) = self.entry_of(object).filter(|entry| entry.kind == Type::Map) {
            self.allow(object, entry);
            return self.keyed(syntax, entry, key);
        }
        // Nothing that has a name: say so once, and for the whole path.
        if root_is_unresolved(self, object) {
            return self.unknown_name(syntax);
        }
        let object_node = self.node(object)?;
        match (object_node.kind, key) {
            (Type::Dynamic, Key::Name(name)) => {
                self.make(syntax, Type::Dynamic, Operation::Member(Box::new(object_node), name.into()))
            }
            (Type::Dynamic | Type::List, Key::Computed(key)) => {
                let key = self.node(key)?;
                if !matches!(key.kind, Type::Int | Type::Text | Type::Dynamic) {
                    let message =
                        format!("an index is a number or a text, and this is a {}", key.kind.name());
                    return self.refuse(syntax, code::TYPE, message);
                }
                self.make(syntax, Type::Dynamic, Operation::Index(Box::new([object_node, key])))
            }
            (kind, Key::Name(name)) => {
                let function =
                    super::functions::known(self.language, self.dialect).find(|known| *known == name);
                let message = format!("a {} has no part {}", kind.name(), quoted(name));
                let hint = function.map(|name| format!("a call has brackets: `.{name}()`"));
                self.error(ExpressionError::new(syntax.span.clone(), code::TYPE, message).hint_if(hint));
                None
            }
            (kind, Key::Computed(_)) => {
                self.refuse(syntax, code::TYPE, format!("a {} has no elements", kind.name()))
            }
        }
    }

    /// The catalogue's entry that the part names as a whole.
    fn entry_of(&self, syntax: &Syntax) -> Option<&'static Entry> {
        names::attribute(self.language, &syntax.path()?.join("."))
    }

    /// Notes that an attribute is read, and refuses it if the dialect does not have it.
    fn allow(&mut self, syntax: &Syntax, entry: &'static Entry) {
        if entry.scope(self.language) == Scope::Firegate {
            self.firegate_only(&syntax.span, &format!("`{}` is Firegate's own", entry.path), None);
        }
        match entry.attribute {
            Some(attribute) => {
                self.reads.insert(attribute);
                if attribute.is_of_google() {
                    self.note_unknown(syntax, entry.path);
                }
            }
            None => self.note_unknown(syntax, entry.path),
        }
    }

    pub(super) fn note_unknown(&mut self, syntax: &Syntax, name: &'static str) {
        let negated = self.negations > 0;
        self.unknown.push(UnknownPart { name, span: syntax.span.clone(), negated });
    }

    fn attribute(&mut self, syntax: &Syntax, entry: &'static Entry) -> Option<Node> {
        self.allow(syntax, entry);
        if entry.kind == Type::Map {
            let message = format!("`{}` is a map: ask for one of its keys", entry.path);
            let hint = match entry.attribute {
                Some(Attribute::RequestHeaders) => "`request.headers['user-agent']`".to_owned(),
                _ => format!("`{}.role`", entry.path),
            };
            self.error(ExpressionError::new(syntax.span.clone(), code::TYPE, message).hint(hint));
            return None;
        }
        let operation = match entry.attribute {
            Some(attribute) => Operation::Attribute(attribute),
            None => Operation::Unknown(entry.path),
        };
        self.make(syntax, entry.kind, operation)
    }

    /// A key of the headers or of the claims.
    fn keyed(&mut self, syntax: &Syntax, entry: &'static Entry, key: Key<'_>) -> Option<Node> {
        let is_headers = entry.attribute == Some(Attribute::RequestHeaders);
        let (kind, operation) = match (is_headers, key) {
            (true, Key::Name(name)) => {
                self.headers.insert(name.into());
                (Type::Text, Operation::Header(name.into()))
            }
            (true, Key::Computed(key)) => {
                let key = self.expect(key, Type::Text, "the name of a header")?;
                (Type::Text, Operation::HeaderOf(Box::new(key)))
            }
            (false, Key::Name(name)) => (Type::Dynamic, Operation::Claim(name.into())),
            (false, Key::Computed(key)) => {
                let key = self.expect(key, Type::Text, "the name of a claim")?;
                (Type::Dynamic, Operation::ClaimOf(Box::new(key)))
            }
        };
        self.make(syntax, kind, operation)
    }

    /// `has(request.headers['k'])`, `has(auth.token.k)`, `has(auth.email)`.
    pub(super) fn has(&mut self, syntax: &Syntax, argument: &Syntax) -> Option<Node> {
        let operation = if let Some(entry) = self.entry_of(argument).filter(|entry| entry.kind != Type::Map) {
            self.allow(argument, entry);
            match entry.attribute {
                Some(attribute) if attribute.is_of_user() || self.language == Language::IamCondition => {
                    Operation::HasAttribute(attribute)
                }
                _ => {
                    let message = format!("`{}` is always there: `has()` is for headers", entry.path);
                    return self.refuse(argument, code::TYPE, message);
                }
            }
        } else {
            match self.node(argument)?.operation {
                Operation::Header(name) => Operation::HasHeader(name),
                Operation::Claim(name) => Operation::HasClaim(name),
                Operation::Member(object, name) => Operation::HasMember(object, name),
                _ => {
                    let error = ExpressionError::new(
                        argument.span.clone(),
                        code::TYPE,
                        "`has()` asks for one key that is written down",
                    );
                    self.error(error.hint("`has(request.headers['user-agent'])`"));
                    return None;
                }
            }
        };
        self.make(syntax, Type::Bool, operation)
    }

    /// Whether this is `request.headers` or `auth.token`.
    pub(super) fn is_map(&self, syntax: &Syntax) -> bool {
        self.entry_of(syntax).is_some_and(|entry| entry.kind == Type::Map)
    }

    /// `'name' in request.headers`, `'name' in auth.token`.
    pub(super) fn in_map(&mut self, syntax: &Syntax, element: &Syntax, container: &Syntax) -> Option<Node> {
        let entry = self.entry_of(container).filter(|entry| entry.kind == Type::Map)?;
        self.allow(container, entry);
        let key = Box::new(self.expect(element, Type::Text, "a key of a map")?);
        let operation = match entry.attribute {
            Some(Attribute::RequestHeaders) => Operation::InHeaders(key),
            _ => Operation::InClaims(key),
        };
        self.make(syntax, Type::Bool, operation)
    }

    /// `auth != null`: how Security Rules ask whether somebody is signed in.
    pub(super) fn signed_in(
        &mut self,
        syntax: &Syntax,
        operator: Operator,
        operands: &[Syntax; 2],
    ) -> Option<Node> {
        let [left, right] = operands;
        let null = |syntax: &Syntax| matches!(syntax.kind, Kind::Literal(Literal::Null));
        let asked = if null(left) { right } else { left };
        let path = asked.path()?.join(".");
        let is_user = path == "auth" || (path == "request.auth" && self.language == Language::IamCondition);
        if !(null(left) || null(right)) || !is_user {
            return None;
        }
        self.firegate_only(&syntax.span, &format!("`{path}` is Firegate's own"), None);
        self.reads.insert(Attribute::AuthUid);
        self.make(syntax, Type::Bool, Operation::SignedIn(operator == Operator::NotEqual))
    }

    fn unknown_name(&mut self, syntax: &Syntax) -> Option<Node> {
        let path = outermost_path(syntax);
        let message = format!("{} has no attribute {}", self.language, quoted(&path));
        let error = ExpressionError::new(syntax.span.clone(), code::UNKNOWN_ATTRIBUTE, message);
        let candidates = names::known(self.language, Dialect::Firegate);
        let other = self.language.other();
        let hint = names::often_guessed(self.language, &path)
            .or_else(|| names::attribute(other, &path).map(|_| format!("`{path}` belongs to {other}")))
            .or_else(|| nearest(&path, candidates).map(|name| format!("did you mean `{name}`?")))
            .or_else(|| (!path.contains('.')).then(|| "a text stands in quotes: 'text'".to_owned()));
        self.error(error.hint_if(hint));
        None
    }
}

/// What a path asks for last.
enum Key<'a> {
    Name(&'a str),
    Computed(&'a Syntax),
}

/// Whether a path begins with a name, and no part of it is an attribute.
fn root_is_unresolved(checker: &Checker, syntax: &Syntax) -> bool {
    if checker.entry_of(syntax).is_some() {
        return false;
    }
    match &syntax.kind {
        Kind::Name(_) => true,
        Kind::Member { object, .. } | Kind::Index { object, .. } => root_is_unresolved(checker, object),
        _ => false,
    }
}

/// The names of a path with brackets too: `auth.claims['x']` is `auth.claims.x`.
fn outermost_path(syntax: &Syntax) -> String {
    match &syntax.kind {
        Kind::Name(name) => name.to_string(),
        Kind::Member { object, name } => format!("{}.{name}", outermost_path(object)),
        Kind::Index { object, key } => match key.text() {
            Some(key) => format!("{}.{key}", outermost_path(object)),
            None => outermost_path(object),
        },
        _ => String::new(),
    }
}
