use std::net::{IpAddr, Ipv4Addr};

use chrono::DateTime;
use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn source(n: u8) -> Source {
    IpAddr::from(Ipv4Addr::new(203, 0, 113, n)).into()
}

/// An unknown token from a source.
fn stranger(token: u8, from: u8) -> Asker {
    Asker {
        credential: Credential([token; 32]),
        source: Some(source(from)),
        user: None,
    }
}

/// A token that was active before.
fn known(token: u8, user: &str) -> Asker {
    Asker {
        user: Some(UserId::derive("i", user)),
        ..stranger(token, 1)
    }
}

fn opened(failure: Failure, askers: &[Asker]) -> Opened {
    let mut breaker = CircuitBreaker::default();
    let opened = askers
        .iter()
        .map(|asker| breaker.failed(failure, asker, at(0)))
        .find(|opened| *opened != Opened::No);
    let is_open = breaker.state() == CircuitState::Open;
    assert_eq!(opened == Some(Opened::Yes), is_open);
    opened.unwrap_or(Opened::No)
}

fn open() -> CircuitBreaker {
    let mut breaker = CircuitBreaker::default();
    for _ in 0..FAILURES {
        breaker.failed(Failure::Unreachable, &stranger(1, 1), at(0));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    breaker
}

#[test]
fn what_cannot_be_reached_opens_it_whoever_asks() {
    let opened = |times| opened(Failure::Unreachable, &vec![stranger(1, 1); times]);
    assert_eq!((opened(5), opened(4)), (Opened::Yes, Opened::No));
}

#[test]
fn a_clock_that_is_set_back_keeps_it_open_no_longer() {
    let mut breaker = open();
    assert!(breaker.admit(at(4)).is_err());
    assert_eq!(breaker.admit(at(-3_600)), Ok(Admission::Probe));
    assert!(breaker.admit(at(-3_600)).is_err(), "it is probed");
    assert_eq!(breaker.admit(at(-7_200)), Ok(Admission::Probe));
}

#[test]
fn one_source_or_one_user_opens_nothing() {
    let of_one_source: Vec<_> = (0..50).map(|token| stranger(token, 1)).collect();
    let one_token_everywhere: Vec<_> = (0..50).map(|from| stranger(1, from)).collect();
    let of_one_user: Vec<_> = (0..50).map(|token| known(token, "ann")).collect();
    let both: Vec<_> = [stranger(1, 1), known(2, "ann")].repeat(25);
    for askers in [of_one_source, one_token_everywhere, of_one_user, both] {
        for failure in [Failure::Unanswered, Failure::ServerError] {
            let opened = opened(failure, &askers);
            assert_eq!(opened, Opened::No, "{failure}: {:?}", askers[0]);
        }
    }
}

#[test]
fn several_users_open_it_and_several_sources_bring_it_in_doubt() {
    let sources: Vec<_> = (0..5).map(|n| stranger(n, n / 3)).collect();
    let users: Vec<_> = (0..5)
        .map(|n| known(n, if n == 4 { "bob" } else { "ann" }))
        .collect();
    for (askers, expected) in [(sources, Opened::InDoubt), (users, Opened::Yes)] {
        for failure in [Failure::Unanswered, Failure::ServerError] {
            assert_eq!(opened(failure, &askers), expected, "{failure}");
            assert_eq!(opened(failure, &askers[1..]), Opened::No, "{failure}: few");
        }
    }
    // One token that fails again and again is one token.
    let few: Vec<_> = [stranger(1, 1), stranger(2, 2)].repeat(10);
    assert_eq!(opened(Failure::ServerError, &few), Opened::No);
    assert_eq!(opened(Failure::Unanswered, &few), Opened::InDoubt);
}

/// In doubt by what two strangers did.
fn in_doubt(failure: Failure) -> CircuitBreaker {
    let mut breaker = CircuitBreaker::default();
    for n in 0..5 {
        breaker.failed(failure, &stranger(n, n), at(0));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    breaker
}

#[test]
fn in_doubt_a_probe_is_made_at_once_and_everybody_goes_on() {
    for failure in [Failure::Unanswered, Failure::ServerError] {
        let mut breaker = in_doubt(failure);
        assert_eq!(breaker.admit(at(0)), Ok(Admission::Probe));
        assert_eq!(breaker.admit(at(0)), Ok(Admission::Call));
        assert!(!breaker.answered(), "it was never open");
        assert_eq!(breaker.admit(at(0)), Ok(Admission::Call));
        // A call that is answered tells as much as a probe.
        let mut breaker = in_doubt(failure);
        breaker.answered();
        assert_eq!(breaker.admit(at(0)), Ok(Admission::Call));
        // The probe fails as well, so that it was no stranger's doing.
        let mut breaker = in_doubt(failure);
        assert_eq!(breaker.admit(at(1)), Ok(Admission::Probe));
        assert!(breaker.probe_failed());
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.admit(at(2)), Err(Duration::from_secs(4)));
        assert_eq!(breaker.admit(at(6)), Ok(Admission::Probe));
        assert!(!breaker.probe_failed(), "it was open before");
    }
}

#[test]
fn in_doubt_failures_of_known_tokens_open_it() {
    let mut breaker = in_doubt(Failure::Unanswered);
    let users = [known(1, "ann"), known(2, "bob")].into_iter().cycle();
    let opened = users
        .take(5)
        .map(|asker| breaker.failed(Failure::Unanswered, &asker, at(0)));
    assert_eq!(opened.last(), Some(Opened::Yes));
}

#[test]
fn a_response_ends_a_row_of_failures() {
    for is_valid in [true, false] {
        let mut breaker = CircuitBreaker::default();
        for n in 0..20 {
            let asker = stranger(n, n);
            let opened = breaker.failed(Failure::Unreachable, &asker, at(0));
            assert_eq!(opened, Opened::No);
            if n % 4 == 3 {
                if is_valid {
                    breaker.succeeded();
                } else {
                    breaker.answered();
                }
            }
        }
        // Errors are responses, and a valid one alone ends their row.
        let mut breaker = CircuitBreaker::default();
        let mut opened = false;
        for n in 0..8 {
            breaker.answered();
            let user = n.to_string();
            let failed = breaker.failed(Failure::ServerError, &known(n, &user), at(0));
            opened |= failed == Opened::Yes;
            if n % 4 == 3 && is_valid {
                breaker.succeeded();
            }
        }
        assert_eq!(opened, !is_valid);
    }
}

#[test]
fn failures_are_forgotten_after_a_minute() {
    let mut breaker = CircuitBreaker::default();
    for n in 0..20 {
        let opened = breaker.failed(Failure::Unreachable, &stranger(n, n), at(i64::from(n) * 61));
        assert_eq!(opened, Opened::No);
    }
}

#[test]
fn one_probe_is_made_and_decides() {
    let mut breaker = open();
    assert_eq!(breaker.admit(at(1)), Err(Duration::from_secs(4)));
    assert_eq!(breaker.admit(at(4)), Err(Duration::from_secs(1)));
    assert_eq!(breaker.admit(at(5)), Ok(Admission::Probe));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.admit(at(6)), Err(Duration::from_secs(1)));
    breaker.probe_failed();
    assert_eq!(breaker.state(), CircuitState::Open);
    // The pause counts from the beginning of the probe.
    assert_eq!(breaker.admit(at(9)), Err(Duration::from_secs(1)));
    assert_eq!(breaker.admit(at(10)), Ok(Admission::Probe));
    assert!(breaker.answered());
    assert_eq!(breaker.admit(at(10)), Ok(Admission::Call));
    assert_eq!(breaker.admit(at(10)), Ok(Admission::Call));
}

