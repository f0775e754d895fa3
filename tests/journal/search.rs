use epicme::{
    domain::search::SearchQuery,
    journal::SearchEntries,
    storage::search::{SearchBudget, search_entries},
};

use super::support::{Journal, found, new_entry, owner, query};

async fn titles(journal: &Journal, text: &str) -> Vec<String> {
    let search = SearchEntries {
        user: owner("ann").user,
        query: query(text),
        page: found(50, None),
    };
    let hits = journal
        .ask(search)
        .await
        .unwrap_or_else(|e| panic!("{text}: {e:?}"));
    hits.items.into_iter().map(|hit| hit.entry.title).collect()
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
async fn whatever_a_query_is_the_database_understands_it() {
    let journal = Journal::start();
    journal.entry(&owner("ann"), new_entry("something")).await;
    let long = "word ".repeat(400);
    let minuses = format!("{}word", "-".repeat(199));
    let apart = format!("{}word", "- ".repeat(99));
    let alternatives = "a1 or ".repeat(33);
    let quotes = "\"a1 b1\" -".repeat(18);
    for text in [
        "a:*",
        "a&b",
        "a | !b",
        "(a",
        "a)",
        "a <-> b",
        "it's",
        "a\\b",
        "a\\' b",
        "the and of",
        "😀",
        "- -\" a",
        "or or",
        "a*",
        "東*",
        "C++ -c",
        "\"a b\" -\"b c\"",
        "x -東京",
        "\u{202e}a",
        "=a",
        &long,
        &minuses,
        &apart,
        &alternatives,
        &quotes,
    ] {
        let Ok(query) = SearchQuery::read(text) else {
            continue;
        };
        for is_of_before in [false, true] {
            let form = i32::from(!is_of_before);
            let sql = format!("UPDATE entries SET search_form = {form}");
            journal.database.execute(&sql).unwrap();
            let search = SearchEntries {
                user: owner("ann").user,
                query: query.clone(),
                page: found(50, None),
            };
            let answer = journal.ask(search).await;
            answer.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        }
    }
}

#[actix_rt::test]
async fn an_excerpt_shows_the_match_and_is_short() {
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
        query: query("needle"),
        page: found(10, None),
    };
    let hits = journal.ask(search).await.unwrap().items;
    assert_eq!(hits.len(), 2);
    let excerpt = &hits[1].excerpt;
    assert!(excerpt.contains("straw **needle**"), "{excerpt}");
    assert!(hits.iter().all(|hit| hit.excerpt.chars().count() <= 200));
}

#[actix_rt::test]
async fn a_search_is_paged_without_loss_or_repeat() {
    let journal = Journal::start();
    let ann = owner("ann");
    for n in 0..25 {
        journal.entry(&ann, new_entry(&format!("entry {n}"))).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let search = SearchEntries {
            user: ann.user,
            query: query("happened"),
            page: found(10, after),
        };
        let page = journal.ask(search).await.unwrap();
        seen.extend(page.items.into_iter().map(|hit| hit.entry.title));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("entry {n}")).collect();
    assert_eq!(seen, expected);
}

fn long_entry(title: &str, content: &str) -> epicme::domain::journal::NewEntry {
    let mut entry = new_entry(title);
    entry.content = content.to_owned();
    entry
}

