//! The audit log: what an operator can count on to find in it, and what never is.

use std::collections::BTreeMap;

use resource_server::fingerprint::fingerprint;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Ask, Reply, TestApp, lines_of_all_tests_with, lines_with};

/// A text that occurs in no other test.
const SECRET: &str = "zq5-private-thought";

/// The audit lines of the request that this is the reply to, without what differs from run to run.
pub(super) fn audited(app: &TestApp, reply: &Reply) -> Vec<String> {
    let id = reply.header("x-request-id").unwrap();
    let lines = lines_with(id)
        .into_iter()
        .filter(|line| line.starts_with("INFO audit "));
    lines
        .map(|line| redacted(&line, id, app.issuer.url()))
        .collect()
}

pub(super) fn redacted(line: &str, id: &str, issuer: &str) -> String {
    let line = line.replace(id, "[id]").replace(issuer, "[issuer]");
    let words = line.split(' ').map(|word| match word.split_once('=') {
        Some(("user", id)) => {
            assert_eq!(id.len(), 36, "{id} is a UUID");
            "user=[user]".to_owned()
        }
        Some(("token", digits)) => {
            assert_eq!(digits.len(), 8, "{digits} is a fingerprint");
            "token=[token]".to_owned()
        }
        Some(("object", object)) => {
            let kinds = object.split(',').map(|object| {
                let (kind, id) = object.split_once(':').unwrap();
                assert!(id.parse::<u64>().is_ok(), "{id} is an id");
                format!("{kind}:[id]")
            });
            format!("object={}", Vec::from_iter(kinds).join(","))
        }
        _ => word.to_owned(),
    });
    Vec::from_iter(words).join(" ")
}

/// The keys of a line about a caller with a valid token.
pub(super) fn ann() -> String {
    format!(
        "issuer=[issuer] subject={} user=[user] client=notebook",
        fingerprint("ann")
    )
}

pub(super) const MODERN: &str = "era=modern version=2026-07-28";

/// A client that shows forms.
pub(super) fn with_forms(ask: Ask<'_>) -> Ask<'_> {
    ask.edit(|body| {
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({ "elicitation": {} });
    })
}

#[actix_rt::test]
async fn a_refused_request_is_one_line_that_says_why() {
    let app = TestApp::spawn();
    let list = |token: &str| app.modern(token, "tools/list", json!({}));
    let token = app.token("ann", ALL);
    let inactive = app.token_for(Answer::json(json!({ "active": false })));
    let expired = app.token_with(json!({ "exp": 1 }));
    let elsewhere = app.token_with(json!({ "aud": "https://elsewhere.example" }));
    let nobodys = app.token_with(json!({ "sub": null }));
    let bound = app.token_with(json!({ "cnf": { "jkt": "x" } }));
    let key = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let bound_to_key = app.token_with(json!({ "cnf": { "jkt": key } }));
    let without_scopes = app.token("ann", "");
    let narrow = app.token("ann", "tags:read");
    let refused = |reason: &str, token: &str| {
        format!(
            "INFO audit token refused event=token outcome=refused request_id=[id] address=127.0.0.0/24 reason={reason}{token}"
        )
    };
    let with_token = " token=[token]";
    for (ask, line) in [
        (app.ask("POST", "/mcp"), refused("missing", "")),
        (
            app.ask("POST", "/mcp")
                .header("authorization", "Bearer a b"),
            refused("malformed", ""),
        ),
        (
            list(&token).path("/mcp?access_token=x"),
            refused("malformed", with_token),
        ),
        (list(&inactive), refused("inactive", with_token)),
        (list(&expired), refused("expired", with_token)),
        (list(&elsewhere), refused("wrong_audience", with_token)),
        (list(&nobodys), refused("no_subject", with_token)),
        (list(&bound), refused("sender_constrained", with_token)),
        (
            list(&bound_to_key),
            refused("sender_constrained", with_token),
        ),
        (
            list(&without_scopes),
            format!(
                "INFO audit scope refused event=scope outcome=refused request_id=[id] address=127.0.0.0/24 needed=user:read,entries:read,entries:write,tags:read,tags:write {}",
                ann()
            ),
        ),
        (
            app.tool(&narrow, "get_entry", &json!({ "id": 1 })),
            format!(
                "INFO audit scope refused event=scope outcome=refused request_id=[id] address=127.0.0.0/24 needed=entries:read {}",
                ann()
            ),
        ),
        (
            list(&token).header("host", "evil.example"),
            "INFO audit host refused event=host outcome=refused request_id=[id] address=127.0.0.0/24".to_owned(),
        ),
        (
            list(&token).header("origin", "https://evil.example"),
            "INFO audit origin refused event=origin outcome=refused request_id=[id] address=127.0.0.0/24".to_owned(),
        ),
    ] {
        let reply = ask.send().await;
        assert!(reply.status >= 400, "{line}");
        assert_eq!(audited(&app, &reply), [line]);
    }
    let lines = lines_with(&format!("token={}", fingerprint(&inactive)));
    let audited = lines.iter().filter(|line| line.contains(" audit "));
    assert_eq!(audited.count(), 1, "a token is found by its fingerprint");
}

#[actix_rt::test]
async fn a_write_is_one_line_and_a_read_is_none() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("One").await;
    let narrow = app.token("ann", "entries:read");
    let write = |tool: &str, object: &str, outcome: &str| {
        format!(
            "INFO audit write {outcome} event=write outcome={outcome} request_id=[id] address=127.0.0.0/24 kind=tool feature={tool}{object} {} {MODERN}",
            ann()
        )
    };
    let (of_entry, of_tag) = (" object=entry:[id]", " object=tag:[id]");
    let tag = journal.tag("Work").await;
    let both = json!({ "entryId": entry, "tagId": tag });
    let of_both = " object=entry:[id],tag:[id]";
    for (tool, arguments, object, outcome) in [
        ("create_tag", json!({ "name": "n" }), of_tag, "done"),
        (
            "create_entry",
            json!({ "title": "t", "content": "c" }),
            of_entry,
            "done",
        ),
        (
            "update_entry",
            json!({ "id": entry, "mood": "calm" }),
            of_entry,
            "done",
        ),
        // Somebody else's, or nobody's: who tries ids is seen.
        ("update_entry", json!({ "id": 99 }), of_entry, "failed"),
        ("update_entry", json!({}), "", "failed"),
        ("add_tag_to_entry", both.clone(), of_both, "done"),
        ("remove_tag_from_entry", both, of_both, "done"),
        ("delete_tag", json!({ "id": 99 }), of_tag, "done"),
    ] {
        let reply = app.tool(&journal.token, tool, &arguments).send().await;
        assert_eq!(audited(&app, &reply), [write(tool, object, outcome)]);
    }
    // It takes everything out, so that it is in the log although it changes nothing.
    let reply = app
        .tool(&journal.token, "export_journal", &json!({}))
        .send()
        .await;
    let read = write("export_journal", " object=export:[id]", "done").replace("write", "read");
    assert_eq!(audited(&app, &reply), [read]);
    let arguments = json!({ "title": "t", "content": "c" });
    let reply = app.tool(&narrow, "create_entry", &arguments).send().await;
    let scope = format!(
        "INFO audit scope refused event=scope outcome=refused request_id=[id] address=127.0.0.0/24 needed=entries:write {}",
        ann()
    );
    assert_eq!(
        audited(&app, &reply),
        [write("create_entry", "", "refused"), scope]
    );
    for (tool, arguments) in [
        ("get_entry", json!({ "id": entry })),
        ("whoami", json!({})),
        ("no_such_tool", json!({})),
    ] {
        let reply = app.tool(&journal.token, tool, &arguments).send().await;
        assert_eq!(audited(&app, &reply), [""; 0], "{tool}");
    }
}

