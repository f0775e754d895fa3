//! One client: its connection, in the legacy era its session, and its stream.

use std::{ops::Range, rc::Rc, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::{Request, StatusCode, body::Bytes};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    answer,
    connection::{Connection, Reply, Wanted, is_event_stream, read, refused, within},
    failure::{Failure, Kind},
    measure::Step,
    plan::Role,
    progress::ORDER,
    scan,
    shared::{Phase, Shared},
    stream::{self, Reader},
    watch::{User, Watch},
    wire::{Dialect, Named, Writer},
};

/// How far a timer may be off that goes by milliseconds.
const TIMER: Duration = Duration::from_millis(2);

/// How long after the end requests are still sent that were due before it, by clients that were held up.
const LATE: Duration = Duration::from_secs(1);

/// Ids of one client's requests: no two clients have one in common, and all are exact as a double.
const IDS_OF_CLIENT: u64 = 1 << 32;

/// How long a client waits that was told to, but not for how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// A client.
pub(crate) struct Client {
    pub(crate) role: Role,
    pub(crate) user: Rc<User>,
    pub(crate) shared: Rc<Shared>,
    writer: Writer,
    connection: Option<Connection>,
    /// The answer before, whose room is used again, and where its result is.
    pub(crate) body: Vec<u8>,
    result: Range<usize>,
    ids: u64,
    calls: u64,
    pub(crate) stream: Option<(Rc<Watch>, JoinHandle<()>)>,
    random: u64,
}

impl Client {
    pub(crate) fn new(role: Role, user: Rc<User>, shared: Rc<Shared>) -> Self {
        let plan = &shared.plan;
        Self {
            writer: Writer::new(plan.dialect(&role), &plan.target, &user.token),
            connection: None,
            body: Vec::new(),
            result: 0..0,
            ids: role.client * IDS_OF_CLIENT,
            calls: 0,
            stream: None,
            // Any number will do but nothing.
            random: role.client.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            role,
            user,
            shared,
        }
    }

    pub(crate) fn is_stateless(&self) -> bool {
        self.writer.dialect().is_stateless()
    }

    /// Whether it has what it needs to ask right away.
    pub(crate) fn is_held(&self) -> bool {
        let is_connected = self.connection.as_ref().is_some_and(|it| !it.is_closed());
        self.writer.has_session() && (is_connected || !self.is_stateless())
    }

    /// A number by chance (xorshift64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The result of the answer before.
    pub(crate) fn result(&self) -> &[u8] {
        &self.body[self.result.clone()]
    }

    /// Goes through its requests until the test ends.
    pub(crate) async fn run(mut self, begun: Instant) -> Self {
        let plan = Arc::clone(&self.shared.plan);
        let schedule = plan.schedule;
        let client = self.role.client;
        if schedule.rate.is_none() && !self.pause(begun + schedule.begins(client)).await {
            return self;
        }
        for turn in 0..self.role.requests.unwrap_or(u64::MAX) {
            let due = match schedule.due(client, turn) {
                Some(due) => begun + due,
                None => Instant::now(),
            };
            if due.saturating_duration_since(begun) >= schedule.end() {
                break;
            }
            let is_idle = Instant::now() < due;
            if !self.pause(due).await {
                break;
            }
            let now = Instant::now();
            if now.saturating_duration_since(begun) >= schedule.end() + LATE {
                self.leave_unsent(turn);
                break;
            }
            // Who was waiting for its time and is woken a little late was not held up by the server.
            let is_timers = is_idle && now.saturating_duration_since(due) < TIMER;
            let due = if is_timers { now } else { due };
            let wait = self.operate(plan.mix.turn(client, turn), due, begun).await;
            if let (Some(wait), None) = (wait, schedule.rate)
                && !self.pause(Instant::now() + wait).await
            {
                break;
            }
            self.renew().await;
        }
        self
    }

    /// Waits; says whether the test goes on.
    async fn pause(&mut self, until: Instant) -> bool {
        if Instant::now() >= until {
            return !self.shared.is_stopped();
        }
        let mut phase = self.shared.phase.clone();
        let stopped = phase.wait_for(|phase| *phase == Phase::Stopped);
        let stopped = std::pin::pin!(stopped);
        let slept = std::pin::pin!(sleep_until(until));
        matches!(select(slept, stopped).await, Either::Left(_))
    }

    /// Counts what was due and has not been sent.
    fn leave_unsent(&self, turn: u64) {
        let schedule = self.shared.plan.schedule;
        let most = self.role.requests.unwrap_or(u64::MAX);
        let rest = (turn..most).map(|turn| schedule.due(self.role.client, turn));
        let rest = rest.take_while(|due| due.is_some_and(|due| due < schedule.end()));
        self.shared.recorder.borrow_mut().unsent += rest.count() as u64;
    }

