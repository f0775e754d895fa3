//! A resource that is too long to be held at once: fetched piece by piece as the client takes it.

use std::sync::Arc;

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web::Bytes};
use futures_util::{Stream, stream};

use mcp_protocol::{
    answer::{Chunks, Document},
    jsonrpc::{self, Id},
    version::ProtocolVersion,
    wire_format::{self, WireFormat},
};
use resource_server::cause::Cause;

/// The successful response to whoever reads a document. If a piece cannot be fetched, the connection
/// breaks off: the status has been sent, and half a document must not look like a whole one.
pub(crate) fn response(
    document: &Document,
    id: &Id,
    version: ProtocolVersion,
    wire: &WireFormat,
) -> HttpResponse {
    let (mut before, end) = jsonrpc::around_result(id);
    let (opening, closing) = wire.around_document(document, version);
    before.push_str(&opening);
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("application/json")
        .streaming(body(before, Arc::clone(&document.pieces), closing + end))
}

/// What is to be sent next.
enum Next {
    Before(String),
    Piece(u32),
    Nothing,
}

fn body(
    before: String,
    pieces: Arc<dyn Chunks>,
    after: String,
) -> impl Stream<Item = Result<Bytes, Cause>> {
    stream::try_unfold(
        (Next::Before(before), pieces, after),
        |(next, pieces, after)| async move {
            let (text, next) = match next {
                Next::Before(text) => (text, Next::Piece(0)),
                Next::Piece(place) if place < pieces.count() => {
                    let piece = pieces.fetch(place).await.map_err(|cause| {
                        log::warn!("a document broke off at piece {place}: {cause}");
                        Cause::new(cause)
                    })?;
                    (wire_format::escaped(&piece), Next::Piece(place + 1))
                }
                Next::Piece(_) => (after.clone(), Next::Nothing),
                Next::Nothing => return Ok(None),
            };
            Ok(Some((Bytes::from(text), (next, pieces, after))))
        },
    )
}
