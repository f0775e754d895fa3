//! What a `completion/complete` asks.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    envelope::Params,
    json::object::{as_str, is_object, present},
    jsonrpc::RpcError,
};

/// Of what something is to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// The prompt of that name.
    Prompt(Cow<'a, str>),
    /// The resource template that is written so.
    Template(Cow<'a, str>),
}

/// What is to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed<'a> {
    /// The argument's name, or the variable's.
    pub name: Cow<'a, str>,
    /// What has been typed so far.
    pub value: Cow<'a, str>,
}

#[derive(Deserialize)]
struct RawReference<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "present")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    uri: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawTyped<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
}

impl<'a> Reference<'a> {
    /// Reads `ref`.
    ///
    /// # Errors
    /// `-32602` if it is absent, or names neither a prompt nor a resource.
    pub fn read(params: &Params<'a>) -> Result<Self, RpcError> {
        let raw: RawReference<'a> = object(params.reference, "ref")?;
        match raw.kind.and_then(as_str).as_deref() {
            Some("ref/prompt") => Params::string(raw.name, "ref.name").map(Self::Prompt),
            Some("ref/resource") => Params::string(raw.uri, "ref.uri").map(Self::Template),
            _ => Err(RpcError::invalid_params(
                "Invalid params: ref.type must be ref/prompt or ref/resource",
            )),
        }
    }
}

impl<'a> Typed<'a> {
    /// Reads `argument`.
    ///
    /// # Errors
    /// `-32602` if it is absent, or lacks one of its two strings.
    pub fn read(params: &Params<'a>) -> Result<Self, RpcError> {
        let raw: RawTyped<'a> = object(params.argument, "argument")?;
        Ok(Self {
            name: Params::string(raw.name, "argument.name")?,
            value: Params::string(raw.value, "argument.value")?,
        })
    }
}

fn object<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>, name: &str) -> Result<T, RpcError> {
    member
        .filter(|raw| is_object(raw))
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or_else(|| {
            RpcError::invalid_params(format!(
                "Invalid params: {name} must be an object whose members appear once each"
            ))
        })
}
