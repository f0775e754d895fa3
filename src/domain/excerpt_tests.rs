use proptest::prelude::*;

use super::*;

fn words(lexemes: &[(&str, Option<usize>)]) -> Vec<SearchWord> {
    let word = |(lexeme, after): &(&str, Option<usize>)| SearchWord {
        lexeme: (*lexeme).to_owned(),
        after: *after,
    };
    lexemes.iter().map(word).collect()
}

fn excerpt(text: &str, words: &[SearchWord]) -> String {
    Excerpts::new(words, 1).of(text)
}

fn is_found(text: &str, words: &[SearchWord]) -> bool {
    best_place(text, words, COMPARISONS).is_some()
}

#[test]
fn the_words_around_the_match_are_shown() {
    let text = format!(
        "{} the needle is here {}",
        "straw ".repeat(500),
        "hay ".repeat(500)
    );
    let shown = excerpt(&text, &words(&[("needl", None)]));
    assert!(shown.contains("straw the needle is here hay"), "{shown}");
    assert_eq!(shown.split(' ').count(), MOST_WORDS);
}

#[test]
fn forms_of_a_word_are_found_and_other_words_are_not() {
    for (lexeme, forms, others) in [
        (
            "happi",
            vec!["happy", "Happiness", "HAPPILY"],
            vec!["happen", "hap"],
        ),
        (
            "run",
            vec!["run", "running", "runs", "Runner"],
            vec!["rune2", "runway"],
        ),
        ("walk", vec!["walked", "walking"], vec!["walkway", "talk"]),
        ("cat", vec!["cat", "cats"], vec!["category", "concat"]),
        ("3.14", vec!["3.14"], vec!["3.1"]),
        ("foo-bar", vec!["foo-bar", "Foo-Bar"], vec!["foobar"]),
        ("straß", vec!["Straß"], vec!["strass"]),
        ("łódź", vec!["ŁÓDŹ"], vec!["lodz"]),
    ] {
        let wanted = words(&[(lexeme, None)]);
        for form in forms {
            assert!(is_found(&format!("x “{form}”. y"), &wanted), "{form}");
        }
        for other in others {
            assert!(!is_found(&format!("x {other}. y"), &wanted), "{other}");
        }
    }
}

#[test]
fn a_phrase_is_preferred_to_its_words() {
    let filler = "and so on ".repeat(50);
    let text = format!("forest quiet {filler} the quiet forest {filler}");
    let shown = excerpt(&text, &words(&[("quiet", None), ("forest", Some(1))]));
    assert!(shown.contains("the quiet forest"), "{shown}");
}

#[test]
fn words_that_stand_together_are_preferred() {
    let filler = "and so on ".repeat(50);
    let text = format!("sun {filler} rain {filler} rain, then sun {filler}");
    let shown = excerpt(&text, &words(&[("sun", None), ("rain", None)]));
    assert!(shown.contains("rain, then sun"), "{shown}");
}

#[test]
fn what_is_not_in_the_text_shows_its_beginning() {
    let shown = excerpt(
        "one two  three\nfour <b>five</b> six seven eight nine ten eleven",
        &[],
    );
    assert_eq!(shown, "one two three four five six seven eight nine ten");
}

#[test]
fn a_text_without_spaces_has_a_short_excerpt_too() {
    let shown = excerpt(&"x".repeat(100_000), &words(&[("needl", None)]));
    assert_eq!(shown.chars().count(), MOST_CHARACTERS);
    let text = format!("{}漢needle漢{}", "漢".repeat(9_000), "字".repeat(9_000));
    assert!(excerpt(&text, &words(&[("漢", None)])).chars().count() <= MOST_CHARACTERS);
}

#[test]
fn no_text_and_no_query_takes_long() {
    let all = words(&vec![("q", None); 100]);
    let excerpts = Excerpts::new(&all, 200);
    assert_eq!(excerpts.words.len(), MOST_WANTED);
    let text = format!("{} quiet", "q1 ".repeat(33_000));
    assert!(excerpts.of(&text).starts_with("q1 q1"));
    // It gives up before it comes to the end.
    let quiet = words(&[("quiet", None)]);
    assert!(Excerpts::new(&quiet, 1).of(&text).ends_with("quiet"));
    assert!(!Excerpts::new(&quiet, 200).of(&text).ends_with("quiet"));
}

proptest! {
    #[test]
    fn words_begin_where_characters_do(text in "(\\PC|[ “—。«]){0,40}") {
        for place in WordStarts::new(&text) {
            prop_assert!(text.is_char_boundary(place));
        }
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line(
        text in "(\\PC|[ \n<>/b.-]|quiet|forest){0,200}",
        first in "\\PC{0,6}|quiet",
        second in "\\PC{0,6}|forest",
        distance in 0usize..4,
    ) {
        let shown = excerpt(&text, &words(&[(&first, None), (&second, Some(distance))]));
        prop_assert!(shown.chars().count() <= MOST_CHARACTERS);
        prop_assert!(shown.split(' ').count() <= MOST_WORDS);
        prop_assert!(!shown.contains('\n') && shown.trim() == shown);
    }
}
