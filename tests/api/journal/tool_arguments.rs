//! The arguments of tools: what each has to be, and how a wrong one is refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::May::{BeAbsent, BeNull, Neither};
use crate::support::{ALL, Rows, Sample, TestApp, complaints, samples};

/// What an argument has to be.
#[derive(Clone, Copy)]
enum Rule {
    Id,
    Ids,
    Text(usize, usize),
    /// At least one character can be seen; an empty text may be allowed.
    Visible(usize, usize),
    /// A text that is a document to import.
    Document(usize),
    Flag,
    Limit,
    Cursor,
    Moment,
    Zone,
    Order,
}

impl Rule {
    /// Values that break it, and what is said of them.
    fn broken(self, name: &str) -> Vec<(Value, String)> {
        let all = |rule: &str, values: Vec<Value>| {
            let said = format!("Invalid arguments: `{name}` must be {rule}.");
            values
                .into_iter()
                .map(|value| (value, said.clone()))
                .collect()
        };
        match self {
            Self::Id => all(
                "an integer from 1 up",
                vec![
                    json!(0),
                    json!(-1),
                    json!(1.5),
                    json!("1"),
                    json!(true),
                    json!([1]),
                    json!({}),
                    json!(9_223_372_036_854_775_808_u64),
                    json!(1e300),
                ],
            ),
            Self::Ids => {
                let mut cases = all(
                    "an array",
                    vec![json!("1"), json!(1), json!({}), json!(true)],
                );
                cases.extend(all(
                    "an array of at most 50 items",
                    vec![json!(vec![1; 51])],
                ));
                for item in [json!(0), json!("1"), json!(1.5), Value::Null] {
                    let said =
                        format!("Invalid arguments: `{name}[1]` must be an integer from 1 up.");
                    cases.push((json!([1, item]), said));
                }
                cases
            }
            Self::Text(min, max) => {
                let mut values = vec![
                    json!("a\0b"),
                    json!("x".repeat(max + 1)),
                    json!("é".repeat(max + 1)),
                    json!(7),
                    json!(true),
                    json!(["x"]),
                    json!({ "x": 1 }),
                ];
                if min > 0 {
                    values.push(json!(""));
                }
                all(
                    &format!("a string of {min} to {max} characters, without NUL"),
                    values,
                )
            }
            Self::Document(max) => Self::Text(1, max).broken(name),
            Self::Visible(min, max) => {
                let mut values = vec![
                    json!("a\0b"),
                    json!("x".repeat(max + 1)),
                    json!(7),
                    json!(" "),
                    json!("\t\r\n"),
                    json!("\u{a0}\u{3000}"),
                    json!("\u{200b}"),
                    json!("\u{2060}\u{feff} \u{ad}"),
                    json!("\u{3164}"),
                ];
                let empty = match min {
                    0 => " if there are any",
                    _ => "",
                };
                if min > 0 {
                    values.push(json!(""));
                }
                all(
                    &format!(
                        "a string of {min} to {max} characters, without NUL, at least one of them visible{empty}"
                    ),
                    values,
                )
            }
            Self::Flag => all(
                "a boolean",
                vec![json!(0), json!(1), json!("true"), json!([]), json!({})],
            ),
            Self::Limit => all(
                "an integer from 1 to 200",
                vec![
                    json!(0),
                    json!(201),
                    json!(-1),
                    json!(1.5),
                    json!("50"),
                    json!(true),
                    json!(70_000),
                ],
            ),
            Self::Cursor => all(
                "the nextCursor of an earlier page of this list",
                vec![
                    json!(7),
                    json!("%%%"),
                    json!("AAAA"),
                    json!("x".repeat(5_000)),
                    json!({}),
                ],
            ),
            Self::Moment => all(
                "a date (2026-07-28), an RFC 3339 time (2026-07-28T09:30:00Z), or a time without an offset (2026-07-28T09:30:00)",
                vec![
                    json!("yesterday"),
                    json!(""),
                    json!("2026-02-30"),
                    json!("28.07.2026"),
                    json!(1_785_499_200),
                    json!("2026-13-01T00:00:00Z"),
                ],
            ),
            Self::Order => all(
                "`newest` or `relevance`",
                vec![json!("oldest"), json!(""), json!("Newest")],
            ),
            Self::Zone => all(
                "the IANA name of a time zone, such as Europe/Berlin",
                vec![
                    json!("Mars/Olympus"),
                    json!(""),
                    json!(7),
                    json!("../../etc/passwd"),
                    json!("x".repeat(100)),
                ],
            ),
        }
    }

