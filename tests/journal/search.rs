use epicme::journal::SearchEntries;

use super::support::{Journal, new_entry, owner, page};

async fn titles(journal: &Journal, query: &str) -> Vec<String> {
    let search = SearchEntries {
        user: owner("ann").user,
        query: query.to_owned(),
        page: page(50, None),
    };
    let found = journal
        .ask(search)
        .await
        .unwrap_or_else(|e| panic!("{query}: {e:?}"));
    found.items.into_iter().map(|hit| hit.entry.title).collect()
}

#[actix_rt::test]
async fn words_phrases_alternatives_and_exclusions_are_understood() {
    let journal = Journal::start();
    let ann = owner("ann");
    for (title, content) in [
        ("Rain", "We walked through the quiet forest for hours"),
        ("Sun", "A forest fire; nobody walked there"),
        ("Łódź", "Grüße aus der Stadt 😀 forest-green"),
    ] {
        let mut entry = new_entry(title);
        entry.content = content.to_owned();
        journal.entry(&ann, entry).await;
    }
    for (query, expected) in [
        ("forest", vec!["Łódź", "Sun", "Rain"]),
        ("walking", vec!["Sun", "Rain"]),
        ("\"quiet forest\"", vec!["Rain"]),
        ("fire or hours", vec!["Sun", "Rain"]),
        ("forest -fire", vec!["Łódź", "Rain"]),
        ("rain", vec!["Rain"]),
        ("grüße", vec!["Łódź"]),
        ("ŁÓDŹ", vec!["Łódź"]),
        ("elephant", vec![]),
    ] {
        assert_eq!(titles(&journal, query).await, expected, "{query}");
    }
}

#[actix_rt::test]
async fn no_query_is_an_error() {
    let journal = Journal::start();
    journal.entry(&owner("ann"), new_entry("something")).await;
    let long = "word ".repeat(400);
    for query in [
        "",
        " ",
        "\"",
        "\"\"",
        "-",
        "--",
        ":*",
        "a:*",
        "&",
        "|",
        "!",
        "(",
        ")",
        "<->",
        "'",
        "\\",
        "the and of",
        "😀",
        "- -\"",
        "or",
        "or or",
        "\u{202e}",
        &long,
    ] {
        titles(&journal, query).await;
    }
}

#[actix_rt::test]
async fn an_excerpt_shows_the_match_without_markup_and_is_short() {
    let journal = Journal::start();
    let ann = owner("ann");
    let mut entry = new_entry("long");
    entry.content = format!(
        "{} needle <b>bold</b> {}",
        "straw ".repeat(2_000),
        "straw ".repeat(2_000)
    );
    journal.entry(&ann, entry).await;
    let mut entry = new_entry("one needle");
    entry.content = "x".repeat(100_000);
    journal.entry(&ann, entry).await;
    let search = SearchEntries {
        user: ann.user,
        query: "needle".to_owned(),
        page: page(10, None),
    };
    let found = journal.ask(search).await.unwrap().items;
    assert_eq!(found.len(), 2);
    let excerpt = &found[1].excerpt;
    assert!(excerpt.contains("straw needle"), "{excerpt}");
    assert!(!excerpt.contains('<'), "{excerpt}");
    assert!(found.iter().all(|hit| hit.excerpt.chars().count() <= 500));
}

#[actix_rt::test]
async fn a_search_is_paged_without_loss_or_repeat() {
    let journal = Journal::start();
    let ann = owner("ann");
    for n in 0..25 {
        journal.entry(&ann, new_entry(&format!("entry {n}"))).await;
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let search = SearchEntries {
            user: ann.user,
            query: "happened".to_owned(),
            page: page(10, after),
        };
        let page = journal.ask(search).await.unwrap();
        found.extend(page.items.into_iter().map(|hit| hit.entry.title));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("entry {n}")).collect();
    assert_eq!(found, expected);
}
