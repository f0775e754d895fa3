//! Standard output and standard error, whose reader may be gone: `epicme … | head` closes the pipe before everything
//! is written, and `println!` would panic then.

use std::{
    fmt::Display,
    io::{Write, stderr, stdout},
    process::ExitCode,
};

/// Writes a text to standard output. If nobody reads it, it is dropped: the exit code says how the command ended.
pub fn print(text: impl Display) {
    let mut out = stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Writes a line to standard output, as [`print()`] does.
pub fn print_line(text: impl Display) {
    print(format_args!("{text}\n"));
}

/// Writes a line to standard error. If nobody reads it, it is dropped.
pub fn complain(text: impl Display) {
    let _ = writeln!(stderr().lock(), "{text}");
}

/// Prints clap's message, the answer to `--help` or an error of the command line, which has this exit code.
#[must_use]
pub fn print_answer(error: &clap::Error, exit_code: u8) -> ExitCode {
    // If standard output is closed, there is nowhere to report that.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(exit_code)
    } else {
        ExitCode::SUCCESS
    }
}