    /// Values at the edge of it that pass.
    fn kept(self) -> Vec<Value> {
        match self {
            Self::Id => vec![json!(1), json!(i64::MAX)],
            Self::Ids => vec![json!([]), json!(vec![1; 50])],
            Self::Text(min, max) | Self::Visible(min, max) => {
                vec![json!("𝒳".repeat(max)), json!("x".repeat(min))]
            }
            Self::Document(_) => vec![json!(
                r#"{"format":"epicme-journal","version":1,"tags":[],"entries":[]}"#
            )],
            Self::Flag => vec![json!(true), json!(false)],
            Self::Limit => vec![json!(1), json!(200)],
            Self::Cursor => vec![],
            Self::Moment => vec![json!("2024-02-29"), json!("2026-07-28T09:30:00.123-07:00")],
            Self::Order => vec![json!("newest"), json!("relevance")],
            Self::Zone => vec![json!("UTC"), json!("America/Argentina/Buenos_Aires")],
        }
    }

    /// Whether the schema says the whole of it.
    fn is_in_the_schema(self) -> bool {
        !matches!(
            self,
            Self::Cursor | Self::Moment | Self::Zone | Self::Visible(..)
        )
    }
}

/// Whether an argument may be left out, or be null.
#[derive(Clone, Copy, PartialEq)]
enum May {
    Neither,
    BeAbsent,
    BeNull,
}

