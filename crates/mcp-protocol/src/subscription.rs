//! `subscriptions/listen`: what a modern client asks to be told of, and how it is told (P-12 to P-15).

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    envelope::Params,
    json::object::is_object,
    jsonrpc::{Id, RpcError},
    outgoing::notification,
};

/// The member of `_meta` that names the subscription: the id of the request that opened it, of the
/// same JSON type.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What the client asks to be told of. Lists that never change here are left out of what is
/// honoured, and of this.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// That other resources are on the list.
    #[serde(default)]
    pub resources_list_changed: bool,
    /// That one of these reads differently.
    #[serde(default)]
    pub resource_subscriptions: Vec<String>,
}

impl Filter {
    /// Reads the filter.
    ///
    /// # Errors
    /// `-32602` if it is missing or not of its form.
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

/// What stands in the `_meta` of every message of a subscription.
#[must_use]
pub fn meta(id: &Id) -> Value {
    json!({ SUBSCRIPTION_ID: id })
}

/// The first message of a subscription: what of the filter is honoured.
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
