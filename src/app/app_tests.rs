//! A server that cannot go on says so.

use secrecy::SecretString;

use super::*;
use crate::config::Options;

#[actix_rt::test]
async fn a_server_without_one_of_its_actors_cannot_go_on() {
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let options = Options::for_one_machine(
        listener.local_addr().unwrap(),
        "http://127.0.0.1:1",
        &SecretString::from("secret"),
        &SecretString::from("postgresql://nobody@%2Fnowhere/none"),
    );
    let config = Config::read(&options).unwrap();
    let app = App::start(config, listener, Clock::system()).unwrap();
    app.changes_arbiter.stop();
    assert_eq!(app.failed().await, AppFailure::ActorDied("ChangeNotifier"));
    app.stop().await.unwrap();
}
