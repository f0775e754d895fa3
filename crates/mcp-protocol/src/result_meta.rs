//! Members that results of MCP 2026-07-28 have besides their content: `resultType`, `_meta` and cache hints.

use rmcp::model::Implementation;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::version::ProtocolVersion;

/// `resultType` and `_meta` (MCP 2026-07-28, Base Protocol); legacy results have neither.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultMeta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

impl<'a> ResultMeta<'a> {
    pub(crate) fn new(version: ProtocolVersion, meta: &'a RawValue) -> Self {
        Self {
            result_type: version.is_modern().then_some("complete"),
            meta: version.is_modern().then_some(meta),
        }
    }
}

/// The `_meta` of every modern result of a server.
pub(crate) fn server_meta(server_info: Implementation) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Meta {
        #[serde(rename = "io.modelcontextprotocol/serverInfo")]
        server_info: Implementation,
    }
    to_raw_value(&Meta { server_info }).expect("an implementation is made of strings")
}

/// `ttlMs` and `cacheScope` (MCP 2026-07-28, Caching).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CacheHint {
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<&'static str>,
}

impl CacheHint {
    pub(crate) fn new(version: ProtocolVersion, scope: &'static str, ttl_ms: u64) -> Self {
        Self {
            ttl_ms: version.is_modern().then_some(ttl_ms),
            cache_scope: version.is_modern().then_some(scope),
        }
    }
}
