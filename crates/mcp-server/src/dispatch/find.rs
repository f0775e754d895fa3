//! Finds the feature that a request names. Done once, for the access log, the call record and the call.

use std::borrow::Cow;

use super::failure::unknown;
use crate::features::{
    call_record::{Feature, FeatureKind},
    catalogue::Catalogue,
    completion::Completer,
    target::Target,
};
use mcp_protocol::{
    completion::{CompletionArgument, Reference},
    envelope::Params,
    method::Method,
    rpc_error::RpcError,
    version::ProtocolVersion,
    wire_format,
};
use resource_server::scope::ScopeSet;

impl Target {
    /// Finds the feature that a request names.
    ///
    /// # Errors
    /// `-32602` if the name is missing or unknown; for an unknown URI see
    /// [`wire_format::resource_not_found`].
    pub(crate) fn find(
        catalogue: &Catalogue,
        method: Method,
        params: &Params<'_>,
        version: ProtocolVersion,
    ) -> Result<Self, RpcError> {
        let name = || Params::string(params.name, "name");
        match method {
            Method::CallTool => {
                let name = name()?;
                let index = catalogue.tool_index(&name);
                index.map(Self::Tool).ok_or_else(|| unknown("tool", &name))
            }
            Method::GetPrompt => {
                let name = name()?;
                let index = catalogue.prompt_index(&name);
                index
                    .map(Self::Prompt)
                    .ok_or_else(|| unknown("prompt", &name))
            }
            Method::ReadResource | Method::Subscribe => {
                let uri = Params::string(params.uri, "uri")?;
                let found = catalogue.target_of_uri(&uri);
                found.ok_or_else(|| wire_format::resource_not_found(&uri, version))
            }
            Method::Complete => match Reference::read(params)? {
                Reference::Prompt(prompt) => catalogue
                    .prompt_index(&prompt)
                    .map(Self::PromptCompletion)
                    .ok_or_else(|| unknown("prompt", &prompt)),
                Reference::Template(uri) => catalogue
                    .template_index(&uri)
                    .map(Self::TemplateCompletion)
                    .ok_or_else(|| unknown("resource template", &uri)),
            },
            Method::Ping
            | Method::Discover
            | Method::ListTools
            | Method::ListResources
            | Method::ListResourceTemplates
            | Method::ListPrompts
            | Method::Listen
            | Method::Unsubscribe
            | Method::SetLogLevel => Ok(Self::Method),
        }
    }

    /// The scopes that the request needs; none if it is invalid.
    #[must_use]
    pub(crate) fn scopes(self, catalogue: &Catalogue, params: &Params<'_>) -> ScopeSet {
        match self {
            Self::Method => ScopeSet::EMPTY,
            Self::Tool(index) => catalogue.tool(index).scopes_of_call(params.arguments),
            Self::Prompt(index) => catalogue.prompt(index).scopes(),
            Self::Resource(index) => catalogue.resource(index).scopes(),
            Self::Template(index) => catalogue.template(index).scopes(),
            Self::PromptCompletion(_) | Self::TemplateCompletion(_) => {
                let typed = CompletionArgument::read(params);
                let name = typed.as_ref().map_or("", |typed| &typed.name);
                let suggested = self.completer(catalogue, name);
                let given_away = suggested.map_or(ScopeSet::EMPTY, Completer::scopes);
                let of_feature = match self {
                    Self::PromptCompletion(index) => catalogue.prompt(index).scopes(),
                    Self::TemplateCompletion(index) => catalogue.template(index).scopes(),
                    _ => ScopeSet::EMPTY,
                };
                of_feature.union(given_away)
            }
        }
    }

    /// Suggests values for an argument or a variable, if the feature can.
    pub(crate) fn completer<'c>(
        self,
        catalogue: &'c Catalogue,
        argument: &str,
    ) -> Option<&'c Completer> {
        match self {
            Self::PromptCompletion(index) => catalogue.prompt(index).completer(argument),
            Self::TemplateCompletion(index) => {
                let template = catalogue.template(index);
                let completer = template.completer();
                completer.filter(|_| template.has_variable(argument))
            }
            _ => None,
        }
    }

    /// Whether the feature has an argument or a variable of this name.
    pub(crate) fn has_argument(self, catalogue: &Catalogue, argument: &str) -> bool {
        match self {
            Self::PromptCompletion(index) => catalogue.prompt(index).has_argument(argument),
            Self::TemplateCompletion(index) => catalogue.template(index).has_variable(argument),
            _ => false,
        }
    }

    /// The feature for the log and the call record; `None` for methods that show no data of a user.
    #[must_use]
    pub(crate) fn feature(self, catalogue: &Catalogue, method: Method) -> Option<Feature> {
        let feature = |kind, name: Cow<'static, str>| {
            Some(Feature {
                kind,
                name,
                writes: false,
            })
        };
        let owned = |text: &str| Cow::Owned(text.to_owned());
        match self {
            Self::Tool(index) => {
                let tool = catalogue.tool(index);
                Some(Feature {
                    kind: FeatureKind::Tool,
                    name: tool.descriptor.name.clone(),
                    writes: tool.writes(),
                })
            }
            Self::Prompt(index) => {
                feature(FeatureKind::Prompt, owned(catalogue.prompt(index).name()))
            }
            Self::Resource(index) if method == Method::ReadResource => feature(
                FeatureKind::Resource,
                owned(&catalogue.resource(index).descriptor.uri),
            ),
            Self::Template(index) if method == Method::ReadResource => feature(
                FeatureKind::Resource,
                owned(&catalogue.template(index).descriptor.uri_template),
            ),
            Self::PromptCompletion(index) => feature(
                FeatureKind::Completion,
                owned(catalogue.prompt(index).name()),
            ),
            Self::TemplateCompletion(index) => feature(
                FeatureKind::Completion,
                owned(&catalogue.template(index).descriptor.uri_template),
            ),
            // The list has the user's own resources in it.
            Self::Method if method == Method::ListResources => {
                feature(FeatureKind::List, "resources".into())
            }
            Self::Method | Self::Resource(_) | Self::Template(_) => None,
        }
    }
}
