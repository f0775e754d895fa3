//! Full-text search, at a cost that is bounded whatever a journal has and a query asks for.
//!
//! Which words an entry has is in its search document, of up to 1 MiB, and an index tells which entries have a query's
//! words. Neither way alone is fast for every query: a frequent word is found among the newest entries at once, where
//! the index would name half of the journal; a rare word by the index, where the way through the list would lead
//! through all of it. How frequent a word is in one user's journal, PostgreSQL does not know. So:
//!
//! 1. the documents of the newest entries are read. That is the whole answer for a frequent word, and in a journal
//!    that has no more;
//! 2. the index is asked, up to so many entries. These are all that can match, sorted here;
//! 3. if the index has more, one in so many entries has the words, and reading goes on where it ended.
//!
//! Words tell that an entry can match. Whether it does, a phrase or a part of a sentence without spaces, its text
//! tells (`search_texts.rs`). Each step has a bound; the page ends where reading has ended, and the next begins there.
//!
//! Entries of before the program cut texts into words have those of PostgreSQL's English parser, until housekeeping
//! has come to them. Among the newest their texts are read, whatever their words are; beyond these the index is also
//! asked for the English words of the query.
//!
//! What asks the index reads a view of the user's own entries: of the table itself PostgreSQL would not use it where
//! row-level security is in force. The view is empty on a connection that was given no user.

use std::time::{Duration, Instant};

use diesel::{
    PgConnection, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid},
};

use crate::domain::{
    journal::{EntryListItem, SearchHit},
    outage::Outage,
    page::{Page, TimeCursor},
    search::{MOST_RANKED, RankCursor, SearchCursor, SearchPage, SearchQuery, SearchRequest},
};
use resource_server::principal::UserId;

use super::{
    entry_lists::{ItemRow, ItemSql, Window},
    error::StorageError,
    one_plan::{Plan, with_plan},
    search_texts::{Candidate, Texts},
    statement::Statement,
    text_query, time,
};

/// How much is read for one page at most.
#[derive(Clone, Copy, Debug)]
pub struct SearchBudget {
    /// Search documents, in bytes as they are stored.
    pub documents: i64,
    /// Entries whose documents are read.
    pub entries: i64,
    /// Texts of which words alone do not tell whether they match, in bytes.
    pub compared: i64,
    /// Texts for excerpts, in bytes, and as many again to rank them. Of the entries beyond only the beginnings are
    /// shown, and they come last.
    pub texts: i64,
}

impl Default for SearchBudget {
    fn default() -> Self {
        Self {
            documents: 64 << 20,
            entries: 15_000,
            compared: 16 << 20,
            texts: 20 << 20,
        }
    }
}

/// How many documents are read before the index is asked, and how many bytes of them: about as much work as the
/// index is for a frequent word.
const NEWEST: i64 = 2_000;
const NEWEST_DOCUMENTS: i64 = 4 << 20;

/// As many entries are taken from the index at most. Where it has more in a journal of a million, a page of fifty is
/// among ten thousand entries on average.
const MOST_FOUND: i64 = 5_000;

/// How long the index is asked for words that begin with something. For these it reads all entries that have such a
/// word, whosever they are, before it looks for the user's. What it has not found by then is looked for in the list.
const LONGEST_FOR_BEGINNINGS: Duration = Duration::from_millis(50);

/// So many entries whose texts have to be read are looked for first: more than a page, for not all will match.
const FIRST_CANDIDATES: i64 = 200;

/// A page of the user's entries that match a query. It may have fewer entries than it holds, even none, and be
/// followed by another: see [`SearchBudget`].
///
/// # Errors
/// Those of the database.
pub fn search_entries(
    connection: &mut PgConnection,
    user: UserId,
    query: &SearchQuery,
    request: &SearchRequest,
    budget: SearchBudget,
) -> Result<Page<SearchHit, SearchCursor>, StorageError> {
    let mut search = Search {
        user,
        tsquery: query.query().tsquery(),
        before: Before::of(connection, user, query)?,
        budget,
        texts: Texts::new(user, query.query(), budget.compared),
    };
    let limit = usize::from(request.limit.get());
    let (items, next) = match request.page {
        SearchPage::NewestFirst(after) => search.newest_first(connection, after, limit)?,
        SearchPage::ByRelevance(after) => search.by_relevance(connection, after, limit)?,
    };
    let items = search
        .texts
        .with_excerpts(connection, items, budget.texts)?;
    Ok(Page { items, next })
}

