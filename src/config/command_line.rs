//! Flags and variables: the table of keys as arguments of clap, and what clap matched as options.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, parser::ValueSource};

use super::{
    key::{Heading, Key, file_variant, flag},
    keys::KEYS,
    options::{Options, Raw, Source},
};

/// A variable, and the flag that is made of it.
struct Variable {
    name: String,
    /// The name that it is read as.
    key: String,
    help: String,
    value_name: &'static str,
    default: Option<&'static str>,
    heading: Heading,
    is_secret: bool,
}

impl Variable {
    fn is_former(&self) -> bool {
        self.name != self.key
    }

    fn argument(self) -> Arg {
        let is_former = self.is_former();
        Arg::new(self.name.clone())
            .long(flag(&self.name))
            .env(self.name)
            .hide_env_values(self.is_secret)
            .hide(is_former)
            .value_name(self.value_name)
            .value_parser(clap::value_parser!(OsString))
            .action(ArgAction::Set)
            .help(self.help)
            .help_heading(self.heading.title())
            .default_value(
                self.default
                    .filter(|default| !is_former && !default.is_empty()),
            )
    }
}

/// The variables of a key: its own, that of its file if it is a secret, and the former names of both.
fn variables(key: &'static Key) -> Vec<Variable> {
    let names = [key.name].into_iter().chain(key.aliases.iter().copied());
    let mut variables = Vec::new();
    for name in names {
        let own = Variable {
            name: name.to_owned(),
            key: key.name.to_owned(),
            help: key.help.to_owned(),
            value_name: key.value_name,
            default: key.default,
            heading: key.heading,
            is_secret: key.is_secret,
        };
        variables.push(own);
        if key.is_secret {
            variables.push(Variable {
                name: file_variant(name),
                key: file_variant(key.name),
                help: format!("File that holds {}.", key.name),
                value_name: "FILE",
                default: None,
                heading: key.heading,
                is_secret: false,
            });
        }
    }
    variables
}

/// Adds the arguments of these keys, grouped by their headings.
fn augment(command: Command, keys: &[&'static Key]) -> Command {
    let mut keys: Vec<_> = keys.iter().filter(|key| !key.is_member_only).collect();
    keys.sort_by_key(|key| key.heading);
    let arguments = keys.into_iter().flat_map(|key| variables(key));
    command.args(arguments.map(Variable::argument))
}

/// What clap matched of these keys. The new name wins over a former one.
fn options(matches: &ArgMatches, keys: &[&'static Key]) -> Options {
    let mut options = Options::default();
    let keys = keys.iter().filter(|key| !key.is_member_only);
    for variable in keys.flat_map(|key| variables(key)) {
        let source = match matches.value_source(&variable.name) {
            Some(ValueSource::EnvVariable) => Source::Environment,
            Some(ValueSource::CommandLine) => Source::Flag,
            _ => continue,
        };
        let Some(value) = matches.get_one::<OsString>(&variable.name) else {
            continue;
        };
        if !variable.is_former() {
            options.set(&variable.key, Raw::Text(value.clone()), source);
            continue;
        }
        let (former, key) = (&variable.name, &variable.key);
        let is_ignored = options.source(key) != Source::Default;
        if !is_ignored {
            options.set(key, Raw::Text(value.clone()), source);
        }
        options.warn(if is_ignored {
            format!("{former} is ignored, because {key} is set, which is its new name")
        } else {
            format!("{former} is deprecated; its new name is {key}")
        });
    }
    options
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(options(matches, KEYS))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = options(matches, KEYS);
        Ok(())
    }
}

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        augment(command, KEYS)
    }

    fn augment_args_for_update(command: Command) -> Command {
        augment(command, KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static NEW: Key = Key::new("EPICME_NEW", "N")
        .default("1")
        .formerly(&["EPICME_OLD"])
        .described("A key.", Heading::Server);
    static SECRET: Key = Key::secret("EPICME_NEW_SECRET", "SECRET")
        .formerly(&["EPICME_OLD_SECRET"])
        .described("A secret.", Heading::Secrets);

    fn matched(arguments: &[&str]) -> Options {
        let keys = [&NEW, &SECRET];
        let matches = augment(Command::new("epicme"), &keys)
            .try_get_matches_from([&["epicme"], arguments].concat())
            .unwrap();
        options(&matches, &keys)
    }

    fn value(options: &Options, name: &str) -> Option<String> {
        options.get(name).map(|raw| raw.text().unwrap().to_owned())
    }

    #[test]
    fn a_former_name_works_and_is_warned_of() {
        let options = matched(&["--old", "7", "--old-secret-file", "/x"]);
        assert_eq!(value(&options, "EPICME_NEW").as_deref(), Some("7"));
        assert_eq!(
            value(&options, "EPICME_NEW_SECRET_FILE").as_deref(),
            Some("/x")
        );
        assert_eq!(
            options.deprecated(),
            [
                "EPICME_OLD is deprecated; its new name is EPICME_NEW",
                "EPICME_OLD_SECRET_FILE is deprecated; its new name is EPICME_NEW_SECRET_FILE",
            ]
        );
    }

    #[test]
    fn a_new_name_wins_over_a_former_one() {
        let options = matched(&["--old", "7", "--new", "8"]);
        assert_eq!(value(&options, "EPICME_NEW").as_deref(), Some("8"));
        assert_eq!(
            options.deprecated(),
            ["EPICME_OLD is ignored, because EPICME_NEW is set, which is its new name"]
        );
        let options = matched(&["--new", "8"]);
        assert_eq!(options.source("EPICME_NEW"), Source::Flag);
        assert!(options.deprecated().is_empty());
    }

    #[test]
    fn a_former_name_is_not_in_the_help() {
        let help = augment(Command::new("epicme"), &[&NEW, &SECRET])
            .render_long_help()
            .to_string();
        assert!(
            help.contains("--new <N>") && help.contains("[env: EPICME_NEW_SECRET_FILE"),
            "{help}"
        );
        assert!(!help.contains("--old") && !help.contains("OLD"), "{help}");
    }

    #[test]
    fn no_two_keys_have_a_name_in_common() {
        let command = augment(Command::new("epicme"), KEYS);
        command.debug_assert();
    }
}
