//! What the journal counts.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use resource_server::{
    metric_label,
    metrics::{Histogram, Label, Text},
};

/// Durations of messages to the journal, by operation and outcome.
#[derive(Debug)]
pub(super) struct JournalMetrics {
    durations: Vec<Histogram>,
    /// How many entries have been cut into words that an earlier release has written.
    cut_again: AtomicU64,
    /// Whether there are more, as far as is known.
    are_uncut: AtomicBool,
}

metric_label! {
    /// The operation of a message.
    Operation {
        /// Write an entry.
        CreateEntry = "create_entry",
        /// Read an entry.
        GetEntry = "get_entry",
        /// List entries.
        ListEntries = "list_entries",
        /// Search entries.
        SearchEntries = "search_entries",
        /// Read the newest entries of a span of time.
        DigestEntries = "digest_entries",
        /// Complete the id of an entry.
        SuggestEntries = "suggest_entries",
        /// Change an entry.
        UpdateEntry = "update_entry",
        /// Delete an entry.
        DeleteEntry = "delete_entry",
        /// Whether there is any entry.
        HasEntries = "has_entries",
        /// How much a user has stored.
        GetUsage = "get_usage",
        /// Create a tag.
        CreateTag = "create_tag",
        /// Read a tag.
        GetTag = "get_tag",
        /// List tags.
        ListTags = "list_tags",
        /// Complete the id or name of a tag.
        SuggestTags = "suggest_tags",
        /// Change a tag.
        UpdateTag = "update_tag",
        /// Delete a tag.
        DeleteTag = "delete_tag",
        /// Bring tags together that are one by their names.
        MergeTags = "merge_tags",
        /// Add a tag to an entry.
        AddTagToEntry = "add_tag_to_entry",
        /// Remove a tag from an entry.
        RemoveTagFromEntry = "remove_tag_from_entry",
        /// A step of writing or reading an export.
        Export = "export",
        /// Add what an exported document has.
        Import = "import",
        /// Mark a request state as used.
        UseRequestState = "use_request_state",
        /// Store, lift or read revocations.
        Revocations = "revocations",
        /// Read or change what a legacy session has set.
        Sessions = "sessions",
        /// Read activity or connected clients.
        ReadActivity = "read_activity",
        /// Store activity.
        AddActivity = "add_activity",
        /// Delete expired rows.
        DeleteExpired = "delete_expired",
        /// Cut entries into words that an earlier release has written.
        CutWords = "cut_words",
        /// Whether the database answers.
        Ping = "ping",
    }
}

metric_label! {
    /// The outcome of a message.
    JournalOutcome {
        /// It was done.
        Ok = "ok",
        /// Refused: it does not exist, a name is taken, or a key was used.
        Refused = "refused",
        /// Not admitted in time, or not within the user's share.
        Busy = "busy",
        /// Cancelled by the database, for it took longer than a statement may.
        TookTooLong = "took_too_long",
        /// Cancelled by the database, which could not do in time what costs the same in every journal.
        TimedOut = "timed_out",
        /// The database could not be reached, or the connection broke.
        Unavailable = "unavailable",
        /// The database gave an unexpected answer.
        Corrupt = "corrupt",
    }
}

metric_label! {
    /// The state of a connection to the database.
    ConnectionState {
        /// Idle.
        Idle = "idle",
        /// In use.
        Busy = "busy",
        /// In use by a statement that the database does not answer, and for which nobody waits any more.
        Hanging = "hanging",
    }
}

impl Default for JournalMetrics {
    fn default() -> Self {
        let kinds = Operation::ALL.len() * JournalOutcome::ALL.len();
        Self {
            durations: (0..kinds).map(|_| Histogram::new()).collect(),
            cut_again: AtomicU64::new(0),
            are_uncut: AtomicBool::new(false),
        }
    }
}

impl JournalMetrics {
    /// Records a message.
    pub(super) fn journal(&self, operation: Operation, outcome: JournalOutcome, took: Duration) {
        let place = operation.index() * JournalOutcome::ALL.len() + outcome.index();
        self.durations[place].observe(took);
    }

    /// Records entries that have been cut into words, and whether there are more.
    pub(super) fn cut_again(&self, entries: usize, are_more: bool) {
        self.cut_again.fetch_add(entries as u64, Ordering::Relaxed);
        self.are_uncut.store(are_more, Ordering::Relaxed);
    }

    /// Writes all metrics in Prometheus's text format.
    pub(super) fn write(&self, text: &mut Text) {
        let name = "journal_duration_seconds";
        let help = "From a question to the journal to its answer, waiting included.";
        text.family(name, "histogram", help);
        let kinds = Operation::ALL.iter().flat_map(|operation| {
            let outcomes = JournalOutcome::ALL.iter();
            outcomes.map(move |outcome| (operation, outcome))
        });
        for ((operation, outcome), durations) in kinds.zip(&self.durations) {
            if durations.count() > 0 {
                let labels = [
                    ("operation", operation.as_str()),
                    ("outcome", outcome.as_str()),
                ];
                durations.write(text, name, &labels);
            }
        }
        let name = "search_entries_cut_total";
        text.family(
            name,
            "counter",
            "Entries of an earlier release that this process has cut into words.",
        );
        text.sample(name, &[], self.cut_again.load(Ordering::Relaxed));
        let name = "search_entries_uncut";
        text.family(
            name,
            "gauge",
            "1 while there are entries that are found by their English words alone.",
        );
        text.sample(name, &[], u8::from(self.are_uncut.load(Ordering::Relaxed)));
    }
}
