//! The parameters of `completion/complete`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    envelope::Params,
    json::object::{as_str, is_object, present},
    rpc_error::RpcError,
};

/// What is being completed (`ref`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// An argument of the prompt with this name.
    Prompt(Cow<'a, str>),
    /// A variable of this URI template.
    Template(Cow<'a, str>),
}

/// The argument that is being completed (`argument`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionArgument<'a> {
    /// The name of the argument or variable.
    pub name: Cow<'a, str>,
    /// The prefix that was typed.
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
struct RawArgument<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
}

impl<'a> Reference<'a> {
    /// Reads `ref`.
    ///
    /// # Errors
    /// `-32602` if it is missing or of another type.
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

impl<'a> CompletionArgument<'a> {
    /// Reads `argument`.
    ///
    /// # Errors
    /// `-32602` if it is missing or incomplete.
    pub fn read(params: &Params<'a>) -> Result<Self, RpcError> {
        let raw: RawArgument<'a> = object(params.argument, "argument")?;
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
