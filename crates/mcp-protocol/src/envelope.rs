//! The parameters of a request, and the envelope that a modern request carries in them.

use std::borrow::Cow;

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::{
    json::object::{Members, Object, as_str, first, is_object},
    jsonrpc::RpcError,
    logging::Level,
    outgoing::{ClientCapabilities, ProgressToken},
};

/// The envelope's member for the protocol version; its presence makes a request modern (D-01).
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The envelope's member for what the client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The envelope's member for what the client wants to be told in passing.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The members of `params` that any method reads, found in one pass and not looked into yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a> {
    /// Metadata; holds the envelope.
    pub(crate) meta: Option<Object<Meta<'a>>>,
    /// `tools/call`, `prompts/get`: which one.
    pub name: Option<&'a RawValue>,
    /// `tools/call`, `prompts/get`: its arguments.
    pub arguments: Option<&'a RawValue>,
    /// `resources/read`: which one.
    pub uri: Option<&'a RawValue>,
    /// `completion/complete`: of what.
    pub reference: Option<&'a RawValue>,
    /// `completion/complete`: which argument of it, and what has been typed.
    pub argument: Option<&'a RawValue>,
    /// `subscriptions/listen`: what the client asks to be told of.
    pub notifications: Option<&'a RawValue>,
    /// `logging/setLevel`: how much a message has to matter.
    pub level: Option<&'a RawValue>,
    /// Lists: where to go on.
    pub cursor: Option<&'a RawValue>,
    /// A retried call: what the client has to say to the questions of the round before.
    pub input_responses: Option<&'a RawValue>,
    /// A retried call: what the server gave the client to bring back.
    pub request_state: Option<&'a RawValue>,
    /// `initialize`: the version asked for.
    pub protocol_version: Option<&'a RawValue>,
    /// `initialize`: what the client can do.
    pub capabilities: Option<&'a RawValue>,
    /// `initialize`: who the client is.
    pub client_info: Option<&'a RawValue>,
}

impl<'a> Members<'a> for Params<'a> {
    fn take<M: MapAccess<'a>>(&mut self, name: &str, object: &mut M) -> Result<bool, M::Error> {
        let member = match name {
            "_meta" => return first(&mut self.meta, object),
            "name" => &mut self.name,
            "arguments" => &mut self.arguments,
            "uri" => &mut self.uri,
            "ref" => &mut self.reference,
            "argument" => &mut self.argument,
            "notifications" => &mut self.notifications,
            "level" => &mut self.level,
            "cursor" => &mut self.cursor,
            "inputResponses" => &mut self.input_responses,
            "requestState" => &mut self.request_state,
            "protocolVersion" => &mut self.protocol_version,
            "capabilities" => &mut self.capabilities,
            "clientInfo" => &mut self.client_info,
            _ => return object.next_value().map(|IgnoredAny| true),
        };
        first(member, object)
    }
}

impl<'a> Params<'a> {
    /// Reads `params`; absent ones are empty.
    ///
    /// # Errors
    /// `-32602` if they are not an object, or name a member twice: two readers could then see two
    /// different requests.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, RpcError> {
        let read =
            |params: &'a RawValue| serde_json::from_str(params.get()).unwrap_or(Object(None));
        Self::given(params.map(read))
    }

    /// The same of `params` that have been read with their message.
    pub(crate) fn given(params: Option<Object<Self>>) -> Result<Self, RpcError> {
        params
            .unwrap_or(Object(Some(Self::default())))
            .0
            .ok_or_else(|| {
                RpcError::invalid_params(
                    "Invalid params: params must be an object whose members appear once each",
                )
            })
    }

    /// The member of that name, if it is one that `Mcp-Name` can mirror.
    #[must_use]
    pub(crate) fn naming(&self, member: &str) -> Option<&'a RawValue> {
        match member {
            "uri" => self.uri,
            _ => self.name,
        }
    }

    /// A member that has to be a string.
    ///
    /// # Errors
    /// `-32602` naming the member, if it is absent or no string.
    pub fn string(member: Option<&'a RawValue>, name: &str) -> Result<Cow<'a, str>, RpcError> {
        member.and_then(as_str).ok_or_else(|| {
            RpcError::invalid_params(format!("Invalid params: {name} must be a string"))
        })
    }

    /// The version that an `initialize` asks for, whose other parameters are checked as well.
    ///
    /// # Errors
    /// `-32602` naming the parameter that is missing or of the wrong type (L-01).
    pub fn requested_version(&self) -> Result<Cow<'a, str>, RpcError> {
        let requested = Self::string(self.protocol_version, "protocolVersion")?;
        for (member, name) in [
            (self.capabilities, "capabilities"),
            (self.client_info, "clientInfo"),
        ] {
            if !member.is_some_and(is_object) {
                return Err(RpcError::invalid_params(format!(
                    "Invalid params: {name} must be an object"
                )));
            }
        }
        Ok(requested)
    }

    /// The token under which the client wants to hear of progress, if it does (P-18).
    #[must_use]
    pub fn progress_token(&self) -> Option<ProgressToken> {
        ProgressToken::read(self.meta_members()?.progress_token?)
    }

    /// The `traceparent` of the trace that the message belongs to, if there is one (MCP 2026-07-28, Base
    /// Protocol, `_meta`). It has not been looked at.
    #[must_use]
    pub fn trace_parent(&self) -> Option<Cow<'a, str>> {
        as_str(self.meta_members()?.trace_parent?)
    }

    /// Whether the request claims to be modern, well or badly.
    #[must_use]
    pub fn claims_envelope(&self) -> bool {
        self.meta_members()
            .is_some_and(|meta| meta.protocol_version.is_some())
    }

    /// The members of `_meta`; those of none if there is none. `None` if it is no object, or names a member
    /// twice.
    fn meta_members(&self) -> Option<Meta<'a>> {
        self.meta.unwrap_or(Object(Some(Meta::default()))).0
    }
}

