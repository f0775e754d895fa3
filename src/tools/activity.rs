//! Which clients used the user's journal, and for what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lists::{found, page_request};
use crate::{
    arguments::pages::{After, Limit},
    domain::{
        activity::{Activity, ConnectedClient},
        page::{Cursor, TimeCursor},
    },
    journal::{self, JournalHandle},
    scopes,
};
use mcp_server::features::{
    arguments::Text,
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};
use resource_server::clock::Timestamp;

/// `list_connected_clients`
pub(super) struct ListConnectedClients {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListConnectedClientsArguments {}

#[derive(Serialize, JsonSchema)]
pub(super) struct ListConnectedClientsOutput {
    /// The clients, the one that was seen last first; 200 at most.
    clients: Vec<ConnectedClientView>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectedClientView {
    /// The client's id at the authorization server; null where that names none, and "…" for the
    /// clients beyond 200 within an hour.
    client_id: Option<String>,
    first_seen_at: Timestamp,
    last_seen_at: Timestamp,
    /// How many calls there were, in all.
    calls: i64,
    /// How many of them wrote.
    writes: i64,
    /// How many of them were refused because the token did not reach so far.
    refusals: i64,
}

impl Tool for ListConnectedClients {
    const NAME: &'static str = "list_connected_clients";
    const TITLE: &'static str = "List Connected Clients";
    const DESCRIPTION: &'static str = "List the clients that used this user's journal, and how often they called, wrote and were refused; kept for 90 days.";
    const SCOPES: &'static [&'static str] = &[scopes::USER_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = ListConnectedClientsArguments;
    type Output = ListConnectedClientsOutput;

    async fn call(
        &self,
        context: Context,
        ListConnectedClientsArguments {}: ListConnectedClientsArguments,
    ) -> Result<ToolResult<ListConnectedClientsOutput>, ToolError> {
        let user = context.principal().user;
        self.journal.flush_activity_of(user).await;
        let clients = self.journal.ask(journal::ListClients { user }).await?;
        Ok(ToolResult {
            text: found(clients.len(), "client", "clients", false),
            content: Vec::new(),
            structured: ListConnectedClientsOutput {
                clients: clients.into_iter().map(ConnectedClientView::from).collect(),
            },
        })
    }
}

/// `list_activity`
pub(super) struct ListActivity {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListActivityArguments {
    /// Only what this client did, by its id at the authorization server.
    client_id: Option<Text<1, 1024>>,
    /// How many lines; 50 unless said otherwise.
    limit: Option<Limit>,
    /// The `nextCursor` of an earlier page, to go on from there with the same filter.
    cursor: Option<After<TimeCursor>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListActivityOutput {
    activity: Vec<ActivityView>,
    /// Where the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ActivityView {
    /// The client's id at the authorization server; null where that names none, and "…" for the
    /// clients beyond 200 within an hour.
    client_id: Option<String>,
    /// What was used: a tool, prompt, resource, completion or list.
    kind: &'static str,
    /// Its name, or the URI or template of a resource.
    feature: String,
    /// What the calls came to: done; asked, if the user had to answer something first;
    /// declined, if the answer was no; failed;
    /// refused, because the token did not reach so far; cancelled, if the client left before the
    /// answer.
    outcome: &'static str,
    /// How many such calls there were within the hour, or the day if that was more than a week ago.
    count: i64,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Tool for ListActivity {
    const NAME: &'static str = "list_activity";
    const TITLE: &'static str = "List Activity";
    const DESCRIPTION: &'static str = "List what clients did in this user's journal, counted by the hour, and by the day after a week, newest first, page by page; by client if wanted; kept for 90 days.";
    const SCOPES: &'static [&'static str] = &[scopes::USER_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = ListActivityArguments;
    type Output = ListActivityOutput;

    async fn call(
        &self,
        context: Context,
        arguments: ListActivityArguments,
    ) -> Result<ToolResult<ListActivityOutput>, ToolError> {
        let user = context.principal().user;
        self.journal.flush_activity_of(user).await;
        let page = self
            .journal
            .ask(journal::ListActivity {
                user,
                client: arguments.client_id.map(String::from),
                page: page_request(arguments.limit, arguments.cursor),
            })
            .await?;
        Ok(ToolResult {
            text: found(page.items.len(), "line", "lines", page.next.is_some()),
            content: Vec::new(),
            structured: ListActivityOutput {
                next_cursor: page.next.map(|cursor| cursor.encode()),
                activity: page.items.into_iter().map(ActivityView::from).collect(),
            },
        })
    }
}

impl From<ConnectedClient> for ConnectedClientView {
    fn from(client: ConnectedClient) -> Self {
        Self {
            client_id: client.client,
            first_seen_at: client.calls.first_at,
            last_seen_at: client.calls.last_at,
            calls: client.calls.count,
            writes: client.writes,
            refusals: client.refusals,
        }
    }
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        Self {
            client_id: activity.client,
            kind: activity.kind.as_str(),
            feature: activity.feature,
            outcome: activity.outcome.as_str(),
            count: activity.tally.count,
            first_at: activity.tally.first_at,
            last_at: activity.tally.last_at,
        }
    }
}
