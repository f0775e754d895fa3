//! One thread of a test, with all clients of some users.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream};
use hyper::header::HeaderValue;
use tokio::{
    sync::{mpsc, watch},
    task::LocalSet,
    time::Instant,
};

use crate::{
    failure::{Failure, Kind},
    measure::{Recorder, Step},
    plan::{Plan, Role},
    progress::Gauges,
    session::Client,
    shared::{Phase, Shared},
    verify::{self, Verified},
    watch::User,
};

/// What a thread has to do.
pub(crate) struct Job {
    pub(crate) plan: Arc<Plan>,
    pub(crate) roles: Vec<Role>,
    /// By the user's number.
    pub(crate) tokens: BTreeMap<u64, HeaderValue>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) milestones: mpsc::UnboundedSender<Milestone>,
}

/// How far a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Milestone {
    /// Its clients are connected.
    Ready,
    /// They have asked all that they are going to.
    Loaded,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) recorder: Recorder,
    pub(crate) held: Held,
    pub(crate) verified: Verified,
    /// What streams were owed, and how much of it came.
    pub(crate) owed: u64,
    pub(crate) told: u64,
    /// Who the users said they were.
    pub(crate) identities: Vec<(usize, Vec<u8>)>,
}

/// What is open when the load ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) stateless: u64,
    pub(crate) sessions: u64,
    pub(crate) streams: u64,
}

/// Does it, on this thread.
pub(crate) fn run(job: Job) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(LocalSet::new().block_on(&runtime, work(job)))
}

async fn work(job: Job) -> Outcome {
    let plan = job.plan;
    let shared = Rc::new(Shared {
        recorder: RefCell::new(Recorder::new(plan.schedule, plan.mix.operations.len())),
        gauges: job.gauges,
        phase: job.phase.clone(),
        answers: Cell::new(0),
        plan: Arc::clone(&plan),
    });
    let mut users: BTreeMap<u64, Vec<Client>> = BTreeMap::new();
    let mut known: BTreeMap<u64, Rc<User>> = BTreeMap::new();
    for role in job.roles {
        let user = known.entry(role.user).or_insert_with(|| {
            let number = usize::try_from(role.user).unwrap_or(usize::MAX);
            Rc::new(User::new(number, &plan.run, job.tokens[&role.user].clone()))
        });
        let client = Client::new(role.clone(), Rc::clone(user), Rc::clone(&shared));
        users.entry(role.user).or_default().push(client);
    }
    let threads = usize::from(plan.options.threads.max(1));
    let at_once = usize::from(plan.options.connecting).div_ceil(threads);
    let mut users: Vec<Vec<Client>> = users.into_values().collect();
    if plan.prepares_entries() {
        let prepare = |clients: &mut Vec<Client>| {
            let client = clients.swap_remove(0);
            async move {
                let mut client = client;
                if !client.shared.is_stopped() {
                    client.prepare(client.shared.plan.options.entries).await;
                }
                client
            }
        };
        let first: Vec<_> = users.iter_mut().map(prepare).collect();
        let first: Vec<_> = stream::iter(first).buffered(at_once).collect().await;
        for (clients, client) in users.iter_mut().zip(first) {
            clients.push(client);
        }
    }
    let clients = users.into_iter().flatten().map(connect);
    let clients: Vec<Client> = stream::iter(clients)
        .buffer_unordered(at_once)
        .collect()
        .await;
    // Whoever listened would be told more than once at most.
    let _ = job.milestones.send(Milestone::Ready);

    let clients = match begin(job.phase).await {
        Some(begun) => load(clients, begun).await,
        None => clients,
    };
    let held = held(&clients);
    let _ = job.milestones.send(Milestone::Loaded);

    finish(
        &shared,
        known.into_values().collect(),
        clients,
        held,
        at_once,
    )
    .await
}

async fn connect(client: Client) -> Client {
    let mut client = client;
    if client.shared.is_stopped() {
        return client;
    }
    if let Err(failure) = client.open().await {
        client.fail(Step::Initialize, &failure);
    } else if client.role.has_stream
        && let Err(failure) = client.listen().await
    {
        let step = if client.is_stateless() {
            Step::Listen
        } else {
            Step::GetStream
        };
        client.fail(step, &failure);
    }
    client
}