#[actix_rt::test]
async fn a_session_is_in_it_from_its_opening_to_its_end() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let legacy = "era=legacy version=2025-11-25";
    let line = |what: &str, more: &str, who: &str| {
        format!(
            "INFO audit session {what} event=session outcome={what} request_id=[id] address=127.0.0.0/24{more} {who}"
        )
    };
    let reply = app.initialize(&token, "2025-11-25").send().await;
    assert_eq!(
        audited(&app, &reply),
        [format!("{} {legacy}", line("opened", "", &ann()))]
    );
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let within = |token: &str, body: Value| {
        app.post(token, &body)
            .header("mcp-session-id", &session)
            .header("mcp-protocol-version", "2025-11-25")
    };
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "create_tag", "arguments": { "name": "n" } } });
    let reply = within(&token, call.clone()).send().await;
    let write = "INFO audit write done event=write outcome=done request_id=[id] address=127.0.0.0/24 kind=tool feature=create_tag object=tag:[id]";
    assert_eq!(
        audited(&app, &reply),
        [format!("{write} {} {legacy}", ann())]
    );
    // A stranger and who names what never was get the same answer; the operator sees which it was.
    let stranger = app.token_with(json!({ "client_id": "stranger" }));
    let theirs = ann().replace("notebook", "stranger");
    let reply = within(&stranger, call.clone()).send().await;
    assert_eq!(reply.status, 404);
    assert_eq!(
        audited(&app, &reply),
        [line("refused", " reason=stranger", &theirs)]
    );
    let close = || within(&token, json!({})).method("DELETE").body("");
    let reply = close().send().await;
    assert_eq!(reply.status, 204, "{}", reply.text());
    assert_eq!(
        audited(&app, &reply),
        [format!("{} {legacy}", line("closed", "", &ann()))]
    );
    let reply = close().send().await;
    assert_eq!(reply.status, 404);
    assert_eq!(
        audited(&app, &reply),
        [line("refused", " reason=unknown", &ann())]
    );
}

