use proptest::prelude::*;

use super::*;

/// What the smallest text has room for, more or less.
const ROOM: usize = 2_900;

fn user(number: usize) -> UserId {
    UserId::derive("i", &number.to_string())
}

fn change(number: usize) -> Change {
    Change::updated(format!("files://reports/{number}"))
}

fn waiting() -> Waiting {
    Waiting {
        since: Some(Instant::now()),
        ..Waiting::default()
    }
}

/// Everything that waits, text by text.
fn drained(waiting: &mut Waiting, room: usize) -> Vec<Message> {
    let mut all = Vec::new();
    while let Some(batch) = waiting.take(room) {
        let size = json_size(&batch.messages);
        assert!(size <= room, "{size} of {room}");
        all.extend(batch.messages);
    }
    assert!(waiting.users.is_empty() && waiting.order.is_empty());
    assert_eq!(waiting.bytes, 0);
    all
}

#[test]
fn what_does_not_fit_into_one_text_is_in_the_next() {
    let mut waiting = waiting();
    let changes = Vec::from_iter((0..500).map(change));
    for (at, one) in changes.iter().enumerate() {
        waiting.changes(user(at % 3), std::slice::from_ref(one));
    }
    waiting.revocations = true;
    let all = drained(&mut waiting, ROOM);
    assert_eq!(all[0], Message::RevocationsChanged);
    for number in 0..3 {
        let sent = all.iter().filter_map(|message| match message {
            Message::Changes(of, changes) if *of == user(number) => Some(changes),
            _ => None,
        });
        let sent = Vec::from_iter(sent.flatten());
        let expected = changes.iter().skip(number).step_by(3);
        assert_eq!(sent, Vec::from_iter(expected), "in order");
    }
    assert_eq!(waiting.take(ROOM).map(|batch| batch.messages), None);
}

#[test]
fn a_user_with_too_many_changes_is_looked_at_again_and_others_are_told_theirs() {
    let mut waiting = waiting();
    waiting.changes(user(1), &[change(1)]);
    let many = Vec::from_iter((0..20_000).map(change));
    waiting.changes(user(2), &many);
    waiting.changes(user(2), &many);
    waiting.changes(user(3), &[change(3)]);
    assert!(waiting.bytes <= MOST_BYTES);
    let expected = [
        Message::Changes(user(1), vec![change(1)]),
        Message::LookAgain(Some(user(2))),
        Message::Changes(user(3), vec![change(3)]),
    ];
    assert_eq!(drained(&mut waiting, ROOM), expected);
}

#[test]
fn if_too_many_users_wait_everybody_looks_again() {
    let mut waiting = waiting();
    for number in 0..2 * MOST_USERS {
        waiting.changes(user(number), &[Change::ListChanged]);
    }
    assert_eq!(drained(&mut waiting, ROOM), [Message::LookAgain(None)]);
}

#[test]
fn a_change_that_is_too_long_for_a_text_becomes_a_look_again() {
    let mut waiting = waiting();
    waiting.changes(user(1), &[Change::updated("x".repeat(ROOM)), change(1)]);
    waiting.changes(user(2), &[change(2)]);
    let expected = [
        Message::LookAgain(Some(user(1))),
        Message::Changes(user(2), vec![change(2)]),
    ];
    assert_eq!(drained(&mut waiting, ROOM), expected);
}

#[test]
fn messages_for_sessions_are_bounded_and_wait_for_no_change() {
    let outbox = Outbox::default();
    let message = |length: usize| SessionMessage {
        id: "session".to_owned(),
        what: "x".repeat(length),
    };
    assert!(!outbox.for_session(message(LONGEST_FOR_SESSIONS)));
    for _ in 0..MOST_FOR_SESSIONS {
        assert!(outbox.for_session(message(1_900)));
    }
    assert!(!outbox.for_session(message(1)));
    outbox.changes(user(1), &Vec::from_iter((0..100).map(change)));
    let batch = outbox.take(ROOM).unwrap();
    assert!(matches!(
        batch.messages[..],
        [
            Message::SessionsMissed,
            Message::Session(_),
            Message::Changes(..)
        ]
    ));
    assert!(outbox.for_session(message(1)), "there is room again");
}

#[test]
fn what_waits_is_sent_before_the_end() {
    let outbox = Outbox::default();
    let at_once = Duration::ZERO;
    assert_eq!(outbox.wait(at_once), Awaited::Nothing);
    outbox.revocations_changed();
    outbox.stop();
    assert_eq!(outbox.wait(at_once), Awaited::Something);
    assert!(outbox.take(ROOM).is_some());
    assert_eq!(outbox.wait(at_once), Awaited::Stopping);
    assert!(outbox.wait_for_stop(Duration::MAX));
}

proptest! {
    #[test]
    fn nothing_is_lost_whatever_the_room(
        room in 400usize..8_000,
        writes in proptest::collection::vec((0usize..5, 0usize..300, 1usize..4), 0..80),
    ) {
        let mut waiting = waiting();
        let mut written: Vec<(UserId, Change)> = Vec::new();
        for (of, length, count) in writes {
            let changes = Vec::from_iter((0..count).map(|_| Change::updated("y".repeat(length))));
            waiting.changes(user(of), &changes);
            written.extend(changes.into_iter().map(|change| (user(of), change)));
        }
        let mut sent = Vec::new();
        for message in drained(&mut waiting, room) {
            match message {
                Message::Changes(of, changes) => sent.extend(changes.into_iter().map(|change| (of, change))),
                other => panic!("{other:?}"),
            }
        }
        for number in 0..5 {
            let of = |all: &[(UserId, Change)]| {
                Vec::from_iter(all.iter().filter(|(of, _)| *of == user(number)).cloned())
            };
            prop_assert_eq!(of(&written), of(&sent));
        }
    }
}
