//! A cluster starts, starts again, refuses what is not safe, and stops with the program.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use private_postgres::{Cancel, Cluster, ClusterError, ClusterOptions};
use secrecy::ExposeSecret;

const NAME: &str = "private-postgres-test";

/// A directory of the test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("private-postgres-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn start(&self, durable: bool) -> Result<Cluster, ClusterError> {
        Cluster::start(ClusterOptions {
            directory: self.0.clone(),
            durable,
            name: NAME,
        })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits for something that another process does, at most half a minute.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_durable_cluster_keeps_its_data_and_a_second_start_is_fast() {
    let directory = Directory::new("durable");
    let cluster = directory.start(true).unwrap();
    assert!(cluster.create_database("kept \"so\" 100%").unwrap());
    cluster
        .execute("kept \"so\" 100%", "CREATE TABLE kept ();")
        .unwrap();
    cluster.stop().unwrap();
    let began = Instant::now();
    let cluster = directory.start(true).unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!cluster.create_database("kept \"so\" 100%").unwrap());
    cluster
        .execute("kept \"so\" 100%", "DROP TABLE kept;")
        .unwrap();
    cluster.drop_database("kept \"so\" 100%").unwrap();
    cluster.drop_database("never was").unwrap();
}

#[test]
fn a_copy_has_what_its_template_has() {
    let directory = Directory::new("copy");
    let cluster = directory.start(false).unwrap();
    assert!(cluster.create_database("original").unwrap());
    let filled = "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7), (8);";
    cluster.execute("original", filled).unwrap();
    assert!(cluster.create_database_from("copy", "original").unwrap());
    assert!(!cluster.create_database_from("copy", "original").unwrap());
    let found = cluster.execute("copy", "SELECT n FROM kept ORDER BY n;");
    assert_eq!(found.unwrap(), "7\n8\n");
    let error = cluster.create_database_from("other", "missing");
    let said = error.unwrap_err().to_string();
    assert!(said.contains("\"missing\""), "{said}");
    cluster.drop_database("copy").unwrap();
    assert!(cluster.execute("copy", "SELECT 1;").is_err());
}

/// The URL is for clients of any kind, such as the `psql` of a person who looks into the database.
#[test]
fn a_client_connects_by_the_url() {
    let directory = Directory::new("url");
    let cluster = directory.start(false).unwrap();
    cluster.create_database("kept \"so\" 100%").unwrap();
    let url = cluster.url("kept \"so\" 100%");
    let psql = Command::new("psql")
        .args([url.expose_secret(), "-XAtc", "SELECT current_database()"])
        .output()
        .unwrap();
    assert_eq!(psql.stdout, b"kept \"so\" 100%\n", "{psql:?}");
}

#[test]
fn a_throw_away_cluster_leaves_nothing() {
    let directory = Directory::new("throw-away");
    let cluster = directory.start(false).unwrap();
    assert!(directory.0.exists());
    drop(cluster);
    assert!(!directory.0.exists());
}

#[test]
fn nobody_else_can_reach_the_socket() {
    let directory = Directory::new("private");
    let _cluster = directory.start(false).unwrap();
    for private in [
        directory.0.clone(),
        directory.0.join("socket"),
        directory.0.join("data"),
    ] {
        assert_eq!(fs::metadata(private).unwrap().mode() & 0o077, 0);
    }
    let pid_file = fs::read_to_string(directory.0.join("data/postmaster.pid")).unwrap();
    let listens_on = pid_file.lines().nth(5).unwrap();
    assert_eq!(listens_on, "");
}

#[test]
fn two_programs_cannot_have_one_directory() {
    let directory = Directory::new("in-use");
    let _cluster = directory.start(true).unwrap();
    let began = Instant::now();
    let error = directory.start(true).unwrap_err();
    assert!(matches!(error, ClusterError::InUse { .. }), "{error}");
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn data_of_another_version_is_refused_with_both_versions_named() {
    let directory = Directory::new("version");
    directory.start(true).unwrap().stop().unwrap();
    fs::write(directory.0.join("data/PG_VERSION"), "9\n").unwrap();
    let error = directory.start(true).unwrap_err();
    assert!(
        matches!(error, ClusterError::OtherVersion { data: 9, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("has only 1"), "{error}");
}

#[test]
fn an_interrupted_beginning_and_a_left_over_pid_are_no_obstacle() {
    let directory = Directory::new("interrupted");
    directory.start(true).unwrap().stop().unwrap();
    fs::rename(
        directory.0.join("data"),
        directory.0.join("data.unfinished"),
    )
    .unwrap();
    directory.start(true).unwrap().stop().unwrap();
    assert!(!directory.0.join("data.unfinished").exists());
    // The number of a process that lives and is no PostgreSQL: this one.
    let pid_file = directory.0.join("data/postmaster.pid");
    fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
    directory.start(true).unwrap().stop().unwrap();
}

#[test]
fn a_link_in_the_directory_is_never_written_through() {
    let directory = Directory::new("link");
    directory.start(true).unwrap().stop().unwrap();
    let precious = directory.0.join("precious");
    fs::write(&precious, "kept").unwrap();
    let note = directory.0.join("owner");
    fs::remove_file(&note).unwrap();
    std::os::unix::fs::symlink(&precious, &note).unwrap();
    directory.start(true).unwrap().stop().unwrap();
    assert_eq!(fs::read_to_string(precious).unwrap(), "kept");
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let directory = Directory::new("open");
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&directory.0)
        .unwrap();
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o755)).unwrap();
    let error = directory.start(false).unwrap_err();
    assert!(matches!(error, ClusterError::Unsafe { .. }), "{error}");
    assert!(directory.0.exists());
}

