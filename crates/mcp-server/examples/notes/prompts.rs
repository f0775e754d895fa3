//! The prompt: what the user kept about something.

use std::sync::Arc;

use mcp_server::{Argument, Content, Prompt, ReadContext, ToolError};
use serde::Deserialize;

use crate::store::Store;

#[derive(Deserialize)]
pub(crate) struct Topic {
    topic: String,
}

pub(crate) struct Recall(pub(crate) Arc<Store>);

impl Prompt for Recall {
    const NAME: &str = "recall";
    const DESCRIPTION: &str = "Sums up the notes about a topic.";
    const SCOPES: &[&str] = &["notes:read"];
    const ARGUMENTS: &[Argument] = &[Argument {
        name: "topic",
        title: "Topic",
        description: "What the notes are about.",
        required: true,
    }];
    type Arguments = Topic;

    async fn get(&self, context: ReadContext, about: Topic) -> Result<Vec<Content>, ToolError> {
        let topic = about.topic;
        let notes = self.0.all(context.principal().user).into_values();
        let found = notes.filter(|text| text.contains(&topic));
        let instruction = Content::text(format!("Sum up my notes about {topic}."));
        Ok([instruction]
            .into_iter()
            .chain(found.map(Content::text))
            .collect())
    }
}
