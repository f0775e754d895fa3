//! The schemas of arguments: in words that every provider of models takes, and kept by the reader of the arguments.

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::support::TestApp;
use epicme::domain::names::is_visible;

/// How many calls of each tool.
const CALLS: usize = 24;

/// The keywords that OpenAI's strict mode, Gemini's function declarations, Moonshot, outlines and llguidance know, as
/// far as schemas here need any.
const KEYWORDS: [&str; 14] = [
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "examples",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "type",
];

fn each_schema(schema: &Value, at: &str, look: &mut impl FnMut(&Map<String, Value>, &str)) {
    let members = schema.as_object().expect("a schema is an object");
    look(members, at);
    for (name, property) in members
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        each_schema(property, &format!("{at}/{name}"), look);
    }
    for alternative in members
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        each_schema(alternative, at, look);
    }
    if let Some(items) = members.get("items") {
        each_schema(items, &format!("{at}/items"), look);
    }
}

#[actix_rt::test]
async fn arguments_are_described_in_words_that_every_provider_takes() {
    let app = TestApp::spawn();
    for (tool, descriptor) in app.tools().await {
        let schema = &descriptor["inputSchema"];
        assert_eq!(schema["type"], "object", "{tool}");
        each_schema(schema, &tool, &mut |schema, at| {
            for keyword in schema.keys().filter(|keyword| *keyword != "required") {
                assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: {keyword}");
            }
            // Moonshot takes a type in the alternatives or beside them, not both; Gemini takes one type.
            match schema.get("anyOf") {
                Some(_) => assert_eq!(schema.get("type"), None, "{at}"),
                None => assert!(schema["type"].is_string(), "{at}: {schema:?}"),
            }
        });
        each_schema(&descriptor["outputSchema"], &tool, &mut |schema, at| {
            assert!(!schema.get("type").is_some_and(Value::is_array), "{at}");
        });
    }
}

#[actix_rt::test]
async fn arguments_are_listed_as_they_are_declared_and_required_ones_first() {
    let app = TestApp::spawn();
    let tools = app.tools().await;
    for (tool, descriptor) in &tools {
        let schema = &descriptor["inputSchema"];
        let required = schema["required"].as_array().map_or(0, Vec::len);
        let names = schema["properties"].as_object().unwrap().keys();
        for (place, name) in names.enumerate() {
            let is_required = schema["required"]
                .as_array()
                .is_some_and(|required| required.iter().any(|one| one == name));
            assert_eq!(is_required, place < required, "{tool}: {name}");
        }
    }
    let names = tools["create_entry"]["inputSchema"]["properties"]
        .as_object()
        .unwrap();
    let names: Vec<_> = names.keys().collect();
    assert_eq!(names[..4], ["title", "content", "mood", "location"]);
}

/// Values that a schema allows. Where only words say what is allowed, some that they allow.
fn allowed(name: &str, schema: &Value) -> BoxedStrategy<Value> {
    match name {
        "from" => {
            return select(vec![
                "2026-07-28",
                "2026-07-28T09:30:00",
                "2026-07-28 09:30",
                "2026-07-28T09:30:00.5-03:30",
            ])
            .prop_map(Value::from)
            .boxed();
        }
        "to" => {
            return select(vec!["9999-12-31", "2027-01-01T00:00:00Z"])
                .prop_map(Value::from)
                .boxed();
        }
        "timeZone" => {
            return select(vec!["Europe/Berlin", "UTC", "Asia/Kolkata"])
                .prop_map(Value::from)
                .boxed();
        }
        "document" => {
            let documents = [
                json!({ "format": "epicme-journal", "version": 1 }),
                json!({ "format": "epicme-journal", "version": 1, "tags": [], "entries": [{}, 7] }),
            ];
            return select(documents.map(|one| Value::from(one.to_string())).to_vec()).boxed();
        }
        _ => {}
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let alternatives: Vec<_> = alternatives.iter().map(|one| allowed(name, one)).collect();
        return proptest::strategy::Union::new(alternatives).boxed();
    }
    if let Some(values) = schema["enum"].as_array() {
        return select(values.clone()).boxed();
    }
    let bound = |keyword: &str| {
        schema[keyword]
            .as_u64()
            .and_then(|bound| usize::try_from(bound).ok())
    };
    match schema["type"].as_str().unwrap() {
        "null" => Just(Value::Null).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => {
            let least = schema["minimum"].as_i64().unwrap();
            let most = schema["maximum"].as_i64().unwrap_or(1 << 40);
            (least..=most, any::<bool>())
                .prop_map(|(number, as_float)| {
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "a double has every integer up to here"
                    )]
                    if as_float {
                        json!(number as f64)
                    } else {
                        json!(number)
                    }
                })
                .boxed()
        }
        "string" => {
            let (least, most) = (bound("minLength").unwrap_or(0), bound("maxLength").unwrap());
            let usual = vec(
                any::<char>().prop_filter("no NUL", |c| *c != '\0'),
                least..=most.min(30),
            );
            let usual = usual.prop_map(|text| text.into_iter().collect::<String>());
            // What can be seen, no schema says.
            let usual = usual.prop_filter("to see", |text| text.is_empty() || is_visible(text));
            // A character beyond the BMP is one character to JSON Schema, and four bytes.
            let longest = Just("🜁".repeat(most));
            let shortest = Just("x".repeat(least));
            prop_oneof![8 => usual, 1 => longest, 1 => shortest]
                .prop_map(Value::from)
                .boxed()
        }
        "array" => {
            let items = allowed("", &schema["items"]);
            vec(items, 0..=bound("maxItems").unwrap())
                .prop_map(Value::from)
                .boxed()
        }
        other => panic!("{name}: {other}"),
    }
}

