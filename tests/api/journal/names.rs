//! Names of tags that are one, and short texts of which something can be seen.

use serde_json::{Value, json};

use crate::support::TestApp;

const TAKEN: &str = "There is a tag of that name already; upper and lower case, the way an accent is written and full width make no difference.";

#[actix_rt::test]
async fn one_name_is_one_tag_however_it_is_written() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for names in [
        &[
            "Café",
            "CAFÉ",
            "cafe\u{301}",
            "  café\u{a0}",
            "\u{200b}Cafe\u{301}\u{feff}",
        ][..],
        &["Straße", "STRASSE", "strasse", "ＳＴＲＡＳＳＥ"],
        &["ﬁsh", "FISH", "fish"],
        &["ΣΊΣΥΦΟΣ", "σίσυφος", "σίσυφοσ"],
        &["が", "か\u{3099}", "ｶﾞ".replace('ｶ', "か").as_str()],
        // Turkish: the dotless i is a letter of its own.
        &["sınır"],
        &["sinir", "SINIR"],
        &["❤\u{fe0f}"],
    ] {
        ann.tag(names[0]).await;
        for same in &names[1..] {
            let said = ann.failed("create_tag", json!({ "name": same })).await;
            assert_eq!(said, TAKEN, "{same:?}");
        }
    }
    let other = ann.tag("other").await;
    let said = ann
        .failed(
            "update_tag",
            json!({ "id": other, "name": "ＣＡＦＥ\u{301}" }),
        )
        .await;
    assert_eq!(said, TAKEN);
    // Nobody else's.
    app.journal("bob").tag("café").await;
}

#[actix_rt::test]
async fn a_tag_is_called_as_it_was_first_written_without_what_cannot_be_seen_at_its_edges() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for (written, called) in [
        ("  Home Office \t", "Home Office"),
        ("Cafe\u{301}", "Café"),
        ("\u{2060}ＷＯＲＫ\u{200b}", "ＷＯＲＫ"),
        ("❤\u{fe0f}", "❤\u{fe0f}"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
    ] {
        let done = ann.done("create_tag", json!({ "name": written })).await;
        assert_eq!(done["tag"]["name"], called);
        let id = &done["tag"]["id"];
        let renamed = ann
            .done(
                "update_tag",
                json!({ "id": id, "name": format!(" {written} ") }),
            )
            .await;
        assert_eq!(renamed["tag"]["name"], called);
    }
}

#[actix_rt::test]
async fn completions_find_a_tag_however_it_is_written() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let tag = ann.tag("Straße nach Café").await;
    for typed in ["STRASSE", "cafe\u{301}", "ｓｔｒａß"] {
        let params = json!({
            "ref": { "type": "ref/resource", "uri": "epicme://tags/{id}" },
            "argument": { "name": "id", "value": typed },
        });
        let reply = app
            .modern(&ann.token, "completion/complete", params)
            .send()
            .await;
        assert_eq!(
            reply.result()["completion"]["values"],
            json!([tag.to_string()]),
            "{typed}"
        );
    }
}

#[actix_rt::test]
async fn an_entry_has_fifty_tags_at_most_on_every_way() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let mut tags = Vec::new();
    for number in 0..51 {
        tags.push(ann.tag(&format!("tag {number}")).await);
    }
    let entry = json!({ "title": "t", "content": "c", "tags": tags[..50] });
    let entry = ann.done("create_entry", entry).await["entry"]["id"].take();
    let full = "The entry has 50 tags, as many as an entry may have. Take one off first.";
    let add = |tag: i64| json!({ "entryId": entry, "tagId": tag });
    assert_eq!(ann.failed("add_tag_to_entry", add(tags[50])).await, full);
    ann.done("add_tag_to_entry", add(tags[0])).await;
    let more = json!({ "title": "t", "content": "c", "tags": tags });
    assert_eq!(
        ann.failed("create_entry", more).await,
        "Invalid arguments: `tags` must be an array of at most 50 items."
    );
}

#[actix_rt::test]
async fn a_change_to_what_is_there_already_leaves_the_time_of_the_last_change() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let write = json!({ "title": "Title", "content": "Text", "mood": "calm", "isFavorite": true });
    let before = ann.done("create_entry", write).await["entry"].take();
    let id = &before["id"];
    for changes in [
        json!({}),
        json!({ "title": "Title" }),
        json!({ "title": "Title", "content": "Text", "mood": "calm", "location": null, "weather": "", "isPrivate": true, "isFavorite": true }),
    ] {
        let mut changes: Value = changes;
        changes["id"] = id.clone();
        let after = ann.done("update_entry", changes.clone()).await["entry"].take();
        assert_eq!(after, before, "{changes}");
    }
    let after = ann
        .done("update_entry", json!({ "id": id, "title": "title" }))
        .await["entry"]
        .take();
    assert!(after["updatedAt"].as_str() > before["updatedAt"].as_str());
}
