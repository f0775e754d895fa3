use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use super::*;
use crate::audit::{AuditFault, Verified, verify};

/// A folder of a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("audit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open_file(path: &Path) -> AuditFile {
    AuditFile::open(path.to_owned(), Some(ChainKey::new(b"k"))).unwrap()
}

fn put(file: &AuditFile, numbers: std::ops::Range<u32>) {
    for number in numbers {
        file.put(format!("{{\"event\":\"{number}\"}}").as_bytes());
        file.write_waiting();
    }
}

fn verified(files: &[&PathBuf]) -> Result<Verified, AuditFault> {
    let files: Vec<_> = files.iter().copied().cloned().collect();
    verify(&files, Some(b"k"))
}

fn events(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: Value| {
            let outcome = line["outcome"].as_str().unwrap_or_default();
            format!("{}{outcome}", line["event"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn the_chain_goes_on_after_a_restart_and_across_rotated_files() {
    let folder = Folder::new("rotation");
    let (current, rotated) = (folder.file("a.log"), folder.file("a.log.1"));
    let file = open_file(&current);
    put(&file, 0..3);
    drop(file);
    let file = open_file(&current);
    put(&file, 3..5);
    fs::rename(&current, &rotated).unwrap();
    put(&file, 5..7);
    assert_eq!(
        events(&rotated),
        ["logopened", "0", "1", "2", "logopened", "3", "4"]
    );
    assert_eq!(events(&current), ["logopened", "5", "6"]);
    // Everybody else is kept out.
    for path in [&current, &rotated] {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let both = verified(&[&current, &rotated]).unwrap();
    assert_eq!(
        (both.lines, both.first, both.last, both.torn),
        (10, 1, 10, 0)
    );
    // The newer file alone begins with a later number, which the result shows.
    let newer = verified(&[&current]).unwrap();
    assert_eq!((newer.lines, newer.first, newer.last), (3, 8, 10));
}

#[test]
fn what_was_removed_altered_or_moved_is_found() {
    let folder = Folder::new("faults");
    let path = folder.file("a.log");
    put(&open_file(&path), 0..6);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let with = |lines: &[String]| {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        verified(&[&path])
    };
    let without = |number: usize| {
        let mut fewer = lines.clone();
        fewer.remove(number);
        fewer
    };
    assert_eq!(with(&lines).unwrap().lines, 7);
    for number in 1..6 {
        assert!(with(&without(number)).is_err(), "line {number} was removed");
        let mut altered = lines.clone();
        altered[number] = altered[number].replace("\"event\":\"", "\"event\":\"x");
        assert!(with(&altered).is_err(), "line {number} was altered");
        let mut moved = lines.clone();
        moved.swap(number, number + 1);
        assert!(with(&moved).is_err(), "line {number} was moved");
        let mut doubled = lines.clone();
        doubled.insert(number, lines[number].clone());
        assert!(with(&doubled).is_err(), "line {number} is there twice");
        let mut stranger = lines.clone();
        stranger[number] = "something else".to_owned();
        assert!(with(&stranger).is_err(), "line {number} was replaced");
    }
    // Without its end or its beginning a chain is intact: the numbers show it.
    let shorter = with(&without(6)).unwrap();
    assert_eq!((shorter.first, shorter.last), (1, 6));
    let later = with(&without(0)).unwrap();
    assert_eq!((later.first, later.last), (2, 7));
    // A chain that somebody wrote anew, without the key.
    let (mut forged, mut link) = (Vec::new(), Link::default());
    for _ in 0..3 {
        link = chain::append(&mut forged, b"{\"event\":\"x\"}", link, None);
    }
    fs::write(&path, forged).unwrap();
    assert!(verified(&[&path]).is_err());
    assert!(verify(std::slice::from_ref(&path), None).is_ok());
}

#[test]
fn a_line_that_a_crash_cut_off_is_told_and_the_chain_goes_on() {
    let folder = Folder::new("torn");
    let path = folder.file("a.log");
    put(&open_file(&path), 0..3);
    let text = fs::read_to_string(&path).unwrap();
    // Four whole lines that lack a line break, or three and a piece.
    for (cut, whole, torn) in [(1, 4, 0), (2, 3, 1), (40, 3, 1), (150, 3, 1)] {
        fs::write(&path, &text[..text.len() - cut]).unwrap();
        let before = verified(&[&path]).unwrap();
        assert_eq!((before.lines, before.torn), (whole, torn), "{cut}");
        put(&open_file(&path), 3..5);
        let found = verified(&[&path]).unwrap();
        // And that it was torn, opened, and two more.
        assert_eq!((found.lines, found.last), (whole + 4, whole + 4), "{cut}");
        assert_eq!(found.torn, torn, "{cut}");
    }
    // The first line of all.
    fs::write(&path, "{\"time\"").unwrap();
    put(&open_file(&path), 0..1);
    assert_eq!(verified(&[&path]).unwrap().lines, 3);
}

#[test]
fn a_file_with_two_writers_or_of_something_else_is_refused() {
    let folder = Folder::new("refused");
    let path = folder.file("a.log");
    let file = open_file(&path);
    let second = AuditFile::open(path.clone(), None).err().unwrap();
    assert!(second.to_string().contains("another process"), "{second}");
    drop(file);
    fs::write(&path, "somebody's notes\n").unwrap();
    let other = AuditFile::open(path.clone(), None).err().unwrap();
    assert!(other.to_string().contains("other lines"), "{other}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's notes\n");
}

#[test]
fn while_nothing_can_be_written_lines_wait_within_a_bound_and_what_is_lost_is_told() {
    let folder = Folder::new("full");
    let (path, elsewhere) = (folder.file("a.log"), folder.file("b.log"));
    let file = open_file(&path);
    put(&file, 0..1);
    // A directory at its path: the file can be written only when it has gone.
    fs::rename(&path, &elsewhere).unwrap();
    fs::create_dir(&path).unwrap();
    file.put(b"{\"event\":\"waits\"}");
    let long = format!("{{\"event\":\"{}\"}}", "x".repeat(50_000));
    for _ in 0..120 {
        file.put(long.as_bytes());
    }
    file.write_waiting();
    assert!(file.shared.waiting.lock().lines.len() <= MOST_WAITING);
    let lost = file.shared.lost.load(Ordering::Relaxed);
    assert!((30..45).contains(&lost), "{lost}");
    assert!(file.shared.failures.load(Ordering::Relaxed) >= 1);
    fs::remove_dir(&path).unwrap();
    file.write_waiting();
    let told = events(&path);
    assert_eq!(told[..2], ["logopened", "waits"]);
    assert_eq!(told.last().unwrap(), "loglost");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("\"outcome\":\"lost\",\"lost\":{lost},")));
    assert!(verified(&[&elsewhere, &path]).is_ok());
}

#[test]
fn a_line_is_written_without_a_request_that_waits_for_it() {
    let folder = Folder::new("thread");
    let path = folder.file("a.log");
    let file = open_file(&path);
    file.put(b"{\"event\":\"1\"}");
    while file.shared.sequence.load(Ordering::Relaxed) < 2 {
        thread::yield_now();
    }
    assert_eq!(events(&path), ["logopened", "1"]);
    // What waits is written at the end, and then the file is free.
    file.put(b"{\"event\":\"2\"}");
    drop(file);
    put(&open_file(&path), 3..4);
    assert_eq!(events(&path), ["logopened", "1", "2", "logopened", "3"]);
}
