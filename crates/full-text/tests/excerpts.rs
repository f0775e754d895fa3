//! What is shown of a text that was found.

use full_text::{MOST_CHARACTERS, Query};

fn excerpt(query: &str, text: &str) -> String {
    let query = Query::read(query).expect("something to search for");
    query.excerpt(text, MOST_CHARACTERS).marked()
}

#[test]
fn what_was_found_is_marked_as_it_was_written() {
    for (query, text, shown) in [
        ("tea", "A pot of Tea.", "A pot of **Tea**."),
        (
            "walk",
            "We walked and were walking.",
            "We **walked** and were **walking**.",
        ),
        ("berl", "To Berlin!", "To **Berlin**!"),
        (
            "\"green tea\"",
            "Some green\n  tea, green",
            "Some **green tea**, green",
        ),
        ("don't", "I don’t know", "I **don’t** know"),
        ("C++", "I learn C++ now", "I learn **C++** now"),
        ("istanbul", "Dün İSTANBUL’daydım", "Dün **İSTANBUL**’daydım"),
        ("ılık", "ILIK su, ilik", "**ILIK** su, ilik"),
        ("strasse", "Neue Straße", "Neue **Straße**"),
        ("café", "un cafe\u{301} noir", "un **cafe\u{301}** noir"),
        ("fish", "two ﬁsh", "two **ﬁsh**"),
        ("東京", "昨日は東京に行った", "昨日は**東京**に行った"),
        ("ピアノ", "ﾋﾟｱﾉの音", "**ﾋﾟｱﾉ**の音"),
        ("친구", "어제 친구를 만났다", "어제 **친구**를 만났다"),
        ("ทะเล", "ไปทะเลกับเพื่อน", "ไป**ทะเล**กับเพื่อน"),
        ("👍", "good 👍🏽 work", "good **👍🏽** work"),
        ("software", "soft\u{ad}ware here", "**soft\u{ad}ware** here"),
        ("שלום", "אמר שָׁלוֹם לכולם", "אמר **שָׁלוֹם** לכולם"),
        (
            "tea",
            "<p>Hot <b>tea</b>\r\n and milk</p>",
            "Hot **tea** and milk",
        ),
        ("zebra", "Nothing of it.", "Nothing of it."),
    ] {
        assert_eq!(excerpt(query, text), shown, "{query}");
    }
}

#[test]
fn a_long_text_is_shown_from_the_sentence_on_where_most_is_found() {
    let before = "Nothing happened that day. ".repeat(100);
    let after = "It rained until the evening. ".repeat(100);
    let text = format!("{before}We had tea. {before}Then came the tea, with cake. {after}");
    let shown = excerpt("tea cake", &text);
    assert!(
        shown.starts_with("…Then came the **tea**, with **cake**. It rained"),
        "{shown}"
    );
    assert!(shown.ends_with("evening.…"), "{shown}");
    assert!(shown.chars().count() <= MOST_CHARACTERS);
}

#[test]
fn a_long_sentence_is_cut_between_words() {
    let words = "morning evening ".repeat(200);
    let shown = excerpt("tea", &format!("{words}tea {words}"));
    let shown = shown.trim_matches('…');
    assert!(
        shown.starts_with("morning") || shown.starts_with("evening"),
        "{shown}"
    );
    assert!(
        shown.ends_with("morning") || shown.ends_with("evening"),
        "{shown}"
    );
    assert!(shown.contains("evening **tea** morning"), "{shown}");
}

#[test]
fn a_character_is_shown_whole_or_not_at_all() {
    for character in ["e\u{301}\u{323}", "👩‍👩‍👧‍👦", "กำ", "🇩🇪", "뷁"] {
        let text = character.repeat(500);
        for most in 20..60 {
            let query = Query::read("zebra").expect("a word");
            let shown = query.excerpt(&text, most).text;
            let shown = shown.trim_end_matches('…');
            assert!(
                !shown.is_empty() && shown.replace(character, "").is_empty(),
                "{shown}"
            );
        }
    }
}
