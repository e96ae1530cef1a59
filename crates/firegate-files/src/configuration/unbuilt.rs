//! What is understood and not built yet. To build a feature, delete its line here.
//!
//! A key whose feature does not exist is refused by its name. It is never ignored: an operator who writes
//! `iam_policy` must not believe to be protected by it.

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, YamlPath, code};

/// A key of the file and the values of it that cannot be had yet.
struct Unbuilt {
    /// The path, in which `*` stands for every key or position.
    path: &'static [&'static str],
    /// The values that cannot be had.
    unless: Unless,
}

/// When a key that is present is fine all the same.
enum Unless {
    /// Never.
    Absent,
    /// When it is an empty list or mapping.
    Empty,
}

const UNBUILT: &[Unbuilt] = &[
    Unbuilt { path: &["roles"], unless: Unless::Empty },
    Unbuilt { path: &["deny_policies"], unless: Unless::Empty },
    Unbuilt { path: &["backends", "*", "iam_policy"], unless: Unless::Absent },
];

/// What stands in a configuration and cannot be had yet, with its path.
pub(super) fn find(configuration: &Json) -> Vec<(YamlPath, Diagnostic)> {
    let mut found = Vec::new();
    for unbuilt in UNBUILT {
        visit(configuration, unbuilt.path, &YamlPath::root(), &mut |path, value| {
            if !unbuilt.unless.holds(value) {
                found.push((path.clone(), refusal(unbuilt)));
            }
        });
    }
    found
}

/// Calls `report` with every value that `pattern` leads to.
fn visit(value: &Json, pattern: &[&str], path: &YamlPath, report: &mut dyn FnMut(&YamlPath, &Json)) {
    let Some((step, rest)) = pattern.split_first() else {
        return report(path, value);
    };
    match value {
        Json::Object(object) if *step == "*" => {
            object.iter().for_each(|(key, value)| visit(value, rest, &path.key(key), report));
        }
        Json::Array(array) if *step == "*" => {
            array
                .iter()
                .enumerate()
                .for_each(|(index, value)| visit(value, rest, &path.index(index), report));
        }
        Json::Object(object) => {
            if let Some(value) = object.get(*step) {
                visit(value, rest, &path.key(step), report);
            }
        }
        _ => {}
    }
}

impl Unless {
    fn holds(&self, value: &Json) -> bool {
        match self {
            Self::Absent => false,
            Self::Empty => match value {
                Json::Array(array) => array.is_empty(),
                Json::Object(object) => object.is_empty(),
                _ => false,
            },
        }
    }
}

fn refusal(unbuilt: &Unbuilt) -> Diagnostic {
    let key = unbuilt.path.iter().rev().find(|step| **step != "*").unwrap_or(&"");
    let message = format!("`{key}` is understood but not built yet in this version");
    Diagnostic::error(code::NOT_BUILT_YET, message).hint("remove it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_of_the_table_leads_to_a_key_of_the_schema() {
        let schema = super::super::json_schema();
        let resolve = |schema: &Json, root: &Json| -> Vec<Json> {
            let target = match schema.get("$ref").and_then(Json::as_str) {
                Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap().clone(),
                None => schema.clone(),
            };
            let branches =
                target.get("anyOf").or_else(|| target.get("oneOf")).and_then(Json::as_array).cloned();
            branches.unwrap_or_else(|| vec![target])
        };
        for unbuilt in UNBUILT {
            let mut at = vec![schema.clone()];
            for step in unbuilt.path {
                // Two rounds: an alternative may itself be a reference.
                let branches: Vec<Json> =
                    at.iter().flat_map(|s| resolve(s, &schema)).flat_map(|s| resolve(&s, &schema)).collect();
                at = branches
                    .iter()
                    .filter_map(|branch| match *step {
                        "*" => branch.get("items").or_else(|| branch.get("additionalProperties")),
                        key => branch.get("properties").and_then(|properties| properties.get(key)),
                    })
                    .cloned()
                    .collect();
                assert!(!at.is_empty(), "{:?} is lost at {step}", unbuilt.path);
            }
        }
    }

    #[test]
    fn defaults_pass_and_everything_else_is_refused() {
        let check = |configuration: Json, expected: &[&str]| {
            let found: Vec<String> = find(&configuration).iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(found, expected, "{configuration}");
        };
        check(json!({"limits_store": "redis://localhost", "roles": {}, "deny_policies": []}), &[]);
        check(json!({"roles": {"r": []}}), &["roles"]);
        check(
            json!({"backends": {"a": "https://example.com", "b": {"iam_policy": "p"}}}),
            &["backends.b.iam_policy"],
        );
    }
}
