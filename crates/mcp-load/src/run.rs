//! The phases of a test: look everything up, connect, load, verify, report.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Parser;
use futures_util::future::{Either, select};
use hyper::header::HeaderValue;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::LocalSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    connection::{Connection, within},
    error::LoadError,
    failure::{Failure, Kind},
    measure::Recorder,
    options::Options,
    page,
    plan::{Plan, Role},
    process::{self, Usage},
    progress::{Gauges, Progress, Sum},
    report::{Facts, Report},
    session::Client,
    shared::{Phase, Shared},
    table, tokens,
    watch::User,
    wire::Named,
    worker::{self, Job, LEAD, Milestone, Outcome},
};

/// Nobody wanted to wait for a report: 128 and the number of the signal, as shells have it.
const EXIT_INTERRUPTED: i32 = 130;

/// The command line is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Nothing is left to be done if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    match begin(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(stderr(), "mcp-load: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a test and writes what came of it; whether all was right.
fn begin(options: Options) -> Result<bool, LoadError> {
    // Who waits for a report should hear at once that there can be none.
    let json = Output::open(options.json.as_deref())?;
    let html = Output::open(options.html.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Io)?;
    let report = LocalSet::new().block_on(&runtime, test(options))?;
    // Whoever closed the pipe does not want it.
    let _ = stdout().write_all(table::of(&report).as_bytes());
    json.write(|| {
        let text = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        Ok(text + "\n")
    })?;
    html.write(|| Ok(page::of(&report)))?;
    Ok(report.passed)
}

/// A file that is written at the end, if it was asked for.
struct Output(Option<(PathBuf, File)>);

