//! Whether a file has the shape of the schema: known keys, values of the right type, words that may stand there.
//!
//! Everything wrong is reported, and what is right is handed on as JSON. A wrong value is left out and its path
//! remembered, so that later checks do not report its absence on top.

mod hint;

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value as Json};

use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::suggestion::{alternatives, nearest, quoted};
use crate::yaml::{Document, Entry, Node, Part, Scalar, ScalarKind, Value};

/// What of a file has the right shape.
pub(crate) struct Shaped {
    /// The values.
    pub json: Json,
    /// The paths of the values that were left out.
    pub refused: BTreeSet<YamlPath>,
}

/// Compares a document with `schema`, which is a JSON schema as [`super::schema`] generates it.
pub(crate) fn check(schema: &Json, document: &Document, diagnostics: &mut Diagnostics) -> Shaped {
    let mut checker = Checker { schema, document, diagnostics, refused: BTreeSet::new() };
    let root = YamlPath::root();
    // An empty file is an empty configuration: what it lacks is said key by key.
    let json = if document.root.is_null() {
        Json::Object(Map::new())
    } else {
        checker.value(schema, &document.root, &root).unwrap_or_else(|| {
            checker.refused.insert(root);
            Json::Object(Map::new())
        })
    };
    Shaped { json, refused: checker.refused }
}

/// How deep the mappings lie that an unknown key is looked for in.
const HOLDERS_DEPTH_MAX: usize = 3;

struct Checker<'a> {
    schema: &'a Json,
    document: &'a Document,
    diagnostics: &'a mut Diagnostics,
    refused: BTreeSet<YamlPath>,
}

impl<'a> Checker<'a> {
    /// The JSON of `node` if it is what `schema` describes; else the reason is reported.
    fn value(&mut self, schema: &'a Json, node: &Node, path: &YamlPath) -> Option<Json> {
        let branches = self.branches(schema);
        match &node.value {
            Value::Mapping(entries) => match branches.iter().find(|branch| has_type(branch, "object")) {
                Some(branch) => self.entries(branch, entries, path),
                None => self.wrong_type(schema, &branches, node, path),
            },
            Value::Sequence(nodes) => match branches.iter().find(|branch| has_type(branch, "array")) {
                Some(branch) => self.sequence(branch, nodes, path),
                None => self.wrong_type(schema, &branches, node, path),
            },
            Value::Scalar(Scalar { kind: ScalarKind::Null, .. }) => {
                let expected = self.expected(schema, &branches);
                let name = path.to_string();
                let found = Diagnostic::error(code::EMPTY_VALUE, format!("{} has no value", quoted(&name)))
                    .hint(format!("give it {expected}, or remove the key"));
                self.report(path, Part::Key, found);
                None
            }
            Value::Scalar(scalar) => self.scalar(schema, &branches, node, scalar, path),
        }
    }

    /// What is named, or has keys of its own.
    fn entries(&mut self, schema: &'a Json, entries: &[Entry], path: &YamlPath) -> Option<Json> {
        let named = schema.get("additionalProperties").map(|named| self.branches(named));
        if let Some(unnamed) = named.and_then(|named| hint::of_unnamed_backend(path, entries, &named)) {
            self.report(path, Part::Key, unnamed);
            return None;
        }
        Some(self.mapping(schema, entries, path))
    }

    fn mapping(&mut self, schema: &'a Json, entries: &[Entry], path: &YamlPath) -> Json {
        let properties = schema.get("properties").and_then(Json::as_object);
        let mut object = Map::new();
        for entry in entries {
            let path = path.key(&entry.key);
            let property = properties.and_then(|properties| properties.get(&entry.key));
            let schema = match (property, schema.get("additionalProperties")) {
                (Some(property), _) => property,
                (None, Some(others @ Json::Object(_))) => others,
                // What is in there is somebody else's affair: a token's claims, for one.
                (None, Some(Json::Bool(true))) => {
                    object.insert(entry.key.clone(), anything(&entry.value));
                    continue;
                }
                (None, _) => {
                    let keys = properties.map(|properties| properties.keys().map(String::as_str));
                    self.unknown_key(&entry.key, keys.into_iter().flatten().collect(), &path);
                    continue;
                }
            };
            match self.value(schema, &entry.value, &path) {
                Some(json) => {
                    object.insert(entry.key.clone(), json);
                }
                None => {
                    self.refused.insert(path);
                }
            }
        }
        Json::Object(object)
    }

