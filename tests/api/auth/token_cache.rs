//! Whatever an authorization server says, in whatever order and at whatever time: nobody gets data but
//! on a good answer that may still be believed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::support::{Answer, RESOURCE, TestApp};

const LIFETIME: i64 = 60;
const STALE: i64 = 120;

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Step {
    /// The issuer will say this of a token from now on.
    Say(usize, Word),
    /// Time passes.
    Wait(i64),
    /// Somebody reads with a token.
    Read(usize),
    /// Somebody writes with a token.
    Write(usize),
}

/// What an issuer says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    /// It is good until then, seen from the moment that this is decided.
    Good {
        ends_in: i64,
    },
    /// It is good, and will be valid from then on.
    Early {
        starts_in: i64,
    },
    Inactive,
    OtherAudience,
    OtherIssuer,
    /// An outage, by what is said.
    Failure,
    Nonsense,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let word = prop_oneof![
        6 => (1..600i64).prop_map(|ends_in| Word::Good { ends_in }),
        1 => (0..90i64).prop_map(|starts_in| Word::Early { starts_in }),
        1 => Just(Word::Inactive),
        1 => Just(Word::OtherAudience),
        1 => Just(Word::OtherIssuer),
        4 => Just(Word::Failure),
        1 => Just(Word::Nonsense),
    ];
    let step = prop_oneof![
        3 => (0..2usize, word).prop_map(|(token, word)| Step::Say(token, word)),
        3 => (0..80i64).prop_map(Step::Wait),
        6 => (0..2usize).prop_map(Step::Read),
        2 => (0..2usize).prop_map(Step::Write),
    ];
    prop::collection::vec(step, 1..50)
}

/// A token, what is said of it now, and what was said of it when the issuer was asked.
struct Token {
    word: Word,
    said_at: i64,
    heard: Vec<(i64, Word, i64)>,
}

/// The tokens of the case at hand, by their texts.
type Tokens = Arc<Mutex<HashMap<String, Token>>>;

/// What the issuer answers about a token now.
fn answer(word: Word, said_at: i64, issuer: &str) -> Answer {
    let good = |changes: Value| {
        let mut claims = json!({
            "active": true, "sub": "ann", "aud": RESOURCE, "iss": issuer,
            "scope": "entries:read entries:write", "exp": said_at + 10_000,
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        Answer::json(claims)
    };
    match word {
        Word::Good { ends_in } => good(json!({ "exp": said_at + ends_in })),
        Word::Early { starts_in } => good(json!({ "nbf": said_at + starts_in })),
        Word::Inactive => Answer::json(json!({ "active": false })),
        Word::OtherAudience => good(json!({ "aud": "https://other.example/mcp" })),
        Word::OtherIssuer => good(json!({ "iss": "https://other.example" })),
        Word::Failure => Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new()),
        Word::Nonsense => Answer::text(200, "[true]"),
    }
}

/// Whether anything that was heard lets its bearer in, within these seconds of it.
fn may(heard: &[(i64, Word, i64)], now: i64, within: i64) -> bool {
    // Only the last word about the token counts; a failure is no word about it.
    let word = heard
        .iter()
        .rev()
        .find(|(_, word, _)| !matches!(word, Word::Failure | Word::Nonsense));
    let Some((heard_at, word, said_at)) = word else {
        return false;
    };
    now < heard_at + within
        && match word {
            Word::Good { ends_in } => now < said_at + ends_in,
            Word::Early { starts_in } => now + 30 >= said_at + starts_in,
            _ => false,
        }
}

/// How often somebody was let in, let in though the answer was stale, and kept out.
#[derive(Debug, Default)]
struct Tally {
    fresh: usize,
    stale: usize,
    out: usize,
}

async fn run(app: &TestApp, tokens: &Tokens, case: usize, steps: &[Step], tally: &mut Tally) {
    let texts = [0, 1].map(|n| format!("believed-{case:04}-{n}"));
    for text in &texts {
        let token = Token {
            word: Word::Inactive,
            said_at: 0,
            heard: Vec::new(),
        };
        tokens.lock().unwrap().insert(text.clone(), token);
    }
    let heard = |text: &str| tokens.lock().unwrap()[text].heard.clone();
    // What had been heard of each token two requests ago, and one.
    let mut before = [[0, 0], [0, 0]];
    for step in steps {
        let (token, is_write) = match step {
            Step::Say(token, word) => {
                let mut tokens = tokens.lock().unwrap();
                let token = tokens.get_mut(&texts[*token]).unwrap();
                token.word = *word;
                token.said_at = app.clock.now().timestamp();
                continue;
            }
            Step::Wait(seconds) => {
                app.clock.advance(TimeDelta::seconds(*seconds));
                continue;
            }
            Step::Read(token) => (*token, false),
            Step::Write(token) => (*token, true),
        };
        let text = &texts[token];
        let now = app.clock.now().timestamp();
        let known = heard(text).len();
        let ask = if is_write {
            let arguments = json!({ "title": "t", "content": "c" });
            app.tool(text, "create_entry", &arguments)
        } else {
            app.tool(text, "list_entries", &json!({}))
        };
        let reply = ask.send().await;
        // What the issuer said in the background may not have been obeyed yet.
        let heard = heard(text);
        let since = before[token][0];
        before[token] = [before[token][1], known];
        let mut ends = since..=heard.len();
        let ever = |within| ends.clone().any(|end| may(&heard[..end], now, within));
        let is_let_in = reply.status == 200;
        let is_fresh = ever(LIFETIME);
        let is_stale = !is_write && ever(LIFETIME + STALE);
        assert!(
            !is_let_in || is_fresh || is_stale,
            "{step:?} at {now} after {heard:?}: {steps:?}",
        );
        // Whoever has a good token is never told that it is bad.
        if ends.all(|end| may(&heard[..end], now, LIFETIME)) {
            assert_ne!(reply.status, 401, "{step:?} at {now}: {steps:?}");
        }
        match (is_let_in, is_fresh) {
            (true, true) => tally.fresh += 1,
            (true, false) => tally.stale += 1,
            (false, _) => tally.out += 1,
        }
    }
}

#[actix_rt::test]
async fn nobody_gets_data_but_on_a_good_answer_within_its_bound() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].stale = std::time::Duration::from_secs(STALE.unsigned_abs());
    });
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &seed()),
    );
    let mut tally = Tally::default();
    let tokens = Tokens::default();
    app.issuer.answer_others({
        let (tokens, clock) = (Arc::clone(&tokens), app.clock.clone());
        let issuer = app.issuer.url().to_owned();
        move |text| match tokens.lock().unwrap().get_mut(text) {
            Some(token) => {
                let (word, said_at) = (token.word, token.said_at);
                token.heard.push((clock.now().timestamp(), word, said_at));
                answer(word, said_at, &issuer)
            }
            None => Answer::json(json!({ "active": false })),
        }
    });
    for case in 0..120 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        run(&app, &tokens, case, &steps, &mut tally).await;
        // The circuit closes again, so that one case does not keep the next one out.
        app.clock.advance(TimeDelta::seconds(120));
    }
    // Each kind of outcome was seen, or the property would be empty.
    assert!(
        tally.fresh > 100 && tally.stale > 3 && tally.out > 100,
        "{tally:?}"
    );
}

/// Another one each time, told on failure by the steps themselves.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}
