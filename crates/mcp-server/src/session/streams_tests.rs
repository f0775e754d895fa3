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
    Streams::new(
        has_priming_events,
        account(MemoryLimits::default().events),
        0,
    )
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
        instance: 0,
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
                .resume(
                    EventId {
                        instance: 0,
                        stream,
                        event
                    },
                    ScopeSet::EMPTY
                )
                .is_none()
        );
    }
}

#[test]
fn an_event_of_another_instance_resumes_nothing_of_this_one() {
    let mut streams = Streams::new(false, account(1_000), 7);
    let (id, mut events) = streams.open(ScopeSet::EMPTY);
    streams.send(id, "1");
    assert_eq!(read(&mut events), "id: s1-0-0000000000000007\ndata: 1\n\n");
    let event = |instance| EventId {
        instance,
        stream: id,
        event: 0,
    };
    assert!(streams.resume(event(7), ScopeSet::EMPTY).is_some());
    for other in [0, 8] {
        assert!(streams.resume(event(other), ScopeSet::EMPTY).is_none());
    }
    let mut standalone = streams.open_standalone_after_gap(ScopeSet::EMPTY);
    streams.send(STANDALONE_STREAM, "2");
    assert_eq!(
        read(&mut standalone),
        ": events before this are no longer kept\n\nid: s0-0-0000000000000007\ndata: 2\n\n"
    );
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
                instance: 0,
                stream: id,
                event: 0,
            },
            ScopeSet::EMPTY,
        )
        .unwrap();
    assert!(
        read(&mut resumed).starts_with(": events before this are no longer kept\n\nid: s1-11\n")
    );
    let seen = EventId {
        instance: 0,
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
        .map(|_| Streams::new(false, account.clone(), 0))
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
        instance: 0,
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
                instance: 0,
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
        instance: 0,
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
