//! Inflections of English words.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

/// Words of so many bytes have inflections.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=40;

/// The endings that the algorithm takes away or changes. It takes ten times as long to find that a word has none.
const ENDINGS: [&str; 16] = [
    "s", "ed", "ing", "y", "e", "i", "al", "ful", "ll", "er", "or", "ion", "ic", "ism", "ant",
    "ent",
];

/// The stem of a word, which its inflections have in common, by the algorithm that PostgreSQL's `english` has.
pub(crate) fn stem(word: &str) -> Cow<'_, str> {
    let may_have_ending = LENGTHS.contains(&word.len())
        && ENDINGS.iter().any(|ending| word.ends_with(ending))
        && is_latin(word);
    if may_have_ending {
        Stemmer::create(Algorithm::English).stem(word)
    } else {
        Cow::Borrowed(word)
    }
}

/// The stem of a word of a query, if another word can have the same.
pub(crate) fn of_query(word: &str) -> Option<String> {
    is_latin(word).then(|| stem(word).into_owned())
}

/// Whether a word can be an English one.
pub(crate) fn is_latin(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii_lowercase() || ('ß'..='ÿ').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::{LENGTHS, stem};
    use proptest::prelude::*;
    use rust_stemmers::{Algorithm, Stemmer};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn words_without_those_endings_are_their_own_stems(
            word in "[a-z]{1,5}[bcdfgtlmnprstvz][aeiouy](ational|ization|fulness|biliti|ement|alism|izer|ator|eedly|ogist|ss|[a-zé]{1,4}){0,2}"
        ) {
            if LENGTHS.contains(&word.len()) {
                prop_assert_eq!(stem(&word), Stemmer::create(Algorithm::English).stem(&word));
            }
        }
    }

    #[test]
    fn inflections_have_one_stem() {
        for words in [
            &["walk", "walks", "walked", "walking"][..],
            &["happy", "happiness"],
            &["city", "cities"],
            &["die", "dies", "dying"],
            &["café", "cafés"],
        ] {
            assert!(
                words.iter().all(|word| stem(word) == stem(words[0])),
                "{words:?}"
            );
        }
    }
}
