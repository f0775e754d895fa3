//! What of the store outlives a restart: registered clients, what was granted to them, and which scopes were unticked. Codes, open
//! pages, devices that wait and tokens that nobody can refresh are forgotten.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Family, Store};
use crate::{
    client::Client,
    grants::{Grant, Kind, Token},
    redirect,
    saved::{Saved, SavedChoice, SavedClient, SavedFamily, SavedKind, SavedToken},
    secret::{Digest, Successors},
};

/// How many bytes of JSON the clients may have; what was granted; and the unticked scopes. The youngest come first.
const CLIENTS: usize = 2 * 1024 * 1024;
const GRANTS: usize = 2 * 1024 * 1024;
const CHOICES: usize = 256 * 1024;

/// Takes what fits into so many bytes, and puts the oldest first.
fn fitting<T: Serialize>(mut room: usize, items: impl Iterator<Item = T>) -> (Vec<T>, usize) {
    let mut taken = Vec::new();
    for item in items {
        let length = serde_json::to_string(&item).map_or(usize::MAX, |json| json.len() + 1);
        let Some(left) = room.checked_sub(length) else {
            break;
        };
        room = left;
        taken.push(item);
    }
    taken.reverse();
    (taken, room)
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

impl Store {
    /// What is to be kept.
    pub(crate) fn to_saved(&self, now: DateTime<Utc>) -> Saved {
        let clients = self.clients.entries(now);
        let clients = clients.map(|(_, client, expires)| SavedClient {
            id: client.id.clone(),
            name: client.name.clone(),
            redirect_uris: client.redirect_uris.clone(),
            grant_types: client.grant_types.clone(),
            secret: client.secret.map(Digest::to_text),
            expires: expires.timestamp(),
        });
        let families = self.families.entries(now);
        let families = families.filter(|(_, family, _)| family.is_lasting);
        let families = families.map(|(id, family, expires)| SavedFamily {
            id: *id,
            grant: (*family.grant).clone(),
            expires: expires.timestamp(),
        });
        let (families, room) = fitting(GRANTS / 2, families);
        let kept: HashSet<u64> = families.iter().map(|family| family.id).collect();
        let of_kept = |is_spent: bool| {
            let tokens = self.tokens.youngest(now);
            tokens
                .filter(move |(_, token)| token.is_spent() == is_spent)
                .filter(|(_, token)| kept.contains(&token.family))
                .map(|(digest, token)| self.saved_token(digest, token, now))
        };
        // A live token is worth more than the memory of one that was used.
        let (live, room) = fitting(GRANTS / 2 + room, of_kept(false));
        let (mut tokens, _) = fitting(room, of_kept(true));
        tokens.extend(live);
        let choices = self.choices.entries(now);
        let choices = choices.map(|((subject, client_id), unticked, expires)| SavedChoice {
            subject: subject.clone(),
            client_id: client_id.clone(),
            unticked: unticked.clone(),
            expires: expires.timestamp(),
        });
        Saved {
            issuer: self.writer.issuer.clone(),
            keys: self.writer.to_saved(),
            successors: self.successors.to_text(),
            clients: fitting(CLIENTS, clients).0,
            families,
            tokens,
            choices: fitting(CHOICES, choices).0,
        }
    }

    fn saved_token(&self, digest: &Digest, token: &Token, now: DateTime<Utc>) -> SavedToken {
        let (kind, spent) = match token.kind {
            Kind::Access => (SavedKind::Access, None),
            Kind::Refresh => (SavedKind::Refresh, None),
            Kind::SpentRefresh { at } => (SavedKind::Spent, Some(at.timestamp())),
        };
        let family = self.families.get(&token.family, now);
        let is_the_familys = family.is_some_and(|family| family.grant == token.grant);
        SavedToken {
            digest: digest.to_text(),
            kind,
            family: token.family,
            grant: (!is_the_familys).then(|| (*token.grant).clone()),
            issued: token.issued.timestamp(),
            expires: token.expires.timestamp(),
            spent,
            jti: token.jti.clone(),
        }
    }

    /// Goes on with what was kept, into an empty store.
    ///
    /// # Errors
    /// Why it cannot be used; the store has to be thrown away then.
    pub(crate) fn go_on_with(
        &mut self,
        saved: Saved,
        now: DateTime<Utc>,
    ) -> Result<(), &'static str> {
        if saved.issuer != self.writer.issuer {
            return Err("it is of another issuer");
        }
        let successors = Successors::from_text(&saved.successors);
        self.successors = successors.ok_or("a key in it is none")?;
        if !self.writer.go_on_with(saved.keys) {
            return Err("a key in it is none");
        }
        const MALFORMED: &str = "it is malformed";
        for client in saved.clients {
            let expires = time(client.expires).ok_or(MALFORMED)?;
            let secret = client.secret.as_deref().map(Digest::from_text);
            let client = Client {
                id: client.id,
                name: client.name,
                redirect_uris: client.redirect_uris,
                grant_types: client.grant_types,
                secret: secret.map(|secret| secret.ok_or(MALFORMED)).transpose()?,
                document_host: None,
            };
            if client
                .redirect_uris
                .iter()
                .any(|uri| redirect::fault_of(uri).is_some())
            {
                return Err(MALFORMED);
            }
            let id = client.id.clone();
            self.clients.insert(id, Arc::new(client), expires, now);
        }
        for family in saved.families {
            let expires = time(family.expires).ok_or(MALFORMED)?;
            let grant = Arc::new(family.grant);
            let kept = Family {
                grant,
                is_lasting: true,
            };
            self.families.insert(family.id, kept, expires, now);
            self.next_family = self.next_family.max(family.id);
        }
        for token in saved.tokens {
            self.take_token(token, now).ok_or(MALFORMED)?;
        }
        for choice in saved.choices {
            let expires = time(choice.expires).ok_or(MALFORMED)?;
            let key = (choice.subject, choice.client_id);
            self.choices.insert(key, choice.unticked, expires, now);
        }
        Ok(())
    }

    fn take_token(&mut self, token: SavedToken, now: DateTime<Utc>) -> Option<()> {
        let digest = Digest::from_text(&token.digest)?;
        let (issued, expires) = (time(token.issued)?, time(token.expires)?);
        let kind = match token.kind {
            SavedKind::Access => Kind::Access,
            SavedKind::Refresh => Kind::Refresh,
            SavedKind::Spent => Kind::SpentRefresh {
                at: time(token.spent?)?,
            },
        };
        let of_family = self.families.get(&token.family, now);
        let grant: Option<Arc<Grant>> = match token.grant {
            Some(grant) => Some(Arc::new(grant)),
            None => of_family.map(|family| Arc::clone(&family.grant)),
        };
        // Without its family it is dead.
        if let Some(grant) = grant {
            let kept = Token {
                kind,
                grant,
                issued,
                expires,
                jti: token.jti,
                family: token.family,
            };
            self.tokens.insert(digest, kept, expires, now);
        }
        Some(())
    }
}