    /// A list with a wrong element is left out as a whole: positions in what is handed on are those of the file.
    fn sequence(&mut self, schema: &'a Json, nodes: &[Node], path: &YamlPath) -> Option<Json> {
        let items = schema.get("items").unwrap_or(&Json::Null);
        let elements: Vec<Option<Json>> = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| self.value(items, node, &path.index(index)))
            .collect();
        elements.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
    }

    fn scalar(
        &mut self,
        schema: &'a Json,
        branches: &[&'a Json],
        node: &Node,
        scalar: &Scalar,
        path: &YamlPath,
    ) -> Option<Json> {
        let text = scalar.text.as_str();
        let admits = |name: &str| branches.iter().find(|branch| has_type(branch, name));
        if let (ScalarKind::Boolean(value), Some(_)) = (scalar.kind, admits("boolean")) {
            return Some(Json::Bool(value));
        }
        if let (ScalarKind::Integer, Some(branch)) = (scalar.kind, admits("integer")) {
            return self.integer(branch, text, path);
        }
        let words: Vec<&str> = branches.iter().flat_map(|branch| words(branch)).collect();
        let free_text =
            branches.iter().any(|branch| has_type(branch, "string") && self::words(branch).is_empty());
        if words.contains(&text) || (free_text && scalar.kind == ScalarKind::Text) {
            return Some(Json::from(text));
        }
        if words.is_empty() || free_text {
            return self.wrong_type(schema, branches, node, path);
        }
        let message = format!("{} cannot stand here", quoted(text));
        let hint = match (nearest(text, words.iter().copied()), scalar.kind) {
            (Some(word), _) => format!("did you mean `{word}`?"),
            (None, ScalarKind::Boolean(true)) if words.contains(&"on") => "did you mean `on`?".to_owned(),
            (None, ScalarKind::Boolean(false)) if words.contains(&"off") => "did you mean `off`?".to_owned(),
            (None, _) if path.to_string().ends_with(".credential") && text.ends_with(".json") => {
                "write `default`, and name the file in the environment variable GOOGLE_APPLICATION_CREDENTIALS".to_owned()
            }
            (None, _) => format!("write {}", self.expected(schema, branches)),
        };
        self.report(path, Part::Value, Diagnostic::error(code::UNKNOWN_VALUE, message).hint(hint));
        None
    }

    fn integer(&mut self, schema: &Json, text: &str, path: &YamlPath) -> Option<Json> {
        let maximum = schema.get("maximum").and_then(Json::as_u64).unwrap_or(u64::MAX);
        match text.parse::<u64>() {
            Ok(number) if number <= maximum => Some(Json::Number(Number::from(number))),
            _ => {
                let message = format!("{} is not a whole number from 0 to {maximum}", quoted(text));
                self.report(path, Part::Value, Diagnostic::error(code::WRONG_TYPE, message));
                None
            }
        }
    }

    /// The key that was meant counts as refused, so that it is not missed on top.
    fn unknown_key(&mut self, key: &str, keys: Vec<&str>, path: &YamlPath) {
        let place = if path.parent().is_root() { String::new() } else { format!(" in `{}`", path.parent()) };
        let hint = match nearest(key, keys.iter().copied()) {
            _ if key == "<<" => "merge keys are not used here; write the keys out".to_owned(),
            _ if key.starts_with("//") => {
                "a comment begins with `#`, in JSON that is read here too".to_owned()
            }
            Some(meant) => {
                self.refused.insert(path.parent().key(meant));
                format!("did you mean `{meant}`?")
            }
            None => {
                let holders = self.holders(key);
                let elsewhere = hint::of_misplaced_key(key, &path.parent(), &holders);
                elsewhere.unwrap_or_else(|| hint::of_keys(keys.iter().copied()))
            }
        };
        let message = format!("unknown key {}{place}", quoted(key));
        self.report(path, Part::Key, Diagnostic::error(code::UNKNOWN_KEY, message).hint(hint));
    }

    fn wrong_type(
        &mut self,
        schema: &'a Json,
        branches: &[&'a Json],
        node: &Node,
        path: &YamlPath,
    ) -> Option<Json> {
        let found = node.value.described();
        // The title of the whole is the name of the file.
        let expected =
            if path.is_root() { noun("object").to_owned() } else { self.expected(schema, branches) };
        let message = format!("expected {expected}, found {found}");
        let mut diagnostic = Diagnostic::error(code::WRONG_TYPE, message);
        let list = branches.iter().find(|branch| has_type(branch, "array"));
        let items = list.map(|list| self.branches(list.get("items").unwrap_or(&Json::Null)));
        if let Some(hint) = hint::of_value(path, &node.value, branches, items.as_deref()) {
            diagnostic = diagnostic.hint(hint);
        }
        if path.is_root() {
            let place = Some(self.document.place_of_first_line());
            self.diagnostics.push(Diagnostic { place, ..diagnostic });
        } else {
            self.report(path, Part::Value, diagnostic);
        }
        None
    }

    /// The mappings of the schema that have a key, by their paths: `backends.NAME` is any backend, `routes[]` any route.
    fn holders(&self, key: &str) -> Vec<String> {
        let mut holders = Vec::new();
        self.collect_holders(self.schema, "", key, HOLDERS_DEPTH_MAX, &mut holders);
        holders
    }

    fn collect_holders(
        &self,
        schema: &'a Json,
        path: &str,
        key: &str,
        depth: usize,
        holders: &mut Vec<String>,
    ) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for branch in self.branches(schema) {
            let properties = branch.get("properties").and_then(Json::as_object);
            if properties.is_some_and(|properties| properties.contains_key(key)) {
                holders.push(path.to_owned());
            }
            if depth == 0 {
                continue;
            }
            if let Some(items) = branch.get("items") {
                self.collect_holders(items, &format!("{path}[]"), key, depth - 1, holders);
            }
            for (name, property) in properties.into_iter().flatten() {
                self.collect_holders(property, &below(name), key, depth - 1, holders);
            }
            if let Some(others @ Json::Object(_)) = branch.get("additionalProperties") {
                self.collect_holders(others, &below("NAME"), key, depth - 1, holders);
            }
        }
    }

    /// The alternatives of a schema, with references followed.
    fn branches(&self, schema: &'a Json) -> Vec<&'a Json> {
        let schema = self.resolve(schema);
        let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array);
        match alternatives {
            None => vec![schema],
            Some(branches) => branches.iter().flat_map(|branch| self.branches(branch)).collect(),
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        schema
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.schema.pointer(pointer))
            .unwrap_or(schema)
    }

    /// What may stand here, as a noun phrase.
    fn expected(&self, schema: &'a Json, branches: &[&'a Json]) -> String {
        if let Some(title) = self.resolve(schema).get("title").and_then(Json::as_str) {
            return title.to_owned();
        }
        let words: Vec<&str> = branches.iter().flat_map(|branch| words(branch)).collect();
        let mut phrases: Vec<String> = Vec::new();
        if !words.is_empty() {
            phrases.push(alternatives(words));
        }
        for branch in branches.iter().filter(|branch| self::words(branch).is_empty()) {
            let phrase = match (branch.get("title"), branch.get("type")) {
                (Some(Json::String(title)), _) => title.clone(),
                (_, Some(Json::String(name))) => noun(name).to_owned(),
                _ => continue,
            };
            if !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
        }
        phrases.join(", or ")
    }

    fn report(&mut self, path: &YamlPath, part: Part, diagnostic: Diagnostic) {
        self.document.report(self.diagnostics, path, part, diagnostic);
    }
}

/// The JSON of a value of any shape.
fn anything(node: &Node) -> Json {
    match &node.value {
        Value::Mapping(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), anything(&entry.value))).collect())
        }
        Value::Sequence(nodes) => Json::Array(nodes.iter().map(anything).collect()),
        Value::Scalar(scalar) => {
            let text = scalar.text.as_str();
            match scalar.kind {
                ScalarKind::Null => Json::Null,
                ScalarKind::Boolean(value) => Json::Bool(value),
                ScalarKind::Integer | ScalarKind::Float => {
                    text.parse::<Number>().map_or_else(|_| Json::from(text), Json::Number)
                }
                ScalarKind::Text => Json::from(text),
            }
        }
    }
}

fn has_type(schema: &Json, name: &str) -> bool {
    schema.get("type").is_some_and(|found| found == name)
}

/// The words that a branch admits; none if any text may stand there.
fn words(schema: &Json) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    schema.get("const").into_iter().chain(listed).filter_map(Json::as_str).collect()
}

fn noun(name: &str) -> &str {
    match name {
        "object" => "a mapping",
        "array" => "a list",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        _ => "text",
    }
}
