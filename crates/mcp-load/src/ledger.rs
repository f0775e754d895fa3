//! What a user has written, and what the server therefore owes.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    answer::{EntryPage, Marker, TagPage},
    failure::{Failure, Kind},
};

/// How many notifications are waited for one by one; of more, the latency is not known.
const MOST_AWAITED: usize = 1_024;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is under way, or nobody knows: no answer came.
    Open,
    /// The server said that it is done. The id it was given.
    Done(i64),
    /// The server said that it is not.
    Refused,
}

/// Things of one sort that were written under numbers, each with a key of its own.
#[derive(Default)]
pub(crate) struct Written {
    fates: Vec<Fate>,
    done: usize,
    ids: BTreeMap<i64, u32>,
}

impl Written {
    /// The number of one that is about to be written.
    pub(crate) fn begin(&mut self) -> usize {
        self.fates.push(Fate::Open);
        self.fates.len() - 1
    }

    /// The number of the next one.
    pub(crate) fn next_number(&self) -> usize {
        self.fates.len()
    }

    /// The server says that it is there now, under this id.
    pub(crate) fn done(&mut self, number: usize, id: i64) -> Result<(), Failure> {
        if self.fates[number] == Fate::Done(id) {
            return Ok(());
        }
        let before = self
            .ids
            .insert(id, u32::try_from(number).unwrap_or(u32::MAX));
        if let Some(before) = before {
            let words = format!("writes {before} and {number} were both given the id {id}");
            return Err(Failure::new(Kind::WrongData, words));
        }
        if let Fate::Done(first) = self.fates[number] {
            let words = format!("write {number} was done twice under one key, as {first} and {id}");
            return Err(Failure::new(Kind::Doubled, words));
        }
        self.fates[number] = Fate::Done(id);
        self.done += 1;
        Ok(())
    }

    pub(crate) fn refused(&mut self, number: usize) {
        if self.fates[number] == Fate::Open {
            self.fates[number] = Fate::Refused;
        }
    }

    /// Those of which nobody knows.
    pub(crate) fn open(&self) -> Vec<usize> {
        let is_open = |(_, fate): &(usize, &Fate)| **fate == Fate::Open;
        let open = self.fates.iter().enumerate().filter(is_open);
        open.map(|(number, _)| number).collect()
    }

    /// How many are known to be there.
    pub(crate) fn count(&self) -> usize {
        self.done
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// One that is known to be there, by chance: its number and id.
    pub(crate) fn any(&self, random: u64) -> Option<(usize, i64)> {
        let length = self.fates.len() as u64;
        let begin = usize::try_from(random.checked_rem(length)?).ok()?;
        let around = (begin..self.fates.len()).chain(0..begin);
        around
            .into_iter()
            .find_map(|number| match self.fates[number] {
                Fate::Done(id) => Some((number, id)),
                Fate::Open | Fate::Refused => None,
            })
    }

    /// The first one, if it is there.
    pub(crate) fn first(&self) -> Option<i64> {
        match self.fates.first()? {
            Fate::Done(id) => Some(*id),
            Fate::Open | Fate::Refused => None,
        }
    }

    /// What is wrong, now that `seen` of each were found.
    pub(crate) fn faults(&self, what: &str, seen: &BTreeMap<usize, u32>) -> Vec<Failure> {
        let mut faults = Vec::new();
        for (number, fate) in self.fates.iter().enumerate() {
            let times = seen.get(&number).copied().unwrap_or_default();
            match (fate, times) {
                (Fate::Done(_) | Fate::Open, 1) | (Fate::Open | Fate::Refused, 0) => {}
                (Fate::Done(id), 0) => faults.push(Failure::new(
                    Kind::Lost,
                    format!("{what} {number}, which was given the id {id}, is not there"),
                )),
                (Fate::Refused, 1) => faults.push(Failure::new(
                    Kind::WrongData,
                    format!("{what} {number} is there, and the server said that it was refused"),
                )),
                (_, times) => faults.push(Failure::new(
                    Kind::Doubled,
                    format!("{what} {number} is there {times} times"),
                )),
            }
        }
        for number in seen.keys().filter(|number| **number >= self.fates.len()) {
            let words = format!("{what} {number} is there, and nobody wrote it");
            faults.push(Failure::new(Kind::WrongData, words));
        }
        faults
    }
}

/// Sights of a user's own things in pages of a list.
#[derive(Default)]
pub(crate) struct Sights {
    pub(crate) seen: BTreeMap<usize, u32>,
}

impl Sights {
    /// Looks at a page of entries; says how many were of this run.
    pub(crate) fn entries(&mut self, marker: &Marker, page: &EntryPage<'_>) -> usize {
        self.names(marker, page.entries.iter().map(|entry| &*entry.title))
    }

