//! Memory and processor time of a process on this machine, as Linux tells them.

use std::{fs, time::Duration};

/// Ticks in a second, of which processor time is told in; the same on every Linux that is in use.
const TICKS: u64 = 100;

/// What a process has used at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In its own code and in the kernel's on its behalf, those of its children that have ended included.
    pub(crate) processor: Duration,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
}

/// What a process has used, if there is one and the system tells; `self` is this one.
pub(crate) fn usage(pid: &str) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    read(&stat, &status)
}

fn read(stat: &str, status: &str) -> Option<Usage> {
    // The program's name is in brackets, and may have brackets and blanks in it (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    // utime, stime, cutime, cstime are the 14th to 17th of all; the first two went with the name.
    let ticks: Option<u64> = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().ok())
        .sum();
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Usage {
        processor: Duration::from_millis(ticks? * 1_000 / TICKS),
        resident_kib: kib("VmRSS:")?,
        peak_kib: kib("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_used_stands_in_two_files() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 10 15 20 0 9 0 100 1 2";
        let status = "Name:\ta\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        let expected = Usage {
            processor: Duration::from_millis(2_250),
            resident_kib: 1_024,
            peak_kib: 2_048,
        };
        assert_eq!(read(stat, status), Some(expected));
        assert_eq!(read("nonsense", status), None);
    }
}