/// Every page of a search with a small budget.
fn pages(journal: &Journal, text: &str, budget: SearchBudget) -> Vec<Vec<String>> {
    let mut connection = journal.database.connect_for(owner("ann").user);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let user = owner("ann").user;
        let request = found(50, after);
        let page = search_entries(&mut connection, user, &query(text), &request, budget).unwrap();
        pages.push(Vec::from_iter(
            page.items.into_iter().map(|hit| hit.entry.title),
        ));
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

#[actix_rt::test]
async fn a_page_ends_where_it_has_read_its_budget_and_the_next_goes_on() {
    let journal = Journal::start();
    let ann = owner("ann");
    for n in 0..12 {
        let content = if n % 4 == 0 {
            "a quiet forest"
        } else {
            "the forest sounded quiet"
        };
        journal
            .entry(&ann, long_entry(&n.to_string(), content))
            .await;
    }
    let by_bytes = SearchBudget {
        documents: 1,
        compared: 1,
        ..SearchBudget::default()
    };
    for query in [
        "\"quiet forest\"",
        "quiet -\"forest sounded\"",
        "\"quiet forest\" or zebra",
    ] {
        assert_eq!(
            pages(&journal, query, SearchBudget::default()),
            [["8", "4", "0"]],
            "{query}"
        );
        // One entry is read for each page, and another of those that the index names.
        let single = pages(&journal, query, by_bytes);
        assert!(
            (6..=13).contains(&single.len()),
            "{query}: {}",
            single.len()
        );
        assert_eq!(single.concat(), ["8", "4", "0"], "{query}");
    }
    // What the index answers costs no documents.
    assert_eq!(pages(&journal, "quiet forest", by_bytes)[0].len(), 12);
}

#[actix_rt::test]
async fn of_a_page_of_long_texts_the_last_have_excerpts_of_their_beginnings() {
    let journal = Journal::start();
    let ann = owner("ann");
    let content = format!("begin {} needle", "straw ".repeat(1_000));
    for n in 0..3 {
        journal
            .entry(&ann, long_entry(&n.to_string(), &content))
            .await;
    }
    let budget = SearchBudget {
        texts: 13_000,
        ..SearchBudget::default()
    };
    let mut connection = journal.database.connect_for(ann.user);
    let page = search_entries(
        &mut connection,
        ann.user,
        &query("needle"),
        &found(50, None),
        budget,
    )
    .unwrap();
    let excerpts = page
        .items
        .iter()
        .map(|hit| hit.excerpt.contains("straw **needle**"));
    assert_eq!(Vec::from_iter(excerpts), [true, true, false]);
    assert!(page.items[2].excerpt.starts_with("begin straw"));
}

#[actix_rt::test]
async fn a_search_looks_at_nobody_elses_entries() {
    let journal = Journal::start();
    let [ann, bob] = ["ann", "bob"].map(owner);
    journal
        .entry(&ann, long_entry("mine", "a quiet forest"))
        .await;
    for n in 0..200 {
        journal
            .entry(&bob, long_entry(&n.to_string(), "a quiet forest"))
            .await;
    }
    for query in [
        "\"quiet forest\"",
        "quiet",
        "quiet -zebra",
        "zebra or \"quiet forest\"",
    ] {
        assert_eq!(titles(&journal, query).await, ["mine"], "{query}");
    }
}

#[actix_rt::test]
async fn excerpts_are_of_what_was_found() {
    let journal = Journal::start();
    let ann = owner("ann");
    let filler = "and so it went on and on. ".repeat(100);
    let content = format!(
        "Quiet. {filler} We walked through the quiet forest, running. {filler} Łódź 3.14 foo-bar {filler}"
    );
    journal.entry(&ann, long_entry("t", &content)).await;
    for (text, expected) in [
        ("\"quiet forest\"", "the **quiet forest**"),
        ("walking", "We **walked**"),
        ("forest -zebra", "**forest**"),
        ("zebra or forest", "**forest**"),
        ("run", "**running**"),
        ("łódź", "**Łódź**"),
        ("3.14", "**3.14**"),
        ("foo-bar", "**foo-bar**"),
        (
            "\"walked through the quiet\"",
            "**walked through the quiet**",
        ),
    ] {
        let search = SearchEntries {
            user: ann.user,
            query: query(text),
            page: found(10, None),
        };
        let hits = journal.ask(search).await.unwrap().items;
        let excerpt = &hits[0].excerpt;
        assert!(excerpt.contains(expected), "{text}: {excerpt}");
    }
}
