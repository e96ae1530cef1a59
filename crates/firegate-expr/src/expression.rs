use std::fmt;

use crate::attribute::{Attribute, Attributes};
use crate::check::{self, Checked, UnknownPart};
use crate::evaluate::Evaluation;
use crate::language::{Dialect, Language};
use crate::letter_case::PathLetters;
use crate::lint;
use crate::outcome::Outcome;
use crate::problem::{ExpressionError, Lint};
use crate::syntax::{self, Syntax};
use crate::trace::{self, Trace};

/// A sound expression: what it asks for is known, its types are right, its regular expressions are compiled.
#[derive(Debug)]
pub struct Expression {
    text: Box<str>,
    language: Language,
    dialect: Dialect,
    tree: Syntax,
    checked: Checked,
    path_letters: PathLetters,
}

impl Expression {
    /// Reads an expression.
    ///
    /// ```
    /// use firegate_expr::{Dialect, Expression, Language};
    ///
    /// assert!(Expression::parse("request.path.startsWith('/admin/')", Language::Armor, Dialect::Gcloud).is_ok());
    /// let problems = Expression::parse("request.path.startswith('/')", Language::Armor, Dialect::Gcloud).unwrap_err();
    /// assert_eq!(problems[0].hint.as_deref(), Some("did you mean `startsWith`? Case counts"));
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text; never an empty list.
    pub fn parse(text: &str, language: Language, dialect: Dialect) -> Result<Self, Vec<ExpressionError>> {
        let tree = syntax::parse(text).map_err(|error| vec![error])?;
        let checked = check::check(text, &tree, language, dialect)?;
        let path_letters = PathLetters::of(&checked.root);
        Ok(Self { text: text.into(), language, dialect, tree, checked, path_letters })
    }

    /// What it says of a request. Its steps and the bytes that it makes are bounded, see [`crate::limits`].
    pub fn evaluate(&self, attributes: &dyn Attributes) -> Outcome {
        Evaluation::new(attributes).outcome(&self.checked.root)
    }

    /// What every part of it says of a request, for an explanation.
    pub fn trace(&self, attributes: &dyn Attributes) -> Trace {
        trace::trace(&self.text, &self.checked.root, attributes)
    }

    /// What is sound and probably not meant, in the order of the text.
    pub fn lints(&self) -> Vec<Lint> {
        self.lints_of(|code| code != crate::code::ENCODED_SLASH)
    }

    /// Where it looks for encoded slashes in paths, which is in vain for a backend that gets no path with one.
    pub fn encoded_slash_lints(&self) -> Vec<Lint> {
        self.lints_of(|code| code == crate::code::ENCODED_SLASH)
    }

    fn lints_of(&self, is_asked_for: impl Fn(&str) -> bool) -> Vec<Lint> {
        let mut lints = lint::lints(&self.tree, self.language, &self.checked);
        lints.retain(|lint| is_asked_for(lint.code));
        lints
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for the verified user or app, so that a request has to be identified before it is evaluated.
    pub fn uses_user(&self) -> bool {
        self.checked.reads.iter().any(|attribute| attribute.is_of_user())
    }

    /// Whether it uses what Firegate alone has: Google would refuse it for more than its size.
    pub const fn is_firegate_only(&self) -> bool {
        self.checked.is_firegate_only
    }

    /// Everything that it asks for, each once. A header counts as [`Attribute::RequestHeaders`], a claim as
    /// [`Attribute::AuthToken`].
    pub fn reads(&self) -> impl Iterator<Item = Attribute> + '_ {
        self.checked.reads.iter().copied()
    }

    /// Whether it asks for this attribute.
    pub fn reads_attribute(&self, attribute: Attribute) -> bool {
        self.checked.reads.contains(&attribute)
    }

    /// The letters of the texts that it compares the path with. With any, it may say something else to a server that takes
    /// capital letters for small ones ([`Attributes::ignores_case_of_path`]): if they are small, of a path with capital
    /// letters alone.
    pub const fn path_letters(&self) -> PathLetters {
        self.path_letters
    }

    /// The names of the headers that are written down in it, as they are written.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.checked.headers.iter().map(|name| &**name)
    }

    /// The functions and attributes that Firegate does not evaluate, wherever they stand.
    pub fn unknown_parts(&self) -> &[UnknownPart] {
        &self.checked.unknown
    }

    /// The names of what Firegate does not evaluate, each once.
    pub fn unknown_functions(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.checked.unknown.iter().map(|part| part.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether it is the text `true` and nothing else.
    pub fn is_always_true(&self) -> bool {
        matches!(self.tree.kind, syntax::Kind::Literal(syntax::Literal::Bool(true)))
    }
}

/// In one spelling, without needless brackets and comments. Reading it gives the same expression.
impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&syntax::print(&self.tree))
    }
}

/// Equal in structure, language and dialect, however it is written.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.language == other.language && self.dialect == other.dialect && self.tree == other.tree
    }
}
