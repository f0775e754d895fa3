//! What holds for every text and every query.

mod support;

use full_text::{LONGEST_LEXEME, MOST_BYTES, MOST_CHARACTERS, Query, caseless, lexemes};
use proptest::prelude::*;
use support::is_found;
use unicode_segmentation::UnicodeSegmentation;

/// Texts of many scripts, with words that make up queries.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-ZıİäßÉ '’._/&+#%@*\"-]{0,60}",
        "(tea|Tea|running|run|or|-|\"|C\\+\\+|ılık|ILIK|İ|東京|都|タワー|ﾀﾞ|ทะเล|친구|를|e\u{301}|é|👍🏽|🇩🇪|🇪🇺|\u{200d}|\u{fe0f}|’|'|\\.|/| |\n|ß|ς|Σ|ﷺ|ﬁ){0,30}",
        "\\PC{0,40}",
        "[\u{e00}-\u{e7f}\u{1000}-\u{109f} ]{0,30}",
        "[\u{590}-\u{6ff} ]{0,30}",
        "[\u{900}-\u{97f}\u{300}-\u{36f}a-c ]{0,30}",
        "[\u{1100}-\u{11ff}\u{ac00}-\u{ac30}\u{3040}-\u{30ff}\u{ff60}-\u{ffa0}]{0,30}",
        "[\u{1f1e6}-\u{1f1ff}\u{1f3fb}-\u{1f3ff}\u{1f440}-\u{1f470}\u{200d}]{0,30}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The test of `is_found` is that the lexemes lose nothing that matches, and decide alone where the query says so.
    #[test]
    fn what_matches_is_selected(query in texts(), title in texts(), content in texts()) {
        if let Ok(query) = Query::read(&query) {
            is_found(&query, &lexemes(&[&title, &content]), &[&title, &content]);
        }
    }

    #[test]
    fn every_word_of_a_text_finds_it(text in texts()) {
        // Some characters become letters when they are folded, or digits.
        let text = caseless(&text);
        let text: String = text.chars().filter(|c| is_known(*c)).collect();
        let document = lexemes(&[&text]);
        for word in text.unicode_words().filter(|word| !word.contains(is_no_word)) {
            let plain = format!("\"{word}\"");
            for query in [word, &plain, &word.to_lowercase(), &word.to_uppercase()] {
                // Some letters have two capitals, or none for one of their two forms.
                let is_same = caseless(query.trim_matches('"')) == caseless(word);
                match Query::read(query) {
                    Ok(query) if is_same => prop_assert!(is_found(&query, &document, &[&text]), "{word:?}"),
                    _ => prop_assert!(query != plain || is_without_words(word), "{word:?}"),
                }
            }
        }
    }

    #[test]
    fn every_part_of_a_text_between_spaces_finds_it(text in texts()) {
        let document = lexemes(&[&text]);
        let text_without_quotes: String = text.replace(QUOTES, " ");
        let words: Vec<&str> = text_without_quotes.split_whitespace().collect();
        for length in 1..=words.len().min(3) {
            for part in words.windows(length) {
                if let Ok(query) = Query::read(&format!("\"{}\"", part.join(" "))) {
                    prop_assert!(is_found(&query, &document, &[&text]), "{part:?}");
                }
            }
        }
    }

    #[test]
    fn lexemes_are_bounded_sorted_and_distinct(text in texts()) {
        let lexemes = lexemes(&[&text]);
        prop_assert!(lexemes.is_sorted_by(|one, other| one < other));
        prop_assert!(lexemes.iter().all(|lexeme| !lexeme.is_empty() && lexeme.len() <= LONGEST_LEXEME && !lexeme.contains('\0')));
    }

    #[test]
    fn the_normal_form_and_case_of_a_text_make_no_difference(text in texts()) {
        let nfd = icu_normalizer::DecomposingNormalizer::new_nfd().normalize(&text).into_owned();
        let nfc = icu_normalizer::ComposingNormalizer::new_nfc().normalize(&text).into_owned();
        prop_assert_eq!(lexemes(&[&nfd]), lexemes(&[&nfc]));
        prop_assert_eq!(caseless(&nfd), caseless(&nfc));
        prop_assert_eq!(caseless(&caseless(&text)), caseless(&text));
    }

    #[test]
    fn excerpts_are_short_and_whole(query in texts(), text in texts(), times in 1_usize..40, most in 20..=MOST_CHARACTERS) {
        let text = text.repeat(times);
        if let Ok(query) = Query::read(&query) {
            let excerpt = query.excerpt(&text, most);
            prop_assert!(excerpt.marked().chars().count() <= most, "{excerpt:?}");
            prop_assert!(!excerpt.text.contains(['\n', '\r', '\0']));
            let mut from = 0;
            for hit in &excerpt.hits {
                prop_assert!(from <= hit.start && hit.start < hit.end && hit.end <= excerpt.text.len());
                from = hit.end;
            }
        }
    }

    #[test]
    fn relevance_is_a_number(query in texts(), title in texts(), content in texts()) {
        if let Ok(query) = Query::read(&query) {
            let relevance = query.relevance(&title, &content);
            prop_assert!((0.0..1_000.0).contains(&relevance));
        }
    }
}

