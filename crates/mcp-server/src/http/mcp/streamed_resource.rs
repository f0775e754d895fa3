//! A resource that is too long for memory: fetched in chunks while the client receives it.

use std::sync::Arc;

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web::Bytes};
use futures_util::{Stream, stream};

use mcp_protocol::{
    answer::{Chunks, StreamedResource},
    jsonrpc::{self, Id},
    version::ProtocolVersion,
    wire_format::{self, WireFormat},
};
use resource_server::cause::Cause;

/// The response with a streamed resource. If a chunk cannot be fetched, the connection is closed: the status
/// has been sent already, and a part must not look complete.
pub(crate) fn response(
    resource: &StreamedResource,
    id: &Id,
    version: ProtocolVersion,
    wire: &WireFormat,
) -> HttpResponse {
    let (mut before, end) = jsonrpc::around_result(id);
    let (opening, closing) = wire.around_streamed(resource, version);
    before.push_str(&opening);
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .streaming(body(before, Arc::clone(&resource.chunks), closing + end))
}

/// The next part of the body.
enum Next {
    Before(String),
    Chunk(u32),
    Nothing,
}

fn body(
    before: String,
    chunks: Arc<dyn Chunks>,
    after: String,
) -> impl Stream<Item = Result<Bytes, Cause>> {
    stream::try_unfold(
        (Next::Before(before), chunks, after),
        |(next, chunks, after)| async move {
            let (text, next) = match next {
                Next::Before(text) => (text, Next::Chunk(0)),
                Next::Chunk(index) if index < chunks.count() => {
                    let chunk = chunks.chunk(index).await.map_err(|cause| {
                        log::warn!("a streamed resource broke off at chunk {index}: {cause}");
                        Cause::new(cause)
                    })?;
                    (wire_format::escaped(&chunk), Next::Chunk(index + 1))
                }
                Next::Chunk(_) => (after.clone(), Next::Nothing),
                Next::Nothing => return Ok(None),
            };
            Ok(Some((Bytes::from(text), (next, chunks, after))))
        },
    )
}
