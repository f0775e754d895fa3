//! A request of MCP 2026-07-28, without a session.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix_web::HttpResponse;

use super::{
    call_stream::{self, CallOutcome},
    open_stream,
    reply::respond,
    stream_authorization::StreamAuthorization,
};
use crate::http::{
    auth::authenticate::Caller, edge::error::HttpError, ops::scrape::counted, state::AppState,
};
use crate::{
    dispatch::{Call, Dispatched, Failure},
    features::{
        subscriptions::{NotSubscribable, Subscriptions},
        target::Target,
    },
    metrics::StreamKind,
    session::response_message,
};
use mcp_protocol::{
    envelope::Params,
    era::{self, Admitted},
    headers::Headers,
    jsonrpc::{self, Id, Request},
    method::Method,
    rpc_error::RpcError,
    status,
    subscription::{self, Filter},
};

pub(crate) async fn answer(
    message: &Request<'_>,
    params: Params<'_>,
    target: Option<Result<Target, RpcError>>,
    headers: &Headers<'_>,
    caller: &Caller,
    state: &AppState,
) -> Result<HttpResponse, HttpError> {
    let admitted = era::admit(message, params, headers).map_err(|error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: Some(message.id.clone()),
        error,
    })?;
    let version = admitted.version;
    if admitted.method == Method::Listen {
        caller.accepts.need_stream()?;
        return listen(&message.id, &admitted, caller, state).await;
    }
    caller.accepts.need_json()?;
    let progress_token = admitted.params.progress_token();
    // Notifications need a stream.
    let wants_progress = progress_token.is_some() && caller.accepts.stream;
    let (client, notifications) = call_stream::channel(wants_progress);
    let dispatched = state.dispatcher.dispatch(Call {
        method: admitted.method,
        target: target.unwrap_or(Ok(Target::Method)),
        version,
        params: &admitted.params,
        progress_token,
        context: caller.context.clone(),
        capabilities: admitted.capabilities,
        client,
    });
    let pending = match dispatched {
        Ok(Dispatched::Pending(pending)) => pending,
        Ok(Dispatched::Ready(answer)) => {
            return respond(Ok(answer), &message.id, version, caller, state);
        }
        Err(failure) => return respond(Err(failure), &message.id, version, caller, state),
    };
    let id = message.id.clone();
    let dispatcher = Arc::clone(&state.dispatcher);
    let answer = Rc::new(RefCell::new(None));
    let (taken, account) = (Rc::clone(&answer), caller.account.clone());
    let outcome = call_stream::run(
        pending,
        notifications,
        state.heartbeat_interval,
        move |outcome| {
            let message = response_message(outcome, &id, version, &dispatcher);
            match account.take_for_answer(message.len()) {
                Ok(bytes) => {
                    taken.replace(Some(bytes));
                    message
                }
                Err(over) => response_message(Err(over.into()), &id, version, &dispatcher),
            }
        },
    );
    match outcome.await {
        CallOutcome::Complete(outcome) => respond(outcome, &message.id, version, caller, state),
        CallOutcome::Streaming(response) => {
            let held = (caller.held(), answer);
            Ok(counted(response, StreamKind::Call, held, state))
        }
    }
}

/// Opens a `subscriptions/listen` stream (MCP 2026-07-28, Subscriptions).
async fn listen(
    id: &Id,
    admitted: &Admitted<'_>,
    caller: &Caller,
    state: &AppState,
) -> Result<HttpResponse, HttpError> {
    let principal = &caller.context.principal;
    let version = admitted.version;
    let refuse = |failure| respond(Err(failure), id, version, caller, state);
    let filter = match Filter::read(&admitted.params) {
        Ok(filter) => filter,
        Err(error) => return refuse(error.into()),
    };
    let catalogue = state.dispatcher.catalogue();
    let mut subscriptions = Subscriptions::default();
    for uri in &filter.resource_subscriptions {
        match subscriptions.add(catalogue, principal.scopes, uri) {
            // Unknown URIs are dropped; the acknowledgement lists the accepted ones.
            Ok(()) | Err(NotSubscribable::NotFound) => {}
            Err(NotSubscribable::Forbidden { needed }) => {
                return refuse(Failure::Forbidden { needed });
            }
            Err(NotSubscribable::TooMany(error)) => return refuse(error.into()),
        }
    }
    let honoured = Filter {
        resources_list_changed: filter.resources_list_changed
            && subscriptions.add_list(catalogue, principal.scopes),
        resource_subscriptions: subscriptions.uris().map(str::to_owned).collect(),
    };
    let meta = subscription::meta(id);
    let authorization = StreamAuthorization::of_stream(caller, state);
    let listening = state
        .listeners
        .open(Arc::clone(principal), subscriptions, meta.clone())
        .await
        .map_err(|error| HttpError::session(error, Some(id.clone())))?;
    let response = open_stream::of_listening(
        listening,
        subscription::acknowledged(&meta, &honoured),
        jsonrpc::success(
            id,
            &state
                .dispatcher
                .wire_format()
                .subscription_ended(&meta, version),
        ),
        state.heartbeat_interval,
        authorization,
    );
    Ok(counted(response, StreamKind::Subscription, (), state))
}