/// The parameters of a request, on their way to a reader that outlives the body they came in: what a
/// session's actor needs of them.
#[derive(Clone, Debug, Default)]
pub struct OwnedParams {
    name: Option<Box<RawValue>>,
    arguments: Option<Box<RawValue>>,
    uri: Option<Box<RawValue>>,
    reference: Option<Box<RawValue>>,
    argument: Option<Box<RawValue>>,
    level: Option<Box<RawValue>>,
    cursor: Option<Box<RawValue>>,
    progress_token: Option<Box<RawValue>>,
}

impl OwnedParams {
    /// The parameters as they were read.
    #[must_use]
    pub fn borrow(&self) -> Params<'_> {
        Params {
            meta: Some(Object(Some(Meta {
                progress_token: self.progress_token.as_deref(),
                ..Meta::default()
            }))),
            name: self.name.as_deref(),
            arguments: self.arguments.as_deref(),
            uri: self.uri.as_deref(),
            reference: self.reference.as_deref(),
            argument: self.argument.as_deref(),
            level: self.level.as_deref(),
            cursor: self.cursor.as_deref(),
            ..Params::default()
        }
    }
}

impl From<&Params<'_>> for OwnedParams {
    fn from(params: &Params<'_>) -> Self {
        let owned = |member: Option<&RawValue>| member.map(ToOwned::to_owned);
        Self {
            name: owned(params.name),
            arguments: owned(params.arguments),
            uri: owned(params.uri),
            reference: owned(params.reference),
            argument: owned(params.argument),
            level: owned(params.level),
            cursor: owned(params.cursor),
            progress_token: owned(params.meta_members().and_then(|meta| meta.progress_token)),
        }
    }
}

/// The envelope of a modern request: which version it speaks, and what its client can do. Nothing
/// else about the client is known, and nothing is remembered (MCP 2026-07-28, Base Protocol).
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The version as the client wrote it.
    pub protocol_version: Cow<'a, str>,
    /// What the client can do for the server, as far as this very request says (B-07).
    pub capabilities: ClientCapabilities,
    /// How much a message has to matter for the client to be told it on the stream of this request;
    /// without a level it is told none (S-18).
    pub log_level: Option<Level>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meta<'a> {
    protocol_version: Option<&'a RawValue>,
    client_capabilities: Option<&'a RawValue>,
    log_level: Option<&'a RawValue>,
    progress_token: Option<&'a RawValue>,
    trace_parent: Option<&'a RawValue>,
}

impl<'a> Members<'a> for Meta<'a> {
    fn take<M: MapAccess<'a>>(&mut self, name: &str, object: &mut M) -> Result<bool, M::Error> {
        let member = match name {
            PROTOCOL_VERSION => &mut self.protocol_version,
            CLIENT_CAPABILITIES => &mut self.client_capabilities,
            LOG_LEVEL => &mut self.log_level,
            "progressToken" => &mut self.progress_token,
            "traceparent" => &mut self.trace_parent,
            _ => return object.next_value().map(|IgnoredAny| true),
        };
        first(member, object)
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope.
    ///
    /// # Errors
    /// `-32602` naming the member that is missing or of the wrong type (B-05). `clientInfo` may be
    /// missing (B-06), and so may the log level, but it is one if it is there (S-18).
    pub fn read(params: &Params<'a>) -> Result<Self, RpcError> {
        let meta = params.meta_members().ok_or_else(|| {
            RpcError::invalid_params(
                "Invalid params: _meta must be an object whose members appear once each",
            )
        })?;
        let missing = |name| RpcError::invalid_params(format!("Missing _meta field {name}"));
        let protocol_version = meta
            .protocol_version
            .ok_or_else(|| missing(PROTOCOL_VERSION))?;
        let capabilities = meta
            .client_capabilities
            .ok_or_else(|| missing(CLIENT_CAPABILITIES))?;
        let protocol_version = as_str(protocol_version).ok_or_else(|| {
            RpcError::invalid_params(format!("_meta field {PROTOCOL_VERSION} must be a string"))
        })?;
        if !is_object(capabilities) {
            return Err(RpcError::invalid_params(format!(
                "_meta field {CLIENT_CAPABILITIES} must be an object"
            )));
        }
        let log_level = meta
            .log_level
            .map(|level| Level::read(Some(level), &format!("_meta field {LOG_LEVEL}")))
            .transpose()?;
        Ok(Self {
            protocol_version,
            capabilities: ClientCapabilities::read(capabilities),
            log_level,
        })
    }
}