#[test]
fn another_probe_is_made_when_one_gets_no_outcome() {
    let mut breaker = open();
    assert_eq!(breaker.admit(at(5)), Ok(Admission::Probe));
    assert_eq!(breaker.admit(at(10)), Ok(Admission::Probe));
}

proptest! {
    #[test]
    fn it_is_asked_again_within_the_pause_whatever_happened(
        events in prop::collection::vec((0u8..6, 0u8..8, 0i64..30), 0..80)
    ) {
        let mut breaker = CircuitBreaker::default();
        let mut now = 0;
        for (event, who, step) in events {
            now += step;
            match event {
                0 => { let _ = breaker.admit(at(now)); }
                1 => { breaker.failed(Failure::Unreachable, &stranger(who, who), at(now)); }
                2 => { breaker.failed(Failure::Unanswered, &stranger(who, who), at(now)); }
                3 => { breaker.failed(Failure::ServerError, &known(who, "ann"), at(now)); }
                4 => { breaker.probe_failed(); }
                _ => { breaker.answered(); }
            }
        }
        prop_assert!(breaker.admit(at(now) + PAUSE).is_ok());
    }

    #[test]
    fn no_row_of_odd_tokens_of_one_source_opens_it(
        events in prop::collection::vec((0u8..3, 0u8..255, 0i64..10), 0..200)
    ) {
        let mut breaker = CircuitBreaker::default();
        let mut now = 0;
        for (event, token, step) in events {
            now += step;
            match event {
                0 => { breaker.answered(); }
                1 => { breaker.failed(Failure::Unanswered, &stranger(token, 1), at(now)); }
                _ => { breaker.failed(Failure::ServerError, &stranger(token, 1), at(now)); }
            }
            prop_assert_eq!(breaker.admit(at(now)), Ok(Admission::Call));
        }
    }
}
