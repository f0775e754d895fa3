//! Verifies audit files.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use derive_more::{Display, Error};

use super::chain::{self, ChainKey, Link};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What was found in audit files that are intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The number of lines.
    pub lines: u64,
    /// The number of the first line. If it is not 1, what was before is not in these files.
    pub first: u64,
    /// The number of the last line. Whether there were later ones, the files cannot show: compare it with the metric
    /// `audit_sequence`, or with a number that was noted elsewhere.
    pub last: u64,
    /// The hash of the last line, in hexadecimal.
    pub hash: String,
    /// How many lines are incomplete because the process crashed while it wrote them. The line after each records it.
    pub torn: u64,
}

/// Why audit files are not intact.
#[derive(Debug, Display, Error)]
pub enum AuditFault {
    /// A file cannot be read.
    #[display("{} cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no line in any of the files.
    #[display("there is no line in any of the files")]
    Empty,
    /// A line breaks a rule.
    #[display("{}, line {line}: {reason}", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The rule.
        reason: String,
    },
}

/// Verifies that the files have one unbroken chain of lines: none is missing between two others, none was altered, and
/// none was moved. The files may be given in any order. `key` is that with which they were written.
///
/// # Errors
/// The first fault, in the order of the lines.
pub fn verify(files: &[PathBuf], key: Option<&[u8]>) -> Result<Verified, AuditFault> {
    let key = key.map(ChainKey::new);
    let mut ordered = Vec::new();
    for file in files {
        // A file that begins with something else comes first, and its fault is told.
        let first = lines(file)?.find_map(|line| match line {
            Ok(line) => chain::read(&line).map(|line| line.link.sequence),
            Err(_) => Some(0),
        });
        ordered.push((first.unwrap_or_default(), file));
    }
    ordered.sort();
    let mut walk = Walk {
        key: key.as_ref(),
        verified: None,
        last: Link::default(),
        torn: false,
    };
    for (_, file) in ordered {
        for (number, line) in (1..).zip(lines(file)?) {
            let line = line.map_err(|error| unreadable(file, error))?;
            walk.read(&line).map_err(|reason| AuditFault::Broken {
                file: file.clone(),
                line: number,
                reason,
            })?;
        }
    }
    let verified = walk.verified.ok_or(AuditFault::Empty)?;
    Ok(Verified {
        last: walk.last.sequence,
        hash: chain::hex(&walk.last.hash),
        // At the end of the files: the program crashed, and has not started since.
        torn: verified.torn + u64::from(walk.torn),
        ..verified
    })
}

struct Walk<'a> {
    key: Option<&'a ChainKey>,
    verified: Option<Verified>,
    last: Link,
    /// Whether the line before could not be read, so that this one has to say so.
    torn: bool,
}

impl Walk<'_> {
    fn read(&mut self, line: &[u8]) -> Result<(), String> {
        let Some(chained) = chain::read(line) else {
            if self.torn {
                return Err(
                    "it is no line of an audit file, and neither is the one before".to_owned(),
                );
            }
            self.torn = true;
            return Ok(());
        };
        let Link { sequence, .. } = chained.link;
        if self.torn && !chained.tells_of_a_torn_line() {
            return Err("the line before it is no line of an audit file".to_owned());
        }
        if !chained.is_intact(self.key) {
            return Err(format!(
                "line {sequence} was altered, or written with another key"
            ));
        }
        match &mut self.verified {
            None if sequence == 1 && chained.previous != Link::default().hash => {
                return Err("line 1 names a line before it".to_owned());
            }
            None => {
                self.verified = Some(Verified {
                    lines: 1,
                    first: sequence,
                    last: sequence,
                    hash: String::new(),
                    torn: 0,
                });
            }
            Some(verified) => {
                let expected = self.last.sequence + 1;
                if sequence != expected {
                    return Err(format!(
                        "line {sequence} follows line {}: lines are missing, there twice, or moved",
                        self.last.sequence
                    ));
                }
                if chained.previous != self.last.hash {
                    return Err(format!(
                        "line {sequence} does not follow this line {}: another was there",
                        self.last.sequence
                    ));
                }
                verified.lines += 1;
                verified.torn += u64::from(self.torn);
            }
        }
        self.torn = false;
        self.last = chained.link;
        Ok(())
    }
}

/// The lines of a file, without their line breaks.
fn lines(file: &Path) -> Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>, AuditFault> {
    let opened = File::open(file).map_err(|error| unreadable(file, error))?;
    let mut reader = BufReader::new(opened);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                if line.ends_with(b"\n") {
                    line.pop();
                }
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }
    }))
}

fn unreadable(file: &Path, source: io::Error) -> AuditFault {
    AuditFault::Unreadable {
        file: file.to_owned(),
        source,
    }
}
