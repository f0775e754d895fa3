//! Full-text search, at a cost that is bounded whatever a journal has and a query asks for.
//!
//! Whether an entry matches is in its search document, of up to 350 KB, and an index tells which entries have a
//! query's words. Neither way alone is fast for every query: a frequent word is found among the newest entries at
//! once, where the index would name half of the journal; a rare word by the index, where the way through the list
//! would lead through all of it. How frequent a word is in one user's journal, PostgreSQL does not know. So:
//!
//! 1. the documents of the newest entries are read. That is the whole answer for a frequent word, and in a journal
//!    that has no more;
//! 2. the index is asked, up to so many entries. These are all that can match, sorted here, and of phrases and
//!    exclusions the documents are read;
//! 3. if the index has more, one in so many entries has the words, and reading goes on where it ended.
//!
//! Each has a bound; the page ends where reading has ended, and the next begins there. Of the entries' texts only
//! those of the page are read, one by one, to cut the excerpts from.
//!
//! What asks the index reads a view of the user's own entries: of the table itself PostgreSQL would not use it where
//! row-level security is in force. The view is empty on a connection that was given no user.

use std::collections::{HashMap, HashSet};

use diesel::{
    PgConnection, RunQueryDsl,
    pg::PgRowByRowLoadingMode,
    sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid},
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
    one_plan::{Plan, with_plan},
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
    pub entries: i64,
    /// Texts for excerpts, in bytes. Of the entries beyond only the beginnings are read.
    pub texts: i64,
}

impl Default for SearchBudget {
    fn default() -> Self {
        Self {
            documents: 64 << 20,
            entries: 15_000,
            texts: 20 << 20,
        }
    }
}

/// Documents are read in parts of about so many bytes, until the page is full.
const PART: i64 = 8 << 20;

/// How many documents are read before the index is asked, and how many bytes of them: about as much work as the
/// index is for a frequent word.
const NEWEST: i64 = 2_000;
const NEWEST_DOCUMENTS: i64 = 4 << 20;

/// As many entries are taken from the index at most. Where it has more in a journal of a million, a page of fifty is
/// among ten thousand entries on average.
const MOST_FOUND: i64 = 5_000;

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
    let search = Search {
        user,
        query: &query,
        read: &read,
        budget,
    };
    let (mut items, mut next) = search.matches(connection, &Window::all(page))?;
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

/// What is searched for, in whose journal.
struct Search<'a> {
    user: UserId,
    /// A `tsquery` as text.
    query: &'a str,
    read: &'a TextQuery,
    budget: SearchBudget,
}

/// Entries, and where the next page begins if not all were read.
type Matches = (Vec<EntryListItem>, Option<TimeCursor>);

