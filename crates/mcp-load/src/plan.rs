//! Who does what: everything that is settled before the first request.

use std::fs;

use url::Url;

use crate::{
    error::LoadError,
    mix::{JournalTool, Mix, Operation},
    options::Options,
    schedule::Schedule,
    target::{self, Target},
    wire::{Dialect, Prepared},
};

/// Files that are open besides connections, and some to spare.
const OTHER_FILES: u64 = 64;

/// A test, as it is going to be.
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) target: Target,
    pub(crate) resource: Url,
    pub(crate) mix: Mix,
    /// In the order of the mix.
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) schedule: Schedule,
    /// A word of this run alone.
    pub(crate) run: String,
    /// How many of the clients are of the legacy era, and how many keep a stream.
    pub(crate) legacy: u64,
    pub(crate) streams: u64,
}

/// What one client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) client: u64,
    pub(crate) user: u64,
    pub(crate) is_legacy: bool,
    pub(crate) has_stream: bool,
    /// How many requests it may send, if there is a limit.
    pub(crate) requests: Option<u64>,
}

impl Plan {
    /// Looks at everything that was asked for, and looks the server up.
    pub(crate) async fn make(options: Options) -> Result<Self, LoadError> {
        let mut mix = options.mix.clone();
        let given = |name: &str| {
            let mut all = options.arguments.iter();
            let found = all.find(|(known, _)| known == name);
            found.map(|(_, json)| json.as_str())
        };
        let names: Vec<_> = mix
            .operations
            .iter()
            .map(|it| it.name().to_owned())
            .collect();
        if let Some((name, _)) = options
            .arguments
            .iter()
            .find(|(name, _)| !names.contains(name))
        {
            return Err(LoadError::Usage(format!(
                "--arguments {name}: it is not in the mix"
            )));
        }
        for name in &names {
            if given(name).is_some() {
                mix.treat_as_unknown(name);
            }
        }
        let prepared: Result<Vec<_>, _> = mix
            .operations
            .iter()
            .map(|operation| Prepared::new(operation, given(operation.name())))
            .collect();
        let share = |share: crate::options::Share, flag: &str| {
            let count = share.of(options.sessions);
            count.ok_or_else(|| LoadError::Usage(format!("{flag} is more than --sessions")))
        };
        let legacy = share(options.legacy, "--legacy")?;
        let streams = share(options.streams, "--streams")?;
        if legacy < options.sessions
            && mix
                .operations
                .contains(&Operation::Method("ping".to_owned()))
        {
            let words = "ping is of the legacy era; leave it out of --mix, or say --legacy 100%";
            return Err(LoadError::Usage(words.to_owned()));
        }
        if options.duration.is_zero() {
            return Err(LoadError::Usage("--duration is nothing".to_owned()));
        }
        let resource = options
            .resource
            .clone()
            .unwrap_or_else(|| options.url.clone());
        let host = options.host_header.clone().or_else(|| {
            let own = options.resource.as_ref();
            own.map(target::authority)
        });
        let found = Target::find(&options.url, host.as_deref(), options.insecure_http).await?;
        check_files(options.sessions + streams)?;
        Ok(Self {
            schedule: Schedule {
                rate: options.rate,
                ramp_up: options.ramp_up,
                warm_up: options.warm_up,
                measured: options.duration,
                clients: options.sessions,
            },
            target: found,
            resource,
            prepared: prepared.map_err(LoadError::Usage)?,
            mix,
            run: run_word()?,
            legacy,
            streams,
            options,
        })
    }

    pub(crate) fn dialect(&self, role: &Role) -> Dialect {
        if role.is_legacy {
            Dialect::Sessions(self.options.legacy_version.clone())
        } else {
            Dialect::Stateless
        }
    }

    /// Whether users are given entries beforehand.
    pub(crate) fn prepares_entries(&self) -> bool {
        self.mix.has(JournalTool::needs_an_entry)
    }

    /// Whether streams are told of changes of an entry.
    pub(crate) fn watches_entry(&self) -> bool {
        self.mix.has(|tool| tool == JournalTool::UpdateEntry)
    }

    /// Whether streams are told of changes of the list of resources, in which tags are.
    pub(crate) fn watches_list(&self) -> bool {
        self.mix.has(|tool| tool == JournalTool::CreateTag)
    }

