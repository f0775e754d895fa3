//! What the store remembers of legacy sessions.

use epicme::journal::{ChangeSession, DeleteExpired, KeepAnswer, LoadSession, TakeAnswer};
use mcp_protocol::logging::Level;
use mcp_server::features::session_store::{
    ANSWERS_PER_USER, Gathered, SESSIONS_PER_USER, SUBSCRIPTIONS_PER_SESSION, SessionChange,
    SessionName, StoredSession,
};
use resource_server::{clock::Clock, principal::UserId};

use super::support::Journal;

fn session(subject: &str, number: u32, hours: i64) -> StoredSession {
    let mut name = [0; 12];
    name[..4].copy_from_slice(&number.to_be_bytes());
    StoredSession {
        user: UserId::derive("i", subject),
        name: SessionName::from_bytes(name),
        until: Clock::system().now() + chrono::TimeDelta::hours(hours),
    }
}

async fn tell(journal: &Journal, session: StoredSession, change: SessionChange) -> bool {
    let change = ChangeSession { session, change };
    journal.ask(change).await.unwrap()
}

async fn loaded(journal: &Journal, session: StoredSession) -> Gathered {
    let StoredSession { user, name, .. } = session;
    journal.ask(LoadSession { user, name }).await.unwrap()
}

#[actix_rt::test]
async fn what_a_session_sets_is_kept_until_it_ends() {
    let journal = Journal::start();
    let one = session("ann", 1, 1);
    assert_eq!(loaded(&journal, one).await, Gathered::default());
    for number in 0..SUBSCRIPTIONS_PER_SESSION {
        let subscribed = SessionChange::Subscribed(number.to_string());
        assert!(tell(&journal, one, subscribed).await);
    }
    let subscribed = |uri: &str| SessionChange::Subscribed(uri.to_owned());
    assert!(!tell(&journal, one, subscribed("one more")).await);
    assert!(
        tell(&journal, one, subscribed("7")).await,
        "it is there already"
    );
    for number in 1..SUBSCRIPTIONS_PER_SESSION {
        let unsubscribed = SessionChange::Unsubscribed(number.to_string());
        assert!(tell(&journal, one, unsubscribed).await);
    }
    for level in Level::ALL {
        assert!(tell(&journal, one, SessionChange::LogLevel(level)).await);
        assert_eq!(loaded(&journal, one).await.log_level, Some(level));
    }
    assert_eq!(loaded(&journal, one).await.subscriptions, ["0"]);
    for other in [session("bob", 1, 1), session("ann", 2, 1)] {
        assert_eq!(loaded(&journal, other).await, Gathered::default());
    }
    assert!(tell(&journal, one, SessionChange::Ended).await);
    let ended = Gathered {
        ended: true,
        ..Gathered::default()
    };
    assert_eq!(loaded(&journal, one).await, ended);
    // It never comes back.
    for change in [subscribed("x"), SessionChange::LogLevel(Level::Info)] {
        assert!(!tell(&journal, one, change).await);
    }
    assert!(tell(&journal, one, SessionChange::Ended).await);
    assert_eq!(loaded(&journal, one).await, ended);
}

#[actix_rt::test]
async fn a_users_first_sessions_give_way_and_nobody_elses() {
    let journal = Journal::start();
    let bobs = session("bob", 1, 1);
    assert!(tell(&journal, bobs, SessionChange::Ended).await);
    let most = SESSIONS_PER_USER;
    let user = UserId::derive("i", "ann").to_string();
    journal
        .database
        .execute(&format!(
            "INSERT INTO sessions (user_id, name, ended, expires_at)
             SELECT '{user}', decode(lpad(to_hex(n), 8, '0') || repeat('0', 16), 'hex'), true,
                    now() + interval '1 hour' + n * interval '1 second'
               FROM generate_series(1, {most} + 20) AS n"
        ))
        .unwrap();
    // This one began before all of them, and is the one that is written.
    let first = session("ann", 5_000, 0);
    assert!(tell(&journal, first, SessionChange::LogLevel(Level::Debug)).await);
    let of_ann = format!("sessions WHERE user_id = '{user}'");
    assert_eq!(
        journal.database.count(&of_ann),
        i64::try_from(most).unwrap()
    );
    assert_eq!(loaded(&journal, first).await.log_level, Some(Level::Debug));
    for (number, is_kept) in [(1, false), (21, false), (22, true), (1_020, true)] {
        let ended = loaded(&journal, session("ann", number, 1)).await.ended;
        assert_eq!(ended, is_kept, "{number}");
    }
    assert!(loaded(&journal, bobs).await.ended);
}

#[actix_rt::test]
async fn a_session_is_forgotten_when_its_lifetime_is_over() {
    let journal = Journal::start();
    for (number, hours) in [(1, -1), (2, 1)] {
        let session = session("ann", number, hours);
        assert!(tell(&journal, session, SessionChange::Ended).await);
    }
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(journal.database.count("sessions"), 1);
    assert!(loaded(&journal, session("ann", 2, 1)).await.ended);
}

#[actix_rt::test]
async fn an_answer_is_taken_once_and_a_user_leaves_no_more_than_a_few() {
    let journal = Journal::start();
    let (one, other, bobs) = (
        session("ann", 1, 1),
        session("ann", 2, 1),
        session("bob", 1, 1),
    );
    let keep = async |session, number: usize| {
        let message = KeepAnswer {
            session,
            question: format!("s-{number}"),
            answer: format!("{{\"n\":{number}}}"),
        };
        journal.ask(message).await.unwrap()
    };
    let take = async |session, number: usize| {
        let question = format!("s-{number}");
        journal.ask(TakeAnswer { session, question }).await.unwrap()
    };
    for number in 0..ANSWERS_PER_USER {
        assert!(keep(one, number).await);
    }
    assert!(!keep(one, 100).await && !keep(other, 100).await);
    assert!(keep(bobs, 0).await);
    for stranger in [other, session("bob", 2, 1)] {
        assert_eq!(take(stranger, 0).await, None);
    }
    assert_eq!(take(one, 0).await.as_deref(), Some(r#"{"n":0}"#));
    assert_eq!(take(one, 0).await, None);
    assert!(keep(other, 100).await);
    // What nobody takes is gone after five minutes.
    let aged = "UPDATE session_answers SET created_at = now() - interval '301 seconds'";
    journal.database.execute(aged).unwrap();
    assert!(keep(one, 1_000).await);
    assert_eq!(journal.database.count("session_answers"), 2, "and bob's");
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(journal.database.count("session_answers"), 1);
}
