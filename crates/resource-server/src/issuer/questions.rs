//! Questions that no request has caused: the first ones at the start, and those of an examination. They decide nothing
//! about the circuit.

use actix_web::http::header::HeaderMap;
use tokio::time::timeout;

use super::{
    client::{IssuerClient, unanswered_in},
    http_client::invalid_response,
    outcome::CallError,
};
use crate::{
    auth::error::AuthError, request_id::RequestId, trace_context::Trace,
    validation::IntrospectionReply,
};

impl IssuerClient {
    /// Asks what the settings need and was not answered yet since the start: about a random string, which is not an
    /// active token, and for the keys.
    ///
    /// # Errors
    /// That of the first question without a usable answer.
    pub(crate) async fn ask_first(&self) -> Result<(), AuthError> {
        let first = &self.state.first_answer;
        first.asking();
        if first.lacks_introspection() {
            let outcome = self.introspect_random().await;
            // Some servers answer 400 for a token that they do not know. That is no fault of the settings.
            if first.lacks_introspection() {
                return Err(match outcome {
                    Ok(_) => invalid_response("no introspection reply"),
                    Err(failed) => failed.error,
                });
            }
        }
        if first.lacks_keys() {
            self.keys().await?;
        }
        Ok(())
    }

    /// Introspects a random string that looks like a token of the issuer.
    pub(crate) async fn introspect_random(&self) -> Result<IntrospectionReply, CallError> {
        let prefix = self.state.settings.token_prefixes.first();
        let prefix = prefix.map_or("", String::as_str);
        let nobodys = format!("{prefix}{}", RequestId::random());
        self.introspect_within_limit(&nobodys).await
    }

    /// Introspects once, whatever the circuit says, and records nothing about it.
    pub(crate) async fn introspect_within_limit(
        &self,
        token: &str,
    ) -> Result<IntrospectionReply, CallError> {
        let limit = self.state.settings.timeout;
        let context = Trace::begin(&HeaderMap::new()).into();
        timeout(limit, self.introspect_once(token, None, &context))
            .await
            .unwrap_or_else(|_| Err(unanswered_in(limit)))
    }
}
