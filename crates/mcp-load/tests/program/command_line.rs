//! What is refused before anything is asked.

use super::{silence::Silence, tester::run};

#[actix_rt::test]
async fn a_wrong_command_line_is_64_with_the_reason() {
    let here = "http://127.0.0.1:1/mcp";
    let file = std::env::temp_dir().join(format!("mcp-load-{}.tokens", std::process::id()));
    std::fs::write(&file, "a-token\n").unwrap();
    let token = &format!("--token-file={}", file.display())[..];
    for (arguments, reason) in [
        (&[here][..], "--dev-tokens"),
        (&[here, "--token-file=/nowhere/at/all"], "/nowhere/at/all"),
        (&[here, token, "--mix=a=0"], "weight"),
        (&[here, token, "--legacy=200%"], "30%"),
        (
            &[here, token, "--sessions=5", "--legacy=6"],
            "--legacy is more",
        ),
        (&[here, token, "--mix=ping=1"], "legacy era"),
        (&[here, token, "--allow=lost"], "cannot be allowed"),
        (&[here, token, "--arguments=a={}"], "not in the mix"),
        (
            &[here, token, "--sessions=1000000", "--streams=100%"],
            "ulimit -n",
        ),
        (&["http://192.0.2.1/mcp", token], "--insecure-http"),
        (&["ftp://127.0.0.1/", token], "neither https nor http"),
    ] {
        let run = run(arguments).await;
        assert_eq!(run.code, 64, "{arguments:?}: {}", run.shown());
        assert!(
            run.stderr.contains(reason),
            "{arguments:?}: {}",
            run.shown()
        );
        assert!(!run.shown().contains("a-token"), "a token is not shown");
    }
    std::fs::remove_file(&file).unwrap();
}

#[actix_rt::test]
async fn a_server_that_is_not_there_is_69() {
    let silence = Silence::new();
    let nobody = silence.address();
    let run = run(&[
        &format!("http://{nobody}/mcp"),
        "--dev-tokens=http://127.0.0.1:1",
    ])
    .await;
    assert_eq!(run.code, 69, "{}", run.shown());
    assert!(run.stderr.contains("cannot be reached"), "{}", run.stderr);
}

#[actix_rt::test]
async fn help_has_examples_and_exit_codes() {
    let run = run(&["--help"]).await;
    assert_eq!(run.code, 0);
    for words in ["Examples:", "Exit codes:", "--insecure-http", "Open loop"] {
        assert!(run.stdout.contains(words), "{words}");
    }
}
