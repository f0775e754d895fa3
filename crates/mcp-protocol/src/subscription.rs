//! `subscriptions/listen` (MCP 2026-07-28, Subscriptions).

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    envelope::Params, json::object::is_object, jsonrpc::Id, outgoing::notification,
    rpc_error::RpcError,
};

/// The `_meta` member that identifies the subscription: the id of its request, with the same JSON type.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The notifications that a client asks for. Notifications that the server never sends are ignored.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Changes of the list of resources.
    #[serde(default)]
    pub resources_list_changed: bool,
    /// Changes of the resources with these URIs.
    #[serde(default)]
    pub resource_subscriptions: Vec<String>,
}

impl Filter {
    /// Reads the filter.
    ///
    /// # Errors
    /// `-32602` if it is missing or malformed.
    pub fn read(params: &Params<'_>) -> Result<Self, RpcError> {
        params
            .notifications
            .filter(|filter| is_object(filter))
            .and_then(|filter| serde_json::from_str(filter.get()).ok())
            .ok_or_else(|| {
                RpcError::invalid_params(
                    "Invalid params: notifications must be an object: resourcesListChanged a boolean, resourceSubscriptions an array of URIs",
                )
            })
    }
}

/// The `_meta` of every message of a subscription.
#[must_use]
pub fn meta(id: &Id) -> Value {
    json!({ SUBSCRIPTION_ID: id })
}

/// The first message of a subscription, with the accepted part of the filter.
#[must_use]
pub fn acknowledged(meta: &Value, honoured: &Filter) -> String {
    let mut notifications = json!({});
    if honoured.resources_list_changed {
        notifications["resourcesListChanged"] = true.into();
    }
    if !honoured.resource_subscriptions.is_empty() {
        notifications["resourceSubscriptions"] = json!(honoured.resource_subscriptions);
    }
    notification(
        "notifications/subscriptions/acknowledged",
        &json!({ "_meta": meta, "notifications": notifications }),
    )
}
