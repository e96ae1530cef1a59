//! Path templates: `/users/{user}/posts/{post=**}`, and the paths that are made of what they matched.
//!
//! `*` is one segment, `**` any number of characters, slashes included, and the last operator; `{name}` and `{name=*}`
//! are one segment with a name, `{name=a/*}` several, `{name=**}` the rest. Nothing is decoded: `%2F` is part of its
//! segment. Source: Google's URL map overview and the field `pathTemplateMatch` of the Compute API.

use std::fmt;

use crate::limits::{URL_MAP_TEMPLATE_OPERATORS_MAX, URL_MAP_TEXT_CHARACTERS_MAX};

/// A template that paths are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    /// What a path consists of, in its order.
    pieces: Vec<Piece>,
    /// The names of the variables, in their order.
    variables: Vec<String>,
}

/// What a piece of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// This text.
    Text(String),
    /// One segment, which is not empty.
    Segment,
    /// Everything to the end.
    Rest,
    /// What stands between this and the [`Piece::End`] is the variable's value.
    Begin,
    End,
}

/// A path that is made of a template's variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRewrite {
    parts: Vec<RewritePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RewritePart {
    Text(String),
    /// The position of the variable in its template.
    Variable(usize),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError(pub String);

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn error<T>(why: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(why.into()))
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what Google would not take.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if !text.starts_with('/') {
            return error("it does not begin with `/`");
        }
        if text.chars().count() > URL_MAP_TEXT_CHARACTERS_MAX {
            return error(format!("it is longer than {URL_MAP_TEXT_CHARACTERS_MAX} characters"));
        }
        let mut reader =
            Reader { template: Self { pieces: Vec::new(), variables: Vec::new() }, operators: 0 };
        let mut rest = text;
        while let Some(after) = rest.strip_prefix('/') {
            reader.text("/")?;
            let end = segment_end(after)?;
            let (segment, remaining) = after.split_at(end);
            reader.segment(segment)?;
            rest = remaining;
        }
        if reader.operators > URL_MAP_TEMPLATE_OPERATORS_MAX {
            return error(format!(
                "it has {} wildcards and variables, the most is {URL_MAP_TEMPLATE_OPERATORS_MAX}",
                reader.operators
            ));
        }
        Ok(reader.template)
    }

    /// The same for paths in another form, whose texts are written so.
    #[must_use]
    pub fn with_texts(&self, written: impl Fn(&str) -> String) -> Self {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Piece::Text(written(text)),
            other => other.clone(),
        };
        Self { pieces: self.pieces.iter().map(piece).collect(), variables: self.variables.clone() }
    }

    /// The text that every path which matches begins with.
    pub fn literal_prefix(&self) -> &str {
        match self.pieces.iter().find(|piece| !matches!(piece, Piece::Begin)) {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// How many bytes of a path it says letter by letter.
    pub fn literal_bytes(&self) -> usize {
        self.texts().map(str::len).sum()
    }

    /// What it says letter by letter.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Segment | Piece::Rest | Piece::Begin | Piece::End => None,
        })
    }

    /// Whether a path has this form.
    pub fn is_match(&self, path: &str) -> bool {
        self.walk(path, |text, part| text == part, |_, _| {}).is_some()
    }

    /// The same for a server that takes capital letters for small ones.
    pub fn is_match_in_any_case(&self, path: &str) -> bool {
        self.walk(path, str::eq_ignore_ascii_case, |_, _| {}).is_some()
    }

    /// The values of the variables, in their order, if a path has this form.
    pub fn captures<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let mut values = Vec::with_capacity(self.variables.len());
        self.walk(
            path,
            |text, part| text == part,
            |from, to| values.push(path.get(from..to).unwrap_or_default()),
        )?;
        Some(values)
    }

    fn walk(
        &self,
        path: &str,
        is_same: impl Fn(&str, &str) -> bool,
        mut variable: impl FnMut(usize, usize),
    ) -> Option<()> {
        let mut at = 0;
        let mut begun = 0;
        for piece in &self.pieces {
            let rest = path.get(at..)?;
            match piece {
                Piece::Text(text) => {
                    rest.get(..text.len()).filter(|part| is_same(text, part))?;
                    at += text.len();
                }
                Piece::Segment => {
                    let length = rest.find('/').unwrap_or(rest.len());
                    at += (length > 0).then_some(length)?;
                }
                Piece::Rest => at = path.len(),
                Piece::Begin => begun = at,
                Piece::End => variable(begun, at),
            }
        }
        (at == path.len()).then_some(())
    }
}

