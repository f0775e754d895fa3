//! The streams of a legacy session: what was said on each, for a client that lost one and resumes it
//! (2025-11-25, Transports, Resumability). Pure.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;

use mcp_protocol::sse::{self, EventId};
use resource_server::scope::ScopeSet;

/// How many events of a session are kept for resuming, over all its streams.
const EVENTS_KEPT: usize = 256;

/// How many bytes they may have.
const BYTES_KEPT: usize = 256 * 1024;

/// How many frames may wait for a client that reads slowly. A client that lets them pile up loses
/// the connection, not the events: it can resume.
const QUEUE: usize = 64;

/// How long a client should wait before it resumes a stream that ended, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// The stream that a GET opens. Streams of calls are numbered from 1.
pub(crate) const GENERAL: u32 = 0;

/// The frames of one connection, until the stream ends or the connection does.
pub type Frames = mpsc::Receiver<String>;

/// The streams of one session.
pub(crate) struct Streams {
    streams: BTreeMap<u32, Stream>,
    next: u32,
    events_kept: usize,
    bytes_kept: usize,
    primes: bool,
}

#[derive(Default)]
struct Stream {
    events: VecDeque<(u32, String)>,
    next: u32,
    /// The newest message that is no longer kept.
    forgotten: Option<u32>,
    ended: bool,
    /// What the token reached that its call came with; of the general stream, what the tokens reached
    /// together that what is kept was said to.
    scopes: ScopeSet,
    outlet: Option<mpsc::Sender<String>>,
}

impl Streams {
    /// No streams yet. With `primes`, each begins with an event without data, from which it can be
    /// resumed (2025-11-25 alone).
    pub(crate) fn new(primes: bool) -> Self {
        Self {
            streams: BTreeMap::new(),
            next: GENERAL + 1,
            events_kept: 0,
            bytes_kept: 0,
            primes,
        }
    }

    /// Opens the stream of a call that came with a token of these scopes.
    pub(crate) fn open(&mut self, scopes: ScopeSet) -> (u32, Frames) {
        let id = self.next;
        self.next += 1;
        let stream = Stream {
            scopes,
            ..Stream::default()
        };
        self.streams.insert(id, stream);
        (id, self.attach(id, None))
    }

    /// Opens the general stream, or hands it to a newer connection: each message goes to one
    /// connection alone (L-21).
    pub(crate) fn open_general(&mut self, granted: ScopeSet) -> Frames {
        let stream = self.streams.entry(GENERAL).or_default();
        stream.scopes = if stream.events.is_empty() {
            granted
        } else {
            stream.scopes.union(granted)
        };
        self.attach(GENERAL, None)
    }

    /// Whether somebody listens to the general stream.
    pub(crate) fn has_listener(&self) -> bool {
        self.streams
            .get(&GENERAL)
            .and_then(|stream| stream.outlet.as_ref())
            .is_some_and(|outlet| !outlet.is_closed())
    }

    /// Goes on with the stream of an event, after that event. `None` if there is no such stream: it
    /// never was, or nothing of it is kept any more, or it is about more than the token reaches.
    pub(crate) fn resume(&mut self, after: EventId, granted: ScopeSet) -> Option<Frames> {
        let stream = self.streams.get_mut(&after.stream)?;
        if after.event >= stream.next || !granted.contains(stream.scopes) {
            return None;
        }
        if after.stream == GENERAL {
            stream.scopes = granted;
        }
        Some(self.attach(after.stream, Some(after.event)))
    }

