//! What the journal counts.

use std::time::Duration;

use resource_server::{
    metric_label,
    metrics::{Histogram, Label, Text},
};

/// How long the journal took to answer, by what it was asked and what came of it.
#[derive(Debug)]
pub(super) struct JournalMetrics {
    durations: Vec<Histogram>,
}

metric_label! {
    /// What the journal was asked.
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
        /// Suggest entries to somebody who types.
        SuggestEntries = "suggest_entries",
        /// Change an entry.
        UpdateEntry = "update_entry",
        /// Delete an entry.
        DeleteEntry = "delete_entry",
        /// Whether there is any entry.
        HasEntries = "has_entries",
        /// Make a tag.
        CreateTag = "create_tag",
        /// Read a tag.
        GetTag = "get_tag",
        /// List tags.
        ListTags = "list_tags",
        /// Suggest tags to somebody who types.
        SuggestTags = "suggest_tags",
        /// Change a tag.
        UpdateTag = "update_tag",
        /// Delete a tag.
        DeleteTag = "delete_tag",
        /// Put a tag on an entry.
        AddTagToEntry = "add_tag_to_entry",
        /// Take a tag off an entry.
        RemoveTagFromEntry = "remove_tag_from_entry",
        /// Any step of writing an export or of reading one.
        Export = "export",
        /// Use a confirmation up.
        UseRequestState = "use_request_state",
        /// Read activity or connected clients.
        ReadActivity = "read_activity",
        /// Write activity down.
        AddActivity = "add_activity",
        /// Delete what has expired.
        DeleteExpired = "delete_expired",
        /// Whether the database answers.
        Ping = "ping",
    }
}

metric_label! {
    /// What became of what the journal was asked.
    JournalOutcome {
        /// It was done.
        Ok = "ok",
        /// It could not be done: no such thing, a name that is taken, a key that was used.
        Refused = "refused",
        /// There was no place behind the gate in time.
        Busy = "busy",
        /// The database could not be reached, or broke off.
        Unavailable = "unavailable",
        /// The database answered what it should not.
        Corrupt = "corrupt",
    }
}

metric_label! {
    /// What a connection to the database does.
    ConnectionState {
        /// It waits to be used.
        Idle = "idle",
        /// It is in use.
        Busy = "busy",
    }
}

impl Default for JournalMetrics {
    fn default() -> Self {
        let kinds = Operation::ALL.len() * JournalOutcome::ALL.len();
        Self {
            durations: (0..kinds).map(|_| Histogram::new()).collect(),
        }
    }
}

impl JournalMetrics {
    /// The journal was asked something.
    pub(super) fn journal(&self, operation: Operation, outcome: JournalOutcome, took: Duration) {
        let place = operation.index() * JournalOutcome::ALL.len() + outcome.index();
        self.durations[place].observe(took);
    }

    /// Writes all of it, as Prometheus reads it.
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
    }
}
