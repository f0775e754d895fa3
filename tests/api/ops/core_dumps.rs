//! What of the program's memory can get onto a disk, or to another process.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::Program;

/// Somebody who is not root, on every machine.
const NOBODY: u32 = 65_534;

#[test]
fn a_crash_leaves_no_core_dump() {
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let program = Program::serve(&[("DATABASE_URL", url)]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{words:?}");
}

/// `/proc/PID` belongs to root if the process cannot be dumped (proc(5)), and then nobody else attaches to it.
#[test]
fn no_process_of_the_same_user_reads_the_programs_memory() {
    if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        // Only root starts a program as somebody else.
        return;
    }
    // A path that everybody may run.
    let place = std::env::temp_dir().join(format!("epicme-{}", std::process::id()));
    // By another program: a file that this one writes cannot be run while a child that was forked meanwhile has it open.
    let copied = Command::new("cp")
        .args([Path::new(env!("CARGO_BIN_EXE_epicme")), &place])
        .status();
    assert!(copied.unwrap().success());
    // It serves without its database, which nobody listens for.
    let environment = [
        ("EPICME_BIND", "127.0.0.1:0"),
        ("EPICME_METRICS_BIND", "off"),
        ("EPICME_ISSUER", "https://issuer.example"),
        ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
        ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
    ];
    let mut program = Command::new(&place)
        .arg("serve")
        .env_clear()
        .envs(environment)
        .uid(NOBODY)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let owner = || fs::metadata(format!("/proc/{}/mem", program.id())).map(|file| file.uid());
    // The program begins as the test's copy, then it is itself.
    let deadline = Instant::now() + Duration::from_secs(30);
    while owner().is_ok_and(|owner| owner != 0) && Instant::now() < deadline {
        thread::yield_now();
    }
    let owner = owner();
    let has_ended = program.try_wait().unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    fs::remove_file(&place).unwrap();
    assert_eq!(has_ended, None);
    assert_eq!(owner.unwrap(), 0, "it belongs to the program's own user");
}
