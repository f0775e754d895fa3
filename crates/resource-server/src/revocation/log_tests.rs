//! Tests of the revocations that a process remembers.

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::principal::{Credential, UserId};

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn principal(subject: &str, client: &str, credential: u8) -> Principal {
    Principal {
        client: Some(client.to_owned()),
        credential: Credential([credential; 32]),
        ..Principal::of_test(subject)
    }
}

fn user(subject: &str) -> RevocationTarget {
    RevocationTarget::User {
        issuer: "i".to_owned(),
        subject: subject.to_owned(),
    }
}

fn client(issuer: &str) -> RevocationTarget {
    RevocationTarget::Client {
        issuer: issuer.to_owned(),
        client: "c".to_owned(),
    }
}

fn order(target: RevocationTarget, ordered_by: OrderedBy) -> RevocationOrder {
    RevocationOrder {
        target,
        revoked_at: at(100),
        until: None,
        ordered_by,
    }
}

fn token(number: usize) -> RevocationTarget {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    RevocationTarget::Token(digest)
}

fn has(log: &RevocationLog, target: &RevocationTarget) -> bool {
    match target {
        RevocationTarget::Token(digest) => log.has_token(digest),
        _ => panic!("not a token"),
    }
}

#[test]
fn a_revocation_covers_what_it_names_and_older_results() {
    for (revocation, same, other) in [
        (
            Revocation::Credential(Credential([1; 32])),
            ("s", "c", 1),
            ("s", "c", 2),
        ),
        (
            Revocation::User(UserId::derive("i", "s")),
            ("s", "d", 2),
            ("t", "c", 1),
        ),
        (
            client("i").revocation().unwrap(),
            ("t", "c", 2),
            ("s", "d", 1),
        ),
    ] {
        let of = |(subject, client, credential)| principal(subject, client, credential);
        let log = RevocationLog::default();
        let before = log.revocation_epoch();
        log.add(revocation.clone());
        log.stand(revocation.clone(), at(100)).unwrap();
        let since = log.revocation_epoch();
        assert!(log.cover_since(&of(same), before), "{revocation:?}");
        assert!(!log.cover_since(&of(same), since), "{revocation:?}");
        assert!(!log.cover_since(&of(other), before), "{revocation:?}");
        assert!(!log.cover_issued(&of(other), at(0)), "{revocation:?}");
    }
    let log = RevocationLog::default();
    log.add(client("another").revocation().unwrap());
    assert!(!log.cover_since(&principal("s", "c", 1), 0));
    log.add(Revocation::All);
    assert!(log.cover_since(&principal("s", "c", 1), 0));
}

#[test]
fn a_token_that_was_issued_within_the_clock_skew_is_covered_too() {
    for ordered_by in [OrderedBy::Operator, OrderedBy::Issuer] {
        let log = RevocationLog::default();
        log.order(&order(user("s"), ordered_by), at(100)).unwrap();
        let covers = |issued_at| log.cover_issued(&principal("s", "c", 1), at(issued_at));
        assert!(covers(0) && covers(100) && covers(130), "{ordered_by:?}");
        assert!(!covers(131), "{ordered_by:?}");
        assert!(!log.cover_issued(&principal("t", "c", 1), at(0)));
        assert!(!log.denies(&principal("s", "c", 1), at(100)));
        assert!(log.lift(&user("s")));
        assert!(!log.lift(&user("s")));
        assert!(!covers(0), "{ordered_by:?}");
    }
}

#[test]
fn whoever_is_denied_is_denied_until_then_whatever_is_ordered_later() {
    for target in [user("s"), client("i"), RevocationTarget::Everybody] {
        let log = RevocationLog::default();
        let until = RevocationOrder {
            until: Some(at(200)),
            ..order(target.clone(), OrderedBy::Operator)
        };
        log.order(&until, at(100)).unwrap();
        log.order(&order(target.clone(), OrderedBy::Operator), at(150))
            .unwrap();
        let denies = |now| log.denies(&principal("s", "c", 1), at(now));
        assert!(denies(100) && denies(199), "{target:?}");
        assert!(!denies(200), "{target:?}");
        assert!(log.lift(&target));
        assert!(!denies(100), "{target:?}");
    }
}

