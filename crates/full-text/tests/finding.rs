//! What is found, and what is not, in all the kinds of text that people write.

mod support;

use full_text::{NothingToSearch, Query};
use support::finds;

/// A query, texts in which it finds something, and texts in which it does not.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for (query, found, not_found) in rows {
        for text in *found {
            if !finds(query, &["A day", text]) {
                wrong.push(format!("{query:?} does not find {text:?}"));
            }
        }
        for text in *not_found {
            if finds(query, &["A day", text]) {
                wrong.push(format!("{query:?} finds {text:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_are_found_between_punctuation() {
    check(&[
        (
            "tea",
            &[
                "coffee/tea",
                "Tea!",
                "(tea)",
                "tea,coffee",
                "tea—milk",
                "**tea**",
                "`tea`",
                "tea…",
                "“tea”",
            ],
            &["steam", "instead"],
        ),
        ("then", &["home.Then we ate", "home…then"], &["lengthen"]),
        (
            "home.Then",
            &["went home.Then we ate", "home. Then"],
            &["then home"],
        ),
        (
            "snake_case",
            &["a snake_case name", "`snake_case`"],
            &["a case of a snake"],
        ),
        ("snake", &["a snake_case name", "--snake-case"], &[]),
        ("case", &["a snake_case name", "kebab-case"], &[]),
        (
            "kebab-case",
            &["in kebab-case", "kebab case"],
            &["case of kebab"],
        ),
        (
            "don't",
            &["I don't know", "I don’t know", "DON'T"],
            &["done", "do not"],
        ),
        ("don’t", &["I don't know"], &[]),
        ("amour", &["l'amour", "l’amour"], &[]),
        ("Anna", &["Anna's cat", "Anna’s cat"], &["Hanna"]),
        (
            "anna@example.com",
            &["write to anna@example.com.", "<Anna@Example.COM>"],
            &["anna at example.com", "joanna@example.com"],
        ),
        (
            "example.com",
            &[
                "anna@example.com",
                "https://example.com/a",
                "www.example.com",
            ],
            &["com.example"],
        ),
        (
            "https://example.com/garden?page=2#roses",
            &["see https://example.com/garden?page=2#roses for more"],
            &["https://example.com/garden?page=3#roses"],
        ),
        ("garden", &["https://example.com/garden?page=2"], &[]),
        (
            "1,000.50",
            &["paid 1,000.50 for it", "1,000.50€"],
            &["1,000 and 50"],
        ),
        (
            "2026-11-30",
            &[
                "on 2026-11-30 it rained",
                "2026-11-30 08:00",
                "(2026-11-30)",
            ],
            &["2026-11-03", "2026-01-30 and 11"],
        ),
        ("2026-11", &["on 2026-11-30 it rained"], &["2025-11-30"]),
        ("3.14", &["pi is 3.14"], &["14.3"]),
        ("10:30", &["at 10:30 we left"], &["at 30:10"]),
        ("C:\\temp", &["in C:\\temp\\a"], &["temp C"]),
    ]);
}

#[test]
fn symbols_are_found_with_their_words() {
    check(&[
        (
            "AT&T",
            &["a call from AT&T about", "at&t"],
            &["at the table", "AT+T"],
        ),
        (
            "C++",
            &["learning C++ today", "c++", "(C++)", "C++."],
            &["vitamin C", "C#", "C+"],
        ),
        ("C#", &["learning C# today"], &["C++", "vitamin C"]),
        ("C", &["vitamin C", "C++"], &["cat"]),
        (
            ".NET",
            &["learning .NET today", ".net", "ASP.NET"],
            &["caught in a net", "The end. Net"],
        ),
        ("F#", &["a song in F# minor"], &["F minor"]),
        ("50%", &["50% off", "50 %", "50%."], &["50 off", "5%"]),
        ("€5", &["for €5 only"], &["for 5 only", "£5"]),
        ("#garden", &["my #garden", "garden"], &["guard"]),
        ("@anna", &["thanks @anna", "Anna"], &["hannah"]),
        (
            "tea & cake",
            &["tea and cake", "tea & cake", "cake, tea"],
            &["tea"],
        ),
        ("\"tea & cake\"", &["tea & cake"], &["tea and cake"]),
        ("1 + 1", &["1 + 1 = 2", "11 and 1"], &[]),
        ("%", &["50% off"], &["half"]),
        ("R&D", &["the R&D team"], &["R and D"]),
        ("20°C", &["it was 20°C outside", "20 °C"], &["20 C"]),
        ("x²", &["x² + y²", "x2"], &["x3"]),
        ("→", &["home → work"], &["home"]),
    ]);
}

#[test]
fn emoji_are_found_by_themselves() {
    check(&[
        ("🎉", &["Done 🎉", "🎉🎂", "party🎉time", "❤️🎉"], &["🎂"]),
        ("🎉 party", &["a party 🎉"], &["a party"]),
        ("👍🏽", &["good 👍🏽"], &["good 👍🏻", "👍"]),
        ("👍", &["good 👍🏽", "👍"], &["👎"]),
        ("👩‍💻", &["work 👩‍💻 all day"], &["👩 and 💻 work", "👩"]),
        ("👨‍👩‍👧‍👦", &["home 👨‍👩‍👧‍👦"], &["👨‍👩‍👧"]),
        ("❤", &["❤️", "❤"], &["💔"]),
        ("❤️", &["❤"], &[]),
        ("🇩🇪", &["in 🇩🇪 again"], &["🇫🇷", "🇧🇩🇪🇸"]),
        ("🇪🇺", &["🇪🇺"], &["🇩🇪🇺🇸"]),
        ("☕", &["☕️ break"], &[]),
        ("©", &["© 2026"], &[]),
    ]);
}

#[test]
fn words_of_every_kind_are_searched_for() {
    check(&[
        (
            "To be or not to be",
            &["To be or not to be", "to be"],
            &["nothing"],
        ),
        ("the", &["the cat"], &["a cat"]),
        ("the who", &["The Who at Leeds"], &["the wall"]),
        ("or", &["this or that"], &["this and that"]),
        ("or or or", &["this or that"], &["this and that"]),
        ("not", &["not now"], &["now"]),
        ("it is", &["it is"], &["it was"]),
        ("7", &["7 days"], &["17 days"]),
        ("i", &["I cat"], &["in a cat"]),
    ]);
}

#[test]
fn operators_mean_what_they_do_in_web_search() {
    check(&[
        ("tea milk", &["milk in tea"], &["tea"]),
        ("tea or milk", &["a glass of milk", "tea"], &["water"]),
        ("tea OR milk", &["a glass of milk", "tea"], &["water"]),
        (
            "green tea or milk",
            &["milk", "green tea"],
            &["tea", "green"],
        ),
        ("tea -milk", &["tea"], &["tea with milk", "milk"]),
        ("-milk tea", &["tea"], &["tea with milk"]),
        (
            "tea -\"with milk\"",
            &["tea with some milk"],
            &["tea with milk"],
        ),
        ("tea -C++", &["tea and vitamin C"], &["tea and C++"]),
        ("tea -running", &["tea"], &["tea after a run"]),
        ("tea -berl*", &["tea"], &["tea in Berlin"]),
        (
            "\"green tea\"",
            &["green tea", "Green, tea", "green\ntea"],
            &[
                "tea, green",
                "green teas",
                "greener tea",
                "green herbal tea",
            ],
        ),
        ("“green tea”", &["green tea"], &["tea, green"]),
        ("«green tea»", &["green tea"], &["tea, green"]),
        ("\"green tea", &["tea, green"], &["green"]),
        ("\"running\"", &["running"], &["run", "runner"]),
        ("\"new yor*\"", &["New York"], &["York, new"]),
        (
            "\"great day\"",
            &["great 🎉 day", "great > day"],
            &["great big day"],
        ),
        (
            "tea or -milk coffee",
            &["tea with milk", "coffee"],
            &["coffee with milk"],
        ),
        ("tea - milk", &["tea with milk"], &["tea"]),
        ("tea --milk", &["tea with milk"], &["tea"]),
        ("well-known", &["a well-known one"], &["well"]),
        ("tea or !!!", &["tea"], &["milk"]),
    ]);
}

#[test]
fn words_in_any_case_and_form_are_found() {
    check(&[
        (
            "café",
            &["Café", "CAFÉ", "cafe\u{301}", "CAFE\u{301}"],
            &["cafe"],
        ),
        ("cafe\u{301}", &["café"], &["cafe"]),
        ("tea", &["ｔｅａ", "ＴＥＡ"], &[]),
        ("ｔｅａ", &["tea"], &[]),
        ("fish", &["ﬁsh"], &[]),
        ("ﬁsh", &["FISH"], &[]),
        ("2026", &["２０２６"], &[]),
        (
            "istanbul",
            &["İstanbul", "İSTANBUL", "ISTANBUL", "istanbul"],
            &[],
        ),
        ("İSTANBUL", &["istanbul", "İstanbul"], &[]),
        ("İstanbul'da", &["istanbul’da"], &[]),
        (
            "ılık",
            &["ılık bir akşam", "ILIK", "Ilık"],
            &["ilik", "İLİK"],
        ),
        ("ILIK", &["ılık", "Ilık", "ILIK", "ilik"], &[]),
        ("Ilık", &["ılık", "ILIK"], &["ilik"]),
        ("ilik", &["ilik", "İLİK", "İlik"], &["ılık"]),
        ("sınır", &["sınır", "SINIR"], &["sinir", "SİNİR"]),
        ("\"ılık su\"", &["ILIK SU"], &["ilik su"]),
        ("ısın*", &["ısınmak", "ISINMAK", "Isınmak"], &["isinmek"]),
        ("IT", &["it is", "the IT team"], &[]),
        ("straße", &["Strasse", "STRASSE", "STRAẞE", "straße"], &[]),
        ("STRASSE", &["straße"], &[]),
        (
            "München",
            &["MÜNCHEN", "Mu\u{308}nchen", "münchen"],
            &["Munchen", "Muenchen"],
        ),
        ("οδός", &["ΟΔΟΣ", "Οδός", "οδος"], &[]),
        ("ΑΘΗΝΑ", &["Αθήνα"], &[]),
        ("φίλος", &["ΦΊΛΟΣ", "φίλοσ"], &[]),
        (
            "москва",
            &["Москва", "МОСКВА", "в Москва-реке"],
            &["Москве"],
        ),
        ("שלום", &["שָׁלוֹם", "שלום"], &[]),
        ("שָׁלוֹם", &["שלום"], &[]),
        ("كتاب", &["كِتَابٌ", "كتـــاب"], &[]),
        ("हिन्दी", &["मैं हिन्दी सीखता हूँ"], &["हिन्द"]),
        ("क़लम", &["क\u{93c}लम"], &[]),
        ("naïve", &["nai\u{308}ve"], &["naive"]),
        ("soft\u{ad}ware", &["software"], &[]),
        ("software", &["soft\u{ad}ware", "soft\u{200b}ware"], &[]),
        ("№5", &["No5"], &[]),
        ("½", &["1⁄2"], &[]),
        ("Å", &["\u{212b}"], &[]),
    ]);
}

#[test]
fn words_without_spaces_between_them_are_found() {
    check(&[
        (
            "東京",
            &["昨日東京に行った", "東京", "東京タワー", "「東京」"],
            &["京都", "東の京"],
        ),
        ("京都", &["東京都", "京都"], &["東京"]),
        ("公园", &["早上在公园散步。"], &["公司"]),
        ("茶", &["喝茶", "茶馆", "茶"], &["咖啡"]),
        ("图书馆", &["去了图书馆看书"], &["图书很多馆", "书馆"]),
        ("タワー", &["東京タワー", "ﾀﾜｰ"], &["タワシ"]),
        ("ｶﾞﾗｽ", &["ガラス"], &["カラス"]),
        ("食べ", &["寿司を食べました"], &["寿司"]),
        (
            "iPhone15を買った",
            &["昨日iPhone15を買った。"],
            &["iPhone15は"],
        ),
        ("3月15日", &["3月15日は晴れ"], &["13月15日", "3月16日"]),
        ("ทะเล", &["วันนี้ไปทะเลกับเพื่อน"], &["ภูเขา"]),
        ("น้ำ", &["ดื่มน้ำเย็น", "ดื่มน\u{e49}\u{e4d}\u{e32}เย็น"], &["นา"]),
        ("ປະເທດ", &["ຢູ່ປະເທດລາວ"], &["ບ້ານ"]),
        (
            "ភាសា",
            &["រៀនភាសាខ្មែរ", "រៀន\u{200b}ភាសា\u{200b}ខ្មែរ"],
            &["ផ្ទះ"],
        ),
        ("မြန်မာ", &["ကျွန်တော်မြန်မာစကားပြောတယ်"], &["အင်္ဂလိပ်"]),
        ("친구", &["친구를 만났다", "남자친구", "친구"], &["친척을"]),
        ("친구를 만났다", &["어제 친구를 만났다"], &["친구를 보았다"]),
        (
            "\"친구를 만\"",
            &["어제 친구를 만났다"],
            &["친구를 또 만났다"],
        ),
        ("친\u{110b}\u{1161}", &["친아"], &[]),
        ("\"北京 大学\"", &["北京大学", "北京 大学"], &["大学北京"]),
        ("北京 -上海", &["北京很冷"], &["北京和上海"]),
        ("𠮷野家", &["𠮷野家で昼ごはん"], &["吉野家"]),
        ("人々", &["人々が来た"], &["人が"]),
        ("「東京」", &["東京"], &[]),
    ]);
}

#[test]
fn english_inflections_are_found_outside_of_quotes() {
    check(&[
        (
            "run far",
            &["running far", "he runs far", "run far"],
            &["runt far"],
        ),
        ("happiness now", &["happy now"], &["hap now"]),
        (
            "walked home",
            &["walk home", "walking home"],
            &["wall home"],
        ),
        ("dying there", &["die there", "dies there"], &["dye there"]),
        ("skies today", &["sky today"], &["skin today"]),
        ("cafés here", &["a café here"], &[]),
        ("cities big", &["a big city"], &[]),
        ("capable of", &["capability of"], &[]),
        ("e-mails sent", &["sent an e-mail"], &[]),
        ("\"walked\"", &["walked"], &["walk", "walking"]),
    ]);
}

#[test]
fn words_are_found_by_their_beginnings() {
    check(&[
        ("Berl", &["Berlin", "in BERLIN"], &["Oberlin"]),
        ("Berl*", &["Berlin"], &["Oberlin"]),
        ("B*", &["Berlin"], &["Paris"]),
        ("B* train", &["a train to Berlin"], &["a train to Paris"]),
        ("berl train", &[], &["a train to Berlin"]),
        ("train berl", &["a train to Berlin"], &[]),
        ("train ber -paris", &[], &["a train to Berlin"]),
        ("Mün", &["München"], &[]),
        ("snake_ca*", &["snake_case"], &[]),
        ("snake_cas", &["snake_case"], &[]),
        ("to", &["to"], &["tomorrow"]),
        ("100", &["100"], &["1000"]),
        ("Ist", &["İstanbul"], &[]),
        ("ışı*", &["ışık", "IŞIK"], &["işi"]),
    ]);
}

#[test]
fn words_may_be_in_different_parts_and_phrases_may_not() {
    assert!(finds("tea garden", &["Tea", "in the garden"]));
    assert!(!finds("\"tea garden\"", &["Tea", "garden"]));
    assert!(finds("\"tea garden\"", &["A day", "the tea garden"]));
    assert!(!finds("tea -garden", &["Garden", "tea"]));
}

#[test]
fn long_texts_and_words_are_found_to_their_ends() {
    let noise = "a line of no interest at all. ".repeat(3_300);
    let text = format!("{noise}At last the brown bear came");
    assert!(finds("\"brown bear came\"", &["t", &text]));
    assert!(!finds("\"brown bear went\"", &["t", &text]));
    let sentence = format!(
        "{}终于看见了大熊猫",
        "今天天气很好没有什么事情".repeat(8_000)
    );
    assert!(finds("大熊猫", &["t", &sentence]));
    assert!(!finds("小熊猫", &["t", &sentence]));
    for letter in ["a", "é", "𐐨", "語", "ก"] {
        let word = letter.repeat(100_000);
        let beginning = letter.repeat(100);
        assert!(finds(&word, &["t", &word]), "{letter}");
        assert!(finds(&format!("{beginning}*"), &["t", &word]), "{letter}");
        let is_word = !"語ก".contains(letter);
        assert_eq!(!finds(&format!("\"{beginning}\""), &["t", &word]), is_word);
    }
    let word = "x".repeat(99_999);
    assert!(!finds(&format!("{word}y"), &["t", &format!("{word}z")]));
}

#[test]
fn a_query_without_words_says_so() {
    for query in [
        "", " ", "!!!", "\"\"", "\"...\"", "-", "---", "***", "\u{200b}", "…", "。", "?!", "\n\t",
    ] {
        assert_eq!(
            Query::read(query),
            Err(NothingToSearch::NoWord),
            "{query:?}"
        );
    }
    for query in [
        "-milk",
        "-milk -tea",
        "-\"green tea\"",
        "tea or -milk",
        "-milk or tea",
    ] {
        assert_eq!(
            Query::read(query),
            Err(NothingToSearch::OnlyExclusions),
            "{query:?}"
        );
    }
    assert!(
        NothingToSearch::NoWord
            .to_string()
            .contains("nothing to search for")
    );
}
