use std::{cell::RefCell, rc::Rc};

use actix::Actor;

use super::*;
use crate::{
    features::changes::{Change, Published},
    metrics::{MetricSource, Text},
    samples::ChangeRecorder,
};

/// The link of a process, with what its receivers got and how often each was called.
struct Process {
    link: Link,
    outbox: Arc<Outbox>,
    changes: Changes,
    metrics: Arc<BusMetrics>,
    revocations: Arc<AtomicU64>,
    sessions: Arc<Mutex<Vec<SessionMessage>>>,
    /// How often `sessions_missed` was called.
    missed: Arc<AtomicU64>,
}

impl Process {
    fn new() -> Self {
        let changes = Changes::start(&actix_rt::Arbiter::current());
        let outbox = Arc::<Outbox>::default();
        let metrics = Arc::<BusMetrics>::default();
        let revocations = Arc::<AtomicU64>::default();
        let sessions = Arc::<Mutex<Vec<SessionMessage>>>::default();
        let missed = Arc::<AtomicU64>::default();
        let receivers = Receivers {
            changes: changes.clone(),
            revocations: Box::new({
                let revocations = Arc::clone(&revocations);
                move || {
                    revocations.fetch_add(1, Ordering::SeqCst);
                }
            }),
            session: Box::new({
                let sessions = Arc::clone(&sessions);
                move |message| sessions.lock().push(message)
            }),
            sessions_missed: Box::new({
                let missed = Arc::clone(&missed);
                move || {
                    missed.fetch_add(1, Ordering::SeqCst);
                }
            }),
        };
        let envelopes = Envelopes::new(None);
        let (link, _) = Link::new(
            Arc::clone(&outbox),
            envelopes,
            receivers,
            Arc::clone(&metrics),
        );
        Self {
            link,
            outbox,
            changes,
            metrics,
            revocations,
            sessions,
            missed,
        }
    }

    fn counted(&self, series: &str) -> bool {
        let mut text = Text::new("");
        self.metrics.write(&mut text);
        text.finish().lines().any(|line| line == series)
    }
}

#[actix_rt::test]
async fn more_than_can_be_passed_on_becomes_a_request_to_look_again() {
    let (here, there) = (Process::new(), Process::new());
    let published = Rc::<RefCell<Vec<Published>>>::default();
    let user = UserId::derive("i", "s");
    let stream = ChangeRecorder(Rc::clone(&published)).start();
    let subscribed = here.changes.subscribe(user, stream.clone().recipient());
    subscribed.await.unwrap();
    // The notifier runs on this thread, and has no turn meanwhile.
    for _ in 0..2 * MOST_UNDER_WAY {
        there.outbox.changes(user, &[Change::ListChanged]);
        let text = there.link.take(8_000).unwrap();
        assert_eq!(here.link.received(&text), Origin::Other);
    }
    assert!(here.counted(r#"bus_look_again_total{cause="overflow"} 0"#));
    while !matches!(published.borrow().last(), Some(Published::Anything)) {
        actix_rt::task::yield_now().await;
    }
    assert!(here.counted(r#"bus_look_again_total{cause="overflow"} 1"#));
    assert_eq!(
        here.link.under_way.slots.available_permits(),
        MOST_UNDER_WAY
    );
    drop(stream);
}

#[actix_rt::test]
async fn each_message_reaches_its_receiver_once_and_none_of_its_own() {
    let (here, there) = (Process::new(), Process::new());
    let message = SessionMessage {
        id: "a session".to_owned(),
        what: "{}".to_owned(),
    };
    assert!(there.outbox.for_session(message.clone()));
    there.outbox.revocations_changed();
    there.outbox.revocations_changed();
    let text = there.link.take(8_000).unwrap();
    assert_eq!(there.link.take(8_000), None);
    assert_eq!(there.link.received(&text), Origin::Own);
    for _ in 0..2 {
        assert_eq!(here.link.received(&text), Origin::Other);
    }
    assert_eq!(*here.sessions.lock(), [message]);
    assert_eq!(here.revocations.load(Ordering::SeqCst), 1);
    assert_eq!(*there.sessions.lock(), []);
    assert!(there.counted("bus_lag_seconds_count 1"));
    assert!(here.counted(r#"bus_received_total{outcome="repeated"} 1"#));
    here.link.missed();
    assert_eq!(here.revocations.load(Ordering::SeqCst), 2);
    assert_eq!(here.missed.load(Ordering::SeqCst), 1);
    assert_eq!(here.link.received("junk"), Origin::Unknown);
}

#[actix_rt::test]
async fn sessions_are_told_that_messages_for_them_were_too_many() {
    let (here, there) = (Process::new(), Process::new());
    let message = |number: usize| SessionMessage {
        id: number.to_string(),
        what: "{}".to_owned(),
    };
    let sent = (0..)
        .take_while(|number| there.outbox.for_session(message(*number)))
        .count();
    while let Some(text) = there.link.take(8_000) {
        assert_eq!(here.link.received(&text), Origin::Other);
    }
    assert_eq!(here.sessions.lock().len(), sent);
    assert_eq!(here.missed.load(Ordering::SeqCst), 1);
    assert_eq!(there.missed.load(Ordering::SeqCst), 0);
}
