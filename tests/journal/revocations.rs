//! Stored revocations.

use chrono::{DateTime, TimeDelta, Utc};
use epicme::journal::{AddRevocation, ListRevocations, ReadRevocationChanges, RemoveRevocation};
use resource_server::revocation::{
    ChangesPage, Mark, OrderedBy, RevocationChange, RevocationOrder, RevocationTarget,
    StoredRevocation,
};

use super::support::Journal;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(2_000_000_000 + seconds, 0).unwrap()
}

fn order(target: &RevocationTarget, ordered_by: OrderedBy) -> RevocationOrder {
    RevocationOrder {
        target: target.clone(),
        revoked_at: at(0),
        until: None,
        ordered_by,
    }
}

fn user(subject: &str) -> RevocationTarget {
    RevocationTarget::User {
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
    }
}

async fn page(journal: &Journal, before: Option<i64>, most: usize) -> Vec<StoredRevocation> {
    let page = journal.ask(ListRevocations { before, most });
    page.await.unwrap()
}

#[actix_rt::test]
async fn what_is_stored_is_read_back_the_latest_first_and_page_by_page() {
    let journal = Journal::start();
    let orders = [
        order(&RevocationTarget::Token([7; 32]), OrderedBy::Revoker),
        order(&user("ann"), OrderedBy::Issuer),
        RevocationOrder {
            until: Some(at(60)),
            ..order(&user(&"x".repeat(1_024)), OrderedBy::Operator)
        },
        order(
            &RevocationTarget::Client {
                issuer: "https://login.example".to_owned(),
                client: "a \"b\"\n'c'".to_owned(),
            },
            OrderedBy::Operator,
        ),
        order(&RevocationTarget::Everybody, OrderedBy::Operator),
    ];
    for order in &orders {
        journal.ask(AddRevocation(order.clone())).await.unwrap();
    }
    let all = page(&journal, None, 10).await;
    let read: Vec<_> = all
        .iter()
        .rev()
        .map(|stored| stored.order.clone())
        .collect();
    assert_eq!(read, orders);
    assert_eq!(page(&journal, None, 2).await, all[..2]);
    assert_eq!(page(&journal, Some(all[1].id), 2).await, all[2..4]);
    for order in &orders {
        let removed = journal.ask(RemoveRevocation(order.target.clone()));
        assert!(removed.await.unwrap());
        let again = journal.ask(RemoveRevocation(order.target.clone()));
        assert!(!again.await.unwrap());
    }
    assert!(page(&journal, None, 10).await.is_empty());
}

/// A process that asks for what came after a row that it has seen finds all that has changed.
#[actix_rt::test]
async fn an_order_that_is_repeated_gets_a_new_number_and_is_never_weaker() {
    let journal = Journal::start();
    let denied = RevocationOrder {
        until: Some(at(3_600)),
        ..order(&user("ann"), OrderedBy::Operator)
    };
    let logout = order(&user("ann"), OrderedBy::Issuer);
    for order in [&denied, &logout] {
        journal.ask(AddRevocation(order.clone())).await.unwrap();
    }
    let before = page(&journal, None, 10).await;
    let later = RevocationOrder {
        revoked_at: at(10),
        ..order(&user("ann"), OrderedBy::Operator)
    };
    journal.ask(AddRevocation(later)).await.unwrap();
    let after = page(&journal, None, 10).await;
    assert_eq!(after.len(), 2, "the issuer's is another row");
    assert!(after[0].id > before[0].id);
    let expected = RevocationOrder {
        revoked_at: at(10),
        ..denied
    };
    assert_eq!(after[0].order, expected);
    assert_eq!(after[1], before[0]);
    let removed = journal.ask(RemoveRevocation(user("ann")));
    assert!(removed.await.unwrap());
    assert!(page(&journal, None, 10).await.is_empty(), "both");
}