/// Waits for the beginning, if there is to be one.
async fn begin(mut phase: watch::Receiver<Phase>) -> Option<Instant> {
    let decided = phase.wait_for(|phase| *phase != Phase::Preparing).await;
    match *decided.ok()? {
        Phase::Loading(begun) => Some(begun),
        Phase::Preparing | Phase::Stopped => None,
    }
}

async fn load(clients: Vec<Client>, begun: Instant) -> Vec<Client> {
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::task::spawn_local(client.run(begun)))
        .collect();
    let clients = join_all(tasks).await;
    clients
        .into_iter()
        .map(|client| client.expect("a client does not panic, and nobody aborts it"))
        .collect()
}

fn held(clients: &[Client]) -> Held {
    let mut held = Held::default();
    for client in clients.iter().filter(|client| client.is_held()) {
        if client.is_stateless() {
            held.stateless += 1;
        } else {
            held.sessions += 1;
        }
    }
    let streams = clients.iter().filter_map(|client| client.stream.as_ref());
    held.streams = streams.filter(|(watch, _)| !watch.has_ended.get()).count() as u64;
    held
}

async fn finish(
    shared: &Rc<Shared>,
    users: Vec<Rc<User>>,
    mut clients: Vec<Client>,
    held: Held,
    at_once: usize,
) -> Outcome {
    let until = Instant::now() + shared.plan.options.notify_within;
    let (mut owed, mut told) = (0, 0);
    for user in &users {
        for watch in user.streams() {
            verify::wait_for_news(&watch, until).await;
            owed += watch.entry.borrow().must() + watch.list.borrow().must();
            told += watch.entry.borrow().got() + watch.list.borrow().got();
            for (failure, count) in verify::faults_of(user, &watch) {
                for _ in 0..count {
                    shared.recorder.borrow_mut().error(&failure);
                }
            }
        }
    }
    let mut verified = Verified::default();
    if !shared.plan.options.no_verify {
        // One client of each user does it for all.
        clients.sort_by_key(|client| client.user.number);
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for client in clients {
            let is_of = |last: &Client| last.user.number == client.user.number;
            if first.last().is_some_and(is_of) {
                others.push(client);
            } else {
                first.push(client);
            }
        }
        let verifying = first.into_iter().map(|client| async move {
            let mut client = client;
            client.settle().await;
            let verified = client.verify().await;
            (client, verified)
        });
        let done: Vec<_> = stream::iter(verifying)
            .buffer_unordered(at_once)
            .collect()
            .await;
        for (client, one) in done {
            verified.created += one.created;
            verified.found += one.found;
            others.push(client);
        }
        clients = others;
    }
    let closing = clients.into_iter().map(Client::close);
    stream::iter(closing)
        .buffer_unordered(at_once)
        .collect::<Vec<()>>()
        .await;
    let identities = users.iter().filter_map(|user| {
        let identity = user.identity.borrow().clone();
        identity.map(|identity| (user.number, identity))
    });
    let identities = identities.collect();
    let (schedule, operations) = (shared.plan.schedule, shared.plan.mix.operations.len());
    Outcome {
        recorder: shared.recorder.replace(Recorder::new(schedule, operations)),
        held,
        verified,
        owed,
        told,
        identities,
    }
}

impl Outcome {
    /// Adds what another thread did.
    pub(crate) fn add(&mut self, other: Self) {
        self.recorder.add(other.recorder);
        self.held.stateless += other.held.stateless;
        self.held.sessions += other.held.sessions;
        self.held.streams += other.held.streams;
        self.verified.created += other.verified.created;
        self.verified.found += other.verified.found;
        self.owed += other.owed;
        self.told += other.told;
        self.identities.extend(other.identities);
    }

    /// No two users are the same person.
    pub(crate) fn compare_identities(&mut self) {
        self.identities.sort_by(|one, other| one.1.cmp(&other.1));
        for pair in self.identities.windows(2) {
            if pair[0].1 == pair[1].1 {
                let words = format!(
                    "users {} and {} are both {}",
                    pair[0].0,
                    pair[1].0,
                    String::from_utf8_lossy(&pair[0].1)
                );
                let failure = Failure::new(Kind::ForeignData, words);
                self.recorder.error(&failure);
            }
        }
    }
}

/// How long the clients of all threads may take to hear that the load begins.
pub(crate) const LEAD: Duration = Duration::from_millis(20);
