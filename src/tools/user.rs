//! The user behind the token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{scopes, views::UserView};
use mcp_server::features::{
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};

/// `whoami`
pub(super) struct WhoAmI;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoAmIArguments {}

#[derive(Serialize, JsonSchema)]
pub(super) struct WhoAmIOutput {
    user: UserView,
    /// The client that acts for the user, where the authorization server names it.
    #[serde(rename = "clientId")]
    client_id: Option<String>,
    /// What the token allows, of the scopes that this server knows.
    scopes: Vec<String>,
}

impl Tool for WhoAmI {
    const NAME: &'static str = "whoami";
    const TITLE: &'static str = "Who Am I";
    const DESCRIPTION: &'static str =
        "Tell which user this connection speaks for, and what it is allowed to do.";
    const SCOPES: &'static [&'static str] = &[scopes::USER_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = WhoAmIArguments;
    type Output = WhoAmIOutput;

    async fn call(
        &self,
        context: Context,
        WhoAmIArguments {}: WhoAmIArguments,
    ) -> Result<ToolResult<WhoAmIOutput>, ToolError> {
        let principal = context.principal();
        let name = principal.username.as_ref().unwrap_or(&principal.subject);
        Ok(ToolResult {
            text: format!("Signed in as {name}."),
            content: Vec::new(),
            structured: WhoAmIOutput {
                user: UserView::from(&**principal),
                client_id: principal.client.clone(),
                scopes: context.reads().scopes().map(str::to_owned).collect(),
            },
        })
    }
}
