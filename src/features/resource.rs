//! What a declaration of a resource looks like, or of a template of resources, and what the catalogue
//! makes of it.

use std::{future::Future, pin::Pin};

use rmcp::model;
use serde::Serialize;

use super::{
    completion::Source,
    tool::Reader,
    uri::{self, Uri},
};
use crate::{
    domain::{
        journal::{Change, JournalError},
        page::{NameCursor, Page},
        scope::ScopeSet,
    },
    mcp::answer::{Answer, ResourceBody, ResourceContents},
};

/// What every resource is written in.
const MIME_TYPE: &str = "application/json";

/// One resource, declared once.
pub trait Resource {
    /// Where it is.
    const URI: &'static str;
    /// The name that programs read.
    const NAME: &'static str;
    /// The name that people read.
    const TITLE: &'static str;
    /// What it says.
    const DESCRIPTION: &'static str;
    /// What reading it needs.
    const SCOPES: ScopeSet;
    /// The change of the journal with which it reads differently, if there is one.
    const CHANGES_WITH: Option<Change>;

    /// What reading it gives.
    type Contents: Serialize;

    /// Reads it, for the user of the reader.
    fn read(reader: Reader) -> impl Future<Output = Result<Self::Contents, JournalError>>;
}

/// Many resources of one kind, each with an id, declared once.
pub trait Template {
    /// Where they are: a URI with `{id}` in its path (RFC 6570).
    const URI: &'static str;
    /// The name that programs read.
    const NAME: &'static str;
    /// The name that people read.
    const TITLE: &'static str;
    /// What each says.
    const DESCRIPTION: &'static str;
    /// What reading one needs.
    const SCOPES: ScopeSet;
    /// What may be suggested for the id.
    const IDS: Source;
    /// How they are listed one by one, if they are few enough for that.
    const LISTING: Option<Listing> = None;
    /// The change of the journal with which the one with that id reads differently.
    const CHANGES_WITH: fn(i64) -> Change;

    /// What reading one gives.
    type Contents: Serialize;

    /// Reads the one with that id, for the user of the reader.
    fn read(reader: Reader, id: i64) -> impl Future<Output = Result<Self::Contents, JournalError>>;
}

/// Gives a page of the resources of a template, for the user of the reader.
pub type Listing = fn(Reader, Option<NameCursor>) -> ListFuture;

/// See [`Listing`].
pub type ListFuture =
    Pin<Box<dyn Future<Output = Result<Page<model::Resource, NameCursor>, JournalError>>>>;

/// A resource being read.
pub type ReadFuture = Pin<Box<dyn Future<Output = Result<Answer, JournalError>>>>;

/// A resource in the catalogue, its types forgotten.
pub struct DeclaredResource {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::Resource,
    scopes: ScopeSet,
    changes_with: Option<Change>,
    read: Box<dyn Fn(Reader) -> ReadFuture + Send + Sync>,
}

/// A template in the catalogue, its types forgotten.
pub struct DeclaredTemplate {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::ResourceTemplate,
    scopes: ScopeSet,
    ids: Source,
    listing: Option<Listing>,
    changes_with: Option<fn(i64) -> Change>,
    read: Box<dyn Fn(Reader, i64) -> ReadFuture + Send + Sync>,
}

/// What a URI leads to. Whether there is anything with that id is another question.
#[derive(Clone, Copy)]
pub enum Located<'a> {
    /// A resource of its own.
    Resource(&'a DeclaredResource),
    /// The one of a template that has this id.
    OfTemplate(&'a DeclaredTemplate, i64),
}

impl DeclaredResource {
    /// Enters a declaration into the catalogue.
    #[must_use]
    pub fn of<R: Resource + 'static>() -> Self {
        Self {
            descriptor: model::Resource::new(R::URI, R::NAME)
                .with_title(R::TITLE)
                .with_description(R::DESCRIPTION)
                .with_mime_type(MIME_TYPE),
            scopes: R::SCOPES,
            changes_with: R::CHANGES_WITH,
            read: Box::new(|reader| Box::pin(async { read::<R>(reader).await.map(Answer::from) })),
        }
    }

    /// Enters a resource that is known by its wire form only, and never reads differently.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::Resource,
        scopes: ScopeSet,
        read: impl Fn(Reader) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<ResourceContents, JournalError>> + 'static,
    {
        Self {
            descriptor,
            scopes,
            changes_with: None,
            read: Box::new(move |reader| {
                let read = read(reader);
                Box::pin(async { read.await.map(Answer::from) })
            }),
        }
    }

    /// What reading it needs; lists show it to whoever may.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    pub(super) fn is_at(&self, uri: Uri<'_>) -> bool {
        Uri::parse(&self.descriptor.uri).is_some_and(|place| uri.is(place))
    }
}

