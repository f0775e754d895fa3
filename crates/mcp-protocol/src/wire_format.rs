//! Serialises answers for a revision. All differences in the shape of results are here.

use rmcp::model::Resource;
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    answer::{
        Answer, Completion, Content, PromptOutput, ResourceContents, ResourcePage,
        StreamedResource, ToolAnswer,
    },
    jsonrpc::{Id, around_result},
    outgoing::{ClientCapability, ServerRequest},
    result_meta::{CacheHint, ResultMeta, server_meta},
    rpc_error::{RpcError, code},
    server_info::{Capabilities, ServerInfo},
    tool_result::{known, write_tool_output},
    version::ProtocolVersion,
};

/// How much of an unknown URI is repeated, in characters.
const LONGEST_ECHO: usize = 256;

/// Serialises the answers of one server.
#[derive(Clone, Debug)]
pub struct WireFormat {
    info: ServerInfo,
    capabilities: Capabilities,
    /// The `_meta` of modern results, serialised once.
    meta: Box<RawValue>,
}

impl WireFormat {
    /// The serialiser of a server.
    #[must_use]
    pub fn new(info: ServerInfo, capabilities: Capabilities) -> Self {
        Self {
            meta: server_meta(info.implementation(ProtocolVersion::V2026_07_28)),
            info,
            capabilities,
        }
    }

    /// The description of the server.
    #[must_use]
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// The features of the server.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    pub(crate) fn result_meta(&self, version: ProtocolVersion) -> ResultMeta<'_> {
        ResultMeta::new(version, &self.meta)
    }

    /// The `result` member for an answer, as JSON.
    ///
    /// # Errors
    /// `-32600` for a streamed resource: see [`WireFormat::around_streamed`].
    pub fn result(&self, answer: &Answer, version: ProtocolVersion) -> Result<String, RpcError> {
        let mut json = Vec::with_capacity(room(answer));
        self.write_result(&mut json, answer, version)?;
        Ok(String::from_utf8(json).expect("JSON is written in UTF-8"))
    }

    /// The successful response with an answer, as JSON.
    ///
    /// # Errors
    /// See [`WireFormat::result`].
    pub fn response(
        &self,
        id: &Id,
        answer: &Answer,
        version: ProtocolVersion,
    ) -> Result<Vec<u8>, RpcError> {
        let (before, after) = around_result(id);
        let mut json = Vec::with_capacity(before.len() + room(answer) + after.len());
        json.extend_from_slice(before.as_bytes());
        self.write_result(&mut json, answer, version)?;
        json.extend_from_slice(after.as_bytes());
        Ok(json)
    }

    fn write_result(
        &self,
        json: &mut Vec<u8>,
        answer: &Answer,
        version: ProtocolVersion,
    ) -> Result<(), RpcError> {
        match answer {
            Answer::Empty if version.is_modern() => write(json, &self.result_meta(version)),
            Answer::Empty => json.extend_from_slice(b"{}"),
            Answer::Ready(result) => json.extend_from_slice(result.as_bytes()),
            Answer::InputRequired { requests, state } => {
                write(json, &self.input_required(requests, state));
            }
            Answer::Tool(ToolAnswer::Done(output)) => {
                write_tool_output(json, output, version, &self.meta)
            }
            Answer::Tool(ToolAnswer::Failed(text)) => write(
                json,
                &ToolFailure {
                    content: [TextBlock { text }],
                    is_error: true,
                    meta: self.result_meta(version),
                },
            ),
            Answer::Resources(page) => write(json, &self.resource_page(page, version)),
            Answer::Contents(contents) => write(
                json,
                &ReadResult {
                    contents: [contents],
                    // A user must see what they have just written.
                    cache: CacheHint::new(version, "private", 0),
                    meta: self.result_meta(version),
                },
            ),
            Answer::Prompt(prompt) => write(json, &self.prompt_result(prompt, version)),
            Answer::Completion(completion) => write(
                json,
                &CompletionResult {
                    completion,
                    meta: self.result_meta(version),
                },
            ),
            Answer::Streamed(_) => {
                return Err(RpcError::invalid_request(
                    "Invalid request: this resource is too long for a batch; read it by a request of its own",
                ));
            }
        }
        Ok(())
    }

    /// The text before and after a streamed resource in its `result` member. Its chunks must be escaped by
    /// [`escaped`].
    #[must_use]
    pub fn around_streamed(
        &self,
        document: &StreamedResource,
        version: ProtocolVersion,
    ) -> (String, String) {
        #[derive(Serialize)]
        struct Rest<'a> {
            #[serde(flatten)]
            cache: CacheHint,
            #[serde(flatten)]
            meta: ResultMeta<'a>,
        }
        let before = format!(
            "{{\"contents\":[{{\"uri\":{},\"mimeType\":{},\"text\":\"",
            to_json(&document.uri),
            to_json(&document.mime_type)
        );
        let rest = to_json(&Rest {
            cache: CacheHint::new(version, "private", 0),
            meta: self.result_meta(version),
        });
        // Legacy results have no further members.
        let rest = rest.trim_start_matches('{');
        let comma = if rest == "}" { "" } else { "," };
        (before, format!("\"}}]{comma}{rest}"))
    }

    /// An `InputRequiredResult` (MCP 2026-07-28).
    fn input_required(&self, requests: &[(&'static str, ServerRequest)], state: &str) -> Value {
        let requests: Map<String, Value> = requests
            .iter()
            .map(|(key, request)| {
                let message = json!({ "method": request.method, "params": request.params });
                ((*key).to_owned(), message)
            })
            .collect();
        json!({
            "resultType": "input_required",
            "inputRequests": requests,
            "requestState": state,
            "_meta": &self.meta,
        })
    }

    /// The result that ends a subscription, with its own `_meta`.
    #[must_use]
    pub fn subscription_ended(&self, meta: &Value, version: ProtocolVersion) -> String {
        let mut meta = meta.clone();
        meta["io.modelcontextprotocol/serverInfo"] = json!(self.info.implementation(version));
        to_json(&json!({ "resultType": "complete", "_meta": meta }))
    }

    fn resource_page<'a>(
        &'a self,
        page: &'a ResourcePage,
        version: ProtocolVersion,
    ) -> ResourceList<'a> {
        let resources = page
            .resources
            .iter()
            .cloned()
            .map(|mut resource| {
                resource.title = resource.title.filter(|_| version.has_titles());
                resource
            })
            .collect();
        ResourceList {
            resources,
            next_cursor: page.next_cursor.as_deref(),
            // Must not be cached: it may change at any time.
            cache: CacheHint::new(version, "private", 0),
            meta: self.result_meta(version),
        }
    }

    fn prompt_result<'a>(
        &'a self,
        prompt: &'a PromptOutput,
        version: ProtocolVersion,
    ) -> PromptResult<'a> {
        let messages = known(&prompt.messages, version).map(|message| PromptMessage {
            role: "user",
            content: message,
        });
        PromptResult {
            description: &prompt.description,
            messages: messages.collect(),
            meta: self.result_meta(version),
        }
    }
}

