//! Messages of the server to the client: progress notifications and requests.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    json::object::{as_str, is_object},
    version::ProtocolVersion,
};

/// A request to the client: elicitation, sampling or roots.
#[derive(Clone, Debug)]
pub struct ServerRequest {
    /// The capability that the client must have.
    pub needs: ClientCapability,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: &'static str,
    /// The parameters.
    pub params: Value,
}

/// A capability of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCapability {
    /// Form elicitation.
    ElicitForm,
    /// Sampling.
    Sample,
    /// Roots.
    ListRoots,
}

impl ClientCapability {
    /// The `capabilities` with which a client declares it.
    #[must_use]
    pub fn capabilities(self) -> Value {
        match self {
            Self::ElicitForm => json!({ "elicitation": { "form": {} } }),
            Self::Sample => json!({ "sampling": {} }),
            Self::ListRoots => json!({ "roots": {} }),
        }
    }
}

/// The capabilities of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    form: bool,
    sampling: bool,
    roots: bool,
}

impl ClientCapabilities {
    /// Reads `capabilities`. Unknown or malformed members are ignored.
    #[must_use]
    pub fn read(capabilities: &RawValue) -> Self {
        #[derive(Default, serde::Deserialize)]
        struct Capabilities<'a> {
            #[serde(borrow)]
            elicitation: Option<&'a RawValue>,
            #[serde(borrow)]
            sampling: Option<&'a RawValue>,
            #[serde(borrow)]
            roots: Option<&'a RawValue>,
        }
        #[derive(Default, serde::Deserialize)]
        struct Modes<'a> {
            #[serde(borrow)]
            form: Option<&'a RawValue>,
            #[serde(borrow)]
            url: Option<&'a RawValue>,
        }
        let capabilities: Capabilities<'_> =
            serde_json::from_str(capabilities.get()).unwrap_or_default();
        let declared = |member: Option<&RawValue>| member.is_some_and(is_object);
        // Without modes, form mode is supported (MCP 2025-11-25, Elicitation).
        let form = capabilities
            .elicitation
            .filter(|elicitation| is_object(elicitation))
            .and_then(|elicitation| serde_json::from_str::<Modes<'_>>(elicitation.get()).ok())
            .is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
        Self {
            form,
            sampling: declared(capabilities.sampling),
            roots: declared(capabilities.roots),
        }
    }

    /// The capabilities that exist in a revision.
    #[must_use]
    pub const fn within(self, version: ProtocolVersion) -> Self {
        Self {
            form: self.form && version.has_elicitation(),
            ..self
        }
    }

    /// The capabilities as a byte, for [`ClientCapabilities::from_bits`]. The bits never change their meaning.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        self.form as u8 | (self.sampling as u8) << 1 | (self.roots as u8) << 2
    }

    /// The capabilities of these bits. Others are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            form: bits & 1 != 0,
            sampling: bits & 2 != 0,
            roots: bits & 4 != 0,
        }
    }

    /// Whether the client has any of them.
    #[must_use]
    pub const fn any(self) -> bool {
        self.form || self.sampling || self.roots
    }

    /// Whether the client has this one.
    #[must_use]
    pub const fn has(self, capability: ClientCapability) -> bool {
        match capability {
            ClientCapability::ElicitForm => self.form,
            ClientCapability::Sample => self.sampling,
            ClientCapability::ListRoots => self.roots,
        }
    }
}

/// A progress token: a string or an integer, kept as JSON (MCP, Progress).
#[derive(Clone, Debug)]
pub struct ProgressToken(Box<RawValue>);

impl ProgressToken {
    /// The longest token, in bytes of JSON.
    const LONGEST: usize = 256;

    /// Reads a token; `None` if it is invalid, which disables progress notifications.
    #[must_use]
    pub fn read(raw: &RawValue) -> Option<Self> {
        let usable = raw.get().len() <= Self::LONGEST
            && (as_str(raw).is_some() || raw.get().parse::<i64>().is_ok());
        usable.then(|| Self(raw.to_owned()))
    }
}

/// A progress notification.
#[must_use]
pub fn progress(token: &ProgressToken, progress: f64, total: Option<f64>, message: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Progress<'a> {
        progress_token: &'a RawValue,
        progress: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<f64>,
        message: &'a str,
    }
    notification(
        "notifications/progress",
        &Progress {
            progress_token: &token.0,
            progress,
            total,
            message,
        },
    )
}

/// A notification.
#[must_use]
pub fn notification(method: &str, params: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Notification<'a, P> {
        jsonrpc: &'static str,
        method: &'a str,
        params: &'a P,
    }
    serde_json::to_string(&Notification {
        jsonrpc: "2.0",
        method,
        params,
    })
    .expect("parameters are made of strings, numbers and JSON values")
}

/// A request to the client (legacy revisions). Ids are strings, so that none equals a number of the client.
#[must_use]
pub fn request(id: &str, request: &ServerRequest) -> String {
    serde_json::json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": request.method,
        "params": request.params,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    /// E-02.
    #[test]
    fn an_elicitation_without_modes_is_a_form() {
        for (capabilities, form) in [
            (json!({"elicitation": {}}), true),
            (json!({"elicitation": {"form": {}}}), true),
            (json!({"elicitation": {"form": {}, "url": {}}}), true),
            (json!({"elicitation": {"url": {}}}), false),
            (json!({"elicitation": null}), false),
            (json!({"elicitation": true}), false),
            (json!({}), false),
        ] {
            let capabilities = ClientCapabilities::read(&to_raw_value(&capabilities).unwrap());
            assert_eq!(
                capabilities.has(ClientCapability::ElicitForm),
                form,
                "{form}"
            );
        }
    }

    #[test]
    fn a_progress_token_keeps_its_type() {
        let shown = |value: Value| {
            ProgressToken::read(&to_raw_value(&value).unwrap())
                .map(|token| progress(&token, 0.5, Some(1.0), "half"))
        };
        assert_eq!(
            shown(json!("7")).unwrap(),
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"7","progress":0.5,"total":1.0,"message":"half"}}"#
        );
        assert!(shown(json!(7)).unwrap().contains(r#""progressToken":7"#));
        for token in [json!(1.5), json!(null), json!({}), json!("x".repeat(300))] {
            assert!(shown(token).is_none());
        }
    }
}