#[actix_rt::test]
async fn revocations_of_what_has_ended_are_deleted_and_those_of_operators_stay() {
    let journal = Journal::start();
    let ago = |days| Utc::now() - TimeDelta::days(days);
    let ordered = |target, ordered_by, revoked_at, until| RevocationOrder {
        target,
        revoked_at,
        until,
        ordered_by,
    };
    let token = |byte| RevocationTarget::Token([byte; 32]);
    let soon = Some(ago(-1));
    let (revoker, operator) = (OrderedBy::Revoker, OrderedBy::Operator);
    for (order, stays) in [
        (ordered(token(1), revoker, ago(1), Some(ago(0))), false),
        (ordered(token(2), operator, ago(1), Some(ago(0))), false),
        (ordered(token(3), revoker, ago(40), soon), true),
        (ordered(token(4), revoker, ago(31), None), false),
        (ordered(token(5), revoker, ago(29), None), true),
        (ordered(token(6), operator, ago(1_000), None), true),
        (ordered(user("a"), OrderedBy::Issuer, ago(91), None), false),
        (ordered(user("b"), OrderedBy::Issuer, ago(89), None), true),
        (
            ordered(user("c"), operator, ago(1_000), Some(ago(900))),
            true,
        ),
    ] {
        let target = order.target.clone();
        journal.ask(AddRevocation(order)).await.unwrap();
        journal.ask(epicme::journal::DeleteExpired).await.unwrap();
        let left = page(&journal, None, 10).await;
        assert_eq!(left.len(), usize::from(stays), "{target:?}");
        journal.ask(RemoveRevocation(target)).await.unwrap();
    }
}

/// All pages of so many changes since a mark, and the mark of the last one.
async fn changes(
    journal: &Journal,
    since: Option<Mark>,
    most: usize,
) -> (Vec<RevocationChange>, Option<Mark>) {
    let (mut all, mut since) = (Vec::new(), since);
    loop {
        let read = ReadRevocationChanges { since, most };
        let page: ChangesPage = journal.ask(read).await.unwrap();
        assert!(page.changes.len() <= most);
        all.extend(page.changes);
        since = page.mark;
        if !page.has_more {
            return (all, since);
        }
    }
}

#[actix_rt::test]
async fn whoever_has_read_reads_on_whatever_the_size_of_a_page() {
    let journal = Journal::start();
    let all = ["ann", "bob", "cleo", "dave", "eve"]
        .map(|subject| order(&user(subject), OrderedBy::Operator));
    for order in &all {
        journal.ask(AddRevocation(order.clone())).await.unwrap();
    }
    let expected = Vec::from_iter(all.iter().cloned().map(RevocationChange::Ordered));
    for most in [1, 2, 5, 10] {
        let (read, mark) = changes(&journal, None, most).await;
        assert_eq!(read, expected, "{most}");
        // Transactions of other tests may be why a row is read again; none is new.
        let (again, _) = changes(&journal, mark, most).await;
        assert!(again.iter().all(|one| expected.contains(one)), "{again:?}");
    }
    let (_, mark) = changes(&journal, None, 10).await;
    let lift = RemoveRevocation(user("bob"));
    assert!(journal.ask(lift).await.unwrap());
    journal.ask(AddRevocation(all[0].clone())).await.unwrap();
    let lifted = RevocationChange::Lifted {
        target: user("bob"),
        ordered_by: OrderedBy::Operator,
    };
    let (mut read, mark) = changes(&journal, mark, 10).await;
    read.retain(|one| !expected[2..].contains(one));
    assert_eq!(read, [lifted, expected[0].clone()]);
    // What was lifted is not part of a later order.
    let denied = RevocationOrder {
        until: Some(at(60)),
        revoked_at: at(-10),
        ..all[1].clone()
    };
    journal.ask(AddRevocation(denied.clone())).await.unwrap();
    let (read, _) = changes(&journal, mark, 10).await;
    assert_eq!(read.last(), Some(&RevocationChange::Ordered(denied)));
    assert_eq!(page(&journal, None, 10).await.len(), 5);
}

/// The numbers of transactions begin anew in another cluster.
#[actix_rt::test]
async fn after_a_restore_into_another_cluster_nothing_is_passed_over() {
    let journal = Journal::start();
    let ann = order(&user("ann"), OrderedBy::Operator);
    journal.ask(AddRevocation(ann.clone())).await.unwrap();
    let restored = "UPDATE revocations SET changed_in = 9000000000000000000";
    journal.database.execute(restored).unwrap();
    let (read, mark) = changes(&journal, None, 10).await;
    assert_eq!(read, [RevocationChange::Ordered(ann.clone())]);
    let (again, mark) = changes(&journal, mark, 10).await;
    assert_eq!(again, [], "it was read at the start");
    let bob = order(&user("bob"), OrderedBy::Operator);
    journal.ask(AddRevocation(bob.clone())).await.unwrap();
    let bob = [RevocationChange::Ordered(bob)];
    assert_eq!(changes(&journal, mark, 10).await.0, bob);
    // The mark of the cluster before.
    let far = "8000000000000000000";
    let far = Mark(format!("{far} {far} 0 0"));
    assert_eq!(changes(&journal, Some(far), 10).await.0, bob);
}
