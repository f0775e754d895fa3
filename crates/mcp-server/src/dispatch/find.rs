//! What a request is about: found once, by name or URI, for the access log, the record of calls and the
//! call itself.

use std::borrow::Cow;

use super::failure::unknown;
use crate::features::{
    call_record::{Feature, FeatureKind},
    catalogue::Catalogue,
    completion::Completer,
    target::Target,
};
use mcp_protocol::{
    completion::{Reference, Typed},
    envelope::Params,
    jsonrpc::RpcError,
    method::Method,
    version::ProtocolVersion,
    wire_format,
};
use resource_server::scope::ScopeSet;

impl Target {
    /// Finds what a request is about.
    ///
    /// # Errors
    /// `-32602` for a name that is missing or is not declared; the resource's own error for a URI that
    /// leads nowhere.
    pub fn find(
        catalogue: &Catalogue,
        method: Method,
        params: &Params<'_>,
        version: ProtocolVersion,
    ) -> Result<Self, RpcError> {
        let name = || Params::string(params.name, "name");
        match method {
            Method::CallTool => {
                let name = name()?;
                let place = catalogue.tool_place(&name);
                place.map(Self::Tool).ok_or_else(|| unknown("tool", &name))
            }
            Method::GetPrompt => {
                let name = name()?;
                let place = catalogue.prompt_place(&name);
                place
                    .map(Self::Prompt)
                    .ok_or_else(|| unknown("prompt", &name))
            }
            Method::ReadResource | Method::Subscribe => {
                let uri = Params::string(params.uri, "uri")?;
                let found = catalogue.locate_place(&uri);
                found.ok_or_else(|| wire_format::resource_not_found(&uri, version))
            }
            Method::Complete => match Reference::read(params)? {
                Reference::Prompt(prompt) => catalogue
                    .prompt_place(&prompt)
                    .map(Self::PromptCompletion)
                    .ok_or_else(|| unknown("prompt", &prompt)),
                Reference::Template(uri) => catalogue
                    .template_place(&uri)
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

    /// The scopes that the request needs. Nothing, if it is wrong in another way.
    #[must_use]
    pub fn scopes(self, catalogue: &Catalogue, params: &Params<'_>) -> ScopeSet {
        match self {
            Self::Method => ScopeSet::EMPTY,
            Self::Tool(place) => catalogue.tool(place).scopes_of_call(params.arguments),
            Self::Prompt(place) => catalogue.prompt(place).scopes(),
            Self::Resource(place) => catalogue.resource(place).scopes(),
            Self::Template(place) => catalogue.template(place).scopes(),
            Self::PromptCompletion(_) | Self::TemplateCompletion(_) => {
                let typed = Typed::read(params);
                let name = typed.as_ref().map_or("", |typed| &typed.name);
                let suggested = self.completer(catalogue, name);
                let given_away = suggested.map_or(ScopeSet::EMPTY, Completer::scopes);
                let of_feature = match self {
                    Self::PromptCompletion(place) => catalogue.prompt(place).scopes(),
                    Self::TemplateCompletion(place) => catalogue.template(place).scopes(),
                    _ => ScopeSet::EMPTY,
                };
                of_feature.union(given_away)
            }
        }
    }

    /// What suggests values for an argument or a variable, if anything does.
    pub(crate) fn completer<'c>(
        self,
        catalogue: &'c Catalogue,
        argument: &str,
    ) -> Option<&'c Completer> {
        match self {
            Self::PromptCompletion(place) => catalogue.prompt(place).completer(argument),
            Self::TemplateCompletion(place) => {
                let template = catalogue.template(place);
                let completer = template.completer();
                completer.filter(|_| template.has_variable(argument))
            }
            _ => None,
        }
    }

    /// Whether there is an argument or a variable of that name.
    pub(crate) fn has_argument(self, catalogue: &Catalogue, argument: &str) -> bool {
        match self {
            Self::PromptCompletion(place) => catalogue.prompt(place).has_argument(argument),
            Self::TemplateCompletion(place) => catalogue.template(place).has_variable(argument),
            _ => false,
        }
    }

    /// The feature, for the log and the record of calls; `None` for methods that show nothing of a
    /// user's.
    #[must_use]
    pub fn feature(self, catalogue: &Catalogue, method: Method) -> Option<Feature> {
        let feature = |kind, name: Cow<'static, str>| {
            Some(Feature {
                kind,
                name,
                writes: false,
            })
        };
        let owned = |text: &str| Cow::Owned(text.to_owned());
        match self {
            Self::Tool(place) => {
                let tool = catalogue.tool(place);
                Some(Feature {
                    kind: FeatureKind::Tool,
                    name: tool.descriptor.name.clone(),
                    writes: tool.writes(),
                })
            }
            Self::Prompt(place) => {
                feature(FeatureKind::Prompt, owned(catalogue.prompt(place).name()))
            }
            Self::Resource(place) if method == Method::ReadResource => feature(
                FeatureKind::Resource,
                owned(&catalogue.resource(place).descriptor.uri),
            ),
            Self::Template(place) if method == Method::ReadResource => feature(
                FeatureKind::Resource,
                owned(&catalogue.template(place).descriptor.uri_template),
            ),
            Self::PromptCompletion(place) => feature(
                FeatureKind::Completion,
                owned(catalogue.prompt(place).name()),
            ),
            Self::TemplateCompletion(place) => feature(
                FeatureKind::Completion,
                owned(&catalogue.template(place).descriptor.uri_template),
            ),
            // The list has the user's own resources in it.
            Self::Method if method == Method::ListResources => {
                feature(FeatureKind::List, "resources".into())
            }
            Self::Method | Self::Resource(_) | Self::Template(_) => None,
        }
    }
}
