//! Core dumps: a dump would write tokens, secrets and texts of journals that are in memory to a disk.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns core dumps of this process off, and on Linux makes its memory unreadable for other processes of its
/// user: no debugger can attach, and `/proc/PID` belongs to root.
///
/// # Errors
/// Errors of the operating system.
pub fn turn_off() -> io::Result<()> {
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    // The limit alone does not stop a dump that the kernel pipes into a program (core(5)).
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