/// What is searched for, in whose journal.
struct Search<'a> {
    user: UserId,
    /// What every entry has that matches.
    tsquery: String,
    /// If the journal has entries whose words PostgreSQL has cut.
    before: Option<Before>,
    budget: SearchBudget,
    texts: Texts<'a>,
}

/// The same query for entries whose words PostgreSQL has cut.
struct Before {
    /// The words without which none of them matches as far as its parser knows, as a `tsquery`. `None` if it knows no
    /// word of the query.
    tsquery: Option<String>,
}

impl Before {
    fn of(
        connection: &mut PgConnection,
        user: UserId,
        query: &SearchQuery,
    ) -> Result<Option<Self>, StorageError> {
        let is_there: bool = Statement::<Bool>::new(
            "SELECT EXISTS (SELECT FROM entries WHERE user_id = $1 AND search_form = 0)",
        )
        .bind::<Uuid, _>(user.as_uuid())
        .get_result(connection)?;
        if !is_there {
            return Ok(None);
        }
        let tree: String =
            Statement::<Text>::new("SELECT querytree(websearch_to_tsquery('english', $1))")
                .bind::<Text, _>(text_query::with_few_minuses(query.text()))
                .get_result(connection)?;
        Ok(Some(Self {
            tsquery: text_query::without_phrases(&tree),
        }))
    }
}

/// Entries, and where the next page begins if not all were read.
type Matches = (Vec<EntryListItem>, Option<TimeCursor>);

/// What was read of a list.
struct Walked {
    candidates: Vec<Candidate>,
    /// How much was read.
    entries: i64,
    documents: i64,
    /// Where reading ended, if not at the end of the journal.
    end: Option<TimeCursor>,
}

