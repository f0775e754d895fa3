//! Names that differ by case or by compatibility characters only.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};

/// What two texts have in common if and only if they are a compatibility caseless match: The Unicode Standard,
/// chapter 3.13, D146.
///
/// `Straße`, `STRASSE` and `ｓｔｒａｓｓｅ` are one. The folding is that of no language in particular, so that the Turkish
/// `sınır` and `sinir` stay two, and `İ` is `i` with a dot above.
#[must_use]
pub fn caseless(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let fold = CaseMapper::new();
    let nfkc = ComposingNormalizer::new_nfkc();
    let decomposed = DecomposingNormalizer::new_nfd().normalize(text);
    let once: Cow<'_, str> = fold.fold_string(&decomposed);
    let once = nfkc.normalize(&once);
    nfkc.normalize(&fold.fold_string(&once)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::caseless;

    #[test]
    fn names_that_differ_by_case_or_compatibility_are_one() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("Straße", "STRAẞE"),
            ("café", "CAFE\u{301}"),
            ("ｔｅａ", "Tea"),
            ("ﬁsh", "FISH"),
            ("ΟΔΟΣ", "οδος"),
            ("ｶﾞ", "ガ"),
            ("①", "1"),
            ("\u{3b1}\u{345}\u{301}", "\u{391}\u{301}\u{399}"),
        ] {
            assert_eq!(caseless(one), caseless(other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_differ_by_more_stay_two() {
        for (one, other) in [
            ("sınır", "sinir"),
            ("cafe", "café"),
            ("カ", "ガ"),
            ("a b", "ab"),
        ] {
            assert_ne!(caseless(one), caseless(other), "{one} {other}");
        }
    }
}
