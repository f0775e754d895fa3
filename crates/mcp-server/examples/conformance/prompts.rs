//! The prompts that the suite gets.

use std::{collections::BTreeMap, future::Future};

use mcp_protocol::answer::{Content, Media, PromptOutput};
use mcp_server::features::{context::Context, prompt::DeclaredPrompt, tool_error::ToolError};
use rmcp::model::{Prompt, PromptArgument};

use crate::tools::{PIXEL, embedded, form};

type Arguments = BTreeMap<String, String>;

pub(crate) fn all() -> Vec<DeclaredPrompt> {
    vec![
        prompt("test_simple_prompt", &[], |_, _| async {
            Ok(vec![Content::text("A prompt without arguments.")])
        }),
        prompt(
            "test_prompt_with_arguments",
            &["arg1", "arg2"],
            |_, arguments| async move {
                let value = |name| arguments.get(name).map(String::as_str).unwrap_or_default();
                Ok(vec![Content::text(format!(
                    "A prompt with arg1 = '{}' and arg2 = '{}'.",
                    value("arg1"),
                    value("arg2")
                ))])
            },
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            &["resourceUri"],
            |_, arguments| async move {
                let uri = arguments
                    .get("resourceUri")
                    .cloned()
                    .ok_or_else(|| ToolError::Refused("`resourceUri` is missing".to_owned()))?;
                Ok(vec![
                    embedded(uri),
                    Content::text("A prompt with a resource."),
                ])
            },
        ),
        prompt("test_prompt_with_image", &[], |_, _| async {
            Ok(vec![
                Content::Image(Media {
                    data: PIXEL.into(),
                    mime_type: "image/png".into(),
                }),
                Content::text("A prompt with a picture."),
            ])
        }),
        prompt(
            "test_input_required_result_prompt",
            &[],
            |context, _| async move {
                let question = form("What is the prompt about?", "context");
                let [answer] = context
                    .conversation()
                    .ask([("user_context", question)], "")
                    .await?;
                let about = answer.unwrap_or_default();
                Ok(vec![Content::text(format!("A prompt about {about}."))])
            },
        ),
    ]
}

fn prompt<F>(
    name: &'static str,
    arguments: &[&str],
    get: impl Fn(Context, Arguments) -> F + Send + Sync + 'static,
) -> DeclaredPrompt
where
    F: Future<Output = Result<Vec<Content>, ToolError>> + 'static,
{
    let arguments = arguments
        .iter()
        .map(|name| PromptArgument::new(*name).with_required(true))
        .collect();
    let descriptor = Prompt::new(name, Some(name), Some(arguments));
    DeclaredPrompt::raw(descriptor, &[], move |context, arguments| {
        let messages = get(context, arguments);
        async move {
            Ok(PromptOutput {
                description: name.into(),
                messages: messages.await?,
            })
        }
    })
}
