use std::{future::Future, pin::Pin};

use epicme::{
    domain::{
        journal::{EntryChanges, EntryFilter, EntryId, TagChanges, TagId},
        page::PageLimit,
    },
    journal::{
        AddTagToEntry, DeleteEntry, DeleteTag, DigestEntries, GetEntry, GetTag, HasEntries,
        ListEntries, ListTags, RemoveTagFromEntry, SearchEntries, SuggestEntries, SuggestTags,
        UpdateEntry, UpdateTag,
    },
};
use resource_server::principal::UserId;

use super::support::{Journal, create_entry, found, new_entry, owner, page, query};

type Answer<'a> = Pin<Box<dyn Future<Output = String> + 'a>>;
type Ask = for<'a> fn(&'a Journal, UserId, EntryId, TagId) -> Answer<'a>;

macro_rules! asks {
    ($($name:literal => |$user:ident, $entry:ident, $tag:ident| $message:expr;)*) => {
        [$(($name, (|journal, $user, $entry, $tag| {
            let _ = ($entry, $tag);
            Box::pin(async move { format!("{:?}", journal.ask($message).await) })
        }) as Ask)),*]
    };
}

fn changes() -> EntryChanges {
    EntryChanges {
        title: Some("stolen".to_owned()),
        ..EntryChanges::default()
    }
}

fn renamed() -> TagChanges {
    TagChanges {
        name: Some("stolen".to_owned()),
        description: None,
    }
}

/// A stranger is answered word for word as if the ids did not exist, and nothing changes.
#[actix_rt::test]
async fn another_users_rows_are_as_good_as_absent_in_every_message() {
    let asks = asks! {
        "get entry" => |user, entry, tag| GetEntry { user, id: entry };
        "update entry" => |user, entry, tag| UpdateEntry { user, id: entry, changes: changes() };
        "delete entry" => |user, entry, tag| DeleteEntry { user, id: entry };
        "list" => |user, entry, tag| ListEntries { user, filter: EntryFilter::default(), page: page(9, None) };
        "list by tag" => |user, entry, tag| ListEntries {
            user, filter: EntryFilter { tags: vec![tag], ..EntryFilter::default() }, page: page(9, None) };
        "list favorites" => |user, entry, tag| ListEntries {
            user, filter: EntryFilter { is_favorite: Some(true), ..EntryFilter::default() }, page: page(9, None) };
        "list favorites by tag" => |user, entry, tag| ListEntries {
            user, filter: EntryFilter { tags: vec![tag], is_favorite: Some(true), ..EntryFilter::default() },
            page: page(9, None) };
        "search" => |user, entry, tag| SearchEntries { user, query: query("secret"), page: found(9, None) };
        "digest" => |user, entry, tag| DigestEntries {
            user, tags: Vec::new(), from: None, to: None, limit: PageLimit::LONGEST, bytes: 9_999 };
        "digest by tag" => |user, entry, tag| DigestEntries {
            user, tags: vec![tag], from: None, to: None, limit: PageLimit::LONGEST, bytes: 9_999 };
        "suggest entries" => |user, entry, tag| SuggestEntries { user, typed: "secret".to_owned() };
        "suggest an entry" => |user, entry, tag| SuggestEntries { user, typed: entry.to_string() };
        "suggest tags" => |user, entry, tag| SuggestTags { user, typed: "secret".to_owned() };
        "suggest a tag" => |user, entry, tag| SuggestTags { user, typed: tag.to_string() };
        "has entries" => |user, entry, tag| HasEntries { user };
        "get tag" => |user, entry, tag| GetTag { user, id: tag };
        "list tags" => |user, entry, tag| ListTags { user, page: page(9, None) };
        "update tag" => |user, entry, tag| UpdateTag { user, id: tag, changes: renamed() };
        "delete tag" => |user, entry, tag| DeleteTag { user, id: tag };
        "add tag" => |user, entry, tag| AddTagToEntry { user, entry_id: entry, tag_id: tag };
        "remove tag" => |user, entry, tag| RemoveTagFromEntry { user, entry_id: entry, tag_id: tag };
    };
    let journal = Journal::start();
    let (ann, eve) = (owner("ann"), owner("eve").user);
    let tag = journal.tag(&ann, "secret").await.id;
    let mut entry = new_entry("secret");
    entry.is_favorite = true;
    entry.tags = vec![tag];
    let entry = journal.entry(&ann, entry).await;
    let absent = entry.id.0 + 1_000;
    for (name, ask) in asks {
        let stranger = ask(&journal, eve, entry.id, tag).await;
        let nothing = ask(&journal, eve, EntryId(absent), TagId(absent)).await;
        let as_if_absent = stranger
            .replace(
                &format!("EntryId({})", entry.id.0),
                &format!("EntryId({absent})"),
            )
            .replace(&format!("TagId({})", tag.0), &format!("TagId({absent})"));
        assert_eq!(as_if_absent, nothing, "{name}");
        assert!(!stranger.contains("secret"), "{name}: {stranger}");
    }
    let (user, id) = (ann.user, entry.id);
    assert_eq!(journal.ask(GetEntry { user, id }).await.unwrap(), entry);
}

#[actix_rt::test]
async fn a_stranger_with_rows_of_their_own_links_neither_way() {
    let journal = Journal::start();
    let (ann, eve) = (owner("ann"), owner("eve"));
    let anns_tag = journal.tag(&ann, "private").await.id;
    let anns_entry = journal.entry(&ann, new_entry("private")).await.id;
    let eves_tag = journal.tag(&eve, "eve").await.id;
    let eves_entry = journal.entry(&eve, new_entry("eve")).await.id;
    for (entry_id, tag_id) in [(eves_entry, anns_tag), (anns_entry, eves_tag)] {
        let user = eve.user;
        let add = AddTagToEntry {
            user,
            entry_id,
            tag_id,
        };
        assert!(journal.ask(add).await.is_err());
    }
    let mut entry = new_entry("with a foreign tag");
    entry.tags = vec![eves_tag, anns_tag];
    assert!(journal.ask(create_entry(&eve, entry, None)).await.is_err());
    assert_eq!(journal.database.count("entry_tags"), 0);
    assert_eq!(journal.database.count("entries"), 2);
}

#[actix_rt::test]
async fn the_database_itself_refuses_a_link_across_users() {
    let journal = Journal::start();
    let (ann, eve) = (owner("ann"), owner("eve"));
    let tag = journal.tag(&ann, "private").await.id;
    let entry = journal.entry(&eve, new_entry("eve")).await.id;
    for user in [&ann, &eve] {
        let refused = journal.database.execute(&format!(
            "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT '{}', {entry}, {tag}, created_at FROM entries WHERE id = {entry}",
            user.user
        ));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("foreign key"), "{refused}");
    }
}
