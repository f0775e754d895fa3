//! Which of the documents that match has most of what is looked for.

use std::ops::ControlFlow;

use crate::{
    alternative::Alternative,
    matching::Texts,
    query::Query,
    term::{Cut, Term},
};

/// Occurrences beyond these make no difference.
const MOST_OCCURRENCES: usize = 20;

/// A word in the title counts as much as any number of occurrences in the text.
const TITLE: f32 = 3.0;

/// A word as it is in the query counts more than an inflection, or one that it begins.
const AS_WRITTEN: f32 = 1.0;
const OTHERWISE: f32 = 0.6;

impl Query {
    /// How much of what is looked for a document has: more is better, among the documents of one query. Words in the
    /// title count most, then how often each occurs, then how short the text is.
    #[must_use]
    pub fn relevance(&self, title: &str, content: &str) -> f32 {
        let (title, content) = (Texts::new(self, &[title]), Texts::new(self, &[content]));
        let (title, content) = (title.cut(), content.cut());
        let alternatives = self.alternatives.iter();
        alternatives
            .map(|alternative| of(alternative, &title, &content))
            .fold(0.0, f32::max)
    }
}

fn of(alternative: &Alternative, title: &[Cut<'_>], content: &[Cut<'_>]) -> f32 {
    let terms = alternative.required.iter();
    let sum: f32 = terms
        .map(|term| {
            let in_title = most(title, |cut| {
                occurrences(term, cut).min(1.0) * share(term, cut)
            });
            let in_content = most(content, |cut| saturated(occurrences(term, cut), cut));
            TITLE * in_title + in_content
        })
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "a query has few words")]
    let count = alternative.required.len() as f32;
    sum / count.max(1.0)
}

/// Of a text that is folded in two ways, the way with more of it.
fn most<'a>(cuts: &[Cut<'a>], measure: impl Fn(&Cut<'a>) -> f32) -> f32 {
    cuts.iter().map(measure).fold(0.0, f32::max)
}

/// How often a term occurs, inflections counted for less.
fn occurrences(term: &Term, text: &Cut<'_>) -> f32 {
    let (mut count, mut sum) = (0, 0.0);
    let _ = text.each(term, |start, end| {
        count += 1;
        sum += if term.is_written(&text.text[start..end]) {
            AS_WRITTEN
        } else {
            OTHERWISE
        };
        if count < MOST_OCCURRENCES {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    sum
}

/// More for a title of few other words.
fn share(term: &Term, title: &Cut<'_>) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a title has few words")]
    let (wanted, all) = (term.parts.len() as f32, title.atoms.len() as f32);
    1.0 + wanted / all.max(1.0)
}

/// Between 0 and 1, the further occurrences count less and less, and in a long text all of them do.
fn saturated(occurrences: f32, text: &Cut<'_>) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a measure")]
    let length = text.text.len() as f32 / 1_000.0;
    occurrences / (occurrences + 1.0 + length.ln_1p())
}
