//! Serialisation of tool results, written by hand because they are long and frequent (docs/PERFORMANCE_LOG.md).

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    answer::{Content, LazyText, ToolOutput},
    json::dual::is_plain,
    version::ProtocolVersion,
};

/// Writes a `CallToolResult`. Constant text is not checked for characters that need escaping.
pub(crate) fn write_tool_output(
    json: &mut Vec<u8>,
    output: &ToolOutput,
    version: ProtocolVersion,
    meta: &RawValue,
) {
    let data = output.structured.as_ref();
    json.extend_from_slice(b"{\"content\":[");
    let mut is_first = true;
    let mut comma = |json: &mut Vec<u8>| {
        if !std::mem::take(&mut is_first) {
            json.push(b',');
        }
    };
    for block in known(&output.content, version) {
        comma(json);
        write_block(json, block);
    }
    if let Some(data) = data {
        // For clients that do not read structured content (MCP, Tools, Structured Content).
        comma(json);
        json.extend_from_slice(b"{\"type\":\"text\",\"text\":\"");
        json.extend_from_slice(data.within_string());
        json.extend_from_slice(b"\"}");
    }
    json.push(b']');
    if let Some(data) = data.filter(|_| version.has_structured_content()) {
        json.extend_from_slice(b",\"structuredContent\":");
        json.extend_from_slice(data.json());
    }
    if version.is_modern() {
        json.extend_from_slice(b",\"resultType\":\"complete\",\"_meta\":");
        json.extend_from_slice(meta.get().as_bytes());
    }
    json.push(b'}');
}

fn write_block(json: &mut Vec<u8>, block: &Content) {
    let link = match block {
        Content::ResourceLink(link) => link,
        Content::Text { text } => {
            json.extend_from_slice(b"{\"type\":\"text\",\"text\":");
            write(json, text);
            json.push(b'}');
            return;
        }
        Content::Image(_) | Content::Audio(_) | Content::Resource { .. } => {
            write(json, block);
            return;
        }
    };
    json.extend_from_slice(b"{\"type\":\"resource_link\",\"uri\":");
    write_lazy_text(json, &link.uri);
    json.extend_from_slice(b",\"name\":");
    write_lazy_text(json, &link.name);
    json.extend_from_slice(b",\"description\":");
    write(json, &link.description);
    json.extend_from_slice(b",\"mimeType\":");
    write(json, &link.mime_type);
    json.push(b'}');
}

fn write_lazy_text(json: &mut Vec<u8>, text: &LazyText) {
    match text {
        LazyText::Text(text) => write(json, text),
        LazyText::Numbered {
            before,
            number,
            after,
        } => {
            debug_assert!(is_plain(before) && is_plain(after), "{text}");
            json.push(b'"');
            json.extend_from_slice(before.as_bytes());
            json.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            json.extend_from_slice(after.as_bytes());
            json.push(b'"');
        }
    }
}

/// The blocks that a revision has.
pub(crate) fn known(
    blocks: &[Content],
    version: ProtocolVersion,
) -> impl Iterator<Item = &Content> {
    blocks.iter().filter(move |block| {
        version.has_structured_content() || !matches!(block, Content::ResourceLink(_))
    })
}

fn write(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value).expect("texts and JSON values can be written to memory");
}