/// Where the segment at the beginning of `text` ends: at the next slash outside braces.
fn segment_end(text: &str) -> Result<usize, TemplateError> {
    let mut is_inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' if is_inside => return error("a variable stands inside another"),
            '{' => is_inside = true,
            '}' if !is_inside => return error("a `}` has no `{`"),
            '}' => is_inside = false,
            '/' if !is_inside => return Ok(at),
            _ => {}
        }
    }
    if is_inside { error("a `{` has no `}`") } else { Ok(text.len()) }
}

struct Reader {
    template: PathTemplate,
    operators: usize,
}

impl Reader {
    fn text(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.template.pieces.contains(&Piece::Rest) {
            return error("`**` is not the last");
        }
        match self.template.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.template.pieces.push(Piece::Text(text.to_owned())),
        }
        Ok(())
    }

    fn segment(&mut self, segment: &str) -> Result<(), TemplateError> {
        let Some(inside) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            if segment.contains(['{', '}']) {
                return error("a variable is not a whole segment");
            }
            self.operators += usize::from(matches!(segment, "*" | "**"));
            return self.plain(segment);
        };
        if inside.contains(['{', '}']) {
            return error("a variable is not a whole segment");
        }
        let (name, pattern) = inside.split_once('=').unwrap_or((inside, "*"));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return error(format!("`{name}` is not the name of a variable: letters, digits and `_`"));
        }
        if self.template.variables.iter().any(|known| known == name) {
            return error(format!("the variable `{name}` stands in it twice"));
        }
        if pattern.is_empty() {
            return error(format!("the variable `{name}` matches nothing"));
        }
        self.operators += 1;
        self.template.pieces.push(Piece::Begin);
        for (index, part) in pattern.split('/').enumerate() {
            if index > 0 {
                self.text("/")?;
            }
            if part.is_empty() {
                return error(format!("the variable `{name}` has an empty segment"));
            }
            self.plain(part)?;
        }
        self.template.pieces.push(Piece::End);
        self.template.variables.push(name.to_owned());
        Ok(())
    }

    fn plain(&mut self, segment: &str) -> Result<(), TemplateError> {
        match segment {
            "" => Ok(()),
            "*" | "**" if self.template.pieces.contains(&Piece::Rest) => error("`**` is not the last"),
            "*" => {
                self.template.pieces.push(Piece::Segment);
                Ok(())
            }
            "**" => {
                self.template.pieces.push(Piece::Rest);
                Ok(())
            }
            text if text.contains('*') => error("`*` and `**` are whole segments"),
            text => self.text(text),
        }
    }
}

