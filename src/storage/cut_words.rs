//! Cuts texts into words that PostgreSQL's English parser has cut: those of before the program did so, and those that the
//! release before it writes beside it.

use diesel::{
    Connection, PgConnection, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{Array, BigInt, Bool, Text, Uuid},
};
use resource_server::principal::UserId;

use super::{
    error::StorageError,
    schema::sql_types::Tsvector,
    statement::Statement,
    words::{Words, form},
};

/// A batch has so many entries at most, and so many bytes of texts, but for a single longer one: some 10 ms of work, for
/// which whoever changes one of them waits.
const ENTRIES: i64 = 100;
const BYTES: i64 = 256 << 10;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBatch {
    /// So many entries have been cut. None if others are changing them.
    Done(usize),
    /// Another process is doing it.
    Elsewhere,
}

/// Cuts a batch of a user's entries, the newest first. At any time one process does so, whatever number there is.
///
/// An entry that another statement has locked is left for the next batch.
///
/// # Errors
/// Those of the database; nothing is changed then.
pub fn cut_words(connection: &mut PgConnection, user: UserId) -> Result<CutBatch, StorageError> {
    connection.transaction(|connection| {
        connection.batch_execute("SET LOCAL lock_timeout = '50ms'")?;
        let is_first: bool =
            Statement::<Bool>::new("SELECT pg_try_advisory_xact_lock(76177399569768)")
                .get_result(connection)?;
        if !is_first {
            return Ok(CutBatch::Elsewhere);
        }
        let texts: Vec<(i64, String, String)> = Statement::<(BigInt, Text, Text)>::new(
            "WITH newest AS MATERIALIZED (
               SELECT id, created_at, octet_length(content) AS bytes FROM entries
                WHERE user_id = $1 AND search_form = 0
                ORDER BY created_at DESC, id DESC LIMIT $2),
             chosen AS MATERIALIZED (
               SELECT id, row_number() OVER newest_first AS place, sum(bytes) OVER newest_first AS bytes
                 FROM newest WINDOW newest_first AS (ORDER BY created_at DESC, id DESC))
             SELECT e.id, e.title, e.content FROM entries e
              WHERE e.user_id = $1 AND e.search_form = 0
                AND e.id IN (SELECT id FROM chosen WHERE place = 1 OR bytes <= $3)
                FOR NO KEY UPDATE SKIP LOCKED",
        )
        .bind::<Uuid, _>(user.as_uuid())
        .bind::<BigInt, _>(ENTRIES)
        .bind::<BigInt, _>(BYTES)
        .load(connection)?;
        let (ids, words): (Vec<_>, Vec<_>) = texts
            .iter()
            .map(|(id, title, content)| (*id, Words::of(title, content)))
            .unzip();
        let cut = Statement::<()>::new(concat!(
            "UPDATE entries e SET search = cut.search, search_form = ",
            form!(),
            " FROM unnest($2, $3) AS cut (id, search) WHERE e.user_id = $1 AND e.id = cut.id"
        ))
        .bind::<Uuid, _>(user.as_uuid())
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Array<Tsvector>, _>(words)
        .execute(connection)?;
        Ok(CutBatch::Done(cut))
    })
}