/// The keys there are, and the words of those that have few.
fn is_closed(key: &str, value: &str) -> bool {
    let words: &[&str] = match key {
        "event" => &[
            "token",
            "scope",
            "host",
            "origin",
            "session",
            "request_state",
            "confirmation",
            "cut_off",
            "write",
            "read",
        ],
        "outcome" => &[
            "refused",
            "opened",
            "closed",
            "asked",
            "given",
            "declined",
            "not_asked",
            "impossible",
            "done",
            "failed",
            "cancelled",
            "lifted",
        ],
        "reason" => &[
            "missing",
            "malformed",
            "nobodys_token",
            "inactive",
            "expired",
            "not_yet_valid",
            "unverified",
            "incomplete",
            "wrong_issuer",
            "wrong_audience",
            "contradicted",
            "wrong_type",
            "other_use",
            "sender_constrained",
            "wrong_key",
            "proof",
            "no_subject",
            "too_few_scopes",
            "stranger",
            "unknown",
        ],
        "kind" => &[
            "tool",
            "prompt",
            "resource",
            "completion",
            "list",
            "token",
            "user",
            "client",
            "everybody",
        ],
        "by" => &["issuer", "revoker", "operator"],
        "era" => &["modern", "legacy"],
        "request_id" | "token" | "issuer" | "subject" | "user" | "client" | "feature"
        | "needed" | "version" | "address" | "object" | "revoked" => return true,
        _ => return false,
    };
    words.contains(&value)
}

#[actix_rt::test]
async fn nothing_but_what_is_listed_gets_in() {
    let app = TestApp::spawn();
    // A client's id is the authorization server's word, and may hold anything.
    let client = format!("x event=write\nINFO audit write done {SECRET} \u{1b}[31m\u{202e}");
    let token = app.token_with(json!({ "client_id": client }));
    let call = |tool: &str, arguments: Value| app.tool(&token, tool, &arguments);
    let mut ids = Vec::new();
    for ask in [
        call("create_tag", json!({ "name": "zq6", "description": "zq6" })),
        call(
            "create_entry",
            json!({ "title": "zq6", "content": "zq6", "mood": "zq6", "idempotencyKey": "zq6" }),
        ),
        call("create_entry", json!({ "zq6": "zq6" })),
        call("update_entry", json!({ "id": 1, "title": "zq6" })),
        with_forms(call("delete_entry", json!({ "id": 1 }))),
        with_forms(call("delete_entry", json!({ "id": 1 }))).edit(|body| {
            body["params"]["requestState"] = "zq6".into();
        }),
        call("zq6", json!({})),
        app.modern(&token, "zq6", json!({ "zq6": "zq6" })),
        app.initialize(&token, "2025-11-25"),
        app.post(&token, &json!({})).header("mcp-session-id", "zq6"),
        app.ask("POST", "/mcp")
            .header("authorization", "Bearer zq6 zq6"),
        app.ask("POST", "/mcp?zq6").header("host", "zq6"),
        app.ask("POST", "/mcp?zq6").header("origin", "https://zq6"),
    ] {
        let reply = ask.send().await;
        ids.push(reply.header("x-request-id").unwrap().to_owned());
    }
    // Every line of every test that ran until now, too.
    let lines = lines_of_all_tests_with("INFO audit ");
    assert!(ids.iter().filter(|id| !lines_with(id).is_empty()).count() == ids.len());
    let mut events = BTreeMap::new();
    for line in &lines {
        assert!(!line.contains("zq6"), "{line}");
        assert!(
            !line.contains(|c: char| !c.is_ascii_graphic() && c != ' '),
            "{line}"
        );
        let rest = line.strip_prefix("INFO audit ").unwrap();
        let mut words = rest.split(' ');
        let message = [words.next().unwrap(), words.next().unwrap()];
        let pairs = words.map(|word| word.split_once('=').unwrap());
        let pairs = Vec::from_iter(pairs);
        for (key, value) in &pairs {
            assert!(is_closed(key, value), "{key}={value} in {line}");
        }
        let of = BTreeMap::from_iter(pairs.iter().copied());
        assert_eq!(of.len(), pairs.len(), "each key is there once: {line}");
        assert_eq!(message, [of["event"], of["outcome"]], "{line}");
        *events.entry(of["event"]).or_insert(0) += 1;
    }
    for event in [
        "write",
        "confirmation",
        "request_state",
        "session",
        "token",
        "host",
        "origin",
    ] {
        assert!(events.contains_key(event), "{event} is among {events:?}");
    }
    let with_client = lines_with("client=x\\u{20}event=write\\u{a}");
    assert!(!with_client.is_empty());
}

#[actix_rt::test]
async fn the_access_log_has_the_subject_by_its_fingerprint() {
    let app = TestApp::spawn();
    let token = app.token("zq4-subject", ALL);
    for (ask, subject) in [
        (
            app.modern(&token, "tools/list", json!({})),
            fingerprint("zq4-subject"),
        ),
        (app.ask("POST", "/mcp"), "-".to_owned()),
    ] {
        let reply = ask.send().await;
        let lines = lines_with(reply.header("x-request-id").unwrap());
        let access = lines.iter().find(|line| line.contains(" access "));
        let said = format!(" subject={subject} ");
        assert!(access.unwrap().contains(&said), "{lines:?}");
    }
    assert_eq!(lines_with("zq4"), [""; 0]);
}