    /// What each client is, when there are so many users.
    pub(crate) fn roles(&self, users: u64) -> Vec<Role> {
        let all = self.options.sessions;
        let users = users.min(all);
        let (mut legacy, mut modern) = (0, 0);
        let legacy_streams = proportion(self.streams, self.legacy, all);
        (0..all)
            .map(|client| {
                let is_legacy = is_chosen(client, self.legacy, all);
                let has_stream = if is_legacy {
                    legacy += 1;
                    is_chosen(legacy - 1, legacy_streams, self.legacy)
                } else {
                    modern += 1;
                    is_chosen(modern - 1, self.streams - legacy_streams, all - self.legacy)
                };
                Role {
                    client,
                    // Neighbours are of one user, so each has clients of both eras.
                    user: proportion(client, users, all),
                    is_legacy,
                    has_stream,
                    requests: self.options.requests.map(|most| {
                        proportion(client + 1, most, all) - proportion(client, most, all)
                    }),
                }
            })
            .collect()
    }
}

/// `part * of / all`, rounded down.
fn proportion(part: u64, of: u64, all: u64) -> u64 {
    let product = u128::from(part) * u128::from(of);
    u64::try_from(product / u128::from(all.max(1))).unwrap_or(u64::MAX)
}

/// Whether the one at this place is among so many of all, evenly spread.
fn is_chosen(place: u64, count: u64, all: u64) -> bool {
    proportion(place + 1, count, all) > proportion(place, count, all)
}

fn run_word() -> Result<String, LoadError> {
    use std::fmt::Write;

    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).map_err(|error| LoadError::Io(error.into()))?;
    let mut word = String::new();
    for byte in bytes {
        write!(word, "{byte:02x}").expect("a String takes everything");
    }
    Ok(word)
}

/// Each connection is an open file. The limit is not raised behind anybody's back.
fn check_files(connections: u64) -> Result<(), LoadError> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(limit) = open_files(&limits) else {
        return Ok(());
    };
    let needed = connections + OTHER_FILES;
    if limit < needed {
        return Err(LoadError::Usage(format!(
            "{connections} connections need {needed} open files, and the limit is {limit}: raise it with `ulimit -n {needed}`, or ask \
             for fewer --sessions and --streams"
        )));
    }
    Ok(())
}

/// The soft limit of open files, as Linux shows it.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn those_that_are_chosen_are_as_many_as_asked_and_spread() {
        for (count, all) in [(0, 7), (1, 7), (3, 7), (7, 7), (300, 1_000)] {
            let chosen: Vec<_> = (0..all)
                .filter(|place| is_chosen(*place, count, all))
                .collect();
            assert_eq!(chosen.len() as u64, count);
            for pair in chosen.windows(2) {
                assert!(pair[1] - pair[0] <= all.div_ceil(count));
            }
        }
    }

    #[test]
    fn clients_of_both_eras_and_streams_go_to_all_users_alike() {
        let options = Options::try_parse_from([
            "mcp-load",
            "http://127.0.0.1:1/mcp",
            "--token-file=tokens",
            "--sessions=100",
            "--legacy=30%",
            "--streams=50%",
            "--requests=250",
        ]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let plan = runtime
            .unwrap()
            .block_on(Plan::make(options.unwrap()))
            .unwrap();
        let roles = plan.roles(10);
        let count = |of: &dyn Fn(&Role) -> bool| roles.iter().filter(|role| of(role)).count();
        assert_eq!(count(&|role| role.is_legacy), 30);
        assert_eq!(count(&|role| role.is_legacy && role.has_stream), 15);
        assert_eq!(count(&|role| role.has_stream), 50);
        for user in 0..10 {
            assert_eq!(count(&|role| role.user == user), 10);
            assert_eq!(count(&|role| role.user == user && role.is_legacy), 3);
        }
        let requests: u64 = roles.iter().filter_map(|role| role.requests).sum();
        assert_eq!(requests, 250);
        assert_eq!(plan.roles(1_000).last().map(|role| role.user), Some(99));
    }

    #[test]
    fn a_proportion_needs_no_wider_number() {
        assert_eq!(proportion(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(proportion(5, 2, 10), 1);
        assert_eq!(proportion(1, 1, 0), 1);
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             95883                95883                processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(open_files(limits), Some(1_024));
        assert_eq!(open_files(""), None);
    }
}
