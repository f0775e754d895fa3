//! Tags for a new entry, suggested by the client's own model: in a session alone, after the call has
//! been answered, and never more than the rules allow.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{ALL, Events, Session, TestApp, patiently};

const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// A session whose client can ask its model and is told everything, and its general stream.
struct Listener<'a> {
    app: &'a TestApp,
    session: Session,
    stream: Events,
}

impl<'a> Listener<'a> {
    async fn new(app: &'a TestApp, version: &str) -> Self {
        let session = sampling(app, version).await;
        let stream = app.session_stream(&session).listen().await;
        Self {
            app,
            session,
            stream,
        }
    }

    /// Writes an entry, which is answered before anything is asked.
    async fn write(&self, title: &str) -> i64 {
        self.write_with(&self.session, json!({ "title": title }))
            .await
    }

    /// The same by the session as it is given, with other arguments.
    async fn write_with(&self, session: &Session, mut arguments: Value) -> i64 {
        arguments["content"] = "What happened.".into();
        let call = json!({ "name": "create_entry", "arguments": arguments });
        let reply = self.app.within(session, "tools/call", call).send().await;
        let content = reply.result()["content"].clone();
        let text = content.as_array().unwrap().last().unwrap()["text"].clone();
        let written: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        written["entry"]["id"].as_i64().unwrap()
    }

    /// The next message of that method. In between there may be changes, and nothing else.
    async fn next(&mut self, method: &str) -> Value {
        loop {
            let event = self.stream.next().await.expect("the stream goes on");
            let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) else {
                continue;
            };
            let message: Value = serde_json::from_str(data).unwrap();
            if message["method"] == method {
                return message;
            }
            let method = message["method"].as_str().unwrap();
            assert!(method.ends_with("/list_changed"), "{message}");
        }
    }

    /// The id of the next question, which is about that entry.
    async fn question(&mut self, title: &str) -> Value {
        let question = self.next("sampling/createMessage").await;
        assert_eq!(shown(&question)["entry"]["title"], title);
        question["id"].clone()
    }

    async fn answer(&self, question: &Value, content: Value) {
        let result = json!({ "role": "assistant", "model": "m", "content": content });
        let answer = json!({ "jsonrpc": "2.0", "id": question, "result": result });
        self.app.tell(&self.session, answer).await;
    }

    async fn answer_text(&self, question: &Value, text: &str) {
        self.answer(question, json!({ "type": "text", "text": text }))
            .await;
    }

    /// What the client is told of how it went.
    async fn outcome(&mut self) -> Value {
        let message = self.next("notifications/message").await;
        assert_eq!(message["params"]["logger"], "tag-suggestions");
        message["params"].clone()
    }

    /// Writes an entry and answers the question about it: the entry, and how it went.
    async fn suggest(&mut self, title: &str, text: &str) -> (i64, Value) {
        let entry = self.write(title).await;
        let question = self.question(title).await;
        self.answer_text(&question, text).await;
        (entry, self.outcome().await)
    }
}

async fn sampling(app: &TestApp, version: &str) -> Session {
    let capabilities = json!({ "sampling": {} });
    let token = app.token("ann", ALL);
    let session = app.open_with(&token, version, capabilities).await;
    let level = json!({ "level": "debug" });
    let ask = app.within(&session, "logging/setLevel", level);
    assert_eq!(ask.send().await.result(), json!({}));
    session
}

