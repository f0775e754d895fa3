//! Entries that the release before has written are cut into words in the background.

use diesel::connection::SimpleConnection;
use epicme::{
    domain::journal::EntryChanges,
    journal::{SearchEntries, UpdateEntry},
};

use super::support::{Journal, found, new_entry, owner, query, soon};

const OF_BEFORE: &str = "entries WHERE search_form = 0";

/// Words that PostgreSQL's parser does not find, of entries that are not the newest: the index alone finds them.
async fn how_many(journal: &Journal, name: &str) -> usize {
    let search = SearchEntries {
        user: owner(name).user,
        query: query("東京"),
        page: found(200, None),
    };
    journal.ask(search).await.unwrap().items.len()
}

fn write_as_before(journal: &Journal, name: &str) {
    let user = owner(name).user;
    let sql = format!(
        "INSERT INTO entries (user_id, title, content, created_at)
         SELECT '{user}', 'old ' || n, '今日は東京に行きました', now() - interval '2 years' FROM generate_series(1, 130) n;
         INSERT INTO entries (user_id, title, content, created_at)
         SELECT '{user}', 'new ' || n, 'nothing', now() - interval '1 year' FROM generate_series(1, 2100) n"
    );
    journal.database.connect().batch_execute(&sql).unwrap();
}

async fn cuts_all(is_guarded: bool) {
    let journal = Journal::start_guarded(is_guarded);
    let ann = owner("ann");
    let mut entries = Vec::new();
    for name in ["ann", "bob"] {
        entries.push(journal.entry(&owner(name), new_entry("first")).await);
        write_as_before(&journal, name);
    }
    assert_eq!(journal.database.count(OF_BEFORE), 4_460);
    assert_eq!(
        how_many(&journal, "ann").await,
        0,
        "as far as English words allow"
    );
    // Two processes, of which one at a time does it.
    let other = Journal::beside(&journal, is_guarded);
    journal.handle.start_cleanup();
    other.start_cleanup();
    let mut number = 0;
    soon(async {
        while journal.database.count(OF_BEFORE) > 0 {
            number += 1;
            let changes = EntryChanges {
                content: Some(format!("round {number}")),
                ..EntryChanges::default()
            };
            let update = UpdateEntry {
                user: ann.user,
                id: entries[0].id,
                changes,
            };
            journal.ask(update).await.unwrap();
        }
    })
    .await;
    for name in ["ann", "bob"] {
        assert_eq!(how_many(&journal, name).await, 130, "{name}");
    }
    let titles = "entries WHERE title LIKE 'old %' OR title LIKE 'new %'";
    assert_eq!(journal.database.count(titles), 4_460);
}

#[actix_rt::test]
async fn entries_of_before_are_cut_into_words_while_others_are_written() {
    cuts_all(false).await;
}

#[actix_rt::test]
async fn entries_of_before_are_cut_into_words_with_row_level_security() {
    cuts_all(true).await;
}
