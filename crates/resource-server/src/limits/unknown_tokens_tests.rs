use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;

use super::*;

type Turn = Pin<Box<dyn Future<Output = Result<Charge, NoTurn>>>>;

fn budgets(per_minute: u32) -> (Arc<UnknownTokens>, Clock) {
    let clock = Clock::manual(DateTime::from_timestamp(1_785_499_200, 0).unwrap());
    let per_minute = per_minute.try_into().unwrap();
    (UnknownTokens::new(per_minute, clock.clone()), clock)
}

fn source(n: u32) -> Source {
    IpAddr::from(Ipv4Addr::from(n)).into()
}

fn begin(budgets: &Arc<UnknownTokens>, n: u32) -> Turn {
    let budgets = Arc::clone(budgets);
    Box::pin(async move { budgets.reserve(source(n)).await })
}

fn poll(turn: &mut Turn) -> Poll<Result<Charge, NoTurn>> {
    turn.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[actix_rt::test]
async fn thousands_of_good_tokens_of_one_source_have_their_turn_and_cost_nothing() {
    let (budgets, _) = budgets(60);
    let mut turns: Vec<_> = (0..2_000).map(|_| begin(&budgets, 1)).collect();
    let mut under_way = Vec::new();
    let mut waiting = Vec::new();
    for mut turn in turns.drain(..) {
        match poll(&mut turn) {
            Poll::Ready(charge) => under_way.push(charge.unwrap_or_else(|_| panic!("a turn"))),
            Poll::Pending => waiting.push(turn),
        }
    }
    assert_eq!((under_way.len(), waiting.len()), (60, 1_940));
    // Another source does not wait for this one.
    assert!(poll(&mut begin(&budgets, 2)).is_ready());
    for turn in waiting {
        drop(under_way.pop());
        under_way.push(turn.await.unwrap_or_else(|_| panic!("a turn")));
    }
    drop(under_way);
    assert!(budgets.sources.lock().is_empty());
    let all: Vec<_> = (0..60).map(|_| poll(&mut begin(&budgets, 1))).collect();
    assert!(all.iter().all(Poll::is_ready), "nothing was charged");
}

#[actix_rt::test]
async fn refusals_use_the_budget_up_and_then_nobody_waits_any_more() {
    let (budgets, clock) = budgets(3);
    let mut turns: Vec<_> = (0..10).map(|_| begin(&budgets, 1)).collect();
    let mut charges = Vec::new();
    for turn in &mut turns[..3] {
        let Poll::Ready(Ok(charge)) = poll(turn) else {
            panic!("there are three units");
        };
        charges.push(charge);
    }
    assert!(turns[3..].iter_mut().all(|turn| poll(turn).is_pending()));
    charges.pop().unwrap().refused();
    charges.pop().unwrap().refused();
    assert!(turns[3..].iter_mut().all(|turn| poll(turn).is_pending()));
    charges.pop().unwrap().refused();
    let wait = Duration::from_secs(20);
    for turn in &mut turns[3..] {
        assert!(matches!(poll(turn), Poll::Ready(Err(NoTurn::Exceeded(left))) if left == wait));
    }
    assert!(matches!(
        budgets.reserve(source(1)).await,
        Err(NoTurn::Exceeded(_))
    ));
    clock.advance(TimeDelta::seconds(20));
    assert!(budgets.reserve(source(1)).await.is_ok());
}

#[actix_rt::test]
async fn the_queue_of_a_source_has_an_end_and_those_who_left_take_no_place() {
    let (budgets, _) = budgets(1);
    let held = budgets.reserve(source(1)).await;
    let fill = || {
        let mut turns: Vec<_> = (0..LONGEST_QUEUE).map(|_| begin(&budgets, 1)).collect();
        assert!(turns.iter_mut().all(|turn| poll(turn).is_pending()));
        turns
    };
    drop(fill());
    let turns = fill();
    let refused = budgets.reserve(source(1)).await.err();
    assert_eq!(refused, Some(NoTurn::Busy));
    assert!(budgets.reserve(source(2)).await.is_ok());
    drop((held, turns));
    assert!(budgets.sources.lock().is_empty());
    assert_eq!(budgets.queue.available_permits(), LONGEST_QUEUE_OF_ALL);
}

#[actix_rt::test]
async fn a_token_that_was_good_does_not_wait_and_is_charged_if_it_is_refused() {
    let (budgets, _) = budgets(1);
    drop(budgets.known(source(1)));
    let held = budgets.reserve(source(1)).await;
    budgets.known(source(1)).refused();
    drop(held);
    budgets.known(source(1)).refused();
    assert!(budgets.reserve(source(1)).await.is_err());
}

/// Goes on with those that wait.
fn take_turns(turns: &mut Vec<Turn>, charges: &mut Vec<Charge>) {
    turns.retain_mut(|turn| match poll(turn) {
        Poll::Ready(Ok(charge)) => {
            charges.push(charge);
            false
        }
        Poll::Ready(Err(_)) => false,
        Poll::Pending => true,
    });
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Leave(usize),
    Good(usize),
    Refused(usize),
    Pass(i64),
}

proptest! {
    #[test]
    fn refusals_and_tokens_under_way_are_never_more_than_the_limit_and_nobody_is_forgotten(
        steps in prop::collection::vec(prop_oneof![
            4 => Just(Step::Arrive),
            1 => any::<usize>().prop_map(Step::Leave),
            2 => any::<usize>().prop_map(Step::Good),
            2 => any::<usize>().prop_map(Step::Refused),
            1 => (0..10i64).prop_map(Step::Pass),
        ], 1..200),
    ) {
        // Time limits of tokio need its runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let (budgets, clock) = budgets(6);
        let (mut turns, mut charges, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Arrive => turns.push(begin(&budgets, 1)),
                Step::Leave(n) if !turns.is_empty() => drop(turns.swap_remove(n % turns.len())),
                Step::Good(n) if !charges.is_empty() => drop(charges.swap_remove(n % charges.len())),
                Step::Refused(n) if !charges.is_empty() => {
                    let charge: Charge = charges.swap_remove(n % charges.len());
                    charge.refused();
                    refusals.push(clock.now());
                }
                Step::Pass(seconds) => {
                    // An issuer answers in time, or the call is given up.
                    while !charges.is_empty() {
                        charges.clear();
                        take_turns(&mut turns, &mut charges);
                    }
                    clock.advance(TimeDelta::seconds(seconds));
                }
                _ => {}
            }
            take_turns(&mut turns, &mut charges);
            // As many as the limit at once, and as many again in a minute.
            let minute_ago = clock.now() - TimeDelta::seconds(60);
            let recent = refusals.iter().filter(|at| **at > minute_ago).count();
            prop_assert!(charges.len() <= 6);
            prop_assert!(charges.len() + recent <= 12);
            prop_assert!(turns.is_empty() || !charges.is_empty(), "nobody would wake them");
        }
        drop((turns, charges));
        prop_assert!(budgets.sources.lock().is_empty());
    }
}
