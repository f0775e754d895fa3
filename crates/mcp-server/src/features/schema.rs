//! JSON Schemas of arguments and results, in the words that every provider of models takes.
//!
//! A provider that meets a keyword which it does not take refuses the whole request, with all tools in it. So a schema
//! here has no references, no list of types, and no format that a provider may not know.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::arguments::NULL_CLEARS;

/// What a schema says about a value without restricting it.
const ANNOTATIONS: [&str; 6] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
];

/// Whose schema it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Arguments,
    Output,
}

/// The schema without references, `$schema` and the name of the Rust type: JSON Schema 2020-12 is the default
/// of MCP, and clients differ in which references they resolve. Its properties are in the order of their
/// declaration, those that are required first: people fill in forms in this order, and models arguments.
pub(super) fn schema_of<T: JsonSchema>(of: Of) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let settings = match of {
        Of::Arguments => settings,
        Of::Output => settings.for_serialize(),
    };
    let generator = settings.into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    let schema = schema
        .as_object_mut()
        .expect("arguments and outputs are structs, whose schemas are objects");
    schema.remove("title");
    schema.remove("description");
    // A tool without arguments has a struct without fields.
    schema
        .entry("properties")
        .or_insert_with(|| Map::new().into());
    portable(schema, of);
    std::mem::take(schema)
}

fn portable(schema: &mut Map<String, Value>, of: Of) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    // Of the formats, clients know a few; those that schemars invents for Rust's integers none does.
    let is_known = |format: &Value| format == "date-time" && of == Of::Output;
    if schema.get("format").is_some_and(|format| !is_known(format)) {
        schema.remove("format");
    }
    properties(schema, of);
    for keyword in ["items", "additionalProperties"] {
        if let Some(Value::Object(schema)) = schema.get_mut(keyword) {
            portable(schema, of);
        }
    }
    for keyword in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(schemas)) = schema.get_mut(keyword) {
            let schemas = schemas.iter_mut().filter_map(Value::as_object_mut);
            schemas.for_each(|schema| portable(schema, of));
        }
    }
    one_type(schema);
}

fn properties(schema: &mut Map<String, Value>, of: Of) {
    let required = schema.get("required").and_then(Value::as_array).cloned();
    let is_required = |name: &str| required.iter().flatten().any(|required| required == name);
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in properties.iter_mut() {
        let Some(property) = property.as_object_mut() else {
            continue;
        };
        // Whoever has no value for an argument leaves it out; null is taken too, but not asked for.
        let null_means_something = property.remove(NULL_CLEARS).is_some();
        if of == Of::Arguments && !is_required(name) && !null_means_something {
            without_null(property);
        }
        portable(property, of);
    }
    let (mut first, then): (Map<_, _>, Map<_, _>) = std::mem::take(properties)
        .into_iter()
        .partition(|(name, _)| is_required(name));
    first.extend(then);
    *properties = first;
}

/// Takes back what schemars adds to the schema of `T` for an `Option<T>`.
fn without_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") else {
        return;
    };
    alternatives.retain(|alternative| *alternative != json!({ "type": "null" }));
    if let [Value::Object(only)] = &mut alternatives[..] {
        let only = std::mem::take(only);
        schema.remove("anyOf");
        for (keyword, value) in only {
            schema.entry(keyword).or_insert(value);
        }
    }
}

/// Replaces a list of types by alternatives of one type each.
fn one_type(schema: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = schema.get_mut("type") else {
        return;
    };
    let types = std::mem::take(types);
    if let [only] = &types[..] {
        schema["type"] = only.clone();
        return;
    }
    schema.remove("type");
    let (annotations, rules): (Map<_, _>, Map<_, _>) = std::mem::take(schema)
        .into_iter()
        .partition(|(keyword, _)| ANNOTATIONS.contains(&keyword.as_str()));
    let alternatives = types.into_iter().map(|name| {
        let mut alternative = Map::new();
        let is_null = name == "null";
        alternative.insert("type".to_owned(), name);
        if !is_null {
            alternative.extend(rules.clone());
            if let Some(Value::Array(values)) = alternative.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
        }
        Value::Object(alternative)
    });
    let alternatives = alternatives.collect::<Vec<_>>();
    *schema = annotations;
    schema.insert("anyOf".to_owned(), alternatives.into());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::features::arguments::{Clearable, Id, Text, UpTo};

    #[derive(Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    enum Color {
        Red,
        Green,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Arguments {
        /// Of what
        /// color.
        color: Option<Color>,
        /// Which.
        zone: Option<String>,
        /// The name.
        name: Text<1, 9>,
        ids: Option<UpTo<Id, 3>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Clearable<Text<0, 9>>")]
        mood: Option<Option<String>>,
        within: Vec<Within>,
    }

    #[derive(Deserialize, Serialize, JsonSchema)]
    struct Within {
        count: Option<u32>,
        others: BTreeMap<String, Option<i64>>,
    }

    #[derive(Serialize, JsonSchema)]
    struct Output {
        color: Option<Color>,
        within: Option<Within>,
        at: Option<chrono::DateTime<chrono::Utc>>,
    }

    #[test]
    fn arguments_are_declared_in_words_that_every_provider_takes() {
        let schema = Value::from(schema_of::<Arguments>(Of::Arguments));
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {
                    "name": { "description": "The name.", "type": "string", "minLength": 1, "maxLength": 9, "pattern": r"^[^\u0000]*$" },
                    "within": { "type": "array", "items": {
                        "type": "object",
                        "properties": {
                            "others": { "type": "object", "additionalProperties": {
                                "anyOf": [{ "type": "integer" }, { "type": "null" }],
                            } },
                            "count": { "type": "integer", "minimum": 0 },
                        },
                        "required": ["others"],
                    } },
                    "color": { "description": "Of what color.", "type": "string", "enum": ["red", "green"] },
                    "zone": { "description": "Which.", "type": "string" },
                    "ids": { "type": "array", "maxItems": 3, "items": { "type": "integer", "minimum": 1 } },
                    "mood": { "anyOf": [
                        { "type": "string", "minLength": 0, "maxLength": 9, "pattern": r"^[^\u0000]*$" },
                        { "type": "null" },
                    ] },
                },
                "required": ["name", "within"],
                "additionalProperties": false,
            })
        );
        let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["name", "within", "color", "zone", "ids", "mood"]);
    }

    #[test]
    fn null_in_a_result_is_an_alternative_of_its_own() {
        let schema = Value::from(schema_of::<Output>(Of::Output));
        let properties = &schema["properties"];
        assert_eq!(
            properties["color"],
            json!({ "anyOf": [{ "type": "string", "enum": ["red", "green"] }, { "type": "null" }] })
        );
        assert_eq!(
            properties["at"],
            json!({ "anyOf": [{ "type": "string", "format": "date-time" }, { "type": "null" }] })
        );
        assert_eq!(properties["within"]["anyOf"][1], json!({ "type": "null" }));
        assert!(!schema.to_string().contains("\"type\":["), "{schema}");
    }
}
