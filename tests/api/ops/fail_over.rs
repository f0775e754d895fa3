//! The primary is killed or hangs under load, and its synchronous standby takes its place.

use std::{
    collections::BTreeSet,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_rt::task::spawn_blocking;
use diesel::connection::SimpleConnection;

use super::recovery::{Seen, titles, until, write};
use crate::support::{Frozen, Replicas, TestApp, is_connected};

/// How long writers may be refused after the promotion.
const LONGEST: Duration = Duration::from_secs(10);

/// How the primary goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Hangs,
}

async fn the_standby_takes_over(name: &str, end: End) {
    let mut replicas = Replicas::start(name);
    let url = replicas.url();
    epicme::storage::migrate(&url).unwrap();
    let of_app = url.clone();
    let app = Rc::new(TestApp::spawn_with(|config| {
        config.database.url = of_app;
        config.database.pool = 4.try_into().unwrap();
    }));
    let seen = Rc::new(Seen::default());
    let writers = (0..6).map(|writer| {
        let (app, seen) = (Rc::clone(&app), Rc::clone(&seen));
        actix_rt::spawn(async move { write(&app, &seen, writer, writer % 3 > 0).await })
    });
    let writers = Vec::from_iter(writers);
    let written = || seen.acknowledged.borrow().len();
    until("entries are written", || written() > 50).await;

    let refused = seen.refused.get();
    let frozen = match end {
        End::Killed => {
            replicas.kill(0);
            None
        }
        End::Hangs => Some(Frozen::these(replicas.processes(0))),
    };
    until("writers are refused", || seen.refused.get() > refused + 6).await;
    let before = written();
    replicas = spawn_blocking(move || {
        replicas.promote();
        replicas
    })
    .await
    .unwrap();
    let promoted = Instant::now();
    until("entries are written again", || written() > before).await;
    let took = promoted.elapsed();
    println!(
        "{name}: written again {} ms after the promotion",
        took.as_millis()
    );
    assert!(took < LONGEST, "{took:?}");
    let again = written();
    until("by everybody", || written() > again + 50).await;

    // The old primary comes back as a standby, where its manager has it. The first of the hosts is not written to.
    if end == End::Hangs {
        replicas.kill(0);
    }
    drop(frozen);
    replicas = spawn_blocking(move || {
        replicas.come_back_as_standby();
        replicas
    })
    .await
    .unwrap();
    let mut primary = replicas.connect(1, "epicme");
    // So that every connection is made anew.
    primary
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'epicme%'")
        .unwrap();
    let cut = written();
    until("entries are written with the old primary there", || {
        written() > cut + 50
    })
    .await;
    let mut new_one = || is_connected(&mut primary, "epicme bus");
    let began = Instant::now();
    while !new_one() {
        assert!(began.elapsed() < LONGEST, "the bus finds the new primary");
        actix_rt::task::yield_now().await;
    }
    assert_eq!(
        epicme::storage::migrate(&url).unwrap(),
        [""; 0],
        "so do migrations"
    );

    seen.done.set(true);
    for writer in writers {
        writer.await.unwrap();
    }
    let written = titles(&replicas.url_of(1));
    let distinct: BTreeSet<_> = written.iter().cloned().collect();
    assert_eq!(written.len(), distinct.len(), "an entry is there twice");
    let acknowledged = seen.acknowledged.borrow();
    let lost = Vec::from_iter(acknowledged.difference(&distinct));
    assert_eq!(lost, [""; 0], "acknowledged, and not there");
    drop(acknowledged);
    drop(Rc::try_unwrap(app).ok().expect("nobody else has it"));
}

#[actix_rt::test]
async fn a_primary_that_is_killed_is_followed_by_its_standby_and_no_acknowledged_write_is_lost_or_doubled()
 {
    the_standby_takes_over("killed", End::Killed).await;
}

#[actix_rt::test]
async fn so_is_one_that_hangs() {
    the_standby_takes_over("hung", End::Hangs).await;
}