    /// Says something on a stream. What nobody listens to is kept.
    pub(crate) fn say(&mut self, id: u32, json: &str) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let event = stream.take_number();
        let frame = sse::message(Some(EventId { stream: id, event }), json);
        stream.send(&frame);
        self.events_kept += 1;
        self.bytes_kept += frame.len();
        stream.events.push_back((event, frame));
        self.forget();
    }

    /// Ends a stream. What was said on it is kept.
    pub(crate) fn end(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ended = true;
            stream.outlet = None;
            if stream.events.is_empty() {
                self.streams.remove(&id);
            }
        }
    }

    fn attach(&mut self, id: u32, after: Option<u32>) -> Frames {
        let primes = self.primes;
        let stream = self.streams.entry(id).or_default();
        // The replay is bounded by what is kept, so it always finds its place.
        let (outlet, frames) = mpsc::channel(QUEUE + stream.events.len() + 2);
        if let Some(after) = after {
            if stream.forgotten.is_some_and(|event| event > after) {
                let _ = outlet.try_send(sse::GAP.to_owned());
            }
            for (event, frame) in &stream.events {
                if *event > after {
                    let _ = outlet.try_send(frame.clone());
                }
            }
        } else if primes {
            // Each connection has its own, so that each can be resumed from where it began.
            let event = stream.take_number();
            let _ = outlet.try_send(sse::primer(EventId { stream: id, event }, RETRY_MS));
        }
        if !stream.ended {
            stream.outlet = Some(outlet);
        }
        frames
    }

    /// Keeps within the bounds: what was said first goes first, of streams that have ended before
    /// those that have not.
    fn forget(&mut self) {
        while self.events_kept > EVENTS_KEPT || self.bytes_kept > BYTES_KEPT {
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
}

impl Stream {
    fn take_number(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn send(&mut self, frame: &str) {
        let lost = self
            .outlet
            .as_ref()
            .is_some_and(|outlet| outlet.try_send(frame.to_owned()).is_err());
        if lost {
            self.outlet = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(frames: &mut Frames) -> String {
        let mut text = String::new();
        while let Ok(frame) = frames.try_recv() {
            text.push_str(&frame);
        }
        text
    }

    /// L-22.
    #[test]
    fn a_stream_is_resumed_after_the_event_that_the_client_saw_and_no_other_stream_with_it() {
        let mut streams = Streams::new(true);
        let (one, mut frames) = streams.open(ScopeSet::EMPTY);
        let (two, _) = streams.open(ScopeSet::EMPTY);
        streams.say(one, "1");
        streams.say(two, "2");
        streams.say(one, "3");
        assert_eq!(
            read(&mut frames),
            "id: s1-0\nretry: 1000\ndata:\n\nid: s1-1\ndata: 1\n\nid: s1-2\ndata: 3\n\n"
        );
        drop(frames);
        streams.say(one, "4");
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
        let mut streams = Streams::new(false);
        let (id, _frames) = streams.open(ScopeSet::EMPTY);
        streams.say(id, "1");
        for (stream, event) in [(id, 1), (id + 1, 0), (GENERAL, 0)] {
            assert!(
                streams
                    .resume(EventId { stream, event }, ScopeSet::EMPTY)
                    .is_none()
            );
        }
    }

    #[test]
    fn a_gap_is_told() {
        let mut streams = Streams::new(true);
        let (id, frames) = streams.open(ScopeSet::EMPTY);
        drop(frames);
        for _ in 0..EVENTS_KEPT + 10 {
            streams.say(id, "1");
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

    /// L-21.
    #[test]
    fn the_newest_connection_has_the_general_stream() {
        let mut streams = Streams::new(false);
        let mut old = streams.open_general(ScopeSet::EMPTY);
        let mut new = streams.open_general(ScopeSet::EMPTY);
        streams.say(GENERAL, "1");
        assert_eq!(read(&mut old), "");
        assert_eq!(read(&mut new), "id: s0-0\ndata: 1\n\n");
        drop(new);
        streams.say(GENERAL, "2");
        assert!(streams.streams[&GENERAL].outlet.is_none());
    }

    #[test]
    fn each_connection_to_the_general_stream_begins_at_a_place_of_its_own() {
        let mut streams = Streams::new(true);
        let mut old = streams.open_general(ScopeSet::EMPTY);
        streams.say(GENERAL, "1");
        let mut new = streams.open_general(ScopeSet::EMPTY);
        streams.say(GENERAL, "2");
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
                    stream: GENERAL,
                    event: 1,
                },
                ScopeSet::EMPTY,
            )
            .unwrap();
        assert_eq!(read(&mut resumed), "id: s0-3\ndata: 2\n\n");
    }

    #[test]
    fn a_client_that_does_not_read_loses_the_connection_and_no_event() {
        let mut streams = Streams::new(false);
        let mut frames = streams.open_general(ScopeSet::EMPTY);
        // What its channel holds: its outlet, and the room that a replay would have had.
        let room = QUEUE + 2;
        for n in 0..=room {
            assert!(streams.has_listener(), "{n}");
            streams.say(GENERAL, &n.to_string());
        }
        assert!(!streams.has_listener());
        assert_eq!(read(&mut frames).matches("data: ").count(), room);
        assert!(matches!(
            frames.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
        let last_read = EventId {
            stream: GENERAL,
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
            let mut streams = Streams::new(true);
            let mut open = Vec::new();
            for (size, which, ends) in sizes {
                if open.len() < 5 {
                    open.push(streams.open(ScopeSet::EMPTY).0);
                }
                let id = open[which as usize % open.len()];
                streams.say(id, &"x".repeat(size));
                if ends {
                    streams.end(id);
                    open.retain(|other| *other != id);
                }
                let events: usize = streams.streams.values().map(|stream| stream.events.len()).sum();
                let bytes: usize = streams.streams.values().flat_map(|stream| &stream.events).map(|(_, frame)| frame.len()).sum();
                prop_assert_eq!(events, streams.events_kept);
                prop_assert_eq!(bytes, streams.bytes_kept);
                prop_assert!(events <= EVENTS_KEPT && bytes <= BYTES_KEPT);
                // A stream that has ended is there for its events alone.
                prop_assert!(streams.streams.len() <= open.len() + EVENTS_KEPT);
                prop_assert!(streams.streams.values().all(|stream| !stream.ended || !stream.events.is_empty()));
            }
        }
    }
}