    /// Does one operation of the mix, and records what came of it. How long the server wants to be left alone, if it does.
    async fn operate(
        &mut self,
        operation: usize,
        due: Instant,
        begun: Instant,
    ) -> Option<Duration> {
        let shared = Rc::clone(&self.shared);
        shared.gauges.in_flight.fetch_add(1, ORDER);
        let outcome = self.attempt(operation).await;
        shared.gauges.in_flight.fetch_sub(1, ORDER);
        shared.gauges.answered.fetch_add(1, ORDER);
        self.calls += 1;
        let since_begin = due.saturating_duration_since(begun);
        let mut recorder = shared.recorder.borrow_mut();
        match outcome {
            Ok(whole) => {
                let latency = whole.saturating_duration_since(due);
                recorder.right(operation, since_begin, latency);
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                shared.gauges.latency.fetch_add(micros, ORDER);
                None
            }
            Err(failure) => {
                recorder.wrong(operation, since_begin, &failure);
                shared.gauges.failed.fetch_add(1, ORDER);
                self.after(&failure)
            }
        }
    }

    /// What a failure means for what comes next.
    fn after(&mut self, failure: &Failure) -> Option<Duration> {
        match failure.kind {
            // The session is over (MCP 2025-11-25, Session Management); the next request opens another.
            Kind::Status(404) if !self.is_stateless() => {
                self.end_session();
                None
            }
            Kind::Status(429 | 503) => Some(failure.retry_after.unwrap_or(DEFAULT_WAIT)),
            Kind::Connect => Some(DEFAULT_WAIT),
            _ => None,
        }
    }

