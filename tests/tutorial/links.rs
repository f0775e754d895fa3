//! Every link of the tutorial leads to something.

use std::{
    fs,
    path::{Path, PathBuf},
};

struct Link {
    page: PathBuf,
    words: String,
    target: String,
}

/// The links of a page, pictures too.
fn links(page: &Path) -> Vec<Link> {
    let text = fs::read_to_string(page).unwrap();
    let mut links = Vec::new();
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once("](") {
        let (target, after) = after.split_once(')').unwrap();
        let words = before.rsplit_once('[').map_or("", |(_, words)| words);
        links.push(Link {
            page: page.to_owned(),
            words: words.to_owned(),
            target: target.to_owned(),
        });
        rest = after;
    }
    links
}

/// The anchor that GitHub and mdBook give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter_map(|it| match it {
        ' ' => Some('-'),
        it if it.is_alphanumeric() || it == '-' || it == '_' => Some(it),
        _ => None,
    });
    kept.collect()
}

fn has_anchor(page: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(page).unwrap();
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|line| anchor(line.trim_start_matches('#')) == wanted)
}

/// What is wrong with a link.
fn fault(link: &Link) -> Option<&'static str> {
    if link.target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = link
        .target
        .split_once('#')
        .map_or((&*link.target, None), |(path, anchor)| (path, Some(anchor)));
    let file = match path {
        "" => link.page.clone(),
        path => link.page.parent().unwrap().join(path),
    };
    if !file.exists() {
        return Some("no such file");
    }
    if anchor.is_some_and(|anchor| !has_anchor(&file, anchor)) {
        return Some("no such heading");
    }
    // The words are the file, or a name that is in it.
    let name = link.words.trim_matches('`');
    let is_source = file.extension().is_some_and(|it| it == "rs");
    let is_named = || file.ends_with(name) || fs::read_to_string(&file).unwrap().contains(name);
    (is_source && !is_named()).then_some("the file does not have what the link is called")
}

#[test]
fn every_link_leads_to_a_file_a_heading_or_a_name_in_the_source() {
    let pages = fs::read_dir(crate::tutorial()).unwrap();
    let pages = pages.map(|file| file.unwrap().path());
    let faults: Vec<_> = pages
        .filter(|page| page.extension().is_some_and(|it| it == "md"))
        .flat_map(|page| links(&page))
        .filter_map(|link| {
            let page = link.page.file_name()?.to_owned();
            fault(&link).map(|why| (page, link.target, why))
        })
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = crate::tutorial().join("README.md");
    let fault_of = |words: &str, target: &str| {
        fault(&Link {
            page: page.clone(),
            words: words.to_owned(),
            target: target.to_owned(),
        })
    };
    assert_eq!(
        fault_of("`bearer.rs`", "../../crates/resource-server/src/bearer.rs"),
        None
    );
    let here = "../../tests/tutorial/links.rs";
    assert_eq!(fault_of("`has_anchor`", here), None);
    let absent = ["no", "such", "name"].join("_");
    assert!(fault_of(&absent, here).is_some());
    assert!(fault_of("a", "no-such-page.md").is_some());
    assert!(fault_of("a", "README.md#no-such-heading").is_some());
}