impl Output {
    fn open(path: Option<&Path>) -> Result<Self, LoadError> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = File::create(path).map_err(|source| LoadError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    fn write(self, text: impl FnOnce() -> io::Result<String>) -> Result<(), LoadError> {
        let Some((path, mut file)) = self.0 else {
            return Ok(());
        };
        let written = text().and_then(|text| file.write_all(text.as_bytes()));
        written.map_err(|source| LoadError::File { path, source })
    }
}

async fn test(options: Options) -> Result<Report, LoadError> {
    let mut progress = Progress::new(options.quiet);
    let given = tokens::from_file(&options)?;
    let mut plan = Plan::make(options).await?;
    keep_reachable(&mut plan).await?;
    let tokens = match given {
        Some(tokens) => tokens,
        None => {
            progress.phase(&format!("asking for tokens for {}", plan.resource));
            tokens::fetch(&plan.options, &plan.resource).await?
        }
    };
    let roles = plan.roles(tokens.len() as u64);
    let users = roles.last().map_or(0, |role| role.user + 1);
    let plan = Arc::new(plan);
    try_first(&plan, &roles, &tokens).await?;

    let threads = u64::from(plan.options.threads).min(users);
    let (phase, phases) = watch::channel(Phase::Preparing);
    let phase = Rc::new(phase);
    stop_at_signals(&phase).map_err(LoadError::Io)?;
    let (milestones, mut reached) = mpsc::unbounded_channel();
    let mut running = Vec::new();
    let mut gauges = Vec::new();
    for thread in 0..threads {
        let is_its = |user: &u64| user % threads == thread;
        let gauge = Arc::new(Gauges::default());
        gauges.push(Arc::clone(&gauge));
        let job = Job {
            plan: Arc::clone(&plan),
            roles: roles
                .iter()
                .filter(|role| is_its(&role.user))
                .cloned()
                .collect(),
            tokens: (0..users).filter(is_its).zip_tokens(&tokens),
            gauges: gauge,
            phase: phases.clone(),
            milestones: milestones.clone(),
        };
        let name = format!("load-{thread}");
        let handle = thread::Builder::new().name(name).spawn(|| worker::run(job));
        running.push(handle.map_err(LoadError::Io)?);
    }
    drop((phases, milestones));

    let pid = plan.options.pid.map(|pid| pid.to_string());
    let server = || process::usage(pid.as_deref()?);
    let mut watching = Watching {
        progress,
        gauges,
        server_peak: 0,
        threads,
    };
    let before = server();
    let words = format!("connecting {} clients of {users} users", roles.len());
    watching
        .until(
            "connecting",
            &words,
            Milestone::Ready,
            &mut reached,
            &server,
        )
        .await;

    let begun = Instant::now() + LEAD;
    let usage_at_start = (server(), process::usage("self"));
    phase.send_if_modified(|phase| {
        let begins = *phase == Phase::Preparing;
        if begins {
            *phase = Phase::Loading(begun);
        }
        begins
    });
    let words = format!("load: {}", plan.mix);
    watching
        .until("load", &words, Milestone::Loaded, &mut reached, &server)
        .await;
    let elapsed = Instant::now().saturating_duration_since(begun);
    let usage_at_end = (server(), process::usage("self"));

    watching
        .progress
        .phase("looking for what was written, and closing");
    let mut outcome: Option<Outcome> = None;
    for handle in running {
        let join = tokio::task::spawn_blocking(|| handle.join());
        let joined = join
            .await
            .map_err(io::Error::other)
            .map_err(LoadError::Io)?;
        let one = joined
            .map_err(|_| LoadError::Io(io::Error::other("a thread has panicked")))?
            .map_err(LoadError::Io)?;
        match &mut outcome {
            None => outcome = Some(one),
            Some(all) => all.add(one),
        }
    }
    watching.progress.end();
    let Some(mut outcome) = outcome else {
        return Err(LoadError::Usage("there is no user".to_owned()));
    };
    outcome.compare_identities();
    Ok(Report::new(
        &plan,
        &outcome,
        &Facts {
            users,
            threads,
            elapsed,
            was_stopped: *phase.borrow() == Phase::Stopped,
            server_before: before,
            server_peak_kib: watching.server_peak,
            server: between(usage_at_start.0, usage_at_end.0),
            tester: between(usage_at_start.1, usage_at_end.1),
        },
    ))
}

fn between(start: Option<Usage>, end: Option<Usage>) -> Option<(Duration, Usage)> {
    let (start, end) = (start?, end?);
    Some((end.processor.saturating_sub(start.processor), end))
}

/// The tokens of these users.
trait ZipTokens {
    fn zip_tokens(self, tokens: &[HeaderValue]) -> BTreeMap<u64, HeaderValue>;
}

impl<I: Iterator<Item = u64>> ZipTokens for I {
    fn zip_tokens(self, tokens: &[HeaderValue]) -> BTreeMap<u64, HeaderValue> {
        self.filter_map(|user| {
            let token = tokens.get(usize::try_from(user).ok()?)?;
            Some((user, token.clone()))
        })
        .collect()
    }
}

/// Whoever looks at the threads while they work.
struct Watching {
    progress: Progress,
    gauges: Vec<Arc<Gauges>>,
    server_peak: u64,
    threads: u64,
}

impl Watching {
    /// Waits until all threads are that far.
    async fn until(
        &mut self,
        phase: &str,
        words: &str,
        milestone: Milestone,
        reached: &mut mpsc::UnboundedReceiver<Milestone>,
        server: &impl Fn() -> Option<Usage>,
    ) {
        self.progress.phase(words);
        let began = Instant::now();
        let mut missing = self.threads;
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while missing > 0 {
            let next = {
                let reached = std::pin::pin!(reached.recv());
                let tick = std::pin::pin!(ticks.tick());
                match select(reached, tick).await {
                    Either::Left((reached, _)) => Some(reached),
                    Either::Right(_) => None,
                }
            };
            match next {
                Some(Some(one)) if one == milestone => missing -= 1,
                Some(Some(_)) => {}
                // All threads are gone, which shows when they are joined.
                Some(None) => return,
                None => {
                    if let Some(usage) = server() {
                        self.server_peak = self.server_peak.max(usage.resident_kib);
                    }
                    self.progress
                        .tick(phase, began.elapsed(), Sum::of(&self.gauges));
                }
            }
        }
    }
}

/// Ctrl-C, or the signal of supervisors, ends the load early, with a report; a second one ends everything.
fn stop_at_signals(phase: &Rc<watch::Sender<Phase>>) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let phase = Rc::clone(phase);
    tokio::task::spawn_local(async move {
        for is_first in [true, false] {
            let interrupted = std::pin::pin!(interrupt.recv());
            let terminated = std::pin::pin!(terminate.recv());
            select(interrupted, terminated).await;
            if is_first {
                phase.send_replace(Phase::Stopped);
            }
        }
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(())
}

/// Leaves out those of the server's addresses at which nobody listens, such as the IPv6 one of `localhost`.
async fn keep_reachable(plan: &mut Plan) -> Result<(), LoadError> {
    let mut reachable = Vec::new();
    let mut why = String::new();
    for turn in 0..plan.target.addresses.len() {
        match within(plan.options.timeout, Connection::open(&plan.target, turn)).await {
            Ok(_) => reachable.push(plan.target.addresses[turn]),
            Err(failure) => why = failure.detail,
        }
    }
    if reachable.is_empty() {
        return Err(LoadError::Unreachable {
            what: plan.options.url.to_string(),
            why,
        });
    }
    plan.target.addresses = reachable;
    Ok(())
}

/// One request of each era that is going to be spoken: a thousand clients need not find out that a token is no good.
async fn try_first(
    plan: &Arc<Plan>,
    roles: &[Role],
    tokens: &[HeaderValue],
) -> Result<(), LoadError> {
    for is_legacy in [false, true] {
        let role = roles.iter().find(|role| role.is_legacy == is_legacy);
        let (Some(role), Some(token)) = (role, tokens.first()) else {
            continue;
        };
        let shared = Rc::new(Shared {
            plan: Arc::clone(plan),
            recorder: Recorder::new(plan.schedule, plan.mix.operations.len()).into(),
            gauges: Arc::default(),
            phase: watch::channel(Phase::Preparing).1,
            answers: 0.into(),
        });
        let user = Rc::new(User::new(0, &plan.run, token.clone()));
        let mut client = Client::new(role.clone(), user, shared);
        let outcome = if is_legacy {
            client.open().await
        } else {
            let discover = Named::new("server/discover", None);
            client.call(&discover, "").await.map(drop)
        };
        outcome.map_err(|failure| refusal(plan, &failure))?;
        client.close().await;
    }
    Ok(())
}

fn refusal(plan: &Plan, failure: &Failure) -> LoadError {
    match failure.kind {
        Kind::Connect | Kind::Closed | Kind::Timeout => LoadError::Unreachable {
            what: plan.options.url.to_string(),
            why: failure.detail.clone(),
        },
        _ => LoadError::Refused(format!("{}: {}", failure.kind.name(), failure.detail)),
    }
}
