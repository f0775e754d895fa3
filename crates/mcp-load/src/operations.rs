//! The operations of the mix, and what each has to answer.

use std::{collections::HashSet, rc::Rc, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    answer::{self, EntryPage, OneEntry, OneTag},
    failure::{Failure, Kind},
    mix::{JournalTool, Operation},
    session::Client,
    watch::{Change, User},
    wire::{Arguments, Named},
};

/// How many entries a list is asked for.
const PAGE: usize = 20;

impl Client {
    /// Does the operation at this place of the mix. When its answer was there, if it was right.
    pub(crate) async fn attempt(&mut self, place: usize) -> Result<Instant, Failure> {
        self.open().await?;
        let plan = Arc::clone(&self.shared.plan);
        let prepared = &plan.prepared[place];
        match &plan.mix.operations[place] {
            Operation::Journal(tool) => self.journal(*tool, &prepared.named).await,
            Operation::Tool(_) => {
                let whole = self.call(&prepared.named, &prepared.params).await?;
                self.look_closer()?;
                Ok(whole)
            }
            Operation::Method(method) => {
                let whole = self.call(&prepared.named, &prepared.params).await?;
                if self.look_closer()? && !answer::has_list(self.result(), method) {
                    return Err(self.not_it("there is no such list in it"));
                }
                Ok(whole)
            }
        }
    }

