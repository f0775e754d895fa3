//! The tools that the suite calls.

use std::{future::Future, sync::Arc, time::Duration};

use mcp_protocol::{
    answer::{Content, Media, ResourceBody, ResourceContents, ToolOutput},
    logging::Level,
    outgoing::{ClientCapability, ServerRequest},
};
use mcp_server::features::{context::Context, tool::DeclaredTool, tool_error::ToolError};
use rmcp::model;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

type Arguments = Map<String, Value>;

/// A PNG image of one red pixel.
pub(crate) const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0,
    0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T',
    0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, b'I',
    b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// An audio file without samples.
const SILENCE: &[u8] =
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";

/// The time between two messages of a tool.
const STEP: Duration = Duration::from_millis(50);

pub(crate) fn all() -> Vec<DeclaredTool> {
    let mut tools = contents();
    tools.extend(conversations());
    tools.extend(rounds());
    tools
}

/// Tools with one kind of content each.
fn contents() -> Vec<DeclaredTool> {
    vec![
        tool("test_simple_text", json!({}), |_, _| async {
            Ok(said("What a simple tool says."))
        }),
        tool("test_image_content", json!({}), |_, _| async {
            Ok(output([picture()]))
        }),
        tool("test_audio_content", json!({}), |_, _| async {
            Ok(output([Content::Audio(Media {
                data: SILENCE.into(),
                mime_type: "audio/wav".into(),
            })]))
        }),
        tool("test_embedded_resource", json!({}), |_, _| async {
            Ok(output([embedded("test://embedded-resource".to_owned())]))
        }),
        tool("test_multiple_content_types", json!({}), |_, _| async {
            Ok(output([
                Content::text("Words, a picture and a resource:"),
                picture(),
                embedded("test://mixed-content-resource".to_owned()),
            ]))
        }),
        tool("test_error_handling", json!({}), |_, _| async {
            Err(ToolError::Refused("This tool always fails.".to_owned()))
        }),
        DeclaredTool::raw(
            descriptor("json_schema_2020_12_tool", schema_2020_12()),
            &[],
            |_, _| async { Ok(said("It was called.")) },
        ),
    ]
}

/// Tools that send notifications, or one request in either era.
fn conversations() -> Vec<DeclaredTool> {
    vec![
        tool(
            "test_tool_with_progress",
            json!({}),
            |context, _| async move {
                for done in [0.0, 50.0, 100.0] {
                    context
                        .conversation()
                        .progress(done, Some(100.0), "working");
                    sleep(STEP).await;
                }
                Ok(said("It is done."))
            },
        ),
        tool(
            "test_sampling",
            strings(["prompt"]),
            |context, arguments| async move {
                let question = sample(text(&arguments, "prompt"));
                ask_once(context, "sampled", question).await
            },
        ),
        tool(
            "test_elicitation",
            strings(["message"]),
            |context, arguments| async move {
                let question = form(text(&arguments, "message"), "response");
                ask_once(context, "elicited", question).await
            },
        ),
        tool(
            "test_elicitation_sep1034_defaults",
            json!({}),
            |context, _| async move {
                let question = elicit(
                    "Please look through the defaults.",
                    json!({
                        "name": { "type": "string", "default": "John Doe" },
                        "age": { "type": "integer", "default": 30 },
                        "score": { "type": "number", "default": 95.5 },
                        "status": {
                            "type": "string",
                            "enum": ["active", "inactive", "pending"],
                            "default": "active",
                        },
                        "verified": { "type": "boolean", "default": true },
                    }),
                );
                ask_once(context, "elicited", question).await
            },
        ),
        tool(
            "test_elicitation_sep1330_enums",
            json!({}),
            |context, _| async move {
                let titled = json!([
                    { "const": "value1", "title": "First Option" },
                    { "const": "value2", "title": "Second Option" },
                    { "const": "value3", "title": "Third Option" },
                ]);
                let question = elicit(
                    "Please choose.",
                    json!({
                        "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
                        "titledSingle": { "type": "string", "oneOf": titled },
                        "legacyEnum": {
                            "type": "string",
                            "enum": ["opt1", "opt2", "opt3"],
                            "enumNames": ["Option One", "Option Two", "Option Three"],
                        },
                        "untitledMulti": {
                            "type": "array",
                            "items": { "type": "string", "enum": ["option1", "option2", "option3"] },
                        },
                        "titledMulti": { "type": "array", "items": { "anyOf": titled } },
                    }),
                );
                ask_once(context, "elicited", question).await
            },
        ),
        tool(
            "test_streaming_elicitation",
            json!({}),
            |context, _| async move {
                ask_once(
                    context,
                    "elicited",
                    form("Please say something.", "response"),
                )
                .await
            },
        ),
        tool(
            "test_tool_with_logging",
            json!({}),
            |context, _| async move {
                log(&context, &["Began", "Half-way", "Ended"]);
                Ok(said("It said three things on the way."))
            },
        ),
        tool("test_logging_tool", json!({}), |context, _| async move {
            log(&context, &["Said to whoever asked for it"]);
            Ok(said(
                "It said something on the way to whoever asked for it.",
            ))
        }),
        tool(
            "test_missing_capability",
            json!({}),
            |context, _| async move {
                context.conversation().require(ClientCapability::Sample)?;
                Ok(said("The client can sample."))
            },
        ),
    ]
}

