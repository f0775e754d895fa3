//! Private functions for the fuzz targets of the workspace. Not part of the public interface.

use mcp_protocol::{jsonrpc::Incoming, sse::EventId};
use resource_server::scope::ScopeSet;
use serde_json::value::RawValue;

use crate::{
    budgets::{Budgets, MemoryLimits},
    http::mcp::batch,
    session::streams::Streams,
};

/// Reads the messages of a batch; `None` if it is refused.
#[must_use]
pub fn batch<'a>(members: &[&'a RawValue]) -> Option<Vec<Incoming<'a>>> {
    batch::read(members).ok()
}

/// Resumes a stream of a session that has two, with `sent` messages each, after an event. Returns what the
/// client receives; `None` if the stream cannot be resumed.
#[must_use]
pub fn resumed(sent: u32, after: EventId) -> Option<Vec<String>> {
    let account = Budgets::new(MemoryLimits::default()).account_of_nobody();
    let mut streams = Streams::new(true, account, 0);
    let opened: Vec<_> = (0..2).map(|_| streams.open(ScopeSet::EMPTY)).collect();
    for number in 0..sent {
        for (id, _) in &opened {
            streams.send(*id, &number.to_string());
        }
    }
    let mut events = streams.resume(after, ScopeSet::EMPTY)?;
    Some(std::iter::from_fn(|| Some(events.try_recv().ok()?.text)).collect())
}