/// Arguments that a schema allows.
fn arguments(schema: &Value) -> BoxedStrategy<Value> {
    let properties = schema["properties"].as_object().unwrap();
    // What it has to be, only an earlier answer says.
    let members = properties.iter().filter(|(name, _)| *name != "cursor");
    let members: Vec<_> = members
        .map(|(name, property)| {
            let is_required = schema["required"]
                .as_array()
                .is_some_and(|required| required.iter().any(|one| one == name));
            let name = name.clone();
            (allowed(&name, property), any::<bool>()).prop_map(move |(value, is_there)| {
                (is_there || is_required).then(|| (name.clone(), value))
            })
        })
        .collect();
    members
        .prop_map(|members| members.into_iter().flatten().collect::<Map<_, _>>().into())
        .boxed()
}

#[actix_rt::test]
async fn what_the_schema_of_a_tool_allows_its_reader_takes() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let mut runner = TestRunner::new(Config::default());
    for (tool, descriptor) in app.tools().await {
        let schema = &descriptor["inputSchema"];
        let validator = jsonschema::validator_for(schema).unwrap();
        let strategy = arguments(schema);
        for _ in 0..CALLS {
            let arguments = strategy.new_tree(&mut runner).unwrap().current();
            assert!(validator.is_valid(&arguments), "{tool}: {arguments}");
            let reply = app.tool(&ann.token, &tool, &arguments).send().await;
            let result = reply.result();
            let said = result["content"][0]["text"].as_str().unwrap_or_default();
            assert!(
                !said.starts_with("Invalid arguments"),
                "{tool} {arguments}: {said}"
            );
        }
    }
}

#[actix_rt::test]
async fn results_are_as_their_schemas_say_to_a_validator() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let tools = app.tools().await;
    let entry = ann.entry("Morning").await;
    let tag = ann.tag("Work").await;
    ann.done(
        "add_tag_to_entry",
        json!({ "entryId": entry, "tagId": tag }),
    )
    .await;
    for (tool, arguments) in [
        ("whoami", json!({})),
        (
            "create_entry",
            json!({ "title": "t", "content": "c", "tags": [tag] }),
        ),
        ("get_entry", json!({ "id": entry })),
        ("list_entries", json!({})),
        ("search_entries", json!({ "query": "morning" })),
        ("list_tags", json!({})),
        ("export_journal", json!({ "format": "markdown" })),
        ("list_connected_clients", json!({})),
        ("list_activity", json!({})),
        (
            "remove_tag_from_entry",
            json!({ "entryId": entry, "tagId": tag }),
        ),
        ("delete_tag", json!({ "id": tag })),
        ("delete_entry", json!({ "id": entry })),
        ("delete_entry", json!({ "id": entry })),
    ] {
        let result = ann.call(tool, arguments).await;
        let validator = jsonschema::validator_for(&tools[tool]["outputSchema"]).unwrap();
        let wrong: Vec<_> = validator
            .iter_errors(&result["structuredContent"])
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(wrong, [""; 0], "{tool}: {result}");
    }
}
