//! An event stream that a client keeps open, and what it is told on it.

use std::rc::Rc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    connection::too_large,
    events::Events,
    failure::{Failure, Kind},
    measure::Step,
    scan,
    shared::Shared,
    watch::{Change, Watch},
};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a modern subscription asks for.
pub(crate) fn filter(shared: &Shared, watch: &Watch) -> Value {
    let mut filter = json!({});
    if shared.plan.watches_list() {
        filter["resourcesListChanged"] = true.into();
    }
    if let Some(uri) = &watch.uri {
        filter["resourceSubscriptions"] = json!([uri]);
    }
    filter
}

/// Reads a stream until it ends, or until nobody wants it any more.
pub(crate) struct Reader {
    pub(crate) shared: Rc<Shared>,
    pub(crate) watch: Rc<Watch>,
    /// Of a modern subscription: the id it was asked under, and the filter.
    pub(crate) subscription: Option<(u64, Value)>,
    /// Told when the server has said that it listens; it says so first.
    pub(crate) acknowledged: Option<oneshot::Sender<Result<(), Failure>>>,
}

impl Reader {
    pub(crate) async fn run(mut self, mut body: Incoming) {
        let most = self.shared.most_answer();
        let mut events = Events::up_to(most);
        let mut why = "the server ended it".to_owned();
        'stream: while let Some(frame) = body.frame().await {
            let piece = match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(piece)) => piece,
                Ok(Err(_)) => continue,
                Err(error) => {
                    why = error.to_string();
                    break;
                }
            };
            let mut messages = Vec::new();
            if events
                .take(&piece, |event| messages.push(event.to_vec()))
                .is_err()
            {
                self.fail(&too_large(most));
                break;
            }
            for message in messages {
                match self.message(&message) {
                    Ok(true) => {}
                    Ok(false) => {
                        "the server ended it in order".clone_into(&mut why);
                        break 'stream;
                    }
                    Err(failure) => self.fail(&failure),
                }
            }
        }
        self.watch.has_ended.set(true);
        self.watch.news.notify_waiters();
        self.shared
            .gauges
            .streams
            .fetch_sub(1, crate::progress::ORDER);
        if let Some(acknowledged) = self.acknowledged.take() {
            // Nobody waits any more if it took too long.
            let _ = acknowledged.send(Err(Failure::new(Kind::StreamEnded, why)));
        } else if !self.watch.is_leaving.get() {
            self.fail(&Failure::new(Kind::StreamEnded, why));
        }
    }

    fn fail(&mut self, failure: &Failure) {
        match self.acknowledged.take() {
            Some(acknowledged) => {
                let _ = acknowledged.send(Err(failure.clone()));
            }
            None => self.shared.recorder.borrow_mut().error(failure),
        }
    }

    /// Takes a message; says whether others may follow.
    fn message(&mut self, message: &[u8]) -> Result<bool, Failure> {
        let bad = || Failure::said(Kind::BadStream, message);
        let members = scan::members(message, [b"method", b"params", b"id"]);
        let [method, params, id] = members.map_err(|_| bad())?;
        let Some(method) = method else {
            // A subscription ends with the response to its request (MCP 2026-07-28, subscriptions/listen).
            let is_own = self
                .subscription
                .as_ref()
                .is_some_and(|(own, _)| id.is_some_and(|id| id == own.to_string().as_bytes()));
            return if is_own { Ok(false) } else { Err(bad()) };
        };
        if let Some((id, _)) = &self.subscription {
            let [meta] = scan::members(params.ok_or_else(bad)?, [b"_meta"]).map_err(|_| bad())?;
            let meta = meta.ok_or_else(bad)?;
            let names = [SUBSCRIPTION.as_bytes()];
            let [own] = scan::members(meta, names).map_err(|_| bad())?;
            if own != Some(id.to_string().as_bytes()) {
                return Err(bad());
            }
        }
        let is_first = self.acknowledged.is_some();
        match method {
            br#""notifications/subscriptions/acknowledged""# if is_first => {
                self.acknowledge(params.ok_or_else(bad)?)?;
            }
            // The acknowledgement comes first.
            _ if is_first => return Err(bad()),
            br#""notifications/resources/updated""# => {
                let params: Value =
                    serde_json::from_slice(params.ok_or_else(bad)?).map_err(|_| bad())?;
                if self.watch.uri.is_none() || params["uri"].as_str() != self.watch.uri.as_deref() {
                    return Err(bad());
                }
                self.notified(Change::Entry);
            }
            br#""notifications/resources/list_changed""# => {
                if self.shared.plan.watches_list() {
                    self.notified(Change::List);
                } else if self.subscription.is_some() {
                    return Err(bad());
                }
            }
            // Other lists, log messages: nobody is owed them.
            _ => {}
        }
        Ok(true)
    }

    fn acknowledge(&mut self, params: &[u8]) -> Result<(), Failure> {
        let honoured: Value =
            serde_json::from_slice(params).map_err(|_| Failure::said(Kind::BadStream, params))?;
        let asked = self.subscription.as_ref().map(|(_, filter)| filter);
        let outcome = if asked.is_some_and(|asked| honoured["notifications"] == *asked) {
            Ok(())
        } else {
            Err(Failure::said(Kind::BadStream, params))
        };
        if let Some(acknowledged) = self.acknowledged.take() {
            let _ = acknowledged.send(outcome);
        }
        Ok(())
    }

    fn notified(&self, change: Change) {
        let began = self.watch.owed(change).borrow_mut().notified();
        if let Some(began) = began {
            let took = Instant::now().saturating_duration_since(began);
            let mut recorder = self.shared.recorder.borrow_mut();
            recorder.step(Step::Notification, took);
        }
        self.watch.news.notify_waiters();
    }
}
