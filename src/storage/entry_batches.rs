//! Writes entries of several users in one statement.
//!
//! A statement, a transaction and a wait for the disk cost PostgreSQL more than a row, so rows that arrive at
//! the same time share them. Each row has its own owner.

use diesel::{
    PgConnection, RunQueryDsl,
    data_types::PgTimestamp,
    result::Error as DieselError,
    sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid},
};

use crate::domain::journal::{EntryId, JournalOwner, NewEntry};
use resource_server::clock::Timestamp;

use super::{
    error::StorageError,
    quota::{self, most_bytes, most_entries},
    schema::sql_types::Tsvector,
    statement::Statement,
    time,
    words::{Words, form},
};

/// The result of writing a batch of entries.
#[derive(Debug)]
pub enum Batch {
    /// For each entry, in the given order, the id and time that the database assigned; `None` for entries
    /// that were not stored and have to be written by themselves.
    Written(Vec<Option<(EntryId, Timestamp)>>),
    /// None was stored, because the database refused one of them, and does not say which.
    Refused,
}

/// Writes entries without tags and idempotency keys, each for its owner, in one transaction. Entries of new
/// owners are left out, of those whose quota they would exceed, and of those whose counts another statement has
/// locked: none of them delays the entries of other users.
///
/// # Errors
/// `Unavailable` if the database is; nothing is stored then, unless the connection broke.
pub fn create_entries(
    connection: &mut PgConnection,
    entries: &[(&JournalOwner, &NewEntry)],
) -> Result<Batch, StorageError> {
    // The ids are drawn first, because the order of RETURNING is not guaranteed.
    let statement = Statement::<(BigInt, BigInt, Timestamptz), _>::often(|| {
        concat!(
            "WITH given AS MATERIALIZED (
               SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY
                 AS given (user_id, title, content, mood, location, weather, is_private, is_favorite,
                           bytes, search, place)),
             wanted AS MATERIALIZED (
               SELECT user_id, count(*) AS entries, sum(bytes)::bigint AS bytes
                 FROM given GROUP BY user_id),
             fits AS MATERIALIZED (
               SELECT u.user_id, w.entries, w.bytes FROM usage u JOIN wanted w ON u.user_id = w.user_id
                WHERE u.entries <= ",
            most_entries!(),
            " - w.entries AND u.bytes <= ",
            most_bytes!(),
            " - w.bytes FOR NO KEY UPDATE OF u SKIP LOCKED),
             counted AS (
               UPDATE usage u SET entries = u.entries + fits.entries, bytes = u.bytes + fits.bytes
                 FROM fits WHERE u.user_id = fits.user_id),
             draft AS MATERIALIZED (
               SELECT nextval('entries_id_seq') AS id, given.*
                 FROM given WHERE user_id IN (SELECT user_id FROM fits)),
             entry AS (
               INSERT INTO entries
                 (id, user_id, title, content, mood, location, weather, is_private, is_favorite, search,
                  search_form)
               OVERRIDING SYSTEM VALUE
               SELECT id, user_id, title, content, mood, location, weather, is_private, is_favorite, search, ",
            form!(),
            "    FROM draft)
             SELECT place, id, now() FROM draft"
        )
    });
    let rows = statement
        .bind::<Array<Uuid>, _>(each(entries, |owner, _| owner.user.as_uuid()))
        .bind::<Array<Text>, _>(each(entries, |_, entry| &entry.title))
        .bind::<Array<Text>, _>(each(entries, |_, entry| &entry.content))
        .bind::<Array<Nullable<Text>>, _>(each(entries, |_, entry| entry.mood.as_ref()))
        .bind::<Array<Nullable<Text>>, _>(each(entries, |_, entry| entry.location.as_ref()))
        .bind::<Array<Nullable<Text>>, _>(each(entries, |_, entry| entry.weather.as_ref()))
        .bind::<Array<Bool>, _>(each(entries, |_, entry| entry.is_private))
        .bind::<Array<Bool>, _>(each(entries, |_, entry| entry.is_favorite))
        .bind::<Array<BigInt>, _>(each(entries, |_, entry| quota::bytes(entry)))
        .bind::<Array<Tsvector>, _>(each(entries, |_, entry| {
            Words::of(&entry.title, &entry.content)
        }))
        .load::<(i64, i64, PgTimestamp)>(connection);
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return refused(error),
    };
    let mut written = vec![None; entries.len()];
    for (place, id, created_at) in rows {
        let place = usize::try_from(place - 1).ok();
        let place = place.and_then(|place| written.get_mut(place));
        let place = place.ok_or_else(|| StorageError::corrupt("an entry that was not given"))?;
        *place = Some((EntryId(id), time::to_instant(created_at)?));
    }
    Ok(Batch::Written(written))
}

/// Whether the database refused one of the rows, which ended the transaction.
fn refused(error: DieselError) -> Result<Batch, StorageError> {
    let is_from_the_database = matches!(error, DieselError::DatabaseError(..));
    match StorageError::from(error) {
        StorageError::Corrupt { .. } if is_from_the_database => Ok(Batch::Refused),
        error => Err(error),
    }
}

fn each<'a, T>(
    entries: &[(&'a JournalOwner, &'a NewEntry)],
    part: impl Fn(&'a JournalOwner, &'a NewEntry) -> T,
) -> Vec<T> {
    entries
        .iter()
        .map(|(owner, entry)| part(owner, entry))
        .collect()
}
