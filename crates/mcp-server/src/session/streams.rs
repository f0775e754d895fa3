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
    /// Of the event ids.
    instance: u64,
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
    /// which it can be resumed (MCP 2025-11-25). `instance` is that of the event ids.
    pub(crate) fn new(has_priming_events: bool, account: Account, instance: u64) -> Self {
        Self {
            streams: BTreeMap::new(),
            next: STANDALONE_STREAM + 1,
            events_kept: 0,
            bytes_kept: 0,
            taken: account.nothing(Use::Events),
            account,
            has_priming_events,
            instance,
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

    /// Opens the standalone stream for a client that resumes it after an event of another instance, which a restart
    /// or another process took over from: tells it of the gap.
    pub(crate) fn open_standalone_after_gap(&mut self, granted: ScopeSet) -> EventReceiver {
        let events = self.open_standalone(granted);
        let stream = self.streams.get(&STANDALONE_STREAM);
        if let Some(sender) = stream.and_then(|stream| stream.sender.as_ref()) {
            let _ = sender.try_send(Frame::short(sse::GAP_MARKER.to_owned()));
        }
        events
    }

    /// Whether an event is of this instance.
    pub(crate) fn has_sent(&self, event: EventId) -> bool {
        event.instance == self.instance
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
        if !self.has_sent(after) {
            return None;
        }
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
        let event = EventId {
            instance: self.instance,
            stream: id,
            event: stream.take_number(),
        };
        let frame = sse::message(Some(event), json);
        stream.send(&frame, &self.account);
        let length = frame.len();
        stream.events.push_back((event.event, frame));
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
            let event = EventId {
                instance: self.instance,
                stream: id,
                event: stream.take_number(),
            };
            let beginning = sse::priming_event(event, RETRY_MS);
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
#[path = "streams_tests.rs"]
mod tests;
