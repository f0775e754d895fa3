//! Resources and templates of resources: how one is declared, and what reading it gives.

use std::{borrow::Cow, fmt::Display, future::Future, pin::Pin, sync::Arc};

use rmcp::model;
use serde::Serialize;

use super::{
    completion::Completer,
    context::ReadContext,
    declaration::{DeclarationError, FeatureScopes},
    tool_error::ToolError,
    uri::{self, ResourceId, Uri},
};
use mcp_protocol::answer::{Answer, Chunks, Document, ResourceBody, ResourceContents};
use resource_server::scope::{ScopeSet, Scopes};

/// The media type of resources that do not say another.
const JSON: &str = "application/json";

/// A resource at a URI of its own (MCP, Resources).
pub trait Resource: Send + Sync + 'static {
    /// Where it is, such as `files://current`.
    const URI: &'static str;
    /// The name for programs.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str = "";
    /// What it contains.
    const DESCRIPTION: &'static str;
    /// The scopes that reading it needs. Lists show it to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// Its media type.
    const MIME_TYPE: &'static str = JSON;

    /// Reads it, for the user of the context.
    ///
    /// # Errors
    /// See [`ToolError`].
    fn read(&self, context: ReadContext) -> impl Future<Output = Result<Contents, ToolError>>;
}

/// Many resources of one kind, each with an id (MCP, Resource Templates).
pub trait ResourceTemplate: Send + Sync + 'static {
    /// Where they are: a URI with `{id}` in its path (RFC 6570, level 1), such as `files://reports/{id}`.
    const URI_TEMPLATE: &'static str;
    /// The name for programs.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str = "";
    /// What each contains.
    const DESCRIPTION: &'static str;
    /// The scopes that reading one needs. Lists show the template to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// Their media type.
    const MIME_TYPE: Option<&'static str> = Some(JSON);
    /// Whether `resources/list` lists them one by one. One template of a server can be listed so.
    const LISTED: bool = false;

    /// How one is named: [`i64`] for numbers from 1 up, [`String`] for texts.
    type Id: ResourceId;

    /// Reads the one with that id, for the user of the context.
    ///
    /// # Errors
    /// [`ToolError::NotFound`] if this user has none of that id; see [`ToolError`].
    fn read(
        &self,
        context: ReadContext,
        id: Self::Id,
    ) -> impl Future<Output = Result<Contents, ToolError>>;

    /// Lists them one by one, from the beginning or after a cursor of an earlier page, if
    /// [`ResourceTemplate::LISTED`].
    ///
    /// # Errors
    /// [`ToolError::Refused`] for a cursor that was never given out; see [`ToolError`].
    fn list(
        &self,
        context: ReadContext,
        cursor: Option<String>,
    ) -> impl Future<Output = Result<Listed<Self::Id>, ToolError>> {
        drop((context, cursor));
        async { Ok(Listed::default()) }
    }

    /// Suggests ids for what has been typed, if it can.
    fn completer(&self) -> Option<Completer> {
        None
    }
}

/// A page of the resources of a template.
#[derive(Clone, Debug)]
pub struct Listed<Id> {
    /// Each resource's id, and its name for people.
    pub resources: Vec<(Id, String)>,
    /// Where the next page begins; absent on the last page.
    pub next_cursor: Option<String>,
}

impl<Id> Default for Listed<Id> {
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            next_cursor: None,
        }
    }
}

/// What reading a resource gives.
#[derive(Debug)]
pub struct Contents {
    mime_type: Option<Cow<'static, str>>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(ResourceBody),
    Streamed(StreamedBody),
}

struct StreamedBody(Arc<dyn Chunks>);

impl std::fmt::Debug for StreamedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pieces", self.0.count())
    }
}

impl Contents {
    /// A value, as JSON.
    ///
    /// # Errors
    /// [`ToolError::Internal`] if it cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, ToolError> {
        serde_json::to_string(value)
            .map(Self::text)
            .map_err(ToolError::internal)
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            mime_type: None,
            body: Body::Whole(ResourceBody::Text(text.into())),
        }
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self {
            mime_type: None,
            body: Body::Whole(ResourceBody::Blob(bytes.into())),
        }
    }

    /// A text that is too long to be held at once: it is fetched piece by piece as the client takes it.
    #[must_use]
    pub fn streamed(pieces: Arc<dyn Chunks>) -> Self {
        Self {
            mime_type: None,
            body: Body::Streamed(StreamedBody(pieces)),
        }
    }

    /// These contents, of another media type than the declared one.
    #[must_use]
    pub fn with_mime_type(mut self, mime_type: impl Into<Cow<'static, str>>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    fn or_mime_type(mut self, declared: Option<String>) -> Self {
        self.mime_type = self.mime_type.or(declared.map(Cow::Owned));
        self
    }

    fn answer(self, uri: String, declared: Option<&'static str>) -> Answer {
        let mime_type = self
            .mime_type
            .unwrap_or(Cow::Borrowed(declared.unwrap_or(JSON)));
        match self.body {
            Body::Whole(body) => Answer::Contents(ResourceContents {
                uri,
                mime_type,
                body,
            }),
            Body::Streamed(StreamedBody(pieces)) => Answer::Document(Document {
                uri,
                mime_type,
                pieces,
            }),
        }
    }
}

