//! The user behind the token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    journal::{GetUsage, JournalHandle},
    scopes,
    views::UserView,
};
use mcp_server::features::{
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};

/// `whoami`
pub(super) struct WhoAmI {
    pub(super) journal: JournalHandle,
}

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
    /// What the token does not allow, until the user signs in again and allows it.
    #[serde(rename = "missingScopes")]
    missing_scopes: Vec<MissingScopeView>,
    /// What the user has stored, and how much that may be; null if it cannot be told at the moment.
    storage: Option<StorageView>,
}

#[derive(Serialize, JsonSchema)]
struct MissingScopeView {
    scope: String,
    /// What it would allow.
    allows: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StorageView {
    /// How many entries there are.
    entries: i64,
    /// How many there may be; null if there is no limit.
    most_entries: Option<u64>,
    /// How long the texts of the entries are, in bytes of UTF-8. Tags and exports do not count.
    bytes: i64,
    /// How long they may be together; null if there is no limit.
    most_bytes: Option<u64>,
}

impl Tool for WhoAmI {
    const NAME: &'static str = "whoami";
    const TITLE: &'static str = "Who Am I";
    const DESCRIPTION: &'static str = "Tell which user this connection speaks for, what it is allowed to do, and how much of the user's storage is used.";
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
        let user = principal.user;
        // Who is signed in can be told without the database.
        let usage = self.journal.ask(GetUsage { user }).await.ok();
        let limit = |limit: u64| Some(limit).filter(|limit| *limit > 0);
        let quota = self.journal.quota();
        let storage = usage.map(|usage| StorageView {
            entries: usage.entries,
            most_entries: limit(quota.entries),
            bytes: usage.bytes,
            most_bytes: limit(quota.bytes),
        });
        let name = principal.username.as_ref().unwrap_or(&principal.subject);
        let missing_scopes: Vec<_> = context
            .reads()
            .lacking_scopes()
            .map(|scope| MissingScopeView {
                scope: scope.name.clone(),
                allows: scope.description.clone(),
            })
            .collect();
        let mut text = format!("Signed in as {name}.");
        if !missing_scopes.is_empty() {
            let names = missing_scopes.iter().map(|missing| missing.scope.as_str());
            let names = Vec::from_iter(names).join(", ");
            text += &format!(
                " The token lacks {names}: the user would have to sign in again and allow it."
            );
        }
        Ok(ToolResult {
            text,
            content: Vec::new(),
            structured: WhoAmIOutput {
                user: UserView::from(&**principal),
                client_id: principal.client.clone(),
                scopes: context.reads().scopes().map(str::to_owned).collect(),
                missing_scopes,
                storage,
            },
        })
    }
}
