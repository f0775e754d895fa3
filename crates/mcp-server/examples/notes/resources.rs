//! The resources: each note at a URI of its own.

use std::sync::Arc;

use mcp_server::{Contents, Listed, ReadContext, ResourceTemplate, ToolError};

use crate::store::{Store, URI};

pub(crate) struct Note(pub(crate) Arc<Store>);

impl ResourceTemplate for Note {
    const URI_TEMPLATE: &str = URI;
    const NAME: &str = "note";
    const DESCRIPTION: &str = "A note of the user.";
    const SCOPES: &[&str] = &["notes:read"];
    const MIME_TYPE: Option<&str> = Some("text/plain");
    const LISTED: bool = true;
    type Id = i64;

    async fn read(&self, context: ReadContext, id: i64) -> Result<Contents, ToolError> {
        let text = self.0.read(context.principal().user, id);
        // A note of somebody else is answered as one that is not there.
        text.map(Contents::text)
            .ok_or_else(|| ToolError::not_found(format!("There is no note {id}.")))
    }

    async fn list(
        &self,
        context: ReadContext,
        cursor: Option<String>,
    ) -> Result<Listed<i64>, ToolError> {
        if cursor.is_some() {
            return Err(ToolError::refused("There is one page only."));
        }
        let notes = self.0.all(context.principal().user).into_keys();
        Ok(Listed {
            resources: notes.map(|id| (id, format!("Note {id}"))).collect(),
            next_cursor: None,
        })
    }
}
