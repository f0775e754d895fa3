//! The drawing of the six arrows on the first page. Its source is the list of the arrows under it, so that the two cannot differ:
//! `UPDATE_PAGES=1 cargo test -p epicme --test tutorial` draws it anew.

use std::fs;

/// From left to right.
const COLUMNS: [(&str, u32); 3] = [
    ("Host", 110),
    ("Authorization server", 360),
    ("EpicMe", 610),
];

const WIDTH: u32 = 720;

struct Arrow<'a> {
    from: u32,
    to: u32,
    words: &'a str,
    chapter: &'a str,
}

/// `- Host → EpicMe: [words](chapter)`
fn arrow(line: &str) -> Option<Arrow<'_>> {
    let (from, rest) = line.strip_prefix("- ")?.split_once(" → ")?;
    let (to, rest) = rest.split_once(": [")?;
    let (words, rest) = rest.split_once("](")?;
    let column = |name: &str| {
        let found = COLUMNS.iter().find(|(column, _)| *column == name);
        found.unwrap_or_else(|| panic!("no column {name}")).1
    };
    Some(Arrow {
        from: column(from),
        to: column(to),
        words,
        chapter: rest.strip_suffix(')')?,
    })
}

/// A strip of the drawing. Each is a picture of its own, because the pictures of a page can be links, and parts of one cannot.
fn strip(height: u32, inside: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"16\" text-anchor=\"middle\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#f4f6f8\"/>\n{inside}</svg>\n"
    )
}

fn head() -> String {
    let boxes = COLUMNS.map(|(name, x)| {
        let left = x - 95;
        format!(
            "<rect x=\"{left}\" y=\"6\" width=\"190\" height=\"34\" rx=\"6\" fill=\"#ffffff\" stroke=\"#3b4754\"/>\n\
             <text x=\"{x}\" y=\"29\" fill=\"#1f2933\">{name}</text>\n"
        )
    });
    strip(46, &boxes.concat())
}

fn drawn(number: usize, arrow: &Arrow<'_>) -> String {
    let Arrow {
        from, to, words, ..
    } = *arrow;
    let lines = COLUMNS.map(|(_, x)| {
        format!("<path d=\"M{x} 0V52\" stroke=\"#9aa5b1\" stroke-dasharray=\"4 4\"/>\n")
    });
    let middle = from.midpoint(to);
    // The tip, and the two ends of its wings.
    let (tip, wing) = if to > from {
        (to - 2, to - 14)
    } else {
        (to + 2, to + 14)
    };
    let arrow = format!(
        "<path d=\"M{from} 38H{wing}\" stroke=\"#1f5fbf\" stroke-width=\"2\"/>\n\
         <path d=\"M{tip} 38L{wing} 32V44Z\" fill=\"#1f5fbf\"/>\n\
         <text x=\"{middle}\" y=\"26\" fill=\"#1f5fbf\" stroke=\"#f4f6f8\" stroke-width=\"6\" paint-order=\"stroke\">\
         {number}. {words}</text>\n"
    );
    strip(52, &(lines.concat() + &arrow))
}

#[test]
fn the_drawing_shows_the_arrows_of_the_list_and_each_is_a_link() {
    let folder = crate::tutorial().join("arrows");
    let page = fs::read_to_string(crate::tutorial().join("README.md")).unwrap();
    let arrows: Vec<_> = page.lines().filter_map(arrow).collect();
    assert!(!arrows.is_empty());
    let mut files = vec![("0.svg".to_owned(), head())];
    for (number, arrow) in (1..).zip(&arrows) {
        let link = format!(
            "[![{number}. {}](arrows/{number}.svg)]({})",
            arrow.words, arrow.chapter
        );
        assert!(page.contains(&link), "the page lacks {link}");
        files.push((format!("{number}.svg"), drawn(number, arrow)));
    }
    for (name, svg) in files {
        let file = folder.join(name);
        if std::env::var_os("UPDATE_PAGES").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(file, svg).unwrap();
        } else {
            assert_eq!(
                fs::read_to_string(&file).unwrap_or_default(),
                svg,
                "{} is out of date: run `UPDATE_PAGES=1 cargo test -p epicme --test tutorial`",
                file.display()
            );
        }
    }
}
