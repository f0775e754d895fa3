//! A server that cannot go on says so.

use secrecy::SecretString;

use super::*;
use crate::config::Options;

/// A server whose database and authorization server are down.
fn start() -> App {
    let listener = listen(([127, 0, 0, 1], 0).into()).expect("a port is free");
    let options = Options::for_one_machine(
        listener.local_addr().expect("it has an address"),
        "http://127.0.0.1:1",
        &SecretString::from("secret"),
        &SecretString::from("postgresql://nobody@%2Fnowhere/none"),
    );
    let config = Config::read(&options).expect("it is complete");
    App::start(config, listener, Clock::system()).expect("it starts")
}

#[actix_rt::test]
async fn a_server_without_one_of_its_actors_cannot_go_on() {
    let app = start();
    app.changes_arbiter.stop();
    assert_eq!(app.failed().await, AppFailure::ActorDied("ChangeNotifier"));
    app.stop().await.unwrap();

    let app = start();
    app.journal.stop_an_actor();
    assert_eq!(app.failed().await, AppFailure::ActorDied("JournalActor"));
    app.stop().await.unwrap();
}
