//! The streams of a session, with their last events for clients that resume them (MCP 2025-11-25, Transports,
//! Resumability and Redelivery). No I/O.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;

use crate::budgets::{Account, Taken, Use};
use mcp_protocol::sse::{self, EventId};
use resource_server::scope::ScopeSet;

/// Events of a session that are stored for all its streams.
const MAX_EVENTS: usize = 256;

/// The size of stored events, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Events that may be queued for a client that reads slowly. If there are more, the connection is closed; the
/// client can resume.
const QUEUE: usize = 64;

/// The `retry` field: how long a client waits before it resumes, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// The stream that a GET opens. Streams of calls are numbered from 1.
pub(crate) const STANDALONE_STREAM: u32 = 0;

/// The events of one connection, until the stream or the connection ends.
pub(crate) type EventReceiver = mpsc::Receiver<Frame>;

/// An event as it is sent, and what it takes of the memory for answers until then.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) text: String,
    pub(crate) taken: Option<Taken>,
}

impl Frame {
    /// A short one, which is not counted.
    pub(crate) fn short(text: String) -> Self {
        Self { text, taken: None }
    }

    /// A copy of an event; `None` if the user has too much that is not read.
    fn counted(text: &str, account: &Account) -> Option<Self> {
        let taken = account.take_for_answer(text.len()).ok()?;
        Some(Self {
            text: text.to_owned(),
            taken: Some(taken),
        })
    }
}

/// The streams of one session.
pub(crate) struct Streams {
    streams: BTreeMap<u32, Stream>,
    next: u32,
    events_kept: usize,
    bytes_kept: usize,
    /// What the events take of the memory for them.
    taken: Taken,
    account: Account,
    has_priming_events: bool,
}

#[derive(Default)]
struct Stream {
    events: VecDeque<(u32, String)>,
    next: u32,
    /// The newest message that is no longer stored.
    forgotten: Option<u32>,
    ended: bool,
    /// The scopes of the token of the call. For the standalone stream: the union of the scopes of the tokens
    /// for which stored events were sent.
    scopes: ScopeSet,
    sender: Option<mpsc::Sender<Frame>>,
}

impl Streams {
    /// No streams yet. With `has_priming_events`, each connection begins with an event without data, from
    /// which it can be resumed (MCP 2025-11-25).
    pub(crate) fn new(has_priming_events: bool, account: Account) -> Self {
        Self {
            streams: BTreeMap::new(),
            next: STANDALONE_STREAM + 1,
            events_kept: 0,
            bytes_kept: 0,
            taken: account.nothing(Use::Events),
            account,
            has_priming_events,
        }
    }

    /// Opens the stream of a call whose token has these scopes.
    pub(crate) fn open(&mut self, scopes: ScopeSet) -> (u32, EventReceiver) {
        let id = self.next;
        self.next += 1;
        let stream = Stream {
            scopes,
            ..Stream::default()
        };
        self.streams.insert(id, stream);
        (id, self.connect(id, None))
    }

    /// Opens the standalone stream, or moves it to a newer connection: each message is sent on one connection
    /// only (MCP 2025-11-25, Transports, Multiple Connections).
    pub(crate) fn open_standalone(&mut self, granted: ScopeSet) -> EventReceiver {
        let stream = self.streams.entry(STANDALONE_STREAM).or_default();
        stream.scopes = if stream.events.is_empty() {
            granted
        } else {
            stream.scopes.union(granted)
        };
        self.connect(STANDALONE_STREAM, None)
    }

    /// Whether the standalone stream has a connection.
    pub(crate) fn has_listener(&self) -> bool {
        self.streams
            .get(&STANDALONE_STREAM)
            .and_then(|stream| stream.sender.as_ref())
            .is_some_and(|sender| !sender.is_closed())
    }

