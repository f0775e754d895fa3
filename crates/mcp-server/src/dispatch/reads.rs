//! Lists, resources and completions. They send nothing to the client before their answer.

use std::sync::Arc;

use super::{
    call::{Call, Dispatched, PendingAnswer},
    dispatcher::Dispatcher,
    failure::{Failure, failure, unknown},
};
use crate::features::{target::Target, tool_error::ToolError};
use mcp_protocol::{
    answer::{Answer, Completion, ResourcePage},
    completion::CompletionArgument,
    envelope::Params,
    json::object::as_str,
    rpc_error::RpcError,
    wire_format,
};

impl Dispatcher {
    /// The resources with fixed URIs, then page by page those of the listed template.
    pub(crate) fn list_resources(&self, call: &Call<'_>) -> Result<PendingAnswer, Failure> {
        let cursor = call
            .params
            .cursor
            .map(|cursor| as_str(cursor).ok_or_else(unknown_cursor))
            .transpose()?
            .map(std::borrow::Cow::into_owned);
        let granted = call.context.principal.scopes;
        let mut resources = Vec::new();
        if cursor.is_none() {
            let fixed = self.catalogue().resources_for(granted).into_iter();
            resources.extend(fixed.map(|resource| resource.descriptor.clone()));
        }
        let listed = self.catalogue().listed_template(granted);
        let context = self.read_context(&call.context.principal);
        let page = match listed {
            Some(template) => template.list(context, cursor),
            None => None,
        };
        Ok(Box::pin(async move {
            let mut next_cursor = None;
            if let Some(page) = page {
                let (items, next) = page.await.map_err(|error| match error {
                    ToolError::Refused(_) => unknown_cursor().into(),
                    error => failure(error),
                })?;
                resources.extend(items);
                next_cursor = next;
            }
            Ok(Answer::Resources(ResourcePage {
                resources,
                next_cursor,
            }))
        }))
    }

    pub(crate) fn read_resource(&self, call: &Call<'_>) -> Result<PendingAnswer, Failure> {
        let version = call.version;
        let uri = Params::string(call.params.uri, "uri")?.into_owned();
        let not_found = || wire_format::resource_not_found(&uri, version);
        let located = self.catalogue().locate(&uri).ok_or_else(not_found)?;
        self.require(&call.context.principal, located.scopes())?;
        let reading = located.read(self.read_context(&call.context.principal));
        Ok(Box::pin(async move {
            match reading.await {
                Ok(answer) => Ok(answer),
                Err(ToolError::NotFound(_)) => {
                    Err(wire_format::resource_not_found(&uri, version).into())
                }
                Err(ToolError::Refused(reason)) => Err(RpcError::invalid_params(reason).into()),
                Err(error) => Err(failure(error)),
            }
        }))
    }

    pub(crate) fn complete(
        &self,
        target: Target,
        call: &Call<'_>,
    ) -> Result<PendingAnswer, Failure> {
        let needed = target.scopes(self.catalogue(), call.params);
        self.require(&call.context.principal, needed)?;
        let typed = CompletionArgument::read(call.params)?;
        if !target.has_argument(self.catalogue(), &typed.name) {
            return Err(unknown("argument", &typed.name).into());
        }
        let completer = target.completer(self.catalogue(), &typed.name);
        let Some(completer) = completer else {
            return Ok(Box::pin(async {
                Ok(Answer::Completion(Completion::nothing()))
            }));
        };
        let context = self.read_context(&call.context.principal);
        let suggested = completer.suggest(context, typed.value.into_owned());
        Ok(Box::pin(async move {
            let suggested = suggested.await.map_err(failure)?;
            Ok(Answer::Completion(suggested))
        }))
    }

    /// A list that fits on one page, so that every cursor is invalid.
    pub(crate) fn one_page(
        params: &Params<'_>,
        list: impl FnOnce() -> Arc<str>,
    ) -> Result<Dispatched, Failure> {
        match params.cursor {
            None => Ok(Dispatched::Ready(Answer::Ready(list()))),
            Some(_) => Err(unknown_cursor().into()),
        }
    }
}

fn unknown_cursor() -> RpcError {
    RpcError::invalid_params("Invalid params: unknown cursor")
}
