//! Lists, resources and completions: what is read, and says nothing on the way.

use std::sync::Arc;

use super::{
    Begun, Call, Dispatcher, Failure, Work,
    failure::{failure, unknown},
    require,
};
use crate::{
    domain::{
        journal::JournalError,
        page::{Cursor, NameCursor, Page},
        scope::ScopeSet,
    },
    features::{catalogue::Catalogue, completion::Source, tool::Reader},
    mcp::{
        answer::{Answer, ResourcePage},
        completion::{Reference, Typed},
        envelope::Params,
        jsonrpc::RpcError,
        object::as_str,
        shape,
    },
};

impl Dispatcher {
    /// The fixed resources, then page by page the tags.
    pub(super) fn list_resources(&self, call: &Call<'_>) -> Result<Work, Failure> {
        let after = call
            .params
            .cursor
            .map(|cursor| {
                as_str(cursor)
                    .and_then(|cursor| NameCursor::decode(&cursor))
                    .ok_or_else(unknown_cursor)
            })
            .transpose()?;
        let granted = call.principal.scopes;
        let mut resources = Vec::new();
        if after.is_none() {
            let fixed = self.catalogue.resources_for(granted).into_iter();
            resources.extend(fixed.map(|resource| resource.descriptor.clone()));
        }
        let listing = self.catalogue.listing_for(granted);
        let reader = self.reader(call);
        Ok(Box::pin(async move {
            let page = match listing {
                Some(list) => list(reader, after).await.map_err(failure)?,
                None => Page {
                    items: Vec::new(),
                    next: None,
                },
            };
            resources.extend(page.items);
            Ok(Answer::Resources(ResourcePage {
                resources,
                next_cursor: page.next.map(|cursor| cursor.encode()),
            }))
        }))
    }

    pub(super) fn read_resource(&self, call: &Call<'_>) -> Result<Work, Failure> {
        let version = call.version;
        let uri = Params::string(call.params.uri, "uri")?.into_owned();
        let located = self
            .catalogue
            .locate(&uri)
            .ok_or_else(|| shape::resource_not_found(&uri, version))?;
        require(&self.catalogue, &call.principal, located.scopes())?;
        let reading = located.read(self.reader(call));
        Ok(Box::pin(async move {
            match reading.await {
                Ok(answer) => Ok(answer),
                Err(
                    JournalError::NoSuchEntry(_)
                    | JournalError::NoSuchTag(_)
                    | JournalError::NoSuchExport,
                ) => Err(shape::resource_not_found(&uri, version).into()),
                Err(error) => Err(failure(error)),
            }
        }))
    }

    pub(super) fn complete(&self, call: &Call<'_>) -> Result<Work, Failure> {
        let typed = Typed::read(call.params);
        let name = typed.as_ref().map_or("", |typed| &typed.name);
        let reference = Reference::read(call.params)?;
        let (scopes, source) = completed(&self.catalogue, &reference, name)?;
        require(&self.catalogue, &call.principal, scopes)?;
        let typed = typed?;
        let source = source.ok_or_else(|| unknown("argument", &typed.name))?;
        let value = typed.value.into_owned();
        let reader = self.reader(call);
        Ok(Box::pin(async move {
            source
                .suggest(reader, &value)
                .await
                .map(Answer::Completion)
                .map_err(failure)
        }))
    }

    fn reader(&self, call: &Call<'_>) -> Reader {
        Reader {
            principal: Arc::clone(&call.principal),
            journal: self.journal.clone(),
        }
    }
}

/// A list that is one page, so that no cursor was ever given out.
pub(super) fn one_page(
    params: &Params<'_>,
    list: impl FnOnce() -> Arc<str>,
) -> Result<Begun, Failure> {
    match params.cursor {
        None => Ok(Begun::Answered(Answer::Ready(list()))),
        Some(_) => Err(unknown_cursor().into()),
    }
}

fn unknown_cursor() -> RpcError {
    RpcError::invalid_params("Invalid params: unknown cursor")
}

/// What a completion needs, that of what it gives away included, and where it comes from.
pub(super) fn completed(
    catalogue: &Catalogue,
    reference: &Reference<'_>,
    name: &str,
) -> Result<(ScopeSet, Option<Source>), RpcError> {
    let (scopes, source) = match reference {
        Reference::Prompt(prompt) => {
            let prompt = catalogue
                .prompt(prompt)
                .ok_or_else(|| unknown("prompt", prompt))?;
            (prompt.scopes(), prompt.source(name))
        }
        Reference::Template(uri) => {
            let template = catalogue
                .template(uri)
                .ok_or_else(|| unknown("resource template", uri))?;
            (template.scopes(), template.source(name))
        }
    };
    let given_away = source.map_or(ScopeSet::EMPTY, Source::scopes);
    Ok((scopes.union(given_away), source))
}
