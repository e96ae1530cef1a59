//! What to write instead of what has the wrong shape. A hint is followed to the letter, so that what it says to write has to
//! pass.

use serde_json::Value as Json;

use super::{has_type, words};
use crate::configuration::names::ProjectId;
use crate::diagnostic::path::Segment;
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::yaml::{Entry, Scalar, ScalarKind, Value, of_other_language, with_missing_blank};

/// What to write instead of a value of the wrong type. `items` is what the elements of a list may be, where one may stand.
pub(super) fn of_value(
    path: &YamlPath,
    value: &Value,
    branches: &[&Json],
    items: Option<&[&Json]>,
) -> Option<String> {
    let takes = |name| branches.iter().any(|branch| has_type(branch, name));
    let scalar = match value {
        Value::Scalar(scalar) => Some(scalar),
        Value::Sequence(_) | Value::Mapping(_) => None,
    };
    let of_place = scalar.and_then(|scalar| of_scalar_at(&path.to_string(), scalar));
    if of_place.is_some() {
        return of_place;
    }
    if let Some(scalar) = scalar {
        if takes("boolean") {
            return boolean(&scalar.text);
        }
        if let Some(items) = items {
            return list(scalar, items);
        }
        if takes("string") {
            return text(scalar, branches);
        }
    }
    of_collection(path, value, takes("string")).or_else(|| mapping(path, scalar, branches))
}

