//! Who the token speaks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::scope::{Scope, ScopeSet},
    features::{
        tool::{Context, Done, Effect, Tool, ToolError},
        views::UserView,
    },
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
    scopes: Vec<&'static str>,
}

impl Tool for WhoAmI {
    const NAME: &'static str = "whoami";
    const TITLE: &'static str = "Who Am I";
    const DESCRIPTION: &'static str =
        "Tell which user this connection speaks for, and what it is allowed to do.";
    const SCOPES: ScopeSet = ScopeSet::of(&[Scope::UserRead]);
    const EFFECT: Effect = Effect::Reads;

    type Arguments = WhoAmIArguments;
    type Output = WhoAmIOutput;

    async fn call(
        context: Context,
        WhoAmIArguments {}: WhoAmIArguments,
    ) -> Result<Done<WhoAmIOutput>, ToolError> {
        let principal = &context.principal;
        let name = principal.username.as_ref().unwrap_or(&principal.subject);
        Ok(Done {
            summary: format!("Signed in as {name}."),
            about: Vec::new(),
            output: WhoAmIOutput {
                user: UserView::from(&**principal),
                client_id: principal.client.clone(),
                scopes: principal.scopes.iter().map(Scope::as_str).collect(),
            },
        })
    }
}
