//! What the revisions before 2026-07-28 have of their own: sessions, batches, streams to resume.

mod batches;
mod cancellation;
mod continuity;
mod elicitation;
mod initialize;
mod processes;
mod sessions;
mod streams;
