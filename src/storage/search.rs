//! Full-text search, at a cost that is bounded whatever a journal has and a query asks for.
//!
//! The index tells which entries have a query's words. What it does not tell — whether they stand side by side,
//! and which entries lack a word — is in each entry's search document, of up to 350 KB. So these are read only
//! of entries that have the words, newest first, and so many bytes of them for one page; the page then ends
//! where reading has ended, and the next begins there. Of the entries' texts only those of the page are read,
//! one by one, to cut the excerpts from.

use std::collections::HashMap;

use diesel::{
    PgConnection, RunQueryDsl,
    data_types::PgTimestamp,
    pg::PgRowByRowLoadingMode,
    sql_types::{Array, BigInt, Integer, Text, Timestamptz, Uuid},
};

use crate::domain::{
    excerpt::{Excerpts, SearchWord},
    journal::{EntryId, EntryListItem, SearchHit},
    page::{Page, PageRequest, TimeCursor},
};
use resource_server::principal::UserId;

use super::{
    entry_lists::{ItemRow, ItemSql, Window},
    error::StorageError,
    statement::Statement,
    text_query::{TextQuery, with_few_minuses},
    time,
};

/// How much is read for one page at most.
#[derive(Clone, Copy, Debug)]
pub struct SearchBudget {
    /// Search documents, in bytes as they are stored.
    pub documents: i64,
    /// Entries whose documents are read.
    pub entries: usize,
    /// Texts for excerpts, in bytes. Of the entries beyond only the beginnings are read.
    pub texts: i64,
}

impl Default for SearchBudget {
    fn default() -> Self {
        Self {
            documents: 64 << 20,
            entries: 5_000,
            texts: 20 << 20,
        }
    }
}

/// Documents are read in parts of about so many bytes, until the page is full.
const PART: i64 = 8 << 20;

/// A page of the user's entries that match a query as web search engines write them, newest first. It may have
/// fewer entries than it holds, even none, and be followed by another: see [`SearchBudget`].
///
/// # Errors
/// Those of the database.
pub fn search_entries(
    connection: &mut PgConnection,
    user: UserId,
    query: &str,
    page: &PageRequest<TimeCursor>,
    budget: SearchBudget,
) -> Result<Page<SearchHit, TimeCursor>, StorageError> {
    let (query, tree): (String, String) = Statement::<(Text, Text)>::new(
        "SELECT q::text, querytree(q) FROM websearch_to_tsquery('english', $1) AS q",
    )
    .bind::<Text, _>(with_few_minuses(query))
    .get_result(connection)?;
    if query.is_empty() {
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    }
    let read = TextQuery::read(&query, &tree);
    let window = Window::all(page);
    let (mut items, mut next) = if read.is_exact {
        (words(connection, user, &query, &window)?, None)
    } else {
        examined(
            connection,
            user,
            &query,
            read.narrow.as_deref(),
            &window,
            budget,
        )?
    };
    let limit = usize::from(page.limit.get());
    if items.len() > limit {
        items.truncate(limit);
        next = items
            .last()
            .map(|last| time::cursor(last.created_at, last.id.0));
    }
    let items = with_excerpts(connection, user, items, &read.words, budget.texts)?;
    Ok(Page { items, next })
}