    /// Resumes a stream after an event. `None` if the stream is unknown or no longer stored, or if the token
    /// lacks its scopes.
    pub(crate) fn resume(&mut self, after: EventId, granted: ScopeSet) -> Option<EventReceiver> {
        let stream = self.streams.get_mut(&after.stream)?;
        if after.event >= stream.next || !granted.contains(stream.scopes) {
            return None;
        }
        if after.stream == STANDALONE_STREAM {
            stream.scopes = granted;
        }
        Some(self.connect(after.stream, Some(after.event)))
    }

    /// Sends a message on a stream and stores it.
    pub(crate) fn send(&mut self, id: u32, json: &str) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let event = stream.take_number();
        let frame = sse::message(Some(EventId { stream: id, event }), json);
        stream.send(&frame, &self.account);
        let length = frame.len();
        stream.events.push_back((event, frame));
        self.events_kept += 1;
        self.bytes_kept += length;
        while self.events_kept > MAX_EVENTS || self.bytes_kept > MAX_BYTES {
            self.forget_oldest();
        }
        // Where the user has no memory left for it, the oldest of this session go, and itself at last.
        while self.taken.resize(self.bytes_kept).is_err() {
            self.forget_oldest();
        }
    }

    /// Ends a stream. Its events stay stored.
    pub(crate) fn end(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ended = true;
            stream.sender = None;
            if stream.events.is_empty() {
                self.streams.remove(&id);
            }
        }
    }

    fn connect(&mut self, id: u32, after: Option<u32>) -> EventReceiver {
        let has_priming_events = self.has_priming_events;
        let stream = self.streams.entry(id).or_default();
        // Large enough for all stored events.
        let (sender, events) = mpsc::channel(QUEUE + stream.events.len() + 2);
        if let Some(after) = after {
            if stream.forgotten.is_some_and(|event| event > after) {
                let _ = sender.try_send(Frame::short(sse::GAP_MARKER.to_owned()));
            }
            for (event, text) in &stream.events {
                if *event > after {
                    let Some(frame) = Frame::counted(text, &self.account) else {
                        // The client can resume after what it has read then.
                        stream.sender = None;
                        return events;
                    };
                    let _ = sender.try_send(frame);
                }
            }
        } else if has_priming_events {
            // One for each connection, so that each can be resumed from its beginning.
            let event = stream.take_number();
            let beginning = sse::priming_event(EventId { stream: id, event }, RETRY_MS);
            let _ = sender.try_send(Frame::short(beginning));
        }
        if !stream.ended {
            stream.sender = Some(sender);
        }
        events
    }

    /// Removes the oldest event, if there is one: first one of a stream that has ended.
    fn forget_oldest(&mut self) {
        let Some(id) = self
            .streams
            .iter()
            .filter(|(_, stream)| !stream.events.is_empty())
            .min_by_key(|(id, stream)| (!stream.ended, **id))
            .map(|(id, _)| *id)
        else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(&id)
            && let Some((event, frame)) = stream.events.pop_front()
        {
            stream.forgotten = Some(event);
            self.events_kept -= 1;
            self.bytes_kept -= frame.len();
            if stream.ended && stream.events.is_empty() {
                self.streams.remove(&id);
            }
        }
    }
}

