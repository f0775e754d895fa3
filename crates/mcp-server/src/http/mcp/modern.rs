//! A modern request: for itself, without a session.

use std::sync::Arc;

use actix_web::HttpResponse;

use super::{
    call_stream::{self, Outcome},
    open_stream,
    reply::respond,
    stream_authorization::StreamAuthorization,
};
use crate::http::{
    auth::authenticate::Caller, edge::error::HttpError, ops::scrape::counted, state::AppState,
};
use crate::{
    dispatch::{Begun, Call, Failure},
    features::{
        subscriptions::{NotSubscribable, Subscriptions},
        target::Target,
    },
    metrics::StreamKind,
    session::last_message,
};
use mcp_protocol::{
    envelope::Params,
    era::{self, Admitted},
    headers::Headers,
    jsonrpc::{self, Id, Request, RpcError},
    method::Method,
    status,
    subscription::{self, Filter},
};

pub(crate) async fn answer(
    message: &Request<'_>,
    params: Params<'_>,
    target: Option<Result<Target, RpcError>>,
    headers: &Headers<'_>,
    caller: &Caller,
    site: &AppState,
) -> Result<HttpResponse, HttpError> {
    let principal = &caller.principal;
    let admitted = era::admit(message, params, headers).map_err(|error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: Some(message.id.clone()),
        error,
    })?;
    let version = admitted.version;
    if admitted.method == Method::Listen {
        return listen(&message.id, &admitted, caller, site).await;
    }
    let progress_token = admitted.params.progress_token();
    let (client, inbox) = call_stream::channel(progress_token.is_some(), admitted.log_level);
    let begun = site.dispatcher.begin(Call {
        method: admitted.method,
        target: target.unwrap_or(Ok(Target::Method)),
        version,
        params: &admitted.params,
        progress_token,
        trace: caller.trace,
        principal: Arc::clone(principal),
        capabilities: admitted.capabilities,
        client,
    });
    let work = match begun {
        Ok(Begun::UnderWay(work)) => work,
        Ok(Begun::Answered(answer)) => {
            return respond(Ok(answer), &message.id, version, principal, site);
        }
        Err(failure) => return respond(Err(failure), &message.id, version, principal, site),
    };
    let id = message.id.clone();
    let dispatcher = Arc::clone(&site.dispatcher);
    let outcome = call_stream::run(work, inbox, site.silence, move |outcome| {
        last_message(outcome, &id, version, &dispatcher)
    });
    match outcome.await {
        Outcome::Whole(outcome) => respond(outcome, &message.id, version, principal, site),
        Outcome::Streamed(response) => Ok(counted(response, StreamKind::Call, site)),
    }
}

/// Opens a stream on which the client is told of changes (P-12).
async fn listen(
    id: &Id,
    admitted: &Admitted<'_>,
    caller: &Caller,
    site: &AppState,
) -> Result<HttpResponse, HttpError> {
    let principal = &caller.principal;
    let version = admitted.version;
    let refuse = |failure| respond(Err(failure), id, version, principal, site);
    let filter = match Filter::read(&admitted.params) {
        Ok(filter) => filter,
        Err(error) => return refuse(error.into()),
    };
    let catalogue = site.dispatcher.catalogue();
    let mut watching = Subscriptions::default();
    for uri in &filter.resource_subscriptions {
        match watching.add(catalogue, principal.scopes, uri) {
            // What is nowhere is not honoured, which the acknowledgement shows.
            Ok(()) | Err(NotSubscribable::NotFound) => {}
            Err(NotSubscribable::Forbidden { needed }) => {
                return refuse(Failure::Forbidden { needed });
            }
            Err(NotSubscribable::TooMany(error)) => return refuse(error.into()),
        }
    }
    let honoured = Filter {
        resources_list_changed: filter.resources_list_changed
            && watching.add_list(catalogue, principal.scopes),
        resource_subscriptions: watching.uris().map(str::to_owned).collect(),
    };
    let meta = subscription::meta(id);
    let watch = StreamAuthorization::of_stream(caller, site);
    let listening = site
        .listeners
        .open(Arc::clone(principal), watching, meta.clone())
        .await
        .map_err(|error| HttpError::session(error, Some(id.clone())))?;
    let response = open_stream::of_listening(
        listening,
        subscription::acknowledged(&meta, &honoured),
        jsonrpc::success(
            id,
            &site.dispatcher.wire().subscription_ended(&meta, version),
        ),
        site.silence,
        watch,
    );
    Ok(counted(response, StreamKind::Subscription, site))
}