/// What begins and ends phrases.
const QUOTES: [char; 8] = ['"', '＂', '“', '”', '„', '‟', '«', '»'];

/// Thai and Lao are cut into characters there, which are no words; and a mark makes a word of a quote.
fn is_no_word(c: char) -> bool {
    ('\u{e01}'..='\u{eff}').contains(&c) || QUOTES.contains(&c)
}

/// Whether the tables that this test cuts words by are as new as a character.
fn is_known(c: char) -> bool {
    use icu_properties::{CodePointMapData, props::GeneralCategory as Of};
    match CodePointMapData::<Of>::new().get(c) {
        Of::NonspacingMark | Of::SpacingMark => format!("a{c}").split_word_bounds().count() == 1,
        Of::UppercaseLetter | Of::LowercaseLetter | Of::OtherLetter | Of::ModifierLetter => {
            c.is_alphabetic()
        }
        Of::Unassigned => !c.is_alphanumeric(),
        _ => true,
    }
}

/// Whether nothing is left of a text but what cannot be searched for.
fn is_without_words(text: &str) -> bool {
    lexemes(&[text]).is_empty()
}

#[test]
fn a_hundred_thousand_characters_of_any_kind_fit() {
    // One pair of characters of four bytes never comes twice.
    let ideographs: Vec<char> = ('\u{20000}'..='\u{2a6df}')
        .chain('\u{30000}'..='\u{3134a}')
        .chain('\u{4e00}'..='\u{9fff}')
        .collect();
    let distinct: String = ideographs.iter().cycle().take(100_000).collect();
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    #[expect(clippy::cast_possible_truncation, reason = "an index")]
    let mut of = |kinds: &[char]| -> String {
        (0..100_000)
            .map(|_| kinds[random() as usize % kinds.len()])
            .collect()
    };
    let all: Vec<char> = (1..=u32::from(char::MAX))
        .filter_map(char::from_u32)
        .collect();
    let ascii: Vec<char> = ('\u{1}'..'\u{7f}').collect();
    let words: Vec<char> = ('𐐨'..='𐑏').chain(['s', ' ']).collect();
    for text in [distinct, of(&ideographs), of(&all), of(&ascii), of(&words)] {
        let lexemes = lexemes(&["A title", &text]);
        let bytes: usize = lexemes.iter().map(String::len).sum();
        assert!(bytes < MOST_BYTES, "{bytes}");
        let words: Vec<&str> = text.unicode_words().collect();
        for word in words.iter().step_by(words.len().div_ceil(4)) {
            let query = Query::read(&format!("\"{word}\"")).expect("a word");
            assert!(is_found(&query, &lexemes, &["A title", &text]), "{word}");
        }
    }
}