#[test]
fn no_party_pushes_out_what_another_ordered() {
    let log = RevocationLog::default();
    let cut_off = token(usize::MAX);
    log.order(&order(user("s"), OrderedBy::Operator), at(100))
        .unwrap();
    log.order(&order(cut_off.clone(), OrderedBy::Operator), at(100))
        .unwrap();
    let elsewhere = RevocationTarget::User {
        issuer: "j".to_owned(),
        subject: "s".to_owned(),
    };
    log.order(&order(elsewhere, OrderedBy::Issuer), at(100))
        .unwrap();
    for n in 0..RECENT + 10 {
        log.add(Revocation::User(UserId::derive("i", &n.to_string())));
        let logout = order(user(&n.to_string()), OrderedBy::Issuer);
        log.order(&logout, at(100)).unwrap();
    }
    let mut refused = 0;
    for n in 0..TOKENS_REPORTED + 10 {
        refused += usize::from(
            log.order(&order(token(n), OrderedBy::Revoker), at(100))
                .is_err(),
        );
    }
    assert_eq!(refused, 10, "the store of reported tokens has its bound");
    assert!(log.cover_issued(&principal("s", "c", 1), at(100)));
    assert!(has(&log, &cut_off) && has(&log, &token(0)));
    let of_j = Principal {
        issuer: "j".to_owned(),
        user: UserId::derive("j", "s"),
        ..principal("s", "c", 1)
    };
    assert!(log.cover_issued(&of_j, at(100)), "another issuer's logout");
    let entries = log.lock();
    assert!(entries.recent.latest.len() <= RECENT);
    assert!(entries.recent.order.len() <= 2 * RECENT);
    assert_eq!(entries.logouts["i"].latest.len(), LOGOUTS);
    drop(entries);
    // Those that have ended make room.
    let later = at(100) + UNKNOWN_END;
    assert!(
        log.order(&order(token(usize::MAX - 1), OrderedBy::Revoker), later)
            .is_ok()
    );
}

#[test]
fn a_user_who_logs_out_often_pushes_out_nobody() {
    let log = RevocationLog::default();
    log.order(&order(user("s"), OrderedBy::Issuer), at(100))
        .unwrap();
    for _ in 0..3 * LOGOUTS {
        log.order(&order(user("t"), OrderedBy::Issuer), at(100))
            .unwrap();
    }
    assert!(log.cover_issued(&principal("s", "c", 1), at(100)));
    assert!(log.lock().logouts["i"].order.len() <= 2 * LOGOUTS);
}

#[test]
fn an_operator_is_told_when_there_is_no_room() {
    let log = RevocationLog::default();
    for n in 0..OF_OPERATORS {
        let target = user(&n.to_string());
        log.order(&order(target, OrderedBy::Operator), at(100))
            .unwrap();
    }
    let one_more = order(user("one more"), OrderedBy::Operator);
    assert!(log.order(&one_more, at(100)).is_err());
    let again = order(user("0"), OrderedBy::Operator);
    assert!(log.order(&again, at(100)).is_ok(), "it is there already");
    log.restore(&one_more);
    assert!(log.cover_issued(&principal("one more", "c", 1), at(0)));
}

proptest! {
    /// Whatever happens meanwhile, a token is refused until its end.
    #[test]
    fn a_token_that_was_cut_off_stays_so_until_its_end(
        ends in proptest::collection::vec((0usize..6, 0i64..50), 1..40), now in 0i64..50,
    ) {
        let mut tokens = Tokens::new(3);
        let mut expected = HashMap::<[u8; 32], i64>::new();
        for (number, end) in ends {
            let RevocationTarget::Token(digest) = token(number) else { unreachable!() };
            if tokens.insert(digest, at(end), Some(at(now))).is_ok() {
                let known = expected.entry(digest).or_insert(end);
                *known = (*known).max(end);
            }
            prop_assert!(tokens.until.len() <= 3);
            for (digest, end) in &expected {
                prop_assert!(*end <= now || tokens.until.contains_key(digest));
            }
        }
    }
}