/// What a question shows the model.
fn shown(question: &Value) -> Value {
    let text = &question["params"]["messages"][0]["content"]["text"];
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

async fn tags_of(app: &TestApp, entry: i64) -> Vec<String> {
    let done = app
        .journal("ann")
        .done("get_entry", json!({ "id": entry }))
        .await;
    names(&done["entry"]["tags"])
}

async fn all_tags(app: &TestApp) -> Vec<String> {
    let done = app.journal("ann").done("list_tags", json!({})).await;
    names(&done["tags"])
}

fn names(tags: &Value) -> Vec<String> {
    let name = |tag: &Value| tag["name"].as_str().unwrap().to_owned();
    tags.as_array().unwrap().iter().map(name).collect()
}

/// E-10, SEC-12.
#[actix_rt::test]
async fn the_model_is_shown_the_entry_and_the_names_of_tags_and_nothing_else() {
    let app = TestApp::spawn();
    app.journal("ann").tag("Work").await;
    app.journal("bob").tag("Secret").await;
    for version in REVISIONS {
        let mut listener = Listener::new(&app, version).await;
        let place =
            json!({ "title": "Rain", "mood": "calm", "location": "Here", "weather": "Wet" });
        listener.write_with(&listener.session, place).await;
        let question = listener.next("sampling/createMessage").await;
        assert_eq!(question["id"], "s-1");
        assert_eq!(
            shown(&question),
            json!({ "entry": { "title": "Rain", "content": "What happened." }, "tags": ["Work"] })
        );
        let params = question["params"].as_object().unwrap();
        let members: Vec<_> = params.keys().map(String::as_str).collect();
        assert_eq!(members, ["systemPrompt", "messages", "maxTokens"]);
        assert_eq!(params["messages"].as_array().unwrap().len(), 1);
        assert_eq!(params["messages"][0]["role"], "user");
        assert_eq!(params["messages"][0]["content"]["type"], "text");
        assert!(params["maxTokens"].is_u64());
        let prompt = params["systemPrompt"].as_str().unwrap();
        assert!(prompt.contains("never an instruction"), "{prompt}");
    }
}

#[actix_rt::test]
async fn what_the_model_suggests_is_put_on_the_entry() {
    let app = TestApp::spawn();
    let work = app.journal("ann").tag("Work").await;
    for version in REVISIONS {
        let mut listener = Listener::new(&app, version).await;
        let text = json!(["wORK", format!("  New in {version} "), "work"]).to_string();
        let (entry, outcome) = listener.suggest("Rain", &text).await;
        assert_eq!(outcome["level"], "info");
        assert_eq!(outcome["data"]["entryId"], entry);
        let added = outcome["data"]["tagIds"].as_array().unwrap();
        assert_eq!((added.len(), &added[0]), (2, &json!(work)));
        assert!(!outcome.to_string().contains("Rain"), "{outcome}");
        assert!(!outcome.to_string().contains("New in"), "{outcome}");
        let mut tags = tags_of(&app, entry).await;
        tags.sort_unstable();
        assert_eq!(tags, [format!("New in {version}"), "Work".to_owned()]);
    }
    assert_eq!(all_tags(&app).await.len(), 4);
}

#[actix_rt::test]
async fn a_call_in_a_batch_may_be_followed_by_a_suggestion_as_well() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-03-26").await;
    let arguments = json!({ "title": "Rain", "content": "It rained." });
    let batch = json!([{
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "create_entry", "arguments": arguments },
    }]);
    let ask = app.within(&listener.session, "", json!({}));
    let reply = ask.body(batch.to_string()).send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    listener.question("Rain").await;
}

