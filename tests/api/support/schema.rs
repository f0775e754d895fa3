//! As much of JSON Schema 2020-12 as the tools' schemas use; an unknown keyword is an error, so that
//! nothing goes unchecked.

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

/// What is wrong with a value under a schema.
pub(crate) fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let holds = match keyword.as_str() {
            "description" | "examples" => true,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_of_type(one, value)),
                one => is_of_type(one, value),
            },
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        check(schema, member, &format!("{at}/{name}"), found);
                    }
                }
                // Everything that is shown is described.
                value
                    .as_object()
                    .is_none_or(|members| members.keys().all(|name| rule.get(name).is_some()))
            }
            "required" => value.as_object().is_none_or(|members| {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            "additionalProperties" => rule == false,
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{at}/{i}"), found);
                }
                true
            }
            "anyOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|one| complaints(one, value).is_empty()),
            "format" => has_format(rule.as_str().unwrap(), value),
            "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|n| n <= rule.as_f64().unwrap()),
            "minLength" => length(value).is_none_or(|n| n >= rule.as_u64().unwrap()),
            "maxLength" => length(value).is_none_or(|n| n <= rule.as_u64().unwrap()),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "pattern" => {
                assert_eq!(rule, r"^[^\u0000]*$");
                value.as_str().is_none_or(|text| !text.contains('\0'))
            }
            other => panic!("{other} at {at} is not a keyword that is checked"),
        };
        if !holds {
            found.push(format!("{at}: {keyword} {rule} does not hold of {value}"));
        }
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("{other} is not a type that is checked"),
    }
}

fn has_format(format: &str, value: &Value) -> bool {
    value.as_str().is_none_or(|text| match format {
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        "date" => text.parse::<NaiveDate>().is_ok(),
        "int64" => true,
        other => panic!("{other} is not a format that is checked"),
    })
}
