//! Features that the journal has none of: content of every kind, prompts that ask, clients that are
//! needed for something.

use std::sync::Arc;

use mcp_protocol::{
    answer::{
        Content, Media, PromptOutput, ResourceBody, ResourceContents, ResourceLink, ToolOutput,
    },
    outgoing::{ClientCapability, ServerRequest},
};
use mcp_server::features::{
    catalogue::Features,
    prompt::DeclaredPrompt,
    resource::{Contents, DeclaredResource, DeclaredTemplate},
    tool::DeclaredTool,
    tool_error::ToolError,
};
use rmcp::model;
use serde_json::{Value, json};

use crate::support::{ALL, Ask, TestApp};

fn output(content: Vec<Content>) -> ToolOutput {
    ToolOutput {
        content,
        structured: None,
    }
}

fn contents(uri: &str, body: ResourceBody) -> ResourceContents {
    ResourceContents {
        uri: uri.to_owned(),
        mime_type: "text/x-test".into(),
        body,
    }
}

fn tool(name: &'static str) -> model::Tool {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "word": { "type": "string" } },
        "properties": { "word": { "$ref": "#/$defs/word" } },
    });
    let Value::Object(schema) = schema else {
        unreachable!()
    };
    model::Tool::new(name, name, Arc::new(schema))
}

fn name_question() -> ServerRequest {
    ServerRequest {
        needs: ClientCapability::ElicitForm,
        method: "elicitation/create",
        params: json!({ "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } }),
    }
}

fn features() -> Features {
    let content = DeclaredTool::raw(tool("content"), &[], |_, arguments| async move {
        Ok(output(vec![
            Content::text(
                arguments
                    .get("word")
                    .map(Value::to_string)
                    .unwrap_or_default(),
            ),
            Content::Image(Media {
                data: b"image".as_slice().into(),
                mime_type: "image/png".into(),
            }),
            Content::Audio(Media {
                data: b"audio".as_slice().into(),
                mime_type: "audio/wav".into(),
            }),
            Content::ResourceLink(ResourceLink {
                uri: "test://fixed".into(),
                name: "fixed".into(),
                description: "A resource.",
                mime_type: "text/x-test",
            }),
            Content::Resource {
                resource: contents("test://fixed", ResourceBody::Text("text".to_owned())),
            },
        ]))
    });
    let failing = DeclaredTool::raw(tool("failing"), &[], |_, _| async {
        Err(ToolError::Refused("It cannot be done.".to_owned()))
    });
    let sampling = DeclaredTool::raw(tool("sampling"), &[], |context, _| async move {
        context.conversation().require(ClientCapability::Sample)?;
        Ok(output(vec![Content::text("It can.")]))
    });
    let asking = DeclaredPrompt::raw(
        model::Prompt::new("asking", Some("Asks."), None),
        &[],
        |context, _| async move {
            let [answer] = context
                .conversation()
                .ask([("who", name_question())], "")
                .await?;
            let answer = answer.unwrap_or_default();
            Ok(PromptOutput {
                description: "Asks.".into(),
                messages: vec![Content::text(answer["content"]["name"].to_string())],
            })
        },
    );
    Features {
        tools: vec![content, failing, sampling],
        prompts: vec![asking],
        resources: vec![DeclaredResource::raw(
            model::Resource::new("test://fixed", "fixed"),
            &[],
            |_| async { Ok(Contents::bytes(b"blob").with_mime_type("text/x-test")) },
        )],
        templates: vec![DeclaredTemplate::raw(
            model::ResourceTemplate::new("test://many/{id}/data", "many"),
            &[],
            |_, id| async move { Ok(Contents::text(id.to_string()).with_mime_type("text/x-test")) },
        )],
    }
}

/// A modern client that can do this.
fn able<'a>(ask: Ask<'a>, capabilities: &Value) -> Ask<'a> {
    ask.edit(|body| {
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            capabilities.clone();
    })
}

/// S-20.
#[actix_rt::test]
async fn content_of_every_kind_is_shown_to_those_who_know_it() {
    let app = TestApp::serving(features());
    let token = app.token("ann", ALL);
    let call = json!({ "name": "content", "arguments": { "word": "hello" } });
    let everything = json!([
        { "type": "text", "text": "\"hello\"" },
        { "type": "image", "data": "aW1hZ2U=", "mimeType": "image/png" },
        { "type": "audio", "data": "YXVkaW8=", "mimeType": "audio/wav" },
        { "type": "resource_link", "uri": "test://fixed", "name": "fixed", "description": "A resource.", "mimeType": "text/x-test" },
        { "type": "resource", "resource": { "uri": "test://fixed", "mimeType": "text/x-test", "text": "text" } },
    ]);
    let reply = app.modern(&token, "tools/call", call.clone()).send().await;
    let result = reply.result();
    assert_eq!(result["content"], everything);
    assert_eq!(result.get("structuredContent"), None);

    for (version, knows_links) in [
        ("2025-11-25", true),
        ("2025-06-18", true),
        ("2025-03-26", false),
    ] {
        let session = app.open(&token, version).await;
        let reply = app
            .within(&session, "tools/call", call.clone())
            .send()
            .await;
        let mut known = everything.clone();
        known
            .as_array_mut()
            .unwrap()
            .retain(|block| knows_links || block["type"] != "resource_link");
        assert_eq!(reply.result(), json!({ "content": known }), "{version}");
    }
}