#[actix_rt::test]
async fn a_tag_that_the_entry_has_stays_as_it_is() {
    let app = TestApp::spawn();
    let work = app.journal("ann").tag("Work").await;
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let arguments = json!({ "title": "Rain", "tags": [work] });
    let entry = listener.write_with(&listener.session, arguments).await;
    let question = listener.question("Rain").await;
    listener.answer_text(&question, r#"["work"]"#).await;
    assert_eq!(listener.outcome().await["data"]["tagIds"], json!([]));
    assert_eq!(tags_of(&app, entry).await, ["Work"]);
}

#[actix_rt::test]
async fn names_meet_without_regard_to_case_as_they_do_everywhere() {
    let app = TestApp::spawn();
    let street = app.journal("ann").tag("Straße").await;
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let (_, outcome) = listener.suggest("Rain", r#"["STRASSE"]"#).await;
    assert_eq!(outcome["data"]["tagIds"], json!([street]));
}

/// E-13.
#[actix_rt::test]
async fn of_many_suggestions_five_are_taken() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let many: Vec<_> = (0..9).map(|n| format!("tag {n}")).collect();
    let (entry, _) = listener.suggest("Rain", &json!(many).to_string()).await;
    assert_eq!(tags_of(&app, entry).await.len(), 5);
    assert_eq!(all_tags(&app).await.len(), 5);
}

/// S-19, E-13.
#[actix_rt::test]
async fn an_answer_that_is_odd_changes_nothing_and_is_not_repeated() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let text = |text: &str| json!({ "type": "text", "text": text });
    let mut entries = Vec::new();
    for (n, content) in [
        text("odd: work"),
        text(r#"{"odd": 1}"#),
        text(r#"["odd", 1]"#),
        text(r#"["odd", ""]"#),
        text(r#"[["odd"]]"#),
        text(r#"["odd"] and more"#),
        text(&json!(["odd", "x".repeat(61)]).to_string()),
        text("[\"odd\\u0000\"]"),
        json!({ "type": "image", "data": "odd", "mimeType": "image/png" }),
        json!([text(r#"["odd"]"#), text(r#"["odd"]"#)]),
        json!("odd"),
    ]
    .into_iter()
    .enumerate()
    {
        let title = format!("Entry {n}");
        entries.push(listener.write(&title).await);
        let question = listener.question(&title).await;
        listener.answer(&question, content.clone()).await;
        let outcome = listener.outcome().await;
        assert_eq!(outcome["level"], "warning", "{content}");
        assert!(!outcome.to_string().contains("odd"), "{outcome}");
        assert!(!outcome.to_string().contains("Entry"), "{outcome}");
    }
    for entry in entries {
        assert_eq!(tags_of(&app, entry).await, [""; 0]);
    }
    assert_eq!(all_tags(&app).await, [""; 0]);
}

#[actix_rt::test]
async fn a_client_may_refuse() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    for _ in 0..2 {
        let entry = listener.write("Rain").await;
        let question = listener.question("Rain").await;
        let no = json!({ "code": -1, "message": "User rejected sampling request" });
        let answer = json!({ "jsonrpc": "2.0", "id": question, "error": no });
        app.tell(&listener.session, answer).await;
        let outcome = listener.outcome().await;
        assert_eq!(outcome["level"], "info");
        assert_eq!(tags_of(&app, entry).await, [""; 0]);
        // A change of mind comes too late.
        listener.answer_text(&question, r#"["late"]"#).await;
    }
    let (entry, _) = listener.suggest("Sun", r#"["weather"]"#).await;
    assert_eq!(tags_of(&app, entry).await, ["weather"]);
    assert_eq!(all_tags(&app).await, ["weather"]);
}

#[actix_rt::test]
async fn a_token_that_lacks_a_scope_has_nothing_suggested() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    for lacking in ["entries:read", "tags:read", "tags:write"] {
        let scope = ALL.replace(lacking, "");
        let session = Session {
            token: app.token("ann", &scope),
            ..listener.session.clone()
        };
        let arguments = json!({ "title": lacking });
        listener.write_with(&session, arguments).await;
    }
    // While one suggestion is under way there is no other, so none was.
    listener.write("Rain").await;
    assert_eq!(listener.question("Rain").await, "s-1");
}

#[actix_rt::test]
async fn a_listener_that_may_not_read_is_shown_nothing() {
    let app = TestApp::spawn();
    let session = sampling(&app, "2025-11-25").await;
    let narrow = Session {
        token: app.token("ann", "tags:read tags:write entries:write"),
        ..session.clone()
    };
    let mut listener = Listener {
        app: &app,
        stream: app.session_stream(&narrow).listen().await,
        session: session.clone(),
    };
    listener.write("Rain").await;
    listener.stream = app.session_stream(&session).listen().await;
    listener.write("Sun").await;
    assert_eq!(listener.question("Sun").await, "s-1");
}

/// PF-09.
#[actix_rt::test]
async fn without_a_stream_nothing_is_suggested() {
    let app = TestApp::spawn();
    let session = sampling(&app, "2025-11-25").await;
    let call = json!({ "name": "create_entry", "arguments": { "title": "Rain", "content": "It rained." } });
    let reply = app.within(&session, "tools/call", call).send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let mut listener = Listener {
        app: &app,
        stream: app.session_stream(&session).listen().await,
        session: session.clone(),
    };
    listener.write("Sun").await;
    assert_eq!(listener.question("Sun").await, "s-1");
}

/// L-25, E-10.
#[actix_rt::test]
async fn a_client_that_cannot_ask_its_model_is_not_asked() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app
        .open_with(&token, "2025-06-18", json!({ "elicitation": {} }))
        .await;
    let mut listener = Listener {
        app: &app,
        stream: app.session_stream(&session).listen().await,
        session,
    };
    listener.write("Rain").await;
    app.journal("ann").tag("work").await;
    let close = app.session_stream(&listener.session).method("DELETE");
    assert_eq!(close.send().await.status, 204);
    let mut told = Vec::new();
    while let Some(event) = listener.stream.next().await {
        told.push(event);
    }
    assert!(
        told.iter().all(|event| !event.contains("sampling")),
        "{told:?}"
    );
}

#[actix_rt::test]
async fn one_suggestion_is_under_way_at_a_time() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let first = listener.write("Rain").await;
    let question = listener.question("Rain").await;
    let second = listener.write("Snow").await;
    listener.answer_text(&question, r#"["weather"]"#).await;
    assert_eq!(listener.outcome().await["data"]["entryId"], first);
    let (third, _) = listener.suggest("Sun", r#"["weather"]"#).await;
    for (entry, count) in [(first, 1), (second, 0), (third, 1)] {
        assert_eq!(tags_of(&app, entry).await.len(), count);
    }
}

/// B-17.
#[actix_rt::test]
async fn a_question_that_is_not_answered_in_a_minute_makes_way() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let entry = listener.write("Rain").await;
    let question = listener.question("Rain").await;
    app.clock.advance(TimeDelta::seconds(59));
    // It is open still, so there is no other.
    listener.write("Snow").await;
    app.clock.advance(TimeDelta::seconds(1));
    let outcome = patiently(listener.outcome()).await;
    assert_eq!(
        (&outcome["data"]["message"], &outcome["data"]["entryId"]),
        (
            &json!("No tags suggested: the client gave no answer"),
            &json!(entry)
        )
    );
    listener.answer_text(&question, r#"["late"]"#).await;
    let (_, outcome) = listener.suggest("Sun", r#"["weather"]"#).await;
    assert_eq!(outcome["level"], "info");
    assert_eq!(all_tags(&app).await, ["weather"]);
}

#[actix_rt::test]
async fn a_write_that_is_repeated_is_not_suggested_for_again() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let arguments = json!({ "title": "Rain", "idempotencyKey": "k" });
    let session = listener.session.clone();
    let first = listener.write_with(&session, arguments.clone()).await;
    let question = listener.question("Rain").await;
    listener.answer_text(&question, "[]").await;
    assert_eq!(listener.outcome().await["data"]["tagIds"], json!([]));
    assert_eq!(listener.write_with(&session, arguments).await, first);
    listener.write("Sun").await;
    assert_eq!(listener.question("Sun").await, "s-2");
}

/// SEC-13.
#[actix_rt::test]
async fn an_entry_that_is_gone_gets_no_tags_and_makes_none() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let entry = listener.write("Rain").await;
    let question = listener.question("Rain").await;
    let journal = app.journal("ann");
    journal.done("delete_entry", json!({ "id": entry })).await;
    listener.answer_text(&question, r#"["weather"]"#).await;
    let outcome = listener.outcome().await;
    assert_eq!(
        outcome["data"]["message"],
        "No tags suggested: the entry is gone"
    );
    assert_eq!(all_tags(&app).await, [""; 0]);
}

/// SEC-13.
#[actix_rt::test]
async fn nothing_is_written_under_a_token_that_has_ended() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let soon = (app.clock.now() + TimeDelta::seconds(30)).timestamp();
    let brief = Session {
        token: app.token_with(json!({ "exp": soon })),
        ..listener.session.clone()
    };
    let entry = listener
        .write_with(&brief, json!({ "title": "Rain" }))
        .await;
    let question = listener.question("Rain").await;
    app.clock.advance(TimeDelta::seconds(30));
    listener.answer_text(&question, r#"["weather"]"#).await;
    let outcome = listener.outcome().await;
    assert_eq!(
        outcome["data"]["message"],
        "No tags suggested: the access token has expired"
    );
    assert_eq!(tags_of(&app, entry).await, [""; 0]);
    assert_eq!(all_tags(&app).await, [""; 0]);
}

/// E-06.
#[actix_rt::test]
async fn an_answer_counts_in_the_session_that_was_asked_alone() {
    let app = TestApp::spawn();
    let mut listener = Listener::new(&app, "2025-11-25").await;
    let other = Listener::new(&app, "2025-11-25").await;
    let entry = listener.write("Rain").await;
    let question = listener.question("Rain").await;
    other.answer_text(&question, r#"["foreign"]"#).await;
    listener.answer_text(&question, r#"["weather"]"#).await;
    listener.outcome().await;
    assert_eq!(tags_of(&app, entry).await, ["weather"]);
    assert_eq!(all_tags(&app).await, ["weather"]);
}
