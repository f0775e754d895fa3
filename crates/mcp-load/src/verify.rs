//! Before and after the load: what there has to be, and whether it is there.

use std::{rc::Rc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    answer::{self, EntryPage, TagPage},
    failure::{Failure, Kind},
    ledger::Sights,
    measure::Step,
    session::Client,
    watch::{User, Watch},
    wire::{Named, tool_params},
};

/// How often something is tried that has to be done.
const TRIES: u32 = 5;

/// How many entries a page is asked for at the end.
const PAGE: usize = 100;

/// How many pages of one user are read.
const MOST_PAGES: usize = 20_000;

/// What a user's things came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) created: u64,
    pub(crate) found: u64,
}

impl Client {
    /// Gives the user entries to begin with.
    pub(crate) async fn prepare(&mut self, entries: u32) {
        for _ in 0..entries {
            if self.write(Step::Prepare, None).await.is_err() {
                // The server is not up to it, which the report says.
                return;
            }
        }
    }

    /// Writes an entry, and again under the same key if it was shed or cut off.
    async fn write(&mut self, step: Step, again: Option<usize>) -> Result<(), ()> {
        let mut again = again;
        for last in [false, false, false, false, true] {
            let number = self.user.entries.borrow().next_number();
            let began = Instant::now();
            let outcome = match self.open().await {
                Ok(()) => self.create_entry(again).await,
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(whole) => {
                    self.step(step, whole - began);
                    return Ok(());
                }
                Err(failure) if last || !failure.kind.can_be_allowed() => {
                    self.fail(step, &failure);
                    return Err(());
                }
                Err(failure) => {
                    // It is the same write, whether or not it began.
                    let began = self.user.entries.borrow().next_number() > number;
                    again = again.or_else(|| began.then_some(number));
                    sleep(failure.retry_after.unwrap_or(Duration::from_millis(200))).await;
                }
            }
        }
        Err(())
    }

    /// Writes again, under the same key, what nobody knows of: then it is there, once.
    pub(crate) async fn settle(&mut self) {
        let open = self.user.entries.borrow().open();
        for number in open {
            if self.write(Step::Settle, Some(number)).await.is_err() {
                return;
            }
        }
    }

    /// Looks for everything that the user has written.
    pub(crate) async fn verify(&mut self) -> Verified {
        let user = Rc::clone(&self.user);
        let mut verified = Verified::default();
        if !user.entries.borrow().is_empty() {
            match self.entries().await {
                Ok(sights) => {
                    let entries = user.entries.borrow();
                    verified.created += entries.count() as u64;
                    verified.found += sights.seen.len() as u64;
                    self.report(&entries.faults("entry", &sights.seen));
                }
                Err(failure) => self.fail(Step::Verify, &unverified(&user, &failure)),
            }
        }
        if !user.tags.borrow().is_empty() {
            match self.tags().await {
                Ok(sights) => {
                    let tags = user.tags.borrow();
                    verified.created += tags.count() as u64;
                    verified.found += sights.seen.len() as u64;
                    self.report(&tags.faults("tag", &sights.seen));
                }
                Err(failure) => self.fail(Step::Verify, &unverified(&user, &failure)),
            }
        }
        verified
    }

    fn report(&self, faults: &[Failure]) {
        let word = self.user.marker.word();
        let mut recorder = self.shared.recorder.borrow_mut();
        for fault in faults {
            recorder.error(&Failure::new(
                fault.kind.clone(),
                format!("{word}: {}", fault.detail),
            ));
        }
    }

    /// Pages of the list, newest first, until there is nothing of this run any more and all was found.
    async fn entries(&mut self) -> Result<Sights, Failure> {
        let mut sights = Sights::default();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            self.page("list_entries", cursor.as_deref()).await?;
            let data = answer::data(self.result())?;
            let page: EntryPage<'_> = answer::read(&data)?;
            let own = sights.entries(&self.user.marker, &page);
            let is_all = sights.seen.len() >= self.user.entries.borrow().count();
            if page.next_cursor.is_none() || (own == 0 && is_all) {
                return Ok(sights);
            }
            cursor = page.next_cursor.map(std::borrow::Cow::into_owned);
        }
        Err(Failure::new(
            Kind::TooLarge,
            format!("more than {MOST_PAGES} pages"),
        ))
    }

    /// The same of tags, which are in another order.
    async fn tags(&mut self) -> Result<Sights, Failure> {
        let mut sights = Sights::default();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            self.page("list_tags", cursor.as_deref()).await?;
            let data = answer::data(self.result())?;
            let page: TagPage<'_> = answer::read(&data)?;
            sights.tags(&self.user.marker, &page);
            if page.next_cursor.is_none() {
                return Ok(sights);
            }
            cursor = page.next_cursor.map(std::borrow::Cow::into_owned);
        }
        Err(Failure::new(
            Kind::TooLarge,
            format!("more than {MOST_PAGES} pages"),
        ))
    }

    async fn page(&mut self, tool: &str, cursor: Option<&str>) -> Result<(), Failure> {
        let mut arguments = serde_json::json!({ "limit": PAGE });
        if let Some(cursor) = cursor {
            arguments["cursor"] = cursor.into();
        }
        let params = tool_params(tool, &arguments.to_string());
        let mut tries = 1;
        loop {
            let began = Instant::now();
            let outcome = match self.open().await {
                Ok(()) => self.call(&Named::tool(tool), &params).await,
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(whole) => {
                    self.step(Step::Verify, whole - began);
                    return Ok(());
                }
                Err(failure) if tries >= TRIES || !failure.kind.can_be_allowed() => {
                    return Err(failure);
                }
                Err(failure) => {
                    tries += 1;
                    sleep(failure.retry_after.unwrap_or(Duration::from_millis(200))).await;
                }
            }
        }
    }
}

/// What was written and cannot be looked for has to be taken for lost.
fn unverified(user: &User, failure: &Failure) -> Failure {
    let kind = failure.kind.name();
    let words = format!(
        "{}: what was written could not be looked for: {kind}: {}",
        user.marker.word(),
        failure.detail
    );
    Failure::new(
        if failure.kind.can_be_allowed() {
            Kind::Lost
        } else {
            failure.kind.clone()
        },
        words,
    )
}

/// Waits until a stream was told of everything, or the time for it is over.
pub(crate) async fn wait_for_news(watch: &Watch, until: Instant) {
    loop {
        let news = watch.news.notified();
        if watch.missing() == 0 || watch.has_ended.get() {
            return;
        }
        if timeout_at(until, news).await.is_err() {
            return;
        }
    }
}

/// What is wrong with what a stream was told.
pub(crate) fn faults_of(user: &User, watch: &Watch) -> Vec<(Failure, u64)> {
    let (entry, list) = (watch.entry.borrow(), watch.list.borrow());
    let word = user.marker.word();
    let what = |changes: &str, must: u64, got: u64| {
        format!("{word}: {must} changes of {changes} were written, and {got} notifications came")
    };
    let entry_words = what(
        watch.uri.as_deref().unwrap_or("nothing"),
        entry.must(),
        entry.got(),
    );
    let list_words = what("the list of resources", list.must(), list.got());
    let missing = Kind::MissingNotification;
    let extra = Kind::ExtraNotification;
    let all = [
        (missing.clone(), entry.missing(), &entry_words),
        (extra.clone(), entry.extra(), &entry_words),
        (missing, list.missing(), &list_words),
        (extra, list.extra(), &list_words),
    ];
    all.into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(kind, count, words)| (Failure::new(kind, words.clone()), count))
        .collect()
}
