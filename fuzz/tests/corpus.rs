//! Every file of the corpus, and every seed, through its target. What a fuzzer found is added to the corpus, so that it
//! is tried with each `cargo test`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fs, path::Path};

use epicme_fuzz::{TARGETS, seeds::seeds};

fn files(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| fs::read(path).unwrap())
        .collect()
}

#[test]
fn every_input_of_the_corpus_keeps_the_promises_of_its_target() {
    for (name, target) in TARGETS {
        for input in files(name) {
            target(&input);
        }
    }
}

#[test]
fn the_corpus_has_the_seeds_and_no_target_beside_the_known_ones() {
    for (target, input) in seeds() {
        assert!(
            files(target).contains(&input),
            "run `cargo run -p epicme-fuzz --example write_seeds`"
        );
    }
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    let folders = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap());
    let known = TARGETS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), known.collect());
}

/// A target that refuses everything, or accepts everything, would promise nothing.
#[test]
fn of_each_kind_something_is_accepted_and_something_refused() {
    for (name, target) in TARGETS {
        let verdicts: BTreeSet<_> = files(name).iter().map(|input| target(input)).collect();
        assert_eq!(verdicts.len(), 2, "{name}: {verdicts:?}");
    }
}
