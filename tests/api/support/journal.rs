//! Calls of tools, and their results without what differs from run to run.

use serde_json::{Value, json};

use super::TestApp;

pub(crate) const ALL: &str = "user:read entries:read entries:write tags:read tags:write";

/// One user's journal, by way of modern calls.
pub(crate) struct Journal<'a> {
    app: &'a TestApp,
    pub(crate) token: String,
}

impl TestApp {
    /// The journal of this user, under a token with every scope.
    pub(crate) fn journal(&self, subject: &str) -> Journal<'_> {
        Journal {
            app: self,
            token: self.token(subject, ALL),
        }
    }
}

impl Journal<'_> {
    /// The whole result of a call.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let reply = self.app.tool(&self.token, tool, &arguments).send().await;
        reply.result()
    }

    /// The structured content of a call that did what was asked. The last text block says the same.
    pub(crate) async fn done(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert!(result.get("isError").is_none(), "{result}");
        let structured = result["structuredContent"].clone();
        let text = result["content"].as_array().unwrap().last().unwrap()["text"]
            .as_str()
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), structured);
        structured
    }

    /// What the model is told of a call that could not do what was asked.
    pub(crate) async fn failed(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(result.get("structuredContent").is_none(), "{result}");
        let content = result["content"].as_array().unwrap();
        assert_eq!(content.len(), 1, "{result}");
        content[0]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn entry(&self, title: &str) -> i64 {
        let arguments = json!({ "title": title, "content": format!("What happened: {title}") });
        let done = self.done("create_entry", arguments).await;
        done["entry"]["id"].as_i64().unwrap()
    }

    pub(crate) async fn tag(&self, name: &str) -> i64 {
        let done = self.done("create_tag", json!({ "name": name })).await;
        done["tag"]["id"].as_i64().unwrap()
    }
}

/// A value with its times, user ids and cursors taken out, and the text block that repeats the
/// structured content said so.
pub(crate) fn redacted(mut value: Value) -> Value {
    if let Some(structured) = value.get("structuredContent").cloned()
        && let Some(text) = value["content"]
            .as_array_mut()
            .and_then(|content| content.last_mut())
    {
        let said: Value = serde_json::from_str(text["text"].as_str().unwrap()).unwrap();
        assert_eq!(said, structured);
        text["text"] = "[the structured content as JSON]".into();
    }
    redact(&mut value);
    value
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), &*member) {
                    ("createdAt" | "updatedAt", Value::String(time)) => {
                        let utc = chrono::DateTime::parse_from_rfc3339(time).unwrap();
                        assert_eq!(utc.offset().local_minus_utc(), 0, "{time}");
                        assert!(time.ends_with('Z'), "{time}");
                        *member = "[time]".into();
                    }
                    ("nextCursor", Value::String(_)) => *member = "[cursor]".into(),
                    ("issuer", Value::String(_)) => *member = "[issuer]".into(),
                    ("id", Value::String(id)) => {
                        assert_eq!(id.len(), 36, "{id} is a UUID");
                        *member = "[user id]".into();
                    }
                    _ => redact(member),
                }
            }
        }
        _ => {}
    }
}
