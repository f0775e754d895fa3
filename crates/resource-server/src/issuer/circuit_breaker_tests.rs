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

fn opens(failure: Failure, askers: &[Asker]) -> bool {
    let mut breaker = CircuitBreaker::default();
    let opened = askers
        .iter()
        .any(|asker| breaker.failed(failure, asker, at(0)));
    assert_eq!(opened, breaker.state() == CircuitState::Open);
    opened
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
    assert!(opens(Failure::Unreachable, &[stranger(1, 1); 5]));
    assert!(!opens(Failure::Unreachable, &[stranger(1, 1); 4]));
}

#[test]
fn a_clock_that_is_set_back_keeps_it_open_no_longer() {
    let mut breaker = open();
    assert!(breaker.admit(true, at(4)).is_err());
    assert_eq!(breaker.admit(true, at(-3_600)), Ok(Admission::Probe));
    assert!(breaker.admit(true, at(-3_600)).is_err(), "it is probed");
    assert_eq!(breaker.admit(true, at(-7_200)), Ok(Admission::Probe));
}

#[test]
fn one_source_or_one_user_opens_nothing() {
    let of_one_source: Vec<_> = (0..50).map(|token| stranger(token, 1)).collect();
    let one_token_everywhere: Vec<_> = (0..50).map(|from| stranger(1, from)).collect();
    let of_one_user: Vec<_> = (0..50).map(|token| known(token, "ann")).collect();
    let both: Vec<_> = [stranger(1, 1), known(2, "ann")].repeat(25);
    for askers in [of_one_source, one_token_everywhere, of_one_user, both] {
        for failure in [Failure::Unanswered, Failure::ServerError] {
            assert!(!opens(failure, &askers), "{failure}: {:?}", askers[0]);
        }
    }
}

#[test]
fn several_sources_or_several_users_open_it() {
    let sources: Vec<_> = (0..5).map(|n| stranger(n, n / 3)).collect();
    let users: Vec<_> = (0..5)
        .map(|n| known(n, if n == 4 { "bob" } else { "ann" }))
        .collect();
    for askers in [sources, users] {
        for failure in [Failure::Unanswered, Failure::ServerError] {
            assert!(opens(failure, &askers), "{failure}");
            assert!(!opens(failure, &askers[1..]), "{failure}: too few");
        }
    }
    // One token that fails again and again is one token.
    let few: Vec<_> = [stranger(1, 1), stranger(2, 2)].repeat(10);
    assert!(!opens(Failure::ServerError, &few));
    assert!(opens(Failure::Unanswered, &few));
}

#[test]
fn a_response_ends_a_row_of_failures() {
    for is_valid in [true, false] {
        let mut breaker = CircuitBreaker::default();
        for n in 0..20 {
            let asker = stranger(n, n);
            assert!(!breaker.failed(Failure::Unreachable, &asker, at(0)));
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
            opened |= breaker.failed(Failure::ServerError, &stranger(n, n), at(0));
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
        assert!(!breaker.failed(Failure::Unreachable, &stranger(n, n), at(i64::from(n) * 61)));
    }
}

#[test]
fn one_probe_is_made_and_decides() {
    let mut breaker = open();
    assert_eq!(breaker.admit(false, at(1)), Err(Duration::from_secs(4)));
    assert_eq!(breaker.admit(true, at(4)), Err(Duration::from_secs(1)));
    assert_eq!(breaker.admit(false, at(5)), Ok(Admission::Probe));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.admit(false, at(6)), Err(Duration::from_secs(1)));
    breaker.probe_failed();
    assert_eq!(breaker.state(), CircuitState::Open);
    // The pause counts from the beginning of the probe.
    assert_eq!(breaker.admit(false, at(9)), Err(Duration::from_secs(1)));
    assert_eq!(breaker.admit(false, at(10)), Ok(Admission::Probe));
    assert!(breaker.answered());
    assert_eq!(breaker.admit(false, at(10)), Ok(Admission::Call));
    assert_eq!(breaker.admit(false, at(10)), Ok(Admission::Call));
}

#[test]
fn another_probe_is_made_when_one_gets_no_outcome() {
    let mut breaker = open();
    assert_eq!(breaker.admit(false, at(5)), Ok(Admission::Probe));
    assert_eq!(breaker.admit(false, at(10)), Ok(Admission::Probe));
}

#[test]
fn known_tokens_go_on_where_only_unknown_ones_got_errors() {
    let mut breaker = CircuitBreaker::default();
    for n in 0..5 {
        breaker.failed(Failure::ServerError, &stranger(n, n), at(0));
    }
    assert_eq!(breaker.admit(true, at(1)), Ok(Admission::Call));
    assert!(breaker.admit(false, at(1)).is_err());
    breaker.succeeded();
    assert!(breaker.admit(false, at(1)).is_err(), "until it is probed");
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
                0 => { let _ = breaker.admit(who % 2 == 0, at(now)); }
                1 => { breaker.failed(Failure::Unreachable, &stranger(who, who), at(now)); }
                2 => { breaker.failed(Failure::Unanswered, &stranger(who, who), at(now)); }
                3 => { breaker.failed(Failure::ServerError, &known(who, "ann"), at(now)); }
                4 => breaker.probe_failed(),
                _ => { breaker.answered(); }
            }
        }
        prop_assert!(breaker.admit(false, at(now) + PAUSE).is_ok());
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
            prop_assert_eq!(breaker.admit(false, at(now)), Ok(Admission::Call));
        }
    }
}
