//! What the schemas allow at most works, read from the schemas that the server sends.

use serde_json::{Value, json};

use crate::support::{TestApp, samples};

/// Texts of so many characters, each of them four bytes long, once in one word and once in many.
fn longest(characters: usize) -> [String; 2] {
    let words = (0_u32..).map(|number| char::from_u32(0x1_2000 + number % 900).unwrap());
    let words = words
        .enumerate()
        .map(|(at, c)| if at % 3 == 2 { ' ' } else { c });
    ["𝒳".repeat(characters), words.take(characters).collect()]
}

/// The values at the upper limits of a schema; none if it has none, or its form says more than the limits do.
fn largest(name: &str, schema: &Value, ids: &[i64]) -> Vec<Value> {
    let alternatives = schema["anyOf"].as_array();
    if let Some(one) = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        return largest(name, one, ids);
    }
    // Dates, time zones and documents are held where they are read.
    if ["from", "to", "timeZone", "cursor", "document"].contains(&name) {
        return Vec::new();
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        return longest(most.try_into().unwrap()).map(Value::from).to_vec();
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        let most: usize = most.try_into().unwrap();
        return vec![json!(ids[..most])];
    }
    schema["maximum"]
        .as_i64()
        .map(Value::from)
        .into_iter()
        .collect()
}

#[actix_rt::test]
async fn what_a_schema_allows_at_most_is_done() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let tools = app.tools().await;
    let mut tried = 0;
    let mut ids = Vec::new();
    for number in 0..50 {
        let name = format!("{number:02}{}", "\u{fdfa}".repeat(58));
        ids.push(ann.tag(&name).await);
    }
    for sample in samples(&app).await {
        let Some(tool) = tools.get(&sample.feature.name) else {
            continue;
        };
        let members = tool["inputSchema"]["properties"].as_object();
        for (name, schema) in members.into_iter().flatten() {
            for value in largest(name, schema, &ids) {
                // Anew each time, because some are deleted, and names of tags are one's own.
                let journal = app.journal("ann");
                let rows = journal.rows(&format!("r{tried}")).await;
                let mut arguments = (sample.arguments)(&rows);
                if arguments.get("idempotencyKey").is_some() {
                    arguments["idempotencyKey"] = tried.to_string().into();
                }
                arguments[name] = value;
                if name == "name" || name == "idempotencyKey" {
                    // Another than before.
                    let text = arguments[name].as_str().unwrap();
                    let text: String = text.chars().skip(4).collect();
                    arguments[name] = format!("{tried:04}{text}").into();
                }
                let result = journal.call(&sample.feature.name, arguments).await;
                let said = result["content"][0]["text"].to_string();
                assert!(
                    result.get("isError").is_none(),
                    "{} {name}: {said:.200}",
                    sample.feature
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

/// Every text at its limit at once, as clients write it that escape what is not ASCII.
#[actix_rt::test]
async fn the_longest_entry_comes_back_as_it_was_however_its_json_is_written() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let [content, words] = longest(100_000);
    for content in [content, words] {
        let [title, _] = longest(200);
        let [note, _] = longest(100);
        let entry = json!({ "title": title, "content": content, "mood": note, "location": note, "weather": note });
        let escape = |body: &mut String| {
            *body = body
                .encode_utf16()
                .map(|unit| match unit {
                    0..0x80 => char::from(unit as u8).to_string(),
                    unit => format!("\\u{unit:04x}"),
                })
                .collect();
        };
        for ask in [
            app.tool(&ann.token, "create_entry", &entry),
            app.tool(&ann.token, "create_entry", &entry)
                .edit_text(escape),
        ] {
            let result = ask.send().await.result();
            let written = &result["structuredContent"]["entry"];
            let read = ann.done("get_entry", json!({ "id": written["id"] })).await;
            for (name, text) in entry.as_object().unwrap() {
                assert_eq!(&read["entry"][name], text, "{name}");
            }
        }
    }
}
