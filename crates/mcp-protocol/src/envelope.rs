//! The parameters of a request, and the `_meta` members that every request of MCP 2026-07-28 carries.

use std::borrow::Cow;

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess},
};
use serde_json::value::RawValue;

use crate::{
    json::object::{LenientObject, ObjectMembers, as_str, is_object, read_first},
    logging::Level,
    outgoing::{ClientCapabilities, ProgressToken},
    rpc_error::RpcError,
};

/// The `_meta` member with the protocol version. Its presence marks a request as one of MCP 2026-07-28 (Base
/// Protocol, `_meta`).
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The `_meta` member with the client's capabilities.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The `_meta` member with the client's description of itself.
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// The `_meta` member with the log level.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The known members of `params`, found in one pass and not validated yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a> {
    /// `_meta`.
    pub(crate) meta: Option<LenientObject<Meta<'a>>>,
    /// `tools/call`, `prompts/get`: the name of the feature.
    pub name: Option<&'a RawValue>,
    /// `tools/call`, `prompts/get`: the arguments.
    pub arguments: Option<&'a RawValue>,
    /// `resources/read`, `resources/subscribe`: the URI.
    pub uri: Option<&'a RawValue>,
    /// `completion/complete`: `ref`.
    pub reference: Option<&'a RawValue>,
    /// `completion/complete`: the argument and its prefix.
    pub argument: Option<&'a RawValue>,
    /// `subscriptions/listen`: the filter.
    pub notifications: Option<&'a RawValue>,
    /// `logging/setLevel`: the level.
    pub level: Option<&'a RawValue>,
    /// Lists: the cursor.
    pub cursor: Option<&'a RawValue>,
    /// A repeated call: the responses to the requests of the previous round trip.
    pub input_responses: Option<&'a RawValue>,
    /// A repeated call: the state of the previous round trip.
    pub request_state: Option<&'a RawValue>,
    /// `initialize`: the requested version.
    pub protocol_version: Option<&'a RawValue>,
    /// `initialize`: the client's capabilities.
    pub capabilities: Option<&'a RawValue>,
    /// `initialize`: the client.
    pub client_info: Option<&'a RawValue>,
    /// `notifications/cancelled`: the id of the request.
    pub request_id: Option<&'a RawValue>,
}

impl<'a> ObjectMembers<'a> for Params<'a> {
    fn read_member<M: MapAccess<'a>>(
        &mut self,
        name: &str,
        object: &mut M,
    ) -> Result<bool, M::Error> {
        let member = match name {
            "_meta" => return read_first(&mut self.meta, object),
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
            "requestId" => &mut self.request_id,
            _ => return object.next_value().map(|IgnoredAny| true),
        };
        read_first(member, object)
    }
}