/// An argument, what it has to be, and what it may be besides.
type Argument = (&'static str, Rule, May);

/// The arguments of tools whose rules are known here.
fn arguments() -> Vec<(&'static str, Vec<Argument>)> {
    let note = Rule::Visible(0, 100);
    let key = ("idempotencyKey", Rule::Text(1, 200), BeNull);
    let id = ("id", Rule::Id, Neither);
    let page = [
        ("limit", Rule::Limit, BeNull),
        ("cursor", Rule::Cursor, BeNull),
    ];
    let entry_tag = vec![("entryId", Rule::Id, Neither), ("tagId", Rule::Id, Neither)];
    vec![
        ("whoami", vec![]),
        (
            "create_entry",
            vec![
                ("title", Rule::Visible(1, 200), Neither),
                ("content", Rule::Text(1, 100_000), Neither),
                ("mood", note, BeNull),
                ("location", note, BeNull),
                ("weather", note, BeNull),
                ("isPrivate", Rule::Flag, BeNull),
                ("isFavorite", Rule::Flag, BeNull),
                ("tags", Rule::Ids, BeNull),
                key,
            ],
        ),
        ("get_entry", vec![id]),
        (
            "list_entries",
            vec![
                ("tagIds", Rule::Ids, BeNull),
                ("from", Rule::Moment, BeNull),
                ("to", Rule::Moment, BeNull),
                ("timeZone", Rule::Zone, BeNull),
                ("isFavorite", Rule::Flag, BeNull),
                page[0],
                page[1],
            ],
        ),
        (
            "search_entries",
            vec![
                ("query", Rule::Text(1, 200), Neither),
                ("order", Rule::Order, BeNull),
                page[0],
                page[1],
            ],
        ),
        (
            "update_entry",
            vec![
                id,
                ("title", Rule::Visible(1, 200), BeAbsent),
                ("content", Rule::Text(1, 100_000), BeAbsent),
                ("mood", note, BeNull),
                ("location", note, BeNull),
                ("weather", note, BeNull),
                ("isPrivate", Rule::Flag, BeAbsent),
                ("isFavorite", Rule::Flag, BeAbsent),
            ],
        ),
        ("delete_entry", vec![id]),
        (
            "create_tag",
            vec![
                ("name", Rule::Visible(1, 60), Neither),
                ("description", Rule::Visible(0, 500), BeNull),
                key,
            ],
        ),
        ("get_tag", vec![id]),
        ("list_tags", page.to_vec()),
        (
            "update_tag",
            vec![
                id,
                ("name", Rule::Visible(1, 60), BeAbsent),
                ("description", Rule::Visible(0, 500), BeNull),
            ],
        ),
        ("delete_tag", vec![id]),
        ("add_tag_to_entry", entry_tag.clone()),
        ("remove_tag_from_entry", entry_tag),
        (
            "import_journal",
            vec![("document", Rule::Document(500_000), Neither)],
        ),
        ("list_connected_clients", vec![]),
        (
            "list_activity",
            vec![("clientId", Rule::Text(1, 1_024), BeNull), page[0], page[1]],
        ),
    ]
}

/// Arguments that the tool needs, with ids that no row has to have.
fn good_arguments(sample: &Sample, tool: &Value) -> Value {
    let text = "text".to_owned();
    let mut arguments = (sample.arguments)(&Rows {
        entry: 1,
        tag: 1,
        export: 1,
        text,
    });
    let required = required(tool);
    let members = arguments.as_object_mut().unwrap();
    members.retain(|name, _| required.contains(name));
    arguments
}

fn required(tool: &Value) -> BTreeSet<String> {
    let required = tool["inputSchema"]["required"].as_array();
    let names = required.into_iter().flatten();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// The names that a schema describes.
fn described(tool: &Value) -> BTreeSet<String> {
    let properties = tool["inputSchema"]["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

/// S-04, S-09.
#[actix_rt::test]
async fn each_broken_rule_is_told_with_the_arguments_name_and_is_in_the_schema() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let tools = app.tools().await;
    let samples = samples(&app).await;
    for (tool, rules) in arguments() {
        let descriptor = &tools[tool];
        let schema = &descriptor["inputSchema"];
        let mut names: Vec<_> = rules.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        assert!(
            described(descriptor).iter().eq(&names),
            "{tool} has other arguments than {names:?}"
        );
        let sample = samples.iter().find(|sample| sample.feature.name == tool);
        let good = good_arguments(sample.unwrap(), descriptor);
        for (name, rule, may) in rules {
            let mut broken = rule.broken(name);
            match may {
                BeNull => {}
                Neither => {
                    // The rule without what is said of a part of it.
                    let (_, said) = broken[0].clone();
                    broken.push((Value::Null, said));
                }
                BeAbsent => {
                    let said = format!(
                        "Invalid arguments: `{name}` must not be null; leave it out to keep it."
                    );
                    broken.push((Value::Null, said));
                }
            }
            for (value, said) in broken {
                let mut arguments = good.clone();
                arguments[name] = value.clone();
                assert_eq!(
                    ann.failed(tool, arguments.clone()).await,
                    said,
                    "{tool} {name} {value}"
                );
                if (rule.is_in_the_schema() || value.is_null())
                    && value != json!(1.0)
                    && value != json!(9_223_372_036_854_775_808_u64)
                {
                    assert_ne!(
                        complaints(schema, &arguments),
                        [""; 0],
                        "{tool} {name} {value}"
                    );
                }
            }
            let mut kept = rule.kept();
            if may == BeNull {
                kept.push(Value::Null);
            }
            for value in kept {
                let mut arguments = good.clone();
                arguments[name] = value;
                // Whoever has no value leaves it out: null is taken, but not asked for.
                if !arguments[name].is_null() {
                    assert_eq!(complaints(schema, &arguments), [""; 0], "{tool} {name}");
                }
                let result = ann.call(tool, arguments).await;
                let text = result["content"][0]["text"].as_str().unwrap();
                assert!(
                    !text.starts_with("Invalid arguments"),
                    "{tool} {name}: {text}"
                );
            }
        }
    }
}

/// S-08.
#[actix_rt::test]
async fn each_tool_says_which_argument_is_missing_or_unknown() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let tools = app.tools().await;
    for sample in samples(&app).await {
        let name = &*sample.feature.name;
        let Some(tool) = tools.get(name) else {
            continue;
        };
        let schema = &tool["inputSchema"];
        assert_eq!(schema["additionalProperties"], false, "{name}");
        let good = good_arguments(&sample, tool);

        let mut more = good.clone();
        more["userId"] = "a secret value".into();
        let said = ann.failed(name, more).await;
        let (unknown, known) = said.split_once("; ").unwrap();
        let start = "Invalid arguments: `userId` is not an argument of this tool";
        assert_eq!(unknown, start, "{name}");
        let known: BTreeSet<_> = known
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(known, described(tool), "{name}: {said}");

        for missing in required(tool) {
            let mut less = good.clone();
            less.as_object_mut().unwrap().remove(&missing);
            assert_eq!(
                ann.failed(name, less.clone()).await,
                format!("Invalid arguments: `{missing}` is required.")
            );
            assert_ne!(complaints(schema, &less), [""; 0], "{name} {missing}");
        }
    }
}

/// S-08.
#[actix_rt::test]
async fn an_argument_may_not_appear_twice() {
    let app = TestApp::spawn();
    let doubled = |body: &mut String| {
        *body = body.replace(r#""arguments":{"id":1}"#, r#""arguments":{"id":1,"id":1}"#);
    };
    let reply = app
        .tool(&app.token("ann", ALL), "get_entry", &json!({ "id": 1 }))
        .edit_text(doubled)
        .send()
        .await;
    assert_eq!(
        reply.result()["content"][0]["text"],
        "Invalid arguments: each argument may appear only once."
    );
}
