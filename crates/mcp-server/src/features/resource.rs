//! Resources and resource templates: declaration and contents (MCP, Resources).

use std::{future::Future, pin::Pin, sync::Arc};

use rmcp::model;

pub use super::contents::{Contents, embedded};
use super::{
    completion::Completer,
    contents::JSON,
    context::ReadContext,
    declaration::{DeclarationError, FeatureScopes},
    tool_error::ToolError,
    uri::{self, ResourceId, Uri},
};
use mcp_protocol::answer::Answer;
use resource_server::scope::{ScopeSet, Scopes};

/// A resource with a fixed URI (MCP, Resources).
///
/// ```
/// use mcp_server::features::{
///     context::ReadContext,
///     resource::{Contents, Resource},
///     tool_error::ToolError,
/// };
///
/// struct CurrentUser;
///
/// impl Resource for CurrentUser {
///     const URI: &'static str = "files://users/current";
///     const NAME: &'static str = "current_user";
///     const DESCRIPTION: &'static str = "The signed-in user.";
///     const SCOPES: &'static [&'static str] = &["files:read"];
///
///     async fn read(&self, context: ReadContext) -> Result<Contents, ToolError> {
///         Contents::json(&context.principal().subject)
///     }
/// }
///
/// let server = mcp_server::server::Server::new("files", "https://files.example")
///     .scope("files:read", "Read your files")
///     .resource(CurrentUser);
/// ```
pub trait Resource: Send + Sync + 'static {
    /// Its URI, such as `files://current`; see [`uri`].
    const URI: &'static str;
    /// The name for programs.
    const NAME: &'static str;
    /// The display name; none if empty.
    const TITLE: &'static str = "";
    /// What it contains.
    const DESCRIPTION: &'static str;
    /// The scopes that reading it needs. Lists show it to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// Its media type.
    const MIME_TYPE: &'static str = JSON;

    /// Reads it, for the user of the context. The scopes have been checked.
    ///
    /// # Errors
    /// See [`ToolError`].
    fn read(&self, context: ReadContext) -> impl Future<Output = Result<Contents, ToolError>>;
}

/// Resources of one kind that differ in their ids (MCP, Resource Templates).
pub trait ResourceTemplate: Send + Sync + 'static {
    /// Their URI with `{id}` in its path (RFC 6570, level 1), such as `files://reports/{id}`.
    const URI_TEMPLATE: &'static str;
    /// The name for programs.
    const NAME: &'static str;
    /// The display name; none if empty.
    const TITLE: &'static str = "";
    /// What each of them contains.
    const DESCRIPTION: &'static str;
    /// The scopes that reading one needs. Lists show the template to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// Their media type, if all have the same.
    const MIME_TYPE: Option<&'static str> = Some(JSON);
    /// Whether `resources/list` contains each of them. Only one template of a server can be listed.
    const LISTED: bool = false;

    /// The type of the id: [`i64`] for numbers from 1, [`String`] for texts.
    type Id: ResourceId;

    /// Reads the resource with this id, for the user of the context. The scopes have been checked.
    ///
    /// # Errors
    /// [`ToolError::NotFound`] if this user has none with this id; see [`ToolError`].
    fn read(
        &self,
        context: ReadContext,
        id: Self::Id,
    ) -> impl Future<Output = Result<Contents, ToolError>>;

    /// A page of the resources of the user of the context: the first one, or the one after a cursor. Called
    /// if [`ResourceTemplate::LISTED`].
    ///
    /// # Errors
    /// [`ToolError::Refused`] for an invalid cursor; see [`ToolError`].
    fn list(
        &self,
        context: ReadContext,
        cursor: Option<String>,
    ) -> impl Future<Output = Result<Listed<Self::Id>, ToolError>> {
        drop((context, cursor));
        async { Ok(Listed::default()) }
    }

    /// Suggests ids; `None` for no suggestions.
    fn completer(&self) -> Option<Completer> {
        None
    }
}

/// A page of the resources of a template.
#[derive(Clone, Debug)]
pub struct Listed<Id> {
    /// The id and the display name of each resource.
    pub resources: Vec<(Id, String)>,
    /// The cursor of the next page; absent on the last one.
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

/// The reading of a resource.
pub(crate) type ReadFuture = Pin<Box<dyn Future<Output = Result<Answer, ToolError>>>>;

/// A page of a list of resources, and the cursor of the next page.
pub(crate) type ListFuture =
    Pin<Box<dyn Future<Output = Result<(Vec<model::Resource>, Option<String>), ToolError>>>>;

/// A type-erased resource.
pub struct DeclaredResource {
    /// Its entry in `resources/list`, with the members of all revisions.
    pub descriptor: model::Resource,
    scopes: FeatureScopes,
    read: Box<dyn Fn(ReadContext) -> ReadFuture + Send + Sync>,
}

/// A type-erased resource template.
pub struct DeclaredTemplate {
    /// Its entry in `resources/templates/list`, with the members of all revisions.
    pub descriptor: model::ResourceTemplate,
    scopes: FeatureScopes,
    completer: Option<Completer>,
    is_id: fn(&str) -> bool,
    list: Option<Box<List>>,
    read: Box<Read>,
}

type Read = dyn Fn(ReadContext, &str) -> ReadFuture + Send + Sync;
type List = dyn Fn(ReadContext, Option<String>) -> ListFuture + Send + Sync;

/// The resource that a URI identifies. Whether the user has anything with that id is unknown.
#[derive(Clone, Copy)]
pub(crate) enum Located<'a> {
    /// A resource with a fixed URI.
    Resource(&'a DeclaredResource),
    /// A resource of a template, and its id.
    Template(&'a DeclaredTemplate, &'a str),
}

impl DeclaredResource {
    /// Erases the type of a resource.
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

    /// A resource without a Rust type.
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
    pub(crate) fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    pub(crate) fn is_at(&self, uri: Uri<'_>) -> bool {
        Uri::parse(&self.descriptor.uri).is_some_and(|own| uri.is(own))
    }
}

impl DeclaredTemplate {
    /// Erases the type of a template.
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

    /// A template without a Rust type, whose ids are numbers.
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
    pub(crate) fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    /// Whether `resources/list` contains its resources.
    #[must_use]
    pub(crate) fn is_listed(&self) -> bool {
        self.list.is_some()
    }

    /// A page of its resources: the first one, or the one after a cursor; `None` if they are not listed.
    #[must_use]
    pub(crate) fn list(&self, context: ReadContext, cursor: Option<String>) -> Option<ListFuture> {
        let list = self.list.as_ref()?;
        Some(list(context, cursor))
    }

    /// Whether the URI template has a variable of this name.
    #[must_use]
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        name == "id"
    }

    /// Suggests ids, if the template can.
    #[must_use]
    pub(crate) fn completer(&self) -> Option<&Completer> {
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
    pub(crate) fn scopes(self) -> ScopeSet {
        match self {
            Self::Resource(resource) => resource.scopes(),
            Self::Template(template, _) => template.scopes(),
        }
    }

    /// The URI as the server writes it, which is also the URI under which changes are published.
    #[must_use]
    pub(crate) fn canonical_uri(self) -> String {
        match self {
            Self::Resource(resource) => resource.descriptor.uri.clone(),
            Self::Template(template, id) => uri::expand(&template.descriptor.uri_template, &id),
        }
    }

    /// Reads it, for the user of the context.
    #[must_use]
    pub(crate) fn read(self, context: ReadContext) -> ReadFuture {
        match self {
            Self::Resource(resource) => (resource.read)(context),
            Self::Template(template, id) => (template.read)(context, id),
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
