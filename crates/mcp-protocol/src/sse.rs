//! Framing of `text/event-stream`. Messages are compact JSON, which has no line breaks, so an event
//! needs one `data` line.

use std::fmt;

/// The name of an event of a legacy stream: which stream, and which of its events, from 0 up. Events
/// of different streams never share a name, and the name leads back to the stream alone (L-22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The stream within its session.
    pub stream: u32,
    /// The event within its stream.
    pub event: u32,
}

impl EventId {
    /// Reads an id; `None` for what never was one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, event) = text.strip_prefix('s')?.split_once('-')?;
        let id = Self {
            stream: stream.parse().ok()?,
            event: event.parse().ok()?,
        };
        // Only what is written back the same: no `+1`, no leading zero.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}-{}", self.stream, self.event)
    }
}

/// A comment, which no client shows to anybody: it keeps the connection open through proxies (T-25).
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// One event with a message in it. Modern streams have no ids (T-26).
#[must_use]
pub fn message(id: Option<EventId>, json: &str) -> String {
    debug_assert!(!json.contains(['\n', '\r']), "a message is one line");
    match id {
        Some(id) => format!("id: {id}\ndata: {json}\n\n"),
        None => format!("data: {json}\n\n"),
    }
}

/// The first event of a stream of 2025-11-25: an id to resume from, no data, and how long to wait
/// before doing so (L-16).
#[must_use]
pub fn primer(id: EventId, retry_ms: u32) -> String {
    format!("id: {id}\nretry: {retry_ms}\ndata:\n\n")
}

/// Says that events are no longer kept, so that the gap does not pass for silence.
pub const GAP: &str = ": events before this are no longer kept\n\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads events back as a client does (HTML, Server-sent events, 9.2.6): `(id, data)`.
    fn read(stream: &str) -> Vec<(Option<String>, String)> {
        stream
            .split("\n\n")
            .filter(|block| !block.is_empty() && !block.starts_with(':'))
            .map(|block| {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                        .map(|value| value.trim_start().to_owned())
                };
                (field("id"), field("data").unwrap_or_default())
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_message_comes_back_as_it_was(texts in proptest::collection::vec("\\PC*|[\n\r\t]*", 0..5)) {
            let jsons: Vec<_> = texts.iter().map(|text| serde_json::json!(text).to_string()).collect();
            let stream: String = jsons
                .iter()
                .enumerate()
                .map(|(i, json)| {
                    let id = EventId { stream: 3, event: u32::try_from(i).unwrap() };
                    format!("{}{KEEP_ALIVE}", message(Some(id), json))
                })
                .collect();
            let expected: Vec<_> = jsons
                .into_iter()
                .enumerate()
                .map(|(i, json)| (Some(format!("s3-{i}")), json))
                .collect();
            prop_assert_eq!(read(&stream), expected);
        }

        #[test]
        fn an_event_id_round_trips(stream: u32, event: u32) {
            let id = EventId { stream, event };
            prop_assert_eq!(EventId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn any_text_is_an_event_id_or_not(text in "\\PC*") {
            let _ = EventId::parse(&text);
        }
    }

    #[test]
    fn what_was_never_written_is_no_event_id() {
        for text in [
            "",
            "s",
            "s1",
            "1-1",
            "s1-",
            "s01-1",
            "s+1-1",
            "s1-1 ",
            "s4294967296-0",
        ] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