/// The approximate length of a result, in bytes.
fn room(answer: &Answer) -> usize {
    match answer {
        Answer::Ready(result) => result.len(),
        Answer::Tool(ToolAnswer::Done(output)) => {
            let data = output.structured.as_ref();
            let data = data.map_or(0, |data| data.json().len() + data.within_string().len());
            data + 160 * output.content.len() + 300
        }
        _ => 300,
    }
}

/// A text, escaped for a JSON string, without quotes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut quoted = to_json(&text);
    quoted.pop();
    quoted.remove(0);
    quoted
}

/// The error for a resource that does not exist or belongs to another user (MCP, Resources, Error Handling).
#[must_use]
pub fn resource_not_found(uri: &str, version: ProtocolVersion) -> RpcError {
    let code = if version.is_modern() {
        code::INVALID_PARAMS
    } else {
        code::RESOURCE_NOT_FOUND
    };
    let uri: String = uri.chars().take(LONGEST_ECHO).collect();
    RpcError::new(code, "Resource not found").with_data(json!({ "uri": uri }))
}

/// The answer of a tool to a client that lacks a capability. The legacy revisions have no error for it, so it
/// is a sentence for the model.
///
/// # Errors
/// `-32021` in MCP 2026-07-28.
pub fn unsupported_by_tool(
    capability: ClientCapability,
    version: ProtocolVersion,
) -> Result<Answer, RpcError> {
    if version.is_modern() {
        Err(RpcError::missing_capabilities(&capability.capabilities()))
    } else {
        Ok(Answer::Tool(ToolAnswer::Failed(unsupported(capability))))
    }
}

