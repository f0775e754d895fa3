//! The capabilities that the server declares, in every revision.

use serde_json::json;

use crate::support::{REVISIONS, TestApp};

/// V-01, V-06, S-01, D-23.
#[actix_rt::test]
async fn what_is_served_is_declared_and_nothing_more() {
    let app = TestApp::spawn();
    let token = app.token("ann", "user:read");
    let declared = json!({
        "tools": {},
        "resources": { "subscribe": true, "listChanged": true },
        "prompts": {},
        "completions": {},
    });
    let discovery = app
        .modern(&token, "server/discover", json!({}))
        .send()
        .await;
    assert_eq!(discovery.result()["capabilities"], declared);
    for revision in &REVISIONS[1..] {
        let initialized = app.initialize(&token, revision).send().await;
        // A session goes on with other tokens, under which its lists may be others.
        let mut declared = declared.clone();
        for lists in ["tools", "prompts"] {
            declared[lists] = json!({ "listChanged": true });
        }
        declared["logging"] = json!({});
        assert_eq!(initialized.result()["capabilities"], declared);
    }
}
