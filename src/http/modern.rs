//! A modern request: for itself, without a session.

use std::sync::Arc;

use actix_web::HttpResponse;

use super::{
    Site,
    endpoint::respond,
    error::HttpError,
    stream::{self, Outcome},
};
use crate::{
    domain::principal::Principal,
    features::dispatch::{Begun, Call},
    mcp::{
        era,
        headers::Headers,
        jsonrpc::{self, Request},
        shape, status,
    },
};

pub(super) async fn answer(
    message: &Request<'_>,
    headers: &Headers<'_>,
    principal: Arc<Principal>,
    site: &Site,
) -> Result<HttpResponse, HttpError> {
    let admitted = era::admit(message, headers).map_err(|error| HttpError::Rpc {
        status: status::of_refused_envelope(&error),
        id: Some(message.id.clone()),
        error,
    })?;
    let version = admitted.version;
    let (client, inbox) = stream::channel(admitted.params.progress_token().is_some());
    let begun = site.dispatcher.begin(Call {
        method: admitted.method,
        version,
        params: &admitted.params,
        raw_params: message.params,
        principal: Arc::clone(&principal),
        abilities: admitted.abilities,
        client,
    });
    let work = match begun {
        Ok(Begun::UnderWay(work)) => work,
        Ok(Begun::Answered(answer)) => {
            return respond(Ok(answer), &message.id, version, &principal);
        }
        Err(failure) => return respond(Err(failure), &message.id, version, &principal),
    };
    let id = message.id.clone();
    let outcome = stream::run(work, inbox, move |outcome| match outcome {
        Ok(answer) => jsonrpc::success(&id, &shape::result(&answer, version)),
        Err(failure) => jsonrpc::failure(Some(&id), &failure.in_band()),
    });
    match outcome.await {
        Outcome::Whole(outcome) => respond(outcome, &message.id, version, &principal),
        Outcome::Streamed(response) => Ok(response),
    }
}
