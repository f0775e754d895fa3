//! The texts of entries that a search reads: to tell whether they match, to rank them and to cut excerpts from them.
//! One text at a time is in memory.

use std::collections::{HashMap, HashSet};

use diesel::{
    PgConnection, RunQueryDsl,
    pg::PgRowByRowLoadingMode,
    sql_types::{Array, BigInt, Text, Uuid},
};
use full_text::{MOST_CHARACTERS, Query};

use crate::domain::{
    journal::{EntryId, EntryListItem, SearchHit},
    page::TimeCursor,
};
use resource_server::principal::UserId;

use super::{error::StorageError, statement::Statement, time};

/// Texts are read in parts, until the page is full: so many, and about so many bytes.
const PART: usize = 100;
const PART_BYTES: i64 = 1 << 20;

/// An entry that can match.
pub(super) struct Candidate {
    pub(super) item: EntryListItem,
    /// Whether PostgreSQL has cut its words, which do not tell.
    pub(super) is_of_before: bool,
    /// How long its text is.
    pub(super) bytes: i64,
}

/// What is read of a user's texts for one page.
pub(super) struct Texts<'a> {
    user: UserId,
    query: &'a Query,
    /// Whether an entry with the words of the query matches.
    words_decide: bool,
    /// How many bytes may still be compared, and whether any were.
    left: i64,
    has_read: bool,
}

impl<'a> Texts<'a> {
    /// `most` bytes are compared.
    pub(super) fn new(user: UserId, query: &'a Query, most: i64) -> Self {
        Self {
            user,
            query,
            words_decide: query.is_exact(),
            left: most,
            has_read: false,
        }
    }

    pub(super) const fn words_decide(&self) -> bool {
        self.words_decide
    }

    /// Whether there is more to read. The first text always is, so that every page comes further.
    pub(super) const fn may_read(&self) -> bool {
        self.left > 0 || !self.has_read
    }

    /// Adds those of some entries that match, in their order, until there are as many as are wanted. Returns where to go
    /// on if not all of them could be compared.
    pub(super) fn keep_matching(
        &mut self,
        connection: &mut PgConnection,
        candidates: Vec<Candidate>,
        items: &mut Vec<EntryListItem>,
        wanted: usize,
    ) -> Result<Option<TimeCursor>, StorageError> {
        let mut rest = candidates.into_iter().peekable();
        while let Some(first) = rest.peek().filter(|_| items.len() < wanted) {
            if self.is_in_doubt(first) && !self.may_read() {
                // Behind this position comes the entry itself.
                let at = time::cursor(first.item.created_at, first.item.id.0.saturating_add(1));
                return Ok(Some(at));
            }
            let mut part = Vec::new();
            let (mut in_doubt, mut bytes) = (Vec::new(), 0);
            while let Some(next) = rest.next_if(|next| {
                let is_first = in_doubt.is_empty();
                let has_room =
                    in_doubt.len() < PART && bytes + next.bytes <= self.left.min(PART_BYTES);
                let is_full = items.len() + part.len() - in_doubt.len() >= wanted;
                !is_full && (!self.is_in_doubt(next) || is_first || has_room)
            }) {
                if self.is_in_doubt(&next) {
                    in_doubt.push(next.item.id.0);
                    bytes += next.bytes;
                }
                part.push(next);
            }
            let matching = self.matching(connection, in_doubt, bytes)?;
            let matching = part
                .into_iter()
                .filter(|one| !self.is_in_doubt(one) || matching.contains(&one.item.id.0));
            items.extend(matching.map(|one| one.item));
        }
        items.truncate(wanted);
        Ok(None)
    }

    fn is_in_doubt(&self, candidate: &Candidate) -> bool {
        candidate.is_of_before || !self.words_decide
    }

    /// Those of some entries whose texts match.
    fn matching(
        &mut self,
        connection: &mut PgConnection,
        ids: Vec<i64>,
        bytes: i64,
    ) -> Result<HashSet<i64>, StorageError> {
        let mut matching = HashSet::new();
        if ids.is_empty() {
            return Ok(matching);
        }
        self.left -= bytes;
        self.has_read = true;
        let texts = Statement::<(BigInt, Text, Text)>::new(
            "SELECT id, title, content FROM entries WHERE user_id = $1 AND id = ANY($2)",
        )
        .bind::<Uuid, _>(self.user.as_uuid())
        .bind::<Array<BigInt>, _>(ids)
        .load_iter::<(i64, String, String), PgRowByRowLoadingMode>(connection)?;
        for text in texts {
            let (id, title, content) = text?;
            if self.query.matches(&[&title, &content]) {
                matching.insert(id);
            }
        }
        Ok(matching)
    }

    /// Entries with their relevance, which is zero for those behind so many bytes of texts.
    pub(super) fn ranked(
        &self,
        connection: &mut PgConnection,
        items: Vec<EntryListItem>,
        bytes: i64,
    ) -> Result<Vec<(f32, EntryListItem)>, StorageError> {
        let mut ranks = HashMap::with_capacity(items.len());
        let texts = Statement::<(BigInt, Text, Text)>::new(
            "SELECT id, title, CASE WHEN bytes <= $3 THEN content ELSE '' END
               FROM (SELECT id, title, content, sum(octet_length(content)) OVER (ORDER BY created_at DESC, id DESC) AS bytes
                       FROM entries WHERE user_id = $1 AND id = ANY($2)) AS wanted",
        )
        .bind::<Uuid, _>(self.user.as_uuid())
        .bind::<Array<BigInt>, _>(ids(&items))
        .bind::<BigInt, _>(bytes)
        .load_iter::<(i64, String, String), PgRowByRowLoadingMode>(connection)?;
        for text in texts {
            let (id, title, content) = text?;
            if !content.is_empty() {
                ranks.insert(EntryId(id), self.query.relevance(&title, &content));
            }
        }
        let rank = |item: EntryListItem| (ranks.get(&item.id).copied().unwrap_or(0.0), item);
        Ok(items.into_iter().map(rank).collect())
    }

    /// Entries with excerpts, behind so many bytes of texts of their beginnings.
    pub(super) fn with_excerpts(
        &self,
        connection: &mut PgConnection,
        items: Vec<EntryListItem>,
        bytes: i64,
    ) -> Result<Vec<SearchHit>, StorageError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let texts = Statement::<(BigInt, Text)>::new(
            "SELECT id, CASE WHEN sum(octet_length(content)) OVER (ORDER BY created_at DESC, id DESC) <= $3
                             THEN content ELSE left(content, 4000) END
               FROM entries WHERE user_id = $1 AND id = ANY($2)",
        )
        .bind::<Uuid, _>(self.user.as_uuid())
        .bind::<Array<BigInt>, _>(ids(&items))
        .bind::<BigInt, _>(bytes)
        .load_iter::<(i64, String), PgRowByRowLoadingMode>(connection)?;
        let mut excerpts = HashMap::with_capacity(items.len());
        for text in texts {
            let (id, content) = text?;
            let excerpt = self.query.excerpt(&content, MOST_CHARACTERS).marked();
            excerpts.insert(EntryId(id), excerpt);
        }
        let hit = |entry: EntryListItem| SearchHit {
            // Absent if the entry was deleted since.
            excerpt: excerpts.remove(&entry.id).unwrap_or_default(),
            entry,
        };
        Ok(items.into_iter().map(hit).collect())
    }
}

fn ids(items: &[EntryListItem]) -> Vec<i64> {
    items.iter().map(|item| item.id.0).collect()
}