    /// The same of tags.
    pub(crate) fn tags(&mut self, marker: &Marker, page: &TagPage<'_>) -> usize {
        self.names(marker, page.tags.iter().map(|tag| &*tag.name))
    }

    fn names<'a>(&mut self, marker: &Marker, names: impl Iterator<Item = &'a str>) -> usize {
        let mut own = 0;
        for number in names.filter_map(|name| marker.number(name)) {
            *self.seen.entry(number).or_default() += 1;
            own += 1;
        }
        own
    }
}

/// How often a subscriber has to be told of a change: as often as there was one, if every write was answered.
#[derive(Debug)]
pub(crate) struct Owed<T> {
    must: u64,
    may: u64,
    got: u64,
    /// When the writes began whose notifications have not come.
    awaited: VecDeque<T>,
}

impl<T> Default for Owed<T> {
    fn default() -> Self {
        Self {
            must: 0,
            may: 0,
            got: 0,
            awaited: VecDeque::new(),
        }
    }
}

impl<T> Owed<T> {
    /// A write begins at this moment.
    pub(crate) fn begins(&mut self, at: T) {
        if self.awaited.len() < MOST_AWAITED {
            self.awaited.push_back(at);
        }
    }

    /// A write is done.
    pub(crate) fn done(&mut self) {
        self.must += 1;
    }

    /// Nobody knows of a write.
    pub(crate) fn open(&mut self) {
        self.may += 1;
    }

    /// A write was refused.
    pub(crate) fn refused(&mut self) {
        self.awaited.pop_back();
    }

    /// A notification has come. When the write began that it is most likely about: they come in order.
    pub(crate) fn notified(&mut self) -> Option<T> {
        self.got += 1;
        self.awaited.pop_front()
    }

    pub(crate) fn got(&self) -> u64 {
        self.got
    }

    pub(crate) fn must(&self) -> u64 {
        self.must
    }

    /// How many have not come.
    pub(crate) fn missing(&self) -> u64 {
        self.must.saturating_sub(self.got)
    }

    /// How many came without a write.
    pub(crate) fn extra(&self) -> u64 {
        self.got.saturating_sub(self.must + self.may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(faults: &[Failure]) -> Vec<Kind> {
        faults.iter().map(|fault| fault.kind.clone()).collect()
    }

    #[test]
    fn what_was_written_is_there_once() {
        let mut written = Written::default();
        for id in 10..14 {
            let number = written.begin();
            written.done(number, id).unwrap();
        }
        let (open, refused) = (written.begin(), written.begin());
        written.refused(refused);
        assert_eq!(written.open(), [open]);
        let seen = |pairs: &[(usize, u32)]| pairs.iter().copied().collect();
        let all = [(0, 1), (1, 1), (2, 1), (3, 1)];
        assert!(written.faults("entry", &seen(&all)).is_empty());
        let with_open = [&all[..], &[(open, 1)]].concat();
        assert!(written.faults("entry", &seen(&with_open)).is_empty());
        let wrong = [(0, 1), (2, 2), (3, 1), (open, 2), (refused, 1), (99, 1)];
        assert_eq!(
            kinds(&written.faults("entry", &seen(&wrong))),
            [
                Kind::Lost,
                Kind::Doubled,
                Kind::Doubled,
                Kind::WrongData,
                Kind::WrongData
            ]
        );
    }

    #[test]
    fn a_key_gives_one_id_and_an_id_is_given_once() {
        let mut written = Written::default();
        let (first, second) = (written.begin(), written.begin());
        written.done(first, 10).unwrap();
        written.done(first, 10).unwrap();
        assert_eq!(written.done(first, 11).unwrap_err().kind, Kind::Doubled);
        assert_eq!(written.done(second, 10).unwrap_err().kind, Kind::WrongData);
        assert_eq!(written.count(), 1);
    }

    #[test]
    fn any_is_one_that_is_there() {
        let mut written = Written::default();
        assert_eq!(written.any(5), None);
        written.begin();
        assert_eq!(written.any(5), None);
        let number = written.begin();
        written.done(number, 7).unwrap();
        for random in 0..4 {
            assert_eq!(written.any(random), Some((1, 7)));
        }
        assert_eq!(written.first(), None);
    }

    #[test]
    fn each_write_is_owed_one_notification() {
        let mut owed = Owed::default();
        for at in 0..3 {
            owed.begins(at);
        }
        owed.done();
        owed.open();
        owed.refused();
        assert_eq!((owed.missing(), owed.extra()), (1, 0));
        assert_eq!(owed.notified(), Some(0));
        assert_eq!((owed.missing(), owed.extra()), (0, 0));
        assert_eq!(owed.notified(), Some(1));
        assert_eq!((owed.missing(), owed.extra()), (0, 0));
        assert_eq!(owed.notified(), None);
        assert_eq!((owed.missing(), owed.extra()), (0, 1));
    }
}
