//! Whatever a server gets wrong is found, and is the reason for the exit code.

use super::{
    liar::{Liar, Lie},
    tester::{Run, run},
};

async fn load(lie: Lie, more: &[&str]) -> Run {
    let liar = Liar::start(lie);
    let base = format!("http://{}", liar.address);
    let url = format!("{base}/mcp");
    let arguments = [
        url.as_str(),
        "--dev-tokens",
        &base,
        "--sessions=6",
        "--users=3",
        "--streams=100%",
        "--entry-uri=entry://{id}",
        "--mix=list_entries=1,create_entry=2,get_entry=1,update_entry=1,whoami=1",
        "--requests=240",
        "--warm-up=0",
        "--notify-within=1s",
        "--quiet",
    ];
    let run = run(&[&arguments[..], more].concat()).await;
    liar.stop().await;
    run
}

/// Fails with errors of this kind, and no others.
async fn is_found_out(lie: Lie, kind: &str) -> Run {
    let run = load(lie, &[]).await;
    assert_eq!(run.code, 1, "{lie:?}: {}", run.shown());
    assert_eq!(run.kinds(), [kind], "{lie:?}: {}", run.shown());
    assert!(run.stdout.ends_with("FAILED\n"));
    assert!(run.page.contains("failed"));
    run
}

#[actix_rt::test]
async fn an_honest_server_passes() {
    let run = load(Lie::None, &[]).await;
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(run.number("/all/count"), 240);
    // Six clients of three users; a round of six has two new entries. Nine were there before.
    assert_eq!(run.number("/written/created"), 89);
    assert_eq!(run.number("/written/found"), 89);
    assert_eq!(run.row("update_entry"), (40, 0));
    // Each of a user's two streams is told of each change.
    assert_eq!(run.number("/notifications/told"), 80);
    assert_eq!(run.number("/notifications/owed"), 80);
}

#[actix_rt::test]
async fn an_entry_of_another_user_is_found() {
    let run = is_found_out(Lie::AnothersEntry, "foreign-data").await;
    assert!(run.errors("foreign-data") > 1);
}

/// The cheap look is enough for it.
#[actix_rt::test]
async fn an_entry_of_another_user_is_found_without_parsing() {
    let run = load(Lie::AnothersEntry, &["--check-every=1000000"]).await;
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(run.errors("foreign-data") > 1, "{}", run.shown());
}

#[actix_rt::test]
async fn a_lost_entry_is_found() {
    let liar = Liar::start(Lie::LostEntry);
    let base = format!("http://{}", liar.address);
    let run = run(&[
        &format!("{base}/mcp"),
        "--dev-tokens",
        &base,
        "--sessions=2",
        "--mix=create_entry=1",
        "--requests=70",
        "--warm-up=0",
        "--quiet",
    ])
    .await;
    liar.stop().await;
    assert_eq!(run.code, 1, "{}", run.shown());
    assert_eq!(run.kinds(), ["lost"]);
    assert_eq!(run.errors("lost"), 10);
    assert_eq!(
        (run.number("/written/created"), run.number("/written/found")),
        (70, 60)
    );
}

#[actix_rt::test]
async fn a_doubled_entry_is_found() {
    is_found_out(Lie::DoubledEntry, "doubled").await;
}

#[actix_rt::test]
async fn a_notification_that_does_not_come_is_found() {
    let run = is_found_out(Lie::LostNotification, "missing-notification").await;
    let missing = run.number("/notifications/owed") - run.number("/notifications/told");
    assert_eq!(run.errors("missing-notification"), missing);
}

#[actix_rt::test]
async fn a_notification_of_nothing_is_found() {
    let run = is_found_out(Lie::DoubledNotification, "extra-notification").await;
    let extra = run.number("/notifications/told") - run.number("/notifications/owed");
    assert_eq!(run.errors("extra-notification"), extra);
}

#[actix_rt::test]
async fn a_stream_that_ends_by_itself_is_found() {
    let run = load(Lie::EndedStream, &[]).await;
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(run.errors("stream-ended") > 0, "{}", run.shown());
}

#[actix_rt::test]
async fn answers_that_are_not_those_to_the_question_are_found() {
    let run = load(Lie::WrongId, &[]).await;
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(run.errors("wrong-id") > 10, "{}", run.shown());
    is_found_out(Lie::WrongEntry, "wrong-data").await;
    is_found_out(Lie::SameUser, "foreign-data").await;
}

#[actix_rt::test]
async fn what_is_no_json_is_found_where_it_is_parsed() {
    let run = is_found_out(Lie::Nonsense, "malformed").await;
    assert!(run.errors("malformed") > 10);
}

#[actix_rt::test]
async fn a_busy_server_is_counted_apart_and_may_be_allowed() {
    let run = is_found_out(Lie::Busy, "503").await;
    let busy = run.errors("503");
    assert!(busy > 10);
    assert_eq!(run.number("/all/count") + run.number("/all/failed"), 240);
    for more in ["--allow=503", "--max-errors=1000"] {
        let run = load(Lie::Busy, &[more]).await;
        assert_eq!(run.code, 0, "{more}: {}", run.shown());
        assert_eq!(run.kinds(), ["503"]);
        assert_eq!(run.number("/written/created"), run.number("/written/found"));
    }
}

/// A write of which nobody knows is written again under its key, and then it is there once.
#[actix_rt::test]
async fn a_write_that_was_cut_off_is_settled_by_its_key() {
    let run = load(Lie::CutOff, &["--allow=closed"]).await;
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.errors("closed") > 0);
    let (settled, failed) = run.row("write again (same key)");
    assert!(settled > 0 && failed == 0, "{}", run.shown());
    assert_eq!(run.number("/written/created"), run.number("/written/found"));
}