impl DeclaredTemplate {
    /// Enters a declaration into the catalogue.
    #[must_use]
    pub fn of<T: Template + 'static>() -> Self {
        Self {
            descriptor: model::ResourceTemplate::new(T::URI, T::NAME)
                .with_title(T::TITLE)
                .with_description(T::DESCRIPTION)
                .with_mime_type(MIME_TYPE),
            scopes: T::SCOPES,
            ids: T::IDS,
            listing: T::LISTING,
            changes_with: Some(T::CHANGES_WITH),
            read: Box::new(|reader, id| {
                Box::pin(async move { read_one::<T>(reader, id).await.map(Answer::from) })
            }),
        }
    }

    /// Enters a template that is known by its wire form only, whose resources never read
    /// differently. Nothing is suggested for its ids.
    #[must_use]
    pub fn raw<F, C>(
        descriptor: model::ResourceTemplate,
        scopes: ScopeSet,
        read: impl Fn(Reader, i64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<C, JournalError>> + 'static,
        C: Into<Answer>,
    {
        Self {
            descriptor,
            scopes,
            ids: Source::Nothing,
            listing: None,
            changes_with: None,
            read: Box::new(move |reader, id| {
                let read = read(reader, id);
                Box::pin(async { read.await.map(C::into) })
            }),
        }
    }

    /// What reading one needs; lists show the template to whoever may.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// How its resources are listed one by one, if they are.
    #[must_use]
    pub fn listing(&self) -> Option<Listing> {
        self.listing
    }

    /// What may be suggested for a variable; `None` if the template has no such variable.
    #[must_use]
    pub fn source(&self, variable: &str) -> Option<Source> {
        (variable == "id").then_some(self.ids)
    }

    pub(super) fn id_in(&self, uri: Uri<'_>) -> Option<i64> {
        uri.id_in(Uri::parse(&self.descriptor.uri_template)?)
    }
}

impl Located<'_> {
    /// What reading it needs.
    #[must_use]
    pub fn scopes(self) -> ScopeSet {
        match self {
            Self::Resource(resource) => resource.scopes,
            Self::OfTemplate(template, _) => template.scopes,
        }
    }

    /// The change of the journal with which it reads differently, if there is one.
    #[must_use]
    pub fn changes_with(self) -> Option<Change> {
        match self {
            Self::Resource(resource) => resource.changes_with,
            Self::OfTemplate(template, id) => template.changes_with.map(|with| with(id)),
        }
    }

    /// Reads it, for the user of the reader.
    ///
    /// # Errors
    /// Those of the journal.
    pub fn read(self, reader: Reader) -> ReadFuture {
        match self {
            Self::Resource(resource) => (resource.read)(reader),
            Self::OfTemplate(template, id) => (template.read)(reader, id),
        }
    }
}

async fn read<R: Resource>(reader: Reader) -> Result<ResourceContents, JournalError> {
    Ok(contents(R::URI.to_owned(), &R::read(reader).await?))
}

/// Reads the resource of a template that has this id.
///
/// # Errors
/// Those of the journal.
pub async fn read_one<T: Template>(
    reader: Reader,
    id: i64,
) -> Result<ResourceContents, JournalError> {
    let uri = uri::expand(T::URI, id).to_string();
    Ok(contents(uri, &T::read(reader, id).await?))
}

/// The contents of a resource that has been read already.
///
/// # Panics
/// If they cannot be written as JSON, which views can.
#[must_use]
pub fn contents(uri: String, said: &impl Serialize) -> ResourceContents {
    ResourceContents {
        uri,
        mime_type: MIME_TYPE.into(),
        body: ResourceBody::Text(
            serde_json::to_string(said)
                .expect("contents are made of strings, numbers, lists and structs"),
        ),
    }
}

/// A resource of a template in a list.
#[must_use]
pub fn listed<T: Template>(id: i64, name: String) -> model::Resource {
    model::Resource::new(uri::expand(T::URI, id).to_string(), name.clone())
        .with_title(name)
        .with_mime_type(MIME_TYPE)
}
