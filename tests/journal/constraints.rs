use diesel::{Connection, RunQueryDsl, connection::SimpleConnection, sql_query};

use super::support::{Journal, new_entry, owner};

/// The database holds the limits even against a program that forgot them.
#[actix_rt::test]
async fn the_database_itself_refuses_what_breaks_a_limit() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "tag").await.id;
    let entry = journal.entry(&ann, new_entry("entry")).await.id;
    let mut connection = journal.database.connect();
    for change in [
        "entries SET title = ''",
        "entries SET title = repeat('ü', 201)",
        "entries SET content = ''",
        "entries SET content = repeat('x', 100001)",
        "entries SET mood = repeat('x', 101)",
        "entries SET location = repeat('x', 101)",
        "entries SET weather = repeat('x', 101)",
        "entries SET user_id = gen_random_uuid()",
        "tags SET name = ''",
        "tags SET name = repeat('x', 61)",
        "tags SET folded_name = ''",
        "tags SET description = repeat('x', 501)",
        "users SET subject = repeat('x', 1025)",
        "users SET issuer = ''",
    ] {
        let refused = sql_query(format!("UPDATE {change}")).execute(&mut connection);
        assert!(refused.is_err(), "{change}");
    }
    connection.test_transaction::<_, diesel::result::Error, _>(|connection| {
        connection.batch_execute(
            "UPDATE entries SET title = repeat('ü', 200), content = repeat('x', 100000);
                 UPDATE tags SET name = repeat('ü', 60), description = repeat('ü', 500)",
        )
    });
    let pinned = format!(
        "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
         VALUES ('{}', {entry}, {tag}, now() + interval '1 day')",
        ann.user
    );
    assert!(journal.database.execute(&pinned).is_err());
}
