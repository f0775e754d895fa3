//! The notes of each user, in memory. Nothing is found but by the user whose it is.

use std::collections::{BTreeMap, HashMap};

use mcp_server::{Change, Changes, UserId};
use parking_lot::Mutex;

/// Where a note can be read.
pub(crate) const URI: &str = "notes://own/{id}";

pub(crate) struct Store {
    users: Mutex<HashMap<UserId, Notes>>,
    changes: Changes,
}

#[derive(Default)]
struct Notes {
    last: i64,
    texts: BTreeMap<i64, String>,
}

impl Store {
    pub(crate) fn new(changes: Changes) -> Self {
        let users = Mutex::default();
        Self { users, changes }
    }

    /// Keeps a note and gives its id.
    pub(crate) fn write(&self, user: UserId, text: String) -> i64 {
        let mut users = self.users.lock();
        let notes = users.entry(user).or_default();
        notes.last += 1;
        notes.texts.insert(notes.last, text);
        self.changes.publish(user, vec![Change::ListChanged]);
        notes.last
    }

    pub(crate) fn read(&self, user: UserId, id: i64) -> Option<String> {
        self.users.lock().get(&user)?.texts.get(&id).cloned()
    }

    /// The notes by their ids, the oldest first.
    pub(crate) fn all(&self, user: UserId) -> BTreeMap<i64, String> {
        let users = self.users.lock();
        let notes = users.get(&user);
        notes.map_or_else(BTreeMap::new, |notes| notes.texts.clone())
    }

    pub(crate) fn delete(&self, user: UserId, id: i64) -> Option<String> {
        let deleted = self.users.lock().get_mut(&user)?.texts.remove(&id)?;
        let uri = URI.replace("{id}", &id.to_string());
        let changes = vec![Change::updated(uri), Change::ListChanged];
        self.changes.publish(user, changes);
        Some(deleted)
    }
}