/// The answer of a prompt to a client that lacks a capability.
///
/// # Errors
/// Always: `-32021` in MCP 2026-07-28, `-32602` in the legacy revisions.
pub fn unsupported_by_prompt(
    capability: ClientCapability,
    version: ProtocolVersion,
) -> Result<Answer, RpcError> {
    Err(if version.is_modern() {
        RpcError::missing_capabilities(&capability.capabilities())
    } else {
        RpcError::invalid_params(unsupported(capability))
    })
}

fn unsupported(capability: ClientCapability) -> String {
    format!(
        "This needs a client with the capabilities {}.",
        capability.capabilities()
    )
}

/// A `CallToolResult` with `isError`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolFailure<'a> {
    content: [TextBlock<'a>; 1],
    is_error: bool,
    #[serde(flatten)]
    meta: ResultMeta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "text")]
struct TextBlock<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceList<'a> {
    resources: Vec<Resource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<&'a str>,
    #[serde(flatten)]
    cache: CacheHint,
    #[serde(flatten)]
    meta: ResultMeta<'a>,
}

#[derive(Serialize)]
struct ReadResult<'a> {
    contents: [&'a ResourceContents; 1],
    #[serde(flatten)]
    cache: CacheHint,
    #[serde(flatten)]
    meta: ResultMeta<'a>,
}

#[derive(Serialize)]
struct PromptResult<'a> {
    description: &'a str,
    messages: Vec<PromptMessage<'a>>,
    #[serde(flatten)]
    meta: ResultMeta<'a>,
}

#[derive(Serialize)]
struct PromptMessage<'a> {
    role: &'static str,
    content: &'a Content,
}

#[derive(Serialize)]
struct CompletionResult<'a> {
    completion: &'a Completion,
    #[serde(flatten)]
    meta: ResultMeta<'a>,
}

fn write(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value)
        .expect("results are made of strings, numbers and JSON values");
}

pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("results are made of strings, numbers and JSON values")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        answer::{LazyText, ResourceLink, ToolOutput},
        json::dual::DualJson,
    };

    proptest! {
        #[test]
        fn what_is_written_by_hand_is_what_serde_writes(words in any::<String>(), name in any::<String>(), number in any::<i64>()) {
            let data = json!({ "name": name, "n": [1, null] });
            let link = ResourceLink {
                uri: LazyText::Numbered { before: "files://reports/", number, after: "/tags" },
                name: name.into(),
                description: "A report",
                mime_type: "application/json",
            };
            let output = ToolOutput {
                content: vec![Content::text(words), link.into()],
                structured: Some(DualJson::of(&data).unwrap()),
            };
            let mut content = json!(output.content);
            let text = json!({ "type": "text", "text": data.to_string() });
            content.as_array_mut().unwrap().push(text);
            let answer = Answer::Tool(ToolAnswer::Done(output));
            let wire = WireFormat::new(ServerInfo::new("files", "1.0.0"), Capabilities::default());
            let modern = wire.result(&answer, ProtocolVersion::V2026_07_28).unwrap();
            let modern: Value = serde_json::from_str(&modern).unwrap();
            prop_assert_eq!(&modern["content"], &content);
            prop_assert_eq!(&modern["structuredContent"], &data);
            prop_assert_eq!(&modern["resultType"], "complete");
            prop_assert_eq!(&modern["_meta"], &json!(&wire.meta));
            let legacy = wire.result(&answer, ProtocolVersion::V2025_11_25).unwrap();
            let legacy: Value = serde_json::from_str(&legacy).unwrap();
            prop_assert_eq!(legacy, json!({ "content": content, "structuredContent": data }));
            // The oldest revision knows neither links nor data.
            let oldest = wire.result(&answer, ProtocolVersion::V2025_03_26).unwrap();
            let oldest: Value = serde_json::from_str(&oldest).unwrap();
            content.as_array_mut().unwrap().remove(1);
            prop_assert_eq!(oldest, json!({ "content": content }));
        }
    }
}
