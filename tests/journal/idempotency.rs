use epicme::{
    domain::journal::JournalError,
    journal::{DeleteEntry, DeleteTag},
};
use futures_util::future::join_all;

use super::support::{Journal, create_entry, create_tag, key, new_entry, owner, soon};

#[actix_rt::test]
async fn a_repeat_is_given_the_first_result_even_after_everything_changed() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "first name").await;
    let mut entry = new_entry("once");
    entry.tags = vec![tag.id];
    let ask = || journal.ask(create_entry(&ann, entry.clone(), key("k", 1)));
    let first = ask().await.unwrap();
    assert_eq!(first.tags.len(), 1);
    assert_eq!(ask().await.unwrap(), first);
    let (user, id) = (ann.user, tag.id);
    journal.ask(DeleteTag { user, id }).await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
    let id = first.id;
    journal.ask(DeleteEntry { user, id }).await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
    assert_eq!(journal.database.count("entries"), 0);
}

#[actix_rt::test]
async fn a_tag_is_made_once_too() {
    let journal = Journal::start();
    let ann = owner("ann");
    let ask = || journal.ask(create_tag(&ann, "Once", key("k", 1)));
    let first = ask().await.unwrap();
    assert_eq!(ask().await.unwrap(), first);
    assert_eq!(journal.database.count("tags"), 1);
    let other = journal.ask(create_tag(&ann, "Twice", key("k", 2))).await;
    assert!(matches!(other, Err(JournalError::IdempotencyKeyReused)));
}

#[actix_rt::test]
async fn duplicates_at_the_same_time_write_once() {
    let journal = Journal::start();
    let ann = owner("ann");
    let entries = (0..12).map(|_| journal.ask(create_entry(&ann, new_entry("x"), key("k", 1))));
    let entries: Vec<_> = soon(join_all(entries)).await;
    let first = entries[0].as_ref().unwrap();
    assert!(entries.iter().all(|entry| entry.as_ref().unwrap() == first));
    let tags = (0..12).map(|_| journal.ask(create_tag(&ann, "x", key("k", 1))));
    let tags: Vec<_> = soon(join_all(tags)).await;
    let first = tags[0].as_ref().unwrap();
    assert!(tags.iter().all(|tag| tag.as_ref().unwrap() == first));
    assert_eq!(journal.database.count("entries"), 1);
    assert_eq!(journal.database.count("tags"), 1);
}

#[actix_rt::test]
async fn a_key_with_other_arguments_is_refused() {
    let journal = Journal::start();
    let ann = owner("ann");
    let ask = |title: &str, arguments| {
        journal.ask(create_entry(&ann, new_entry(title), key("k", arguments)))
    };
    ask("one", 1).await.unwrap();
    assert!(matches!(
        ask("two", 2).await,
        Err(JournalError::IdempotencyKeyReused)
    ));
    assert_eq!(journal.database.count("entries"), 1);
}

#[actix_rt::test]
async fn a_key_is_bound_to_its_user_and_its_operation() {
    let journal = Journal::start();
    let (ann, bob) = (owner("ann"), owner("bob"));
    let anns = journal.ask(create_entry(&ann, new_entry("a"), key("k", 1)));
    let bobs = journal.ask(create_entry(&bob, new_entry("b"), key("k", 2)));
    assert_ne!(anns.await.unwrap().id, bobs.await.unwrap().id);
    journal
        .ask(create_tag(&ann, "a", key("k", 3)))
        .await
        .unwrap();
}

#[actix_rt::test]
async fn a_key_older_than_a_day_is_new_and_others_as_old_are_swept() {
    let journal = Journal::start();
    let (ann, bob) = (owner("ann"), owner("bob"));
    let ask = |owner, name, arguments| {
        journal.ask(create_entry(owner, new_entry("x"), key(name, arguments)))
    };
    let first = ask(&ann, "k", 1).await.unwrap();
    ask(&ann, "forgotten", 1).await.unwrap();
    ask(&bob, "bob's", 1).await.unwrap();
    journal
        .database
        .execute("UPDATE idempotency_keys SET created_at = created_at - interval '24 hours'")
        .unwrap();
    let second = ask(&ann, "k", 2).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(ask(&ann, "k", 2).await.unwrap(), second);
    assert_eq!(journal.database.count("idempotency_keys"), 2);
}