/// Where people write the obvious and mean something else.
fn of_scalar_at(path: &str, scalar: &Scalar) -> Option<String> {
    let text = &scalar.text;
    match (path.rsplit('.').next()?, scalar.kind) {
        ("listen", ScalarKind::Integer) if text.parse::<u16>().is_ok() => {
            // Probes and metrics are nobody's affair outside.
            let address = if path == "listen" { "0.0.0.0" } else { "127.0.0.1" };
            Some(format!("write the address too: `{address}:{text}`"))
        }
        // What is no text is no project's ID in quotes either.
        ("project", kind) if path == "project" && kind != ScalarKind::Text => {
            text.parse::<ProjectId>().err().map(|error| error.hint)
        }
        ("revocation", ScalarKind::Text) if ["off", "required"].contains(&text.as_str()) => {
            Some(format!("write `{{ check: {text} }}`"))
        }
        ("allow", ScalarKind::Boolean(_)) => Some(
            "name who may call: `[allAuthenticatedUsers]` are the signed-in users of the Firebase project, `[allUsers]` is \
             everyone"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The words of YAML 1.1, and words in quotes.
fn boolean(text: &str) -> Option<String> {
    let word = match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "true" | "1" => "true",
        "no" | "off" | "n" | "false" | "0" => "false",
        _ => return None,
    };
    Some(format!("write `{word}`, without quotes"))
}

fn list(scalar: &Scalar, items: &[&Json]) -> Option<String> {
    let takes_text = items.iter().any(|item| has_type(item, "string") && words(item).is_empty());
    let takes_word = items.iter().any(|item| words(item).contains(&scalar.text.as_str()));
    let fits = scalar.kind == ScalarKind::Text && (takes_text || takes_word);
    if scalar.text.starts_with('[') && scalar.text.ends_with(']') {
        return Some(format!("write it without quotes: `{}`", scalar.text));
    }
    let is_plain = scalar.text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && !scalar.text.contains([',', '[', ']', '{', '}', '#', '"', '\''])
        && !scalar.text.contains(": ");
    let text = if is_plain { scalar.text.clone() } else { Json::from(scalar.text.as_str()).to_string() };
    fits.then(|| format!("write a list: `[{text}]`"))
}

/// A bare number where a quantity belongs lacks its unit; elsewhere it lacks its quotes.
fn text(scalar: &Scalar, branches: &[&Json]) -> Option<String> {
    let text = &scalar.text;
    if scalar.kind == ScalarKind::Text {
        return None;
    }
    let pattern = branches.iter().find_map(|branch| branch.get("pattern").and_then(Json::as_str));
    let hint = match pattern {
        None => format!("write it in quotes: `\"{text}\"`"),
        Some(pattern) if pattern.ends_with("%$") => match text.parse::<u64>() {
            Ok(share) if share <= 100 => format!("write it with its unit: `{text}%`"),
            _ => "write it in percent: `10%` is one in ten".to_owned(),
        },
        Some(_) if scalar.kind == ScalarKind::Integer => format!("write it with its unit: `{text}s`"),
        Some(_) => "write a whole number and its unit: `1500ms` is one second and a half".to_owned(),
    };
    Some(hint)
}

/// What has keys.
fn mapping(path: &YamlPath, scalar: Option<&Scalar>, branches: &[&Json]) -> Option<String> {
    let object = branches.iter().find(|branch| has_type(branch, "object"))?;
    if let Some(mended) = scalar.and_then(|scalar| with_missing_blank(&scalar.text)) {
        return Some(format!("a blank is missing behind the colon: `{mended}`"));
    }
    if let Some(hint) = scalar.and_then(|scalar| of_other_language(&scalar.text)) {
        return Some(hint.to_owned());
    }
    if path.is_root() {
        return Some("every setting is a key with its value, for example `project: my-project`".to_owned());
    }
    if path.to_string() == "backends" {
        let url = scalar.map_or("https://api-abc123-uc.a.run.app", |scalar| scalar.text.as_str());
        return Some(format!("give the backend a name: `backends: {{ api: {url} }}`"));
    }
    let keys = object.get("properties").and_then(Json::as_object)?;
    Some(of_keys(keys.keys().map(String::as_str)))
}

/// Which keys a mapping has.
pub(super) fn of_keys<'a>(keys: impl ExactSizeIterator<Item = &'a str>) -> String {
    let are = if keys.len() == 1 { "only key is" } else { "keys are" };
    format!("the {are} {}", all(keys))
}

/// A list or a mapping where something else belongs, if it is what people write by mistake.
fn of_collection(path: &YamlPath, value: &Value, takes_text: bool) -> Option<String> {
    let Value::Mapping(entries) = value else { return None };
    if path.to_string() == "routes" {
        return Some(
            "write a list with an element for each route: `[ { path: /*, backend: api } ]`".to_owned(),
        );
    }
    let [Entry { key, value: node, .. }] = entries.as_slice() else { return None };
    let Value::Scalar(scalar) = &node.value else { return None };
    takes_text.then(|| format!("write it without the blank behind the colon: `\"{key}:{}\"`", scalar.text))
}

/// A backend whose settings stand where its name belongs. `named` is what a backend may be. A backend may have the name of a
/// setting; then its value is a backend's.
pub(super) fn of_unnamed_backend(path: &YamlPath, entries: &[Entry], named: &[&Json]) -> Option<Diagnostic> {
    if path.to_string() != "backends" {
        return None;
    }
    let object = named.iter().find(|branch| has_type(branch, "object"))?;
    let settings = object.get("properties").and_then(Json::as_object)?;
    let is_backend = |value: &Value| match value {
        Value::Scalar(scalar) => scalar.text.contains("://"),
        Value::Mapping(entries) => {
            entries.iter().any(|entry| ["url", "endpoints"].contains(&entry.key.as_str()))
        }
        Value::Sequence(_) => false,
    };
    let has_address = entries.iter().any(|entry| match &entry.value.value {
        Value::Scalar(_) => entry.key == "url",
        Value::Sequence(_) => entry.key == "endpoints",
        Value::Mapping(_) => false,
    });
    let has_settings =
        entries.iter().any(|entry| settings.contains_key(&entry.key) && !is_backend(&entry.value.value));
    if !has_address || !has_settings || !entries.iter().all(|entry| settings.contains_key(&entry.key)) {
        return None;
    }
    let keys = || entries.iter().map(|entry| entry.key.as_str());
    let (told, are) = (all(keys()), if entries.len() == 1 { "is a setting" } else { "are settings" });
    let message = format!("the backend has no name: {told} {are} of one");
    let written = keys().map(|key| format!("{key}: …")).collect::<Vec<_>>().join(", ");
    Some(Diagnostic::error(code::BACKEND, message).hint(format!(
        "give it a name, and write its settings below it: `backends: {{ api: {{ {written} }} }}`"
    )))
}

/// Where a key belongs that is unknown at `place`: the names of the mappings that take it, as far as one of them may be meant.
pub(super) fn of_misplaced_key(key: &str, place: &YamlPath, holders: &[String]) -> Option<String> {
    let holder = |name: &String| match (name.as_str(), name.strip_suffix("[]")) {
        ("", _) => "to the top level".to_owned(),
        (BACKEND, _) => "to a backend".to_owned(),
        (_, Some(list)) => format!("to the elements of `{list}`"),
        (name, None) => format!("to `{name}`"),
    };
    match meant(place, holders).as_slice() {
        [one] if *one == BACKEND => {
            Some(format!("it belongs to a backend: `backends: {{ NAME: {{ {key}: … }} }}`"))
        }
        [one] => Some(format!("it belongs {}", holder(one))),
        // A key of this many is nothing that one would know it by.
        [first @ .., last] if first.len() < HOLDERS_TOLD_MAX => {
            let first = first.iter().map(|name| holder(name)).collect::<Vec<_>>().join(", ");
            Some(format!("it belongs {first} or {}", holder(last)))
        }
        _ => None,
    }
}

/// A backend, among the mappings that take a key.
const BACKEND: &str = "backends.NAME";

/// The mappings that a key at `place` may have been meant for. A level was left out, or one too many begun; or it is a setting
/// of a backend, or a backend has one of the whole. That another part has a key of a common name (`path`, `key`) says nothing.
fn meant<'a>(place: &YamlPath, holders: &'a [String]) -> Vec<&'a String> {
    let place: Vec<&str> = place
        .segments()
        .iter()
        .map(|segment| match segment {
            Segment::Key(key) => key,
            Segment::Index(_) => "[]",
        })
        .collect();
    let steps = |holder: &str| {
        let steps = holder.replace("[]", ".[]");
        steps.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let agree =
        |holder: &str| steps(holder).iter().zip(&place).all(|(step, key)| step == "NAME" || step == key);
    let is_below = |holder: &&String| agree(holder) && steps(holder).len() > place.len();
    let below: Vec<&String> = holders.iter().filter(is_below).collect();
    if !place.is_empty() && !below.is_empty() {
        return below;
    }
    let is_backend = matches!(place.as_slice(), ["backends", _]);
    let may_be_meant = |holder: &&String| is_backend || *holder == BACKEND || agree(holder);
    holders.iter().filter(may_be_meant).collect()
}

/// Of how many mappings that take a key it is told that they do.
const HOLDERS_TOLD_MAX: usize = 4;

/// Words as a list of all of them.
fn all<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