fn log(context: &Context, texts: &[&str]) {
    for text in texts {
        context
            .conversation()
            .log(Level::Info, "fixture", &json!(text));
    }
}

/// Tools with multiple round trips.
fn rounds() -> Vec<DeclaredTool> {
    vec![
        tool(
            "test_input_required_result_elicitation",
            json!({}),
            |context, _| async move {
                ask_once(context, "user_name", form("What is your name?", "name")).await
            },
        ),
        tool(
            "test_input_required_result_sampling",
            json!({}),
            |context, _| async move {
                ask_once(context, "capital", sample("What is the capital of France?")).await
            },
        ),
        tool(
            "test_input_required_result_list_roots",
            json!({}),
            |context, _| async move { ask_once(context, "roots", roots()).await },
        ),
        tool(
            "test_input_required_result_request_state",
            json!({}),
            |context, _| async move {
                ask_once(context, "confirm", form("Is that so?", "answer")).await
            },
        ),
        tool(
            "test_input_required_result_tampered_state",
            json!({}),
            |context, _| async move {
                ask_once(context, "confirm", form("Is that so?", "answer")).await
            },
        ),
        tool(
            "test_input_required_result_multiple_inputs",
            json!({}),
            |context, _| async move {
                let questions = [
                    ("user_name", form("What is your name?", "name")),
                    ("greeting", sample("Think of a greeting.")),
                    ("client_roots", roots()),
                ];
                let answers = context.conversation().ask(questions, "").await?;
                Ok(said(format!("All answers: {answers:?}")))
            },
        ),
        tool(
            "test_input_required_result_multi_round",
            json!({}),
            |context, _| async move {
                let conversation = context.conversation().clone();
                if conversation.state() != "second" {
                    let question = form("Step 1: what is your name?", "name");
                    conversation.ask([("step1", question)], "first").await?;
                }
                let question = form("Step 2: what is your favourite colour?", "color");
                conversation.ask([("step2", question)], "second").await?;
                Ok(said("All steps are done."))
            },
        ),
        tool(
            "test_input_required_result_capabilities",
            json!({}),
            |context, _| async move {
                let conversation = context.conversation().clone();
                if conversation.can(ClientCapability::Sample) {
                    let question = sample("What is the capital of France?");
                    conversation.ask([("sampled", question)], "").await?;
                } else if conversation.can(ClientCapability::ElicitForm) {
                    let question = form("What is your name?", "name");
                    conversation.ask([("elicited", question)], "").await?;
                }
                Ok(said("The client was asked what it can answer."))
            },
        ),
    ]
}

/// Sends one request, and returns the response as text.
async fn ask_once(
    context: Context,
    key: &'static str,
    question: ServerRequest,
) -> Result<ToolOutput, ToolError> {
    let [answer] = context.conversation().ask([(key, question)], "").await?;
    Ok(said(match answer {
        Some(answer) => format!("The answer is {answer}"),
        None => "There was no answer.".to_owned(),
    }))
}

/// A tool whose arguments have these properties.
fn tool<F>(
    name: &'static str,
    properties: Value,
    call: impl Fn(Context, Arguments) -> F + Send + Sync + 'static,
) -> DeclaredTool
where
    F: Future<Output = Result<ToolOutput, ToolError>> + 'static,
{
    let schema = json!({ "type": "object", "properties": properties });
    DeclaredTool::raw(descriptor(name, schema), &[], call)
}

fn descriptor(name: &'static str, schema: Value) -> model::Tool {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    model::Tool::new(name, name, Arc::new(schema))
}

fn strings<const N: usize>(names: [&str; N]) -> Value {
    names
        .map(|name| (name.to_owned(), json!({ "type": "string" })))
        .into_iter()
        .collect::<Map<_, _>>()
        .into()
}

fn text<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    arguments
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn output<const N: usize>(content: [Content; N]) -> ToolOutput {
    ToolOutput {
        content: content.into(),
        structured: None,
    }
}

fn said(text: impl Into<String>) -> ToolOutput {
    output([Content::text(text)])
}

fn picture() -> Content {
    Content::Image(Media {
        data: PIXEL.into(),
        mime_type: "image/png".into(),
    })
}

pub(crate) fn embedded(uri: String) -> Content {
    Content::Resource {
        resource: ResourceContents {
            uri,
            mime_type: "text/plain".into(),
            body: ResourceBody::Text("What an embedded resource says.".to_owned()),
        },
    }
}

/// A form with one text field.
pub(crate) fn form(message: &str, field: &str) -> ServerRequest {
    elicit(message, strings([field]))
}

fn elicit(message: &str, properties: Value) -> ServerRequest {
    ServerRequest {
        needs: ClientCapability::ElicitForm,
        method: "elicitation/create",
        params: json!({
            "message": message,
            "requestedSchema": { "type": "object", "properties": properties },
        }),
    }
}

fn sample(prompt: &str) -> ServerRequest {
    ServerRequest {
        needs: ClientCapability::Sample,
        method: "sampling/createMessage",
        params: json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
            "maxTokens": 100,
        }),
    }
}

fn roots() -> ServerRequest {
    ServerRequest {
        needs: ClientCapability::ListRoots,
        method: "roots/list",
        params: json!({}),
    }
}

fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}