/// The entries of a query that the index answers.
fn words(
    connection: &mut PgConnection,
    user: UserId,
    query: &str,
    window: &Window,
) -> Result<Vec<EntryListItem>, StorageError> {
    // Planned each time: a common word is found fastest by the user's list, a rare one by the search index. The
    // planner can only choose if it knows the words.
    Statement::<ItemSql>::fit_to_binds(
        "SELECT id, title, is_favorite, created_at, tag_count FROM entries
          WHERE user_id = $1 AND (created_at, id) < ($2, $3) AND search @@ $5::tsquery
          ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Timestamptz, _>(window.before.0)
    .bind::<BigInt, _>(window.before.1)
    .bind::<BigInt, _>(window.rows)
    .bind::<Text, _>(query)
    .load::<ItemRow>(connection)?
    .into_iter()
    .map(EntryListItem::try_from)
    .collect()
}

/// The entries of a query for which documents have to be read, and where the next page begins if not all were.
fn examined(
    connection: &mut PgConnection,
    user: UserId,
    query: &str,
    narrow: Option<&str>,
    window: &Window,
    budget: SearchBudget,
) -> Result<(Vec<EntryListItem>, Option<TimeCursor>), StorageError> {
    let candidates = candidates(connection, user, narrow, window, budget.entries)?;
    let wanted = usize::try_from(window.rows).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let (mut begin, mut read) = (0, 0);
    while begin < candidates.len() && items.len() < wanted {
        let mut end = begin;
        let mut part = 0;
        while let Some((_, _, bytes)) = candidates.get(end) {
            // The first is always read, so that every page comes further.
            if end > 0 && (end >= budget.entries || read + part + bytes > budget.documents) {
                break;
            }
            if end > begin && part + bytes > PART {
                break;
            }
            part += bytes;
            end += 1;
        }
        if end == begin {
            let (id, created_at, _) = candidates[begin - 1];
            return Ok((items, Some(time::cursor(time::to_instant(created_at)?, id))));
        }
        let ids = candidates[begin..end].iter().map(|(id, ..)| *id).collect();
        items.extend(matching(connection, user, query, ids)?);
        (begin, read) = (end, read + part);
    }
    // The page is full, or everything was read.
    Ok((items, None))
}

/// Which entries have the words, and how large their documents are; one more than may be read.
fn candidates(
    connection: &mut PgConnection,
    user: UserId,
    narrow: Option<&str>,
    window: &Window,
    most: usize,
) -> Result<Vec<(i64, PgTimestamp, i64)>, StorageError> {
    let statement = Statement::<(BigInt, Timestamptz, Integer)>::fit_to_binds(match narrow {
        Some(_) => {
            "SELECT id, created_at, pg_column_size(search) FROM entries
              WHERE user_id = $1 AND (created_at, id) < ($2, $3) AND search @@ $5::tsquery
              ORDER BY created_at DESC, id DESC LIMIT $4"
        }
        None => {
            "SELECT id, created_at, pg_column_size(search) FROM entries
              WHERE user_id = $1 AND (created_at, id) < ($2, $3)
              ORDER BY created_at DESC, id DESC LIMIT $4"
        }
    })
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Timestamptz, _>(window.before.0)
    .bind::<BigInt, _>(window.before.1)
    .bind::<BigInt, _>(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1));
    let rows: Vec<(i64, PgTimestamp, i32)> = match narrow {
        Some(narrow) => statement.bind::<Text, _>(narrow).load(connection)?,
        None => statement.load(connection)?,
    };
    let candidate = |(id, created_at, bytes)| (id, created_at, i64::from(bytes));
    Ok(rows.into_iter().map(candidate).collect())
}

/// Those of some entries that match.
fn matching(
    connection: &mut PgConnection,
    user: UserId,
    query: &str,
    ids: Vec<i64>,
) -> Result<Vec<EntryListItem>, StorageError> {
    // The function instead of its operator `@@`, so that the index is not asked: it would have the documents of
    // all users read that have the words.
    Statement::<ItemSql>::new(
        "SELECT id, title, is_favorite, created_at, tag_count FROM entries
          WHERE user_id = $1 AND id = ANY($2) AND ts_match_vq(search, $3::tsquery)
          ORDER BY created_at DESC, id DESC",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Text, _>(query)
    .load::<ItemRow>(connection)?
    .into_iter()
    .map(EntryListItem::try_from)
    .collect()
}

fn with_excerpts(
    connection: &mut PgConnection,
    user: UserId,
    items: Vec<EntryListItem>,
    words: &[SearchWord],
    bytes: i64,
) -> Result<Vec<SearchHit>, StorageError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = items.iter().map(|item| item.id.0).collect();
    let texts = Statement::<(BigInt, Text)>::new(
        "SELECT id, CASE WHEN sum(octet_length(content)) OVER (ORDER BY created_at DESC, id DESC) <= $3
                         THEN content ELSE left(content, 4000) END
           FROM entries WHERE user_id = $1 AND id = ANY($2)",
    )
    .bind::<Uuid, _>(user.as_uuid())
    .bind::<Array<BigInt>, _>(ids)
    .bind::<BigInt, _>(bytes)
    // One text at a time is in memory.
    .load_iter::<(i64, String), PgRowByRowLoadingMode>(connection)?;
    let cut = Excerpts::new(words, items.len());
    let mut excerpts = HashMap::with_capacity(items.len());
    for text in texts {
        let (id, content) = text?;
        excerpts.insert(EntryId(id), cut.of(&content));
    }
    let hit = |entry: EntryListItem| SearchHit {
        // Absent if the entry was deleted since.
        excerpt: excerpts.remove(&entry.id).unwrap_or_default(),
        entry,
    };
    Ok(items.into_iter().map(hit).collect())
}