/// B-15.
#[actix_rt::test]
async fn a_schema_is_listed_as_it_was_declared() {
    let app = TestApp::serving(features());
    let token = app.token("ann", ALL);
    let list = app.modern(&token, "tools/list", json!({})).send().await;
    assert_eq!(
        list.result()["tools"][0]["inputSchema"],
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": { "word": { "type": "string" } },
            "properties": { "word": { "$ref": "#/$defs/word" } },
        })
    );
}

/// S-08.
#[actix_rt::test]
async fn a_tool_that_fails_says_so_to_the_model() {
    let app = TestApp::serving(features());
    let token = app.token("ann", ALL);
    let result = app
        .tool(&token, "failing", &json!({}))
        .send()
        .await
        .result();
    assert_eq!(result["isError"], true);
    assert_eq!(
        result["content"],
        json!([{ "type": "text", "text": "It cannot be done." }])
    );
}

/// S-14, S-20.
#[actix_rt::test]
async fn resources_may_be_bytes_and_ids_may_stand_anywhere() {
    let app = TestApp::serving(features());
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    let read = async |uri: &str| {
        let ask = app.within(&session, "resources/read", json!({ "uri": uri }));
        ask.send().await.result()["contents"][0].clone()
    };
    assert_eq!(
        read("test://fixed").await,
        json!({ "uri": "test://fixed", "mimeType": "text/x-test", "blob": "YmxvYg==" })
    );
    assert_eq!(
        read("test://many/7/data").await,
        json!({ "uri": "test://many/7/data", "mimeType": "text/x-test", "text": "7" })
    );
}

/// B-07, B-12, D-18, PF-02.
#[actix_rt::test]
async fn a_client_is_told_what_it_would_have_to_be_able_to_do() {
    let app = TestApp::serving(features());
    let token = app.token("ann", ALL);
    let call =
        |capabilities: Value| able(app.tool(&token, "sampling", &json!({})), &capabilities).send();
    let reply = call(json!({ "elicitation": {} })).await;
    assert_eq!(reply.error(), (400, -32021));
    assert_eq!(
        reply.json()["error"]["data"],
        json!({ "requiredCapabilities": { "sampling": {} } })
    );
    let result = call(json!({ "sampling": {} })).await.result();
    assert_eq!(result["content"][0]["text"], "It can.");

    // The legacy revisions have no error for it.
    let session = app.open(&token, "2025-11-25").await;
    let ask = app.within(&session, "tools/call", json!({ "name": "sampling" }));
    let result = ask.send().await.result();
    assert_eq!(result["isError"], true);
    let ask = app.within(&session, "prompts/get", json!({ "name": "asking" }));
    assert_eq!(ask.send().await.error(), (200, -32602));
}

/// T-22, PF-05.
#[actix_rt::test]
async fn a_prompt_may_ask_before_it_is_filled_in() {
    let app = TestApp::serving(features());
    let token = app.token("ann", ALL);
    let ask = able(
        app.modern(&token, "prompts/get", json!({ "name": "asking" })),
        &json!({ "elicitation": {} }),
    );
    let asked = ask.clone().send().await.result();
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(
        asked["inputRequests"]["who"]["method"],
        "elicitation/create"
    );
    let answered = ask.edit(|body| {
        body["params"]["requestState"] = asked["requestState"].clone();
        body["params"]["inputResponses"] =
            json!({ "who": { "action": "accept", "content": { "name": "Ann" } } });
    });
    let filled_in = answered.clone().send().await.result();
    assert_eq!(
        filled_in["messages"],
        json!([{ "role": "user", "content": { "type": "text", "text": "\"Ann\"" } }])
    );
    // A state counts once, and for what it was given for.
    assert_eq!(answered.clone().send().await.error(), (200, -32602));
    let elsewhere = answered.header("mcp-method", "tools/call").edit(|body| {
        body["method"] = "tools/call".into();
    });
    assert_eq!(elsewhere.send().await.error(), (200, -32602));
}
