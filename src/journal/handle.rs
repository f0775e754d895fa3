//! The handle: what callers hold in place of the actors' addresses.

use std::{fmt, sync::Arc, time::Duration};

use actix_rt::{Arbiter, ArbiterHandle, time::sleep};

use crate::domain::{
    activity::EndedCall,
    journal::{JournalError, Quota, Tag, TagId},
    outage::Outage,
};
use mcp_server::metrics::{Gate, MetricSource};
use resource_server::{
    metrics::{Label, Text},
    principal::UserId,
};

use super::{
    activity::{self, Recorder},
    actor_pool::{self, ActorPool, unavailable},
    cleanup, cut_words,
    message::JournalMessage,
    messages::{DeleteTag, TakeTagOffSome},
    metrics::ConnectionState,
    schema::{self, Schema, SchemaCheck, SchemaFailure, SchemaState},
    settings::JournalSettings,
};

/// How often it is checked that the actors run.
const ACTOR_WATCH: Duration = Duration::from_secs(1);

/// Sends messages to the JournalActors. Clones share them; they stop with the last clone.
#[derive(Clone)]
pub struct JournalHandle(Arc<Inner>);

struct Inner {
    actors: Arc<ActorPool>,
    recorder: Arc<Recorder>,
    quota: Quota,
    schema: Arc<Schema>,
    /// Runs the background tasks.
    background: Arbiter,
    background_handle: ArbiterHandle,
}

impl JournalHandle {
    /// Starts the JournalActors and the background tasks in arbiters of their own.
    /// Neither blocks nor fails while the database is down.
    ///
    /// # Panics
    /// Outside an actix `System`.
    #[must_use]
    pub fn start(settings: &JournalSettings) -> Self {
        let background = Arbiter::new();
        let background_handle = background.handle();
        let schema = Arc::new(Schema::new(settings.schema));
        let actors = Arc::new(ActorPool::start(settings, Arc::clone(&schema)));
        background_handle.spawn(actor_pool::watch(Arc::downgrade(&actors)));
        let recorder = Arc::<Recorder>::default();
        background_handle.spawn(activity::flush_loop(
            Arc::downgrade(&recorder),
            Arc::downgrade(&actors),
        ));
        if let SchemaCheck::WhenReachable { migrate } = settings.schema {
            background_handle.spawn(schema::check_when_reachable(
                Arc::downgrade(&schema),
                settings.database_url.clone(),
                migrate.then(|| settings.direct_url.clone()),
            ));
        }
        Self(Arc::new(Inner {
            actors,
            recorder,
            quota: settings.quota,
            schema,
            background,
            background_handle,
        }))
    }

    /// Starts the background tasks of housekeeping, until the last handle is dropped: one deletes expired rows now and
    /// then, the other cuts entries into words that an earlier release has written.
    pub fn start_cleanup(&self) {
        let actors = Arc::downgrade(&self.0.actors);
        self.0.background_handle.spawn(cleanup::run(actors.clone()));
        self.0.background_handle.spawn(cut_words::run(actors));
    }

    /// Sends a message and waits for its answer. A read is cancelled when the returned future is dropped; a
    /// write that was admitted is executed all the same.
    ///
    /// # Errors
    /// `Busy` if the message was not admitted in time, `Unavailable` until the schema has been checked or
    /// if no connection became available in time, else those that the message documents.
    pub async fn ask<M: JournalMessage>(&self, message: M) -> Result<M::Reply, JournalError> {
        self.0.actors.ask(message).await
    }