    async fn journal(&mut self, tool: JournalTool, named: &Named) -> Result<Instant, Failure> {
        let user = Rc::clone(&self.user);
        let word = user.marker.word();
        let mut params = String::new();
        let mut arguments = Arguments { out: &mut params };
        match tool {
            JournalTool::CreateEntry => self.create_entry(None).await,
            JournalTool::CreateTag => self.create_tag(named).await,
            JournalTool::UpdateEntry => self.update_entry(named).await,
            JournalTool::GetEntry => {
                let random = self.random();
                let any = user.entries.borrow().any(random);
                let (number, id) = any.ok_or_else(nothing_there)?;
                arguments.tool(tool, format_args!(r#""id":{id}"#));
                let whole = self.call(named, &params).await?;
                if !user.marker.names(self.result(), number) {
                    return Err(self.not_it(&format!("entry {id} has the title {word} {number}")));
                }
                if self.look_closer()? {
                    self.is_entry(number, Some(id))?;
                }
                Ok(whole)
            }
            JournalTool::ListEntries => {
                let known = user.entries.borrow().count();
                arguments.tool(tool, format_args!(r#""limit":{PAGE}"#));
                let whole = self.call(named, &params).await?;
                if self.look_closer()? {
                    self.is_page(known)?;
                }
                Ok(whole)
            }
            JournalTool::SearchEntries => {
                let known = user.entries.borrow().count();
                arguments.tool(tool, format_args!(r#""query":"{word}","limit":{PAGE}"#));
                let whole = self.call(named, &params).await?;
                if self.look_closer()? {
                    self.is_page(known)?;
                }
                Ok(whole)
            }
            JournalTool::Whoami => {
                arguments.tool(tool, format_args!(""));
                let whole = self.call(named, &params).await?;
                if self.look_closer()? {
                    self.is_same_user(&user)?;
                }
                Ok(whole)
            }
        }
    }

    /// Writes an entry: a new one, or again one of which nobody knows, under the same key.
    pub(crate) async fn create_entry(&mut self, again: Option<usize>) -> Result<Instant, Failure> {
        let user = Rc::clone(&self.user);
        let number = again.unwrap_or_else(|| user.entries.borrow_mut().begin());
        let mut params = String::new();
        Arguments { out: &mut params }.create_entry(user.marker.word(), number);
        let called = self.call(&Named::tool("create_entry"), &params).await;
        let whole = called.inspect_err(|failure| {
            // One that is written again may have been written the first time.
            if again.is_none() && !failure.kind.leaves_open() {
                user.entries.borrow_mut().refused(number);
            }
        })?;
        self.look_closer()?;
        let id = self.is_entry(number, None)?;
        user.entries.borrow_mut().done(number, id)?;
        Ok(whole)
    }

    async fn create_tag(&mut self, named: &Named) -> Result<Instant, Failure> {
        let user = Rc::clone(&self.user);
        let word = user.marker.word();
        let number = user.tags.borrow_mut().begin();
        let mut params = String::new();
        Arguments { out: &mut params }.tool(
            JournalTool::CreateTag,
            format_args!(r#""name":"{word} {number}""#),
        );
        user.change_begins(Change::List, Instant::now());
        let called = self.call(named, &params).await;
        user.change_ends(Change::List, called.as_ref().map(drop));
        let whole = called.inspect_err(|failure| {
            if !failure.kind.leaves_open() {
                user.tags.borrow_mut().refused(number);
            }
        })?;
        self.look_closer()?;
        let data = answer::data(self.result())?;
        let one: OneTag<'_> = answer::read(&data)?;
        if user.marker.number(&one.tag.name) != Some(number) {
            return Err(self.not_it(&format!("the tag is {word} {number}")));
        }
        user.tags.borrow_mut().done(number, one.tag.id)?;
        Ok(whole)
    }

    /// Changes the entry that the user's streams are subscribed to.
    async fn update_entry(&mut self, named: &Named) -> Result<Instant, Failure> {
        let user = Rc::clone(&self.user);
        let id = user.entries.borrow().first().ok_or_else(nothing_there)?;
        let mood = user.next_update();
        let mut params = String::new();
        Arguments { out: &mut params }.tool(
            JournalTool::UpdateEntry,
            format_args!(r#""id":{id},"mood":"{mood}""#),
        );
        user.change_begins(Change::Entry, Instant::now());
        let called = self.call(named, &params).await;
        user.change_ends(Change::Entry, called.as_ref().map(drop));
        let whole = called?;
        if self.look_closer()? {
            self.is_entry(0, Some(id))?;
        }
        Ok(whole)
    }

    /// Parses the whole of one answer in so many; whether this was one.
    fn look_closer(&self) -> Result<bool, Failure> {
        let answers = self.shared.answers.get();
        self.shared.answers.set(answers + 1);
        if !answers.is_multiple_of(self.shared.plan.options.check_every) {
            return Ok(false);
        }
        answer::check_whole(&self.body, self.is_stateless())?;
        Ok(true)
    }

    /// The answer is that entry of this user; its id.
    fn is_entry(&self, number: usize, id: Option<i64>) -> Result<i64, Failure> {
        let data = answer::data(self.result())?;
        let one: OneEntry<'_> = answer::read(&data)?;
        let is_it = self.user.marker.number(&one.entry.title) == Some(number)
            && id.is_none_or(|id| one.entry.id == id);
        if !is_it {
            let word = self.user.marker.word();
            return Err(self.not_it(&format!("the entry is {word} {number}")));
        }
        Ok(one.entry.id)
    }

    /// The answer is a page of entries, none of them twice; and if there are no more, all that were there when it was asked for.
    fn is_page(&self, known: usize) -> Result<(), Failure> {
        let data = answer::data(self.result())?;
        let page: EntryPage<'_> = answer::read(&data)?;
        let ids: HashSet<i64> = page.entries.iter().map(|entry| entry.id).collect();
        if ids.len() != page.entries.len() {
            let words = "a page has an entry twice".to_owned();
            return Err(Failure::new(Kind::Doubled, words));
        }
        if page.entries.len() > PAGE {
            return Err(self.not_it(&format!("at most {PAGE} were asked for")));
        }
        let marker = &self.user.marker;
        let own = page
            .entries
            .iter()
            .filter(|entry| marker.number(&entry.title).is_some());
        let own = own.count();
        let is_last = page.next_cursor.is_none();
        if (is_last && own < known) || (page.entries.is_empty() && known > 0) {
            let words = format!("a last page has {own} entries, and {known} were there before");
            return Err(Failure::new(Kind::Lost, words));
        }
        Ok(())
    }

    /// Who it is does not change from one answer to the next.
    fn is_same_user(&self, user: &User) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            user: &'a RawValue,
        }
        let data = answer::data(self.result())?;
        let answer: Answer<'_> =
            serde_json::from_slice(&data).map_err(|_| self.not_it("a user was asked for"))?;
        let data = answer.user.get().as_bytes();
        let mut identity = user.identity.borrow_mut();
        match &*identity {
            None => *identity = Some(data.to_owned()),
            Some(before) if **before == *data => {}
            Some(before) => {
                let words = format!(
                    "{} is {} now, and was {}",
                    user.marker.word(),
                    String::from_utf8_lossy(data),
                    String::from_utf8_lossy(before)
                );
                return Err(Failure::new(Kind::ForeignData, words));
            }
        }
        Ok(())
    }

    fn not_it(&self, expected: &str) -> Failure {
        let said = Failure::said(Kind::WrongData, self.result());
        Failure::new(Kind::WrongData, format!("{expected}: {}", said.detail))
    }
}

fn nothing_there() -> Failure {
    Failure::new(
        Kind::Connect,
        "no entry could be written that this could be done with",
    )
}
