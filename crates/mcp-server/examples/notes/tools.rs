//! The tools: to write a note, and to delete one after the user has confirmed it.

use std::sync::Arc;

use mcp_server::{Context, Effect, Tool, ToolError, ToolResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::Store;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewNote {
    text: String,
}

/// A note, by its id.
#[derive(Deserialize, Serialize, JsonSchema)]
pub(crate) struct NoteId {
    id: i64,
}

pub(crate) struct WriteNote(pub(crate) Arc<Store>);

impl Tool for WriteNote {
    const NAME: &str = "write_note";
    const DESCRIPTION: &str = "Keeps a note for the user.";
    const SCOPES: &[&str] = &["notes:write"];
    const EFFECT: Effect = Effect::Additive;
    type Arguments = NewNote;
    type Output = NoteId;

    async fn call(&self, context: Context, note: NewNote) -> Result<ToolResult<NoteId>, ToolError> {
        let id = self.0.write(context.principal().user, note.text);
        Ok(ToolResult::new(NoteId { id }).text(format!("Kept as note {id}.")))
    }
}

pub(crate) struct DeleteNote(pub(crate) Arc<Store>);

impl Tool for DeleteNote {
    const NAME: &str = "delete_note";
    const DESCRIPTION: &str = "Deletes a note of the user.";
    const SCOPES: &[&str] = &["notes:read", "notes:write"];
    type Arguments = NoteId;
    type Output = NoteId;

    async fn call(&self, context: Context, note: NoteId) -> Result<ToolResult<NoteId>, ToolError> {
        let (user, id) = (context.principal().user, note.id);
        let no_note = || ToolError::not_found(format!("There is no note {id}."));
        let text = self.0.read(user, id).ok_or_else(no_note)?;
        let question = format!("Delete the note \"{text}\"?");
        let answer = context.conversation().confirm(&question, "Delete it");
        if let Some(reason) = answer.await?.forbids() {
            return Err(ToolError::refused(format!("Not deleted: {reason}.")));
        }
        self.0.delete(user, id).ok_or_else(no_note)?;
        Ok(ToolResult::new(note).text(format!("Note {id} is deleted.")))
    }
}