    /// How much each user may store.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.0.quota
    }

    /// Deletes a tag and takes it off every entry, and returns it as it was; `None` if there was none. However many
    /// entries have it: it comes off them part by part, and others have their turn in between. It goes on if the
    /// caller leaves; if the process ends before it has, the cleanup of this or another process goes on.
    ///
    /// # Errors
    /// As for [`Self::ask`]. What is left of the tag then is deleted later.
    pub async fn delete_tag(&self, user: UserId, id: TagId) -> Result<Option<Tag>, JournalError> {
        let actors = Arc::clone(&self.0.actors);
        let delete = async move {
            while actors.ask(TakeTagOffSome { user, id }).await? {}
            actors.ask(DeleteTag { user, id }).await
        };
        let deleted = activity::run_to_end(&self.0.background_handle, delete).await;
        deleted.unwrap_or_else(|| Err(unavailable(Outage::Other, "the journal is being closed")))
    }

    /// Counts a call that has ended, for the user's activity. Sends no query and does not wait.
    pub fn record(&self, call: EndedCall) {
        self.0.recorder.record(call);
    }

    /// Stores the activity that was counted until now. What the database cannot store now is kept for the
    /// next attempt. If the answer to a write is lost, its calls may be counted twice.
    pub async fn flush_activity(&self) {
        let (recorder, actors) = (Arc::clone(&self.0.recorder), Arc::clone(&self.0.actors));
        // In a background task, so that a caller that leaves does not lose counts.
        activity::run_to_end(&self.0.background_handle, async move {
            recorder.flush(&actors).await;
        })
        .await;
    }

    /// Stores the activity of one user that was counted until now, as [`Self::flush_activity`] does that of all.
    pub async fn flush_activity_of(&self, user: UserId) {
        let (recorder, actors) = (Arc::clone(&self.0.recorder), Arc::clone(&self.0.actors));
        activity::run_to_end(&self.0.background_handle, async move {
            recorder.flush_of(user, &actors).await;
        })
        .await;
    }

    /// Stores the activity for the last time, in a few attempts. For shutdown: nothing may be counted
    /// meanwhile.
    pub async fn finish_activity(&self) {
        for _ in 0..activity::LAST_ATTEMPTS {
            self.flush_activity().await;
            if self.0.recorder.is_empty() {
                return;
            }
        }
        log::error!("the last of the users' activity was not stored");
    }

    /// Waits until the schema turns out to lack migrations, or the database to refuse them. Pending for ever if neither is
    /// so.
    pub async fn schema_failed(&self) -> SchemaFailure {
        self.0.schema.failed().await
    }

    /// How far the check of the schema is. Until it is good no message is admitted.
    #[must_use]
    pub fn schema(&self) -> SchemaState {
        self.0.schema.state()
    }

    /// How many messages wait or are being executed.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.actors.under_way()
    }

    /// How many messages may wait or be executed at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.0.actors.places()
    }

    /// Whether every actor waits for a database that does not answer.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.0.actors.is_stuck()
    }

    /// How many connections to the database are idle, how many are in use, and how many are used by statements that
    /// the database does not answer.
    #[must_use]
    pub fn connections(&self) -> (u32, u32, u32) {
        self.0.actors.connections()
    }

    /// Waits until an actor has stopped, which leaves its connection without use, or until every actor has waited for long
    /// for a database that does not answer.
    pub async fn stopped(&self) {
        while self.0.actors.is_alive() {
            sleep(ACTOR_WATCH).await;
        }
    }

    #[cfg(test)]
    pub(crate) fn stop_an_actor(&self) {
        self.0.actors.stop_an_actor();
    }

    /// Waits until every admitted message has been answered. For shutdown: nothing may be sent meanwhile.
    pub async fn drained(&self) {
        self.0.actors.drained().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.background.stop();
    }
}

impl fmt::Debug for JournalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JournalHandle({} under way)", self.under_way())
    }
}

impl MetricSource for JournalHandle {
    fn gates(&self) -> Vec<Gate> {
        vec![Gate {
            name: "journal",
            depth: self.under_way(),
            capacity: self.places(),
        }]
    }

    fn write(&self, text: &mut Text) {
        self.0.actors.metrics().write(text);
        self.0.actors.outages().write(text);
        let name = "database_connections";
        text.family(name, "gauge", "Connections to the database.");
        let (idle, busy, hanging) = self.connections();
        for (state, count) in [
            (ConnectionState::Idle, idle),
            (ConnectionState::Busy, busy),
            (ConnectionState::Hanging, hanging),
        ] {
            text.sample(name, &[("state", state.as_str())], count);
        }
        let name = "database_connections_limit";
        text.family(name, "gauge", "How many of them there may be.");
        text.sample(name, &[], self.0.actors.most_connections());
    }
}
