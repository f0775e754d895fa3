use std::pin::pin;

use futures_util::poll;
use proptest::prelude::*;

use super::*;

#[test]
fn clones_of_a_manual_clock_share_the_time() {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let other = clock.clone();
    clock.advance(TimeDelta::seconds(5));
    assert_eq!(other.now().timestamp(), 5);
    assert_eq!(other.elapsed(), Duration::from_secs(5));
    clock.set_by(TimeDelta::seconds(-2));
    assert_eq!(other.now().timestamp(), 3);
    assert_eq!(other.elapsed(), Duration::from_secs(5));
}

#[actix_rt::test]
async fn an_instant_is_reached_when_the_clock_shows_it_and_not_before() {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let mut reached = pin!(clock.reaches(clock.now() + TimeDelta::seconds(5)));
    for (step, is_reached) in [(4, false), (1, true)] {
        clock.advance(TimeDelta::seconds(step));
        assert_eq!(poll!(&mut reached).is_ready(), is_reached);
    }
    clock.reaches(DateTime::UNIX_EPOCH).await;
}

#[actix_rt::test]
async fn the_machines_clock_reaches_every_instant() {
    let clock = Clock::system();
    let soon = clock.now() + TimeDelta::milliseconds(20);
    clock.reaches(soon).await;
    // By either clock; the wall clock may be slewed meanwhile.
    assert!(clock.now() + TimeDelta::milliseconds(5) >= soon);
    clock.reaches(DateTime::UNIX_EPOCH).await;
    clock.reaches(DateTime::<Utc>::MIN_UTC).await;
    assert!(poll!(pin!(clock.reaches(DateTime::<Utc>::MAX_UTC))).is_pending());
}

/// What happens to the clocks, in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(i64),
    Set(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..100_000i64).prop_map(Step::Pass),
        1 => (-10_000_000..10_000_000i64).prop_map(Step::Set),
        1 => (-2_999..2_999i64).prop_map(Step::Set),
    ];
    prop::collection::vec(step, 1..20)
}

proptest! {
    #[test]
    fn a_wait_is_never_longer_than_it_was_to_be_whatever_happens_to_the_wall_clock(
        steps in steps(), wait in 1..200_000i64,
    ) {
        let clock = Clock::manual(DateTime::from_timestamp(1_000_000, 0).unwrap());
        let instant = clock.now() + TimeDelta::milliseconds(wait);
        let mut reached = pin!(clock.reaches(instant));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let (mut passed, mut is_over) = (0, false);
        for step in steps {
            match step {
                Step::Pass(millis) => {
                    clock.advance(TimeDelta::milliseconds(millis));
                    passed += millis;
                }
                Step::Set(millis) => clock.set_by(TimeDelta::milliseconds(millis)),
            }
            is_over = passed >= wait || clock.now() >= instant;
            let is_ready = reached.as_mut().poll(&mut context).is_ready();
            prop_assert_eq!(is_ready, is_over);
            if is_over {
                break;
            }
        }
        prop_assert!(is_over || passed < wait);
    }

    #[test]
    fn every_jump_is_told_once_and_by_how_much_and_time_that_passes_is_none(steps in steps()) {
        let clock = Clock::manual(DateTime::from_timestamp(1_000_000, 0).unwrap());
        let watch = ClockWatch::new(clock.clone());
        for step in steps {
            match step {
                Step::Pass(millis) => {
                    clock.advance(TimeDelta::milliseconds(millis));
                    prop_assert_eq!(watch.jumped(), None);
                }
                Step::Set(millis) => {
                    clock.set_by(TimeDelta::milliseconds(millis));
                    // A small step is noted once it is a tenth of a second, and told with the next jump until then.
                    match watch.jumped() {
                        Some(by) => prop_assert!((by.num_milliseconds() - millis).abs() < 100),
                        None => prop_assert!(millis.abs() < 3_100),
                    }
                }
            }
            prop_assert_eq!(watch.jumped(), None);
        }
    }
}

#[test]
fn a_clock_that_is_slewed_for_days_does_not_jump() {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let watch = ClockWatch::new(clock.clone());
    for _ in 0..100_000 {
        clock.advance(TimeDelta::seconds(1));
        clock.set_by(TimeDelta::microseconds(500));
        assert_eq!(watch.jumped(), None);
    }
}