#[test]
fn a_path_too_long_for_a_socket_is_no_obstacle() {
    let directory = Directory::new("long");
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&directory.0)
        .unwrap();
    let long = Directory(directory.0.join("x".repeat(120)));
    let cluster = long.start(true).unwrap();
    assert_eq!(cluster.execute("postgres", "SELECT 1;").unwrap(), "1\n");
}

/// As root the server runs as another user, who cannot enter a home of mode 0700.
#[test]
fn a_checkout_that_the_servers_user_cannot_enter_is_no_obstacle() {
    let home = Directory::new("home");
    fs::DirBuilder::new().mode(0o700).create(&home.0).unwrap();
    let checkout = Directory(home.0.join("checkout/.data/postgres"));
    let cluster = checkout.start(true).unwrap();
    let at = cluster.execute("postgres", "SHOW data_directory;").unwrap();
    let at = PathBuf::from(at.trim());
    let _removed = Directory(at.parent().unwrap().to_owned());
    cluster.stop().unwrap();
    let cluster = checkout.start(true).unwrap();
    assert_eq!(cluster.execute("postgres", "SELECT 1;").unwrap(), "1\n");
    cluster.stop().unwrap();
}

/// This test is a program as well: run by the next one, it starts a cluster and waits to be killed.
#[test]
fn a_program_that_is_killed_leaves_no_server_behind() {
    const DIRECTORY: &str = "PRIVATE_POSTGRES_TO_BE_KILLED";
    if let Some(path) = std::env::var_os(DIRECTORY) {
        let durable = Path::new(&path).ends_with("durable");
        let options = ClusterOptions {
            directory: path.into(),
            durable,
            name: NAME,
        };
        let _cluster = Cluster::start(options).unwrap();
        eprintln!("running");
        loop {
            std::thread::park();
        }
    }
    for kind in ["durable", "throw-away"] {
        let parent = Directory::new(&format!("killed-{kind}"));
        fs::create_dir(&parent.0).unwrap();
        fs::set_permissions(&parent.0, fs::Permissions::from_mode(0o1777)).unwrap();
        let directory = parent.0.join(kind);
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_program_that_is_killed_leaves_no_server_behind",
                "--nocapture",
            ])
            .env(DIRECTORY, &directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(program.stderr.take().unwrap());
        let running = said.lines().any(|line| line.unwrap() == "running");
        assert!(running);
        let pid_file = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        let server = pid_file.lines().next().unwrap().to_owned();
        let alive = || {
            let mut kill = Command::new("kill");
            kill.args(["-0", &server]).stderr(Stdio::null());
            kill.status().unwrap().success()
        };
        assert!(alive());
        program.kill().unwrap();
        program.wait().unwrap();
        if kind == "durable" {
            // At once: the start waits for the old server to stop.
            let options = ClusterOptions {
                directory,
                durable: true,
                name: NAME,
            };
            Cluster::start(options).unwrap().stop().unwrap();
            assert!(!alive());
        } else {
            eventually("the server stops", || !alive());
            eventually("the directory is removed", || !directory.exists());
        }
    }
}

/// What processes run with this text in their arguments.
fn processes_with(text: &str) -> usize {
    let listed = Command::new("ps")
        .args(["-eo", "args"])
        .output()
        .expect("ps runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_start_that_is_given_up_leaves_neither_a_process_nor_half_a_cluster() {
    // While initdb works, and while the server starts.
    for (durable, begun) in [
        (true, "data.unfinished"),
        (false, "data.unfinished"),
        (true, "data/postmaster.pid"),
    ] {
        let directory = Directory::new("given-up");
        let name = directory.0.to_str().unwrap().to_owned();
        let cancel = Cancel::default();
        let starting = std::thread::spawn({
            let (cancel, path) = (cancel.clone(), directory.0.clone());
            move || {
                let options = ClusterOptions {
                    directory: path,
                    durable,
                    name: NAME,
                };
                Cluster::start_unless(options, &cancel)
                    .map(|cluster| cluster.directory().to_owned())
            }
        });
        // The data may be elsewhere, where this user is root; then its beginning cannot be seen here.
        let here = directory.0.join(begun);
        let began = Instant::now();
        while !here.exists() && !starting.is_finished() && began.elapsed() < Duration::from_secs(20)
        {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        cancel.cancel();
        let cancelled = Instant::now();
        match starting.join().unwrap() {
            Err(ClusterError::Cancelled) => {}
            // It was faster.
            Ok(_) => assert_eq!(begun, "data/postmaster.pid"),
            Err(error) => panic!("{error}"),
        }
        assert!(
            cancelled.elapsed() < Duration::from_secs(10),
            "{:?}",
            cancelled.elapsed()
        );
        assert_eq!(processes_with(&name), 0);
        assert!(!directory.0.join("data.unfinished").exists());
        assert!(durable || !directory.0.exists());
        if begun == "data.unfinished" {
            assert!(!directory.0.join("data").exists());
        }
        // The next start is not held up by what was given up.
        directory.start(durable).unwrap().stop().unwrap();
    }
}

#[test]
fn that_a_server_was_killed_is_noticed() {
    let directory = Directory::new("killed");
    let cluster = directory.start(true).unwrap();
    assert!(!cluster.has_ended());
    let file = cluster.directory().join("data/postmaster.pid");
    let pid = fs::read_to_string(file).unwrap();
    let pid = pid.lines().next().unwrap();
    assert!(
        Command::new("kill")
            .args(["-KILL", pid])
            .status()
            .unwrap()
            .success()
    );
    eventually("it ends", || cluster.has_ended());
    assert!(cluster.has_ended());
    cluster.stop().unwrap();
    directory.start(true).unwrap().stop().unwrap();
}