impl TemplateRewrite {
    /// Reads the path that is made of the variables of `template`.
    ///
    /// # Errors
    /// Says what Google would not take.
    pub fn parse(text: &str, template: &PathTemplate) -> Result<Self, TemplateError> {
        if !text.starts_with('/') {
            return error("it does not begin with `/`");
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, remaining)) = after.split_once('}') else { return error("a `{` has no `}`") };
            let Some(position) = template.variables.iter().position(|known| known == name) else {
                return error(format!("the template that is matched has no variable `{name}`"));
            };
            parts.push(RewritePart::Text(before.to_owned()));
            parts.push(RewritePart::Variable(position));
            rest = remaining;
        }
        parts.push(RewritePart::Text(rest.to_owned()));
        let has_wildcard =
            |part: &RewritePart| matches!(part, RewritePart::Text(text) if text.contains(['*', '}']));
        if parts.iter().any(has_wildcard) {
            return error("it holds a wildcard or a `}`: only variables stand in it");
        }
        Ok(Self { parts })
    }

    /// The path with these values of the variables.
    pub fn expand(&self, values: &[&str]) -> String {
        let mut path = String::new();
        for part in &self.parts {
            path.push_str(match part {
                RewritePart::Text(text) => text,
                RewritePart::Variable(position) => values.get(*position).copied().unwrap_or_default(),
            });
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, path: &str, expected: Option<&[&str]>) {
        let parsed = PathTemplate::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
        assert_eq!(parsed.captures(path).as_deref(), expected, "{template} {path}");
        assert_eq!(parsed.is_match(path), expected.is_some(), "{template} {path}");
        if expected.is_some() {
            assert!(path.starts_with(parsed.literal_prefix()), "{template} {path}");
        }
    }

    #[test]
    fn templates_match_whole_paths_by_segments() {
        check("/a/*/b", "/a/x/b", Some(&[]));
        check("/a/*/b", "/a/x/y/b", None);
        check("/a/*/b", "/a//b", None);
        check("/a/*/b", "/a/x/b/", None);
        check("/a/**", "/a/", Some(&[]));
        check("/a/**", "/a/x/y.z", Some(&[]));
        check("/a/**", "/a", None);
        check("/users/{user}", "/users/ada", Some(&["ada"]));
        check("/users/{user}", "/users/", None);
        check("/users/{user=*}/posts/{post}", "/users/ada/posts/1", Some(&["ada", "1"]));
        check("/{v=news/*}/x", "/news/today/x", Some(&["news/today"]));
        check("/{v=news/*}/x", "/olds/today/x", None);
        check("/{a=*/news/*}", "/de/news/1", Some(&["de/news/1"]));
        check("/files/{rest=**}", "/files/a/b%2Fc", Some(&["a/b%2Fc"]));
        check("/files/{rest=**}", "/files/", Some(&[""]));
        check("/", "/", Some(&[]));
        check("/exact", "/exact", Some(&[]));
        check("/exact", "/exacter", None);
    }

    #[test]
    fn letters_may_be_of_any_case() {
        let template = PathTemplate::parse("/Users/{user}/{post=posts/*}").expect("a template");
        assert!(template.is_match_in_any_case("/users/Ada/POSTS/1"));
        assert!(!template.is_match_in_any_case("/users/Ada/POST/1"));
        assert!(!template.is_match_in_any_case("/users/Ada/posts/"));
        assert!(!template.is_match("/users/Ada/posts/1"));
        assert_eq!(template.literal_bytes(), "/Users//posts/".len());
    }

    #[test]
    fn what_google_refuses_is_refused() {
        let check = |template: &str, expected: &str| {
            let found = PathTemplate::parse(template).map(|_| ()).unwrap_err().to_string();
            assert!(found.contains(expected), "{template}: {found}");
        };
        check("a", "does not begin");
        check("/**/a", "not the last");
        check("/{a=**}/{b}", "not the last");
        check("/**/*", "not the last");
        check("/*/*/*/*/*/*", "the most is 5");
        check("/{a}/{a}", "twice");
        check("/{1a}", "not the name");
        check("/{a-b}", "not the name");
        check("/{}", "not the name");
        check("/{a=}", "matches nothing");
        check("/x{a}", "not a whole segment");
        check("/{a}{b}", "not a whole segment");
        check("/{a", "has no `}`");
        check("/a}", "has no `{`");
        check("/{a{b}}", "inside another");
        check("/a*", "whole segments");
        check("/{a=x*}", "whole segments");
        check(&format!("/{}", "a".repeat(URL_MAP_TEXT_CHARACTERS_MAX)), "longer");
    }

    #[test]
    fn rewrites_are_made_of_the_variables() {
        let template = PathTemplate::parse("/{country}/{rest=**}").unwrap();
        let rewrite = |text: &str| TemplateRewrite::parse(text, &template);
        let values = template.captures("/de/a/b").unwrap();
        assert_eq!(rewrite("/x/{rest}-{country}").unwrap().expand(&values), "/x/a/b-de");
        assert_eq!(rewrite("/fixed").unwrap().expand(&values), "/fixed");
        assert!(rewrite("/{city}").unwrap_err().0.contains("no variable `city`"));
        assert!(rewrite("/*").unwrap_err().0.contains("wildcard"));
        assert!(rewrite("x").unwrap_err().0.contains("begin"));
        assert!(rewrite("/{rest").unwrap_err().0.contains("no `}`"));
    }
}
