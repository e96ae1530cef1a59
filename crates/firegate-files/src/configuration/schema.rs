//! The JSON schema of `firegate.yaml`, generated from the types of [`super::source`].

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::source::ConfigurationSource;

/// The schema, generated once.
pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The JSON schema (draft 2020-12) of `firegate.yaml`, for editors and for the documentation.
///
/// It describes the shape alone. What the parts must have to do with each other is checked by [`super::parse`].
pub fn json_schema() -> Value {
    SCHEMA.clone()
}

fn generate() -> Value {
    let mut schema = schema_of::<ConfigurationSource>();
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), Value::from("firegate.yaml"));
    }
    schema
}

/// The schema of a format of Firegate's own, as [`super::shape`] wants it.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    tidy(&mut schema);
    schema
}

/// Removes `null` as an alternative: an optional key may be absent, and a key without a value is a mistake.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = branches.as_slice() {
                    let only: Map<String, Value> = only.clone();
                    object.remove("anyOf");
                    // The description of the key says more than that of its type.
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
        }
        _ => {}
    }
}

/// Names the definitions without the suffix of our types, and joins the lines of descriptions.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = plain_name(reference).to_owned();
            }
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            if let Some(Value::Object(definitions)) = object.get_mut("$defs") {
                *definitions = std::mem::take(definitions)
                    .into_iter()
                    .map(|(name, definition)| (plain_name(&name).to_owned(), definition))
                    .collect();
            }
        }
        _ => {}
    }
}

fn plain_name(name: &str) -> &str {
    name.strip_suffix("Source").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(schema: &Value, check: &mut dyn FnMut(&Map<String, Value>)) {
        match schema {
            Value::Array(parts) => parts.iter().for_each(|part| visit(part, check)),
            Value::Object(object) => {
                check(object);
                object.values().for_each(|part| visit(part, check));
            }
            _ => {}
        }
    }

    #[test]
    fn the_schema_names_every_key_with_a_description_and_admits_no_other() {
        let schema = json_schema();
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
        assert_eq!(schema["properties"]["project"]["type"], "string");
        visit(&schema, &mut |object| {
            assert_ne!(object.get("type"), Some(&Value::from("null")));
            let Some(Value::Object(properties)) = object.get("properties") else { return };
            assert_eq!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{object:?}");
            for (key, property) in properties {
                assert!(property.get("description").is_some(), "`{key}` has no description");
            }
        });
    }

    #[test]
    fn every_reference_in_the_schema_leads_somewhere() {
        let schema = json_schema();
        visit(&schema, &mut |object| {
            if let Some(Value::String(reference)) = object.get("$ref") {
                let name = reference.strip_prefix("#/$defs/").unwrap();
                assert!(schema["$defs"][name].is_object(), "{reference}");
            }
        });
    }
}
