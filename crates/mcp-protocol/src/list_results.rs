//! Results that depend only on the declarations: `server/discover`, `initialize` and the lists.

use rmcp::model::{Prompt, ResourceTemplate, Tool};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    result_meta::{CacheHint, ResultMeta},
    version::ProtocolVersion,
    wire_format::{WireFormat, to_json},
};

/// How long a client may cache a list or the result of `server/discover`, in milliseconds.
const LIST_TTL_MS: u64 = 300_000;

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    body: Value,
    #[serde(flatten)]
    cache: CacheHint,
    #[serde(flatten)]
    meta: ResultMeta<'a>,
}

impl WireFormat {
    /// The result of `server/discover`. A note follows the instructions; a result with a note depends on the token.
    #[must_use]
    pub fn discover(&self, note: Option<&str>) -> String {
        let version = ProtocolVersion::V2026_07_28;
        let mut body = json!({
            "supportedVersions": ProtocolVersion::ALL.map(ProtocolVersion::as_str),
            // No `listChanged` for tools and prompts: the lists of one token never change.
            "capabilities": self.capabilities().claimed(&json!({}), version),
        });
        if let Some(instructions) = self.instructions(note) {
            body["instructions"] = json!(instructions);
        }
        // Private also without a note, for a shared cache would give it to those who need one.
        let ttl_ms = if note.is_none() { LIST_TTL_MS } else { 0 };
        to_json(&Listed {
            meta: self.result_meta(version),
            cache: CacheHint::new(version, "private", ttl_ms),
            body,
        })
    }

    fn instructions(&self, note: Option<&str>) -> Option<String> {
        let parts = [self.info().instructions.as_deref(), note];
        let parts = Vec::from_iter(parts.into_iter().flatten());
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// The result of `initialize`. A note follows the instructions.
    #[must_use]
    pub fn initialized(&self, version: ProtocolVersion, note: Option<&str>) -> String {
        // A session may go on with another token of the same owner, which may see other lists.
        let lists = json!({ "listChanged": true });
        let mut result = json!({
            "protocolVersion": version.as_str(),
            "capabilities": self.capabilities().claimed(&lists, version),
            "serverInfo": self.info().implementation(version),
        });
        if let Some(instructions) = self.instructions(note) {
            result["instructions"] = json!(instructions);
        }
        to_json(&result)
    }

    /// The result of `tools/list`. It depends on the token, so its cache scope is private. `is_complete` says
    /// that the token sees every tool.
    #[must_use]
    pub fn tool_list<'a>(
        &self,
        tools: impl Iterator<Item = &'a Tool>,
        is_complete: bool,
        version: ProtocolVersion,
    ) -> String {
        let tools: Vec<Tool> = tools
            .cloned()
            .map(|mut tool| {
                tool.title = tool.title.filter(|_| version.has_titles());
                tool.output_schema = tool
                    .output_schema
                    .filter(|_| version.has_structured_content());
                tool
            })
            .collect();
        self.listed(json!({ "tools": tools }), is_complete, version)
    }

    /// The result of `resources/templates/list`; see [`WireFormat::tool_list`].
    #[must_use]
    pub fn template_list<'a>(
        &self,
        templates: impl Iterator<Item = &'a ResourceTemplate>,
        is_complete: bool,
        version: ProtocolVersion,
    ) -> String {
        let templates: Vec<ResourceTemplate> = templates
            .cloned()
            .map(|mut template| {
                template.title = template.title.filter(|_| version.has_titles());
                template
            })
            .collect();
        self.listed(
            json!({ "resourceTemplates": templates }),
            is_complete,
            version,
        )
    }

    /// The result of `prompts/list`; see [`WireFormat::tool_list`].
    #[must_use]
    pub fn prompt_list<'a>(
        &self,
        prompts: impl Iterator<Item = &'a Prompt>,
        is_complete: bool,
        version: ProtocolVersion,
    ) -> String {
        let prompts: Vec<Prompt> = prompts
            .cloned()
            .map(|mut prompt| {
                if !version.has_titles() {
                    prompt.title = None;
                    for argument in prompt.arguments.iter_mut().flatten() {
                        argument.title = None;
                    }
                }
                prompt
            })
            .collect();
        self.listed(json!({ "prompts": prompts }), is_complete, version)
    }

    fn listed(&self, body: Value, is_complete: bool, version: ProtocolVersion) -> String {
        // Clients cache a private list per user, not per token. After a step-up, a cached list would lack
        // the tools for which it was done, so an incomplete list must not be cached.
        let ttl_ms = if is_complete { LIST_TTL_MS } else { 0 };
        to_json(&Listed {
            meta: self.result_meta(version),
            cache: CacheHint::new(version, "private", ttl_ms),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_info::{Capabilities, ServerInfo};

    #[test]
    fn a_list_that_a_step_up_would_lengthen_is_not_to_be_kept() {
        let wire = WireFormat::new(ServerInfo::new("files", "1.0.0"), Capabilities::default());
        let kept = |is_complete| {
            let list = wire.tool_list([].into_iter(), is_complete, ProtocolVersion::V2026_07_28);
            let list: Value = serde_json::from_str(&list).unwrap();
            list["ttlMs"].as_u64().unwrap()
        };
        assert_eq!((kept(true), kept(false)), (LIST_TTL_MS, 0));
    }
}