/// The contents of a JSON resource for a message of a prompt or the content of a tool.
///
/// # Errors
/// [`ToolError::Internal`] if the value cannot be written as JSON.
pub fn embedded(uri: impl Display, value: &impl Serialize) -> Result<ResourceContents, ToolError> {
    Ok(ResourceContents {
        uri: uri.to_string(),
        mime_type: JSON.into(),
        body: ResourceBody::Text(serde_json::to_string(value).map_err(ToolError::internal)?),
    })
}

/// A resource being read.
pub type ReadFuture = Pin<Box<dyn Future<Output = Result<Answer, ToolError>>>>;

/// A page of resources on its way.
pub type ListFuture =
    Pin<Box<dyn Future<Output = Result<(Vec<model::Resource>, Option<String>), ToolError>>>>;

/// A resource in the catalogue, whose types are erased.
pub struct DeclaredResource {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::Resource,
    scopes: FeatureScopes,
    read: Box<dyn Fn(ReadContext) -> ReadFuture + Send + Sync>,
}

/// A template in the catalogue, whose types are erased.
pub struct DeclaredTemplate {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::ResourceTemplate,
    scopes: FeatureScopes,
    completer: Option<Completer>,
    is_id: fn(&str) -> bool,
    list: Option<Box<List>>,
    read: Box<Read>,
}

type Read = dyn Fn(ReadContext, &str) -> ReadFuture + Send + Sync;
type List = dyn Fn(ReadContext, Option<String>) -> ListFuture + Send + Sync;

/// What a URI leads to. Whether this user has anything of that id is another question.
#[derive(Clone, Copy)]
pub enum Located<'a> {
    /// A resource of its own.
    Resource(&'a DeclaredResource),
    /// The resource of a template that has this id.
    OfTemplate(&'a DeclaredTemplate, &'a str),
}

impl DeclaredResource {
    /// The declaration of a resource.
    #[must_use]
    pub fn new<R: Resource>(resource: R) -> Self {
        let mut descriptor = model::Resource::new(R::URI, R::NAME)
            .with_description(R::DESCRIPTION)
            .with_mime_type(R::MIME_TYPE);
        if !R::TITLE.is_empty() {
            descriptor = descriptor.with_title(R::TITLE);
        }
        let resource = Arc::new(resource);
        Self {
            descriptor,
            scopes: FeatureScopes::of(R::SCOPES),
            read: Box::new(move |context| {
                let resource = Arc::clone(&resource);
                Box::pin(async move {
                    let contents = resource.read(context).await?;
                    Ok(contents.answer(R::URI.to_owned(), Some(R::MIME_TYPE)))
                })
            }),
        }
    }

    /// A resource that is known by its wire form alone.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::Resource,
        scopes: &'static [&'static str],
        read: impl Fn(ReadContext) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Contents, ToolError>> + 'static,
    {
        let (uri, mime_type) = (descriptor.uri.clone(), descriptor.mime_type.clone());
        Self {
            descriptor,
            scopes: FeatureScopes::of(scopes),
            read: Box::new(move |context| {
                let (read, uri, mime_type) = (read(context), uri.clone(), mime_type.clone());
                Box::pin(async move { Ok(read.await?.or_mime_type(mime_type).answer(uri, None)) })
            }),
        }
    }

    pub(crate) fn resolve(&mut self, scopes: &Scopes) -> Result<(), DeclarationError> {
        let uri = &self.descriptor.uri;
        check_uri("resource", uri, Uri::parse(uri).is_some())?;
        self.scopes.resolve(scopes, "resource", uri)
    }

    /// The scopes that reading it needs.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    pub(crate) fn is_at(&self, uri: Uri<'_>) -> bool {
        Uri::parse(&self.descriptor.uri).is_some_and(|place| uri.is(place))
    }
}