impl<'a> Params<'a> {
    /// Reads `params`; those that are absent or `null` are empty, and `null` for arguments or a cursor is none.
    ///
    /// # Errors
    /// `-32602` if they are not an object, or if a member appears twice, because two parsers could then read
    /// different requests.
    pub fn read(params: Option<&'a RawValue>) -> Result<Self, RpcError> {
        let read = |params: &'a RawValue| {
            serde_json::from_str(params.get()).unwrap_or(LenientObject(None))
        };
        Self::from_parsed(params.map(read))
    }

    /// Like [`Params::read`], for `params` that were parsed with their message.
    pub(crate) fn from_parsed(params: Option<LenientObject<Self>>) -> Result<Self, RpcError> {
        let mut params = params
            .unwrap_or(LenientObject(Some(Self::default())))
            .0
            .ok_or_else(|| {
                RpcError::invalid_params(
                    "Invalid params: params must be an object whose members appear once each",
                )
            })?;
        for optional in [&mut params.arguments, &mut params.cursor] {
            if optional.is_some_and(|member| member.get() == "null") {
                *optional = None;
            }
        }
        Ok(params)
    }

    /// The member that `Mcp-Name` repeats.
    #[must_use]
    pub(crate) fn naming(&self, member: &str) -> Option<&'a RawValue> {
        match member {
            "uri" => self.uri,
            _ => self.name,
        }
    }

    /// A member that must be a string.
    ///
    /// # Errors
    /// `-32602` with the name of the member, if it is missing or not a string.
    pub fn string(member: Option<&'a RawValue>, name: &str) -> Result<Cow<'a, str>, RpcError> {
        member.and_then(as_str).ok_or_else(|| {
            RpcError::invalid_params(format!("Invalid params: {name} must be a string"))
        })
    }

    /// The version that `initialize` requests; validates its other parameters as well.
    ///
    /// # Errors
    /// `-32602` with the name of the parameter that is missing or of the wrong type.
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

    /// The token for progress notifications, if the client asked for them (MCP, Progress).
    #[must_use]
    pub fn progress_token(&self) -> Option<ProgressToken> {
        ProgressToken::read(self.meta_members()?.progress_token?)
    }

    /// The `traceparent`, not validated (MCP 2026-07-28, Base Protocol, `_meta`).
    #[must_use]
    pub fn trace_parent(&self) -> Option<Cow<'a, str>> {
        as_str(self.meta_members()?.trace_parent?)
    }

    /// What the client says that it is called: `name` of `clientInfo`, in `initialize` or in `_meta` of a modern
    /// request. Nothing proves it.
    #[must_use]
    pub fn claimed_client(&self) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct ClientInfo<'a> {
            #[serde(borrow)]
            name: &'a RawValue,
        }
        let info = match self.client_info {
            Some(info) => info,
            None => self.meta_members()?.client_info?,
        };
        let ClientInfo { name } = serde_json::from_str(info.get()).ok()?;
        as_str(name)
    }

    /// Whether `_meta` has a protocol version, valid or not.
    #[must_use]
    pub fn claims_envelope(&self) -> bool {
        self.meta_members()
            .is_some_and(|meta| meta.protocol_version.is_some())
    }

    /// The members of `_meta`, none if it is absent; `None` if it is not an object, or if a member appears
    /// twice.
    fn meta_members(&self) -> Option<Meta<'a>> {
        self.meta.unwrap_or(LenientObject(Some(Meta::default()))).0
    }
}

/// The parameters of a request that outlive its body: those that a session needs.
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
            meta: Some(LenientObject(Some(Meta {
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

/// The `_meta` of a request of MCP 2026-07-28: its version and the capabilities of its client, which are
/// valid for this request only (Base Protocol, `_meta`).
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The version as the client wrote it.
    pub protocol_version: Cow<'a, str>,
    /// The client's capabilities.
    pub capabilities: ClientCapabilities,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meta<'a> {
    protocol_version: Option<&'a RawValue>,
    client_capabilities: Option<&'a RawValue>,
    log_level: Option<&'a RawValue>,
    progress_token: Option<&'a RawValue>,
    trace_parent: Option<&'a RawValue>,
    client_info: Option<&'a RawValue>,
}

impl<'a> ObjectMembers<'a> for Meta<'a> {
    fn read_member<M: MapAccess<'a>>(
        &mut self,
        name: &str,
        object: &mut M,
    ) -> Result<bool, M::Error> {
        let member = match name {
            PROTOCOL_VERSION => &mut self.protocol_version,
            CLIENT_CAPABILITIES => &mut self.client_capabilities,
            LOG_LEVEL => &mut self.log_level,
            "progressToken" => &mut self.progress_token,
            "traceparent" => &mut self.trace_parent,
            CLIENT_INFO => &mut self.client_info,
            _ => return object.next_value().map(|IgnoredAny| true),
        };
        read_first(member, object)
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope.
    ///
    /// # Errors
    /// `-32602` with the name of the member that is missing or of the wrong type. `clientInfo` and the log
    /// level are optional.
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
        // An unknown level is refused (MCP 2026-07-28, Logging). One that is known has no effect: log messages are
        // deprecated there, and none are sent.
        if let Some(level) = meta.log_level {
            Level::read(Some(level), &format!("_meta field {LOG_LEVEL}"))?;
        }
        Ok(Self {
            protocol_version,
            capabilities: ClientCapabilities::read(capabilities),
        })
    }
}