impl Stream {
    fn take_number(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn send(&mut self, text: &str, account: &Account) {
        let lost = self.sender.as_ref().is_some_and(|sender| {
            // What is not sent is not copied either.
            sender.is_closed()
                || Frame::counted(text, account).is_none_or(|frame| sender.try_send(frame).is_err())
        });
        if lost {
            self.sender = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budgets::{Budgets, MemoryLimits, Payer};
    use resource_server::principal::UserId;

    fn account(bytes: usize) -> Account {
        let limits = MemoryLimits {
            events: bytes,
            ..MemoryLimits::default()
        };
        Budgets::new(limits).account(Payer::User(UserId::derive("i", "ann")))
    }

    fn streams(has_priming_events: bool) -> Streams {
        Streams::new(has_priming_events, account(MemoryLimits::default().events))
    }

    fn read(events: &mut EventReceiver) -> String {
        let mut text = String::new();
        while let Ok(frame) = events.try_recv() {
            text.push_str(&frame.text);
        }
        text
    }

    /// L-22.
    #[test]
    fn a_stream_is_resumed_after_the_event_that_the_client_saw_and_no_other_stream_with_it() {
        let mut streams = streams(true);
        let (one, mut events) = streams.open(ScopeSet::EMPTY);
        let (two, _) = streams.open(ScopeSet::EMPTY);
        streams.send(one, "1");
        streams.send(two, "2");
        streams.send(one, "3");
        assert_eq!(
            read(&mut events),
            "id: s1-0\nretry: 1000\ndata:\n\nid: s1-1\ndata: 1\n\nid: s1-2\ndata: 3\n\n"
        );
        drop(events);
        streams.send(one, "4");
        streams.end(one);
        let after = EventId {
            stream: one,
            event: 1,
        };
        let mut resumed = streams.resume(after, ScopeSet::EMPTY).unwrap();
        assert_eq!(
            read(&mut resumed),
            "id: s1-2\ndata: 3\n\nid: s1-3\ndata: 4\n\n"
        );
        assert!(matches!(
            resumed.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
    }

    #[test]
    fn an_event_that_never_was_resumes_nothing() {
        let mut streams = streams(false);
        let (id, _events) = streams.open(ScopeSet::EMPTY);
        streams.send(id, "1");
        for (stream, event) in [(id, 1), (id + 1, 0), (STANDALONE_STREAM, 0)] {
            assert!(
                streams
                    .resume(EventId { stream, event }, ScopeSet::EMPTY)
                    .is_none()
            );
        }
    }

    #[test]
    fn a_gap_is_told() {
        let mut streams = streams(true);
        let (id, events) = streams.open(ScopeSet::EMPTY);
        drop(events);
        for _ in 0..MAX_EVENTS + 10 {
            streams.send(id, "1");
        }
        let mut resumed = streams
            .resume(
                EventId {
                    stream: id,
                    event: 0,
                },
                ScopeSet::EMPTY,
            )
            .unwrap();
        assert!(
            read(&mut resumed)
                .starts_with(": events before this are no longer kept\n\nid: s1-11\n")
        );
        let seen = EventId {
            stream: id,
            event: 10,
        };
        let mut resumed = streams.resume(seen, ScopeSet::EMPTY).unwrap();
        assert!(read(&mut resumed).starts_with("id: s1-11\n"));
    }

    #[test]
    fn sessions_of_a_user_share_the_memory_for_events_and_a_gap_is_told_where_there_is_none() {
        let account = account(100_000);
        let mut sessions: Vec<_> = (0..10)
            .map(|_| Streams::new(false, account.clone()))
            .collect();
        for streams in &mut sessions {
            let (id, events) = streams.open(ScopeSet::EMPTY);
            drop(events);
            for n in 0..10 {
                streams.send(id, &format!("{n}{}", "x".repeat(1_000)));
            }
        }
        let kept: usize = sessions.iter().map(|streams| streams.bytes_kept).sum();
        assert!((20_000..=25_000).contains(&kept), "{kept}");
        let last = sessions.last_mut().unwrap();
        let after = EventId {
            stream: 1,
            event: 0,
        };
        let mut resumed = last.resume(after, ScopeSet::EMPTY).unwrap();
        assert!(read(&mut resumed).starts_with(": events before this are no longer kept"));
        drop(sessions);
        assert!(
            account.take(Use::Events, 25_000).is_ok(),
            "all is given back"
        );
    }

    /// L-21.
    #[test]
    fn the_newest_connection_has_the_general_stream() {
        let mut streams = streams(false);
        let mut old = streams.open_standalone(ScopeSet::EMPTY);
        let mut new = streams.open_standalone(ScopeSet::EMPTY);
        streams.send(STANDALONE_STREAM, "1");
        assert_eq!(read(&mut old), "");
        assert_eq!(read(&mut new), "id: s0-0\ndata: 1\n\n");
        drop(new);
        streams.send(STANDALONE_STREAM, "2");
        assert!(streams.streams[&STANDALONE_STREAM].sender.is_none());
    }

    #[test]
    fn each_connection_to_the_general_stream_begins_at_a_place_of_its_own() {
        let mut streams = streams(true);
        let mut old = streams.open_standalone(ScopeSet::EMPTY);
        streams.send(STANDALONE_STREAM, "1");
        let mut new = streams.open_standalone(ScopeSet::EMPTY);
        streams.send(STANDALONE_STREAM, "2");
        assert_eq!(
            read(&mut old),
            "id: s0-0\nretry: 1000\ndata:\n\nid: s0-1\ndata: 1\n\n"
        );
        assert_eq!(
            read(&mut new),
            "id: s0-2\nretry: 1000\ndata:\n\nid: s0-3\ndata: 2\n\n"
        );
        // A beginning is no message: nothing is missing between the two.
        let mut resumed = streams
            .resume(
                EventId {
                    stream: STANDALONE_STREAM,
                    event: 1,
                },
                ScopeSet::EMPTY,
            )
            .unwrap();
        assert_eq!(read(&mut resumed), "id: s0-3\ndata: 2\n\n");
    }

    #[test]
    fn a_client_that_does_not_read_loses_the_connection_and_no_event() {
        let mut streams = streams(false);
        let mut events = streams.open_standalone(ScopeSet::EMPTY);
        // What its channel holds: its sender, and the room that a replay would have had.
        let room = QUEUE + 2;
        for n in 0..=room {
            assert!(streams.has_listener(), "{n}");
            streams.send(STANDALONE_STREAM, &n.to_string());
        }
        assert!(!streams.has_listener());
        assert_eq!(read(&mut events).matches("data: ").count(), room);
        assert!(matches!(
            events.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
        let last_read = EventId {
            stream: STANDALONE_STREAM,
            event: u32::try_from(room).unwrap() - 1,
        };
        let mut resumed = streams.resume(last_read, ScopeSet::EMPTY).unwrap();
        assert_eq!(
            read(&mut resumed),
            format!("id: s0-{room}\ndata: {room}\n\n")
        );
    }

    proptest! {
        // Each case writes megabytes; a few of them find what many would.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// PF-06.
        #[test]
        fn what_is_kept_never_outgrows_its_bounds(sizes in proptest::collection::vec((0usize..30_000, 0u32..5, any::<bool>()), 0..400)) {
            let mut streams = streams(true);
            let mut open = Vec::new();
            for (size, which, ends) in sizes {
                if open.len() < 5 {
                    open.push(streams.open(ScopeSet::EMPTY).0);
                }
                let id = open[which as usize % open.len()];
                streams.send(id, &"x".repeat(size));
                if ends {
                    streams.end(id);
                    open.retain(|other| *other != id);
                }
                let events: usize = streams.streams.values().map(|stream| stream.events.len()).sum();
                let bytes: usize = streams.streams.values().flat_map(|stream| &stream.events).map(|(_, frame)| frame.len()).sum();
                prop_assert_eq!(events, streams.events_kept);
                prop_assert_eq!(bytes, streams.bytes_kept);
                prop_assert_eq!(bytes, streams.taken.bytes());
                prop_assert!(events <= MAX_EVENTS && bytes <= MAX_BYTES);
                // A stream that has ended is there for its events alone.
                prop_assert!(streams.streams.len() <= open.len() + MAX_EVENTS);
                prop_assert!(streams.streams.values().all(|stream| !stream.ended || !stream.events.is_empty()));
            }
        }
    }
}
