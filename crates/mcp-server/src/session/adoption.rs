//! Continues sessions that began in another process, or in this one before it was restarted or had no room for them.

use super::{
    Inserted, Opening, SessionError, SessionHandle, Sessions, news::News, sealed_for, unavailable,
};
use crate::{budgets::Account, bus::SessionMessage};
use mcp_protocol::session_id::{SessionId, SessionName};
use resource_server::{
    auth::{AuthHandle, RevocationEpoch},
    principal::Principal,
};

/// The caller that names a session which this process does not know.
pub(crate) struct Adopter<'a> {
    /// The caller, by the token of this request.
    pub(crate) principal: &'a Principal,
    /// What the user may use of the server.
    pub(crate) account: &'a Account,
    /// Knows what was revoked.
    pub(crate) auth: &'a AuthHandle,
    /// The revocation epoch before the token was checked.
    pub(crate) epoch: RevocationEpoch,
}

impl Sessions {
    /// Continues a session of the caller in this process: what it began with is read from its id, what it has gathered
    /// since from the store. The store is asked once for each session that is continued, and for nobody who is not its
    /// owner.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if the id is not one of the caller's sessions, or if the session has ended: by its
    /// client, with its lifetime, or by a revocation of its user, of its client or of everybody.
    /// [`SessionError::Full`]; [`SessionError::Unavailable`].
    pub(crate) async fn adopt(
        &self,
        id: &str,
        adopter: &Adopter<'_>,
    ) -> Result<SessionHandle, SessionError> {
        let Adopter {
            principal,
            account,
            auth,
            epoch,
        } = adopter;
        let shared = self.0.shared.as_ref().ok_or(SessionError::Unknown)?;
        let id = SessionId::parse(id).ok_or(SessionError::Unknown)?;
        let opened = self.0.sealer.open(&sealed_for(principal), &id);
        let start = opened.ok_or(SessionError::Unknown)?;
        let is_over = || {
            let now = self.0.clock.now();
            self.lock().limits().is_over(start.begun_at, now)
                || auth.was_revoked_since(principal, start.begun_at)
        };
        if is_over() {
            return Err(SessionError::Unknown);
        }
        loop {
            let since = self.lock().since();
            let gathered = shared.load(principal.user, id.name()).await;
            let gathered = gathered.map_err(|error| unavailable(&error))?;
            // Registered first and checked afterwards, so that a concurrent revocation is never missed.
            let active_use = auth.active_use_of_owner(principal, *epoch);
            if gathered.ended || active_use.is_revoked() || is_over() {
                let had = self.lock().remove(&id);
                if let Some(session) = had {
                    session.close();
                }
                return Err(SessionError::Unknown);
            }
            let opening = Opening {
                id,
                start,
                gathered,
                principal,
                active_use,
                account: (*account).clone(),
            };
            match self.insert(opening, since)? {
                Inserted::New(session) => return Ok(SessionHandle(session)),
                Inserted::WasThere {
                    session,
                    was_doubted,
                } => {
                    if was_doubted {
                        session.hear(News::Gathered);
                    }
                    return Ok(SessionHandle(session));
                }
                Inserted::MayHaveEnded => {}
            }
        }
    }

    /// Another process tells of a session. Does not block.
    pub(crate) fn heard(&self, message: &SessionMessage) {
        let news = serde_json::from_str::<News>(&message.what);
        let (Some(name), Ok(news)) = (SessionName::parse(&message.id), news) else {
            // Of a later version.
            log::debug!("news of a session cannot be read");
            return;
        };
        let mut registry = self.lock();
        if matches!(news, News::Ended) {
            let ended = registry.end(&name);
            drop(registry);
            if let Some(session) = ended {
                session.close();
            }
        } else if let Some(session) = registry.named(&name) {
            session.hear(news);
        }
    }

    /// Messages of other processes may have been missed: each session is looked up in the store again with its next
    /// request.
    pub(crate) fn missed(&self) {
        self.lock().doubt();
    }
}
