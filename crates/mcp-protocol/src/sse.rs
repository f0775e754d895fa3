//! Events of `text/event-stream`. Messages are compact JSON without line breaks, so an event needs one `data`
//! line.

use std::fmt;

/// The id of an event of a legacy stream, unique within its session (MCP 2025-11-25, Transports, Resumability
/// and Redelivery).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Distinguishes the streams of a session that several processes continue, one after another or at the same
    /// time; 0 where one alone does, and then not written.
    pub instance: u64,
    /// The number of the stream.
    pub stream: u32,
    /// The number of the event within its stream, from 0.
    pub event: u32,
}

impl EventId {
    /// Parses an id; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('s')?.splitn(3, '-');
        let id = Self {
            stream: parts.next()?.parse().ok()?,
            event: parts.next()?.parse().ok()?,
            instance: match parts.next() {
                Some(instance) => u64::from_str_radix(instance, 16).ok()?,
                None => 0,
            },
        };
        // Only the canonical form: no `+1`, no leading zero.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}-{}", self.stream, self.event)?;
        match self.instance {
            0 => Ok(()),
            instance => write!(f, "-{instance:016x}"),
        }
    }
}

/// A comment, which keeps the connection open through proxies.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// An event with a message. Events of MCP 2026-07-28 have no ids.
#[must_use]
pub fn message(id: Option<EventId>, json: &str) -> String {
    debug_assert!(!json.contains(['\n', '\r']), "a message is one line");
    match id {
        Some(id) => format!("id: {id}\ndata: {json}\n\n"),
        None => format!("data: {json}\n\n"),
    }
}

/// The first event of a stream of MCP 2025-11-25: an id to resume from, no data, and the `retry` time.
#[must_use]
pub fn priming_event(id: EventId, retry_ms: u32) -> String {
    format!("id: {id}\nretry: {retry_ms}\ndata:\n\n")
}

/// A comment that marks events which are no longer stored.
pub const GAP_MARKER: &str = ": events before this are no longer kept\n\n";

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
                    let id = EventId { instance: 0, stream: 3, event: u32::try_from(i).unwrap() };
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
        fn an_event_id_round_trips(instance in prop_oneof![Just(0u64), any::<u64>()], stream: u32, event: u32) {
            let id = EventId { instance, stream, event };
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
            "s1-1-",
            "s1-1-1",
            "s1-1-0000000000000000",
            "s1-1-00000000000000AB",
            "s1-1-00000000000000ab-",
            "s1-1-100000000000000ab",
        ] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