impl Search<'_> {
    fn matches(
        &self,
        connection: &mut PgConnection,
        window: &Window,
    ) -> Result<Matches, StorageError> {
        let newest = SearchBudget {
            documents: self.budget.documents.min(NEWEST_DOCUMENTS),
            entries: self.budget.entries.min(NEWEST),
            ..self.budget
        };
        let (mut items, end) = self.walk(connection, window, newest)?;
        let wanted = usize::try_from(window.rows).unwrap_or(usize::MAX);
        let Some(end) = end.filter(|_| items.len() < wanted) else {
            return Ok((items, None));
        };
        if let Some(found) = self.indexed(connection, window)? {
            return if self.read.is_exact {
                Ok((found.into_iter().map(|(item, _)| item).collect(), None))
            } else {
                self.examined(connection, found, wanted)
            };
        }
        let rest = SearchBudget {
            documents: self.budget.documents - newest.documents,
            entries: self.budget.entries - newest.entries,
            ..self.budget
        };
        let mut next = Some(end);
        if rest.documents > 0 && rest.entries > 0 {
            let window = Window {
                before: (time::from_micros(end.micros), end.id),
                rows: window.rows - i64::try_from(items.len()).unwrap_or(i64::MAX),
                ..*window
            };
            let (more, end) = self.walk(connection, &window, rest)?;
            items.extend(more);
            next = end;
        }
        // A page that is full ends with its last entry.
        Ok((items, next))
    }

    /// The matches among the newest entries of a window, at least one of which is read, and where reading ended if
    /// not at the end of the journal.
    fn walk(
        &self,
        connection: &mut PgConnection,
        window: &Window,
        budget: SearchBudget,
    ) -> Result<Matches, StorageError> {
        // The function instead of its operator `@@`, so that no index is asked.
        let rows = with_plan(connection, Plan::InOrder, |connection| {
            let rows: Vec<(ItemRow, bool, bool)> = Statement::<(ItemSql, Bool, Bool)>::new(
                "SELECT id, title, is_favorite, created_at, tag_count, matches, is_last
                   FROM (SELECT id, title, is_favorite, created_at, tag_count,
                                CASE WHEN bytes - pg_column_size(search) < $7
                                     THEN ts_match_vq(search, $5::tsquery) ELSE false END AS matches,
                                place = $6 OR bytes >= $7 AS is_last
                           FROM (SELECT id, title, is_favorite, created_at, tag_count, search,
                                        row_number() OVER newest_first AS place,
                                        sum(pg_column_size(search)) OVER newest_first AS bytes
                                   FROM entries
                                  WHERE user_id = $1 AND (created_at, id) < ($2, $3)
                                 WINDOW newest_first AS
                                        (ORDER BY created_at DESC, id DESC ROWS UNBOUNDED PRECEDING)
                                  ORDER BY created_at DESC, id DESC LIMIT $6) AS newest) AS read
                  WHERE matches OR is_last
                  ORDER BY created_at DESC, id DESC LIMIT $4",
            )
            .bind::<Uuid, _>(self.user.as_uuid())
            .bind::<Timestamptz, _>(window.before.0)
            .bind::<BigInt, _>(window.before.1)
            .bind::<BigInt, _>(window.rows)
            .bind::<Text, _>(self.query)
            .bind::<BigInt, _>(budget.entries)
            .bind::<BigInt, _>(budget.documents)
            .load(connection)?;
            Ok(rows)
        })?;
        let mut items = Vec::with_capacity(rows.len());
        for (row, matches, is_last) in rows {
            let item = EntryListItem::try_from(row)?;
            let end = time::cursor(item.created_at, item.id.0);
            if matches {
                items.push(item);
            }
            if is_last {
                return Ok((items, Some(end)));
            }
        }
        Ok((items, None))
    }

    /// The entries of a window that have the words without which none matches, newest first, and how many bytes
    /// their documents have. As many as the page needs if all of them match, else one more than is read. `None` if
    /// the user has more than [`MOST_FOUND`], or all lack words that must occur.
    fn indexed(
        &self,
        connection: &mut PgConnection,
        window: &Window,
    ) -> Result<Option<Vec<(EntryListItem, i64)>>, StorageError> {
        let Some(narrow) = &self.read.narrow else {
            return Ok(None);
        };
        let most = if self.read.is_exact {
            window.rows
        } else {
            self.budget.entries.saturating_add(1)
        };
        type Found = (BigInt, Nullable<(ItemSql, Integer)>);
        let rows = with_plan(connection, Plan::ByBitmap, |connection| {
            let rows: Vec<(i64, Option<(ItemRow, i32)>)> = Statement::<Found>::new(
                "WITH found AS MATERIALIZED (
                   SELECT id, title, is_favorite, created_at, tag_count, pg_column_size(search) AS bytes
                     FROM own_entries WHERE user_id = $1 AND search @@ $5::tsquery LIMIT $6),
                 counted AS MATERIALIZED (SELECT count(*) AS entries FROM found)
                 SELECT counted.entries, page.id, page.title, page.is_favorite, page.created_at, page.tag_count, page.bytes
                   FROM counted LEFT JOIN (
                        SELECT found.* FROM found, counted
                         WHERE counted.entries < $6 AND (found.created_at, found.id) < ($2, $3)
                         ORDER BY created_at DESC, id DESC LIMIT $4) AS page ON true
                  ORDER BY page.created_at DESC, page.id DESC",
            )
            .bind::<Uuid, _>(self.user.as_uuid())
            .bind::<Timestamptz, _>(window.before.0)
            .bind::<BigInt, _>(window.before.1)
            .bind::<BigInt, _>(most)
            .bind::<Text, _>(narrow)
            .bind::<BigInt, _>(MOST_FOUND + 1)
            .load(connection)?;
            Ok(rows)
        })?;
        if rows
            .first()
            .is_some_and(|(entries, _)| *entries > MOST_FOUND)
        {
            return Ok(None);
        }
        let found = rows.into_iter().filter_map(|(_, found)| found);
        let found = found.map(|(row, bytes)| Ok((row.try_into()?, i64::from(bytes))));
        found.collect::<Result<_, StorageError>>().map(Some)
    }

    /// The matches among entries of which the documents have to be read.
    fn examined(
        &self,
        connection: &mut PgConnection,
        found: Vec<(EntryListItem, i64)>,
        wanted: usize,
    ) -> Result<Matches, StorageError> {
        let most = usize::try_from(self.budget.entries).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let (mut begin, mut read) = (0, 0);
        while begin < found.len() && items.len() < wanted {
            let mut end = begin;
            let mut part = 0;
            while let Some((_, bytes)) = found.get(end) {
                // The first is always read, so that every page comes further.
                if end > 0 && (end >= most || read + part + bytes > self.budget.documents) {
                    break;
                }
                if end > begin && part + bytes > PART {
                    break;
                }
                part += bytes;
                end += 1;
            }
            if end == begin {
                let (last, _) = &found[begin - 1];
                return Ok((items, Some(time::cursor(last.created_at, last.id.0))));
            }
            let part_of = &found[begin..end];
            let ids = part_of.iter().map(|(item, _)| item.id.0).collect();
            let matching = self.matching(connection, ids)?;
            let matching = part_of
                .iter()
                .filter(|(item, _)| matching.contains(&item.id.0));
            items.extend(matching.map(|(item, _)| item.clone()));
            (begin, read) = (end, read + part);
        }
        // The page is full, or everything was read.
        Ok((items, None))
    }

    /// Those of some entries that match.
    fn matching(
        &self,
        connection: &mut PgConnection,
        ids: Vec<i64>,
    ) -> Result<HashSet<i64>, StorageError> {
        let ids: Vec<i64> = Statement::<BigInt>::new(
            "SELECT id FROM entries
              WHERE user_id = $1 AND id = ANY($2) AND ts_match_vq(search, $3::tsquery)",
        )
        .bind::<Uuid, _>(self.user.as_uuid())
        .bind::<Array<BigInt>, _>(ids)
        .bind::<Text, _>(self.query)
        .load(connection)?;
        Ok(ids.into_iter().collect())
    }
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