    /// Sends a request, on a new connection if there is none, and reads the answer within the time for it.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        id: Option<u64>,
    ) -> Result<Reply, Failure> {
        let shared = Rc::clone(&self.shared);
        let wanted = Wanted {
            id,
            most: shared.most_answer(),
        };
        // Taken, so that whoever gives up in the middle closes it.
        let mut kept = self.connection.take().filter(|kept| !kept.is_closed());
        let turn = usize::try_from(self.role.client).unwrap_or_default();
        let body = &mut self.body;
        let work = async {
            let mut request = request;
            loop {
                let is_kept = kept.is_some();
                let mut connection = match kept.take() {
                    Some(kept) => kept,
                    None => Connection::open(&shared.plan.target, turn).await?,
                };
                match connection.send(request).await {
                    Ok(response) => {
                        let reply = read(response, wanted, body).await?;
                        return Ok((reply, connection));
                    }
                    // The server had closed it before anything was sent.
                    Err((_, Some(unsent))) if is_kept => request = *unsent,
                    Err((failure, _)) => return Err(failure),
                }
            }
        };
        let (reply, connection) = within(shared.plan.options.timeout, work).await?;
        shared.recorder.borrow_mut().bytes += self.body.len() as u64;
        self.connection = Some(connection);
        Ok(reply)
    }

    /// Asks under a new id, and looks at the answer. When all of it was there.
    pub(crate) async fn call(&mut self, named: &Named, params: &str) -> Result<Instant, Failure> {
        let id = self.next_id();
        let request = self.writer.request(id, named, params);
        let reply = self.exchange(request, Some(id)).await?;
        self.check(&reply, id)?;
        Ok(reply.whole)
    }

    fn check(&mut self, reply: &Reply, id: u64) -> Result<(), Failure> {
        if reply.status != StatusCode::OK {
            return Err(refused(reply.status, &reply.headers, &self.body));
        }
        let result = answer::result(&self.body, id)?;
        let begin = result.as_ptr().addr() - self.body.as_ptr().addr();
        self.result = begin..begin + result.len();
        self.user.marker.check_owner(&self.body)
    }

    /// Opens what there is to be open: in the legacy era a session.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        let Dialect::Sessions(version) = self.writer.dialect().clone() else {
            return Ok(());
        };
        if self.writer.has_session() {
            return Ok(());
        }
        let began = Instant::now();
        let id = self.next_id();
        let request = self.writer.initialize(id, &version);
        let reply = self.exchange(request, Some(id)).await?;
        self.check(&reply, id)?;
        let [agreed] = scan::members(self.result(), [b"protocolVersion"])
            .map_err(|_| Failure::said(Kind::Malformed, &self.body))?;
        if agreed != Some(format!("\"{version}\"").as_bytes()) {
            let words = format!(
                "asked for {version}: {}",
                String::from_utf8_lossy(self.result())
            );
            return Err(Failure::new(Kind::WrongData, words));
        }
        self.writer
            .open(reply.headers.get("mcp-session-id").cloned());
        self.calls = 0;
        self.step(Step::Initialize, reply.whole - began);
        self.shared.gauges.sessions.fetch_add(1, ORDER);
        let began = Instant::now();
        let reply = self.exchange(self.writer.initialized(), None).await?;
        if reply.status != StatusCode::ACCEPTED {
            return Err(refused(reply.status, &reply.headers, &self.body));
        }
        self.step(Step::Initialized, reply.whole - began);
        Ok(())
    }

    /// Opens the stream that it keeps.
    pub(crate) async fn listen(&mut self) -> Result<(), Failure> {
        let uri = self.shared.plan.watches_entry().then(|| {
            let id = self.user.entries.borrow().first();
            let template = &self.shared.plan.options.entry_uri;
            id.map(|id| template.replace("{id}", &id.to_string()))
        });
        let watch = Rc::new(Watch::new(uri.flatten()));
        let began = Instant::now();
        let (request, subscription) = if self.is_stateless() {
            let id = self.next_id();
            let filter = stream::filter(&self.shared, &watch);
            let named = Named::new("subscriptions/listen", None);
            let params = format!(r#""notifications":{filter}"#);
            (self.writer.request(id, &named, &params), Some((id, filter)))
        } else {
            (self.writer.stream(), None)
        };
        let shared = Rc::clone(&self.shared);
        let turn = usize::try_from(self.role.client).unwrap_or_default();
        let limit = shared.plan.options.timeout;
        let wanted = Wanted {
            id: None,
            most: shared.most_answer(),
        };
        let opening = async {
            let mut connection = Connection::open(&shared.plan.target, turn).await?;
            let response = connection
                .send(request)
                .await
                .map_err(|(failure, _)| failure)?;
            let is_stream = is_event_stream(response.headers());
            if response.status() != StatusCode::OK || !is_stream {
                let mut body = Vec::new();
                let reply = read(response, wanted, &mut body).await?;
                return Err(match reply.status {
                    StatusCode::OK => Failure::said(Kind::BadStream, &body),
                    status => refused(status, &reply.headers, &body),
                });
            }
            Ok((connection, response))
        };
        let (connection, response) = within(limit, opening).await?;
        let (acknowledge, acknowledged) = oneshot::channel();
        let reader = Reader {
            shared: Rc::clone(&shared),
            watch: Rc::clone(&watch),
            acknowledged: subscription.is_some().then_some(acknowledge),
            subscription,
        };
        shared.gauges.streams.fetch_add(1, ORDER);
        let task = tokio::task::spawn_local(async move {
            reader.run(response.into_body()).await;
            // Kept until here, for it carries the stream.
            drop(connection);
        });
        self.stream = Some((Rc::clone(&watch), task));
        if self.is_stateless() {
            let gone = |_| Failure::new(Kind::StreamEnded, "without an acknowledgement");
            within(limit, async { acknowledged.await.map_err(gone)? }).await?;
            self.step(Step::Listen, began.elapsed());
        } else {
            self.step(Step::GetStream, began.elapsed());
            if let Some(uri) = &watch.uri {
                let began = Instant::now();
                let named = Named::new("resources/subscribe", None);
                let whole = self.call(&named, &format!(r#""uri":"{uri}""#)).await?;
                self.step(Step::Subscribe, whole - began);
            }
        }
        self.user.watches(watch);
        Ok(())
    }

    /// In the legacy era: a session without a stream is given up after so many calls.
    async fn renew(&mut self) {
        let most = self.shared.plan.options.session_calls;
        let is_used_up = most.is_some_and(|most| self.calls >= most);
        if is_used_up && self.stream.is_none() && !self.is_stateless() {
            self.delete().await;
        }
    }

    /// Deletes its session, if it has one.
    async fn delete(&mut self) {
        if self.is_stateless() || !self.writer.has_session() {
            return;
        }
        let began = Instant::now();
        let outcome = self.exchange(self.writer.delete(), None).await;
        self.end_session();
        match outcome {
            // A server may keep sessions as long as it likes (MCP 2025-11-25, Session Management): 405.
            Ok(reply) if reply.status.is_success() || reply.status.as_u16() == 405 => {
                self.step(Step::Delete, reply.whole - began);
            }
            Ok(reply) => {
                let failure = refused(reply.status, &reply.headers, &self.body);
                self.fail(Step::Delete, &failure);
            }
            Err(failure) => self.fail(Step::Delete, &failure),
        }
    }

    fn end_session(&mut self) {
        if self.writer.has_session() {
            self.writer.close();
            self.shared.gauges.sessions.fetch_sub(1, ORDER);
        }
    }

    /// Lets go of everything.
    pub(crate) async fn close(mut self) {
        if let Some((watch, task)) = self.stream.take() {
            watch.is_leaving.set(true);
            task.abort();
        }
        self.delete().await;
    }

    pub(crate) fn step(&self, step: Step, latency: Duration) {
        self.shared.recorder.borrow_mut().step(step, latency);
    }

    pub(crate) fn fail(&self, step: Step, failure: &Failure) {
        let mut recorder = self.shared.recorder.borrow_mut();
        recorder.failed_step(step, failure);
        self.shared.gauges.failed.fetch_add(1, ORDER);
    }
}
