//! Against EpicMe, with its mock authorization server and a PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use epicme::dev::{Dev, DevOptions};
use private_postgres::{Cluster, ClusterOptions};

use super::load_program::run;

async fn start() -> Dev {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let cluster = CLUSTER.get_or_init(|| {
        let name = format!("mcp-load-{}", std::process::id());
        Cluster::start(ClusterOptions {
            directory: std::env::temp_dir().join(name),
            durable: false,
            name: "epicme",
        })
        .unwrap()
    });
    let name = format!("load_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    cluster.create_database(&name).unwrap();
    Dev::start(DevOptions {
        bind: "127.0.0.1:0".parse().unwrap(),
        auth_bind: "127.0.0.1:0".parse().unwrap(),
        ephemeral: true,
        directory: std::env::temp_dir(),
        client_documents: false,
        show_introspection: false,
        auto_consent: None,
        database_url: Some(cluster.url(&name)),
    })
    .await
    .unwrap()
}

#[actix_rt::test]
async fn both_eras_with_streams_are_served_without_an_error() {
    let dev = start().await;
    let run = run(&[
        dev.mcp_url(),
        "--dev-tokens",
        dev.mock_auth().issuer(),
        "--sessions=20",
        "--legacy=50%",
        "--streams=10",
        "--users=4",
        "--threads=2",
        "--mix=list_entries=4,create_entry=2,update_entry=2,create_tag=1,tools/list=1,search_entries=1,get_entry=2,whoami=1,resources/list=1",
        "--requests=600",
        "--warm-up=0",
        "--duration=60s",
    ])
    .await;
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(run.report["passed"], true);
    assert_eq!(run.kinds(), Vec::<&str>::new());
    assert_eq!(
        (run.number("/all/count"), run.number("/all/failed")),
        (600, 0)
    );
    // A round has 15 operations, and 20 clients do 30 requests each.
    assert_eq!(run.row("list_entries"), (160, 0));
    assert_eq!(run.row("update_entry"), (80, 0));
    assert_eq!(run.row("create_tag"), (40, 0));
    // Four users have three entries each to begin with; and 40 tags.
    assert_eq!(run.number("/written/created"), 12 + 80 + 40);
    assert_eq!(run.number("/written/found"), 12 + 80 + 40);
    assert_eq!(run.row("initialize"), (10, 0));
    assert_eq!(run.row("DELETE (session)"), (10, 0));
    assert_eq!(run.row("subscriptions/listen"), (5, 0));
    assert_eq!(run.row("GET (stream)"), (5, 0));
    let (owed, told) = (
        run.number("/notifications/owed"),
        run.number("/notifications/told"),
    );
    assert!(owed > 0 && owed == told, "{owed} owed, {told} told");
    for (pointer, held) in [
        ("/held/sessions", 10),
        ("/held/stateless", 10),
        ("/held/streams", 10),
    ] {
        assert_eq!(run.number(pointer), held, "{pointer}");
    }
    assert!(run.stdout.ends_with("PASSED\n"), "{}", run.stdout);
    assert!(run.page.contains("</html>") && !run.page.contains("http-equiv=\"refresh"));
    dev.stop().await.unwrap();
}

#[actix_rt::test]
async fn sessions_of_every_revision_are_opened_and_given_up_again_and_again() {
    let dev = start().await;
    for version in ["2025-03-26", "2025-06-18"] {
        let run = run(&[
            dev.mcp_url(),
            "--dev-tokens",
            dev.mock_auth().issuer(),
            "--sessions=4",
            "--legacy=100%",
            "--legacy-version",
            version,
            "--session-calls=5",
            "--mix=list_entries=2,create_entry=1,get_entry=1,ping=1",
            "--requests=100",
            "--warm-up=0",
            "--quiet",
        ])
        .await;
        assert_eq!(run.code, 0, "{version}: {}", run.shown());
        assert_eq!(run.number("/all/count"), 100);
        // One for every five calls, and one for each client's part in the verification.
        let (opened, failed) = run.row("initialize");
        assert!(
            opened >= 20 && failed == 0,
            "{opened} opened, {failed} failed"
        );
        assert_eq!(run.row("DELETE (session)"), (opened, 0), "{version}");
        assert_eq!(run.stderr, "", "it was told to be quiet");
    }
    dev.stop().await.unwrap();
}

#[actix_rt::test]
async fn a_constant_rate_is_kept_and_the_warm_up_is_not_counted() {
    let dev = start().await;
    let run = run(&[
        dev.mcp_url(),
        "--dev-tokens",
        dev.mock_auth().issuer(),
        "--sessions=8",
        "--rate=40",
        "--warm-up=1s",
        "--duration=2s",
        "--mix=tools/list=1,whoami=1",
        "--pid",
        &std::process::id().to_string(),
    ])
    .await;
    assert_eq!(run.code, 0, "{}", run.shown());
    // A machine that is busy with other things may not let all of them go in time, but none is forgotten.
    let unsent = run.number("/unsent");
    assert_eq!(run.number("/all/count") + unsent, 80);
    assert_eq!(run.number("/answered_in_all") + unsent, 120);
    assert_eq!(
        run.report["written"]["created"], 0,
        "this mix writes nothing"
    );
    if cfg!(target_os = "linux") {
        assert!(run.number("/server/resident_kib_peak") > 0);
    }
    dev.stop().await.unwrap();
}

#[actix_rt::test]
async fn who_is_interrupted_reports_what_there_was() {
    let dev = start().await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-load"));
    command
        .args([dev.mcp_url(), "--dev-tokens", dev.mock_auth().issuer()])
        .args([
            "--sessions=4",
            "--legacy=2",
            "--duration=10m",
            "--warm-up=0",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (status, stdout) = actix_rt::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = stderr.lines().map(Result::unwrap);
        lines.find(|line| line.starts_with("load ")).unwrap();
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status();
        assert!(sent.unwrap().success());
        // Read to its end, so that nothing that it says is in its way.
        lines.for_each(drop);
        let output = child.wait_with_output().unwrap();
        (output.status, String::from_utf8(output.stdout).unwrap())
    })
    .await
    .unwrap();
    assert_eq!(status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("stopped before its end"), "{stdout}");
    assert!(
        stdout.contains("2 stateless clients, 2 sessions"),
        "{stdout}"
    );
    dev.stop().await.unwrap();
}
