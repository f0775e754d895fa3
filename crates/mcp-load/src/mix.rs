//! Which operations there are, and how many of each.

use std::{fmt, str::FromStr};

/// Where the operations of one round are as many as their weights, so that there is a bound on it.
const MOST_WEIGHT: u32 = 10_000;
const MOST_OPERATIONS: usize = 32;

/// Something that a client does again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The tool of that name, whose answers can be held against what was written before.
    Journal(JournalTool),
    /// Another tool, with arguments as given.
    Tool(String),
    /// A method of the protocol, with parameters as given.
    Method(String),
}

/// A tool of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalTool {
    CreateEntry,
    GetEntry,
    ListEntries,
    SearchEntries,
    UpdateEntry,
    CreateTag,
    Whoami,
}

impl JournalTool {
    const ALL: [Self; 7] = [
        Self::CreateEntry,
        Self::GetEntry,
        Self::ListEntries,
        Self::SearchEntries,
        Self::UpdateEntry,
        Self::CreateTag,
        Self::Whoami,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateEntry => "create_entry",
            Self::GetEntry => "get_entry",
            Self::ListEntries => "list_entries",
            Self::SearchEntries => "search_entries",
            Self::UpdateEntry => "update_entry",
            Self::CreateTag => "create_tag",
            Self::Whoami => "whoami",
        }
    }

    /// Whether it has nothing to do in a journal without an entry.
    pub(crate) fn needs_an_entry(self) -> bool {
        !matches!(self, Self::CreateEntry | Self::CreateTag | Self::Whoami)
    }
}

impl Operation {
    /// Methods have a slash, but for `ping`; the rest are tools.
    fn named(name: &str) -> Self {
        if name.contains('/') || name == "ping" {
            return Self::Method(name.to_owned());
        }
        JournalTool::ALL
            .into_iter()
            .find(|tool| tool.name() == name)
            .map_or_else(|| Self::Tool(name.to_owned()), Self::Journal)
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Journal(tool) => tool.name(),
            Self::Tool(name) | Self::Method(name) => name,
        }
    }
}

/// Operations by weight, such as `list_entries=6,create_entry=2,tools/list=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix {
    pub(crate) operations: Vec<Operation>,
    weights: Vec<u32>,
    /// One round: each operation as often as its weight, spread evenly. Every client goes round it from
    /// a place of its own, so the mix is exact and has no luck in it.
    round: Vec<u8>,
}

impl Mix {
    /// The operation that is a client's `turn`th, as its place in `operations`.
    pub(crate) fn turn(&self, client: u64, turn: u64) -> usize {
        // A stride that has no common divisor with most lengths spreads the beginnings.
        let begin = client.wrapping_mul(7_919);
        let place = begin.wrapping_add(turn) % self.round.len() as u64;
        usize::from(self.round[usize::try_from(place).unwrap_or_default()])
    }

    /// Whether an operation for which this holds is in it.
    pub(crate) fn has(&self, holds: impl Fn(JournalTool) -> bool) -> bool {
        self.operations
            .iter()
            .any(|operation| matches!(operation, Operation::Journal(tool) if holds(*tool)))
    }

    /// Takes a tool as one that is not known, because its arguments are given.
    pub(crate) fn treat_as_unknown(&mut self, name: &str) {
        for operation in &mut self.operations {
            if operation.name() == name && matches!(operation, Operation::Journal(_)) {
                *operation = Operation::Tool(name.to_owned());
            }
        }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut operations = Vec::new();
        let mut weights = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let (name, weight) = (name.trim(), weight.trim());
            let is_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
            if name.is_empty() || name.len() > 128 || !name.bytes().all(is_a_name) {
                return Err(format!("{name:?} is no tool's or method's name"));
            }
            let weight: u32 = weight
                .parse()
                .ok()
                .filter(|weight| (1..=MOST_WEIGHT).contains(weight))
                .ok_or_else(|| {
                    format!("the weight of {name} is a number from 1 to {MOST_WEIGHT}")
                })?;
            let operation = Operation::named(name);
            if operations.contains(&operation) {
                return Err(format!("{name} stands twice"));
            }
            operations.push(operation);
            weights.push(weight);
        }
        if operations.len() > MOST_OPERATIONS {
            return Err(format!("at most {MOST_OPERATIONS} operations"));
        }
        if weights.iter().sum::<u32>() > MOST_WEIGHT {
            return Err(format!("the weights add up to {MOST_WEIGHT} at most"));
        }
        Ok(Self {
            round: spread(&weights),
            operations,
            weights,
        })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (operation, weight)) in self.operations.iter().zip(&self.weights).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{}={weight}", operation.name())?;
        }
        Ok(())
    }
}

/// Each place as often as its weight, as far from its like as can be: at every step all gain their
/// weight, and who has most goes, and pays for all.
fn spread(weights: &[u32]) -> Vec<u8> {
    let total: i64 = weights.iter().map(|weight| i64::from(*weight)).sum();
    let mut credit = vec![0_i64; weights.len()];
    (0..total)
        .map(|_| {
            let mut first = 0;
            for place in 0..weights.len() {
                credit[place] += i64::from(weights[place]);
                if credit[place] > credit[first] {
                    first = place;
                }
            }
            credit[first] -= total;
            u8::try_from(first).unwrap_or(u8::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_names_and_weights() {
        let mix: Mix = "list_entries=6, create_entry=2,tools/list,ping=1,other=1"
            .parse()
            .unwrap();
        assert_eq!(
            mix.operations,
            [
                Operation::Journal(JournalTool::ListEntries),
                Operation::Journal(JournalTool::CreateEntry),
                Operation::Method("tools/list".to_owned()),
                Operation::Method("ping".to_owned()),
                Operation::Tool("other".to_owned()),
            ]
        );
        assert_eq!(
            mix.to_string(),
            "list_entries=6,create_entry=2,tools/list=1,ping=1,other=1"
        );
    }

    #[test]
    fn what_is_no_mix_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "name"),
            ("a=0", "from 1"),
            ("a=x", "from 1"),
            ("a=-1", "from 1"),
            ("a=1,a=2", "twice"),
            ("a b=1", "name"),
            ("a=9000,b=9000", "add up"),
            ("a=1,,b=1", "name"),
        ] {
            let error = text.parse::<Mix>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_round_has_each_operation_by_its_weight_and_spread() {
        let mix: Mix = "a=6,b=2,c=1,d=1".parse().unwrap();
        for client in 0..20 {
            let mut seen = [0; 4];
            for turn in 0..100 {
                seen[mix.turn(client, turn)] += 1;
            }
            assert_eq!(seen, [60, 20, 10, 10]);
        }
        assert_eq!(spread(&[2, 1, 1]), [0, 1, 2, 0]);
    }

    #[test]
    fn a_tool_whose_arguments_are_given_is_not_taken_for_a_journals() {
        let mut mix: Mix = "list_entries=1,whoami=1".parse().unwrap();
        mix.treat_as_unknown("list_entries");
        assert_eq!(
            mix.operations[0],
            Operation::Tool("list_entries".to_owned())
        );
        assert!(mix.has(|tool| tool == JournalTool::Whoami));
        assert!(!mix.has(JournalTool::needs_an_entry));
    }
}
