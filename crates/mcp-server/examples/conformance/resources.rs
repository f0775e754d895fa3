//! The resources that the suite reads.

use mcp_server::features::resource::{Contents, DeclaredResource, DeclaredTemplate};
use rmcp::model::{Resource, ResourceTemplate};
use serde_json::json;

use crate::tools::PIXEL;

pub(crate) fn all() -> Vec<DeclaredResource> {
    vec![
        fixed("static-text", "text/plain", || {
            Contents::text("What a text resource says.")
        }),
        fixed("static-binary", "image/png", || Contents::bytes(PIXEL)),
        fixed("watched-resource", "text/plain", || {
            Contents::text("What a watched resource says.")
        }),
    ]
}

pub(crate) fn templates() -> Vec<DeclaredTemplate> {
    let descriptor = ResourceTemplate::new("test://template/{id}/data", "template-data")
        .with_description("Says which one it is.")
        .with_mime_type("application/json");
    vec![DeclaredTemplate::raw(descriptor, &[], |_, id| async move {
        Contents::json(&json!({ "id": id.to_string() }))
    })]
}

fn fixed(name: &'static str, mime_type: &'static str, read: fn() -> Contents) -> DeclaredResource {
    let descriptor = Resource::new(format!("test://{name}"), name).with_mime_type(mime_type);
    DeclaredResource::raw(descriptor, &[], move |_| async move { Ok(read()) })
}
