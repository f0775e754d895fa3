use std::cell::RefCell;

use serde_json::value::to_raw_value;

use super::*;

/// A client that keeps what it is told, and answers what it was given to answer.
#[derive(Default)]
struct Listening {
    heard: RefCell<Vec<String>>,
    answers: RefCell<Vec<Value>>,
}

impl Peer for Listening {
    fn admits(&self, _: Level) -> bool {
        true
    }

    fn notify(&self, message: String) {
        self.heard.borrow_mut().push(message);
    }

    fn ask(&self, _: &ServerRequest) -> ResponseFuture {
        let answer = self.answers.borrow_mut().pop();
        let answer = answer.map(|answer| to_raw_value(&answer).unwrap());
        Box::pin(std::future::ready(answer.ok_or(PeerError::Unanswered)))
    }
}

fn question() -> ServerRequest {
    ServerRequest {
        needs: ClientCapability::ElicitForm,
        method: "elicitation/create",
        params: json!({}),
    }
}

fn forms() -> ClientCapabilities {
    ClientCapabilities::read(&to_raw_value(&json!({ "elicitation": {} })).unwrap())
}

fn in_round(state: Option<&str>, answers: Value) -> Conversation {
    let client: Rc<dyn Peer> = Rc::new(Listening::default());
    let answers = to_raw_value(&answers).unwrap();
    let input = ClientInput::read(state.map(str::to_owned), Some(&answers)).unwrap();
    Conversation::multi_round_trip(None, forms(), &client, input)
}

/// P-04.
#[actix_rt::test]
async fn a_round_asks_until_every_question_has_its_answer() {
    for (state, answers, all) in [
        (Some(""), json!({}), false),
        (Some(""), json!({ "a": {} }), false),
        (Some(""), json!({ "a": {}, "b": { "x": 1 }, "c": 7 }), true),
        (None, json!({ "a": {}, "b": {} }), false),
    ] {
        let conversation = in_round(state, answers.clone());
        let asked = conversation.ask([("a", question()), ("b", question())], "so far");
        match asked.await {
            Ok(found) => {
                assert!(all, "{answers}");
                assert_eq!(found, [Some(json!({})), Some(json!({ "x": 1 }))]);
            }
            Err(NeedsClient::InputRequired { requests, state }) => {
                assert!(!all, "{answers}");
                assert_eq!(requests.len(), 2);
                assert_eq!(state, "so far");
            }
            Err(_) => panic!("{answers}"),
        }
    }
}

/// P-05.
#[actix_rt::test]
async fn nobody_is_asked_for_what_they_did_not_offer() {
    let sample = ServerRequest {
        needs: ClientCapability::Sample,
        ..question()
    };
    let client = Rc::new(Listening::default());
    client.answers.borrow_mut().push(json!({}));
    for conversation in [
        in_round(Some(""), json!({ "a": {}, "b": {} })),
        Conversation::inline(None, forms(), client.clone()),
    ] {
        let asked = conversation.ask([("a", question()), ("b", sample.clone())], "");
        assert!(matches!(
            asked.await,
            Err(NeedsClient::Unsupported(ClientCapability::Sample))
        ));
    }
    assert_eq!(client.answers.borrow().len(), 1, "nothing was asked");
}

#[actix_rt::test]
async fn a_question_without_an_answer_is_none_of_those_with_one() {
    let client = Rc::new(Listening::default());
    client.answers.borrow_mut().push(json!({ "x": 1 }));
    let conversation = Conversation::inline(None, forms(), client);
    let asked = conversation.ask([("a", question()), ("b", question())], "");
    assert!(matches!(asked.await, Ok([Some(_), None])));
    assert_eq!(conversation.state(), "");
    let Ok(confirmation) = conversation.confirm("Sure?", "Yes").await else {
        panic!("a legacy client is asked at once");
    };
    assert_eq!(confirmation, Confirmation::Declined);
}

/// P-18.
#[test]
fn progress_only_ever_grows() {
    let client = Rc::new(Listening::default());
    let token = || ProgressToken::read(&to_raw_value("t").unwrap());
    let told = Rc::clone(&client) as Rc<dyn Peer>;
    let conversation = Conversation::inline(token(), forms(), told);
    let again = conversation.clone();
    for (conversation, done) in [
        (&conversation, 1.0),
        (&again, 1.0),
        (&again, 0.5),
        (&conversation, f64::NAN),
        (&again, 2.0),
    ] {
        conversation.progress(done, Some(2.0), "m");
    }
    let heard: Vec<Value> = client
        .heard
        .borrow()
        .iter()
        .map(|message| serde_json::from_str(message).unwrap())
        .collect();
    let steps: Vec<_> = heard.iter().map(|m| &m["params"]["progress"]).collect();
    assert_eq!(steps, [&json!(1.0), &json!(2.0)]);
    assert_eq!(heard[0]["params"]["progressToken"], "t");
}