impl DeclaredTemplate {
    /// The declaration of a template.
    #[must_use]
    pub fn new<T: ResourceTemplate>(template: T) -> Self {
        let mut descriptor =
            model::ResourceTemplate::new(T::URI_TEMPLATE, T::NAME).with_description(T::DESCRIPTION);
        if !T::TITLE.is_empty() {
            descriptor = descriptor.with_title(T::TITLE);
        }
        if let Some(mime_type) = T::MIME_TYPE {
            descriptor = descriptor.with_mime_type(mime_type);
        }
        let template = Arc::new(template);
        let listed = Arc::clone(&template);
        let list = move |context, cursor| -> ListFuture {
            let template = Arc::clone(&listed);
            Box::pin(async move {
                let page = template.list(context, cursor).await?;
                let resources = page.resources.into_iter();
                let resources = resources.map(|(id, name)| listed_resource::<T>(&id, name));
                Ok((resources.collect(), page.next_cursor))
            })
        };
        Self {
            descriptor,
            scopes: FeatureScopes::of(T::SCOPES),
            completer: template.completer(),
            is_id: |text| T::Id::parse(text).is_some(),
            list: T::LISTED.then(|| Box::new(list) as Box<List>),
            read: Box::new(move |context, id| {
                let (template, id) = (Arc::clone(&template), T::Id::parse(id));
                Box::pin(async move {
                    let id =
                        id.ok_or_else(|| ToolError::not_found("There is no such resource."))?;
                    let uri = uri::expand(T::URI_TEMPLATE, &id);
                    let contents = template.read(context, id).await?;
                    Ok(contents.answer(uri, T::MIME_TYPE))
                })
            }),
        }
    }

    /// A template that is known by its wire form alone, whose ids are numbers.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::ResourceTemplate,
        scopes: &'static [&'static str],
        read: impl Fn(ReadContext, i64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Contents, ToolError>> + 'static,
    {
        let template = descriptor.uri_template.clone();
        let mime_type = descriptor.mime_type.clone();
        Self {
            descriptor,
            scopes: FeatureScopes::of(scopes),
            completer: None,
            is_id: |text| i64::parse(text).is_some(),
            list: None,
            read: Box::new(move |context, id| {
                let uri = uri::expand(&template, &id);
                let read = i64::parse(id).map(|id| read(context, id));
                let mime_type = mime_type.clone();
                Box::pin(async move {
                    let read =
                        read.ok_or_else(|| ToolError::not_found("There is no such resource."))?;
                    Ok(read.await?.or_mime_type(mime_type).answer(uri, None))
                })
            }),
        }
    }

    pub(crate) fn resolve(&mut self, scopes: &Scopes) -> Result<(), DeclarationError> {
        let (kind, template) = ("resource template", &self.descriptor.uri_template);
        check_uri(kind, template, uri::is_template(template))?;
        self.scopes.resolve(scopes, kind, template)?;
        if let Some(completer) = &mut self.completer {
            completer.resolve(scopes, kind, template)?;
        }
        Ok(())
    }

    /// The scopes that reading one needs.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    /// Whether its resources are listed one by one.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.list.is_some()
    }

    /// A page of its resources, from the beginning or after a cursor; `None` if they are not listed.
    #[must_use]
    pub fn list(&self, context: ReadContext, cursor: Option<String>) -> Option<ListFuture> {
        let list = self.list.as_ref()?;
        Some(list(context, cursor))
    }

    /// Whether it has a variable of this name.
    #[must_use]
    pub fn has_variable(&self, name: &str) -> bool {
        name == "id"
    }

    /// What suggests ids, if anything does.
    #[must_use]
    pub fn completer(&self) -> Option<&Completer> {
        self.completer.as_ref()
    }

    pub(crate) fn id_in<'u>(&self, uri: Uri<'u>) -> Option<&'u str> {
        let id = uri.id_in(Uri::parse(&self.descriptor.uri_template)?)?;
        (self.is_id)(id).then_some(id)
    }
}

impl Located<'_> {
    /// The scopes that reading it needs.
    #[must_use]
    pub fn scopes(self) -> ScopeSet {
        match self {
            Self::Resource(resource) => resource.scopes(),
            Self::OfTemplate(template, _) => template.scopes(),
        }
    }

    /// The one way in which the server writes this URI, by which changes are published.
    #[must_use]
    pub fn canonical_uri(self) -> String {
        match self {
            Self::Resource(resource) => resource.descriptor.uri.clone(),
            Self::OfTemplate(template, id) => uri::expand(&template.descriptor.uri_template, &id),
        }
    }

    /// Reads it, for the user of the context.
    #[must_use]
    pub fn read(self, context: ReadContext) -> ReadFuture {
        match self {
            Self::Resource(resource) => (resource.read)(context),
            Self::OfTemplate(template, id) => (template.read)(context, id),
        }
    }
}

fn listed_resource<T: ResourceTemplate>(id: &T::Id, name: String) -> model::Resource {
    let resource = model::Resource::new(uri::expand(T::URI_TEMPLATE, id), name.clone());
    let resource = resource.with_title(name);
    match T::MIME_TYPE {
        Some(mime_type) => resource.with_mime_type(mime_type),
        None => resource,
    }
}

fn check_uri(kind: &'static str, uri: &str, is_usable: bool) -> Result<(), DeclarationError> {
    if is_usable {
        return Ok(());
    }
    Err(DeclarationError::Uri {
        kind,
        name: uri.to_owned(),
        reason: "it must have the form scheme://host/path, with {id} once in the path of a template",
    })
}