impl Search<'_> {
    fn newest_first(
        &mut self,
        connection: &mut PgConnection,
        after: Option<TimeCursor>,
        limit: usize,
    ) -> Result<(Vec<EntryListItem>, Option<SearchCursor>), StorageError> {
        let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let (mut items, mut next) = self.matches(connection, &Window::after(after, rows))?;
        if items.len() > limit {
            items.truncate(limit);
            next = items.last().map(position);
        }
        Ok((items, next.map(SearchCursor::NewestFirst)))
    }

    fn by_relevance(
        &mut self,
        connection: &mut PgConnection,
        after: Option<RankCursor>,
        limit: usize,
    ) -> Result<(Vec<EntryListItem>, Option<SearchCursor>), StorageError> {
        // From the entry on with which the first page began.
        let from = after.map(|after| TimeCursor {
            id: after.newest.id.saturating_add(1),
            ..after.newest
        });
        let window = Window::after(from, i64::from(MOST_RANKED));
        let (mut items, _) = self.matches(connection, &window)?;
        items.truncate(usize::from(MOST_RANKED));
        let Some(newest) = items.first().map(position) else {
            return Ok((items, None));
        };
        let newest = after.map_or(newest, |after| after.newest);
        let mut ranked = self.texts.ranked(connection, items, self.budget.texts)?;
        let order = |relevance: f32, at: TimeCursor| (relevance, at.micros, at.id);
        ranked.sort_by(|(a, one), (b, other)| {
            let (one, other) = (order(*a, position(one)), order(*b, position(other)));
            let by_time = (other.1, other.2).cmp(&(one.1, one.2));
            other.0.total_cmp(&one.0).then(by_time)
        });
        if let Some(after) = after {
            let last = after.last;
            ranked.retain(|(relevance, item)| {
                let at = position(item);
                relevance
                    .total_cmp(&after.relevance)
                    .then((at.micros, at.id).cmp(&(last.micros, last.id)))
                    .is_lt()
            });
        }
        let more = ranked.len() > limit;
        ranked.truncate(limit);
        let next = ranked.last().filter(|_| more).map(|(relevance, item)| {
            SearchCursor::ByRelevance(RankCursor {
                newest,
                relevance: *relevance,
                last: position(item),
            })
        });
        Ok((ranked.into_iter().map(|(_, item)| item).collect(), next))
    }

    /// The matches of a window, one more than the page holds if there are more.
    fn matches(
        &mut self,
        connection: &mut PgConnection,
        window: &Window,
    ) -> Result<Matches, StorageError> {
        let newest = SearchBudget {
            documents: self.budget.documents.min(NEWEST_DOCUMENTS),
            entries: self.budget.entries.min(NEWEST),
            ..self.budget
        };
        let wanted = usize::try_from(window.rows).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let end = self.walk(connection, window, newest, &mut items)?;
        let Some(end) = end.filter(|_| items.len() < wanted && self.texts.may_read()) else {
            return Ok((items, end));
        };
        if let Some(found) = self.indexed(connection, window)? {
            items.clear();
            let stopped = self
                .texts
                .keep_matching(connection, found, &mut items, wanted)?;
            return Ok((items, stopped));
        }
        let rest = SearchBudget {
            documents: self.budget.documents - newest.documents,
            entries: self.budget.entries - newest.entries,
            ..self.budget
        };
        if rest.documents <= 0 || rest.entries <= 0 {
            return Ok((items, Some(end)));
        }
        let window = window.behind(end);
        let end = self.walk(connection, &window, rest, &mut items)?;
        // A page that is full ends with its last entry.
        Ok((items, end))
    }

    /// Adds the matches among the newest entries of a window, at least one of which is read, until there are as many as
    /// the window has rows. Returns where reading ended if not at the end of the journal.
    fn walk(
        &mut self,
        connection: &mut PgConnection,
        window: &Window,
        budget: SearchBudget,
        items: &mut Vec<EntryListItem>,
    ) -> Result<Option<TimeCursor>, StorageError> {
        let wanted = usize::try_from(window.rows).unwrap_or(usize::MAX);
        let (mut window, mut left) = (*window, budget);
        let mut most = if self.are_certain() {
            window.rows
        } else {
            FIRST_CANDIDATES.max(window.rows)
        };
        loop {
            let walked = self.candidates(connection, &window, left, most)?;
            let found = walked.candidates;
            let stopped = self.texts.keep_matching(connection, found, items, wanted)?;
            let end = stopped.or(walked.end);
            left.entries -= walked.entries;
            left.documents -= walked.documents;
            let is_over = left.entries <= 0 || left.documents <= 0;
            match end {
                Some(end) if stopped.is_none() && items.len() < wanted && !is_over => {
                    window = window.behind(end);
                    most = budget.entries;
                }
                end => return Ok(end),
            }
        }
    }

    /// Whether what has the words matches.
    fn are_certain(&self) -> bool {
        self.before.is_none() && self.texts.words_decide()
    }

    /// The entries of a window that can match, up to a number of them.
    fn candidates(
        &self,
        connection: &mut PgConnection,
        window: &Window,
        budget: SearchBudget,
        most: i64,
    ) -> Result<Walked, StorageError> {
        type Read = (ItemSql, Bool, Integer, Bool, Bool, BigInt, BigInt);
        type ReadRow = (ItemRow, bool, i32, bool, bool, i64, i64);
        // The function instead of its operator `@@`, so that no index is asked.
        let rows = with_plan(connection, Plan::InOrder, |connection| {
            let rows: Vec<ReadRow> = Statement::<Read>::new(
                "SELECT id, title, is_favorite, created_at, tag_count, is_of_before, length, can_match, is_last, place, bytes
                   FROM (SELECT id, title, is_favorite, created_at, tag_count, length, place, bytes,
                                search_form = 0 AS is_of_before,
                                CASE WHEN bytes - pg_column_size(search) < $7
                                     THEN search_form = 0 OR ts_match_vq(search, $5::tsquery)
                                     ELSE false END AS can_match,
                                place = $6 OR bytes >= $7 AS is_last
                           FROM (SELECT id, title, is_favorite, created_at, tag_count, search, search_form,
                                        octet_length(content) AS length,
                                        row_number() OVER newest_first AS place,
                                        sum(pg_column_size(search)) OVER newest_first AS bytes
                                   FROM entries
                                  WHERE user_id = $1 AND (created_at, id) < ($2, $3)
                                 WINDOW newest_first AS
                                        (ORDER BY created_at DESC, id DESC ROWS UNBOUNDED PRECEDING)
                                  ORDER BY created_at DESC, id DESC LIMIT $6) AS newest) AS read
                  WHERE can_match OR is_last
                  ORDER BY created_at DESC, id DESC LIMIT $4",
            )
            .bind::<Uuid, _>(self.user.as_uuid())
            .bind::<Timestamptz, _>(window.before.0)
            .bind::<BigInt, _>(window.before.1)
            .bind::<BigInt, _>(most)
            .bind::<Text, _>(&self.tsquery)
            .bind::<BigInt, _>(budget.entries)
            .bind::<BigInt, _>(budget.documents)
            .load(connection)?;
            Ok(rows)
        })?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= most);
        let mut walked = Walked {
            candidates: Vec::with_capacity(rows.len()),
            entries: 0,
            documents: 0,
            end: None,
        };
        let count = rows.len();
        for (number, row) in (1..).zip(rows) {
            let (row, is_of_before, bytes, can_match, is_last, place, documents) = row;
            let item = EntryListItem::try_from(row)?;
            (walked.entries, walked.documents) = (place, documents);
            let end = (is_last || (is_full && number == count)).then(|| position(&item));
            if can_match {
                walked.candidates.push(Candidate {
                    item,
                    is_of_before,
                    bytes: i64::from(bytes),
                });
            }
            // What is behind the end was not read.
            if end.is_some() {
                walked.end = end;
                break;
            }
        }
        Ok(walked)
    }

    /// The entries of a window that have the words without which none matches, newest first: as many as the page needs
    /// if all of them match. `None` if the user has more than [`MOST_FOUND`], or no word is known that all have.
    fn indexed(
        &self,
        connection: &mut PgConnection,
        window: &Window,
    ) -> Result<Option<Vec<Candidate>>, StorageError> {
        // Two texts, so that neither has to do for the plan of the other.
        let (sql, tsquery) = match &self.before {
            None => (found_in_index!(""), self.tsquery.clone()),
            Some(Before { tsquery: None }) => return Ok(None),
            Some(Before {
                tsquery: Some(before),
            }) => (
                found_in_index!("AND (search_form = 0 OR ts_match_vq(search, $7::tsquery))"),
                format!("({}) | ({before})", self.tsquery),
            ),
        };
        let most = if self.are_certain() {
            window.rows
        } else {
            MOST_FOUND
        };
        type Found = (BigInt, Nullable<(ItemSql, Bool, Integer)>);
        type FoundRow = (i64, Option<(ItemRow, bool, i32)>);
        let has_beginning = tsquery.contains(":*");
        let began = Instant::now();
        let rows = with_plan(connection, Plan::ByBitmap, |connection| {
            if has_beginning {
                connection.batch_execute(&format!(
                    "SET LOCAL statement_timeout = {}",
                    LONGEST_FOR_BEGINNINGS.as_millis()
                ))?;
            }
            let statement = Statement::<Found>::new(sql)
                .bind::<Uuid, _>(self.user.as_uuid())
                .bind::<Timestamptz, _>(window.before.0)
                .bind::<BigInt, _>(window.before.1)
                .bind::<BigInt, _>(most)
                .bind::<Text, _>(tsquery)
                .bind::<BigInt, _>(MOST_FOUND + 1);
            let rows: Vec<FoundRow> = match self.before {
                None => statement.load(connection)?,
                Some(_) => statement.bind::<Text, _>(&self.tsquery).load(connection)?,
            };
            Ok(rows)
        });
        let rows = match rows {
            // In another language, PostgreSQL's words do not tell.
            Err(
                StorageError::TimedOut { .. }
                | StorageError::Unavailable {
                    why: Outage::Other, ..
                },
            ) if has_beginning && began.elapsed() >= LONGEST_FOR_BEGINNINGS => return Ok(None),
            rows => rows?,
        };
        if rows
            .first()
            .is_some_and(|(entries, _)| *entries > MOST_FOUND)
        {
            return Ok(None);
        }
        let found = rows.into_iter().filter_map(|(_, found)| found);
        let found = found.map(|(row, is_of_before, bytes)| {
            Ok(Candidate {
                item: row.try_into()?,
                is_of_before,
                bytes: i64::from(bytes),
            })
        });
        found.collect::<Result<_, StorageError>>().map(Some)
    }
}

/// What the index has, with a further condition.
macro_rules! found_in_index {
    ($condition:literal) => {
        concat!(
            "WITH found AS MATERIALIZED (
               SELECT id, title, is_favorite, created_at, tag_count, search_form = 0 AS is_of_before, content_bytes
                 FROM own_entries WHERE user_id = $1 AND search @@ $5::tsquery ",
            $condition,
            " LIMIT $6),
             counted AS MATERIALIZED (SELECT count(*) AS entries FROM found)
             SELECT counted.entries, page.id, page.title, page.is_favorite, page.created_at, page.tag_count,
                    page.is_of_before, page.content_bytes
               FROM counted LEFT JOIN (
                    SELECT found.* FROM found, counted
                     WHERE counted.entries < $6 AND (found.created_at, found.id) < ($2, $3)
                     ORDER BY created_at DESC, id DESC LIMIT $4) AS page ON true
              ORDER BY page.created_at DESC, page.id DESC"
        )
    };
}
use found_in_index;

fn position(item: &EntryListItem) -> TimeCursor {
    time::cursor(item.created_at, item.id.0)
}
